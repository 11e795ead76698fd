//! Messages and packets in files: `ofp-parse`, `ofp-parse-pcap`, `parse-pcap`, `parse-packet`. A capture's TCP streams are put
//! together in order, each within a bound; what is no capture or no OpenFlow is said to be none.

use super::parse::print_wire;
use super::{Context, print};
use crate::connection::describe_frame;
use crate::failure::{Failure, Result};
use crate::stamp;
use bytes::{Buf, Bytes, BytesMut};
use ofp::text::digits;
use ofp::wire::{HEADER_SIZE, Header};
use packet::{Wire, ethernet, ethertype, ipproto, ipv4, tcp};
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::net::Ipv4Addr;

/// Ports that are OpenFlow's unless others are given.
const PORTS: [u16; 2] = [6633, 6653];
/// Bytes of one direction that wait for a lost segment at most.
const STREAM_MAX: usize = 1 << 20;
/// Directions that are followed at a time.
const STREAMS_MAX: usize = 65_536;

fn read_file(name: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = match name {
        "-" => std::io::stdin().read_to_end(&mut bytes).map(|_| ()),
        name => std::fs::read(name).map(|all| bytes = all),
    };
    read.map_err(|error| Failure::plain(format!("{name}: {error}")))?;
    Ok(bytes)
}

pub(super) fn ofp_parse(context: &Context<'_>) -> Result<()> {
    let name = &context.args[0];
    let mut bytes = Bytes::from(read_file(name)?);
    while !bytes.is_empty() {
        let size = Header::parse(&bytes).map(|header| usize::from(header.size));
        let size = size.filter(|size| (HEADER_SIZE..=bytes.len()).contains(size));
        let Some(size) = size else {
            return Err(Failure::plain(format!(
                "{name}: {} bytes at the end are no whole message",
                bytes.len()
            )));
        };
        print_wire(&bytes.split_to(size), context.options.more > 0)?;
    }
    Ok(())
}

pub(super) fn parse_packet(context: &Context<'_>) -> Result<()> {
    let frame = read_file(context.arg(0).unwrap_or("-"))?;
    print(&format!("{}\n", without_checksum(&describe_frame(&frame))))
}

/// The fields alone.
fn without_checksum(line: &str) -> &str {
    line.split(' ').next().unwrap_or(line)
}

pub(super) fn parse_pcap(context: &Context<'_>) -> Result<()> {
    for record in records(&context.args[0])? {
        let line = describe_frame(&record.frame);
        let line = without_checksum(&line);
        print(&match line.split_once(',') {
            Some((protocol, rest)) if !protocol.contains('=') => {
                format!("{protocol},in_port=ANY,{rest}\n")
            }
            _ => format!("in_port=ANY,{line}\n"),
        })?;
    }
    Ok(())
}

/// A packet of a capture.
struct Record {
    secs: u64,
    micros: u32,
    frame: Vec<u8>,
}

/// The packets of a capture file: `magic 32 | version 32 | 0 64 | length 32 | link 32`, then for each
/// `seconds 32 | microseconds 32 | captured 32 | length 32 | bytes`.
fn records(name: &str) -> Result<Vec<Record>> {
    let fail = |text: &str| Failure::plain(format!("{name}: {text}"));
    let mut bytes = Bytes::from(read_file(name)?);
    let magic = bytes.first_chunk().copied().unwrap_or_default();
    let (big, nanos) = match u32::from_le_bytes(magic) {
        0xa1b2_c3d4 => (false, false),
        0xa1b2_3c4d => (false, true),
        0xd4c3_b2a1 => (true, false),
        0x4d3c_b2a1 => (true, true),
        _ => return Err(fail("that is no pcap file")),
    };
    if bytes.len() < 24 {
        return Err(fail("the file ends in its header"));
    }
    bytes.advance(24);
    let mut all = Vec::new();
    while bytes.len() >= 16 {
        let mut number = || match big {
            true => bytes.get_u32(),
            false => bytes.get_u32_le(),
        };
        let (secs, fraction, size, _) = (number(), number(), number() as usize, number());
        if size > bytes.len() {
            return Err(fail("the file ends in a packet"));
        }
        all.push(Record {
            secs: secs.into(),
            micros: if nanos { fraction / 1000 } else { fraction },
            frame: bytes.split_to(size).to_vec(),
        });
    }
    Ok(all)
}

/// One direction of a connection.
type Ends = (Ipv4Addr, u16, Ipv4Addr, u16);

#[derive(Default)]
struct Stream {
    /// The sequence number that comes next.
    next: Option<u32>,
    bytes: BytesMut,
    /// Segments that came too early.
    early: BTreeMap<u32, Vec<u8>>,
    waiting: usize,
}

impl Stream {
    fn take(&mut self, seq: u32, syn: bool, data: &[u8]) {
        let seq = seq.wrapping_add(u32::from(syn));
        if syn {
            *self = Stream::default();
        }
        let next = *self.next.get_or_insert(seq);
        if !data.is_empty() && self.waiting + data.len() <= STREAM_MAX {
            let ahead = seq.wrapping_sub(next);
            // What came before is a retransmission; its new part counts.
            if ahead < 1 << 31 {
                self.waiting += data.len();
                self.early.insert(ahead, data.to_vec());
            } else if let Some(new) = data.get(next.wrapping_sub(seq) as usize..) {
                self.waiting += new.len();
                self.early.insert(0, new.to_vec());
            }
        }
        while let Some(data) = self.early.remove(&0) {
            self.waiting -= data.len();
            let len = data.len() as u32;
            self.bytes.extend_from_slice(&data);
            self.next = self.next.map(|next| next.wrapping_add(len));
            let early = std::mem::take(&mut self.early);
            let moved = early
                .into_iter()
                .filter_map(|(ahead, data)| Some((ahead.checked_sub(len)?, data)));
            self.early = moved.collect();
            self.waiting = self.early.values().map(Vec::len).sum();
            if len == 0 {
                break;
            }
        }
    }
}

/// Addresses, TCP header fields and payload of a packet.
fn segment(frame: &[u8]) -> Option<(Ends, u32, bool, &[u8])> {
    let payload = ethernet::payload(frame, 2)?;
    if payload.ether_type != ethertype::IPV4 {
        return None;
    }
    let ip = ipv4::Header::at(frame, payload.offset)?;
    let l4 = payload.offset + usize::from(ip.version_ihl & 0xf) * 4;
    let end = payload.offset + usize::from(ip.total_size.get());
    if ip.protocol != ipproto::TCP {
        return None;
    }
    let header = tcp::Header::at(frame, l4)?;
    let data = frame.get(l4 + usize::from(frame.get(l4 + 12)? >> 4) * 4..end)?;
    let ends = (
        Ipv4Addr::from(
            <[u8; 4]>::try_from(frame.get(payload.offset + 12..payload.offset + 16)?).ok()?,
        ),
        header.src.get(),
        Ipv4Addr::from(
            <[u8; 4]>::try_from(frame.get(payload.offset + 16..payload.offset + 20)?).ok()?,
        ),
        header.dst.get(),
    );
    let syn = frame.get(l4 + 13)? & 2 != 0;
    let seq = u32::from_be_bytes(*frame.get(l4 + 4..)?.first_chunk()?);
    Some((ends, seq, syn, data))
}

pub(super) fn ofp_parse_pcap(context: &Context<'_>) -> Result<()> {
    let mut ports = Vec::new();
    for word in &context.args[1..] {
        let port: u16 = digits(word, 10)
            .ok_or_else(|| Failure::plain(format!("\"{word}\" is not a TCP port of 0 to 65535")))?;
        ports.push(port);
    }
    if ports.is_empty() {
        ports.extend(PORTS);
    }
    let mut gap = "";
    let mut streams: HashMap<Ends, Stream> = HashMap::new();
    for record in records(&context.args[0])? {
        let Some((ends, seq, syn, data)) = segment(&record.frame) else {
            continue;
        };
        if !ports.contains(&ends.1) && !ports.contains(&ends.3) {
            continue;
        }
        if streams.len() >= STREAMS_MAX && !streams.contains_key(&ends) {
            return Err(Failure::plain(format!(
                "more than {STREAMS_MAX} connections in one file"
            )));
        }
        let stream = streams.entry(ends).or_default();
        stream.take(seq, syn, data);
        print_messages(context, &record, ends, &mut stream.bytes, &mut gap)?;
    }
    Ok(())
}

fn print_messages(
    context: &Context<'_>,
    record: &Record,
    (from, from_port, to, to_port): Ends,
    bytes: &mut BytesMut,
    gap: &mut &str,
) -> Result<()> {
    while let Some(header) = Header::parse(bytes) {
        let size = usize::from(header.size);
        if size < HEADER_SIZE {
            bytes.clear();
            return Ok(());
        }
        if bytes.len() < size {
            return Ok(());
        }
        let stamp = match context.options.timestamp {
            true => format!("{} ", stamp::time(record.secs, record.micros / 1000)),
            false => String::new(),
        };
        print(&format!(
            "{gap}{stamp}{from}.{from_port} > {to}.{to_port}:\n"
        ))?;
        *gap = "\n";
        print_wire(&bytes.split_to(size).freeze(), context.options.more > 0)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn segments_in_any_order_are_one_stream(
            data in proptest::collection::vec(any::<u8>(), 1..200),
            start in any::<u32>(),
            order in proptest::collection::vec(0usize..20, 0..60),
        ) {
            let mut stream = Stream::default();
            stream.take(start, true, &[]);
            let parts: Vec<(usize, &[u8])> = data.chunks(10).enumerate().collect();
            let again = order.iter().map(|i| parts[i % parts.len()]);
            for (index, part) in again.chain(parts.iter().copied()) {
                stream.take(start.wrapping_add(1 + index as u32 * 10), false, part);
            }
            prop_assert_eq!(&stream.bytes[..], &data[..]);
        }

        #[test]
        fn noise_is_no_segment_or_one(frame in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = segment(&frame);
        }
    }
}
