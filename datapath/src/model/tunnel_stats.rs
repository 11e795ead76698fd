//! What is counted per tunnel: one row each. The workers count ([`super::stats::WorkerStats::tunnels`]), control shows it.

use super::drop::DropReason;

/// What a counter says of the packets that it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// They went on.
    Good,
    /// Received, and lost.
    RxError,
    /// Not sent.
    TxError,
}

macro_rules! tunnel_counters {
    ($($variant:ident $name:literal $class:ident $text:literal;)*) => {
        /// A counter of a tunnel.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "the table says it")]
        pub enum TunnelCounter { $($variant),* }

        /// Counter, name, what it means for the packet, explanation; in the order of the enum.
        pub const TUNNEL_COUNTERS: &[(TunnelCounter, &str, Class, &str)] =
            &[$((TunnelCounter::$variant, $name, Class::$class, $text)),*];
    };
}

tunnel_counters! {
    RxPackets      "rx_packets"          Good     "tunnel packets received, parts counted one by one";
    RxBytes        "rx_bytes"            Good     "bytes of these, with their outer headers from Ethernet on";
    TxPackets      "tx_packets"          Good     "tunnel packets sent, parts counted one by one";
    TxBytes        "tx_bytes"            Good     "bytes of these, with their outer headers from Ethernet on";
    RxMalformed    "rx_malformed"        RxError  "received with a frame inside that is cut short";
    RxCookie       "rx_cookie"           RxError  "received with another cookie than the session's";
    RxSequence     "rx_sequence"         RxError  "received out of order, or without the number that they must have";
    RxOption       "rx_option"           RxError  "received with a critical option that is not known";
    RxControl      "rx_control"          RxError  "control messages received";
    RxProtocol     "rx_protocol"         RxError  "received with something inside that this tunnel does not carry";
    RxVlan         "rx_vlan"             RxError  "received without the service tag that every frame must have";
    RxEcn          "rx_ecn"              RxError  "congestion was marked outside a packet that cannot say so (RFC 6040)";
    RxReassembled  "rx_reassembled"      Good     "packets put together from fragments";
    TxFragmented   "tx_fragmented"       Good     "packets sent as fragments";
    TxFragments    "tx_fragments"        Good     "fragments sent";
    TxTooBig       "tx_too_big"          TxError  "not sent: larger than the path allows";
    TxTooBigReply  "tx_too_big_replies"  Good     "senders that were told so (ICMP)";
    TxUnresolved   "tx_unresolved"       TxError  "not sent: no route or neighbour in time, or too many packets waited for it";
    TxNoRemote     "tx_no_remote"        TxError  "not sent: the packet names no remote end, or one that cannot be";
    TxProtocol     "tx_protocol"         TxError  "not sent: something that this tunnel does not carry";
    TxVlan         "tx_vlan"             TxError  "not sent: without the service tag that every frame must have";
    TxNested       "tx_nested"           TxError  "not sent: the tunnel's packets would go through the tunnel itself, or too many in each other";
    Split          "split"               Good     "frames sent in two parts";
    Held           "held"                Good     "parts kept until the other one arrived";
    Completed      "completed"           Good     "frames put together from two parts";
    Replaced       "replaced"            RxError  "a part waited, and one of another frame took its place";
    NoFirst        "no_first"            RxError  "a second part without a first one";
    IdMismatch     "id_mismatch"         RxError  "a second part of another frame than the first one; both were dropped";
    TimedOut       "timed_out"           RxError  "a part waited too long";
    NoMemory       "no_memory"           TxError  "no buffer for a part, a fragment, or the whole";
}

impl TunnelCounter {
    /// What counts received packets that are dropped for this reason.
    pub fn received(reason: DropReason) -> TunnelCounter {
        match reason {
            DropReason::TunnelCookie => TunnelCounter::RxCookie,
            DropReason::TunnelSequence => TunnelCounter::RxSequence,
            DropReason::TunnelOption => TunnelCounter::RxOption,
            DropReason::TunnelControl => TunnelCounter::RxControl,
            DropReason::TunnelProtocol => TunnelCounter::RxProtocol,
            DropReason::TunnelVlan => TunnelCounter::RxVlan,
            DropReason::TunnelEcn => TunnelCounter::RxEcn,
            DropReason::NoMemory => TunnelCounter::NoMemory,
            _ => TunnelCounter::RxMalformed,
        }
    }
    /// The same of packets that are to be sent.
    pub fn sent(reason: DropReason) -> TunnelCounter {
        match reason {
            DropReason::TunnelProtocol | DropReason::Malformed => TunnelCounter::TxProtocol,
            DropReason::TunnelVlan => TunnelCounter::TxVlan,
            DropReason::TunnelNoRemote => TunnelCounter::TxNoRemote,
            DropReason::TunnelNested => TunnelCounter::TxNested,
            DropReason::TunnelTooBig => TunnelCounter::TxTooBig,
            DropReason::NoMemory => TunnelCounter::NoMemory,
            _ => TunnelCounter::TxUnresolved,
        }
    }
    /// Number of counters.
    pub const LEN: usize = TUNNEL_COUNTERS.len();
    /// Its name.
    pub const fn name(self) -> &'static str {
        TUNNEL_COUNTERS[self as usize].1
    }
    /// Explanation.
    pub const fn text(self) -> &'static str {
        TUNNEL_COUNTERS[self as usize].3
    }
}

/// A tunnel's counters so far, over all workers, in the order of [`TUNNEL_COUNTERS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TunnelTotals(pub [u64; TunnelCounter::LEN]);

impl Default for TunnelTotals {
    fn default() -> TunnelTotals {
        TunnelTotals([0; TunnelCounter::LEN])
    }
}

impl TunnelTotals {
    /// One counter.
    pub fn get(&self, counter: TunnelCounter) -> u64 {
        self.0[counter as usize]
    }
    /// What came after `before`.
    pub fn since(&self, before: &TunnelTotals) -> TunnelTotals {
        TunnelTotals(std::array::from_fn(|index| {
            self.0[index].wrapping_sub(before.0[index])
        }))
    }
    /// Sum of a class.
    pub fn sum(&self, class: Class) -> u64 {
        let counters = TUNNEL_COUNTERS.iter().zip(self.0);
        let of_class = counters.filter(|(row, _)| row.2 == class);
        of_class.map(|(_, value)| value).sum()
    }
    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        TUNNEL_COUNTERS.iter().map(|row| row.1).zip(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_enum_order() {
        for (index, row) in TUNNEL_COUNTERS.iter().enumerate() {
            assert_eq!(row.0 as usize, index, "{}", row.1);
            assert_eq!((row.0.name(), row.0.text()), (row.1, row.3));
        }
        let mut totals = TunnelTotals::default();
        totals.0[TunnelCounter::RxCookie as usize] = 3;
        assert_eq!(totals.sum(Class::RxError), 3);
        assert_eq!(totals.sum(Class::TxError), 0);
    }
}
