//! Replies that are longer than a message, and what is done so that no message is longer than its header can say.

use ofp::action::Action;
use ofp::message::*;
use ofp::types::{PortNo, TableId, Version, Xid};
use ofp::wire::ReplyStream;

const V10: Dialect = Dialect::new(Version::V10);
const V13: Dialect = Dialect::new(Version::V13);

#[test]
fn long_replies_are_split_and_streamed() {
    let flow = FlowStats {
        actions: vec![Action::Note(vec![0; 200])],
        ..FlowStats::default()
    };
    let forms = Version::SUPPORTED
        .iter()
        .map(|version| (Dialect::new(*version), false));
    for (dialect, nicira) in forms.chain([(V10, true)]) {
        let mut stream = ReplyStream::flows(Xid(9), &dialect, nicira);
        let mut out = bytes::BytesMut::new();
        let (mut flows, mut last) = (0, false);
        let mut drain = |out: &mut bytes::BytesMut| {
            assert!(out.len() <= 0xffff);
            while out.len() >= 8 {
                let size = usize::from(u16::from_be_bytes([out[2], out[3]]));
                let message = Message::decode(&out.split_to(size).freeze(), &dialect).unwrap();
                let Body::MultipartReply(reply) = message.body else {
                    panic!()
                };
                let MultipartPart::Flow { flows: part, .. } = reply.part else {
                    panic!()
                };
                flows += part.len();
                assert!(!last, "{dialect:?}");
                last = !reply.more;
            }
        };
        for _ in 0..1000 {
            stream.flow(&flow, &mut out);
            drain(&mut out);
        }
        stream.finish(&mut out);
        drain(&mut out);
        assert_eq!((flows, last), (1000, true));
    }
}

#[test]
fn table_features_come_back() {
    let table = |n: u8| TableFeatures {
        table: TableId(n),
        name: format!("table{n}"),
        metadata_match: u64::MAX,
        metadata_write: u64::MAX,
        max_entries: 1_000_000,
        next_tables: (n + 1..254).map(TableId).collect(),
        ..TableFeatures::default()
    };
    let part = MultipartPart::TableFeatures((0..254).map(table).collect());
    let body = Body::MultipartReply(MultipartReply { more: false, part });
    let mut bytes = Message { xid: Xid(1), body }.to_bytes(&V13);
    let mut tables = Vec::new();
    while !bytes.is_empty() {
        let size = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        let Body::MultipartReply(reply) =
            Message::decode(&bytes.split_to(size), &V13).unwrap().body
        else {
            panic!();
        };
        let MultipartPart::TableFeatures(part) = reply.part else {
            panic!()
        };
        // What they can do is all that is written.
        assert!(part.iter().all(|t| t.abilities.is_some()));
        tables.extend(part.into_iter().map(|t| TableFeatures {
            abilities: None,
            ..t
        }));
    }
    assert_eq!(tables, (0..254).map(table).collect::<Vec<_>>());
}

/// No message is longer than its header can say: what does not fit is not written, and nothing is cut.
#[test]
fn what_is_too_long_is_not_written() {
    let queue = QueueDesc {
        min_rate: Some(1),
        max_rate: Some(2),
        ..QueueDesc::default()
    };
    let queues = |len: usize| Body::QueueGetConfigReply {
        port: PortNo(1),
        queues: vec![queue.clone(); len],
    };
    let flow = |len: usize| FlowMod {
        actions: vec![Action::Note(vec![0; len])],
        ..FlowMod::default()
    };
    let add = |len: usize| BundleAdd {
        bundle: 1,
        flags: 0,
        message: Message {
            xid: Xid(1),
            body: Body::FlowMod(Box::new(flow(len))),
        },
        raw: Default::default(),
    };
    let packet_out = |len: usize| {
        Body::PacketOut(Box::new(PacketOut {
            buffer_id: u32::MAX,
            data: vec![0; len].into(),
            ..PacketOut::default()
        }))
    };
    let cases = [
        (packet_out(65_500), packet_out(65_520)),
        (queues(1000), queues(2000)),
        (
            Body::FlowMod(Box::new(flow(65_000))),
            Body::FlowMod(Box::new(flow(65_530))),
        ),
        (
            Body::BundleAdd(Box::new(add(65_000))),
            Body::BundleAdd(Box::new(add(65_446))),
        ),
        (
            Body::BundleAdd(Box::new(add(65_000))),
            Body::BundleAdd(Box::new(add(65_530))),
        ),
    ];
    for (fits, long) in cases {
        let size = |body: &Body| {
            let message = Message {
                xid: Xid(1),
                body: body.clone(),
            };
            let bytes = message.to_bytes(&V13);
            let said = bytes
                .get(2..4)
                .map_or(0, |size| u16::from_be_bytes([size[0], size[1]]));
            assert_eq!(usize::from(said), bytes.len());
            bytes.len()
        };
        assert!(size(&fits) > 40_000);
        if let Body::PacketOut(packet) = &fits {
            assert_eq!(size(&fits), 24 + packet.data.len());
        }
        assert_eq!(size(&long), 0);
    }
}
