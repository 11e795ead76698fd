//! The packet that a trace is asked about: a flow's text, a frame in hexadecimal digits, or a frame in the
//! language of the cases.

use flow::bare::{SPARE, framed, type_of};
use ofp::action::PacketType;
use ofp::field::Field;
use ofp::key::{Key, Match, Place, word};
use ofp::text::{PortMap, TextError, read_match};
use ofp::types::PortNo;

/// Bytes behind the headers of a packet that is made from a flow.
const PAYLOAD_SIZE: usize = 64;

/// A packet that is to be traced.
pub struct Packet {
    /// By which port it comes in.
    pub in_port: PortNo,
    /// Its bytes.
    pub frame: Vec<u8>,
    /// Fields that no frame has.
    pub fields: Match,
}

impl Packet {
    /// From a flow, from a flow and a frame, or from a frame.
    pub fn read(words: &[&str], payload: Option<&[u8]>, ports: &PortMap) -> Result<Packet, String> {
        let default: Vec<u8> = (0..PAYLOAD_SIZE).map(|i| i as u8).collect();
        let (flow, frame) = match words {
            [one] if is_frame(one) => ("", Some(*one)),
            [flow] => (*flow, None),
            [flow, frame] => (*flow, Some(*frame)),
            [] => return Err("syntax error: a flow or a packet is missing".into()),
            more => return Err(format!("\"{}\": too much", more[2])),
        };
        let matching = read_match(flow, ports).map_err(|error| bad_flow(flow, &error))?;
        let mut key = Key::default();
        let mut fields = Match::default();
        for part in matching.words() {
            let index = usize::from(part.index);
            let place = Place::new(index, 0, 64);
            if let Some(word) = key.0.get_mut(index) {
                *word |= part.value;
            }
            if (word::TUN_ID..word::ETH_DST).contains(&index) || index >= word::VIRTUAL {
                fields.set(place, part.value.into(), part.mask.into());
            }
        }
        // A queue's priority is one more than its number, as 0 is none.
        let (queue, mask) = fields.get(Field::SkbPriority.place());
        if mask != 0 {
            fields.set(Field::SkbPriority.place(), queue + 1, u128::MAX);
        }
        let (port, mask) = matching.get(Field::InPortOxm.place());
        let in_port = match mask {
            0 => PortNo::ANY,
            _ => PortNo(port as u32),
        };
        let packet_type = type_of(&fields);
        let spare = match packet_type {
            PacketType::ETHERNET => 0,
            other => {
                let place = Field::EthType.place();
                key.set(place, other.kind.into(), u128::MAX);
                framed(&[], other).ok_or("no packet of this type can be made")?;
                SPARE
            }
        };
        let frame = match frame {
            Some(text) => read_frame(text, SPARE - spare)?,
            None => flow::compose(&key, payload.unwrap_or(&default)).split_off(spare),
        };
        Ok(Packet {
            in_port,
            frame,
            fields,
        })
    }
}

fn bad_flow(flow: &str, error: &TextError) -> String {
    format!("Bad openflow flow syntax: {flow}: {error}")
}

fn is_frame(text: &str) -> bool {
    let is_language = |(name, _): (&str, &str)| !name.contains(['=', ',']);
    text.split_once('(').is_some_and(is_language)
        || text.len() >= 28 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Hexadecimal digits of so many bytes at least, or the language of the cases: `eth(..) ipv4(..)`.
fn read_frame(text: &str, least: usize) -> Result<Vec<u8>, String> {
    if text.contains('(') {
        return flow::frametext::read(text).map_err(|error| format!("Bad packet: {text}: {error}"));
    }
    let bytes = hex(text).ok_or_else(|| {
        format!(
            "Trailing garbage in packet data: \"{text}\" is neither hexadecimal digits nor like \"eth() ipv4()\""
        )
    })?;
    match bytes.len() {
        size if size < least => Err("Packet data too short for Ethernet".into()),
        ..=0xffff => Ok(bytes),
        _ => Err("Packet data too long".into()),
    }
}

/// Bytes written in hexadecimal digits.
pub fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).map(|d| d as u8))
        .collect::<Option<_>>()?;
    digits.len().is_multiple_of(2).then(|| {
        digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect()
    })
}
