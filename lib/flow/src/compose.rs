//! From fields to a frame: a sensible packet that has them. Used by tests, by `packet-out` and by traces.

use core::net::{Ipv4Addr, Ipv6Addr};
use ofp::field::Field;
use ofp::key::{ETH_TYPE_NONE, FRAG_ANY, FRAG_LATER, Key, VLAN_PRESENT, word};
use packet::checksum::{Sum, pseudo_v4, pseudo_v6};
use packet::{
    MacAddr, arp, bpdu, ethertype, icmpv6, igmp, ipproto, ipv4, ipv6, llc, mpls, pbb, sctp, tcp,
    udp,
};
use zerocopy::byteorder::big_endian::{U16, U32};
use zerocopy::{Immutable, IntoBytes};

/// Where a fragment that is not the first starts, in units of 8 bytes: some place that is not 0.
const LATER_OFFSET: u16 = 100;

/// Builds a frame with the fields of `key` and this payload. Sizes and checksums are right; what the fields
/// do not say is as usual (an IPv4 header without options). Fields that no header has are ignored.
/// A payload beyond 65,000 bytes is cut.
pub fn compose(key: &Key, payload: &[u8]) -> Vec<u8> {
    let key = Fields(key);
    let payload = &payload[..payload.len().min(65_000)];
    let ether_type = key.get(Field::EthType) as u16;
    let behind = match ether_type {
        ethertype::IPV4 => key.ipv4(payload),
        ethertype::IPV6 => key.ipv6(payload),
        ethertype::ARP | ethertype::RARP => concat(&key.arp(), payload),
        ethertype::MPLS | ethertype::MPLS_MULTICAST => concat(key.mpls().as_slice(), payload),
        ethertype::PBB => concat(
            &pbb::Header::new(key.get(Field::PbbIsid) as u32, key.get(Field::PbbUca) != 0),
            payload,
        ),
        ETH_TYPE_NONE => concat(key.llc().as_slice(), payload),
        _ => payload.to_vec(),
    };
    let mut frame = concat(&[key.mac(Field::EthDst), key.mac(Field::EthSrc)], &[]);
    for (tpid, tci) in key.tags() {
        frame.extend(tpid.to_be_bytes());
        frame.extend((tci & !VLAN_PRESENT).to_be_bytes());
    }
    let type_or_size = if ether_type == ETH_TYPE_NONE {
        behind.len() as u16
    } else {
        ether_type
    };
    frame.extend(type_or_size.to_be_bytes());
    frame.extend(behind);
    frame
}

fn concat(header: &(impl IntoBytes + Immutable + ?Sized), payload: &[u8]) -> Vec<u8> {
    [header.as_bytes(), payload].concat()
}

struct Fields<'k>(&'k Key);

impl Fields<'_> {
    fn get(&self, field: Field) -> u64 {
        self.0.get(field.place()) as u64
    }

    fn mac(&self, field: Field) -> MacAddr {
        MacAddr::from_u64(self.get(field))
    }

    fn v4(&self, field: Field) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.get(field) as u32)
    }

    fn v6(&self, field: Field) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.0.get(field.place()))
    }

    /// Tag protocol id and TCI of each tag, the outer one first.
    fn tags(&self) -> impl Iterator<Item = (u16, u16)> {
        let further = self.0.0[word::VLAN_INNER];
        let outer = ((further >> 16) as u16, self.get(Field::VlanTci) as u16);
        let inner = (further as u16, (further >> 48) as u16);
        [outer, inner]
            .into_iter()
            .take_while(|(_, tci)| tci & VLAN_PRESENT != 0)
            .map(|(tpid, tci)| (if tpid == 0 { ethertype::VLAN } else { tpid }, tci))
    }

    fn arp(&self) -> arp::Header {
        arp::Header {
            sha: self.mac(Field::ArpSha),
            spa: self.v4(Field::ArpSpa).octets(),
            tha: self.mac(Field::ArpTha),
            tpa: self.v4(Field::ArpTpa).octets(),
            ..arp::Header::new(self.get(Field::ArpOp) as u16)
        }
    }

    /// The label stack up to its bottom; the third entry always is the bottom.
    fn mpls(&self) -> Vec<u8> {
        let (first, third) = (self.0.0[word::MPLS], self.0.0[word::MPLS3]);
        let mut stack = Vec::new();
        for entry in [
            (first >> 32) as u32,
            first as u32,
            (third >> 32) as u32 | mpls::BOTTOM,
        ] {
            stack.extend(entry.to_be_bytes());
            if entry & mpls::BOTTOM != 0 {
                break;
            }
        }
        stack
    }

    fn llc(&self) -> Vec<u8> {
        let stp = |version, kind| [llc::STP.as_bytes(), &[0, 0, version, kind]].concat();
        match bpdu::Kind::ALL.get(self.get(Field::BpduType) as usize) {
            Some(bpdu::Kind::Stp) => stp(0, 0),
            Some(bpdu::Kind::Tcn) => stp(0, 0x80),
            Some(bpdu::Kind::Rstp) => stp(2, 2),
            Some(bpdu::Kind::Mstp) => stp(3, 2),
            Some(bpdu::Kind::Pvst) => concat(&llc::SNAP, &[0, 0, 0x0c, 1, 0x0b]),
            _ => vec![0, 0, 3],
        }
    }

    fn ipv4(&self, payload: &[u8]) -> Vec<u8> {
        let (src, dst) = (self.v4(Field::IpSrc), self.v4(Field::IpDst));
        let protocol = self.get(Field::IpProto) as u8;
        let transport = self.transport(payload, |size| pseudo_v4(src, dst, protocol, size));
        let mut header = ipv4::Header::new(src, dst, protocol, transport.len() as u16);
        header.tos = self.get(Field::IpTos) as u8;
        header.ttl = self.get(Field::IpTtl) as u8;
        let (more, offset) = self.fragment();
        header
            .fragment
            .set(if more { ipv4::MF } else { 0 } | offset);
        let mut packet = concat(&header, &transport);
        let filled = ipv4::fill_checksum(&mut packet);
        debug_assert!(filled.is_some());
        packet
    }

    fn ipv6(&self, payload: &[u8]) -> Vec<u8> {
        let (src, dst) = (self.v6(Field::Ipv6Src), self.v6(Field::Ipv6Dst));
        let (more, offset) = self.fragment();
        let mut protocol = self.get(Field::IpProto) as u8;
        let mut behind = self.transport(payload, |size| pseudo_v6(src, dst, protocol, size.into()));
        if more || offset != 0 {
            // A later fragment's key does not say what is in it.
            let next_header = if offset != 0 { ipproto::UDP } else { protocol };
            let offset_more = U16::new(offset << 3 | u16::from(more));
            let fragment = ipv6::Fragment {
                next_header,
                reserved: 0,
                offset_more,
                id: U32::new(1),
            };
            behind = concat(&fragment, &behind);
            protocol = ipproto::FRAGMENT;
        }
        let mut header = ipv6::Header::new(src, dst, protocol, behind.len() as u16);
        header.set_traffic_class(self.get(Field::IpTos) as u8);
        header.set_label(self.get(Field::Ipv6Label) as u32);
        header.hop_limit = self.get(Field::IpTtl) as u8;
        concat(&header, &behind)
    }

    /// "More fragments" and the offset in units of 8 bytes.
    fn fragment(&self) -> (bool, u16) {
        let frag = self.get(Field::IpFrag) as u8;
        (
            frag & FRAG_ANY != 0,
            if frag & FRAG_LATER != 0 {
                LATER_OFFSET
            } else {
                0
            },
        )
    }

    /// The transport header (none in a later fragment) with the payload.
    fn transport(&self, payload: &[u8], pseudo: impl Fn(u16) -> Sum) -> Vec<u8> {
        if self.get(Field::IpFrag) as u8 & FRAG_LATER != 0 {
            return payload.to_vec();
        }
        let (src, dst) = (
            self.get(Field::TcpSrc) as u16,
            self.get(Field::TcpDst) as u16,
        );
        let (kind, code) = (src as u8, dst as u8);
        let protocol = self.get(Field::IpProto) as u8;
        let (mut bytes, checksum_at) = match protocol {
            ipproto::TCP => (
                concat(
                    &tcp::Header::new(src, dst, self.get(Field::TcpFlags) as u16),
                    payload,
                ),
                16,
            ),
            ipproto::UDP => (
                concat(&udp::Header::new(src, dst, payload.len() as u16), payload),
                6,
            ),
            ipproto::SCTP => {
                let header = sctp::Header {
                    src: U16::new(src),
                    dst: U16::new(dst),
                    ..Default::default()
                };
                let mut bytes = concat(&header, payload);
                let filled = sctp::fill_checksum(&mut bytes);
                debug_assert!(filled.is_some());
                return bytes;
            }
            ipproto::ICMP | ipproto::IGMP => (
                concat(
                    &igmp::Header {
                        kind,
                        code,
                        ..Default::default()
                    },
                    payload,
                ),
                2,
            ),
            ipproto::ICMPV6 => (concat(self.icmpv6(kind, code).as_slice(), payload), 2),
            _ => return payload.to_vec(),
        };
        let size = bytes.len() as u16;
        let has_pseudo_header = !matches!(protocol, ipproto::ICMP | ipproto::IGMP);
        let sum = if has_pseudo_header {
            pseudo(size)
        } else {
            Sum::new()
        }
        .bytes(&bytes);
        let sum = if protocol == ipproto::UDP {
            sum.finish_nonzero()
        } else {
            sum.finish()
        };
        bytes[checksum_at..checksum_at + 2].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    fn icmpv6(&self, kind: u8, code: u8) -> Vec<u8> {
        let mut icmp = icmpv6::Header {
            kind,
            code,
            ..Default::default()
        };
        if code != 0 || !matches!(kind, icmpv6::NS | icmpv6::NA) {
            return icmp.as_bytes().to_vec();
        }
        icmp.data.set(self.get(Field::NdReserved) as u32);
        let target = self.v6(Field::NdTarget).octets();
        let mut bytes = concat(&icmpv6::Neighbor { icmp, target }, &[]);
        for (kind, field) in [
            (icmpv6::SOURCE_LINK, Field::NdSll),
            (icmpv6::TARGET_LINK, Field::NdTll),
        ] {
            let mac = self.mac(field);
            if !mac.is_zero() {
                bytes.extend(icmpv6::LinkLayer { kind, size: 1, mac }.as_bytes());
            }
        }
        bytes
    }
}
