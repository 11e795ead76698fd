//! What bridges, ports and rules are called by: indexes into tables, counters and queues.

/// A bridge's index in the switch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BridgeId(pub u16);

/// A port's index in the whole switch: into `Snapshot::ports`, the workers' queues and counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortId(pub u32);

/// A rule's slot in the workers' counter slabs. Reused only after every worker has let go of the rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(pub u32);
