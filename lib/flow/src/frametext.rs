//! A small language for whole frames, so that tests say what they send and show what they got:
//!
//! ```text
//! eth(dst=..02,src=..01) vlan(vid=100,pcp=0) ipv4(10.0.0.1->10.0.0.2,ttl=64) udp(5000->6000) "hi"
//! ```
//!
//! What / why. A frame is a sequence of items. A header's fields are rows of one table ([`table`]), which reads
//! and prints them; a field that is not given is filled in: sizes, checksums, the type of what follows, usual
//! values. Printing leaves out what reading would fill in, so text is short and no bit is lost: for every frame
//! `read(&print(frame)) == frame`.
//!
//! Items: `name(field=value,flag,SRC->DST)` for the headers of the table, `opts"hex"` (options of the IPv4, TCP or
//! Geneve header before it), `"text"`, `hex"0123"`, `fill=N` (N bytes counting 0, 1, 2 ...), and, outside all
//! sizes, `trailer"hex"` and `pad=N` (zeroes up to a frame of N bytes). `..02` is 00:00:00:00:00:02.

mod build;
mod print;
mod read;
mod table;

pub use print::print;
pub use read::{Error, read};

/// One part of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    /// A header of the table, with the fields that are given.
    Header {
        row: &'static table::Row,
        given: Vec<Given>,
    },
    /// Options of the header before.
    Options(Vec<u8>),
    /// Payload.
    Bytes(Vec<u8>),
    /// Bytes that no header's size counts.
    Trailer(Vec<u8>),
    /// Zeroes up to this size of the frame.
    Pad(usize),
}

/// A field that the text gives a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Given {
    field: &'static table::Field,
    value: u128,
}

/// The largest frame that is read or padded to.
const MAX_SIZE: usize = 65_600;

/// The bytes of `fill=`.
fn fill(size: usize) -> impl Iterator<Item = u8> {
    (0..size).map(|index| index as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text
            .chars()
            .filter_map(|c| c.to_digit(16))
            .map(|digit| digit as u8)
            .collect();
        digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect()
    }

    /// Text that is printed as it is read.
    const CANONICAL: &[&str] = &[
        r#"eth(dst=..02,src=..01) vlan(vid=100) ipv4(10.0.0.1->10.0.0.2) udp(5000->6000) "hi""#,
        r#"eth(dst=..02,src=..01) svlan(vid=100,pcp=3) vlan(vid=1,dei) ipv4(10.0.0.1->10.0.0.2,tos=184,ttl=1,df) tcp(80->81,flags=syn|ack,seq=5)"#,
        "eth(dst=ff:ff:ff:ff:ff:ff,src=..01) arp(10.0.0.1->10.0.0.2,sha=..01) pad=60",
        "eth(dst=..02,src=..01) arp(10.0.0.1->10.0.0.2,op=2,sha=..01,tha=..02)",
        r#"eth(dst=..02,src=..01) ipv6(fd00::1->fd00::2,label=0x12345) icmpv6(data=0x10001) "ping""#,
        "eth(dst=..02,src=..01) ipv6(fd00::1->fd00::2,ttl=255) ns(target=fd00::2) sll(mac=..01)",
        "eth(dst=..02,src=..01) ipv6(fd00::1->fd00::2,ttl=255) na(target=fd00::2,data=0xe0000000) tll(mac=..01)",
        r#"eth(dst=..02,src=..01) ipv6(fd00::1->fd00::2) hopopts() frag(id=7,mf) udp(1->2) fill=64"#,
        r#"eth(dst=..02,src=..01) ipv4(10.0.0.1->10.0.0.2) udp(5000->4789) vxlan(vni=42) eth(dst=..04,src=..03) ipv4(1.0.0.1->1.0.0.2) icmp(data=0x10001) "x""#,
        "eth(dst=..02,src=..01) ipv4(10.0.0.1->10.0.0.2) gre(key=7) eth(dst=..04,src=..03) arp(1.0.0.1->1.0.0.2)",
        "eth(dst=..02,src=..01) ipv4(10.0.0.1->10.0.0.2) gre(csum,key=7,seq=9) ipv4(1.0.0.1->1.0.0.2) sctp(1->2)",
        r#"eth(dst=..02,src=..01) ipv4(10.0.0.1->10.0.0.2) udp(1->6081) geneve(vni=42) opts"0102030100000000" eth(dst=..04,src=..03) "inside""#,
        r#"eth(dst=..02,src=..01) ipv4(10.0.0.1->10.0.0.2) udp(1->1701) l2tpv3(session=7) hex"deadbeef40000001""#,
        r#"eth(dst=..02,src=..01) ipv6(fd00::1->fd00::2) l2tpip(session=7) hex"0000""#,
        r#"eth(dst=..02,src=..01) gpw() eth(dst=..04,src=..03) "inside""#,
        r#"eth(dst=..02,src=..01) ipv6(fd00::1->fd00::2) gpw(control=0x2c0) hex"00ff""#,
        r#"eth(dst=..02,src=..01) pbb(isid=70000,uca) eth(dst=..04,src=..03) ipv4(1.0.0.1->1.0.0.2) udp(1->2) "x""#,
        "eth(dst=..02,src=..01) mpls(label=16,ttl=3) mpls(label=17,tc=1) ipv4(10.0.0.1->10.0.0.2) igmp(group=224.0.0.1)",
        r#"eth(dst=01:80:c2:00:00:00,src=..01) llc() hex"00000202" pad=60"#,
        "eth(dst=..02,src=..01) snap() ipv4(10.0.0.1->10.0.0.2) udp(1->2)",
        r#"eth(dst=..02,src=..01) ipv4(10.0.0.1->10.0.0.2) opts"94040000" tcp(1->2) opts"020405b4" "x""#,
        r#"eth(dst=..02,src=..01) ipv4(10.0.0.1->10.0.0.2,offset=100,proto=17) hex"000102" trailer"ff""#,
        r#"eth(dst=..02,src=..01,type=0x1234) hex"00ff""#,
    ];

    #[test]
    fn read_then_print() {
        for text in CANONICAL {
            let frame = read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(&print(&frame), text);
        }
    }

    #[test]
    fn bytes_are_right() {
        let text = r#"eth(dst=..02,src=..01) vlan(100,pcp=0) ipv4(10.0.0.1->10.0.0.2,ttl=64) udp(5000->6000) "hi""#;
        let bytes = "000000000002 000000000001 8100 0064 0800
            4500001e 0000 0000 40 11 66cd 0a000001 0a000002  1388 1770 000a 0000 6869";
        let mut expected = hex(bytes);
        assert_eq!(packet::checksum::of(&expected[18..38]), 0);
        expected[44..46].copy_from_slice(&read(text).unwrap()[44..46]);
        assert_eq!(read(text).unwrap(), expected);
        let pseudo =
            packet::checksum::pseudo_v4([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 17, 10);
        assert_eq!(pseudo.bytes(&expected[38..]).finish(), 0);
    }

    #[test]
    fn a_given_value_is_kept() {
        let text =
            "eth(dst=..02,src=..01) ipv4(10.0.0.1->10.0.0.2,size=99,csum=0x1) udp(1->2,csum=0x0)";
        assert_eq!(print(&read(text).unwrap()), text);
    }

    #[test]
    fn errors_say_where() {
        let cases = [
            (
                "eth(dst=..02) upd(1->2)",
                15,
                "unknown header `upd`; is it `udp`?",
            ),
            (
                "eth(dst=..02,scr=..01)",
                14,
                "`eth` has no field `scr`; is it `src`?",
            ),
            ("vlan(vid=4096)", 10, "`4096` does not fit into 12 bits"),
            ("vlan(vid=x)", 10, "`x` is not a number"),
            (
                "eth(dst=..zz)",
                9,
                "`..zz` is not a MAC address (like 00:11:22:33:44:55 or ..55)",
            ),
            (
                "ipv4(10.0.0.1)",
                6,
                "`10.0.0.1`: expected SRC->DST, field=value or a flag",
            ),
            ("udp(1->2", 9, "expected `)`"),
            (r#""hi"#, 4, "expected `\"`"),
            (r#"hex"0""#, 5, "`0` is not pairs of hex digits"),
            ("pad=99999", 5, "`99999` is more than 65600"),
            ("tcp(1->2,flags=sin)", 16, "`sin` is not a TCP flag"),
        ];
        for (text, column, message) in cases {
            let error = read(text).unwrap_err();
            assert_eq!(
                (error.column, error.message.as_str()),
                (column, message),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn print_then_read(noise in vec(any::<u8>(), 0..160)) {
            prop_assert_eq!(read(&print(&noise)).unwrap(), noise);
        }

        #[test]
        fn damaged_frames_print_then_read(which in 0..CANONICAL.len(), at in 0usize..120, value: u8, cut in 0usize..200) {
            let mut frame = read(CANONICAL[which]).unwrap();
            let size = frame.len();
            frame[at % size] = value;
            frame.truncate(cut.max(1));
            let text = print(&frame);
            prop_assert_eq!(read(&text).unwrap(), frame, "{}", text);
        }

        #[test]
        fn noise_never_panics(noise in "[a-z0-9=.,:()\"> -]{0,60}", which in 0..CANONICAL.len(), at in 0usize..100) {
            let _ = read(&noise);
            let mut text = CANONICAL[which].to_string();
            text.insert_str(at.min(text.len()), &noise);
            let _ = read(&text);
        }
    }
}
