//! Protocol errors: one row per error, with its type and code in OpenFlow 1.0 and 1.3.
//! Decoding and the switch return these, so that `?` is the error reply.

use crate::types::Version;
use thiserror::Error;

macro_rules! errors {
    ($($variant:ident $name:literal $v10:expr, $v13:expr, $text:literal;)*) => {
        /// A protocol error.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
        #[allow(missing_docs, reason = "the table says it")]
        pub enum OfError {
            $(#[error($text)] $variant,)*
            /// An error with numbers that the table does not have.
            #[error("error type {kind} code {code}")]
            Other { kind: u16, code: u16 },
        }

        /// The table, in the order of the enum.
        pub const ERRORS: &[Row] =
            &[$(Row { error: OfError::$variant, name: $name, v10: $v10, v13: $v13 }),*];
    };
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The error.
    pub error: OfError,
    /// The specification's name.
    pub name: &'static str,
    /// Its numbers in OpenFlow 1.0; `None`: it cannot be said there.
    pub v10: Option<Number>,
    /// Its numbers in OpenFlow 1.3.
    pub v13: Option<Number>,
}

/// How an error is written in one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// The standard's type and code.
    Standard(u16, u16),
    /// Nicira's type and code (inside the type 0xb0c2).
    Nicira(u16, u16),
    /// Experimenter id and type (inside the type 0xffff, 1.2 and later).
    Experimenter(u32, u16),
}

impl Row {
    /// Its numbers in a version.
    pub const fn number(&self, version: Version) -> Option<Number> {
        match version {
            Version::V10 => self.v10,
            _ => self.v13,
        }
    }
}

impl OfError {
    /// The error's row; `None` for one that the table does not have.
    pub fn row(self) -> Option<&'static Row> {
        ERRORS.iter().find(|row| row.error == self)
    }
}

const fn at(kind: u16, code: u16) -> Option<Number> {
    Some(Number::Standard(kind, code))
}
const fn nx(kind: u16, code: u16) -> Option<Number> {
    Some(Number::Nicira(kind, code))
}
const fn onf(kind: u16) -> Option<Number> {
    Some(Number::Experimenter(crate::field::ONF, kind))
}
const fn nxe(kind: u16) -> Option<Number> {
    Some(Number::Experimenter(crate::field::NICIRA, kind))
}
const NO: Option<Number> = None;
/// What is said of an error that a version has no number for.
pub(crate) const UNENCODABLE: Number = Number::Nicira(1, 521);

// OpenFlow 1.0.2 section 5.4.4; OpenFlow 1.3.5 section 7.5.4.
errors! {
    HelloIncompatible       "OFPHFC_INCOMPATIBLE"                at(0, 0),    at(0, 0),   "no compatible version";
    BadVersion              "OFPBRC_BAD_VERSION"                 at(1, 0),    at(1, 0),   "version not supported";
    BadType                 "OFPBRC_BAD_TYPE"                    at(1, 1),    at(1, 1),   "message type not supported";
    BadStat                 "OFPBRC_BAD_STAT"                    at(1, 2),    at(1, 2),   "multipart type not supported";
    BadVendor               "OFPBRC_BAD_VENDOR"                  at(1, 3),    at(1, 3),   "experimenter not supported";
    BadSubtype              "OFPBRC_BAD_SUBTYPE"                 at(1, 4),    at(1, 4),   "experimenter type not supported";
    PermissionsError        "OFPBRC_EPERM"                       at(1, 5),    at(1, 5),   "not permitted";
    BadLength               "OFPBRC_BAD_LEN"                     at(1, 6),    at(1, 6),   "wrong message length";
    BufferEmpty             "OFPBRC_BUFFER_EMPTY"                at(1, 7),    at(1, 7),   "buffer already used";
    BufferUnknown           "OFPBRC_BUFFER_UNKNOWN"              at(1, 8),    at(1, 8),   "no such buffer";
    BadTableId              "OFPBRC_BAD_TABLE_ID"                nx(1, 512),  at(1, 9),   "no such table";
    IsSecondary             "OFPBRC_IS_SLAVE"                    at(1, 5),    at(1, 10),  "not permitted to a secondary controller";
    BadPort                 "OFPBRC_BAD_PORT"                    nx(1, 514),  at(1, 11),  "no such port";
    BadPacket               "OFPBRC_BAD_PACKET"                  NO,          at(1, 12),  "bad packet in packet-out";
    MultipartOverflow       "OFPBRC_MULTIPART_BUFFER_OVERFLOW"   NO,          at(1, 13),  "multipart request too large";
    Unencodable             "NXBRC_UNENCODABLE_ERROR"            Some(UNENCODABLE), NO,    "an error that this version of OpenFlow has no number for; a later one names it";
    ActionType              "OFPBAC_BAD_TYPE"                    at(2, 0),    at(2, 0),   "action type not supported";
    ActionLength            "OFPBAC_BAD_LEN"                     at(2, 1),    at(2, 1),   "wrong action length";
    ActionVendor            "OFPBAC_BAD_VENDOR"                  at(2, 2),    at(2, 2),   "action experimenter not supported";
    ActionSubtype           "OFPBAC_BAD_VENDOR_TYPE"             at(2, 3),    at(2, 3),   "experimenter action not supported";
    ActionOutPort           "OFPBAC_BAD_OUT_PORT"                at(2, 4),    at(2, 4),   "no such output port";
    ActionArgument          "OFPBAC_BAD_ARGUMENT"                at(2, 5),    at(2, 5),   "bad action argument";
    ActionPermissions       "OFPBAC_EPERM"                       at(2, 6),    at(2, 6),   "action not permitted";
    ActionTooMany           "OFPBAC_TOO_MANY"                    at(2, 7),    at(2, 7),   "too many actions";
    ActionQueue             "OFPBAC_BAD_QUEUE"                   at(2, 8),    at(2, 8),   "no such queue";
    ActionOutGroup          "OFPBAC_BAD_OUT_GROUP"               nx(2, 9),    at(2, 9),   "no such group";
    MatchInconsistent       "OFPBAC_MATCH_INCONSISTENT"          nx(1, 522),  at(2, 10),  "action needs a field that the match does not make sure of";
    UnsupportedOrder        "OFPBAC_UNSUPPORTED_ORDER"           NO,          at(2, 11),  "actions in an unsupported order";
    ActionTag               "OFPBAC_BAD_TAG"                     NO,          at(2, 12),  "unsupported tag";
    SetFieldType            "OFPBAC_BAD_SET_TYPE"                nx(1, 523),  at(2, 13),  "set-field does not know this field";
    SetFieldLength          "OFPBAC_BAD_SET_LEN"                 nx(1, 524),  at(2, 14),  "wrong set-field length";
    SetFieldArgument        "OFPBAC_BAD_SET_ARGUMENT"            nx(1, 525),  at(2, 15),  "bad set-field value";
    InstructionUnknown      "OFPBIC_UNKNOWN_INST"                NO,          at(3, 0),   "unknown instruction";
    InstructionUnsupported  "OFPBIC_UNSUP_INST"                  nx(2, 257),  at(3, 1),   "instruction not supported";
    InstructionTableId      "OFPBIC_BAD_TABLE_ID"                NO,          at(3, 2),   "goto cannot reach this table";
    InstructionMetadata     "OFPBIC_UNSUP_METADATA"              NO,          at(3, 3),   "metadata value not supported";
    InstructionMetadataMask "OFPBIC_UNSUP_METADATA_MASK"         NO,          at(3, 4),   "metadata mask not supported";
    InstructionVendor       "OFPBIC_BAD_EXPERIMENTER"            NO,          at(3, 5),   "instruction experimenter not supported";
    InstructionSubtype      "OFPBIC_BAD_EXP_TYPE"                NO,          at(3, 6),   "experimenter instruction not supported";
    InstructionLength       "OFPBIC_BAD_LEN"                     NO,          at(3, 7),   "wrong instruction length";
    InstructionDuplicate    "OFPBIC_DUP_INST"                    NO,          onf(2600),  "instruction given twice";
    MatchType               "OFPBMC_BAD_TYPE"                    NO,          at(4, 0),   "match type not supported";
    MatchLength             "OFPBMC_BAD_LEN"                     NO,          at(4, 1),   "wrong match length";
    MatchTag                "OFPBMC_BAD_TAG"                     NO,          at(4, 2),   "unsupported tag";
    MatchDlMask             "OFPBMC_BAD_DL_ADDR_MASK"            NO,          at(4, 3),   "unsupported Ethernet address mask";
    MatchNwMask             "OFPBMC_BAD_NW_ADDR_MASK"            NO,          at(4, 4),   "unsupported network address mask";
    MatchWildcards          "OFPBMC_BAD_WILDCARDS"               nx(1, 262),  at(4, 5),   "unsupported combination of wildcards";
    MatchField              "OFPBMC_BAD_FIELD"                   nx(0, 263),  at(4, 6),   "match field not supported";
    MatchValue              "OFPBMC_BAD_VALUE"                   nx(1, 258),  at(4, 7),   "bad value of a match field";
    MatchMask               "OFPBMC_BAD_MASK"                    nx(1, 259),  at(4, 8),   "unsupported mask of a match field";
    MatchPrerequisite       "OFPBMC_BAD_PREREQ"                  nx(1, 260),  at(4, 9),   "a match field's prerequisite is missing";
    MatchDuplicate          "OFPBMC_DUP_FIELD"                   nx(1, 261),  at(4, 10),  "match field given twice";
    FlowUnknown             "OFPFMFC_UNKNOWN"                    NO,          at(5, 0),   "flow cannot be changed";
    FlowTableFull           "OFPFMFC_TABLE_FULL"                 at(3, 0),    at(5, 1),   "table is full";
    FlowTableId             "OFPFMFC_BAD_TABLE_ID"               NO,          at(5, 2),   "no such table";
    FlowOverlap             "OFPFMFC_OVERLAP"                    at(3, 1),    at(5, 3),   "overlapping flow";
    FlowPermissions         "OFPFMFC_EPERM"                      at(3, 2),    at(5, 4),   "flow not permitted";
    FlowTimeout             "OFPFMFC_BAD_TIMEOUT"                NO,          at(5, 5),   "timeout not supported";
    FlowCommand             "OFPFMFC_BAD_COMMAND"                at(3, 4),    at(5, 6),   "unknown flow command";
    FlowFlags               "OFPFMFC_BAD_FLAGS"                  nx(3, 258),  at(5, 7),   "flow flags not supported";
    FlowEmergency           "OFPFMFC_BAD_EMERG_TIMEOUT"          at(3, 3),    NO,         "emergency flow with a timeout";
    FlowUnsupported         "OFPFMFC_UNSUPPORTED"                at(3, 5),    NO,         "unsupported actions";
    GroupExists             "OFPGMFC_GROUP_EXISTS"               NO,          at(6, 0),   "group exists already";
    GroupInvalid            "OFPGMFC_INVALID_GROUP"              NO,          at(6, 1),   "invalid group";
    GroupWeight             "OFPGMFC_WEIGHT_UNSUPPORTED"         NO,          at(6, 2),   "bucket weights not supported";
    GroupTooMany            "OFPGMFC_OUT_OF_GROUPS"              NO,          at(6, 3),   "too many groups";
    GroupTooManyBuckets     "OFPGMFC_OUT_OF_BUCKETS"             NO,          at(6, 4),   "too many buckets";
    GroupChaining           "OFPGMFC_CHAINING_UNSUPPORTED"       NO,          at(6, 5),   "a group may not forward to groups";
    GroupWatch              "OFPGMFC_WATCH_UNSUPPORTED"          NO,          at(6, 6),   "this kind of group does not watch ports and groups";
    GroupLoop               "OFPGMFC_LOOP"                       NO,          at(6, 7),   "groups forward to each other in a loop";
    GroupUnknown            "OFPGMFC_UNKNOWN_GROUP"              NO,          at(6, 8),   "no such group";
    GroupChained            "OFPGMFC_CHAINED_GROUP"              NO,          at(6, 9),   "another group forwards to this one";
    GroupType               "OFPGMFC_BAD_TYPE"                   NO,          at(6, 10),  "unknown type of group";
    GroupCommand            "OFPGMFC_BAD_COMMAND"                NO,          at(6, 11),  "unknown group command";
    GroupBucket             "OFPGMFC_BAD_BUCKET"                 NO,          at(6, 12),  "bad bucket";
    GroupBadWatch           "OFPGMFC_BAD_WATCH"                  NO,          at(6, 13),  "bad port or group to watch";
    GroupPermissions        "OFPGMFC_EPERM"                      NO,          at(6, 14),  "group not permitted";
    GroupUnknownBucket      "OFPGMFC_UNKNOWN_BUCKET"             NO,          at(6, 15),  "no such bucket";
    GroupBucketExists       "OFPGMFC_BUCKET_EXISTS"              NO,          at(6, 16),  "bucket exists already";
    PortModBadPort          "OFPPMFC_BAD_PORT"                   at(4, 0),    at(7, 0),   "no such port";
    PortModBadAddress       "OFPPMFC_BAD_HW_ADDR"                at(4, 1),    at(7, 1),   "not the port's hardware address";
    PortModBadConfig        "OFPPMFC_BAD_CONFIG"                 NO,          at(7, 2),   "port configuration not supported";
    PortModBadAdvertise     "OFPPMFC_BAD_ADVERTISE"              NO,          at(7, 3),   "advertised features not supported";
    QueueBadPort            "OFPQOFC_BAD_PORT"                   at(5, 0),    at(9, 0),   "no such port";
    QueueBadQueue           "OFPQOFC_BAD_QUEUE"                  at(5, 1),    at(9, 1),   "no such queue";
    TableModBadTable        "OFPTMFC_BAD_TABLE"                  NO,          at(8, 0),   "no such table";
    TableModBadConfig       "OFPTMFC_BAD_CONFIG"                 NO,          at(8, 1),   "table configuration not supported";
    TableFeaturesTable      "OFPTFFC_BAD_TABLE"                  NO,          at(13, 0),  "no such table";
    TableFeaturesMetadata   "OFPTFFC_BAD_METADATA"               NO,          at(13, 1),  "metadata bits cannot be changed";
    TableFeaturesArgument   "OFPTFFC_BAD_ARGUMENT"               NO,          at(13, 4),  "table features cannot be changed so";
    AsyncInvalid            "OFPACFC_INVALID"                    NO,          onf(2370),  "unknown reason of an event";
    AsyncUnsupported        "OFPACFC_UNSUPPORTED"                NO,          onf(2371),  "events of this kind cannot be chosen";
    MonitorUnsupported      "OFPMOFC_UNKNOWN"                    NO,          at(16, 0),  "no room for another flow monitor";
    MonitorExists           "OFPMOFC_MONITOR_EXISTS"             nx(1, 517),  nxe(6),     "flow monitor exists already";
    MonitorUnknown          "OFPMOFC_UNKNOWN_MONITOR"            nx(1, 519),  nxe(8),     "no such flow monitor";
    MonitorFlags            "OFPMOFC_BAD_FLAGS"                  nx(1, 518),  nxe(7),     "flow monitor flags not supported";
    MonitorTableId          "OFPMOFC_BAD_TABLE_ID"               NO,          at(16, 6),  "no such table";
    ConfigFlags             "OFPSCFC_BAD_FLAGS"                  NO,          at(10, 0),  "configuration flags not supported";
    ConfigLength            "OFPSCFC_BAD_LEN"                    NO,          at(10, 1),  "miss_send_len not supported";
    RoleStale               "OFPRRFC_STALE"                      NO,          at(11, 0),  "stale generation id";
    RoleUnsupported         "OFPRRFC_UNSUP"                      NO,          at(11, 1),  "role not supported";
    RoleBad                 "OFPRRFC_BAD_ROLE"                   nx(1, 513),  at(11, 2),  "no such role";
    MeterFailed             "OFPMMFC_UNKNOWN"                    NO,          at(12, 0),  "meter cannot be changed";
    MeterExists             "OFPMMFC_METER_EXISTS"               NO,          at(12, 1),  "meter exists already";
    MeterInvalid            "OFPMMFC_INVALID_METER"              NO,          at(12, 2),  "no such meter";
    MeterUnknown            "OFPMMFC_UNKNOWN_METER"              NO,          at(12, 3),  "there is no such meter to change";
    MeterCommand            "OFPMMFC_BAD_COMMAND"                NO,          at(12, 4),  "unknown meter command";
    MeterFlags              "OFPMMFC_BAD_FLAGS"                  NO,          at(12, 5),  "meter flags not supported";
    MeterRate               "OFPMMFC_BAD_RATE"                   NO,          at(12, 6),  "rate not supported";
    MeterBurst              "OFPMMFC_BAD_BURST"                  NO,          at(12, 7),  "burst size not supported";
    MeterBand               "OFPMMFC_BAD_BAND"                   NO,          at(12, 8),  "band type not supported";
    MeterBandValue          "OFPMMFC_BAD_BAND_VALUE"             NO,          at(12, 9),  "bad band value";
    MeterTooMany            "OFPMMFC_OUT_OF_METERS"              NO,          at(12, 10), "too many meters";
    MeterTooManyBands       "OFPMMFC_OUT_OF_BANDS"               NO,          at(12, 11), "too many bands";
    TableFeaturesBad        "OFPTFFC_BAD_TYPE"                   NO,          at(13, 2),  "table features cannot be changed so";
    TableFeaturesPermissions "OFPTFFC_EPERM"                      NO,          at(13, 5),  "table features may not be changed";
    BundleUnknown           "OFPBFC_UNKNOWN"                     NO,          onf(2300),  "bundle cannot be changed";
    BundlePermissions       "OFPBFC_EPERM"                       NO,          onf(2301),  "bundle not permitted";
    BundleId                "OFPBFC_BAD_ID"                      NO,          onf(2302),  "no such bundle";
    BundleExists            "OFPBFC_BUNDLE_EXIST"                NO,          onf(2303),  "bundle exists already";
    BundleClosed            "OFPBFC_BUNDLE_CLOSED"               NO,          onf(2304),  "bundle is closed";
    BundleTooMany           "OFPBFC_OUT_OF_BUNDLES"              NO,          onf(2305),  "too many bundles";
    BundleType              "OFPBFC_BAD_TYPE"                    NO,          onf(2306),  "unknown bundle command";
    BundleFlags             "OFPBFC_BAD_FLAGS"                   NO,          onf(2307),  "bundle flags not supported, or not those of the bundle";
    BundleMessageLength     "OFPBFC_MSG_BAD_LEN"                 NO,          onf(2308),  "wrong length of a bundled message";
    BundleMessageXid        "OFPBFC_MSG_BAD_XID"                 NO,          onf(2309),  "a bundled message has another xid";
    BundleMessageUnsupported "OFPBFC_MSG_UNSUP"                   NO,          onf(2310),  "message cannot be bundled";
    BundleMessageConflict   "OFPBFC_MSG_CONFLICT"                NO,          onf(2311),  "bundled messages contradict each other";
    BundleMessageTooMany    "OFPBFC_MSG_TOO_MANY"                NO,          onf(2312),  "too many messages in a bundle";
    BundleMessageFailed     "OFPBFC_MSG_FAILED"                  NO,          onf(2313),  "a bundled message failed";
    BundleTimeout           "OFPBFC_TIMEOUT"                     NO,          onf(2314),  "bundle took too long";
    BundleInProgress        "OFPBFC_BUNDLE_IN_PROGRESS"          NO,          onf(2315),  "bundle locks the resource";
    // Nicira's own, with numbers of Nicira's in every version.
    ActionConjunction       "NXBAC_BAD_CONJUNCTION"              nx(2, 526),  nxe(15),    "conjunction and note are the only actions that go with conjunction";
    TlvBadCommand           "NXTTMFC_BAD_COMMAND"                nx(1, 527),  nxe(16),    "unknown TLV table command";
    TlvBadLength            "NXTTMFC_BAD_OPT_LEN"                nx(1, 528),  nxe(17),    "bad length of a tunnel option";
    TlvBadIndex             "NXTTMFC_BAD_FIELD_IDX"              nx(1, 529),  nxe(18),    "no such tun_metadata field, or it is not mapped";
    TlvTableFull            "NXTTMFC_TABLE_FULL"                 nx(1, 530),  nxe(19),    "no room for another tunnel option";
    TlvMapped               "NXTTMFC_ALREADY_MAPPED"             nx(1, 531),  nxe(20),    "the tunnel option or field is mapped already";
    TlvDuplicate            "NXTTMFC_DUP_ENTRY"                  nx(1, 532),  nxe(21),    "a tunnel option or field given twice";
    ResumeUnsupported       "NXR_NOT_SUPPORTED"                  nx(1, 533),  nxe(34),    "this packet cannot be resumed";
    ResumeStale             "NXR_STALE"                          nx(1, 534),  nxe(35),    "the packet's continuation is not known, or no more";
    FlowTlvUnmapped         "NXFMFC_INVALID_TLV_FIELD"           nx(1, 536),  nxe(37),    "a tun_metadata field that is not mapped";
    TlvInUse                "NXTTMFC_INVALID_TLV_DEL"            nx(1, 537),  nxe(38),    "flows use the tunnel option's field";
}
