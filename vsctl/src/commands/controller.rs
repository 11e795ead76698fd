//! Controllers, fail modes and managers.

use ovsdb::{Datum, Uuid};

use super::Context;
use crate::call::Call;
use crate::error::{Result, fail};
use crate::output::Output;

/// What a target may begin with.
const TARGET_TYPES: &[&str] = &["tcp:", "ssl:", "unix:", "ptcp:", "pssl:", "punix:"];

/// A column that refers to rows with targets.
struct Targets {
    table: &'static str,
    row: Uuid,
    column: &'static str,
    of: &'static str,
}

impl Targets {
    fn of_bridge(context: &Context<'_>, name: &str) -> Result<Self> {
        Ok(Self {
            table: "Bridge",
            row: real_bridge(context, name)?,
            column: "controller",
            of: "Controller",
        })
    }

    fn of_root(context: &mut Context<'_>) -> Result<Self> {
        Ok(Self {
            table: "Open_vSwitch",
            row: context.root()?,
            column: "manager_options",
            of: "Manager",
        })
    }

    /// Prints the targets, in order.
    fn get(&self, context: &Context<'_>) -> Output {
        let rows = context.draft.now();
        let refs = rows
            .row(self.table, self.row)
            .into_iter()
            .flat_map(|row| row.uuids(self.column));
        let mut targets: Vec<_> = refs
            .filter_map(|uuid| rows.row(self.of, uuid))
            .map(|row| row.str("target"))
            .collect();
        targets.sort_unstable();
        Output::lines(targets)
    }

    /// Has the column refer to new rows with these targets and to nothing else.
    fn set(&self, context: &mut Context<'_>, targets: &[String], call: &Call<'_>) -> Result<()> {
        let probe = match call.value("--inactivity-probe").map(str::parse::<i64>) {
            None => Datum::empty(),
            Some(Ok(probe @ 0..)) => Datum::scalar(probe),
            Some(_) => fail!("--inactivity-probe wants a number of milliseconds"),
        };
        let mut rows = Vec::new();
        for (index, target) in targets.iter().enumerate() {
            if targets[..index].contains(target) {
                fail!("the target \"{target}\" is named more than once");
            }
            if !TARGET_TYPES.iter().any(|known| target.starts_with(known)) {
                context
                    .warnings
                    .push(format!("target type \"{target}\" is possibly erroneous"));
            }
            let columns = [
                ("target", Datum::scalar(target.as_str())),
                ("inactivity_probe", probe.clone()),
            ];
            rows.push(context.insert(self.of, columns)?);
        }
        context
            .draft
            .replace(self.table, self.row, self.column, Datum::set(rows));
        Ok(())
    }
}

/// The row of a real bridge.
fn real_bridge(context: &Context<'_>, name: &str) -> Result<Uuid> {
    let topology = context.topology();
    let bridge = topology.bridge(name)?;
    if bridge.fake.is_some() {
        fail!("{name} is a fake bridge");
    }
    Ok(bridge.row)
}

/// `get-controller BRIDGE`
pub fn get_controller(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    Ok(Targets::of_bridge(context, call.arg(0))?.get(context))
}

/// `del-controller BRIDGE`
pub fn del_controller(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    Targets::of_bridge(context, call.arg(0))?.set(context, &[], call)?;
    Ok(Output::None)
}

/// `[--inactivity-probe=MSECS] set-controller BRIDGE TARGET...`
pub fn set_controller(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    Targets::of_bridge(context, call.arg(0))?.set(context, &call.args[1..], call)?;
    Ok(Output::None)
}

/// `get-manager`
pub fn get_manager(context: &mut Context<'_>, _: &Call<'_>) -> Result<Output> {
    Ok(Targets::of_root(context)?.get(context))
}

/// `del-manager`
pub fn del_manager(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    Targets::of_root(context)?.set(context, &[], call)?;
    Ok(Output::None)
}

/// `[--inactivity-probe=MSECS] set-manager TARGET...`
pub fn set_manager(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    Targets::of_root(context)?.set(context, call.args, call)?;
    Ok(Output::None)
}

/// `get-fail-mode BRIDGE`
pub fn get_fail_mode(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    let bridge = real_bridge(context, call.arg(0))?;
    let row = context.draft.now().row("Bridge", bridge);
    Ok(Output::lines(row.and_then(|row| row.opt_str("fail_mode"))))
}

/// `del-fail-mode BRIDGE`
pub fn del_fail_mode(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    let bridge = real_bridge(context, call.arg(0))?;
    context
        .draft
        .replace("Bridge", bridge, "fail_mode", Datum::empty());
    Ok(Output::None)
}

/// `set-fail-mode BRIDGE standalone|secure`
pub fn set_fail_mode(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    let bridge = real_bridge(context, call.arg(0))?;
    let mode = call.arg(1);
    if !matches!(mode, "standalone" | "secure") {
        fail!("fail-mode must be \"standalone\" or \"secure\"");
    }
    context
        .draft
        .replace("Bridge", bridge, "fail_mode", Datum::scalar(mode));
    Ok(Output::None)
}
