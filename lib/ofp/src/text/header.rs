//! MPLS, PBB, TTL copies, `encap` and `decap` as text, read and printed.

use super::action::Arg;
use super::scan::{Result, Word};
use crate::action::{Action, PacketType};
use crate::wire::ENCAPS;

/// What can be put in front of a packet, in the order of [`ENCAPS`].
const ENCAP_NAMES: [&str; 3] = ["ethernet", "mpls", "mpls_mc"];

/// `push_mpls:ETHERTYPE`
pub(super) fn push_mpls(arg: &Arg<'_, '_>) -> Result<Action> {
    let word = arg.need()?;
    match word.int()? {
        kind @ (0x8847 | 0x8848) => Ok(Action::PushMpls(kind)),
        _ => Err(word
            .fail("not an Ethertype of MPLS")
            .help("0x8847 or 0x8848")),
    }
}

/// `push_pbb:0x88e7`; there is no other Ethertype.
pub(super) fn push_pbb(arg: &Arg<'_, '_>) -> Result<Action> {
    const PBB: u16 = packet::ethertype::PBB;
    match arg.item.value {
        None => Ok(Action::PushPbb(PBB)),
        Some(word) => match word.int()? {
            PBB => Ok(Action::PushPbb(PBB)),
            _ => Err(word.fail("not the Ethertype of PBB").help("0x88e7")),
        },
    }
}

/// `encap(ethernet)`, `encap(mpls)`, `encap(mpls_mc)`
pub(super) fn encap(arg: &Arg<'_, '_>) -> Result<Action> {
    let word = arg.need()?.trim();
    if word.text.starts_with("nsh") {
        return Err(word
            .fail("NSH is not supported")
            .help(ENCAP_NAMES.join(", ")));
    }
    match ENCAP_NAMES.iter().position(|name| *name == word.text) {
        Some(at) => Ok(Action::Encap(ENCAPS[at])),
        None => Err(word
            .fail("no header that can be put in front")
            .help(ENCAP_NAMES.join(", "))),
    }
}

/// `decap`, `decap(packet_type(ns=N,type=N))`
pub(super) fn decap(arg: &Arg<'_, '_>) -> Result<Action> {
    let Some(value) = arg.item.value.filter(|value| !value.text.trim().is_empty()) else {
        return Ok(Action::Decap(None));
    };
    let fault = |word: Word<'_>| {
        let fault = word.fail("not a packet type");
        fault.help("decap(packet_type(ns=1,type=0x8847))")
    };
    let mut items = value.items();
    let item = items.next().ok_or_else(|| fault(value))??;
    if item.key.text != "packet_type" || items.next().is_some() {
        return Err(fault(value));
    }
    let (mut namespace, mut kind) = (None, None);
    for item in item.need()?.items() {
        let item = item?;
        match item.key.text {
            "ns" => namespace = Some(item.need()?.int()?),
            "type" => kind = Some(item.need()?.int()?),
            _ => return Err(fault(item.key)),
        }
    }
    match (namespace, kind) {
        (Some(namespace), Some(kind)) => Ok(Action::Decap(Some(PacketType { namespace, kind }))),
        _ => Err(fault(value)),
    }
}

/// The action as text, if it is one of these.
pub(super) fn print(action: &Action) -> Option<String> {
    Some(match action {
        Action::PushMpls(kind) => format!("push_mpls:{kind:#06x}"),
        Action::PopMpls(kind) => format!("pop_mpls:{kind:#06x}"),
        Action::SetMplsLabel(label) => format!("set_mpls_label({label})"),
        Action::SetMplsTc(tc) => format!("set_mpls_tc({tc})"),
        Action::SetMplsTtl(ttl) => format!("set_mpls_ttl({ttl})"),
        Action::DecMplsTtl => "dec_mpls_ttl".to_owned(),
        Action::CopyTtlOut => "copy_ttl_out".to_owned(),
        Action::CopyTtlIn => "copy_ttl_in".to_owned(),
        Action::PushPbb(kind) => format!("push_pbb:{kind:#06x}"),
        Action::PopPbb => "pop_pbb".to_owned(),
        Action::Encap(kind) => {
            let at = ENCAPS.iter().position(|known| known == kind);
            format!("encap({})", at.map_or("unknown", |at| ENCAP_NAMES[at]))
        }
        Action::Decap(None) => "decap()".to_owned(),
        Action::Decap(Some(kind)) => {
            let number = match kind.kind {
                0 => "0".to_owned(),
                kind => format!("{kind:#x}"),
            };
            format!("decap(packet_type(ns={},type={number}))", kind.namespace)
        }
        _ => return None,
    })
}
