//! What the walks of most packets come to, found without one: one rule of the first table, which outputs the packet as it is.

use super::packet_type::spare;
use super::send::refusal;
use crate::model::id::{PortId, RuleId};
use crate::model::{BridgeView, Snapshot};
use ofp::action::Action;
use ofp::field::Field;
use ofp::key::Key;
use ofp::types::TableId;

/// See the file's description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Only {
    pub port: PortId,
    pub table: TableId,
    pub rule: RuleId,
    /// Tables of hashes that were looked into.
    pub probes: u32,
}

/// What becomes of a frame that arrives at a bridge with this key. `None`: something else, or perhaps this, too; ask
/// [`super::pipeline::Walk`], of whose answers these are some.
#[inline]
pub(super) fn shortcut(snapshot: &Snapshot, view: &BridgeView, key: &Key) -> Option<Only> {
    let table = view.config.first_table;
    let rules = &view.tables.get(usize::from(table.0))?.rules;
    let is_usual = spare(key) == 0 && key.get(Field::SkbPriority.place()) == 0;
    if !is_usual || view.config.first_egress.is_some() {
        return None;
    }
    let rule = rules.lookup(key)?;
    let [Action::Output { port: number, .. }] = *rule.actions else {
        return None;
    };
    let in_port = key.get(Field::InPortOxm.place());
    if !number.is_real() || u128::from(number.0) == in_port {
        return None;
    }
    let port = snapshot.port(*view.ports.get(&number)?)?;
    refusal(port).is_none().then(|| Only {
        port: port.id,
        table,
        rule: rule.id,
        probes: rules.probes(Some(rule)) as u32,
    })
}
