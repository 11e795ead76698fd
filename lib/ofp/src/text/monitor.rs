//! Flow monitors as text: what follows `watch:` of `ofctl monitor`.

use super::matching::{MatchReader, match_names};
use super::ports::{PortNames, read_port};
use super::scan::{Result, Word};
use super::value::unknown;
use crate::message::{MonitorRequest, monitor_flag as flag};
use crate::types::{GroupId, PortNo, TableId};

/// Flags by their name in text; each can be switched off with `!`.
pub(super) const FLAGS: &[(&str, u16)] = &[
    ("initial", flag::INITIAL),
    ("add", flag::ADD),
    ("delete", flag::REMOVED),
    ("modify", flag::MODIFY),
    ("actions", flag::INSTRUCTIONS),
    ("own", flag::NO_ABBREV),
];
const KEYS: &[&str] = &["table", "out_port", "out_group"];

/// Reads which flows are to be watched, and what of them is not: `!initial,table=3,ip`.
pub fn read_monitor_request(text: &str, ports: &dyn PortNames) -> Result<MonitorRequest> {
    let mut request = MonitorRequest {
        flags: FLAGS.iter().fold(0, |all, row| all | row.1),
        table: TableId::ALL,
        out_port: PortNo::ANY,
        out_group: GroupId::ANY,
        ..MonitorRequest::default()
    };
    let mut matching = MatchReader::default();
    for item in Word::new(text).items_once() {
        let item = item?;
        let key = item.key;
        if let Some(name) = key.text.strip_prefix('!') {
            let row = FLAGS.iter().find(|row| row.0 == name);
            let names = || {
                FLAGS
                    .iter()
                    .map(|row| format!("!{}", row.0))
                    .collect::<Vec<_>>()
            };
            let fault = || {
                key.fail("nothing that is reported")
                    .help(names().join(", "))
            };
            request.flags &= !row.ok_or_else(fault)?.1;
            continue;
        }
        match key.text {
            "table" => {
                let table = item.need()?.number(254);
                request.table = TableId(table.map_err(|e| e.help("a table is 0 to 254"))? as u8);
            }
            "out_port" => request.out_port = read_port(item.need()?, ports)?,
            "out_group" => {
                let group = item.need()?.number(u128::from(GroupId::MAX.0))?;
                request.out_group = GroupId(group as u32);
            }
            _ if matching.take(item) => {}
            _ => {
                let known = match_names().chain(KEYS.iter().copied());
                return Err(unknown(key, "no such key or protocol", known));
            }
        }
    }
    let events = flag::ADD | flag::REMOVED | flag::MODIFY;
    if request.flags & events == 0 {
        return Err(Word::new(text).fail("no change would be reported"));
    }
    request.matching = matching.finish(ports)?;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::PortMap;

    #[test]
    fn a_watch_is_read() {
        let ports = PortMap::default();
        let all = read_monitor_request("", &ports).unwrap();
        assert_eq!((all.flags, all.table), (0x3f, TableId::ALL));
        let text = "!initial,table=3,out_port=1,ip,!own";
        let some = read_monitor_request(text, &ports).unwrap();
        assert_eq!(
            (some.flags, some.table, some.out_port),
            (0x1e, TableId(3), PortNo(1))
        );
        for (text, word) in [
            ("!foo", "!foo"),
            ("tabel=3", "tabel"),
            ("table=255", "255"),
            ("table=3,table=3", "table"),
            ("!add,!add", "!add"),
            ("ip,ip", "ip"),
        ] {
            assert_eq!(read_monitor_request(text, &ports).unwrap_err().word, word);
        }
        assert!(read_monitor_request("!add,!delete,!modify", &ports).is_err());
    }
}
