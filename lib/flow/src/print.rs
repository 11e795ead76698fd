//! One line of text for a frame's fields, as `ovs-ofctl monitor` prints it below a packet-in.

use crate::bare::framed;
use crate::{Layout, Plan, extract};
use core::fmt::{self, Display, Formatter, Write};
use core::net::{Ipv4Addr, Ipv6Addr};
use ofp::action::PacketType;
use ofp::field::Field;
use ofp::key::{FRAG_ANY, FRAG_LATER, Key, Match, VLAN_PRESENT, word};
use ofp::text::{PortMap, Style, print_match};
use ofp::types::Version;
use packet::{MacAddr, Wire, ethertype, icmpv6, ipproto, ipv4, ipv6, mpls, sctp, tcp, udp};

/// Prints the packet's fields of a key (not its metadata), each that its protocols have:
/// `udp,vlan_tci=0x0000,dl_src=..,dl_dst=..,nw_src=..,nw_dst=..,nw_tos=0,nw_ecn=0,nw_ttl=64,nw_frag=no,tp_src=1,tp_dst=2`.
/// What has no Ethernet header begins with what it has.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'k>(pub &'k Key);

/// The line for a whole frame: its fields, then its transport checksum in hex (` udp_csum:1234`).
pub fn packet(frame: &[u8]) -> String {
    packet_of(frame, PacketType::ETHERNET)
}

/// The same for a packet of any type: `packet_type=(1,0x800),nw_src=..`.
pub fn packet_of(bytes: &[u8], packet_type: PacketType) -> String {
    let (mut key, mut matching) = (Key::default(), Match::default());
    let place = Field::PacketType.place();
    let frame = framed(bytes, packet_type).unwrap_or_default();
    let layout = extract(&frame, frame.len(), &Plan::FULL, &mut key);
    let mut line = String::new();
    if packet_type != PacketType::ETHERNET {
        key.set(place, packet_type.into(), u128::MAX);
        matching.set(place, packet_type.into(), u128::MAX);
        let ports = PortMap::default();
        line = print_match(&matching, &Style::plain(Version::V15, &ports));
    }
    let fields = Fields(&key).to_string();
    if !line.is_empty() && !fields.is_empty() {
        line.push(',');
    }
    line.push_str(&fields);
    if let Some((name, checksum)) = transport_checksum(&frame, &key, layout) {
        line.push_str(&format!(" {name}_csum:{checksum:x}"));
    }
    line
}

fn transport_checksum(frame: &[u8], key: &Key, layout: Layout) -> Option<(&'static str, u32)> {
    let at = Some(usize::from(layout.l4)).filter(|at| *at > 0)?;
    let l3 = usize::from(layout.l3);
    let is_ipv6 = key.get(Field::EthType.place()) as u16 == ethertype::IPV6;
    let size = if is_ipv6 {
        ipv6::Header::SIZE + usize::from(ipv6::Header::at(frame, l3)?.payload_size.get())
    } else {
        ipv4::Header::at(frame, l3)?.total_size.get().into()
    };
    let frame = frame.get(..l3 + size)?;
    Some(match key.get(Field::IpProto.place()) as u8 {
        ipproto::TCP => ("tcp", tcp::Header::at(frame, at)?.checksum.get().into()),
        ipproto::UDP => ("udp", udp::Header::at(frame, at)?.checksum.get().into()),
        ipproto::SCTP => ("sctp", sctp::Header::at(frame, at)?.checksum.get()),
        ipproto::ICMP => ("icmp", icmpv6::Header::at(frame, at)?.checksum.get().into()),
        // The 4 bytes of RFC 4443 section 2.1 are enough; what follows depends on the type.
        ipproto::ICMPV6 => (
            "icmp6",
            u16::from_be_bytes(*frame.get(at + 2..)?.first_chunk()?).into(),
        ),
        _ => return None,
    })
}

impl Fields<'_> {
    fn get(&self, field: Field) -> u64 {
        self.0.get(field.place()) as u64
    }

    fn mac(&self, field: Field) -> MacAddr {
        MacAddr::from_u64(self.get(field))
    }

    fn ipv4(&self, field: Field) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.get(field) as u32)
    }

    fn ipv6(&self, field: Field) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.0.get(field.place()))
    }

    /// The word that stands for the Ethernet type and perhaps the protocol, and whether it does for the latter.
    fn keyword(&self) -> Option<(&'static str, bool)> {
        let protocol = self.get(Field::IpProto) as u8;
        Some(match (self.get(Field::EthType) as u16, protocol) {
            (ethertype::IPV4, ipproto::TCP) => ("tcp", true),
            (ethertype::IPV4, ipproto::UDP) => ("udp", true),
            (ethertype::IPV4, ipproto::SCTP) => ("sctp", true),
            (ethertype::IPV4, ipproto::ICMP) => ("icmp", true),
            (ethertype::IPV4, _) => ("ip", false),
            (ethertype::IPV6, ipproto::TCP) => ("tcp6", true),
            (ethertype::IPV6, ipproto::UDP) => ("udp6", true),
            (ethertype::IPV6, ipproto::SCTP) => ("sctp6", true),
            (ethertype::IPV6, ipproto::ICMPV6) => ("icmp6", true),
            (ethertype::IPV6, _) => ("ipv6", false),
            (ethertype::ARP, _) => ("arp", true),
            (ethertype::RARP, _) => ("rarp", true),
            (ethertype::MPLS, _) => ("mpls", true),
            (ethertype::MPLS_MULTICAST, _) => ("mplsm", true),
            _ => return None,
        })
    }

    fn print_vlan(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let outer = self.get(Field::VlanTci) as u16;
        let inner = (self.0.0[word::VLAN_INNER] >> 48) as u16;
        if outer & VLAN_PRESENT == 0 {
            return write!(f, "vlan_tci=0x{outer:04x}");
        }
        write!(f, "dl_vlan={},dl_vlan_pcp={}", outer & 0xfff, outer >> 13)?;
        if inner & VLAN_PRESENT == 0 {
            return write!(f, ",vlan_tci1=0x{inner:04x}");
        }
        write!(
            f,
            ",dl_vlan1={},dl_vlan_pcp1={}",
            inner & 0xfff,
            inner >> 13
        )
    }

    fn print_arp(&self, f: &mut impl Write) -> fmt::Result {
        write!(
            f,
            ",arp_spa={},arp_tpa={}",
            self.ipv4(Field::ArpSpa),
            self.ipv4(Field::ArpTpa)
        )?;
        write!(f, ",arp_op={}", self.get(Field::ArpOp))?;
        write!(
            f,
            ",arp_sha={},arp_tha={}",
            self.mac(Field::ArpSha),
            self.mac(Field::ArpTha)
        )
    }

    fn print_mpls(&self, f: &mut impl Write) -> fmt::Result {
        write!(
            f,
            ",mpls_label={},mpls_tc={}",
            self.get(Field::MplsLabel),
            self.get(Field::MplsTc)
        )?;
        write!(
            f,
            ",mpls_ttl={},mpls_bos={}",
            self.get(Field::MplsTtl),
            self.get(Field::MplsBos)
        )?;
        let (first, third) = (self.0.0[word::MPLS], self.0.0[word::MPLS3]);
        let stack = [(first >> 32) as u32, first as u32, (third >> 32) as u32];
        // An entry is there if the one before it is not the bottom of the stack.
        let len = 1 + stack
            .iter()
            .take_while(|entry| **entry & mpls::BOTTOM == 0)
            .count();
        for (index, entry) in stack.iter().enumerate().take(len).skip(1) {
            write!(f, ",mpls_lse{index}={entry}")?;
        }
        Ok(())
    }

    fn print_ip(&self, f: &mut impl Write, protocol_is_said: bool) -> fmt::Result {
        let is_ipv6 = self.get(Field::EthType) as u16 == ethertype::IPV6;
        if is_ipv6 {
            write!(
                f,
                ",ipv6_src={},ipv6_dst={}",
                self.ipv6(Field::Ipv6Src),
                self.ipv6(Field::Ipv6Dst)
            )?;
            write!(f, ",ipv6_label=0x{:05x}", self.get(Field::Ipv6Label))?;
        } else {
            write!(
                f,
                ",nw_src={},nw_dst={}",
                self.ipv4(Field::IpSrc),
                self.ipv4(Field::IpDst)
            )?;
        }
        if !protocol_is_said {
            write!(f, ",nw_proto={}", self.get(Field::IpProto))?;
        }
        write!(
            f,
            ",nw_tos={},nw_ecn={}",
            self.get(Field::IpTos) & 0xfc,
            self.get(Field::IpEcn)
        )?;
        let frag = self.get(Field::IpFrag) as u8;
        let name = match (frag & FRAG_ANY != 0, frag & FRAG_LATER != 0) {
            (false, _) => "no",
            (true, false) => "first",
            (true, true) => "later",
        };
        write!(f, ",nw_ttl={},nw_frag={name}", self.get(Field::IpTtl))?;
        if frag & FRAG_LATER != 0 {
            return Ok(());
        }
        self.print_transport(f, is_ipv6)
    }

    fn print_transport(&self, f: &mut impl Write, is_ipv6: bool) -> fmt::Result {
        let (src, dst) = (self.get(Field::TcpSrc), self.get(Field::TcpDst));
        match self.get(Field::IpProto) as u8 {
            ipproto::TCP => {
                write!(
                    f,
                    ",tp_src={src},tp_dst={dst},tcp_flags={}",
                    TcpFlags(self.get(Field::TcpFlags) as u16)
                )
            }
            ipproto::ICMP if !is_ipv6 => write!(f, ",icmp_type={src},icmp_code={dst}"),
            ipproto::ICMPV6 if is_ipv6 => {
                write!(f, ",icmp_type={src},icmp_code={dst}")?;
                if dst == 0 && (src == icmpv6::NS.into() || src == icmpv6::NA.into()) {
                    write!(f, ",nd_target={}", self.ipv6(Field::NdTarget))?;
                    write!(
                        f,
                        ",nd_sll={},nd_tll={}",
                        self.mac(Field::NdSll),
                        self.mac(Field::NdTll)
                    )?;
                }
                Ok(())
            }
            // The other family's ICMP has its type and code there, too.
            ipproto::UDP | ipproto::SCTP | ipproto::ICMP | ipproto::IGMP | ipproto::ICMPV6 => {
                write!(f, ",tp_src={src},tp_dst={dst}")
            }
            _ => Ok(()),
        }
    }
}

/// Leaves out the comma that everything begins with.
struct Headless<'f, 'a>(&'f mut Formatter<'a>, bool);

impl Write for Headless<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let is_first = self.1;
        self.1 &= text.is_empty();
        match text.strip_prefix(',') {
            Some(rest) if is_first => self.0.write_str(rest),
            _ => self.0.write_str(text),
        }
    }
}

impl Fields<'_> {
    /// Of a packet that begins behind where a frame has its Ethernet header.
    fn print_bare(&self, f: &mut impl Write) -> fmt::Result {
        match self.get(Field::EthType) as u16 {
            ethertype::ARP | ethertype::RARP => self.print_arp(f),
            ethertype::MPLS | ethertype::MPLS_MULTICAST => self.print_mpls(f),
            ethertype::IPV4 | ethertype::IPV6 => self.print_ip(f, false),
            _ => Ok(()),
        }
    }
}

impl Display for Fields<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.get(Field::PacketType) != 0 {
            return self.print_bare(&mut Headless(f, true));
        }
        let keyword = self.keyword();
        if let Some((name, _)) = keyword {
            write!(f, "{name},")?;
        }
        self.print_vlan(f)?;
        write!(
            f,
            ",dl_src={},dl_dst={}",
            self.mac(Field::EthSrc),
            self.mac(Field::EthDst)
        )?;
        match (keyword, self.get(Field::EthType) as u16) {
            (None, ether_type) => write!(f, ",dl_type=0x{ether_type:04x}"),
            (_, ethertype::ARP | ethertype::RARP) => self.print_arp(f),
            (_, ethertype::MPLS | ethertype::MPLS_MULTICAST) => self.print_mpls(f),
            (Some((_, protocol_is_said)), _) => self.print_ip(f, protocol_is_said),
        }
    }
}

/// TCP flags by name, like `syn|ack`; `0` when there is none; `[200]` for a bit without a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpFlags(pub u16);

/// Names of the TCP flags, lowest bit first.
pub const TCP_FLAG_NAMES: [&str; 9] =
    ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns"];

impl Display for TcpFlags {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0");
        }
        let mut separator = "";
        for bit in (0..16).filter(|bit| self.0 >> bit & 1 != 0) {
            f.write_str(separator)?;
            match TCP_FLAG_NAMES.get(bit) {
                Some(name) => f.write_str(name)?,
                None => write!(f, "[{:x}]", 1 << bit)?,
            }
            separator = "|";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    #[test]
    fn flags() {
        let text = |flags| TcpFlags(flags).to_string();
        assert_eq!(
            (text(0), text(0x12), text(0xa01)),
            ("0".into(), "syn|ack".into(), "fin|[200]|[800]".into())
        );
    }

    #[test]
    fn a_short_frame_has_no_fields() {
        assert_eq!(
            packet(&[0; 12]),
            "vlan_tci=0x0000,dl_src=00:00:00:00:00:00,dl_dst=00:00:00:00:00:00,dl_type=0x0000"
        );
    }

    #[test]
    fn a_packet_without_an_ethernet_header_says_what_it_is() {
        let bytes =
            b"E\0\0\x1c\0\0\0\0\x40\x11\x66\xcf\x0a\0\0\x01\x0a\0\0\x02\0\x05\0\x06\0\x08\0\0";
        assert_eq!(
            packet_of(bytes, PacketType::ether_type(0x0800)),
            "packet_type=(1,0x800),nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_proto=17,nw_tos=0,nw_ecn=0,nw_ttl=64,nw_frag=no,\
             tp_src=5,tp_dst=6 udp_csum:0"
        );
        let other = PacketType::ether_type(0x999);
        assert_eq!(packet_of(bytes, other), "packet_type=(1,0x999)");
    }

    proptest! {
        #[test]
        fn noise_never_panics(words in vec(any::<u64>(), ofp::key::WORDS)) {
            let _ = Fields(&Key(words.try_into().unwrap())).to_string();
        }
    }
}
