//! Groups, meters, bundles, flow monitors and the TLV map: bytes that the stock tools sent or that a
//! stock switch answered, in every version, with the text that the stock tools print for them.

use bytes::{Bytes, BytesMut};
use ofp::error::OfError;
use ofp::message::{
    Body, BundleAdd, Dialect, FlowEvent, FlowFormat, FlowRemovedReason, FlowUpdate, FullUpdate,
    GroupCommand, Message, MonitorRequest, MultipartPart, MultipartReply, MultipartRequest,
};
use ofp::text::print::print_wire;
use ofp::text::{PortMap, Style, read_group_mod};
use ofp::types::{TableId, Version, Xid};
use proptest::prelude::*;

fn bytes(hex: &str) -> Bytes {
    let pair = |p: &[u8]| u8::from_str_radix(std::str::from_utf8(p).unwrap(), 16).unwrap();
    hex.as_bytes().chunks(2).map(pair).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn dialect(version: Version) -> Dialect {
    Dialect {
        flow_format: FlowFormat::Nxm,
        flow_mod_table_id: version == Version::V10,
        ..Dialect::new(version)
    }
}

const VERSIONS: [Version; 6] = [
    Version::V10,
    Version::V11,
    Version::V12,
    Version::V13,
    Version::V14,
    Version::V15,
];

fn version(bytes: &[u8]) -> Version {
    Version::from_wire(bytes[0]).unwrap()
}

/// A record is a line `> BYTES` and what the stock tool prints of them.
const GOLDEN: &str = include_str!("golden/groups.txt");

fn golden() -> impl Iterator<Item = (&'static str, &'static str)> {
    let records = GOLDEN.strip_prefix("> ").unwrap().split("\n> ");
    records.map(|record| record.split_once('\n').unwrap())
}

#[test]
fn golden_bytes_print_as_the_stock_tool_prints_them() {
    let ports = PortMap::default();
    for (wire, text) in golden() {
        let bytes = bytes(wire);
        let style = Style::plain(version(&bytes), &ports);
        let ours = print_wire(&bytes, &style);
        assert_eq!(ours.trim_end(), text.trim_end(), "{wire}");
    }
}

#[test]
fn golden_bytes_are_written_again() {
    for (wire, text) in golden() {
        let bytes = bytes(wire);
        let dialect = dialect(version(&bytes));
        let message = Message::decode(&bytes, &dialect).unwrap_or_else(|e| panic!("{e}: {text}"));
        assert_eq!(hex(&message.to_bytes(&dialect)), wire, "{text}");
    }
}

fn error(wire: &str) -> OfError {
    let bytes = bytes(wire);
    Message::decode(&bytes, &dialect(version(&bytes))).unwrap_err()
}

/// A message of a version and type with this body, its length filled in.
fn message(version: u8, kind: u8, body: &str) -> String {
    format!(
        "{version:02x}{kind:02x}{:04x}00000007{body}",
        8 + body.len() / 2
    )
}

#[test]
fn each_mistake_of_a_group_has_its_error() {
    let selection = |method: &str, kind: u8, subtype: u8, vendor: u16| {
        format!(
            "0000{kind:02x}000000000f00080000ffffffff0008000000000001ffff00280000{vendor:04x}000000{subtype:02x}00000000{method:0<32}0000000000000007"
        )
    };
    // "hash", "hasi", "dp_hash".
    let (hash, hasi) = ("68617368", "68617369");
    for (version, body, want) in [
        (4, "000900000000000f".to_owned(), OfError::GroupCommand),
        (4, "000004000000000f".into(), OfError::GroupType),
        (
            4,
            "000200000000000f00100000ffffffffffffffff00000000".into(),
            OfError::GroupInvalid,
        ),
        (4, "00000000fffffffc".into(), OfError::GroupInvalid),
        (4, "000002000000000f".into(), OfError::GroupInvalid),
        (
            4,
            "000000000000000f000f0000ffffffffffffffff00000000".into(),
            OfError::GroupBucket,
        ),
        (
            4,
            "000000000000000f00180000ffffffffffffffff00000000".into(),
            OfError::GroupBucket,
        ),
        (
            4,
            "000000000000000f00100001ffffffffffffffff00000000".into(),
            OfError::GroupInvalid,
        ),
        (
            4,
            "000003000000000f00100000ffffffffffffffff00000000".into(),
            OfError::GroupInvalid,
        ),
        (
            4,
            "000003000000000f0010000000010000ffffffff00000000".into(),
            OfError::GroupBadWatch,
        ),
        (
            4,
            "000000000000000f0010000000000001ffffffff00000000".into(),
            OfError::GroupWatch,
        ),
        (
            6,
            "000000000000000f00000000fffffffe".into(),
            OfError::GroupBucket,
        ),
        (
            6,
            "000500000000000fffff0000fffffffe".into(),
            OfError::BadLength,
        ),
        (
            6,
            "000500000000000f00080000fffffffe0008000000000001".into(),
            OfError::GroupBucket,
        ),
        (
            6,
            "000001000000000f00080000ffffffff00080000ffffff01".into(),
            OfError::GroupBucket,
        ),
        (
            6,
            "000000000000000f00100000ffffffff00080000000000010008000000000001".into(),
            OfError::GroupBucket,
        ),
        (
            6,
            "000001000000000f00080000ffffffff0008001000000001".into(),
            OfError::GroupBucket,
        ),
        (
            6,
            "000001000000000f00100000ffffffff00100000000000010005000800000000".into(),
            OfError::PropertyType,
        ),
        (6, selection(hash, 0, 1, 0x154d), OfError::PropertyValue),
        (6, selection(hasi, 1, 1, 0x154d), OfError::PropertyValue),
        (6, selection(hash, 1, 2, 0x154d), OfError::PropertySubtype),
        (6, selection(hash, 1, 1, 0x154e), OfError::PropertyVendor),
    ] {
        let wire = message(version, 15, &body);
        assert_eq!(error(&wire), want, "{wire}");
    }
}

#[test]
fn each_mistake_of_the_others_has_its_error() {
    let inner = |body: &str| format!("0000000000000003{body}");
    for (version, kind, body, want) in [
        // Meters: command, flags, band type, band length.
        (4, 29, "00050000ffff0001".to_owned(), OfError::MeterCommand),
        (4, 29, "00000003ffff0001".into(), OfError::MeterFlags),
        (4, 29, "00000011ffff0001".into(), OfError::MeterFlags),
        (
            4,
            29,
            "000000020000000100ff00100000000a0000000000000000".into(),
            OfError::MeterBand,
        ),
        (
            4,
            29,
            "0000000200000001000100140000000a000000000000000000000000".into(),
            OfError::BadLength,
        ),
        // Bundles: command, flags, a property; and the message inside.
        (5, 33, "0000000900080000".into(), OfError::BundleType),
        (5, 33, "0000000900000004".into(), OfError::BundleFlags),
        (
            5,
            33,
            "0000000900070001ffff000800000000".into(),
            OfError::PropertyType,
        ),
        (5, 34, inner("041400080000000a"), OfError::BundleVersion),
        (5, 34, inner("051400080000000a"), OfError::BundleMessageXid),
        (
            5,
            34,
            inner("0514001000000007"),
            OfError::BundleMessageLength,
        ),
        (5, 34, inner("05140008"), OfError::BundleMessageLength),
        (
            5,
            34,
            inner("0514000800000007"),
            OfError::BundleMessageUnsupported,
        ),
        (
            5,
            34,
            inner("05210010000000070000000000000003"),
            OfError::BundleMessageUnsupported,
        ),
        (
            5,
            34,
            inner("0522001800000007000000000000000305140008 00000007").replace(' ', ""),
            OfError::BundleMessageUnsupported,
        ),
        (
            4,
            4,
            format!(
                "4f4e4600000008fd{}",
                inner("04040018000000074f4e4600000008fc0000000000000003")
            ),
            OfError::BundleMessageUnsupported,
        ),
        (
            5,
            34,
            inner("050f001000000007000900000000000f"),
            OfError::GroupCommand,
        ),
        // Monitors: flags, command.
        (
            1,
            16,
            "ffff0000000023200000000200000000000000000040ffff0000ff0000000000".into(),
            OfError::MonitorFlags,
        ),
        (
            5,
            18,
            "00100000000000000000000000000001000000070000030000010004 00000000".replace(' ', ""),
            OfError::MonitorFlags,
        ),
        (
            5,
            18,
            "0010000000000000000000000000000100000007001f03030001000400000000".into(),
            OfError::MonitorCommand,
        ),
        // The TLV map: command, length, field, twice.
        (
            1,
            4,
            "00002320000000180003000000000000".into(),
            OfError::TlvBadCommand,
        ),
        (
            1,
            4,
            "00002320000000180000000000000000ffff000500000000".into(),
            OfError::TlvBadLength,
        ),
        (
            1,
            4,
            "00002320000000180000000000000000ffff000400400000".into(),
            OfError::TlvBadIndex,
        ),
        (
            1,
            4,
            "00002320000000180000000000000000ffff000400000000ffff000400010000".into(),
            OfError::TlvDuplicate,
        ),
    ] {
        let wire = message(version, kind, &body);
        assert_eq!(error(&wire), want, "{wire}");
    }
}

/// What stock tools read and print; the text is read, sent and printed again in every version that can.
const GROUPS: &[&str] = &[
    "group_id=1,type=all",
    "group_id=2,type=all,bucket=bucket_id:0,actions=output:1,bucket=bucket_id:1,actions=drop",
    "group_id=3,type=select,bucket=bucket_id:0,weight:0,actions=output:1,bucket=bucket_id:1,weight:100,actions=resubmit(,4),output:2",
    "group_id=4,type=select,selection_method=hash,selection_method_param=7,fields(eth_dst=ff:ff:00:00:00:00,ip_src),bucket=bucket_id:0,actions=output:1",
    "group_id=5,type=select,selection_method=dp_hash,bucket=bucket_id:9,actions=output:1",
    "group_id=6,type=indirect,bucket=bucket_id:0,actions=resubmit(,5)",
    "group_id=7,type=ff,bucket=bucket_id:0,watch_port:1,actions=output:1,bucket=bucket_id:1,watch_group:3,actions=group:3",
];

#[test]
fn groups_come_back_in_every_version_that_can_say_them() {
    let ports = PortMap::default();
    for text in GROUPS {
        let m = read_group_mod(text, None, &ports).unwrap();
        assert_eq!(m.command, GroupCommand::Add);
        for version in VERSIONS {
            // Nicira's message, which says all, has buckets with ids in every version.
            let dialect = dialect(version);
            let body = Body::GroupMod(Box::new(m.clone()));
            let sent = Message { xid: Xid(1), body }.to_bytes(&dialect);
            let back = Message::decode(&sent, &dialect).unwrap();
            let Body::GroupMod(back) = back.body else {
                panic!("{text}")
            };
            if version == Version::V10 || version == Version::V15 {
                assert_eq!(*back, m, "{version:?}");
                let printed =
                    ofp::text::print::print_group_mod(&back, &Style::plain(version, &ports));
                assert_eq!(printed, format!("ADD {text}"));
            } else if text.contains("bucket_id:9") {
                assert_eq!(back.desc.selection, m.desc.selection);
            } else {
                assert_eq!(*back, m, "{version:?}");
            }
        }
    }
}

#[test]
fn reports_come_back_in_every_version() {
    let update = FlowUpdate::Full(FullUpdate {
        event: FlowEvent::Removed(FlowRemovedReason::HardTimeout),
        table: TableId(3),
        idle_timeout_secs: 1,
        hard_timeout_secs: 2,
        priority: 77,
        cookie: ofp::types::Cookie(5),
        matching: Default::default(),
        actions: None,
    });
    for version in VERSIONS {
        let dialect = dialect(version);
        let part =
            MultipartPart::FlowMonitor(vec![update.clone(), FlowUpdate::Abbreviated(Xid(9))]);
        let body = Body::MultipartReply(MultipartReply { more: false, part });
        let message = Message { xid: Xid(1), body };
        let back = Message::decode(&message.to_bytes(&dialect), &dialect).unwrap();
        assert_eq!(back, message, "{version:?}");
    }
}

#[test]
fn own_changes_are_asked_for_as_open_vswitch_asks() {
    use ofp::message::monitor_flag::{ADD, NO_ABBREV, ONLY_OWN};
    for version in [Version::V14, Version::V15] {
        for (flags, wire) in [
            (NO_ABBREV, ONLY_OWN),
            (NO_ABBREV | ONLY_OWN, NO_ABBREV | ONLY_OWN),
            (0, 0),
        ] {
            let request = MonitorRequest {
                flags: flags | ADD,
                ..MonitorRequest::default()
            };
            let body = Body::MultipartRequest(MultipartRequest::FlowMonitor(vec![request]));
            let message = Message { xid: Xid(1), body };
            let bytes = message.to_bytes(&dialect(version));
            assert_eq!(u16::from_be_bytes([bytes[28], bytes[29]]), wire | ADD);
            assert_eq!(Message::decode(&bytes, &dialect(version)).unwrap(), message);
        }
    }
}

#[test]
fn a_bundled_message_gets_the_bundles_transaction_id() {
    let body = Body::GroupMod(Box::default());
    let inner = Message { xid: Xid(5), body };
    for version in [Version::V13, Version::V14, Version::V15] {
        let raw = inner.to_bytes(&dialect(version));
        let body = Body::BundleAdd(Box::new(BundleAdd {
            bundle: 1,
            flags: 3,
            message: inner.clone(),
            raw,
        }));
        let sent = Message { xid: Xid(9), body }.to_bytes(&dialect(version));
        let Body::BundleAdd(back) = Message::decode(&sent, &dialect(version)).unwrap().body else {
            panic!()
        };
        assert_eq!((back.message.xid, back.bundle, back.flags), (Xid(9), 1, 3));
        assert_eq!(
            back.raw.len(),
            usize::from(u16::from_be_bytes([back.raw[2], back.raw[3]]))
        );
    }
}

proptest! {
    /// Bytes of a message changed at some places, and cut: an error or a value, never a panic; what was
    /// read can be written and printed.
    #[test]
    fn mutations_never_panic(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        cuts in any::<bool>(),
    ) {
        let all: Vec<&str> = golden().map(|record| record.0).collect();
        let mut bytes = BytesMut::from(&bytes(all[which.index(all.len())])[..]);
        let version = version(&bytes);
        if cuts {
            bytes.truncate(8 + cut.index(bytes.len() - 7));
        }
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes[0] = version as u8;
        let size = u16::try_from(bytes.len()).unwrap();
        bytes[2..4].copy_from_slice(&size.to_be_bytes());
        let bytes = bytes.freeze();
        let ports = PortMap::default();
        let _ = print_wire(&bytes, &Style::plain(version, &ports));
        if let Ok(message) = Message::decode(&bytes, &dialect(version)) {
            for version in VERSIONS {
                let _ = message.to_bytes(&dialect(version));
            }
        }
    }

    #[test]
    fn noise_in_texts_never_panics(text in "[ a-z0-9_=:,(){}>!.-]{0,60}") {
        let ports = PortMap::default();
        let _ = read_group_mod(&text, None, &ports);
        let _ = read_group_mod(&format!("group_id=1,type=select,{text}"), None, &ports);
        let _ = read_group_mod(&format!("group_id=1,type=all,bucket={text}"), None, &ports);
        let _ = ofp::text::read_meter_mod(&text, ofp::message::MeterCommand::Add);
        let _ = ofp::text::read_meter_mod(&format!("meter=1,kbps,band={text}"), ofp::message::MeterCommand::Add);
        let _ = ofp::text::read_monitor_request(&text, &ports);
        let _ = ofp::text::read_tlv_table_mod(&text, ofp::message::TlvCommand::Add);
        let _ = ofp::text::read_group_id(&text);
    }
}
