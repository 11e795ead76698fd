//! TLV mappings as text: `{class=0xffff,type=0,len=4}->tun_metadata0,...`.

use super::scan::{Result, TextError, Word};
use crate::message::{TlvCommand, TlvMapping, TlvTableMod};

const HELP: &str = "{class=0xffff,type=0,len=4}->tun_metadata0";
/// `tun_metadata<N>`: N is at most this.
const MAX_INDEX: u128 = 63;
/// Bytes of an option's value at most (RFC 8926 section 3.5: 31 words).
const MAX_OPTION_SIZE: u128 = 124;

/// Reads mappings to add or delete; none at all means, for deleting, all there are.
pub fn read_tlv_table_mod(text: &str, command: TlvCommand) -> Result<TlvTableMod> {
    let whole = Word::new(text).trim();
    let mut mappings: Vec<TlvMapping> = Vec::new();
    let mut rest = whole;
    while !rest.text.is_empty() {
        let Some((option, after)) = rest.split_once("->") else {
            return Err(rest.fail("not a mapping").help(HELP));
        };
        let (field, after) = after
            .split_once(",")
            .unwrap_or((after, after.from(after.end())));
        let mapping = read_mapping(option.trim(), field.trim())?;
        let twice = |m: &TlvMapping| {
            m.index == mapping.index || (m.class, m.kind) == (mapping.class, mapping.kind)
        };
        if mappings.iter().any(twice) {
            return Err(option.trim().fail("an option or a field given twice"));
        }
        mappings.push(mapping);
        rest = after.trim();
    }
    let command = match command {
        TlvCommand::Delete if mappings.is_empty() => TlvCommand::Clear,
        command => command,
    };
    if mappings.is_empty() && command == TlvCommand::Add {
        return Err(whole.fail("mappings are missing").help(HELP));
    }
    Ok(TlvTableMod { command, mappings })
}

fn read_mapping(option: Word<'_>, field: Word<'_>) -> Result<TlvMapping> {
    let braces = option.strip_brackets('{', '}');
    let inner = braces.ok_or_else(|| option.fail("not in braces").help(HELP))?;
    let (mut class, mut kind, mut size) = (None, None, None);
    for item in inner.items_once() {
        let item = item?;
        let value = item.need()?;
        match item.key.text {
            "class" => class = Some(value.int()?),
            "type" => kind = Some(value.int()?),
            "len" => size = Some(option_size(value)?),
            _ => return Err(item.key.fail("no such key of an option").help(HELP)),
        }
    }
    let missing =
        |what: &str| -> TextError { option.fail(format!("{what} is missing")).help(HELP) };
    let index = field
        .text
        .strip_prefix("tun_metadata")
        .map(|_| field.from(field.offset + 12));
    let index = index.ok_or_else(|| {
        field
            .fail("not a field of options")
            .help("tun_metadata0 to tun_metadata63")
    })?;
    Ok(TlvMapping {
        class: class.ok_or_else(|| missing("class"))?,
        kind: kind.ok_or_else(|| missing("type"))?,
        size: size.ok_or_else(|| missing("len"))?,
        index: index.number(MAX_INDEX)? as u16,
    })
}

fn option_size(value: Word<'_>) -> Result<u8> {
    let size = value.number(MAX_OPTION_SIZE)?;
    if size == 0 || !size.is_multiple_of(4) {
        return Err(value
            .fail("not a length of an option")
            .help("4, 8, ... 124"));
    }
    Ok(size as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_are_read() {
        let text = "{class=0xffff,type=0,len=4}->tun_metadata0, {class=0xfffe,type=1,len=8}->tun_metadata1";
        let m = read_tlv_table_mod(text, TlvCommand::Add).unwrap();
        let second = TlvMapping {
            class: 0xfffe,
            kind: 1,
            size: 8,
            index: 1,
        };
        assert_eq!((m.mappings.len(), m.mappings[1]), (2, second));
        assert_eq!(
            read_tlv_table_mod("", TlvCommand::Delete).unwrap().command,
            TlvCommand::Clear
        );
        for (text, word) in [
            ("", ""),
            ("{class=1,type=0,len=5}->tun_metadata0", "5"),
            ("{class=1,type=0}->tun_metadata0", "{class=1,type=0}"),
            ("{class=1,type=0,len=4}->tun_metadata64", "64"),
            ("{class=1,type=0,len=4}->reg0", "reg0"),
            (
                "class=1,type=0,len=4->tun_metadata0",
                "class=1,type=0,len=4",
            ),
            ("{class=1,type=0,len=4}", "{class=1,type=0,len=4}"),
        ] {
            assert_eq!(
                read_tlv_table_mod(text, TlvCommand::Add).unwrap_err().word,
                word,
                "{text}"
            );
        }
    }
}
