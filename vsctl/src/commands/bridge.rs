//! Bridges, and VLANs of bridges that pose as bridges.

use ovsdb::{Datum, Uuid};

use super::Context;
use crate::call::Call;
use crate::error::{Error, Result, fail};
use crate::output::Output;
use crate::topology::{Bridge, Topology};

/// What precedes the keys of a fake bridge's external IDs, which live in its port's row.
const FAKE_PREFIX: &str = "fake-bridge-";

/// `add-br BRIDGE [PARENT VLAN]`
pub fn add_br(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    let name = call.arg(0);
    if name.is_empty() {
        fail!("bridge name must not be empty string");
    }
    let parent = match call.args {
        [_] => None,
        [_, parent, vlan] => match vlan.parse() {
            Ok(vlan @ 0..=4095_i64) => Some((parent.as_str(), vlan)),
            _ => fail!("add-br: vlan must be between 0 and 4095"),
        },
        _ => fail!("'add-br' command takes exactly 1 or 3 arguments"),
    };
    let topology = context.topology();
    match topology.bridges.get(name) {
        Some(bridge) if call.has("--may-exist") => {
            return may_exist(call, bridge, parent).map(|()| Output::None);
        }
        _ => topology.check_free("a bridge", name)?,
    }
    match parent {
        None => add_real(context, name)?,
        Some((parent, vlan)) => add_fake(context, &topology, name, parent, vlan)?,
    }
    Ok(Output::None)
}

/// Checks that the bridge that exists is the one that is wanted.
fn may_exist(call: &Call<'_>, bridge: &Bridge, parent: Option<(&str, i64)>) -> Result<()> {
    let (typed, name) = (call.typed(), call.arg(0));
    match (&bridge.fake, parent) {
        (Some((_, vlan)), None) => fail!("\"{typed}\" but {name} is a VLAN bridge for VLAN {vlan}"),
        (None, Some(_)) => fail!("\"{typed}\" but {name} is not a VLAN bridge"),
        (Some((is, _)), Some((want, _))) if is != want => {
            fail!("\"{typed}\" but {name} has the wrong parent {is}")
        }
        (Some((_, is)), Some((_, want))) if *is != want => {
            fail!("\"{typed}\" but {name} is a VLAN bridge for the wrong VLAN {is}")
        }
        _ => Ok(()),
    }
}

fn add_real(context: &mut Context<'_>, name: &str) -> Result<()> {
    let port = insert_local_port(context, name)?;
    let bridge = context.insert(
        "Bridge",
        [
            ("name", Datum::scalar(name)),
            ("ports", Datum::scalar(port)),
        ],
    )?;
    let root = context.root()?;
    context
        .draft
        .add_ref("Open_vSwitch", root, "bridges", bridge);
    Ok(())
}

fn add_fake(
    context: &mut Context<'_>,
    topology: &Topology,
    name: &str,
    parent: &str,
    vlan: i64,
) -> Result<()> {
    let Some(of) = topology.bridges.get(parent) else {
        fail!("parent bridge {parent} does not exist")
    };
    if of.fake.is_some() {
        fail!("cannot create bridge with fake bridge as parent");
    }
    if let Some((other, _)) = topology.fakes_of(parent).find(|(_, taken)| *taken == vlan) {
        fail!("bridge {parent} already has a child VLAN bridge {other} on VLAN {vlan}");
    }
    let port = insert_local_port(context, name)?;
    context
        .draft
        .replace("Port", port, "tag", Datum::scalar(vlan));
    context
        .draft
        .replace("Port", port, "fake_bridge", Datum::scalar(true));
    context.draft.add_ref("Bridge", of.row, "ports", port);
    Ok(())
}

fn insert_local_port(context: &mut Context<'_>, name: &str) -> Result<Uuid> {
    let iface = context.insert(
        "Interface",
        [
            ("name", Datum::scalar(name)),
            ("type", Datum::scalar("internal")),
        ],
    )?;
    context.insert(
        "Port",
        [
            ("name", Datum::scalar(name)),
            ("interfaces", Datum::scalar(iface)),
        ],
    )
}

/// `del-br BRIDGE`
pub fn del_br(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    let (topology, name) = (context.topology(), call.arg(0));
    if call.has("--if-exists") && !topology.bridges.contains_key(name) {
        return Ok(Output::None);
    }
    let bridge = topology.bridge(name)?;
    let real = bridge.fake.is_none();
    for (port, of) in &topology.ports {
        let on_it = if real {
            of.bridge_row == bridge.row
        } else {
            of.bridge == name || port == name
        };
        if on_it {
            super::port::delete(context, &topology, port);
        }
    }
    if real {
        let root = context.root()?;
        context
            .draft
            .remove_ref("Open_vSwitch", root, "bridges", bridge.row);
        context.draft.delete("Bridge", bridge.row);
    }
    Ok(Output::None)
}

/// `[--real|--fake] list-br`
pub fn list_br(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    let (real, fake) = (call.has("--real"), call.has("--fake"));
    let wanted = |bridge: &Bridge| {
        if bridge.fake.is_some() {
            fake || !real
        } else {
            real || !fake
        }
    };
    let bridges = context.topology().bridges;
    Ok(Output::lines(
        bridges
            .into_iter()
            .filter(|(_, bridge)| wanted(bridge))
            .map(|(name, _)| name),
    ))
}

/// `br-exists BRIDGE`
pub fn br_exists(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    match context.topology().bridges.contains_key(call.arg(0)) {
        true => Ok(Output::None),
        false => Err(Error::Answer(2)),
    }
}

/// `br-to-vlan BRIDGE`
pub fn br_to_vlan(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    let topology = context.topology();
    let vlan = topology
        .bridge(call.arg(0))?
        .fake
        .as_ref()
        .map_or(0, |(_, vlan)| *vlan);
    Ok(Output::lines([vlan.to_string()]))
}

/// `br-to-parent BRIDGE`
pub fn br_to_parent(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    let topology = context.topology();
    let parent = topology
        .bridge(call.arg(0))?
        .fake
        .as_ref()
        .map_or(call.arg(0), |(parent, _)| parent);
    Ok(Output::lines([parent]))
}

/// The row that holds a bridge's external IDs, and what precedes their keys.
fn external_ids(topology: &Topology, name: &str) -> Result<(&'static str, Uuid, &'static str)> {
    let bridge = topology.bridge(name)?;
    match (&bridge.fake, topology.ports.get(name)) {
        (Some(_), Some(port)) => Ok(("Port", port.row, FAKE_PREFIX)),
        _ => Ok(("Bridge", bridge.row, "")),
    }
}

/// `br-set-external-id BRIDGE KEY [VALUE]`
pub fn br_set_external_id(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    let (table, row, prefix) = external_ids(&context.topology(), call.arg(0))?;
    let key = format!("{prefix}{}", call.arg(1));
    context.draft.merge(table, row, "external_ids", |now| {
        if let Datum::Map(map) = now {
            match call.args.get(2) {
                Some(value) => map.insert(key.into(), value.as_str().into()),
                None => map.remove(&key.into()),
            };
        }
    });
    Ok(Output::None)
}

/// `br-get-external-id BRIDGE [KEY]`
pub fn br_get_external_id(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    let (table, row, prefix) = external_ids(&context.topology(), call.arg(0))?;
    let ids = context
        .draft
        .now()
        .row(table, row)
        .and_then(|row| row.get("external_ids"));
    let pairs = ids.into_iter().flat_map(Datum::pairs);
    let own = pairs
        .filter_map(|(key, value)| Some((key.as_str()?.strip_prefix(prefix)?, value.as_str()?)));
    Ok(match call.args.get(1) {
        Some(wanted) => Output::lines(own.filter(|(key, _)| key == wanted).map(|(_, value)| value)),
        None => Output::lines(own.map(|(key, value)| format!("{key}={value}"))),
    })
}
