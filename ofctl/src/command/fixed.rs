//! The matches of OpenFlow 1.0 and 1.1, whose fields have fixed places: `parse-ofp10-match`, `parse-ofp11-match`, and
//! `check-vlan`, what each form makes of a match of the VLAN tag. What a form does not keep is printed byte by byte.

use super::parse::{entries_of_stdin, hex_bytes};
use super::wireform::{print_entries, sent, through};
use super::{Context, print};
use crate::connection::flow_dialect;
use crate::failure::{Failure, Result};
use bytes::{BufMut, Bytes, BytesMut};
use ofp::error::OfError;
use ofp::field::{Field, Id, Prereq, Row};
use ofp::key::Match;
use ofp::message::{Body, Message};
use ofp::text::digits;
use ofp::text::print::{error_name, print_match};
use ofp::text::{PortMap, Style, read_match};
use ofp::types::{PortNo, Version};

const SIZE10: usize = 40;
const SIZE11: usize = 88;
/// Bytes of a FLOW_MOD of 1.1 before its match.
const HEAD11: usize = 48;
/// `type` and `length` of the match of 1.1.
const STANDARD11: [u8; 4] = [0, 0, 0, SIZE11 as u8];

const VLAN_NONE: u16 = 0xffff;
const VLAN_ANY: u16 = 0xfffe;
const VID: u16 = 0x0fff;
const PRESENT: u16 = 0x1000;
const PCP: u16 = 0xe000;

/// Wildcards of 1.0: the bit, the field, and where its bytes are.
const FIELDS10: [(u32, Field, usize, usize); 9] = [
    (1 << 0, Field::InPort, 4, 2),
    (1 << 2, Field::EthSrc, 6, 6),
    (1 << 3, Field::EthDst, 12, 6),
    (1 << 4, Field::EthType, 22, 2),
    (1 << 21, Field::IpDscp, 24, 1),
    (1 << 5, Field::IpProto, 25, 1),
    // Ports of all protocols share a place.
    (1 << 6, Field::TcpSrc, 36, 2),
    (1 << 7, Field::TcpDst, 38, 2),
    (1 << 1 | 1 << 20, Field::VlanTci, 18, 2),
];
/// Addresses of 1.0: where in the wildcards the number of bits is that do not matter.
const ADDRESSES10: [(u32, Field, usize); 2] = [(8, Field::IpSrc, 28), (14, Field::IpDst, 32)];
const DL_VLAN10: u32 = 1 << 1;
const DL_VLAN_PCP10: u32 = 1 << 20;

fn uint(bytes: &[u8]) -> u128 {
    bytes
        .iter()
        .fold(0, |sum, byte| sum << 8 | u128::from(*byte))
}

fn put(bytes: &mut [u8], value: u128) {
    let whole = value.to_be_bytes();
    bytes.copy_from_slice(&whole[whole.len() - bytes.len()..]);
}

/// The lines of standard input as matches of 1.0, with the digits `x`, which do not matter, as zeros and as noise.
fn matches() -> Result<Vec<(Bytes, Bytes)>> {
    let mut all = Vec::new();
    let mut noise = 1u32;
    for line in entries_of_stdin()? {
        let want = hex_bytes(&line.replace('x', "0"))?;
        check_size(&want, SIZE10)?;
        let digits = line.chars().map(|c| match c {
            'x' => {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                char::from(b"0123456789abcdef"[(noise >> 28) as usize])
            }
            c => c,
        });
        all.push((want, hex_bytes(&digits.collect::<String>())?));
    }
    Ok(all)
}

fn check_size(bytes: &Bytes, size: usize) -> Result<()> {
    match bytes.len() {
        len if len == size => Ok(()),
        len => Err(Failure::plain(format!(
            "a match of {len} bytes; wanted are {size}"
        ))),
    }
}

/// A line for each byte that is different.
fn differences(prefix: &str, from: &[u8], to: &[u8]) -> String {
    let pairs = from.iter().zip(to).enumerate();
    let pairs = pairs.filter(|(_, (from, to))| from != to);
    pairs
        .map(|(at, (from, to))| format!("{prefix}{at:2}: {from:02x} -> {to:02x}\n"))
        .collect()
}

/// A match as text, also one that lacks prerequisites.
fn text(matching: &Match) -> String {
    let ports = PortMap::default();
    let mut shown = matching.clone();
    if Prereq::Ipv6.holds(matching) {
        // These addresses are not those of the packet.
        shown.unset(Field::IpSrc.place());
        shown.unset(Field::IpDst.place());
    }
    let mut text = print_match(&shown, &Style::plain(Version::V10, &ports));
    if let Some(at) = text.find("icmp_type=").or_else(|| text.find("icmp_code=")) {
        // Types and codes have 16 bits in these forms.
        text.truncate(at);
        for (name, field) in [("icmp_type", Field::TcpSrc), ("icmp_code", Field::TcpDst)] {
            let (value, mask) = matching.get(field.place());
            if mask != 0 {
                text.push_str(&format!("{name}={value},"));
            }
        }
        text.pop();
    }
    text
}

pub(super) fn parse_ofp10_match(_: &Context<'_>) -> Result<()> {
    for (want, bytes) in matches()? {
        let read = read10(&bytes);
        let written = write10(&read);
        let normal = write10(&normalized(&read));
        print(&format!(
            "{}\n{}{}\n",
            text(&read),
            differences("", &want, &written),
            differences("normal: ", &written, &normal)
        ))?;
    }
    Ok(())
}

/// All that the bytes say, with and without prerequisites.
fn read10(bytes: &[u8]) -> Match {
    let wildcards = uint(&bytes[..4]) as u32;
    let mut m = Match::default();
    for (bit, field, at, size) in FIELDS10 {
        let value = uint(&bytes[at..at + size]);
        let value = match field {
            Field::InPort => PortNo::from_v10(value as u16).0.into(),
            Field::IpDscp => value >> 2,
            _ => value,
        };
        if field != Field::VlanTci && wildcards & bit == 0 {
            m.set(field.place(), value, field.full_mask());
        }
    }
    for (shift, field, at) in ADDRESSES10 {
        let mask = u32::MAX.checked_shl(wildcards >> shift & 0x3f);
        let mask = u128::from(mask.unwrap_or(0));
        m.set(field.place(), uint(&bytes[at..at + 4]), mask);
    }
    let given = |bit: u32| wildcards & bit == 0;
    let vlan = given(DL_VLAN10).then(|| uint(&bytes[18..20]) as u16);
    let (tci, mask) = read_vlan(vlan, given(DL_VLAN_PCP10).then_some(bytes[20]));
    m.set(Field::VlanTci.place(), tci.into(), mask.into());
    m
}

fn write10(m: &Match) -> [u8; SIZE10] {
    let mut bytes = [0; SIZE10];
    let mut wildcards = 0;
    for (bit, field, at, size) in FIELDS10 {
        let (value, mask) = m.get(field.place());
        wildcards |= if mask == 0 { bit } else { 0 };
        let value = match field {
            Field::InPort => PortNo(value as u32).to_v10().unwrap_or(value as u16).into(),
            Field::IpDscp => value << 2,
            _ => value,
        };
        put(&mut bytes[at..at + size], value);
    }
    for (shift, field, at) in ADDRESSES10 {
        let (value, mask) = m.get(field.place());
        wildcards |= (mask as u32).trailing_zeros() << shift;
        put(&mut bytes[at..at + 4], value);
    }
    let (tci, mask) = m.get(Field::VlanTci.place());
    let (vlan, pcp) = vlan10(tci as u16, mask as u16);
    wildcards |= if vlan.is_none() { DL_VLAN10 } else { 0 };
    wildcards |= if pcp.is_none() { DL_VLAN_PCP10 } else { 0 };
    put(&mut bytes[18..20], vlan.unwrap_or(0).into());
    put(&mut bytes[20..21], pcp.unwrap_or(0).into());
    put(&mut bytes[..4], wildcards.into());
    bytes
}

/// Without the fields that no packet has that matches the others.
fn normalized(m: &Match) -> Match {
    let mut normal = m.clone();
    let any = |prereqs: &[Prereq]| prereqs.iter().any(|prereq| prereq.holds(m));
    let (arp, ip) = (Prereq::Arp, Prereq::Ip);
    let l4 = [
        Prereq::Tcp,
        Prereq::Udp,
        Prereq::Sctp,
        Prereq::Icmp4,
        Prereq::Icmp6,
    ];
    for (fields, keep) in [
        (&[Field::IpSrc, Field::IpDst][..], any(&[arp, Prereq::Ipv4])),
        (&[Field::IpProto], any(&[arp, ip])),
        (&[Field::IpDscp], any(&[ip])),
        (&[Field::TcpSrc, Field::TcpDst], any(&l4)),
    ] {
        for field in fields.iter().filter(|_| !keep) {
            normal.unset(field.place());
        }
    }
    normal
}

/// The tag that a vlan and a priority of 1.0 mean: its bits, and which of them matter.
fn read_vlan(vlan: Option<u16>, pcp: Option<u8>) -> (u16, u16) {
    if vlan == Some(VLAN_NONE) {
        return (0, u16::MAX);
    }
    let bits = vlan.unwrap_or(0) & VID | u16::from(pcp.unwrap_or(0)) << 13;
    let mask = vlan.map_or(0, |_| VID | PRESENT) | pcp.map_or(0, |_| PCP | PRESENT);
    ((bits | PRESENT) & mask, mask)
}

/// What of a tag has a form in 1.0; a part of an id or of a priority becomes the whole.
fn vlan10(tci: u16, mask: u16) -> (Option<u16>, Option<u16>) {
    if mask & PRESENT != 0 && tci & PRESENT == 0 {
        return (Some(VLAN_NONE), Some(0));
    }
    (
        (mask & VID != 0).then_some(tci & VID),
        (mask & PCP != 0).then_some(tci >> 13),
    )
}

/// The same in 1.1, where a priority needs an id.
fn vlan11(tci: u16, mask: u16) -> (Option<u16>, Option<u16>) {
    match vlan10(tci, mask) {
        _ if mask == 0 => (None, None),
        (Some(VLAN_NONE), _) => (Some(VLAN_NONE), None),
        (vlan, pcp) => (Some(vlan.unwrap_or(VLAN_ANY)), pcp),
    }
}

pub(super) fn parse_ofp11_match(_: &Context<'_>) -> Result<()> {
    for line in entries_of_stdin()? {
        let want = hex_bytes(&line)?;
        check_size(&want, SIZE11)?;
        print(&match read11(&want) {
            Ok((matching, written)) => {
                format!(
                    "{}\n{}\n",
                    text(&matching),
                    differences("", &want, &written)
                )
            }
            Err(error) => format!("bad ofp11_match: {}\n\n", error_name(error)),
        })?;
    }
    Ok(())
}

/// What a switch reads from a match of 1.1, and how it would be sent.
fn read11(bytes: &[u8]) -> std::result::Result<(Match, Bytes), OfError> {
    let mut out = BytesMut::new();
    out.put_u8(Version::V11 as u8);
    out.put_u8(14);
    out.put_u16((HEAD11 + SIZE11) as u16);
    out.put_u32(1);
    out.put_bytes(0, 8 + 8 + 2 + 6);
    // Neither a buffer nor a port nor a group.
    out.put_bytes(0xff, 12);
    out.put_u32(0);
    out.put_slice(&STANDARD11);
    out.put_slice(&bytes[STANDARD11.len()..]);
    // A switch refuses labels and classes that are too large; here they are cut, which the differences show.
    for (at, mask) in [(64, 0), (65, 0x0f), (68, 0x07)] {
        out[HEAD11 + at] &= mask;
    }
    let dialect = flow_dialect(Version::V11, false);
    let message = Message::decode(&out.freeze(), &dialect)?;
    let written = message.to_bytes(&dialect);
    let written = written.slice(written.len().min(HEAD11)..written.len().min(HEAD11 + SIZE11));
    match message.body {
        Body::FlowMod(flow) => Ok((flow.matching, written)),
        _ => Err(OfError::BadType),
    }
}

/// `check-vlan TCI MASK`.
pub(super) fn check_vlan(context: &Context<'_>) -> Result<()> {
    let word = |at: usize| {
        let word = context.args[at].trim_start_matches("0x");
        digits::<u16>(word, 16).ok_or_else(|| {
            Failure::plain(format!(
                "check-vlan: \"{word}\" is not four hexadecimal digits"
            ))
        })
    };
    let (tci, mask) = (word(0)?, word(1)?);
    let text = vlan_text(tci, mask);
    let again = read_match(&text, &PortMap::default()).map_err(Failure::text(&text))?;
    print(&format!("{text} -> {}\n", tag(&again)))?;

    let nxm = match mask {
        0 => Bytes::new(),
        _ => entry(Field::VlanTci.row().nxm, 2, tci, mask, u16::MAX),
    };
    print(&line("NXM", Version::V10, &nxm, tag))?;

    let mut oxm = BytesMut::new();
    let (vid, vid_mask) = (tci & (VID | PRESENT), mask & (VID | PRESENT));
    if vid_mask != 0 {
        oxm.put_slice(&entry(
            Field::VlanVid.row().oxm,
            2,
            vid,
            vid_mask,
            VID | PRESENT,
        ));
    }
    // A priority is there only with an id.
    if vid != 0 && mask & PCP != 0 {
        oxm.put_slice(&entry(Field::VlanPcp.row().oxm, 1, tci >> 13, 7, 7));
    }
    print(&line("OXM", Version::V13, &oxm.freeze(), oxm_tag))?;

    for (name, (vlan, pcp), is_11) in [
        ("OF1.0", vlan10(tci, mask), false),
        ("OF1.1", vlan11(tci, mask), true),
    ] {
        let (bits, bits_mask) = match vlan {
            Some(VLAN_ANY) if is_11 => {
                let (bits, mask) = read_vlan(None, pcp.map(|pcp| pcp as u8));
                (bits | PRESENT, mask | PRESENT)
            }
            _ => read_vlan(vlan, pcp.map(|pcp| pcp as u8)),
        };
        print(&format!(
            "{name}: {:04x}/{},{:02x}/{} -> {bits:04x}/{bits_mask:04x}\n",
            vlan.unwrap_or(0),
            u8::from(vlan.is_none()),
            pcp.unwrap_or(0),
            u8::from(pcp.is_none()),
        ))?;
    }
    Ok(())
}

/// The tag as text; bits that do not matter are printed as they were given.
fn vlan_text(tci: u16, mask: u16) -> String {
    let mut m = Match::default();
    m.set(Field::VlanTci.place(), tci.into(), mask.into());
    match text(&m) {
        text if text.starts_with("vlan_tci") && tci & !mask != 0 => {
            format!("vlan_tci={tci:#06x}/{mask:#06x}")
        }
        text => text,
    }
}

/// An entry of NXM or OXM; with a mask unless that is whole.
fn entry(id: Option<Id>, size: usize, value: u16, mask: u16, whole: u16) -> Bytes {
    let Some(id) = id else {
        return Bytes::new();
    };
    let masked = mask != whole;
    let mut out = BytesMut::new();
    out.put_u16(id.class);
    out.put_u8(id.field << 1 | u8::from(masked));
    out.put_u8((size * (1 + usize::from(masked))) as u8);
    out.put_slice(&value.to_be_bytes()[2 - size..]);
    if masked {
        out.put_slice(&mask.to_be_bytes()[2 - size..]);
    }
    out.freeze()
}

/// What is sent, and what is read from it.
fn line(name: &str, version: Version, entries: &Bytes, show: fn(&Match) -> String) -> String {
    match through(version, entries, &[]) {
        Ok(flow) => {
            let back = show(&flow.matching);
            format!(
                "{name}: {} -> {back}\n",
                print_entries(&sent(version, flow))
            )
        }
        Err(error) => format!("{name}: {} -> {}\n", refused(entries), error_name(error)),
    }
}

/// Entries that were not accepted; one whose value has bits that do not matter is not shown, nor is what follows it.
fn refused(entries: &Bytes) -> String {
    let size = 4 + entries.get(3).map_or(0, |size| usize::from(*size));
    let rest = entries.len().saturating_sub(size);
    let word = |at: usize| entries.get(at..at + 2).map_or(0, uint);
    match (size == 8 && word(4) & !word(6) != 0, rest) {
        (false, _) => print_entries(entries),
        (true, 0) => String::new(),
        (true, rest) => format!("<{rest} invalid bytes>"),
    }
}

fn tag(m: &Match) -> String {
    let (tci, mask) = m.get(Field::VlanTci.place());
    format!("{tci:04x}/{mask:04x}")
}

/// As OXM has it: the id with the bit that says there is a tag, and the priority.
fn oxm_tag(m: &Match) -> String {
    let row: &Row = Field::VlanTci.row();
    let (tci, mask) = m.get(row.place);
    let (tci, mask) = (tci as u16, mask as u16);
    let id = VID | PRESENT;
    let pcp = match tci & id != 0 && mask & PCP != 0 {
        true => format!("{:02x}", tci >> 13),
        false => "--".to_owned(),
    };
    format!("{:04x}/{:04x},{pcp}", tci & id, mask & id)
}
