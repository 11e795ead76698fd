//! Ids and small values of OpenFlow that could be swapped by accident.

use std::fmt;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub $inner);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )*};
}

ids! {
    /// An OpenFlow 1.1+ port number; 1.0's reserved ports are mapped to the 32-bit ones.
    PortNo(u32);
    /// A table's number, 0 to 254; 255 is "all".
    TableId(u8);
    /// A group's number.
    GroupId(u32);
    /// A bucket's number in its group.
    BucketId(u32);
    /// A meter's number.
    MeterId(u32);
    /// A controller's opaque mark on a rule.
    Cookie(u64);
    /// A message's transaction id.
    Xid(u32);
}

/// OpenFlow 1.3.5 section 7.2.1, "reserved ports".
impl PortNo {
    /// Largest number of a real port; OpenFlow 1.0's limit is 0xff00.
    pub const MAX: PortNo = PortNo(0xffff_ff00);
    /// Largest number of a real port that OpenFlow 1.0 can express.
    pub const MAX10: PortNo = PortNo(0xfeff);
    /// `OFPP_UNSET`: no output in the action set.
    pub const UNSET: PortNo = PortNo(0xffff_fff7);
    /// Back to where the packet came from.
    pub const IN_PORT: PortNo = PortNo(0xffff_fff8);
    /// Through the flow tables (packet-out only).
    pub const TABLE: PortNo = PortNo(0xffff_fff9);
    /// The learning switch.
    pub const NORMAL: PortNo = PortNo(0xffff_fffa);
    /// All ports that flood.
    pub const FLOOD: PortNo = PortNo(0xffff_fffb);
    /// All ports but the ingress one.
    pub const ALL: PortNo = PortNo(0xffff_fffc);
    /// The controllers.
    pub const CONTROLLER: PortNo = PortNo(0xffff_fffd);
    /// The bridge's own interface.
    pub const LOCAL: PortNo = PortNo(0xffff_fffe);
    /// None, or any, by context.
    pub const ANY: PortNo = PortNo(0xffff_ffff);

    /// From OpenFlow 1.0's 16 bits.
    pub const fn from_v10(port: u16) -> PortNo {
        if port >= 0xfff8 {
            PortNo(port as u32 | 0xffff_0000)
        } else {
            PortNo(port as u32)
        }
    }
    /// To OpenFlow 1.0's 16 bits, if it can be said there.
    pub const fn to_v10(self) -> Option<u16> {
        match self.0 {
            port @ 0..=0xfeff => Some(port as u16),
            port @ 0xffff_fff7.. => Some(port as u16),
            _ => None,
        }
    }
    /// Whether it is a port's number or a reserved one; between them is nothing.
    pub const fn is_known(self) -> bool {
        matches!(self.0, 0..=0xfeff | 0xffff_ff00..)
    }
    /// Whether a port of a bridge can have this number.
    pub const fn is_real(self) -> bool {
        self.0 != 0 && self.0 <= Self::MAX.0
    }
}

impl TableId {
    /// Every table; or "not given".
    pub const ALL: TableId = TableId(255);
    /// Number of tables that controllers see: 0..=253.
    pub const LEN: usize = 254;
}

impl GroupId {
    /// Largest number of a group.
    pub const MAX: GroupId = GroupId(0xffff_ff00);
    /// `OFPG_ANY`.
    pub const ANY: GroupId = GroupId(0xffff_ffff);
    /// `OFPG_ALL`.
    pub const ALL: GroupId = GroupId(0xffff_fffc);
}

impl BucketId {
    /// Largest number of a bucket.
    pub const MAX: BucketId = BucketId(0xffff_ff00);
    /// `OFPG_BUCKET_FIRST`: before all others.
    pub const FIRST: BucketId = BucketId(0xffff_fffd);
    /// `OFPG_BUCKET_LAST`: behind all others.
    pub const LAST: BucketId = BucketId(0xffff_fffe);
    /// `OFPG_BUCKET_ALL`: every bucket; or "not said".
    pub const ALL: BucketId = BucketId(0xffff_ffff);
}

impl MeterId {
    /// Largest number of a meter that flows name.
    pub const MAX: MeterId = MeterId(0xffff_0000);
    /// `OFPM_SLOWPATH`: what goes through the switch's slow path.
    pub const SLOWPATH: MeterId = MeterId(0xffff_fffd);
    /// `OFPM_CONTROLLER`: all that goes to the controllers.
    pub const CONTROLLER: MeterId = MeterId(0xffff_fffe);
    /// `OFPM_ALL`: every meter.
    pub const ALL: MeterId = MeterId(0xffff_ffff);
}

/// A version of OpenFlow, by its wire number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
#[repr(u8)]
pub enum Version {
    V10 = 1,
    V11 = 2,
    V12 = 3,
    V13 = 4,
    V14 = 5,
    V15 = 6,
}

impl Version {
    /// Those that this crate encodes and decodes, ascending.
    pub const SUPPORTED: &[Version] = &[
        Version::V10,
        Version::V11,
        Version::V12,
        Version::V13,
        Version::V14,
        Version::V15,
    ];

    /// From the header's first byte.
    pub const fn from_wire(byte: u8) -> Option<Version> {
        Some(match byte {
            1 => Version::V10,
            2 => Version::V11,
            3 => Version::V12,
            4 => Version::V13,
            5 => Version::V14,
            6 => Version::V15,
            _ => return None,
        })
    }
    /// Name as in the `protocols` column: `OpenFlow13`.
    pub const fn name(self) -> &'static str {
        match self {
            Version::V10 => "OpenFlow10",
            Version::V11 => "OpenFlow11",
            Version::V12 => "OpenFlow12",
            Version::V13 => "OpenFlow13",
            Version::V14 => "OpenFlow14",
            Version::V15 => "OpenFlow15",
        }
    }
}
