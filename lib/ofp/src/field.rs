//! The table of match fields: one row says a field's names, its place in the key, how it is written,
//! what it requires and its wire ids. Wire, text and documentation are driven by this table alone.

use crate::key::{Match, Place, word};

/// How a field's value is written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Format {
    Decimal,
    Hex,
    Ethernet,
    Ipv4,
    Ipv6,
    /// A 16-bit OpenFlow 1.0 port: name or number.
    Port10,
    /// A 32-bit OpenFlow 1.1+ port: name or number.
    Port,
    /// `no`, `yes`, `first`, `later`, `not_later`.
    Frag,
    /// `+syn-ack`, or hexadecimal.
    TcpFlags,
    /// `oam`.
    TunnelFlags,
    /// `(ns,type)`.
    PacketType,
    /// The name of a [`packet::bpdu::Kind`], or its number.
    BpduType,
}

/// What a match must say before this field means anything (OpenFlow 1.3.5 section 7.2.3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Prereq {
    None,
    /// The packet is an Ethernet frame: no other packet type is matched.
    Ethernet,
    /// A VLAN tag is present.
    Vlan,
    Mpls,
    /// A PBB service instance header.
    Pbb,
    Arp,
    Ipv4,
    Ipv6,
    /// IPv4 or IPv6.
    Ip,
    Tcp,
    Udp,
    Sctp,
    Icmp4,
    Icmp6,
    /// ICMPv6 types 135 and 136.
    Nd,
    /// ICMPv6 type 135.
    NdSolicit,
    /// ICMPv6 type 136.
    NdAdvert,
}

/// A wire id: `class` and `field` of an NXM or OXM header; `experimenter` when `class` is 0xffff.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id {
    /// 0x0000 and 0x0001: NXM; 0x8000: OXM; 0xffff: experimenter.
    pub class: u16,
    /// 7 bits.
    pub field: u8,
    /// Experimenter id; 0 outside class 0xffff.
    pub experimenter: u32,
    /// Bytes of the value on the wire.
    pub size: u8,
}

/// ONF's experimenter id, used by OXM extension fields.
pub const ONF: u32 = 0x4f4e4600;
/// Nicira's vendor id.
pub const NICIRA: u32 = 0x00002320;
/// The experimenter id of our own actions and fields ("TSUN" in ASCII; OpenFlow 1.3.5 section 7.2.3.8
/// leaves ids above 0x00ffffff to the ONF, ours is not registered).
pub const TSUNAGI: u32 = 0x5453554e;

const NONE: Option<Id> = None;
const fn nxm0(field: u8, size: u8) -> Option<Id> {
    Some(Id {
        class: 0,
        field,
        experimenter: 0,
        size,
    })
}
const fn nxm1(field: u8, size: u8) -> Option<Id> {
    Some(Id {
        class: 1,
        field,
        experimenter: 0,
        size,
    })
}
const fn oxm(field: u8, size: u8) -> Option<Id> {
    Some(Id {
        class: 0x8000,
        field,
        experimenter: 0,
        size,
    })
}
const fn onf(field: u8, size: u8) -> Option<Id> {
    Some(Id {
        class: 0xffff,
        field,
        experimenter: ONF,
        size,
    })
}
/// OXM "packet registers", class 0x8001.
const fn pkt_reg(field: u8, size: u8) -> Option<Id> {
    Some(Id {
        class: 0x8001,
        field,
        experimenter: 0,
        size,
    })
}
/// Nicira's experimenter class.
const fn nxet(field: u8, size: u8) -> Option<Id> {
    Some(Id {
        class: 0xffff,
        field,
        experimenter: NICIRA,
        size,
    })
}
/// Ericsson's class, 0x1000.
const fn eric(field: u8, size: u8) -> Option<Id> {
    Some(Id {
        class: 0x1000,
        field,
        experimenter: 0,
        size,
    })
}
const fn ours(field: u8, size: u8) -> Option<Id> {
    Some(Id {
        class: 0xffff,
        field,
        experimenter: TSUNAGI,
        size,
    })
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The field.
    pub field: Field,
    /// Name as written in a match.
    pub name: &'static str,
    /// Second accepted name, or "".
    pub alias: &'static str,
    /// Where it lies in the key.
    pub place: Place,
    /// How values are written.
    pub format: Format,
    /// What must be matched first.
    pub prereq: Prereq,
    /// Arbitrary masks allowed.
    pub maskable: bool,
    /// Actions may write it.
    pub writable: bool,
    /// Nicira extensible match id.
    pub nxm: Option<Id>,
    /// OpenFlow extensible match id.
    pub oxm: Option<Id>,
    /// First OpenFlow wire version (0x03 = 1.2) whose standard has the OXM id; 0: extension.
    pub oxm_since: u8,
}

macro_rules! fields {
    ($($variant:ident $name:literal $alias:literal ($w:expr, $shift:literal, $width:literal)
       $format:ident $prereq:ident $mask:ident $access:ident $nxm:expr, $oxm:expr, $since:literal;)*) => {
        /// A match field.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "the table says it")]
        pub enum Field { $($variant),* }

        /// The table, in the order of the enum.
        pub const FIELDS: &[Row] = &[$(Row {
            field: Field::$variant, name: $name, alias: $alias, place: Place::new($w, $shift, $width),
            format: Format::$format, prereq: Prereq::$prereq,
            maskable: fields!(@mask $mask), writable: fields!(@access $access),
            nxm: $nxm, oxm: $oxm, oxm_since: $since,
        }),*];
    };
    (@mask mask) => { true };
    (@mask exact) => { false };
    (@access rw) => { true };
    (@access ro) => { false };
}

// Name, alias, place in the key (word, shift, bits), text form, prerequisite, mask, access, NXM id, OXM id, since.
// Rows that share a place are the same bits under other names.
fields! {
    DpHash       "dp_hash"       ""           (word::MARK, 0, 32)           Hex         None      mask  ro nxm1(35, 4),  NONE, 0;
    RecircId     "recirc_id"     ""           (word::CONJ, 0, 32)           Decimal     None      exact ro nxm1(36, 4),  NONE, 0;
    PacketType   "packet_type"   ""           (word::PACKET_TYPE, 32, 32)   PacketType  None      exact ro NONE,         oxm(44, 4), 6;
    ConjId       "conj_id"       ""           (word::CONJ, 32, 32)          Decimal     None      exact ro nxm1(37, 4),  NONE, 0;
    TunId        "tun_id"        "tunnel_id"  (word::TUN_ID, 0, 64)         Hex         None      mask  rw nxm1(16, 8),  oxm(38, 8), 4;
    TunSrc       "tun_src"       ""           (word::TUN_IPV4, 32, 32)      Ipv4        None      mask  rw nxm1(31, 4),  NONE, 0;
    TunDst       "tun_dst"       ""           (word::TUN_IPV4, 0, 32)       Ipv4        None      mask  rw nxm1(32, 4),  NONE, 0;
    TunIpv6Src   "tun_ipv6_src"  ""           (word::TUN_IPV6_SRC, 0, 128)  Ipv6        None      mask  rw nxm1(109, 16), NONE, 0;
    TunIpv6Dst   "tun_ipv6_dst"  ""           (word::TUN_IPV6_DST, 0, 128)  Ipv6        None      mask  rw nxm1(110, 16), NONE, 0;
    TunFlags     "tun_flags"     ""           (word::TUN_META, 32, 1)       TunnelFlags None      mask  rw nxm1(104, 2), NONE, 0;
    TunTtl       "tun_ttl"       ""           (word::TUN_META, 24, 8)       Decimal     None      exact ro NONE,         NONE, 0;
    TunTos       "tun_tos"       ""           (word::TUN_META, 16, 8)       Decimal     None      exact ro NONE,         NONE, 0;
    TunGbpId     "tun_gbp_id"    ""           (word::TUN_META, 48, 16)      Decimal     None      mask  rw nxm1(38, 2),  NONE, 0;
    TunGbpFlags  "tun_gbp_flags" ""           (word::TUN_META, 8, 8)        Hex         None      mask  rw nxm1(39, 1),  NONE, 0;
    TunMetadata0   "tun_metadata0" "" (word::VIRTUAL, 0, 128) Hex None mask rw nxm1(40, 16), NONE, 0;
    TunMetadata1   "tun_metadata1" "" (word::VIRTUAL + 2, 0, 128) Hex None mask rw nxm1(41, 16), NONE, 0;
    TunMetadata2   "tun_metadata2" "" (word::VIRTUAL + 4, 0, 128) Hex None mask rw nxm1(42, 16), NONE, 0;
    TunMetadata3   "tun_metadata3" "" (word::VIRTUAL + 6, 0, 128) Hex None mask rw nxm1(43, 16), NONE, 0;
    TunMetadata4   "tun_metadata4" "" (word::VIRTUAL + 8, 0, 128) Hex None mask rw nxm1(44, 16), NONE, 0;
    TunMetadata5   "tun_metadata5" "" (word::VIRTUAL + 10, 0, 128) Hex None mask rw nxm1(45, 16), NONE, 0;
    TunMetadata6   "tun_metadata6" "" (word::VIRTUAL + 12, 0, 128) Hex None mask rw nxm1(46, 16), NONE, 0;
    TunMetadata7   "tun_metadata7" "" (word::VIRTUAL + 14, 0, 128) Hex None mask rw nxm1(47, 16), NONE, 0;
    TunMetadata8   "tun_metadata8" "" (word::VIRTUAL + 16, 0, 128) Hex None mask rw nxm1(48, 16), NONE, 0;
    TunMetadata9   "tun_metadata9" "" (word::VIRTUAL + 18, 0, 128) Hex None mask rw nxm1(49, 16), NONE, 0;
    TunMetadata10  "tun_metadata10" "" (word::VIRTUAL + 20, 0, 128) Hex None mask rw nxm1(50, 16), NONE, 0;
    TunMetadata11  "tun_metadata11" "" (word::VIRTUAL + 22, 0, 128) Hex None mask rw nxm1(51, 16), NONE, 0;
    TunMetadata12  "tun_metadata12" "" (word::VIRTUAL + 24, 0, 128) Hex None mask rw nxm1(52, 16), NONE, 0;
    TunMetadata13  "tun_metadata13" "" (word::VIRTUAL + 26, 0, 128) Hex None mask rw nxm1(53, 16), NONE, 0;
    TunMetadata14  "tun_metadata14" "" (word::VIRTUAL + 28, 0, 128) Hex None mask rw nxm1(54, 16), NONE, 0;
    TunMetadata15  "tun_metadata15" "" (word::VIRTUAL + 30, 0, 128) Hex None mask rw nxm1(55, 16), NONE, 0;
    TunMetadata16  "tun_metadata16" "" (word::VIRTUAL + 32, 0, 128) Hex None mask rw nxm1(56, 16), NONE, 0;
    TunMetadata17  "tun_metadata17" "" (word::VIRTUAL + 34, 0, 128) Hex None mask rw nxm1(57, 16), NONE, 0;
    TunMetadata18  "tun_metadata18" "" (word::VIRTUAL + 36, 0, 128) Hex None mask rw nxm1(58, 16), NONE, 0;
    TunMetadata19  "tun_metadata19" "" (word::VIRTUAL + 38, 0, 128) Hex None mask rw nxm1(59, 16), NONE, 0;
    TunMetadata20  "tun_metadata20" "" (word::VIRTUAL + 40, 0, 128) Hex None mask rw nxm1(60, 16), NONE, 0;
    TunMetadata21  "tun_metadata21" "" (word::VIRTUAL + 42, 0, 128) Hex None mask rw nxm1(61, 16), NONE, 0;
    TunMetadata22  "tun_metadata22" "" (word::VIRTUAL + 44, 0, 128) Hex None mask rw nxm1(62, 16), NONE, 0;
    TunMetadata23  "tun_metadata23" "" (word::VIRTUAL + 46, 0, 128) Hex None mask rw nxm1(63, 16), NONE, 0;
    TunMetadata24  "tun_metadata24" "" (word::VIRTUAL + 48, 0, 128) Hex None mask rw nxm1(64, 16), NONE, 0;
    TunMetadata25  "tun_metadata25" "" (word::VIRTUAL + 50, 0, 128) Hex None mask rw nxm1(65, 16), NONE, 0;
    TunMetadata26  "tun_metadata26" "" (word::VIRTUAL + 52, 0, 128) Hex None mask rw nxm1(66, 16), NONE, 0;
    TunMetadata27  "tun_metadata27" "" (word::VIRTUAL + 54, 0, 128) Hex None mask rw nxm1(67, 16), NONE, 0;
    TunMetadata28  "tun_metadata28" "" (word::VIRTUAL + 56, 0, 128) Hex None mask rw nxm1(68, 16), NONE, 0;
    TunMetadata29  "tun_metadata29" "" (word::VIRTUAL + 58, 0, 128) Hex None mask rw nxm1(69, 16), NONE, 0;
    TunMetadata30  "tun_metadata30" "" (word::VIRTUAL + 60, 0, 128) Hex None mask rw nxm1(70, 16), NONE, 0;
    TunMetadata31  "tun_metadata31" "" (word::VIRTUAL + 62, 0, 128) Hex None mask rw nxm1(71, 16), NONE, 0;
    TunMetadata32  "tun_metadata32" "" (word::VIRTUAL + 64, 0, 128) Hex None mask rw nxm1(72, 16), NONE, 0;
    TunMetadata33  "tun_metadata33" "" (word::VIRTUAL + 66, 0, 128) Hex None mask rw nxm1(73, 16), NONE, 0;
    TunMetadata34  "tun_metadata34" "" (word::VIRTUAL + 68, 0, 128) Hex None mask rw nxm1(74, 16), NONE, 0;
    TunMetadata35  "tun_metadata35" "" (word::VIRTUAL + 70, 0, 128) Hex None mask rw nxm1(75, 16), NONE, 0;
    TunMetadata36  "tun_metadata36" "" (word::VIRTUAL + 72, 0, 128) Hex None mask rw nxm1(76, 16), NONE, 0;
    TunMetadata37  "tun_metadata37" "" (word::VIRTUAL + 74, 0, 128) Hex None mask rw nxm1(77, 16), NONE, 0;
    TunMetadata38  "tun_metadata38" "" (word::VIRTUAL + 76, 0, 128) Hex None mask rw nxm1(78, 16), NONE, 0;
    TunMetadata39  "tun_metadata39" "" (word::VIRTUAL + 78, 0, 128) Hex None mask rw nxm1(79, 16), NONE, 0;
    TunMetadata40  "tun_metadata40" "" (word::VIRTUAL + 80, 0, 128) Hex None mask rw nxm1(80, 16), NONE, 0;
    TunMetadata41  "tun_metadata41" "" (word::VIRTUAL + 82, 0, 128) Hex None mask rw nxm1(81, 16), NONE, 0;
    TunMetadata42  "tun_metadata42" "" (word::VIRTUAL + 84, 0, 128) Hex None mask rw nxm1(82, 16), NONE, 0;
    TunMetadata43  "tun_metadata43" "" (word::VIRTUAL + 86, 0, 128) Hex None mask rw nxm1(83, 16), NONE, 0;
    TunMetadata44  "tun_metadata44" "" (word::VIRTUAL + 88, 0, 128) Hex None mask rw nxm1(84, 16), NONE, 0;
    TunMetadata45  "tun_metadata45" "" (word::VIRTUAL + 90, 0, 128) Hex None mask rw nxm1(85, 16), NONE, 0;
    TunMetadata46  "tun_metadata46" "" (word::VIRTUAL + 92, 0, 128) Hex None mask rw nxm1(86, 16), NONE, 0;
    TunMetadata47  "tun_metadata47" "" (word::VIRTUAL + 94, 0, 128) Hex None mask rw nxm1(87, 16), NONE, 0;
    TunMetadata48  "tun_metadata48" "" (word::VIRTUAL + 96, 0, 128) Hex None mask rw nxm1(88, 16), NONE, 0;
    TunMetadata49  "tun_metadata49" "" (word::VIRTUAL + 98, 0, 128) Hex None mask rw nxm1(89, 16), NONE, 0;
    TunMetadata50  "tun_metadata50" "" (word::VIRTUAL + 100, 0, 128) Hex None mask rw nxm1(90, 16), NONE, 0;
    TunMetadata51  "tun_metadata51" "" (word::VIRTUAL + 102, 0, 128) Hex None mask rw nxm1(91, 16), NONE, 0;
    TunMetadata52  "tun_metadata52" "" (word::VIRTUAL + 104, 0, 128) Hex None mask rw nxm1(92, 16), NONE, 0;
    TunMetadata53  "tun_metadata53" "" (word::VIRTUAL + 106, 0, 128) Hex None mask rw nxm1(93, 16), NONE, 0;
    TunMetadata54  "tun_metadata54" "" (word::VIRTUAL + 108, 0, 128) Hex None mask rw nxm1(94, 16), NONE, 0;
    TunMetadata55  "tun_metadata55" "" (word::VIRTUAL + 110, 0, 128) Hex None mask rw nxm1(95, 16), NONE, 0;
    TunMetadata56  "tun_metadata56" "" (word::VIRTUAL + 112, 0, 128) Hex None mask rw nxm1(96, 16), NONE, 0;
    TunMetadata57  "tun_metadata57" "" (word::VIRTUAL + 114, 0, 128) Hex None mask rw nxm1(97, 16), NONE, 0;
    TunMetadata58  "tun_metadata58" "" (word::VIRTUAL + 116, 0, 128) Hex None mask rw nxm1(98, 16), NONE, 0;
    TunMetadata59  "tun_metadata59" "" (word::VIRTUAL + 118, 0, 128) Hex None mask rw nxm1(99, 16), NONE, 0;
    TunMetadata60  "tun_metadata60" "" (word::VIRTUAL + 120, 0, 128) Hex None mask rw nxm1(100, 16), NONE, 0;
    TunMetadata61  "tun_metadata61" "" (word::VIRTUAL + 122, 0, 128) Hex None mask rw nxm1(101, 16), NONE, 0;
    TunMetadata62  "tun_metadata62" "" (word::VIRTUAL + 124, 0, 128) Hex None mask rw nxm1(102, 16), NONE, 0;
    TunMetadata63  "tun_metadata63" "" (word::VIRTUAL + 126, 0, 128) Hex None mask rw nxm1(103, 16), NONE, 0;
    Metadata     "metadata"      ""           (word::METADATA, 0, 64)       Hex         None      mask  rw NONE,         oxm(2, 8), 3;
    InPort       "in_port"       ""           (word::IN_PORT, 32, 32)       Port10      None      exact rw nxm0(0, 2),   NONE, 0;
    InPortOxm    "in_port_oxm"   ""           (word::IN_PORT, 32, 32)       Port        None      exact rw NONE,         oxm(0, 4), 3;
    ActsetOutput "actset_output" ""           (word::IN_PORT, 0, 32)        Port        None      exact ro NONE,         onf(43, 4), 4;
    SkbPriority  "skb_priority"  ""           (word::PACKET_TYPE, 0, 32)    Hex         None      exact ro NONE,         NONE, 0;
    PktMark      "pkt_mark"      ""           (word::MARK, 32, 32)          Hex         None      mask  rw nxm1(33, 4),  NONE, 0;
    Reg0         "reg0"          ""           (word::REG, 32, 32)           Hex         None      mask  rw nxm1(0, 4),   NONE, 0;
    Reg1         "reg1"          ""           (word::REG, 0, 32)            Hex         None      mask  rw nxm1(1, 4),   NONE, 0;
    Reg2         "reg2"          ""           (word::REG + 1, 32, 32)       Hex         None      mask  rw nxm1(2, 4),   NONE, 0;
    Reg3         "reg3"          ""           (word::REG + 1, 0, 32)        Hex         None      mask  rw nxm1(3, 4),   NONE, 0;
    Reg4         "reg4"          ""           (word::REG + 2, 32, 32)       Hex         None      mask  rw nxm1(4, 4),   NONE, 0;
    Reg5         "reg5"          ""           (word::REG + 2, 0, 32)        Hex         None      mask  rw nxm1(5, 4),   NONE, 0;
    Reg6         "reg6"          ""           (word::REG + 3, 32, 32)       Hex         None      mask  rw nxm1(6, 4),   NONE, 0;
    Reg7         "reg7"          ""           (word::REG + 3, 0, 32)        Hex         None      mask  rw nxm1(7, 4),   NONE, 0;
    Reg8         "reg8"          ""           (word::REG + 4, 32, 32)       Hex         None      mask  rw nxm1(8, 4),   NONE, 0;
    Reg9         "reg9"          ""           (word::REG + 4, 0, 32)        Hex         None      mask  rw nxm1(9, 4),   NONE, 0;
    Reg10        "reg10"         ""           (word::REG + 5, 32, 32)       Hex         None      mask  rw nxm1(10, 4),  NONE, 0;
    Reg11        "reg11"         ""           (word::REG + 5, 0, 32)        Hex         None      mask  rw nxm1(11, 4),  NONE, 0;
    Reg12        "reg12"         ""           (word::REG + 6, 32, 32)       Hex         None      mask  rw nxm1(12, 4),  NONE, 0;
    Reg13        "reg13"         ""           (word::REG + 6, 0, 32)        Hex         None      mask  rw nxm1(13, 4),  NONE, 0;
    Reg14        "reg14"         ""           (word::REG + 7, 32, 32)       Hex         None      mask  rw nxm1(14, 4),  NONE, 0;
    Reg15        "reg15"         ""           (word::REG + 7, 0, 32)        Hex         None      mask  rw nxm1(15, 4),  NONE, 0;
    Reg16        "reg16"        ""           (word::REG + 8, 32, 32)        Hex         None      mask  rw NONE,         nxet(17, 4), 0;
    Reg17        "reg17"        ""           (word::REG + 8, 0, 32)        Hex         None      mask  rw NONE,         nxet(18, 4), 0;
    Reg18        "reg18"        ""           (word::REG + 9, 32, 32)        Hex         None      mask  rw NONE,         nxet(19, 4), 0;
    Reg19        "reg19"        ""           (word::REG + 9, 0, 32)        Hex         None      mask  rw NONE,         nxet(20, 4), 0;
    Reg20        "reg20"        ""           (word::REG + 10, 32, 32)        Hex         None      mask  rw NONE,         nxet(21, 4), 0;
    Reg21        "reg21"        ""           (word::REG + 10, 0, 32)        Hex         None      mask  rw NONE,         nxet(22, 4), 0;
    Reg22        "reg22"        ""           (word::REG + 11, 32, 32)        Hex         None      mask  rw NONE,         nxet(23, 4), 0;
    Reg23        "reg23"        ""           (word::REG + 11, 0, 32)        Hex         None      mask  rw NONE,         nxet(24, 4), 0;
    Reg24        "reg24"        ""           (word::REG + 12, 32, 32)        Hex         None      mask  rw NONE,         nxet(25, 4), 0;
    Reg25        "reg25"        ""           (word::REG + 12, 0, 32)        Hex         None      mask  rw NONE,         nxet(26, 4), 0;
    Reg26        "reg26"        ""           (word::REG + 13, 32, 32)        Hex         None      mask  rw NONE,         nxet(27, 4), 0;
    Reg27        "reg27"        ""           (word::REG + 13, 0, 32)        Hex         None      mask  rw NONE,         nxet(28, 4), 0;
    Reg28        "reg28"        ""           (word::REG + 14, 32, 32)        Hex         None      mask  rw NONE,         nxet(29, 4), 0;
    Reg29        "reg29"        ""           (word::REG + 14, 0, 32)        Hex         None      mask  rw NONE,         nxet(30, 4), 0;
    Reg30        "reg30"        ""           (word::REG + 15, 32, 32)        Hex         None      mask  rw NONE,         nxet(31, 4), 0;
    Reg31        "reg31"        ""           (word::REG + 15, 0, 32)        Hex         None      mask  rw NONE,         nxet(32, 4), 0;
    Xreg0        "xreg0"         ""           (word::REG, 0, 64)            Hex         None      mask  rw NONE,         pkt_reg(0, 8), 4;
    Xreg1        "xreg1"         ""           (word::REG + 1, 0, 64)        Hex         None      mask  rw NONE,         pkt_reg(1, 8), 4;
    Xreg2        "xreg2"         ""           (word::REG + 2, 0, 64)        Hex         None      mask  rw NONE,         pkt_reg(2, 8), 4;
    Xreg3        "xreg3"         ""           (word::REG + 3, 0, 64)        Hex         None      mask  rw NONE,         pkt_reg(3, 8), 4;
    Xreg4        "xreg4"         ""           (word::REG + 4, 0, 64)        Hex         None      mask  rw NONE,         pkt_reg(4, 8), 4;
    Xreg5        "xreg5"         ""           (word::REG + 5, 0, 64)        Hex         None      mask  rw NONE,         pkt_reg(5, 8), 4;
    Xreg6        "xreg6"         ""           (word::REG + 6, 0, 64)        Hex         None      mask  rw NONE,         pkt_reg(6, 8), 4;
    Xreg7        "xreg7"         ""           (word::REG + 7, 0, 64)        Hex         None      mask  rw NONE,         pkt_reg(7, 8), 4;
    Xreg8        "xreg8"       ""           (word::REG + 8, 0, 64)        Hex         None      mask  rw NONE,         pkt_reg(8, 8), 4;
    Xreg9        "xreg9"       ""           (word::REG + 9, 0, 64)        Hex         None      mask  rw NONE,         pkt_reg(9, 8), 4;
    Xreg10       "xreg10"       ""           (word::REG + 10, 0, 64)        Hex         None      mask  rw NONE,         pkt_reg(10, 8), 4;
    Xreg11       "xreg11"       ""           (word::REG + 11, 0, 64)        Hex         None      mask  rw NONE,         pkt_reg(11, 8), 4;
    Xreg12       "xreg12"       ""           (word::REG + 12, 0, 64)        Hex         None      mask  rw NONE,         pkt_reg(12, 8), 4;
    Xreg13       "xreg13"       ""           (word::REG + 13, 0, 64)        Hex         None      mask  rw NONE,         pkt_reg(13, 8), 4;
    Xreg14       "xreg14"       ""           (word::REG + 14, 0, 64)        Hex         None      mask  rw NONE,         pkt_reg(14, 8), 4;
    Xreg15       "xreg15"       ""           (word::REG + 15, 0, 64)        Hex         None      mask  rw NONE,         pkt_reg(15, 8), 4;
    Xxreg0       "xxreg0"       ""           (word::REG, 0, 128)       Hex         None      mask  rw nxm1(111, 16), NONE, 0;
    Xxreg1       "xxreg1"       ""           (word::REG + 2, 0, 128)       Hex         None      mask  rw nxm1(112, 16), NONE, 0;
    Xxreg2       "xxreg2"       ""           (word::REG + 4, 0, 128)       Hex         None      mask  rw nxm1(113, 16), NONE, 0;
    Xxreg3       "xxreg3"       ""           (word::REG + 6, 0, 128)       Hex         None      mask  rw nxm1(114, 16), NONE, 0;
    Xxreg4       "xxreg4"       ""           (word::REG + 8, 0, 128)       Hex         None      mask  rw NONE, nxet(33, 16), 0;
    Xxreg5       "xxreg5"       ""           (word::REG + 10, 0, 128)       Hex         None      mask  rw NONE, nxet(34, 16), 0;
    Xxreg6       "xxreg6"       ""           (word::REG + 12, 0, 128)       Hex         None      mask  rw NONE, nxet(35, 16), 0;
    Xxreg7       "xxreg7"       ""           (word::REG + 14, 0, 128)       Hex         None      mask  rw NONE, nxet(36, 16), 0;
    EthSrc       "eth_src"       "dl_src"     (word::ETH_SRC, 16, 48)       Ethernet    Ethernet  mask  rw nxm0(2, 6),   oxm(4, 6), 3;
    EthDst       "eth_dst"       "dl_dst"     (word::ETH_DST, 16, 48)       Ethernet    Ethernet  mask  rw nxm0(1, 6),   oxm(3, 6), 3;
    EthType      "eth_type"      "dl_type"    (word::ETH_DST, 0, 16)        Hex         Ethernet  exact ro nxm0(3, 2),   oxm(5, 2), 3;
    VlanTci      "vlan_tci"      ""           (word::ETH_SRC, 0, 16)        Hex         Ethernet  mask  rw nxm0(4, 2),   NONE, 0;
    VlanVid      "vlan_vid"      ""           (word::ETH_SRC, 0, 13)        Decimal     Ethernet  mask  rw NONE,         oxm(6, 2), 3;
    VlanPcp      "vlan_pcp"      ""           (word::ETH_SRC, 13, 3)        Decimal     Vlan      exact rw NONE,         oxm(7, 1), 3;
    MplsLabel    "mpls_label"    ""           (word::MPLS, 44, 20)          Decimal     Mpls      exact rw NONE,         oxm(34, 4), 3;
    MplsTc       "mpls_tc"       ""           (word::MPLS, 41, 3)           Decimal     Mpls      exact rw NONE,         oxm(35, 1), 3;
    MplsBos      "mpls_bos"      ""           (word::MPLS, 40, 1)           Decimal     Mpls      exact ro NONE,         oxm(36, 1), 4;
    MplsTtl      "mpls_ttl"      ""           (word::MPLS, 32, 8)           Decimal     Mpls      exact rw nxm1(30, 1),  NONE, 0;
    PbbIsid      "pbb_isid"      ""           (word::MPLS3, 0, 24)          Decimal     Pbb       mask  rw NONE,         oxm(37, 3), 4;
    PbbUca       "pbb_uca"       ""           (word::MPLS3, 24, 1)          Decimal     Pbb       exact rw NONE,         oxm(41, 1), 5;
    IpSrc        "ip_src"        "nw_src"     (word::IPV4, 32, 32)          Ipv4        Ipv4      mask  rw nxm0(7, 4),   oxm(11, 4), 3;
    IpDst        "ip_dst"        "nw_dst"     (word::IPV4, 0, 32)           Ipv4        Ipv4      mask  rw nxm0(8, 4),   oxm(12, 4), 3;
    Ipv6Src      "ipv6_src"      ""           (word::IPV6_SRC, 0, 128)      Ipv6        Ipv6      mask  rw nxm1(19, 16), oxm(26, 16), 3;
    Ipv6Dst      "ipv6_dst"      ""           (word::IPV6_DST, 0, 128)      Ipv6        Ipv6      mask  rw nxm1(20, 16), oxm(27, 16), 3;
    Ipv6Label    "ipv6_label"    ""           (word::IP, 0, 20)             Hex         Ipv6      mask  rw nxm1(27, 4),  oxm(28, 4), 3;
    Ipv6Exthdr   "ipv6_exthdr"   ""           (word::L4, 0, 9)              Hex         Ipv6      mask  ro NONE,         oxm(39, 2), 4;
    IpProto      "nw_proto"      "ip_proto"   (word::IP, 56, 8)             Decimal     Ip        exact ro nxm0(6, 1),   oxm(10, 1), 3;
    IpTos        "nw_tos"        ""           (word::IP, 48, 8)             Decimal     Ip        exact rw nxm0(5, 1),   NONE, 0;
    IpDscp       "ip_dscp"       ""           (word::IP, 50, 6)             Decimal     Ip        exact rw NONE,         oxm(8, 1), 3;
    IpEcn        "nw_ecn"        "ip_ecn"     (word::IP, 48, 2)             Decimal     Ip        exact rw nxm1(28, 1),  oxm(9, 1), 3;
    IpTtl        "nw_ttl"        ""           (word::IP, 40, 8)             Decimal     Ip        exact rw nxm1(29, 1),  NONE, 0;
    IpFrag       "ip_frag"       "nw_frag"    (word::IP, 32, 2)             Frag        Ip        mask  ro nxm1(26, 1),  NONE, 0;
    ArpOp        "arp_op"        ""           (word::IP, 56, 8)             Decimal     Arp       exact rw nxm0(15, 2),  oxm(21, 2), 3;
    ArpSpa       "arp_spa"       ""           (word::IPV4, 32, 32)          Ipv4        Arp       mask  rw nxm0(16, 4),  oxm(22, 4), 3;
    ArpTpa       "arp_tpa"       ""           (word::IPV4, 0, 32)           Ipv4        Arp       mask  rw nxm0(17, 4),  oxm(23, 4), 3;
    ArpSha       "arp_sha"       ""           (word::ARP_SHA, 16, 48)       Ethernet    Arp       mask  rw nxm1(17, 6),  oxm(24, 6), 3;
    ArpTha       "arp_tha"       ""           (word::ARP_THA, 16, 48)       Ethernet    Arp       mask  rw nxm1(18, 6),  oxm(25, 6), 3;
    TcpSrc       "tcp_src"       "tp_src"     (word::L4, 48, 16)            Decimal     Tcp       mask  rw nxm0(9, 2),   oxm(13, 2), 3;
    TcpDst       "tcp_dst"       "tp_dst"     (word::L4, 32, 16)            Decimal     Tcp       mask  rw nxm0(10, 2),  oxm(14, 2), 3;
    TcpFlags     "tcp_flags"     ""           (word::L4, 16, 12)            TcpFlags    Tcp       mask  ro nxm1(34, 2),  onf(42, 2), 4;
    UdpSrc       "udp_src"       ""           (word::L4, 48, 16)            Decimal     Udp       mask  rw nxm0(11, 2),  oxm(15, 2), 3;
    UdpDst       "udp_dst"       ""           (word::L4, 32, 16)            Decimal     Udp       mask  rw nxm0(12, 2),  oxm(16, 2), 3;
    SctpSrc      "sctp_src"      ""           (word::L4, 48, 16)            Decimal     Sctp      mask  rw NONE,         oxm(17, 2), 3;
    SctpDst      "sctp_dst"      ""           (word::L4, 32, 16)            Decimal     Sctp      mask  rw NONE,         oxm(18, 2), 3;
    IcmpType     "icmp_type"     ""           (word::L4, 48, 8)             Decimal     Icmp4     exact rw nxm0(13, 1),  oxm(19, 1), 3;
    IcmpCode     "icmp_code"     ""           (word::L4, 32, 8)             Decimal     Icmp4     exact rw nxm0(14, 1),  oxm(20, 1), 3;
    Icmpv6Type   "icmpv6_type"   ""           (word::L4, 48, 8)             Decimal     Icmp6     exact rw nxm1(21, 1),  oxm(29, 1), 3;
    Icmpv6Code   "icmpv6_code"   ""           (word::L4, 32, 8)             Decimal     Icmp6     exact rw nxm1(22, 1),  oxm(30, 1), 3;
    NdTarget     "nd_target"     ""           (word::ND_TARGET, 0, 128)     Ipv6        Nd        mask  rw nxm1(23, 16), oxm(31, 16), 3;
    NdSll        "nd_sll"        ""           (word::ARP_SHA, 16, 48)       Ethernet    NdSolicit mask  rw nxm1(24, 6),  oxm(32, 6), 3;
    NdTll        "nd_tll"        ""           (word::ARP_THA, 16, 48)       Ethernet    NdAdvert  mask  rw nxm1(25, 6),  oxm(33, 6), 3;
    NdReserved   "nd_reserved"   ""           (word::ND_RESERVED, 32, 32)   Decimal     Nd        exact rw NONE,         eric(1, 4), 0;
    NdOptionsType "nd_options_type" ""        (word::ARP_THA, 8, 8)         Decimal     Nd        exact rw NONE,         eric(2, 1), 0;
    BpduType     "bpdu_type"     ""           (word::VLAN_INNER, 32, 8)     BpduType    None      exact ro NONE,         ours(1, 1), 0;
}

/// Fields that have a second OXM id, and since which wire version it is the one that is written
/// ([`u8::MAX`]: it is only read).
pub const SECOND_IDS: &[(Field, Id, u8)] = &[
    (Field::TcpFlags, second(0x8000, 42, 0, 2), 6),
    (Field::ActsetOutput, second(0x8000, 43, 0, 4), 6),
    (Field::DpHash, second(0xffff, 0, NICIRA, 4), u8::MAX),
];

const fn second(class: u16, field: u8, experimenter: u32, size: u8) -> Id {
    Id {
        class,
        field,
        experimenter,
        size,
    }
}

impl Field {
    /// The field's row.
    #[inline]
    pub const fn row(self) -> &'static Row {
        &FIELDS[self as usize]
    }
    /// Where the field lies in the key.
    #[inline]
    pub const fn place(self) -> Place {
        self.row().place
    }
}

impl Field {
    /// The bits that a match without a mask looks at: all of them, but for `nw_tos`, whose low two bits are `nw_ecn`.
    pub const fn full_mask(self) -> u128 {
        match self {
            Field::IpTos => 0xfc,
            _ => self.place().ones(),
        }
    }
    /// Whether it is one of the tunnel options, `tun_metadata0` to `tun_metadata63`.
    pub const fn is_tun_metadata(self) -> bool {
        self.place().word as usize >= word::VIRTUAL
    }
    /// The bit that says whether a packet has a tunnel option.
    pub const fn presence(self) -> Option<Place> {
        match self.is_tun_metadata() {
            true => {
                let number = (self.place().word as usize - word::VIRTUAL) / 2;
                Some(Place::new(word::TUN_PRESENT, number as u8, 1))
            }
            false => None,
        }
    }
    /// The largest value that packets have.
    pub const fn largest(self) -> u128 {
        match self {
            Field::BpduType => packet::bpdu::Kind::ALL.len() as u128 - 1,
            _ => self.full_mask(),
        }
    }
}

impl Prereq {
    /// Whether every packet that matches `matching` has the field.
    pub fn holds(self, matching: &Match) -> bool {
        let is = |field: Field, values: &[u128]| {
            let (value, mask) = matching.get(field.place());
            mask == field.place().ones() && values.contains(&value)
        };
        // What the packet is, by the frame's ether type or by the packet's own type.
        let (packet_type, typed) = matching.get(Field::PacketType.place());
        let is_type = |values: &[u128]| match typed != 0 && packet_type >> 16 != 0 {
            true => values.iter().any(|value| packet_type == 1 << 16 | value),
            false => is(Field::EthType, values),
        };
        let protocol =
            |network: Prereq, number| network.holds(matching) && is(Field::IpProto, &[number]);
        // As in Open vSwitch: ports are not asked for where there are none; ICMP's fields are, and are zero there.
        let ports = |number| {
            let later = u128::from(crate::key::FRAG_LATER);
            let (frag, _) = matching.get(Field::IpFrag.place());
            protocol(Prereq::Ip, number) && frag & later == 0
        };
        let nd = |types: &[u128]| Prereq::Icmp6.holds(matching) && is(Field::Icmpv6Type, types);
        match self {
            Prereq::None => true,
            Prereq::Ethernet => typed == 0 || packet_type == 0,
            Prereq::Vlan => {
                let present = u128::from(crate::key::VLAN_PRESENT);
                matching.get(Field::VlanTci.place()).0 & present != 0
            }
            Prereq::Pbb => is_type(&[0x88e7]),
            Prereq::Mpls => is_type(&[0x8847, 0x8848]),
            Prereq::Arp => is_type(&[0x0806, 0x8035]),
            Prereq::Ipv4 => is_type(&[0x0800]),
            Prereq::Ipv6 => is_type(&[0x86dd]),
            Prereq::Ip => is_type(&[0x0800, 0x86dd]),
            Prereq::Tcp => ports(6),
            Prereq::Udp => ports(17),
            Prereq::Sctp => ports(132),
            Prereq::Icmp4 => protocol(Prereq::Ipv4, 1),
            Prereq::Icmp6 => protocol(Prereq::Ipv6, 58),
            Prereq::Nd => nd(&[135, 136]),
            Prereq::NdSolicit => nd(&[135]),
            Prereq::NdAdvert => nd(&[136]),
        }
    }
}

/// A run of bits of a field, as in `reg0[4..7]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subfield {
    /// The field.
    pub field: Field,
    /// Lowest bit.
    pub start: u8,
    /// Bits, 1..=128.
    pub width: u8,
}

impl Subfield {
    /// The whole field, as actions see it: NXM_OF_IN_PORT and NXM_OF_ARP_OP have 16 bits,
    /// although the key has more or fewer, and the bit that says that there is a tag is no part of a VLAN id.
    pub const fn whole(field: Field) -> Subfield {
        let width = match field {
            Field::InPort | Field::ArpOp => 16,
            Field::VlanVid => 12,
            field => field.row().place.width,
        };
        Subfield {
            field,
            start: 0,
            width,
        }
    }
    /// The bits selected, as a mask of the field.
    #[inline]
    pub const fn mask(self) -> u128 {
        let ones = if self.width >= 128 {
            u128::MAX
        } else {
            (1u128 << self.width) - 1
        };
        ones << self.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_fragments_have_no_ports() {
        let mut matching = Match::default();
        matching.set(Field::EthType.place(), 0x0800, u128::MAX);
        matching.set(Field::IpFrag.place(), 3, 3);
        for (protocol, prereq, holds) in [(6, Prereq::Tcp, false), (1, Prereq::Icmp4, true)] {
            matching.set(Field::IpProto.place(), protocol, u128::MAX);
            assert_eq!(prereq.holds(&matching), holds, "{prereq:?}");
        }
    }

    #[test]
    fn rows_fit_their_words_and_stand_in_enum_order() {
        for (index, row) in FIELDS.iter().enumerate() {
            assert_eq!(row.field as usize, index);
            assert!(
                (row.place.word as usize) < crate::key::WORDS || row.field.is_tun_metadata(),
                "{}",
                row.name
            );
            if row.place.width > 64 {
                assert_eq!((row.place.shift, row.place.width), (0, 128), "{}", row.name);
            } else {
                assert!(row.place.shift + row.place.width <= 64, "{}", row.name);
            }
            for id in [row.nxm, row.oxm].into_iter().flatten() {
                assert!(u32::from(id.size) * 8 >= u32::from(row.place.width.min(id.size * 8)));
            }
        }
    }
}
