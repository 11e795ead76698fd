//! Tables: what they can do, what they do when they are full, and what with packets that no flow matches.

use super::switch::{gather, wrong_reply};
use super::{Context, print};
use crate::connection::Connection;
use crate::failure::{Failure, Result};
use crate::json;
use ofp::message::{
    Abilities, Body, Message, MultipartPart, MultipartReply, MultipartRequest, TableDesc,
    TableFeatures, TableFeaturesChange, TableMod, Vacancy, table_config, table_features_command,
};
use ofp::text::digits;
use ofp::text::nearest;
use ofp::text::print::print_message;
use ofp::types::{TableId, Version};

/// Versions in which tables have a configuration that can be asked for.
fn of_desc(version: &Version) -> bool {
    *version >= Version::V14
}

pub(super) fn dump_table_features(context: &Context<'_>) -> Result<()> {
    let versions = context.versions_that(|v| *v >= Version::V13, "dump-table-features")?;
    let mut connection = context.connect_with(&versions)?;
    let request = MultipartRequest::TableFeatures(Vec::new());
    let whole = gather(&mut connection, request)?;
    let tables: &[TableFeatures] = match whole.as_ref().map(|m| &m.body) {
        Some(Body::MultipartReply(MultipartReply {
            part: MultipartPart::TableFeatures(tables),
            ..
        })) => tables,
        _ => return Err(wrong_reply(context)),
    };
    if context.options.json {
        return print(&format!("{}\n", json::table_features(tables)));
    }
    let version = connection.version();
    print(&ofp::text::print::print_table_features(tables, version))
}

fn descs(context: &Context<'_>, connection: &mut Connection) -> Result<(Message, Vec<TableDesc>)> {
    match gather(connection, MultipartRequest::TableDesc)? {
        Some(message) => match &message.body {
            Body::MultipartReply(MultipartReply {
                part: MultipartPart::TableDesc(descs),
                ..
            }) => {
                let descs = descs.clone();
                Ok((message, descs))
            }
            _ => Err(wrong_reply(context)),
        },
        None => Err(wrong_reply(context)),
    }
}

pub(super) fn dump_table_desc(context: &Context<'_>) -> Result<()> {
    let versions = context.versions_that(of_desc, "dump-table-desc")?;
    let mut connection = context.connect_with(&versions)?;
    let (message, descs) = descs(context, &mut connection)?;
    if context.options.json {
        return print(&format!("{}\n", json::table_descs(&descs)));
    }
    let ports = ofp::text::PortMap::default();
    print(&print_message(
        &message,
        &context.style(connection.version(), &ports),
    ))
}

/// What `mod-table` can set.
enum Setting {
    /// 1.1 and 1.2: what happens to a packet that no flow matches.
    Miss(u32),
    /// 1.4: whether a full table makes room.
    Evict(bool),
    /// 1.4: when to say how full it is.
    Vacancy(Option<(u8, u8)>),
}

const SETTINGS: &[&str] = &[
    "drop",
    "continue",
    "controller",
    "name:NAME",
    "evict",
    "noevict",
    "vacancy:LOW,HIGH",
    "novacancy",
];

impl Setting {
    fn read(word: &str) -> Result<Setting> {
        Ok(match word {
            "controller" => Setting::Miss(table_config::MISS_CONTROLLER),
            "continue" => Setting::Miss(table_config::MISS_CONTINUE),
            "drop" => Setting::Miss(table_config::MISS_DROP),
            "evict" => Setting::Evict(true),
            "noevict" => Setting::Evict(false),
            "novacancy" => Setting::Vacancy(None),
            word => match word.strip_prefix("vacancy:") {
                Some(range) => Setting::Vacancy(Some(vacancy(range)?)),
                None => {
                    let hint = nearest(word, SETTINGS.iter().copied()).map_or_else(
                        || SETTINGS.join(", "),
                        |near| format!("did you mean {near}?"),
                    );
                    return Err(Failure::plain(format!(
                        "mod-table: no setting \"{word}\": {hint}"
                    )));
                }
            },
        })
    }

    fn is_of(&self, version: &Version) -> bool {
        match self {
            Setting::Miss(_) => matches!(version, Version::V11 | Version::V12),
            Setting::Evict(_) | Setting::Vacancy(_) => of_desc(version),
        }
    }

    /// The message that sets this and leaves the rest as it is.
    fn to_mod(&self, table: TableId, now: &TableDesc) -> TableMod {
        let with = |on: bool, bit: u32| match on {
            true => now.config | bit,
            false => now.config & !bit,
        };
        match self {
            Setting::Miss(config) => TableMod {
                table,
                config: *config,
                ..TableMod::default()
            },
            Setting::Evict(on) => TableMod {
                table,
                config: with(*on, table_config::EVICTION),
                ..TableMod::default()
            },
            Setting::Vacancy(range) => TableMod {
                table,
                config: with(range.is_some(), table_config::VACANCY_EVENTS),
                eviction_flags: None,
                vacancy: range.map(|(down, up)| Vacancy {
                    down,
                    up,
                    current: 0,
                }),
            },
        }
    }
}

/// Bytes of a name: 32 with the zero behind it.
const NAME_SIZE: usize = 31;

fn name(text: &str) -> Result<String> {
    let digit = text.starts_with(|c: char| c.is_ascii_digit());
    match text {
        long if long.len() > NAME_SIZE => Err(Failure::plain(format!(
            "mod-table: name:{long}: a name has at most {NAME_SIZE} bytes"
        ))),
        number if digit => Err(Failure::plain(format!(
            "mod-table: name:{number}: a name does not begin with a digit"
        ))),
        name => Ok(name.to_owned()),
    }
}

/// Sends a table's features back with another name.
fn rename(context: &Context<'_>, table: TableId, name: &str) -> Result<()> {
    let versions = context.versions_that(|v| *v >= Version::V13, "mod-table name:NAME")?;
    let mut connection = context.connect_with(&versions)?;
    let whole = gather(&mut connection, MultipartRequest::TableFeatures(Vec::new()))?;
    let Some(Body::MultipartReply(MultipartReply {
        part: MultipartPart::TableFeatures(tables),
        ..
    })) = whole.map(|message| message.body)
    else {
        return Err(wrong_reply(context));
    };
    let Some(mut features) = tables.into_iter().find(|t| t.table == table) else {
        let switch = context.switch();
        return Err(Failure::plain(format!("{switch}: no table {table}")));
    };
    features.name = name.to_owned();
    let change = TableFeaturesChange {
        command: table_features_command::MODIFY,
        features,
        abilities: Abilities::Unsaid,
    };
    let request = MultipartRequest::TableFeatures(vec![change]);
    connection.ask_parts(request, |_| Ok(()))
}

fn vacancy(range: &str) -> Result<(u8, u8)> {
    let percent = |word: &str| {
        let number = digits::<u8>(word.trim(), 10).filter(|n| *n <= 100);
        number.ok_or_else(|| {
            Failure::plain(format!(
                "mod-table: vacancy:{range}: \"{word}\" is not a percentage of 0 to 100"
            ))
        })
    };
    let (low, high) = range
        .split_once(',')
        .ok_or_else(|| Failure::plain(format!("mod-table: vacancy:{range}: wants LOW,HIGH")))?;
    match (percent(low)?, percent(high)?) {
        (low, high) if low < high => Ok((low, high)),
        (low, high) => Err(Failure::plain(format!(
            "mod-table: vacancy:{range}: {high} is not above {low}"
        ))),
    }
}

pub(super) fn mod_table(context: &Context<'_>) -> Result<()> {
    let word = &context.args[1];
    let table = match word.to_ascii_lowercase().as_str() {
        "all" => Some(255),
        number => digits::<u8>(number, 10),
    };
    let table = TableId(table.ok_or_else(|| {
        Failure::plain(format!(
            "mod-table: \"{word}\" is not a table: 0 to 254, or all"
        ))
    })?);
    if let Some(text) = context.args[2].strip_prefix("name:") {
        return match table {
            TableId::ALL => Err(Failure::plain("mod-table: one name is for one table")),
            table => rename(context, table, &name(text)?),
        };
    }
    let setting = Setting::read(&context.args[2])?;
    let versions = context.versions_that(
        |version| setting.is_of(version),
        &format!("mod-table {}", context.args[2]),
    )?;
    let mut connection = context.connect_with(&versions)?;
    let mut mods = Vec::new();
    match setting {
        Setting::Miss(_) => mods.push(setting.to_mod(table, &TableDesc::default())),
        _ => {
            let (_, descs) = descs(context, &mut connection)?;
            let wanted = |desc: &&TableDesc| table == TableId::ALL || desc.table == table;
            mods.extend(
                descs
                    .iter()
                    .filter(wanted)
                    .map(|desc| setting.to_mod(desc.table, desc)),
            );
        }
    }
    if mods.is_empty() {
        return Err(Failure::plain(format!(
            "{}: no table {word}",
            context.switch()
        )));
    }
    connection.tell(mods.into_iter().map(Body::TableMod).collect())
}
