//! What encapsulation needs to know of the frame inside, and how congestion marks cross the border.

use packet::{Wire, ethernet, ethertype, ipproto, ipv4, ipv6};

/// What the outer header takes over from the inner frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Of the inner IP header; `None`: not IP.
    pub tos: Option<u8>,
    /// Of the inner IP header.
    pub ttl: Option<u8>,
    /// Equal for all packets of a flow: addresses, protocol and ports.
    pub hash: u32,
}

const MAX_TAGS: usize = 2;

#[inline]
fn mix(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Two halves as one word.
#[inline]
fn word(high: [u8; 4], low: [u8; 4]) -> u64 {
    u64::from(u32::from_ne_bytes(high)) << 32 | u64::from(u32::from_ne_bytes(low))
}

#[inline]
fn mix_wide(hash: u64, address: [u8; 16]) -> u64 {
    let value = u128::from_ne_bytes(address);
    mix(mix(hash, (value >> 64) as u64), value as u64)
}

/// Of what is not IP: its link header.
fn link_hash(head: &[u8]) -> u64 {
    let mut bytes = [0; 16];
    let size = head.len().min(ethernet::Header::SIZE);
    bytes[..size].copy_from_slice(&head[..size]);
    mix_wide(0, bytes)
}

impl Summary {
    /// Of a frame that starts with `head`.
    #[inline(always)]
    pub fn of(head: &[u8]) -> Summary {
        Summary::plain(head).unwrap_or_else(|| Summary::any(head))
    }
    /// Of a packet as most are: IPv4 without options, no fragment, no VLAN tag, with ports.
    #[inline(always)]
    fn plain(head: &[u8]) -> Option<Summary> {
        const VERSION_4_SIZE_5: u32 = (ethertype::IPV4 as u32) << 8 | 0x45;
        let bytes: &[u8; 38] = head.first_chunk()?;
        let at = |place: usize| bytes[place..].first_chunk().copied().unwrap_or_default();
        let (types, protocol) = (u32::from_be_bytes(at(12)), bytes[23]);
        let is_fragment = u16::from_be_bytes([bytes[20], bytes[21]]) & 0x3fff != 0;
        if types >> 8 != VERSION_4_SIZE_5
            || is_fragment
            || !matches!(protocol, ipproto::TCP | ipproto::UDP)
        {
            return None;
        }
        let hash = mix(
            mix(0, word(at(26), at(30))),
            word([0, 0, 0, protocol], at(34)),
        );
        Some(Summary {
            tos: Some(types as u8),
            ttl: Some(bytes[22]),
            hash: (hash >> 32) as u32,
        })
    }
    #[inline(never)]
    fn any(head: &[u8]) -> Summary {
        let mut summary = Summary {
            tos: None,
            ttl: None,
            hash: 0,
        };
        let hash = summary.look(head).unwrap_or_else(|| link_hash(head));
        summary.hash = (hash >> 32) as u32;
        summary
    }
    /// The hash of an IP packet's flow.
    fn look(&mut self, head: &[u8]) -> Option<u64> {
        let payload = ethernet::payload(head, MAX_TAGS)?;
        let l3 = payload.offset;
        let (hash, protocol, l4) = match payload.ether_type {
            ethertype::IPV4 => {
                let header = ipv4::Header::at(head, l3)?;
                (self.tos, self.ttl) = (Some(header.tos), Some(header.ttl));
                let l4 = (!header.is_fragment()).then_some(l3 + header.header_size());
                (mix(0, word(header.src, header.dst)), header.protocol, l4)
            }
            ethertype::IPV6 => {
                let header = ipv6::Header::at(head, l3)?;
                (self.tos, self.ttl) = (Some(header.traffic_class()), Some(header.hop_limit));
                let hash = mix_wide(mix_wide(0, header.src), header.dst);
                (hash, header.next_header, Some(l3 + ipv6::Header::SIZE))
            }
            _ => return None,
        };
        let has_ports = matches!(protocol, ipproto::TCP | ipproto::UDP | ipproto::SCTP);
        let ports = l4
            .filter(|_| has_ports)
            .and_then(|l4| head.get(l4..)?.first_chunk().copied())
            .unwrap_or_default();
        Some(mix(hash, word([0, 0, 0, protocol], ports)))
    }
}

/// The ECN bits of the packet inside after decapsulation, from those of the outer and inner headers
/// (RFC 6040 section 4.2, figure 4); `None`: the packet has to be dropped.
pub fn congestion(outer: u8, inner: u8) -> Option<u8> {
    const NOT_ECT: u8 = 0;
    const ECT1: u8 = 1;
    const ECT0: u8 = 2;
    const CE: u8 = 3;
    match (inner & 3, outer & 3) {
        // "If the inner ECN field is Not-ECT and the outer ECN field is CE, the decapsulator MUST drop the packet."
        (NOT_ECT, CE) => None,
        (NOT_ECT, _) => Some(NOT_ECT),
        (_, CE) => Some(CE),
        (ECT0, ECT1) => Some(ECT1),
        (inner, _) => Some(inner),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn congestion_marks_survive() {
        assert_eq!(congestion(3, 0), None);
        assert_eq!(congestion(3, 2), Some(3));
        assert_eq!(congestion(1, 2), Some(1));
        assert_eq!(congestion(2, 1), Some(1));
        assert_eq!(congestion(1, 0), Some(0));
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..80), kind in 0..3usize) {
            let mut noise = noise;
            if let Some(slot) = noise.get_mut(12..14) {
                slot.copy_from_slice(&[0x0800u16, 0x86dd, 0x8100][kind].to_be_bytes());
            }
            Summary::of(&noise);
        }

        /// Packets of one flow have one hash, however they are looked at.
        #[test]
        fn plain_packets_are_as_others(
            mut bytes in proptest::collection::vec(any::<u8>(), 38..60), protocol in prop_oneof![Just(6u8), Just(17), any::<u8>()], plain: bool,
        ) {
            bytes[12..15].copy_from_slice(&[8, 0, 0x45]);
            bytes[23] = protocol;
            if plain {
                bytes[20..22].fill(0);
            }
            prop_assert_eq!(Summary::of(&bytes), Summary::any(&bytes));
            prop_assert_eq!(Summary::plain(&bytes).is_some(), bytes[20] & 0x3f == 0 && bytes[21] == 0 && matches!(protocol, 6 | 17));
        }
    }
}
