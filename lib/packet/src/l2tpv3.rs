//! L2TP version 3 data packets (RFC 3931 section 4.1), over UDP and directly over IP (protocol 115).
//!
//! ```text
//! +-+---------------------+-------+-------------------------------+
//! |T|  x                  |   3   |           reserved            |  over UDP only
//! +-+---------------------+-------+-------------------------------+
//! |                  session id of the receiver                   |
//! +---------------------------------------------------------------+
//! |                    cookie: 0, 4 or 8 bytes                    |
//! +-+-+-----------+-----------------------------------------------+
//! |x|S|     x     |               sequence number                 |  default L2-specific sublayer
//! +-+-+-----------+-----------------------------------------------+
//! ```
//!
//! Neither the cookie's size nor the sublayer is written in the packet: only the session knows them. So a packet
//! is read in two steps: [`session`] finds whose it is, and that session's [`Header::accept`] reads the rest.

macro_rules! errors {
    ($($variant:ident $name:literal $text:literal;)*) => {
        /// Why a packet is not a data packet of the session.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "the table says it")]
        pub enum Error { $($variant),* }

        /// Error, counter name, explanation; in the order of the enum.
        pub const ERRORS: &[(Error, &str, &str)] = &[$((Error::$variant, $name, $text)),*];
    };
}

errors! {
    Short       "short"        "shorter than the session's headers";
    Version     "version"      "of another version than 3";
    Control     "control"      "a control message, and the tunnel is static";
    ZeroSession "zero_session" "of session 0, which no session has";
    OtherSession "other_session" "of another session";
    Cookie      "cookie"       "with another cookie than the session's";
}

impl Error {
    /// Number of errors.
    pub const LEN: usize = ERRORS.len();
    /// Counter name.
    pub const fn name(self) -> &'static str {
        ERRORS[self as usize].1
    }
    /// Explanation.
    pub const fn text(self) -> &'static str {
        ERRORS[self as usize].2
    }
}

/// What carries the packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Encap {
    /// UDP, any ports.
    #[default]
    Udp,
    /// IPv4 or IPv6, protocol 115.
    Ip,
}

impl Encap {
    /// Bytes in front of the session id.
    const fn prefix_size(self) -> usize {
        match self {
            Encap::Udp => 4,
            Encap::Ip => 0,
        }
    }
}

/// What is between the cookie and the Ethernet frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sublayer {
    /// Nothing.
    None,
    /// The default sublayer of RFC 3931 section 4.6, which carries sequence numbers.
    #[default]
    Default,
}

impl Sublayer {
    const fn size(self) -> usize {
        match self {
            Sublayer::None => 0,
            Sublayer::Default => SUBLAYER_SIZE,
        }
    }
}

/// A session's cookie: 0, 4 or 8 bytes, in the order in which they are typed and sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cookie {
    bytes: [u8; 8],
    size: u8,
}

impl Cookie {
    /// No cookie.
    pub const NONE: Cookie = Cookie {
        bytes: [0; 8],
        size: 0,
    };

    /// A cookie of these bytes. `None` unless there are 0, 4 or 8 of them.
    pub fn new(bytes: &[u8]) -> Option<Cookie> {
        let mut cookie = Cookie::NONE;
        cookie.size = matches!(bytes.len(), 0 | 4 | 8).then_some(bytes.len() as u8)?;
        cookie.bytes[..bytes.len()].copy_from_slice(bytes);
        Some(cookie)
    }

    /// Its bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.size)]
    }
}

/// Sequence numbers are 24 bits.
pub const SEQUENCE_MASK: u32 = 0x00ff_ffff;

const CONTROL: u8 = 0x80;
const VERSION_MASK: u8 = 0x0f;
const VERSION: u8 = 3;
const SESSION_SIZE: usize = 4;
const SUBLAYER_SIZE: usize = 4;
/// The S bit: the sequence number is valid.
const SEQUENCED: u32 = 0x4000_0000;

/// One direction of a session, as the sender writes it and the receiver expects it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What carries it.
    pub encap: Encap,
    /// The receiver's session id.
    pub session: u32,
    /// The cookie.
    pub cookie: Cookie,
    /// The L2-specific sublayer.
    pub sublayer: Sublayer,
}

/// A packet of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted<'b> {
    /// The sequence number, if the packet has a valid one.
    pub sequence: Option<u32>,
    /// The Ethernet frame.
    pub payload: &'b [u8],
}

/// The session id of the data packet in `packet` (behind the UDP or IP header).
#[inline]
pub fn session(encap: Encap, packet: &[u8]) -> Result<u32, Error> {
    let (prefix, rest) = packet
        .split_at_checked(encap.prefix_size())
        .ok_or(Error::Short)?;
    if let [flags, version, ..] = *prefix {
        if version & VERSION_MASK != VERSION {
            return Err(Error::Version);
        }
        if flags & CONTROL != 0 {
            return Err(Error::Control);
        }
    }
    let id = rest
        .first_chunk::<SESSION_SIZE>()
        .map(|id| u32::from_be_bytes(*id))
        .ok_or(Error::Short)?;
    // RFC 3931 section 4.1.1.2: over IP, "the Session ID of zero" marks a control message.
    match (id, encap) {
        (0, Encap::Udp) => Err(Error::ZeroSession),
        (0, Encap::Ip) => Err(Error::Control),
        _ => Ok(id),
    }
}

impl Header {
    /// Bytes of the header.
    #[inline]
    pub fn size(&self) -> usize {
        self.sublayer_at() + self.sublayer.size()
    }

    fn cookie_at(&self) -> usize {
        self.encap.prefix_size() + SESSION_SIZE
    }

    fn sublayer_at(&self) -> usize {
        self.cookie_at() + usize::from(self.cookie.size)
    }

    /// Writes the header to the start of `bytes`; returns what follows it, `None` when there is no room.
    /// `sequence` goes into the default sublayer; without one there is no place for it.
    #[inline]
    pub fn emit<'b>(&self, sequence: Option<u32>, bytes: &'b mut [u8]) -> Option<&'b mut [u8]> {
        let (head, rest) = bytes.split_at_mut_checked(self.size())?;
        if self.encap == Encap::Udp {
            head[..4].copy_from_slice(&[0, VERSION, 0, 0]);
        }
        head[self.encap.prefix_size()..self.cookie_at()]
            .copy_from_slice(&self.session.to_be_bytes());
        head[self.cookie_at()..self.sublayer_at()].copy_from_slice(self.cookie.as_bytes());
        if self.sublayer == Sublayer::Default {
            let word = sequence.map_or(0, |number| SEQUENCED | number & SEQUENCE_MASK);
            head[self.sublayer_at()..].copy_from_slice(&word.to_be_bytes());
        }
        Some(rest)
    }

    /// Reads a packet of this session (behind the UDP or IP header).
    #[inline]
    pub fn accept<'b>(&self, packet: &'b [u8]) -> Result<Accepted<'b>, Error> {
        if session(self.encap, packet)? != self.session {
            return Err(Error::OtherSession);
        }
        let (head, payload) = packet.split_at_checked(self.size()).ok_or(Error::Short)?;
        // RFC 3931 section 4.1: packets with an unknown session id or a cookie that does not match "MUST be dropped".
        if head[self.cookie_at()..self.sublayer_at()] != *self.cookie.as_bytes() {
            return Err(Error::Cookie);
        }
        let word = head[self.sublayer_at()..].first_chunk::<SUBLAYER_SIZE>();
        let word = word.map_or(0, |word| u32::from_be_bytes(*word));
        Ok(Accepted {
            sequence: (word & SEQUENCED != 0).then_some(word & SEQUENCE_MASK),
            payload,
        })
    }
}

/// The receiving side of a session with sequence numbers, which drops what is out of order, as Linux does it without a
/// reorder timeout. The first number received is where the sequence starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sequence {
    /// The number that is due; `None`: whichever comes.
    due: Option<u32>,
    /// The last one that was out of order, and how many followed it one by one.
    stray: Option<u32>,
    strays: u8,
}

/// So many packets in a row that are not due, but in order among themselves, move the sequence to them.
const RESYNC_LEN: u8 = 5;

/// Of [`Sequence::to_bits`]: there is a number that is due, or a stray.
const HAS_DUE: u64 = 1 << 48;
const HAS_STRAY: u64 = 1 << 49;
const STRAYS_AT: u32 = 50;

impl Sequence {
    /// Everything in the lower 53 bits, for an atomic; 0 stands for the default.
    pub fn to_bits(self) -> u64 {
        let number = |number: Option<u32>| u64::from(number.unwrap_or(0));
        let bit = |number: Option<u32>, bit: u64| if number.is_some() { bit } else { 0 };
        number(self.due)
            | number(self.stray) << 24
            | bit(self.due, HAS_DUE)
            | bit(self.stray, HAS_STRAY)
            | u64::from(self.strays) << STRAYS_AT
    }
    /// The same the other way round; other bits are ignored.
    pub fn from_bits(bits: u64) -> Sequence {
        let number =
            |at: u32, bit: u64| (bits & bit != 0).then_some((bits >> at) as u32 & SEQUENCE_MASK);
        Sequence {
            due: number(0, HAS_DUE),
            stray: number(24, HAS_STRAY),
            strays: (bits >> STRAYS_AT) as u8 & 7,
        }
    }
    /// Whether to take the packet with this number.
    #[inline]
    pub fn accept(&mut self, number: u32) -> bool {
        let number = number & SEQUENCE_MASK;
        let follows = |number: u32| (number + 1) & SEQUENCE_MASK;
        match self.due {
            Some(due) if due != number => {
                // RFC 3931 section 4.6.1 suggests a window of half the numbers: what is behind it is old, and no sign
                // that the sender started anew.
                if number.wrapping_sub(due) & SEQUENCE_MASK >= SEQUENCE_MASK / 2 {
                    return false;
                }
                self.strays = match self.stray.map(follows) == Some(number) {
                    true => self.strays + 1,
                    false => 0,
                };
                self.stray = Some(number);
                if self.strays < RESYNC_LEN {
                    return false;
                }
            }
            _ => {}
        }
        *self = Sequence {
            due: Some(follows(number)),
            ..Sequence::default()
        };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::hex;
    use proptest::prelude::*;

    fn header(encap: Encap, cookie: &str, sublayer: Sublayer) -> Header {
        Header {
            encap,
            session: 0x1234_5678,
            cookie: Cookie::new(&hex(cookie)).unwrap(),
            sublayer,
        }
    }

    /// Encapsulation, cookie, sublayer, sequence number, bytes.
    const GOLDEN: &[(Encap, &str, Sublayer, Option<u32>, &str)] = &[
        (Encap::Udp, "", Sublayer::None, None, "00030000 12345678"),
        (
            Encap::Udp,
            "deadbeef",
            Sublayer::Default,
            None,
            "00030000 12345678 deadbeef 00000000",
        ),
        (
            Encap::Udp,
            "0102030405060708",
            Sublayer::Default,
            Some(0x0100_0007),
            "00030000 12345678 0102030405060708 40000007",
        ),
        (Encap::Ip, "", Sublayer::None, None, "12345678"),
        (
            Encap::Ip,
            "",
            Sublayer::Default,
            Some(0),
            "12345678 40000000",
        ),
        (
            Encap::Ip,
            "0102030405060708",
            Sublayer::None,
            None,
            "12345678 0102030405060708",
        ),
    ];

    #[test]
    fn golden_bytes_both_ways() {
        for (encap, cookie, sublayer, sequence, bytes) in GOLDEN {
            let header = header(*encap, cookie, *sublayer);
            let mut packet = vec![0xa5; header.size() + 1];
            assert_eq!(
                header.emit(*sequence, &mut packet).unwrap(),
                [0xa5],
                "{bytes}"
            );
            assert_eq!(packet[..header.size()], hex(bytes), "{bytes}");
            assert_eq!(session(*encap, &packet), Ok(0x1234_5678));
            let accepted = header.accept(&packet).unwrap();
            assert_eq!(accepted.sequence, sequence.map(|n| n & SEQUENCE_MASK));
            assert_eq!(accepted.payload, [0xa5]);
            assert_eq!(
                header.accept(&packet[..header.size() - 1]),
                Err(Error::Short)
            );
        }
    }

    #[test]
    fn every_error() {
        let udp = header(Encap::Udp, "deadbeef", Sublayer::None);
        let ip = header(Encap::Ip, "", Sublayer::None);
        let cases = [
            (udp, "00030000 123456", Error::Short),
            (udp, "0003", Error::Short),
            (udp, "00020000 12345678 deadbeef", Error::Version),
            (udp, "80030000 12345678 deadbeef", Error::Control),
            (udp, "00030000 00000000 deadbeef", Error::ZeroSession),
            (udp, "00030000 12345679 deadbeef", Error::OtherSession),
            (udp, "00030000 12345678 deadbeee", Error::Cookie),
            (ip, "00000000 80030000", Error::Control),
        ];
        for (header, bytes, error) in cases {
            assert_eq!(header.accept(&hex(bytes)), Err(error), "{bytes}");
        }
        for (index, row) in ERRORS.iter().enumerate() {
            assert_eq!(
                (row.0 as usize, row.0.name(), row.0.text()),
                (index, row.1, row.2)
            );
        }
    }

    #[test]
    fn overheads_leave_the_known_mtus() {
        // 1500 - IP - UDP - L2TP - Ethernet, as `ip l2tp` has it.
        let room = |encap, sublayer, ip: usize| {
            let udp = if encap == Encap::Udp { 8 } else { 0 };
            1500 - ip - udp - header(encap, "", sublayer).size() - 14
        };
        assert_eq!(room(Encap::Udp, Sublayer::Default, 20), 1446);
        assert_eq!(room(Encap::Udp, Sublayer::Default, 40), 1426);
        assert_eq!(room(Encap::Udp, Sublayer::None, 20), 1450);
        assert_eq!(room(Encap::Ip, Sublayer::Default, 20), 1458);
        assert_eq!(room(Encap::Ip, Sublayer::None, 40), 1442);
    }

    #[test]
    fn reserved_bits_are_ignored() {
        let header = header(Encap::Udp, "", Sublayer::Default);
        let packet = hex("7ff3ffff 12345678 bf000001");
        assert_eq!(header.accept(&packet).unwrap().sequence, None);
    }

    #[test]
    fn sequences() {
        let mut sequence = Sequence::default();
        let mut accepted = |numbers: &[u32]| {
            let one = |number: &u32| {
                let is_taken = sequence.accept(*number);
                assert_eq!(Sequence::from_bits(sequence.to_bits()), sequence);
                is_taken
            };
            numbers.iter().map(one).collect::<Vec<_>>()
        };
        assert_eq!(
            accepted(&[SEQUENCE_MASK, 0, 1, 1, 0, 3, 2, 3]),
            [true, true, true, false, false, false, true, true]
        );
        // A gap: the fifth that follows the first stray is taken, and all after it.
        assert_eq!(
            accepted(&[10, 11, 12, 13, 14, 15, 16]),
            [false, false, false, false, false, true, true]
        );
        // Old ones are no sign of a new start.
        assert_eq!(
            accepted(&[1, 2, 3, 4, 5, 6, 7, 8, 17]),
            [false, false, false, false, false, false, false, false, true]
        );
    }

    #[test]
    fn cookies_have_three_sizes() {
        for size in 0..10 {
            assert_eq!(
                Cookie::new(&vec![1; size]).is_some(),
                matches!(size, 0 | 4 | 8)
            );
        }
    }

    proptest! {
        #[test]
        fn emit_then_accept(udp: bool, id in 1u32.., size in 0usize..3, noise: [u8; 8], sublayer: bool, sequence: Option<u32>) {
            let header = Header {
                encap: if udp { Encap::Udp } else { Encap::Ip },
                session: id,
                cookie: Cookie::new(&noise[..size * 4]).unwrap(),
                sublayer: if sublayer { Sublayer::Default } else { Sublayer::None },
            };
            let mut packet = vec![0xa5; header.size() + 3];
            header.emit(sequence, &mut packet).unwrap();
            let accepted = header.accept(&packet).unwrap();
            prop_assert_eq!(accepted.payload, &[0xa5; 3]);
            prop_assert_eq!(accepted.sequence, sequence.filter(|_| sublayer).map(|n| n & SEQUENCE_MASK));
            prop_assert!(header.emit(sequence, &mut packet[..header.size() - 1]).is_none());
        }

        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..32), udp: bool, id: u32) {
            let encap = if udp { Encap::Udp } else { Encap::Ip };
            let _ = session(encap, &noise);
            let _ = Header { session: id, ..header(encap, "deadbeef", Sublayer::Default) }.accept(&noise);
        }
    }
}
