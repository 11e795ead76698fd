//! Malformed messages: each is refused with the error that the stock `ovs-ofctl ofp-print` names too
//! (where it is installed).

use bytes::Bytes;
use ofp::error::OfError;
use ofp::message::{Body, Dialect, Message};
use ofp::types::Version;
use std::process::Command;

/// A FLOW_MOD of 1.3 with these match entries and instructions.
fn flow13(entries: &str, instructions: &str) -> String {
    let size = 4 + entries.len() / 2;
    let zeros = "00".repeat(size.next_multiple_of(8) - size);
    let middle = format!(
        "{:032x}{:048x}",
        0, 0xffff_ffff_ffff_ffff_ffff_ffff_0000_0000_u128
    );
    whole(
        4,
        14,
        &format!("{middle}0001{size:04x}{entries}{zeros}{instructions}"),
    )
}

/// A FLOW_MOD of 1.0 that matches everything, with these actions.
fn flow10(actions: &str) -> String {
    let body = format!(
        "003820ff{:072x}{:016x}{:08x}{:08x}ffffffffffff0000",
        0, 0, 0, 0x8000
    );
    whole(1, 14, &format!("{body}{actions}"))
}

fn whole(version: u8, kind: u8, body: &str) -> String {
    format!(
        "{version:02x}{kind:02x}{:04x}00000001{body}",
        8 + body.len() / 2
    )
}

fn bytes(hex: &str) -> Bytes {
    let pair = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len() / 2).map(|i| pair(i * 2)).collect()
}

const IP: &str = "80000a020800";

fn cases() -> Vec<(String, OfError)> {
    vec![
        (flow13("80000a0208", ""), OfError::MatchLength),
        (flow13("80007c040000000000", ""), OfError::MatchField),
        (flow13("8000140106", ""), OfError::MatchPrerequisite),
        (flow13(&format!("{IP}{IP}"), ""), OfError::MatchDuplicate),
        (flow13(&format!("{IP}80001001ff"), ""), OfError::MatchValue),
        (flow13("80000c026000", ""), OfError::MatchValue),
        (flow13("80000b0408000ff0", ""), OfError::MatchMask),
        (
            flow13(&format!("{IP}800017080a00000aff000000"), ""),
            OfError::MatchWildcards,
        ),
        (flow13("", "0001000404000000"), OfError::InstructionLength),
        (flow13("", "0063000800000000"), OfError::InstructionUnknown),
        (
            flow13("", "00010008040000000001000805000000"),
            OfError::InstructionDuplicate,
        ),
        (
            flow13("", "00040010000000000063000800000000"),
            OfError::ActionType,
        ),
        (
            flow13("", "00040010000000000000000800000001"),
            OfError::ActionLength,
        ),
        (
            flow13(
                "",
                "0004001000000000001100081234 0000"
                    .replace(' ', "")
                    .as_str(),
            ),
            OfError::ActionArgument,
        ),
        (
            flow13("", "000400180000000000190010800000040000000100000000"),
            OfError::SetFieldArgument,
        ),
        (
            flow13(
                "",
                "000400180000000000190010 80000a020800000000000000"
                    .replace(' ', "")
                    .as_str(),
            ),
            OfError::SetFieldArgument,
        ),
        (
            flow13(
                "",
                "000400180000000000190010 80000c020005000000000000"
                    .replace(' ', "")
                    .as_str(),
            ),
            OfError::SetFieldArgument,
        ),
        // Only 1.5's set-field takes a mask.
        (
            flow13(
                "",
                "000400200000000000190018 8000070c 000000000001 0000000000ff 00000000"
                    .replace(' ', "")
                    .as_str(),
            ),
            OfError::SetFieldMask,
        ),
        (flow10("0063000800000000"), OfError::ActionType),
        (flow10("0001000810000000"), OfError::ActionArgument),
        (
            flow10(
                "ffff00100000232000630000 00000000"
                    .replace(' ', "")
                    .as_str(),
            ),
            OfError::ActionSubtype,
        ),
        (
            flow10(
                "ffff00101234567800630000 00000000"
                    .replace(' ', "")
                    .as_str(),
            ),
            OfError::ActionVendor,
        ),
        (
            flow10("ffff00180000232000070020000100040000000000000005"),
            OfError::SetFieldLength,
        ),
        (
            flow10("ffff0018000023200007001f0001fe040000000000000005"),
            OfError::SetFieldType,
        ),
        (
            flow10("ffff0018000023200007000f000006020000000000000005"),
            OfError::SetFieldArgument,
        ),
        (
            flow10("ffff0018000023200007000f000100040000000000ffffff"),
            OfError::ActionArgument,
        ),
        (
            flow10("ffff001800002320001b00000001fe040020000000000000"),
            OfError::MatchField,
        ),
        (whole(4, 99, ""), OfError::BadType),
        (whole(4, 18, "0063000000000000"), OfError::BadStat),
        (whole(4, 5, "00000000"), OfError::BadLength),
        (whole(4, 4, "0000232000000063"), OfError::BadSubtype),
        (whole(4, 4, "1234567800000063"), OfError::BadVendor),
        (whole(1, 16, "00630000"), OfError::BadStat),
    ]
}

/// OpenFlow 1.3.5 section 7.5.4.5 has "bad length" for a field of the wrong size; the stock switch
/// says that it does not know the field.
#[test]
fn fields_of_the_wrong_size_are_said_to_be_so() {
    for entries in ["80000a030800ff", "80001404060000000000"] {
        let message = bytes(&flow13(entries, ""));
        let got = Message::decode(&message, &Dialect::new(Version::V13));
        assert_eq!(got, Err(OfError::MatchLength), "{entries}");
    }
}

/// A FLOW_MOD of 1.1 with these fields of its match, all others wildcards: wildcard bits to clear, and bytes at
/// places of the match.
fn flow11(given: u32, at: &[(usize, u8)]) -> String {
    let head = format!(
        "{:032x}{:048x}",
        0, 0xffff_ffff_ffff_ffff_ffff_ffff_0000_0000_u128
    );
    let mut fields = [0; 88];
    fields[2..4].copy_from_slice(&88_u16.to_be_bytes());
    fields[8..12].copy_from_slice(&(0x3ff & !given).to_be_bytes());
    for masks in [18..24, 30..36, 48..52, 56..60, 80..88] {
        fields[masks].fill(0xff);
    }
    at.iter().for_each(|(at, byte)| fields[*at] = *byte);
    let fields: String = fields.iter().map(|b| format!("{b:02x}")).collect();
    whole(2, 14, &format!("{head}{fields}"))
}

/// The same in 1.0.
fn flow10_match(given: u32, at: &[(usize, u8)]) -> String {
    let mut fields = [0; 40];
    fields[..4].copy_from_slice(&(0x38_20ff & !given).to_be_bytes());
    at.iter().for_each(|(at, byte)| fields[*at] = *byte);
    let fields: String = fields.iter().map(|b| format!("{b:02x}")).collect();
    let rest = format!("{:016x}{:08x}{:08x}ffffffffffff0000", 0, 0, 0x8000);
    whole(1, 14, &format!("{fields}{rest}"))
}

/// The stock switch cuts most of these.
#[test]
fn numbers_too_large_for_a_field_are_not_cut() {
    let mpls = [(40, 0x88), (41, 0x47)];
    let icmp = [(22, 0x08), (23, 0x00), (25, 1)];
    for (what, hex, fits) in [
        ("1.1 dl_vlan_pcp", flow11(6, &[(37, 5), (38, 7)]), true),
        ("1.1 dl_vlan_pcp", flow11(6, &[(37, 5), (38, 8)]), false),
        (
            "1.1 mpls_label",
            flow11(0x108, &[mpls[0], mpls[1], (65, 0x0f)]),
            true,
        ),
        (
            "1.1 mpls_label",
            flow11(0x108, &[mpls[0], mpls[1], (65, 0x10)]),
            false,
        ),
        (
            "1.1 mpls_tc",
            flow11(0x208, &[mpls[0], mpls[1], (68, 7)]),
            true,
        ),
        (
            "1.1 mpls_tc",
            flow11(0x208, &[mpls[0], mpls[1], (68, 8)]),
            false,
        ),
        ("1.0 dl_vlan", flow10_match(2, &[(18, 0x0f)]), true),
        ("1.0 dl_vlan", flow10_match(2, &[(18, 0x10)]), false),
        ("1.0 dl_vlan_pcp", flow10_match(1 << 20, &[(20, 7)]), true),
        ("1.0 dl_vlan_pcp", flow10_match(1 << 20, &[(20, 8)]), false),
        (
            "1.0 icmp_type",
            flow10_match(0x70, &[icmp[0], icmp[1], icmp[2], (37, 8)]),
            true,
        ),
        (
            "1.0 icmp_type",
            flow10_match(0x70, &[icmp[0], icmp[1], icmp[2], (36, 1)]),
            false,
        ),
    ] {
        let message = bytes(&hex);
        let version = Version::from_wire(message[0]).unwrap();
        let got = Message::decode(&message, &Dialect::new(version)).map(|_| ());
        assert_eq!(
            got,
            if fits {
                Ok(())
            } else {
                Err(OfError::MatchValue)
            },
            "{what}: {hex}"
        );
    }
}

#[test]
fn malformed_messages_get_the_right_error() {
    let mut wrong = Vec::new();
    for (hex, want) in cases() {
        let version = Version::from_wire(bytes(&hex)[0]).unwrap();
        let got = Message::decode(&bytes(&hex), &Dialect::new(version)).map(|m| m.body);
        let name = want.row().unwrap().name;
        let stock = Command::new("ovs-ofctl").args(["ofp-print", &hex]).output();
        let stock = stock.map(|run| String::from_utf8_lossy(&run.stdout).into_owned());
        if got != Err(want) || stock.as_ref().is_ok_and(|text| !text.contains(name)) {
            wrong.push(format!(
                "{hex}\n  want {name}, got {got:?}, stock {stock:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// OpenFlow 1.5's `stat_trigger`, as a flow_mod whose instructions are these.
fn with_instructions(version: u8, hex: &str) -> Result<Body, OfError> {
    let ports = 0xffff_ffff_ffff_ffff_ffff_ffff_0000_0000_u128;
    let body = format!("{:032x}{ports:048x}0001000400000000{hex}", 0);
    let dialect = Dialect::new(Version::from_wire(version).unwrap());
    Message::decode(&bytes(&whole(version, 14, &body)), &dialect).map(|m| m.body)
}

#[test]
fn stat_trigger() {
    const PACKETS: &str = "800208080000000000000064";
    let trigger = |flags: &str, size: usize, entries: &str, padding: &str| {
        let size_all = 8 + 4 + (entries.len() + padding.len()) / 2;
        format!("0007{size_all:04x}{flags}0000{size:04x}{entries}{padding}")
    };
    let good = trigger("00000003", 16, PACKETS, "");
    assert!(with_instructions(6, &good).is_ok());
    // The padding is not counted.
    let spans = "80020008000000010000000080020208000000020000000a";
    let padded = trigger("00000000", 28, spans, "00000000");
    assert!(with_instructions(6, &padded).is_ok());
    let twice = PACKETS.repeat(2);
    let unsupported = OfError::InstructionUnsupported;
    for (version, hex, want) in [
        (5, good.clone(), OfError::InstructionUnknown),
        (6, good.repeat(2), OfError::InstructionDuplicate),
        // An unknown flag, class and field; a threshold twice.
        (6, trigger("00000004", 16, PACKETS, ""), unsupported),
        (
            6,
            trigger("00000000", 16, "800108080000000000000064", ""),
            unsupported,
        ),
        (
            6,
            trigger("00000000", 16, "800204080000000000000064", ""),
            unsupported,
        ),
        (6, trigger("00000000", 28, &twice, "00000000"), unsupported),
        // Sizes: of the list, of an entry, of the instruction.
        (
            6,
            trigger("00000000", 3, PACKETS, ""),
            OfError::InstructionLength,
        ),
        (
            6,
            trigger("00000000", 24, PACKETS, ""),
            OfError::InstructionLength,
        ),
        (
            6,
            trigger("00000000", 16, "800208040000000000000064", ""),
            OfError::InstructionLength,
        ),
        (
            6,
            trigger("00000000", 16, PACKETS, "0000000000000000"),
            OfError::InstructionLength,
        ),
        (6, "0007000800000000".to_owned(), OfError::InstructionLength),
    ] {
        assert_eq!(with_instructions(version, &hex), Err(want), "{hex}");
    }
}
