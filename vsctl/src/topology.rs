//! Bridges, ports and interfaces by name, with the "fake bridges" that a VLAN of a real bridge can pose as.
//! Built from the rows whenever a command asks; rows that no bridge holds do not count.

use std::collections::BTreeMap;

use ovsdb::client::Replica;
use ovsdb::{Row, Uuid};

use crate::error::{Result, fail};
use crate::suggest::hint;

/// The names of a database.
#[derive(Debug, Default)]
pub struct Topology {
    /// Real and fake bridges.
    pub bridges: BTreeMap<String, Bridge>,
    /// Ports, the local ports of bridges among them.
    pub ports: BTreeMap<String, Port>,
    /// Interfaces.
    pub ifaces: BTreeMap<String, Iface>,
}

/// A bridge.
#[derive(Debug, Clone)]
pub struct Bridge {
    /// The row of the real bridge.
    pub row: Uuid,
    /// For a fake bridge the real one's name and the VLAN.
    pub fake: Option<(String, i64)>,
}

/// A port.
#[derive(Debug, Clone)]
pub struct Port {
    /// Its row.
    pub row: Uuid,
    /// The real or fake bridge that it is seen on.
    pub bridge: String,
    /// The row of the real bridge.
    pub bridge_row: Uuid,
}

/// An interface.
#[derive(Debug, Clone)]
pub struct Iface {
    /// Its row.
    pub row: Uuid,
    /// The port that holds it.
    pub port: String,
    /// The bridge of the port.
    pub bridge: String,
}

/// The VLAN of a port row that poses as a bridge.
fn fake_vlan(port: &Row) -> Option<i64> {
    port.int("tag")
        .filter(|tag| port.bool("fake_bridge") && (0..=4095).contains(tag))
}

impl Topology {
    /// Reads the rows.
    pub fn new(rows: &Replica) -> Self {
        let mut topology = Self::default();
        let Some((_, root)) = rows.singleton("Open_vSwitch") else {
            return topology;
        };
        for uuid in root.uuids("bridges") {
            if let Some(bridge) = rows.row("Bridge", uuid) {
                topology.add_bridge(rows, uuid, bridge);
            }
        }
        topology
    }

    fn add_bridge(&mut self, rows: &Replica, bridge_row: Uuid, bridge: &Row) {
        let name = bridge.str("name");
        self.bridges.insert(
            name.into(),
            Bridge {
                row: bridge_row,
                fake: None,
            },
        );
        let ports = || {
            bridge
                .uuids("ports")
                .filter_map(|uuid| Some((uuid, rows.row("Port", uuid)?)))
        };
        let mut by_vlan = BTreeMap::new();
        for (_, port) in ports() {
            if let Some(vlan) = fake_vlan(port) {
                by_vlan.insert(vlan, port.str("name"));
                self.bridges.insert(
                    port.str("name").into(),
                    Bridge {
                        row: bridge_row,
                        fake: Some((name.into(), vlan)),
                    },
                );
            }
        }
        for (row, port) in ports() {
            let seen_on = port
                .int("tag")
                .and_then(|tag| by_vlan.get(&tag))
                .copied()
                .unwrap_or(name);
            self.ports.insert(
                port.str("name").into(),
                Port {
                    row,
                    bridge: seen_on.into(),
                    bridge_row,
                },
            );
            for row in port.uuids("interfaces") {
                if let Some(iface) = rows.row("Interface", row) {
                    let iface_of = Iface {
                        row,
                        port: port.str("name").into(),
                        bridge: seen_on.into(),
                    };
                    self.ifaces.insert(iface.str("name").into(), iface_of);
                }
            }
        }
    }

    /// The bridge that must be there.
    pub fn bridge(&self, name: &str) -> Result<&Bridge> {
        match self.bridges.get(name) {
            Some(bridge) => Ok(bridge),
            None => fail!(
                "no bridge named {name}{}",
                hint(name, self.bridges.keys().map(String::as_str))
            ),
        }
    }

    /// The port that must be there and not be the local port of a bridge.
    pub fn port(&self, name: &str) -> Result<&Port> {
        match self
            .ports
            .get(name)
            .filter(|_| !self.bridges.contains_key(name))
        {
            Some(port) => Ok(port),
            None => fail!("no port named {name}{}", hint(name, self.port_names())),
        }
    }

    /// The interface that must be there and not be a bridge's own.
    pub fn iface(&self, name: &str) -> Result<&Iface> {
        match self
            .ifaces
            .get(name)
            .filter(|_| !self.bridges.contains_key(name))
        {
            Some(iface) => Ok(iface),
            None => fail!(
                "no interface named {name}{}",
                hint(name, self.iface_names())
            ),
        }
    }

    fn port_names(&self) -> impl Iterator<Item = &str> {
        self.ports
            .keys()
            .filter(|name| !self.bridges.contains_key(*name))
            .map(String::as_str)
    }

    fn iface_names(&self) -> impl Iterator<Item = &str> {
        self.ifaces
            .keys()
            .filter(|name| !self.bridges.contains_key(*name))
            .map(String::as_str)
    }

    /// The ports of a bridge, by name, without its local port.
    pub fn ports_of<'a>(&'a self, bridge: &'a str) -> impl Iterator<Item = &'a str> {
        self.port_names()
            .filter(move |name| self.ports[*name].bridge == bridge)
    }

    /// The names of the interfaces of a bridge, without its own.
    pub fn ifaces_of<'a>(&'a self, bridge: &'a str) -> impl Iterator<Item = &'a str> {
        self.iface_names()
            .filter(move |name| self.ifaces[*name].bridge == bridge)
    }

    /// The names of the interfaces of a port.
    pub fn ifaces_of_port<'a>(&'a self, port: &'a str) -> impl Iterator<Item = &'a str> {
        self.ifaces
            .iter()
            .filter(move |(_, iface)| iface.port == port)
            .map(|(name, _)| name.as_str())
    }

    /// The fake bridges of a real one.
    pub fn fakes_of<'a>(&'a self, parent: &'a str) -> impl Iterator<Item = (&'a str, i64)> {
        self.bridges
            .iter()
            .filter_map(move |(name, bridge)| match &bridge.fake {
                Some((of, vlan)) if of == parent => Some((name.as_str(), *vlan)),
                _ => None,
            })
    }

    /// Refuses to make `what` ("a bridge", "a port", "an interface") called `name` if the name is in use.
    pub fn check_free(&self, what: &str, name: &str) -> Result<()> {
        let prefix = format!("cannot create {what} named {name} because");
        if self.bridges.contains_key(name) {
            fail!("{prefix} a bridge named {name} already exists");
        }
        if let Some(port) = self.ports.get(name) {
            fail!(
                "{prefix} a port named {name} already exists on bridge {}",
                port.bridge
            );
        }
        if let Some(iface) = self.ifaces.get(name) {
            fail!(
                "{prefix} an interface named {name} already exists on bridge {}",
                iface.bridge
            );
        }
        Ok(())
    }
}
