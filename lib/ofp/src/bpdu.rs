//! BPDU counters of a port, as our experimenter multipart carries them (`TSUNAGI_BPDU`, `ofctl bpdu`), and
//! the names that the gpw pseudowire program gave a tunnel's counters.
//!
//! ```text
//!  request   port 4 | zero 4
//!  reply     per port: port 4 | flags 4 (1: a tunnel) | received 5 x 8 | sent 5 x 8 | outer 6 x 8
//! ```
//! Counters are in the order of [`Kind::COUNTED`], the outer ones in that of [`OuterStats`]. Port numbers have 32
//! bits in every version.

use crate::error::OfError;
use crate::message::PortStats;
use crate::types::PortNo;
use crate::wire::cursor::Reader;
use bytes::{BufMut, BytesMut};
use packet::bpdu::Kind;

/// Kinds that are counted.
pub const KINDS: usize = Kind::COUNTED.len();

const IS_TUNNEL: u32 = 1;

/// BPDUs that went through a port, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct BpduStats {
    pub port: PortNo,
    pub rx: [u64; KINDS],
    pub tx: [u64; KINDS],
    /// Of tunnel ports.
    pub outer: Option<OuterStats>,
}

/// What a tunnel port received and sent on its encapsulated side. Bytes are those of whole frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct OuterStats {
    pub rx_packets: u64,
    pub rx_bytes: u64,
    pub rx_errors: u64,
    pub tx_packets: u64,
    pub tx_bytes: u64,
    pub tx_errors: u64,
}

impl BpduStats {
    /// All that were received, and all that were sent.
    pub fn totals(&self) -> (u64, u64) {
        (self.rx.iter().sum(), self.tx.iter().sum())
    }
    /// A tunnel port's counters by gpw's names: `ul` is the encapsulated side, `dl` the frames inside.
    /// What it receives on one side it sends on the other. `None`: it is no tunnel.
    pub fn gpw(&self, inner: &PortStats) -> Option<[(&'static str, u64); 16]> {
        let outer = self.outer?;
        let (arrived, left) = self.totals();
        Some([
            ("ul_rx_packets", outer.rx_packets),
            ("ul_rx_bytes", outer.rx_bytes),
            ("ul_rx_bpdus", arrived),
            ("ul_rx_errors", outer.rx_errors),
            ("ul_tx_packets", outer.tx_packets),
            ("ul_tx_bytes", outer.tx_bytes),
            ("ul_tx_bpdus", left),
            ("ul_tx_errors", outer.tx_errors),
            ("dl_rx_packets", inner.tx_packets),
            ("dl_rx_bytes", inner.tx_bytes),
            ("dl_rx_bpdus", left),
            ("dl_rx_errors", inner.tx_dropped),
            ("dl_tx_packets", inner.rx_packets),
            ("dl_tx_bytes", inner.rx_bytes),
            ("dl_tx_bpdus", arrived),
            ("dl_tx_errors", inner.rx_dropped),
        ])
    }
    pub(crate) fn get(r: &mut Reader<'_>) -> Result<BpduStats, OfError> {
        let port = PortNo(r.u32()?);
        let is_tunnel = r.u32()? & IS_TUNNEL != 0;
        let (mut rx, mut tx) = ([0; KINDS], [0; KINDS]);
        for counter in rx.iter_mut().chain(&mut tx) {
            *counter = r.u64()?;
        }
        let outer = OuterStats {
            rx_packets: r.u64()?,
            rx_bytes: r.u64()?,
            rx_errors: r.u64()?,
            tx_packets: r.u64()?,
            tx_bytes: r.u64()?,
            tx_errors: r.u64()?,
        };
        Ok(BpduStats {
            port,
            rx,
            tx,
            outer: is_tunnel.then_some(outer),
        })
    }
    pub(crate) fn put(&self, out: &mut BytesMut) {
        out.put_u32(self.port.0);
        out.put_u32(if self.outer.is_some() { IS_TUNNEL } else { 0 });
        let outer = self.outer.unwrap_or_default();
        let of_outer = [
            outer.rx_packets,
            outer.rx_bytes,
            outer.rx_errors,
            outer.tx_packets,
            outer.tx_bytes,
            outer.tx_errors,
        ];
        for counter in self.rx.into_iter().chain(self.tx).chain(of_outer) {
            out.put_u64(counter);
        }
    }
}
