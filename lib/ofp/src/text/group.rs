//! Groups as text: what `add-group`, `mod-group`, `del-groups`, `insert-buckets` and
//! `remove-buckets` take.

use super::action::read_list;
use super::ports::{PortNames, read_port};
use super::scan::{Item, Result, Word};
use super::value::{field_named, field_names, read_value, unknown};
use crate::action::Action;
use crate::error::OfError;
use crate::field::Field;
use crate::message::{
    Bucket, GroupCommand, GroupDesc, GroupKind, GroupMod, Selection, SelectionMethod,
};
use crate::types::{BucketId, GroupId};
use crate::wire::check_buckets;

/// Commands that may stand at the beginning of a group: word, command.
const COMMANDS: &[(&str, GroupCommand)] = &[
    ("add_or_mod", GroupCommand::AddOrModify),
    ("add", GroupCommand::Add),
    ("modify", GroupCommand::Modify),
    ("delete", GroupCommand::Delete),
    ("insert_bucket", GroupCommand::InsertBucket),
    ("remove_bucket", GroupCommand::RemoveBucket),
];

/// Kinds of groups; the first name of a kind is the one printed.
pub(super) const KINDS: &[(&str, GroupKind)] = &[
    ("all", GroupKind::All),
    ("select", GroupKind::Select),
    ("indirect", GroupKind::Indirect),
    ("ff", GroupKind::FastFailover),
    ("fast_failover", GroupKind::FastFailover),
];

/// Selection methods.
pub(super) const METHODS: &[(&str, SelectionMethod)] = &[
    ("hash", SelectionMethod::Hash),
    ("dp_hash", SelectionMethod::DpHash),
];

/// Buckets that are named by their place.
pub(super) const PLACES: &[(&str, BucketId)] = &[
    ("first", BucketId::FIRST),
    ("last", BucketId::LAST),
    ("all", BucketId::ALL),
];

const KEYS: &[&str] = &[
    "group_id",
    "type",
    "command_bucket_id",
    "selection_method",
    "selection_method_param",
    "fields",
    "bucket",
];
const BUCKET_KEYS: &[&str] = &["bucket_id", "weight", "watch_port", "watch_group"];

/// Which keys a command has.
fn has(command: GroupCommand, key: &str) -> bool {
    use GroupCommand::{Delete, InsertBucket, RemoveBucket};
    match key {
        "group_id" => true,
        "command_bucket_id" => matches!(command, InsertBucket | RemoveBucket),
        "bucket" | "buckets" => !matches!(command, Delete | RemoveBucket),
        _ => !matches!(command, Delete | InsertBucket | RemoveBucket),
    }
}

/// Reads a group to add, modify or delete, or buckets to insert or remove. With `command` `None` the
/// text may begin with a command (`delete group_id=1`); without one it adds.
pub fn read_group_mod(
    text: &str,
    command: Option<GroupCommand>,
    ports: &dyn PortNames,
) -> Result<GroupMod> {
    let word = Word::new(text).trim();
    let (command, rest) = match command {
        Some(command) => return Reading::new(command).read(word, ports),
        None => leading_command(word),
    };
    let group = Reading::new(command).read(rest, ports);
    group.map_err(|error| error.list_verbs(word, COMMANDS.iter().map(|row| row.0)))
}

fn leading_command(word: Word<'_>) -> (GroupCommand, Word<'_>) {
    let (first, rest) = word.cut_word();
    match COMMANDS.iter().find(|row| row.0 == first.text) {
        Some(row) => (row.1, rest.trim()),
        None => (GroupCommand::Add, word),
    }
}

/// Reads which group to dump: a number, `group_id=N`, or `all`.
pub fn read_group_id(text: &str) -> Result<GroupId> {
    let word = Word::new(text).trim();
    let word = match word.split_once("=") {
        Some((key, value)) if key.text == "group_id" => value,
        _ => word,
    };
    group_id(word, true)
}

fn group_id(word: Word<'_>, or_all: bool) -> Result<GroupId> {
    if or_all && word.text.eq_ignore_ascii_case("all") {
        return Ok(GroupId::ALL);
    }
    let help = format!(
        "a group is 0 to {}{}",
        GroupId::MAX,
        if or_all { ", or all" } else { "" }
    );
    let number = word.number(u128::from(GroupId::MAX.0));
    number
        .map(|number| GroupId(number as u32))
        .map_err(|error| error.help(help))
}

/// The group so far, and the words that later checks point at.
struct Reading<'a> {
    command: GroupCommand,
    group: Option<GroupId>,
    kind: Option<(Word<'a>, GroupKind)>,
    place: Option<BucketId>,
    selection: Selection,
    method: Option<Word<'a>>,
    parameter: Option<Word<'a>>,
    fields: Option<Word<'a>>,
    seen: Vec<&'a str>,
    buckets: Vec<Word<'a>>,
}

impl<'a> Reading<'a> {
    fn new(command: GroupCommand) -> Reading<'a> {
        Reading {
            command,
            group: None,
            kind: None,
            place: None,
            selection: Selection::default(),
            method: None,
            parameter: None,
            fields: None,
            seen: Vec::new(),
            buckets: Vec::new(),
        }
    }

    fn read(mut self, whole: Word<'a>, ports: &dyn PortNames) -> Result<GroupMod> {
        let is_bucket = |item: &Item<'_>| matches!(item.key.text, "bucket" | "buckets");
        let mut items = whole.items();
        // Where each bucket begins; all that follows the first belongs to buckets.
        let mut begins: Vec<(Word<'a>, Word<'a>)> = Vec::new();
        for item in &mut items {
            let item = item?;
            if is_bucket(&item) {
                if !has(self.command, "bucket") {
                    return Err(item.key.fail("has no meaning here"));
                }
                item.value.ok_or_else(|| item.key.fail("needs a value"))?;
                begins.push((item.key, item.all_that_follows()));
            } else if begins.is_empty() {
                self.item(item)?;
            }
        }
        for (index, (_, rest)) in begins.iter().enumerate() {
            let end = begins.get(index + 1).map(|(key, _)| key.offset);
            self.buckets.push(rest.until(end));
        }
        self.finish(whole, ports)
    }

    fn item(&mut self, item: Item<'a>) -> Result<()> {
        let key = item.key;
        if !KEYS.contains(&key.text) {
            let known = KEYS.iter().copied().filter(|name| has(self.command, name));
            let fault = key.fail("no such key of a group");
            let is_id = group_id(key, self.command == GroupCommand::Delete).is_ok();
            return Err(match is_id && item.value.is_none() {
                true => fault.help(format!("group_id={}", key.text)),
                false => fault.suggest(known),
            });
        }
        if !has(self.command, key.text) {
            return Err(key.fail("has no meaning here"));
        }
        if self.seen.contains(&key.text) {
            return Err(key.fail("given twice"));
        }
        self.seen.push(key.text);
        let value = item.need()?;
        match key.text {
            "group_id" => {
                let deletes = self.command == GroupCommand::Delete;
                self.group = Some(group_id(value, deletes)?);
            }
            "type" => {
                let row = KINDS.iter().find(|row| row.0 == value.text);
                let fault = || {
                    value
                        .fail("no such type of group")
                        .help("all, select, indirect or ff")
                };
                self.kind = Some((value, row.ok_or_else(fault)?.1));
            }
            "command_bucket_id" => self.place = Some(self.place(value)?),
            "selection_method" => {
                let row = METHODS.iter().find(|row| row.0 == value.text);
                let fault = || {
                    value
                        .fail("no such selection method")
                        .help("hash or dp_hash")
                };
                self.selection.method = row.ok_or_else(fault)?.1;
                self.method = Some(value);
            }
            "selection_method_param" => {
                self.selection.parameter = value.int()?;
                self.parameter = Some(key);
            }
            _ => self.fields = Some(value),
        }
        Ok(())
    }

    fn place(&self, value: Word<'a>) -> Result<BucketId> {
        let place = match PLACES.iter().find(|row| row.0 == value.text) {
            Some(row) => row.1,
            None => {
                bucket_id(value).map_err(|error| error.help("first, last, all or a bucket's id"))?
            }
        };
        if place == BucketId::ALL && self.command == GroupCommand::InsertBucket {
            return Err(value
                .fail("buckets cannot be inserted there")
                .help("first or last, or behind a bucket's id"));
        }
        Ok(place)
    }

    fn finish(mut self, whole: Word<'a>, ports: &dyn PortNames) -> Result<GroupMod> {
        use GroupCommand::{Delete, InsertBucket, RemoveBucket};
        let group = match (self.group, self.command) {
            (Some(group), _) => group,
            (None, Delete) => GroupId::ALL,
            (None, _) => return Err(whole.fail("the group is missing").help("group_id=1")),
        };
        let kind = match (self.kind, self.command) {
            (Some((_, kind)), _) => kind,
            (None, Delete | InsertBucket | RemoveBucket) => GroupKind::All,
            (None, _) => {
                return Err(whole
                    .fail("the type is missing")
                    .help("type=all, select, indirect or ff"));
            }
        };
        if self.place.is_none() && self.command == InsertBucket {
            return Err(whole
                .fail("where to insert is missing")
                .help("command_bucket_id=last"));
        }
        self.check_selection(kind)?;
        if let Some(fields) = self.fields {
            self.selection.fields = read_fields(fields, ports)?;
        }
        let weight = u16::from(kind == GroupKind::Select);
        let mut buckets = Vec::new();
        for word in &self.buckets {
            buckets.push(read_bucket(*word, weight, ports)?);
        }
        number_buckets(&mut buckets);
        let (command, selection) = (self.command, self.selection);
        if !matches!(command, Delete | InsertBucket | RemoveBucket) {
            check(kind, &buckets, &self.buckets, whole)?;
        }
        let bucket = self.place.unwrap_or(BucketId::ALL);
        Ok(GroupMod {
            command,
            bucket,
            desc: GroupDesc {
                group,
                kind,
                selection,
                buckets,
            },
        })
    }

    fn check_selection(&self, kind: GroupKind) -> Result<()> {
        let fault = match (self.method, self.parameter, self.fields) {
            (Some(word), ..) if kind != GroupKind::Select => word
                .fail("only groups of type select choose a bucket")
                .help("type=select"),
            (None, Some(word), _) => word
                .fail("needs selection_method")
                .help("selection_method=hash"),
            (_, _, Some(word)) if self.selection.method != SelectionMethod::Hash => {
                word.fail("fields need selection_method=hash")
            }
            _ => return Ok(()),
        };
        Err(fault)
    }
}

fn bucket_id(word: Word<'_>) -> Result<BucketId> {
    word.number(u128::from(BucketId::MAX.0))
        .map(|number| BucketId(number as u32))
}

/// Reads the fields of a selection: names, each with a mask if not all of its bits count.
fn read_fields(word: Word<'_>, ports: &dyn PortNames) -> Result<Vec<(Field, u128)>> {
    let mut fields = Vec::new();
    for item in word.items() {
        let item = item?;
        let row = field_named(item.key.text)
            .ok_or_else(|| unknown(item.key, "no such field", field_names()))?;
        let full = row.field.full_mask();
        let mask = match item.value {
            None => full,
            Some(value) => read_value(row, value, ports)?.0 & full,
        };
        if mask == 0 {
            return Err(item
                .key
                .fail("none of its bits would count")
                .help("leave it out"));
        }
        if mask != full && !row.maskable {
            return Err(item
                .key
                .fail("all of its bits count, or none")
                .help(row.name));
        }
        if fields.iter().any(|(known, _)| *known == row.field) {
            return Err(item.key.fail("given twice"));
        }
        fields.push((row.field, mask));
    }
    fields.sort();
    Ok(fields)
}

/// Reads actions of a bucket; a word that is none may be a key of the bucket, misspelt.
fn read_run(run: Word<'_>, ports: &dyn PortNames) -> Result<Vec<Action>> {
    read_list(run, ports, 1).map_err(|error| match error.help {
        None => error.suggest(BUCKET_KEYS.iter().copied()),
        Some(_) => error,
    })
}

/// A bucket without an id has this one until all are known.
const UNNUMBERED: BucketId = BucketId::ALL;

fn read_bucket(text: Word<'_>, weight: u16, ports: &dyn PortNames) -> Result<Bucket> {
    let mut bucket = Bucket {
        id: UNNUMBERED,
        weight,
        ..Bucket::default()
    };
    // Where a run of actions begins.
    let mut run: Option<Word<'_>> = None;
    for item in text.items() {
        let item = item?;
        let key = item.key;
        let named = BUCKET_KEYS.contains(&key.text);
        if named || matches!(key.text, "actions" | "action") {
            if let Some(begin) = run.take() {
                bucket
                    .actions
                    .extend(read_run(begin.until(Some(key.offset)), ports)?);
            }
        } else {
            run.get_or_insert_with(|| text.from(key.offset));
            continue;
        }
        if !named {
            item.value.ok_or_else(|| key.fail("needs a value"))?;
            // The value may hold keys of the bucket behind it, so that its items come one by one.
            run = Some(item.all_that_follows());
            continue;
        }
        let value = item.need()?;
        match key.text {
            "bucket_id" => {
                bucket.id = bucket_id(value)
                    .map_err(|e| e.help(format!("a bucket's id is 0 to {}", BucketId::MAX)))?;
            }
            "weight" => bucket.weight = value.int()?,
            "watch_port" => bucket.watch_port = read_port(value, ports)?,
            _ => bucket.watch_group = group_id(value, false)?,
        }
    }
    if let Some(begin) = run {
        bucket.actions.extend(read_run(begin, ports)?);
    }
    Ok(bucket)
}

/// Gives buckets without an id the smallest ones that are free.
fn number_buckets(buckets: &mut [Bucket]) {
    let taken: std::collections::HashSet<BucketId> = buckets.iter().map(|b| b.id).collect();
    let mut free = (0..).map(BucketId).filter(|id| !taken.contains(id));
    for bucket in buckets.iter_mut().filter(|b| b.id == UNNUMBERED) {
        bucket.id = free.next().unwrap_or(UNNUMBERED);
    }
}

/// What the switch would refuse, said of the bucket that is wrong.
fn check(kind: GroupKind, buckets: &[Bucket], words: &[Word<'_>], whole: Word<'_>) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    for (bucket, word) in buckets.iter().zip(words) {
        if !seen.insert(bucket.id) {
            return Err(word.fail(format!("bucket_id {} given twice", bucket.id)));
        }
        if kind == GroupKind::Indirect {
            continue;
        }
        match check_buckets(kind, std::slice::from_ref(bucket)) {
            Ok(()) => {}
            Err(OfError::GroupWatch) => {
                return Err(word.fail("only select and ff groups watch").help("type=ff"));
            }
            Err(_) if bucket.weight != 0 && kind != GroupKind::Select => {
                return Err(word.fail("only buckets of select groups have a weight"));
            }
            Err(_) => {
                let help = "watch_port:1 or watch_group:2";
                return Err(word.fail("a bucket of an ff group has to watch").help(help));
            }
        }
    }
    match check_buckets(kind, buckets) {
        Err(_) if buckets.len() != 1 => Err(whole.fail("an indirect group has exactly one bucket")),
        Err(error) => Err(words.first().unwrap_or(&whole).fail(error.to_string())),
        Ok(()) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::PortMap;
    use crate::types::PortNo;

    fn read(text: &str) -> Result<GroupMod> {
        read_group_mod(text, None, &PortMap::default())
    }

    #[test]
    fn buckets_may_mix_keys_and_actions() {
        let text = "group_id=1,type=select,bucket=output:1,weight:7,output:2,bucket=actions=output:3,bucket_id=9,bucket=drop";
        let m = read(text).unwrap();
        let [a, b, c] = m.desc.buckets.as_slice() else {
            panic!()
        };
        assert_eq!((a.id, a.weight, a.actions.len()), (BucketId(0), 7, 2));
        assert_eq!((b.id, b.weight, b.actions.len()), (BucketId(9), 1, 1));
        assert_eq!(
            (c.id, c.actions.len(), c.watch_port),
            (BucketId(1), 0, PortNo::ANY)
        );
    }

    #[test]
    fn mistakes_are_shown_with_what_would_be_right() {
        for (text, word, message) in [
            ("type=all", "type=all", "the group is missing"),
            ("group_id=1", "group_id=1", "the type is missing"),
            ("group_id=1,type=foo", "foo", "no such type of group"),
            ("group_id=1,typ=all", "typ", "no such key of a group"),
            (
                "group_id=1,type=all,bucket=weight:3,output:1",
                "weight:3,output:1",
                "only buckets of select groups have a weight",
            ),
            (
                "group_id=1,type=ff,bucket=output:1",
                "output:1",
                "a bucket of an ff group has to watch",
            ),
            (
                "group_id=1,type=all,bucket=watch_port:1,output:1",
                "watch_port:1,output:1",
                "only select and ff groups watch",
            ),
            (
                "group_id=1,type=indirect",
                "group_id=1,type=indirect",
                "an indirect group has exactly one bucket",
            ),
            (
                "group_id=1,type=select,fields(ip_src)",
                "ip_src",
                "fields need selection_method=hash",
            ),
            (
                "group_id=1,type=all,selection_method=hash",
                "hash",
                "only groups of type select choose a bucket",
            ),
            (
                "group_id=1,type=select,selection_method=hash,fields(ip_scr)",
                "ip_scr",
                "no such field",
            ),
            ("delete group_id=1,type=all", "type", "has no meaning here"),
            (
                "insert_bucket group_id=1,bucket=output:1",
                "group_id=1,bucket=output:1",
                "where to insert is missing",
            ),
            (
                "group_id=1,type=all,bucket=bucket_id:1,output:1,bucket=bucket_id:1,drop",
                "bucket_id:1,drop",
                "bucket_id 1 given twice",
            ),
            (
                "group_id=1,type=select,bucket=weight:70000,drop",
                "70000",
                "too large, the most is 65535",
            ),
            (
                "group_id=1,type=all,bucket=goto_table:3",
                "goto_table",
                "is an instruction, not an action, so it can not be nested",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(
                (error.word.as_str(), error.message.as_str()),
                (word, message),
                "{text}"
            );
        }
        let misspelt = read("group_id=1,type=select,bucket=wieght:3,output:1").unwrap_err();
        assert_eq!(misspelt.help.unwrap(), "did you mean \"weight\"?");
    }
}
