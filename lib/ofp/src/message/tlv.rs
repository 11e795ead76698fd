//! The TLV map, which gives Geneve options to the fields `tun_metadata<N>` (NXT_TLV_TABLE_*).

/// What to do with mappings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the message's")]
#[repr(u16)]
pub enum TlvCommand {
    Add = 0,
    Delete = 1,
    Clear = 2,
}

/// One mapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TlvMapping {
    /// Option class.
    pub class: u16,
    /// Option type.
    pub kind: u8,
    /// Bytes of the option's value: a multiple of 4, 4 to 124.
    pub size: u8,
    /// `N` of `tun_metadata<N>`.
    pub index: u16,
}

/// NXT_TLV_TABLE_MOD.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the message's")]
pub struct TlvTableMod {
    pub command: TlvCommand,
    pub mappings: Vec<TlvMapping>,
}

/// NXT_TLV_TABLE_REPLY.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlvTable {
    /// Bytes of option values in all.
    pub max_space: u32,
    /// Mappings at most.
    pub max_fields: u16,
    /// Those that there are.
    pub mappings: Vec<TlvMapping>,
}
