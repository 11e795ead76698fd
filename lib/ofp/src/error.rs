//! Protocol errors: one row per error, with its numbers in every version of OpenFlow.
//! Decoding and the switch return these, so that `?` is the error reply.

use crate::field::{NICIRA, ONF};
use crate::types::Version;
use thiserror::Error;

macro_rules! errors {
    ($($variant:ident $name:literal [$($from:ident $number:expr),*] $text:literal;)*) => {
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
        pub const ERRORS: &[Row] = &[$(Row {
            error: OfError::$variant, name: $name, numbers: &[$((Version::$from, $number)),*],
        }),*];
    };
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The error.
    pub error: OfError,
    /// The specification's name.
    pub name: &'static str,
    /// Its numbers, each from a version on, ascending; `None`: it cannot be said any more.
    pub numbers: &'static [(Version, Option<Number>)],
}

/// How an error is written in one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// The standard's type and code.
    Standard(u16, u16),
    /// Nicira's type and code (inside the type 0xb0c2; 1.0 and 1.1).
    Nicira(u16, u16),
    /// Experimenter id and type (inside the type 0xffff, 1.1 and later).
    Experimenter(u32, u16),
}

impl Row {
    /// Its numbers in a version; `None`: it cannot be said there.
    pub fn number(&self, version: Version) -> Option<Number> {
        let known = |row: &&(Version, Option<Number>)| row.0 <= version;
        self.numbers.iter().rev().find(known)?.1
    }
}

impl OfError {
    /// The error's row; `None` for one that the table does not have.
    pub fn row(self) -> Option<&'static Row> {
        ERRORS.iter().find(|row| row.error == self)
    }

    /// Its numbers in a version; those of [`OfError::Unencodable`] if it has none there.
    pub(crate) fn number(self, version: Version) -> Number {
        let row = |error: OfError| error.row().and_then(|row| row.number(version));
        match self {
            OfError::Other { kind, code } => Number::Standard(kind, code),
            error => row(error)
                .or_else(|| row(OfError::Unencodable))
                .unwrap_or(Number::Standard(1, 0)),
        }
    }
}

const fn at(kind: u16, code: u16) -> Option<Number> {
    Some(Number::Standard(kind, code))
}
const fn nx(kind: u16, code: u16) -> Option<Number> {
    Some(Number::Nicira(kind, code))
}
const fn ex(kind: u16) -> Option<Number> {
    Some(Number::Experimenter(NICIRA, kind))
}
const fn onf(kind: u16) -> Option<Number> {
    Some(Number::Experimenter(ONF, kind))
}
const NO: Option<Number> = None;

// OpenFlow 1.0.2 section 5.4.4; 1.1 section A.4.4; 1.2 section A.4.4; 1.3.5 section 7.5.4; 1.4.1 and
// 1.5.1 section 7.5.4. Before the standard had a number, Nicira's or ONF's stands in.
// Variant, name, first version and number there.
errors! {
    HelloIncompatible           "OFPHFC_INCOMPATIBLE"              [V10 at(0, 0)] "no compatible version";
    HelloPermissions            "OFPHFC_EPERM"                     [V10 at(0, 1)] "connection not permitted";
    BadVersion                  "OFPBRC_BAD_VERSION"               [V10 at(1, 0)] "version not supported";
    BadType                     "OFPBRC_BAD_TYPE"                  [V10 at(1, 1)] "message type not supported";
    BadStat                     "OFPBRC_BAD_STAT"                  [V10 at(1, 2)] "multipart type not supported";
    BadVendor                   "OFPBRC_BAD_VENDOR"                [V10 at(1, 3)] "experimenter not supported";
    BadSubtype                  "OFPBRC_BAD_SUBTYPE"               [V10 at(1, 4)] "experimenter type not supported";
    PermissionsError            "OFPBRC_EPERM"                     [V10 at(1, 5)] "not permitted";
    IsSecondary                 "OFPBRC_IS_SECONDARY"              [V10 at(1, 5), V12 at(1, 10)] "not permitted to a secondary controller";
    BadLength                   "OFPBRC_BAD_LEN"                   [V10 at(1, 6)] "wrong message length";
    BufferEmpty                 "OFPBRC_BUFFER_EMPTY"              [V10 at(1, 7)] "buffer already used";
    BufferUnknown               "OFPBRC_BUFFER_UNKNOWN"            [V10 at(1, 8)] "no such buffer";
    BadTableId                  "OFPBRC_BAD_TABLE_ID"              [V10 nx(1, 512), V11 at(1, 9)] "no such table";
    BadPort                     "OFPBRC_BAD_PORT"                  [V10 nx(1, 514), V12 at(1, 11)] "no such port";
    BadPacket                   "OFPBRC_BAD_PACKET"                [V12 at(1, 12)] "bad packet in packet-out";
    MultipartOverflow           "OFPBRC_MULTIPART_BUFFER_OVERFLOW" [V13 at(1, 13)] "multipart request too large";
    MultipartRequestTimeout     "OFPBRC_MULTIPART_REQUEST_TIMEOUT" [V13 onf(2640), V14 at(1, 14)] "multipart request was not finished in time";
    MultipartReplyTimeout       "OFPBRC_MULTIPART_REPLY_TIMEOUT"   [V13 onf(2641), V14 at(1, 15)] "multipart reply was not finished in time";
    MultipartSchedule           "OFPBRC_MULTIPART_BAD_SCHED"       [V15 at(1, 16)] "multipart request cannot be scheduled";
    PipelineFieldsOnly          "OFPBRC_PIPELINE_FIELDS_ONLY"      [V15 at(1, 17)] "only pipeline fields may be given";
    BadRequest                  "OFPBRC_UNKNOWN"                   [V15 at(1, 18)] "request cannot be dealt with";
    ActionType                  "OFPBAC_BAD_TYPE"                  [V10 at(2, 0)] "action type not supported";
    ActionLength                "OFPBAC_BAD_LEN"                   [V10 at(2, 1)] "wrong action length";
    ActionVendor                "OFPBAC_BAD_VENDOR"                [V10 at(2, 2)] "action experimenter not supported";
    ActionSubtype               "OFPBAC_BAD_VENDOR_TYPE"           [V10 at(2, 3)] "experimenter action not supported";
    ActionOutPort               "OFPBAC_BAD_OUT_PORT"              [V10 at(2, 4)] "no such output port";
    ActionArgument              "OFPBAC_BAD_ARGUMENT"              [V10 at(2, 5)] "bad action argument";
    ActionPermissions           "OFPBAC_EPERM"                     [V10 at(2, 6)] "action not permitted";
    ActionTooMany               "OFPBAC_TOO_MANY"                  [V10 at(2, 7)] "too many actions";
    ActionQueue                 "OFPBAC_BAD_QUEUE"                 [V10 at(2, 8)] "no such queue";
    ActionOutGroup              "OFPBAC_BAD_OUT_GROUP"             [V10 nx(2, 9), V11 at(2, 9)] "no such group";
    MatchInconsistent           "OFPBAC_MATCH_INCONSISTENT"        [V10 nx(1, 522), V11 at(2, 10)] "action needs a field that the match does not make sure of";
    UnsupportedOrder            "OFPBAC_UNSUPPORTED_ORDER"         [V11 at(2, 11)] "actions in an unsupported order";
    ActionTag                   "OFPBAC_BAD_TAG"                   [V11 at(2, 12)] "unsupported tag";
    SetFieldType                "OFPBAC_BAD_SET_TYPE"              [V10 nx(1, 523), V12 at(2, 13)] "set-field does not know this field";
    SetFieldLength              "OFPBAC_BAD_SET_LEN"               [V10 nx(1, 524), V12 at(2, 14)] "wrong set-field length";
    SetFieldArgument            "OFPBAC_BAD_SET_ARGUMENT"          [V10 nx(1, 525), V12 at(2, 15)] "bad set-field value";
    SetFieldMask                "OFPBAC_BAD_SET_MASK"              [V12 at(2, 15), V13 onf(4250), V15 at(2, 16)] "bad set-field mask";
    ActionMeter                 "OFPBAC_BAD_METER"                 [V15 at(2, 17)] "no such meter";
    InstructionUnknown          "OFPBIC_UNKNOWN_INST"              [V11 at(3, 0)] "unknown instruction";
    InstructionUnsupported      "OFPBIC_UNSUP_INST"                [V10 nx(2, 257), V11 at(3, 1)] "instruction not supported";
    InstructionTableId          "OFPBIC_BAD_TABLE_ID"              [V11 at(3, 2)] "goto cannot reach this table";
    InstructionMetadata         "OFPBIC_UNSUP_METADATA"            [V11 at(3, 3)] "metadata value not supported";
    InstructionMetadataMask     "OFPBIC_UNSUP_METADATA_MASK"       [V11 at(3, 4)] "metadata mask not supported";
    InstructionVendor           "OFPBIC_BAD_EXPERIMENTER"          [V11 at(3, 5)] "instruction experimenter not supported";
    InstructionSubtype          "OFPBIC_BAD_EXP_TYPE"              [V12 at(3, 6)] "experimenter instruction not supported";
    InstructionLength           "OFPBIC_BAD_LEN"                   [V12 at(3, 7)] "wrong instruction length";
    InstructionPermissions      "OFPBIC_EPERM"                     [V12 at(3, 8)] "instruction not permitted";
    InstructionDuplicate        "OFPBIC_DUP_INST"                  [V11 nx(3, 256), V12 onf(2600), V14 at(3, 9)] "instruction given twice";
    MatchType                   "OFPBMC_BAD_TYPE"                  [V11 at(4, 0)] "match type not supported";
    MatchLength                 "OFPBMC_BAD_LEN"                   [V11 at(4, 1)] "wrong match length";
    MatchTag                    "OFPBMC_BAD_TAG"                   [V11 at(4, 2)] "unsupported tag";
    MatchDlMask                 "OFPBMC_BAD_DL_ADDR_MASK"          [V11 at(4, 3)] "unsupported Ethernet address mask";
    MatchNwMask                 "OFPBMC_BAD_NW_ADDR_MASK"          [V11 at(4, 4)] "unsupported network address mask";
    MatchWildcards              "OFPBMC_BAD_WILDCARDS"             [V10 nx(1, 262), V11 at(4, 5)] "unsupported combination of wildcards";
    MatchField                  "OFPBMC_BAD_FIELD"                 [V10 nx(0, 263), V11 at(4, 6)] "match field not supported";
    MatchValue                  "OFPBMC_BAD_VALUE"                 [V10 nx(1, 258), V11 at(4, 7)] "bad value of a match field";
    MatchMask                   "OFPBMC_BAD_MASK"                  [V10 nx(1, 259), V12 at(4, 8)] "unsupported mask of a match field";
    MatchPrerequisite           "OFPBMC_BAD_PREREQ"                [V10 nx(1, 260), V12 at(4, 9)] "a match field's prerequisite is missing";
    MatchDuplicate              "OFPBMC_DUP_FIELD"                 [V10 nx(1, 261), V12 at(4, 10)] "match field given twice";
    MatchPermissions            "OFPBMC_EPERM"                     [V12 at(4, 11)] "match not permitted";
    FlowUnknown                 "OFPFMFC_UNKNOWN"                  [V11 at(5, 0)] "flow cannot be changed";
    FlowTableFull               "OFPFMFC_TABLE_FULL"               [V10 at(3, 0), V11 at(5, 1)] "table is full";
    FlowTableId                 "OFPFMFC_BAD_TABLE_ID"             [V11 at(5, 2)] "no such table";
    FlowOverlap                 "OFPFMFC_OVERLAP"                  [V10 at(3, 1), V11 at(5, 3)] "overlapping flow";
    FlowEmergency               "OFPFMFC_BAD_EMERG_TIMEOUT"        [V10 at(3, 3), V11 NO] "emergency flow with a timeout";
    FlowPermissions             "OFPFMFC_EPERM"                    [V10 at(3, 2), V11 at(5, 4)] "flow not permitted";
    FlowUnsupported             "OFPFMFC_UNSUPPORTED"              [V10 at(3, 5), V11 NO] "unsupported actions";
    FlowTimeout                 "OFPFMFC_BAD_TIMEOUT"              [V11 at(5, 5)] "timeout not supported";
    FlowCommand                 "OFPFMFC_BAD_COMMAND"              [V10 at(3, 4), V11 at(5, 6)] "unknown flow command";
    FlowFlags                   "OFPFMFC_BAD_FLAGS"                [V10 nx(3, 258), V11 nx(5, 258), V12 at(5, 7)] "flow flags not supported";
    FlowCannotSync              "OFPFMFC_CANT_SYNC"                [V14 at(5, 8)] "flow cannot be kept in step with its table";
    FlowPriority                "OFPFMFC_BAD_PRIORITY"             [V13 onf(2360), V14 at(5, 9)] "priority not supported";
    FlowIsSync                  "OFPFMFC_IS_SYNC"                  [V14 at(5, 10)] "flow follows another table and may not be changed";
    GroupExists                 "OFPGMFC_GROUP_EXISTS"             [V10 nx(6, 0), V11 at(6, 0)] "group exists already";
    GroupInvalid                "OFPGMFC_INVALID_GROUP"            [V10 nx(6, 1), V11 at(6, 1)] "invalid group";
    GroupWeight                 "OFPGMFC_WEIGHT_UNSUPPORTED"       [V10 nx(6, 2), V11 at(6, 2)] "bucket weights not supported";
    GroupTooMany                "OFPGMFC_OUT_OF_GROUPS"            [V10 nx(6, 3), V11 at(6, 3)] "too many groups";
    GroupTooManyBuckets         "OFPGMFC_OUT_OF_BUCKETS"           [V10 nx(6, 4), V11 at(6, 4)] "too many buckets";
    GroupChaining               "OFPGMFC_CHAINING_UNSUPPORTED"     [V10 nx(6, 5), V11 at(6, 5)] "a group may not forward to groups";
    GroupWatch                  "OFPGMFC_WATCH_UNSUPPORTED"        [V10 nx(6, 6), V11 at(6, 6)] "this kind of group does not watch ports and groups";
    GroupLoop                   "OFPGMFC_LOOP"                     [V10 nx(6, 7), V11 at(6, 7)] "groups forward to each other in a loop";
    GroupUnknown                "OFPGMFC_UNKNOWN_GROUP"            [V10 nx(6, 8), V11 at(6, 8)] "no such group";
    GroupChained                "OFPGMFC_CHAINED_GROUP"            [V10 nx(6, 9), V11 NO, V12 at(6, 9)] "another group forwards to this one";
    GroupType                   "OFPGMFC_BAD_TYPE"                 [V10 nx(6, 10), V11 NO, V12 at(6, 10)] "unknown type of group";
    GroupCommand                "OFPGMFC_BAD_COMMAND"              [V10 nx(6, 11), V11 NO, V12 at(6, 11)] "unknown group command";
    GroupBucket                 "OFPGMFC_BAD_BUCKET"               [V10 nx(6, 12), V11 NO, V12 at(6, 12)] "bad bucket";
    GroupBadWatch               "OFPGMFC_BAD_WATCH"                [V10 nx(6, 13), V11 NO, V12 at(6, 13)] "bad port or group to watch";
    GroupPermissions            "OFPGMFC_EPERM"                    [V10 nx(6, 14), V11 NO, V12 at(6, 14)] "group not permitted";
    GroupUnknownBucket          "OFPGMFC_UNKNOWN_BUCKET"           [V10 nx(6, 15), V11 NO, V15 at(6, 15)] "no such bucket";
    GroupBucketExists           "OFPGMFC_BUCKET_EXISTS"            [V10 nx(6, 16), V11 NO, V15 at(6, 16)] "bucket exists already";
    PortModBadPort              "OFPPMFC_BAD_PORT"                 [V10 at(4, 0), V11 at(7, 0)] "no such port";
    PortModBadAddress           "OFPPMFC_BAD_HW_ADDR"              [V10 at(4, 1), V11 at(7, 1)] "not the port's hardware address";
    PortModBadConfig            "OFPPMFC_BAD_CONFIG"               [V11 at(7, 2)] "port configuration not supported";
    PortModBadAdvertise         "OFPPMFC_BAD_ADVERTISE"            [V11 at(7, 3)] "advertised features not supported";
    PortModPermissions          "OFPPMFC_EPERM"                    [V12 at(7, 4)] "port may not be changed";
    TableModBadTable            "OFPTMFC_BAD_TABLE"                [V11 at(8, 0)] "no such table";
    TableModBadConfig           "OFPTMFC_BAD_CONFIG"               [V11 at(8, 1)] "table configuration not supported";
    TableModPermissions         "OFPTMFC_EPERM"                    [V12 at(8, 2)] "table may not be changed";
    QueueBadPort                "OFPQOFC_BAD_PORT"                 [V10 at(5, 0), V11 at(9, 0)] "no such port";
    QueueBadQueue               "OFPQOFC_BAD_QUEUE"                [V10 at(5, 1), V11 at(9, 1)] "no such queue";
    QueuePermissions            "OFPQOFC_EPERM"                    [V10 at(5, 2), V11 at(9, 2)] "queue not permitted";
    ConfigFlags                 "OFPSCFC_BAD_FLAGS"                [V11 at(10, 0)] "configuration flags not supported";
    ConfigLength                "OFPSCFC_BAD_LEN"                  [V11 at(10, 1)] "miss_send_len not supported";
    ConfigPermissions           "OFPSCFC_EPERM"                    [V12 at(10, 2)] "configuration may not be changed";
    RoleStale                   "OFPRRFC_STALE"                    [V12 at(11, 0)] "stale generation id";
    RoleUnsupported             "OFPRRFC_UNSUP"                    [V12 at(11, 1)] "role not supported";
    RoleBad                     "OFPRRFC_BAD_ROLE"                 [V10 nx(1, 513), V12 at(11, 2)] "no such role";
    RoleIdUnsupported           "OFPRRFC_ID_UNSUP"                 [V15 at(11, 3)] "controller ids not supported";
    RoleIdInUse                 "OFPRRFC_ID_IN_USE"                [V15 at(11, 4)] "controller id is in use";
    MeterFailed                 "OFPMMFC_UNKNOWN"                  [V13 at(12, 0)] "meter cannot be changed";
    MeterExists                 "OFPMMFC_METER_EXISTS"             [V13 at(12, 1)] "meter exists already";
    MeterInvalid                "OFPMMFC_INVALID_METER"            [V13 at(12, 2)] "no such meter";
    MeterUnknown                "OFPMMFC_UNKNOWN_METER"            [V13 at(12, 3)] "there is no such meter";
    MeterCommand                "OFPMMFC_BAD_COMMAND"              [V13 at(12, 4)] "unknown meter command";
    MeterFlags                  "OFPMMFC_BAD_FLAGS"                [V13 at(12, 5)] "meter flags not supported";
    MeterRate                   "OFPMMFC_BAD_RATE"                 [V13 at(12, 6)] "rate not supported";
    MeterBurst                  "OFPMMFC_BAD_BURST"                [V13 at(12, 7)] "burst size not supported";
    MeterBand                   "OFPMMFC_BAD_BAND"                 [V13 at(12, 8)] "band type not supported";
    MeterBandValue              "OFPMMFC_BAD_BAND_VALUE"           [V13 at(12, 9)] "bad band value";
    MeterTooMany                "OFPMMFC_OUT_OF_METERS"            [V13 at(12, 10)] "too many meters";
    MeterTooManyBands           "OFPMMFC_OUT_OF_BANDS"             [V13 at(12, 11)] "too many bands";
    TableFeaturesTable          "OFPTFFC_BAD_TABLE"                [V13 at(13, 0)] "no such table";
    TableFeaturesMetadata       "OFPTFFC_BAD_METADATA"             [V13 at(13, 1)] "metadata bits cannot be changed";
    TableFeaturesPermissions    "OFPTFFC_EPERM"                    [V13 at(13, 5)] "table features may not be changed";
    TableFeaturesCapability     "OFPTFFC_BAD_CAPA"                 [V15 at(13, 6)] "table capability not supported";
    TableFeaturesMaxEntries     "OFPTFFC_BAD_MAX_ENT"              [V15 at(13, 7)] "number of entries not supported";
    TableFeaturesFeatures       "OFPTFFC_BAD_FEATURES"             [V15 at(13, 8)] "table features not supported";
    TableFeaturesCommand        "OFPTFFC_BAD_COMMAND"              [V15 at(13, 9)] "unknown table features command";
    TableFeaturesTooMany        "OFPTFFC_TOO_MANY"                 [V15 at(13, 10)] "tables cannot have so much together";
    PropertyType                "OFPBPC_BAD_TYPE"                  [V10 nx(13, 2), V12 ex(25), V13 at(13, 2), V14 at(14, 0)] "property not supported";
    PropertyLength              "OFPBPC_BAD_LEN"                   [V10 nx(13, 3), V12 ex(26), V13 at(13, 3), V14 at(14, 1)] "wrong property length";
    PropertyValue               "OFPBPC_BAD_VALUE"                 [V10 nx(13, 4), V12 ex(27), V13 at(13, 4), V14 at(14, 2)] "bad value of a property";
    PropertyTooMany             "OFPBPC_TOO_MANY"                  [V10 nx(14, 3), V12 ex(28), V13 onf(4443), V14 at(14, 3)] "too many properties";
    PropertyDuplicate           "OFPBPC_DUP_TYPE"                  [V10 nx(14, 4), V12 ex(29), V13 onf(4444), V14 at(14, 4)] "property given twice";
    PropertyVendor              "OFPBPC_BAD_EXPERIMENTER"          [V10 nx(14, 5), V12 ex(30), V13 onf(4445), V14 at(14, 5)] "property experimenter not supported";
    PropertySubtype             "OFPBPC_BAD_EXP_TYPE"              [V10 nx(14, 6), V12 ex(31), V13 onf(4446), V14 at(14, 6)] "experimenter property not supported";
    PropertyVendorValue         "OFPBPC_BAD_EXP_VALUE"             [V10 nx(14, 7), V12 ex(32), V13 onf(4447), V14 at(14, 7)] "bad value of an experimenter property";
    PropertyPermissions         "OFPBPC_EPERM"                     [V10 nx(14, 8), V12 ex(33), V13 onf(4448), V14 at(14, 8)] "property not permitted";
    AsyncInvalid                "OFPACFC_INVALID"                  [V13 onf(2370), V14 at(15, 0)] "unknown reason of an event";
    AsyncUnsupported            "OFPACFC_UNSUPPORTED"              [V13 onf(2371), V14 at(15, 1)] "events of this kind cannot be chosen";
    AsyncPermissions            "OFPACFC_EPERM"                    [V13 onf(2372), V14 at(15, 2)] "configuration of asynchronous messages not permitted";
    MonitorUnsupported          "OFPMOFC_UNKNOWN"                  [V14 at(16, 0)] "no room for another flow monitor";
    MonitorExists               "OFPMOFC_MONITOR_EXISTS"           [V10 nx(1, 517), V12 ex(6), V14 at(16, 1)] "flow monitor exists already";
    MonitorInvalid              "OFPMOFC_INVALID_MONITOR"          [V14 at(16, 2)] "monitor cannot be made so";
    MonitorUnknown              "OFPMOFC_UNKNOWN_MONITOR"          [V10 nx(1, 519), V12 ex(8), V14 at(16, 3)] "no such flow monitor";
    MonitorCommand              "OFPMOFC_BAD_COMMAND"              [V14 at(16, 4)] "unknown monitor command";
    MonitorFlags                "OFPMOFC_BAD_FLAGS"                [V10 nx(1, 518), V12 ex(7), V14 at(16, 5)] "flow monitor flags not supported";
    MonitorTableId              "OFPMOFC_BAD_TABLE_ID"             [V14 at(16, 6)] "no such table";
    MonitorOut                  "OFPMOFC_BAD_OUT"                  [V14 at(16, 7)] "bad output port or group of a monitor";
    BundleUnknown               "OFPBFC_UNKNOWN"                   [V13 onf(2300), V14 at(17, 0)] "bundle cannot be changed";
    BundlePermissions           "OFPBFC_EPERM"                     [V13 onf(2301), V14 at(17, 1)] "bundle not permitted";
    BundleId                    "OFPBFC_BAD_ID"                    [V13 onf(2302), V14 at(17, 2)] "no such bundle";
    BundleExists                "OFPBFC_BUNDLE_EXIST"              [V13 onf(2303), V14 at(17, 3)] "bundle exists already";
    BundleClosed                "OFPBFC_BUNDLE_CLOSED"             [V13 onf(2304), V14 at(17, 4)] "bundle is closed";
    BundleTooMany               "OFPBFC_OUT_OF_BUNDLES"            [V13 onf(2305), V14 at(17, 5)] "too many bundles";
    BundleType                  "OFPBFC_BAD_TYPE"                  [V13 onf(2306), V14 at(17, 6)] "unknown bundle command";
    BundleFlags                 "OFPBFC_BAD_FLAGS"                 [V13 onf(2307), V14 at(17, 7)] "bundle flags not supported, or not those of the bundle";
    BundleMessageLength         "OFPBFC_MSG_BAD_LEN"               [V13 onf(2308), V14 at(17, 8)] "wrong length of a bundled message";
    BundleMessageXid            "OFPBFC_MSG_BAD_XID"               [V13 onf(2309), V14 at(17, 9)] "a bundled message has another xid";
    BundleMessageUnsupported    "OFPBFC_MSG_UNSUP"                 [V13 onf(2310), V14 at(17, 10)] "message cannot be bundled";
    BundleMessageConflict       "OFPBFC_MSG_CONFLICT"              [V13 onf(2311), V14 at(17, 11)] "bundled messages contradict each other";
    BundleMessageTooMany        "OFPBFC_MSG_TOO_MANY"              [V13 onf(2312), V14 at(17, 12)] "too many messages in a bundle";
    BundleMessageFailed         "OFPBFC_MSG_FAILED"                [V13 onf(2313), V14 at(17, 13)] "a bundled message failed";
    BundleTimeout               "OFPBFC_TIMEOUT"                   [V13 onf(2314), V14 at(17, 14)] "bundle took too long";
    BundleInProgress            "OFPBFC_BUNDLE_IN_PROGRESS"        [V13 onf(2315), V14 at(17, 15)] "bundle locks the resource";
    BundleScheduleUnsupported   "OFPBFC_SCHED_NOT_SUPPORTED"       [V15 at(17, 16)] "scheduled bundles not supported";
    BundleScheduleFuture        "OFPBFC_SCHED_FUTURE"              [V15 at(17, 17)] "bundle is scheduled too late";
    BundleSchedulePast          "OFPBFC_SCHED_PAST"                [V15 at(17, 18)] "bundle is scheduled in the past";
    BundleVersion               "OFPBFC_BAD_VERSION"               [V14 ex(22)] "message of another version in a bundle";
    MatchInvalid                "NXBRC_NXM_INVALID"                [V10 nx(1, 256), V12 ex(2)] "match field cannot be read";
    MatchEntryType              "NXBRC_NXM_BAD_TYPE"               [V10 nx(1, 257), V12 ex(3)] "unknown type of match entry";
    MustBeZero                  "NXBRC_MUST_BE_ZERO"               [V10 nx(1, 515), V12 ex(4)] "a reserved field is not zero";
    BadReason                   "NXBRC_BAD_REASON"                 [V10 nx(1, 516), V12 ex(5)] "unknown reason";
    MonitorEvent                "NXBRC_FM_BAD_EVENT"               [V10 nx(1, 520), V12 ex(9)] "unknown event of a flow monitor";
    Unencodable                 "NXBRC_UNENCODABLE_ERROR"          [V10 nx(1, 521), V12 ex(10)] "an error that this version of OpenFlow has no number for; a later one names it";
    ActionMustBeZero            "NXBAC_MUST_BE_ZERO"               [V10 nx(2, 256), V12 ex(11)] "a reserved field of an action is not zero";
    ActionConjunction           "NXBAC_BAD_CONJUNCTION"            [V10 nx(2, 526), V12 ex(15)] "conjunction and note are the only actions that go with conjunction";
    ActionHeaderType            "NXBAC_BAD_HEADER_TYPE"            [V13 ex(39)] "header cannot be pushed or popped";
    ActionHeaderPropertyUnknown "NXBAC_UNKNOWN_ED_PROP"            [V13 ex(40)] "unknown property of a pushed header";
    ActionHeaderProperty        "NXBAC_BAD_ED_PROP"                [V13 ex(41)] "bad property of a pushed header";
    ActionConnTrack             "NXBAC_CT_DATAPATH_SUPPORT"        [V10 nx(1, 265), V12 ex(42)] "connection tracking is not supported";
    MatchConnTrack              "NXBMC_CT_DATAPATH_SUPPORT"        [V10 nx(1, 264), V12 ex(43)] "connection tracking cannot be matched";
    FlowHardware                "NXFMFC_HARDWARE"                  [V10 nx(5, 256), V12 ex(12)] "flow cannot be put in force";
    FlowTableIdBroad            "NXFMFC_BAD_TABLE_ID"              [V10 nx(5, 257), V12 ex(13)] "flow needs one table";
    FlowTlvUnmapped             "NXFMFC_INVALID_TLV_FIELD"         [V10 nx(1, 536), V12 ex(37)] "a tun_metadata field that is not mapped";
    QueueFailed                 "NXQOFC_QUEUE_ERROR"               [V14 ex(23)] "queue cannot be asked for";
    TableFeaturesDuplicate      "NXTFFC_DUP_TABLE"                 [V13 ex(44)] "table given twice";
    TlvBadCommand               "NXTTMFC_BAD_COMMAND"              [V10 nx(1, 527), V12 ex(16)] "unknown TLV table command";
    TlvBadLength                "NXTTMFC_BAD_OPT_LEN"              [V10 nx(1, 528), V12 ex(17)] "bad length of a tunnel option";
    TlvBadIndex                 "NXTTMFC_BAD_FIELD_IDX"            [V10 nx(1, 529), V12 ex(18)] "no such tun_metadata field, or it is not mapped";
    TlvTableFull                "NXTTMFC_TABLE_FULL"               [V10 nx(1, 530), V12 ex(19)] "no room for another tunnel option";
    TlvMapped                   "NXTTMFC_ALREADY_MAPPED"           [V10 nx(1, 531), V12 ex(20)] "the tunnel option or field is mapped already";
    TlvDuplicate                "NXTTMFC_DUP_ENTRY"                [V10 nx(1, 532), V12 ex(21)] "a tunnel option or field given twice";
    TlvInUse                    "NXTTMFC_INVALID_TLV_DEL"          [V10 nx(1, 537), V12 ex(38)] "flows use the tunnel option's field";
    ResumeUnsupported           "NXR_NOT_SUPPORTED"                [V10 nx(1, 533), V12 ex(34)] "this packet cannot be resumed";
    ResumeStale                 "NXR_STALE"                        [V10 nx(1, 534), V12 ex(35)] "the packet's continuation is not known, or no more";
    NotConfigured               "NXST_NOT_CONFIGURED"              [V10 nx(1, 535), V12 ex(36)] "what is asked for is not configured";
}
