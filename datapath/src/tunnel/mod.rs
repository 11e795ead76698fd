//! Tunnels: a table of types, one file each. Encapsulation copies a prepared outer header in front of a
//! frame and patches what differs; decapsulation recognises, checks and measures it.
//! Pure functions over frames; who is called when is `forward`'s business.

mod geneve;
mod gpw;
mod gre;
mod inner;
pub mod l2tpv3;
mod outer;
pub mod too_big;
mod unfinished;
mod vxlan;

pub use inner::{Summary, congestion};
pub use outer::{Outer, Received as Tunnelled, recognise};
pub use unfinished::note_unfinished;

use crate::edge::Frame;
use crate::model::DropReason;
use crate::model::tunnel::{Encap, Tunnel, TunnelConfig, TunnelKey, TunnelType, Words};
use ofp::key::word;
use packet::checksum::Sum;
use packet::l2tpv3 as l2tp;
use packet::{gpw as part, ipproto};

/// Of a packet's tunnel words: the one with flags and group policy, and where these are in it.
const META: usize = word::TUN_META - word::TUN_ID;
const GBP_ID: u32 = 48;
const FLAG_OAM: u64 = 1 << 32;
const GBP_FLAGS: u32 = 8;

/// What a tunnel header says, as far as it can be read without knowing whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its key (session id); `None`: it has none.
    pub key: Option<u64>,
    /// Its size in bytes, as far as it is known.
    pub size: usize,
    /// Whether a checksum over itself and the payload has to be verified.
    pub csum: bool,
    /// EtherType of what is inside.
    pub payload: u16,
    /// Nothing is left to look at: an Ethernet frame follows, whatever the tunnel's settings.
    pub is_plain: bool,
}

/// What is put into a tunnel.
#[derive(Clone, Copy, Debug)]
pub struct Inside {
    /// Its EtherType.
    pub payload: u16,
    /// Which part of a frame it is (gpw).
    pub part: part::Part,
}

/// A tunnel type.
#[derive(Debug)]
pub struct Row {
    /// Which one.
    pub kind: TunnelType,
    /// As the Interface table's `type` has it.
    pub name: &'static str,
    /// The protocol of the outer IP header; UDP has its header before the tunnel's.
    pub protocol: u8,
    /// Writes the header for these settings to the start of `bytes`; returns its size.
    pub prepare: fn(&TunnelConfig, &mut [u8]) -> usize,
    /// Puts into a prepared header what differs from packet to packet, if [`varies`].
    pub patch: fn(&mut [u8], &Tunnel, &Words, &Inside),
    /// Reads a received header, to find the tunnel.
    pub parse: fn(&[u8]) -> Result<Header, DropReason>,
    /// Reads what only the found tunnel's settings and state explain; for headers that are not plain. The bytes are those from the
    /// tunnel header on.
    pub accept: fn(&Tunnel, &mut Tunnelled, &[u8]) -> Result<(), DropReason>,
    /// Where the checksum is, in bytes from the end of the IP header.
    pub csum_offset: usize,
    /// The other end brings congestion marks back in (RFC 6040).
    pub knows_ecn: bool,
}

/// The types. L2TPv3 has two forms.
pub const TUNNELS: &[Row] = &[
    Row {
        kind: TunnelType::Vxlan,
        name: "vxlan",
        protocol: ipproto::UDP,
        prepare: vxlan::prepare,
        patch: vxlan::patch,
        parse: vxlan::parse,
        accept: vxlan::accept,
        csum_offset: UDP_CSUM,
        knows_ecn: true,
    },
    Row {
        kind: TunnelType::Gre,
        name: "gre",
        protocol: ipproto::GRE,
        prepare: gre::prepare,
        patch: gre::patch,
        parse: gre::parse,
        accept: nothing_more,
        csum_offset: 4,
        knows_ecn: true,
    },
    Row {
        kind: TunnelType::Geneve,
        name: "geneve",
        protocol: ipproto::UDP,
        prepare: geneve::prepare,
        patch: geneve::patch,
        parse: geneve::parse,
        accept: geneve::accept,
        csum_offset: UDP_CSUM,
        knows_ecn: true,
    },
    Row {
        kind: TunnelType::L2tpv3,
        name: "l2tpv3",
        protocol: ipproto::UDP,
        prepare: l2tpv3::prepare,
        patch: l2tpv3::patch,
        parse: l2tpv3::parse_udp,
        accept: l2tpv3::accept,
        csum_offset: UDP_CSUM,
        knows_ecn: false,
    },
    Row {
        kind: TunnelType::L2tpv3,
        name: "l2tpv3",
        protocol: ipproto::L2TP,
        prepare: l2tpv3::prepare,
        patch: l2tpv3::patch,
        parse: l2tpv3::parse_ip,
        accept: l2tpv3::accept,
        csum_offset: 0,
        knows_ecn: false,
    },
    Row {
        kind: TunnelType::Gpw,
        name: "gpw",
        protocol: ipproto::GPW,
        prepare: gpw::prepare,
        patch: gpw::patch,
        parse: gpw::parse,
        accept: gpw::accept,
        csum_offset: 0,
        knows_ecn: false,
    },
];

const UDP_CSUM: usize = 6;

/// An [`Row::accept`] that has nothing to look at.
fn nothing_more(_: &Tunnel, _: &mut Tunnelled, _: &[u8]) -> Result<(), DropReason> {
    Ok(())
}

impl TunnelType {
    /// As the Interface table's `type` has it.
    pub fn name(self) -> &'static str {
        let row = TUNNELS.iter().find(|row| row.kind == self);
        row.map_or("?", |row| row.name)
    }
}

impl Encap {
    /// Its row.
    #[inline]
    pub const fn row(&self) -> &'static Row {
        &TUNNELS[match self {
            Encap::Vxlan { .. } => 0,
            Encap::Gre { .. } => 1,
            Encap::Geneve => 2,
            Encap::L2tpv3(settings) => match settings.over {
                l2tp::Encap::Udp => 3,
                l2tp::Encap::Ip => 4,
            },
            Encap::Gpw { .. } => 5,
        }]
    }
}

/// Whether headers of a tunnel differ from packet to packet.
fn varies(config: &TunnelConfig) -> bool {
    config.out_key == TunnelKey::Flow
        || match &config.encap {
            Encap::Vxlan { gbp, gpe } => *gbp || *gpe,
            Encap::Gre { sequence } => *sequence || config.layer != Default::default(),
            Encap::Geneve | Encap::Gpw { .. } => true,
            Encap::L2tpv3(settings) => settings.sublayer == l2tp::Sublayer::Default,
        }
}

/// The same of packets that say nothing of the tunnel.
fn always_varies(config: &TunnelConfig) -> bool {
    match &config.encap {
        Encap::Vxlan { gbp, gpe } => *gbp || *gpe,
        Encap::Gre { sequence } => *sequence,
        Encap::Geneve | Encap::Gpw { .. } => false,
        Encap::L2tpv3(settings) => settings.sublayer == l2tp::Sublayer::Default,
    }
}

/// The folded one's complement sum of a frame's bytes `start..end`, over all its segments.
pub(crate) fn sum<F: Frame>(frame: &F, start: usize, end: usize) -> u16 {
    let (mut total, mut at) = (0u16, 0usize);
    frame.for_each_segment(&mut |segment| {
        let (from, to) = (start.max(at), end.min(at + segment.len()));
        if from < to {
            let part = Sum::new().bytes(&segment[from - at..to - at]).fold();
            // RFC 1071 section 2(B): a part that starts at an odd place counts with its bytes swapped.
            let part = if (from - start) % 2 == 1 {
                part.swap_bytes()
            } else {
                part
            };
            total = Sum::new().u16(total).u16(part).fold();
        }
        at += segment.len();
    });
    total
}

/// Finishes a pending checksum, over all segments of a frame.
pub(crate) fn finish_checksum<F: Frame>(frame: &mut F) -> Result<(), DropReason> {
    let mut offload = frame.offload();
    if offload.csum_start == 0 {
        return Ok(());
    }
    let (start, size) = (usize::from(offload.csum_start), frame.size());
    let checksum = packet::checksum::nonzero(!sum(frame, start, size));
    let at = start + usize::from(offload.csum_offset);
    let field = frame.head_mut().get_mut(at..at + 2);
    field
        .ok_or(DropReason::Malformed)?
        .copy_from_slice(&checksum.to_be_bytes());
    (offload.csum_start, offload.csum_offset) = (0, 0);
    frame.set_offload(offload);
    Ok(())
}

#[cfg(test)]
mod tests;
