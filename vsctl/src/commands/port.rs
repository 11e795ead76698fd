//! Ports and their interfaces.

use std::collections::BTreeSet;

use ovsdb::Datum;

use super::Context;
use crate::call::Call;
use crate::error::{Result, fail};
use crate::output::Output;
use crate::topology::{Port, Topology};

/// `list-ports BRIDGE`
pub fn list_ports(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    let topology = context.topology();
    topology.bridge(call.arg(0))?;
    Ok(Output::lines(topology.ports_of(call.arg(0))))
}

/// `list-ifaces BRIDGE`
pub fn list_ifaces(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    let topology = context.topology();
    topology.bridge(call.arg(0))?;
    Ok(Output::lines(topology.ifaces_of(call.arg(0))))
}

/// `port-to-br PORT`
pub fn port_to_br(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    Ok(Output::lines([context
        .topology()
        .port(call.arg(0))?
        .bridge
        .as_str()]))
}

/// `iface-to-br IFACE`
pub fn iface_to_br(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    Ok(Output::lines([context
        .topology()
        .iface(call.arg(0))?
        .bridge
        .as_str()]))
}

/// `add-port BRIDGE PORT [COLUMN[:KEY]=VALUE]...`
pub fn add_port(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    add(context, call, &[call.arg(1)], &call.args[2..], false)
}

/// `add-bond BRIDGE PORT IFACE IFACE... [COLUMN[:KEY]=VALUE]...`
pub fn add_bond(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    let rest = &call.args[2..];
    let count = rest
        .iter()
        .rposition(|arg| !arg.contains('='))
        .map_or(0, |last| last + 1);
    if count < 2 {
        fail!("add-bond requires at least 2 interfaces, but only {count} were specified");
    }
    let (ifaces, columns) = rest.split_at(count);
    let ifaces: Vec<_> = ifaces.iter().map(String::as_str).collect();
    add(context, call, &ifaces, columns, call.has("--fake-iface"))
}

/// Adds a port that holds `ifaces`.
fn add(
    context: &mut Context<'_>,
    call: &Call<'_>,
    ifaces: &[&str],
    columns: &[String],
    fake_iface: bool,
) -> Result<Output> {
    let (bridge, name) = (call.arg(0), call.arg(1));
    if name.is_empty() {
        fail!("port name must not be empty string");
    }
    let topology = context.topology();
    if let Some(port) = topology.ports.get(name).filter(|_| call.has("--may-exist")) {
        return may_exist(call, &topology, port, ifaces).map(|()| Output::None);
    }
    topology.check_free("a port", name)?;
    for (index, iface) in ifaces.iter().enumerate() {
        topology.check_free("an interface", iface)?;
        if ifaces[..index].contains(iface) {
            fail!("the interface {iface} is named more than once");
        }
    }
    let of = topology.bridge(bridge)?;
    let insert = |iface: &&str| context.insert("Interface", [("name", Datum::scalar(*iface))]);
    let rows: Vec<_> = ifaces.iter().map(insert).collect::<Result<_>>()?;
    let port = context.insert(
        "Port",
        [
            ("name", Datum::scalar(name)),
            ("interfaces", Datum::set(rows)),
        ],
    )?;
    if fake_iface {
        context
            .draft
            .replace("Port", port, "bond_fake_iface", Datum::scalar(true));
    }
    if let Some((_, vlan)) = of.fake {
        context
            .draft
            .replace("Port", port, "tag", Datum::scalar(vlan));
    }
    let table = context.table("Port")?;
    let interface = context.table("Interface")?;
    for column in columns {
        let typed = column.split([':', '=']).next().unwrap_or_default();
        if !table.columns.contains_key(typed) && interface.columns.contains_key(typed) {
            fail!(
                "\"{typed}\" is a column of Interface, not of Port: say add-port {bridge} {name} -- set Interface {name} {column}"
            );
        }
        context.assign(table, port, column)?;
    }
    context.draft.add_ref("Bridge", of.row, "ports", port);
    Ok(Output::None)
}

/// Checks that the port that exists is the one that is wanted.
fn may_exist(call: &Call<'_>, topology: &Topology, port: &Port, ifaces: &[&str]) -> Result<()> {
    let (typed, bridge, name) = (call.typed(), call.arg(0), call.arg(1));
    topology.bridge(bridge)?;
    if port.bridge != bridge {
        fail!(
            "\"{typed}\" but {name} is actually attached to bridge {}",
            port.bridge
        );
    }
    let (want, is): (BTreeSet<_>, BTreeSet<_>) = (
        ifaces.iter().copied().collect(),
        topology.ifaces_of_port(name).collect(),
    );
    if want != is {
        let is: Vec<_> = is.into_iter().collect();
        fail!(
            "\"{typed}\" but {name} actually has interface(s) {}",
            is.join(", ")
        );
    }
    Ok(())
}

/// `[--if-exists] [--with-iface] del-port [BRIDGE] PORT`
pub fn del_port(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    let (topology, with_iface) = (context.topology(), call.has("--with-iface"));
    let (bridge, word) = match call.args {
        [bridge, port] => (Some(bridge.as_str()), port.as_str()),
        _ => (None, call.arg(0)),
    };
    let name = match topology.ifaces.get(word) {
        Some(iface) if with_iface && !topology.ports.contains_key(word) => iface.port.as_str(),
        _ => word,
    };
    let Some(port) = topology.ports.get(name) else {
        return match (call.has("--if-exists"), with_iface) {
            (true, _) => Ok(Output::None),
            (false, true) => fail!("no port or interface named {word}"),
            (false, false) => topology.port(word).map(|_| Output::None),
        };
    };
    if topology.bridges.contains_key(name) {
        fail!(
            "cannot delete port {name} because it is the local port for bridge {name} (deleting this port requires deleting the entire bridge)"
        );
    }
    if let Some(bridge) = bridge.filter(|bridge| *bridge != port.bridge) {
        topology.bridge(bridge)?;
        return elsewhere(&topology, bridge, name, port);
    }
    delete(context, &topology, name);
    Ok(Output::None)
}

/// The error for a port that is not on the bridge that is named.
fn elsewhere(topology: &Topology, bridge: &str, name: &str, port: &Port) -> Result<Output> {
    let is_child =
        |child: &str, parent: &str| topology.fakes_of(parent).any(|(fake, _)| fake == child);
    let note = match port.bridge.as_str() {
        other if is_child(other, bridge) => format!(" (although its child bridge {other} does)"),
        other if is_child(bridge, other) => format!(" (although its parent bridge {other} does)"),
        _ => String::new(),
    };
    fail!("bridge {bridge} does not have a port {name}{note}");
}

/// Deletes a port with its interfaces.
pub fn delete(context: &mut Context<'_>, topology: &Topology, name: &str) {
    let Some(port) = topology.ports.get(name) else {
        return;
    };
    for iface in topology.ifaces_of_port(name) {
        context
            .draft
            .delete("Interface", topology.ifaces[iface].row);
    }
    context
        .draft
        .remove_ref("Bridge", port.bridge_row, "ports", port.row);
    context.draft.delete("Port", port.row);
}
