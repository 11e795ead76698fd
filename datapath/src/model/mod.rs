//! What both sides see. `control` builds [`Change`]s, the [`publish::Publisher`] applies them to the
//! copy that nobody reads and makes it current; `forward` reads one [`Snapshot`] per burst.
//! Nothing here decides anything about OpenFlow messages or packets.

pub mod classifier;
pub mod conjunction;
pub mod drop;
pub mod event;
pub mod few;
pub mod group;
pub mod id;
pub mod learnt;
pub mod mac;
pub mod meter;
pub mod plan;
pub mod port;
pub mod publish;
pub mod recent;
pub mod reserved;
pub mod rule;
pub mod snapshot;
pub mod stats;
pub mod tlv;
pub mod tunnel;
pub mod tunnel_stats;

pub use drop::DropReason;
pub use id::{BridgeId, PortId, RuleId};
pub use port::{PortKind, PortView, VlanMode};
pub use rule::Rule;
pub use snapshot::{BridgeView, Change, Snapshot, TableView};
