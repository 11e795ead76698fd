//! The database in a file: an append-only log that survives a crash at any byte, in the format that `ovsdb-tool` reads.
//!
//! What: a record is a line `OVSDB JSON <size> <sha1>` and `size` bytes of JSON. The first holds the schema, each other one
//! a transaction: by table and row, the persistent columns that changed (sets and maps as differences), or null for a deleted row.
//! Why: a transaction is confirmed when its record is on the disk, and not before; a record is there wholly or not at all.
//! Design: [`Log::append`] writes, [`Log::sync`] makes everything written so far durable (one fsync for a whole batch of clients).
//! A new file is written beside the old one and renamed over it, so there is a good file at all times.
//! Invariants: what follows the last whole record is not data; it is cut off on opening, kept in `<file>.torn`, and reported.
//! A failed write leaves the log as it was; after a failed fsync nobody knows what is on the disk, and the log refuses to go on.
//! What we chose not to do: no clustered databases, no history for clients that reconnect.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::database::{Database, Delta, RowChange};
use crate::replay::Replay;
use crate::schema::{DatabaseSchema, TableSchema};
use crate::sha1;

/// A file larger than this is not read: compaction keeps files far below it.
const FILE_LIMIT_BYTES: u64 = 1 << 30;

/// A log smaller than this is not worth compacting.
const COMPACT_MIN_BYTES: u64 = 4 << 20;

/// A log is compacted when it is so many times as large as it was after the last time.
const COMPACT_FACTOR: u64 = 4;

/// Why a log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The operating system says so.
    #[error("{path}: {error}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        error: io::Error,
    },
    /// Another process has the database open.
    #[error("{0}: the database is in use by another process")]
    InUse(PathBuf),
    /// It is something else, or damaged where a crash does not do damage.
    #[error("{path}: offset {offset}: {text}")]
    Bad {
        /// Which file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        text: String,
    },
}

/// What happened on opening, for the daemon's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// There was no file; an empty database was made.
    Created,
    /// The last record was incomplete: the offset where the file was cut, and how many bytes went to `<file>.torn`.
    Torn {
        /// Where good data end.
        offset: u64,
        /// How much was cut off.
        size_bytes: u64,
    },
    /// The file has another version of the schema; it was converted, the original is kept in this file.
    Converted {
        /// The version of the file.
        from: String,
        /// The copy of the original.
        backup: PathBuf,
        /// Tables and columns that this version does not have.
        dropped: Vec<String>,
    },
}

impl std::fmt::Display for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Created => f.write_str("a new database was made"),
            Self::Torn { offset, size_bytes } => {
                write!(
                    f,
                    "the last record was incomplete: {size_bytes} bytes from offset {offset} on were cut off and kept in the .torn file"
                )
            }
            Self::Converted {
                from,
                backup,
                dropped,
            } => {
                write!(
                    f,
                    "converted from schema {from}; the original is {}",
                    backup.display()
                )?;
                match dropped.as_slice() {
                    [] => Ok(()),
                    dropped => write!(f, "; left out: {}", dropped.join(", ")),
                }
            }
        }
    }
}

/// An open log; the lock on it lasts as long as this value.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    schema: Arc<DatabaseSchema>,
    file: File,
    _lock: File,
    size_bytes: u64,
    compacted_bytes: u64,
    is_dirty: bool,
    is_broken: bool,
}

impl Log {
    /// Opens the database at `path`, or creates it, and reads what it holds.
    pub fn open(
        path: &Path,
        schema: Arc<DatabaseSchema>,
    ) -> Result<(Self, Database, Vec<Notice>), LogError> {
        let io_error = |error| LogError::Io {
            path: path.to_owned(),
            error,
        };
        let lock = lock(path)?;
        let mut notices = Vec::new();
        if fs::metadata(path).map(|m| m.len()).unwrap_or(0) == 0 {
            write_file(path, &schema, &Database::new(schema.clone())).map_err(io_error)?;
            notices.push(Notice::Created);
        }
        let (replay, size_bytes, rest) = read(path, &schema)?;
        let file = File::options()
            .read(true)
            .write(true)
            .open(path)
            .map_err(io_error)?;
        if !rest.is_empty() {
            fs::write(beside(path, ".torn"), &rest).map_err(io_error)?;
            file.set_len(size_bytes)
                .and_then(|()| file.sync_all())
                .map_err(io_error)?;
            notices.push(Notice::Torn {
                offset: size_bytes,
                size_bytes: rest.len() as u64,
            });
        }
        let (from, dropped) = (replay.converted_from(), replay.dropped());
        let db = replay
            .database()
            .map_err(|e| bad(path, size_bytes, e.to_string()))?;
        let mut log = Self {
            path: path.to_owned(),
            schema,
            file,
            _lock: lock,
            size_bytes,
            compacted_bytes: size_bytes.min(COMPACT_MIN_BYTES),
            is_dirty: false,
            is_broken: false,
        };
        if let Some(from) = from {
            let backup = beside(path, &format!(".backup{from}"));
            fs::copy(path, &backup).map_err(io_error)?;
            log.compact(&db).map_err(io_error)?;
            notices.push(Notice::Converted {
                from,
                backup,
                dropped,
            });
        }
        Ok((log, db, notices))
    }

    /// Writes a transaction. Nothing is written if it changed no persistent column.
    pub fn append(&mut self, delta: &Delta) -> io::Result<()> {
        if self.is_broken {
            return Err(io::Error::other(
                "an earlier write to the database file failed",
            ));
        }
        let Some(mut json) = transaction(&self.schema, delta) else {
            return Ok(());
        };
        json["_date"] = json!(now_ms());
        if !delta.comment.is_empty() {
            json["_comment"] = json!(delta.comment);
        }
        let record = record(&json);
        if let Err(error) = self.file.write_all_at(&record, self.size_bytes) {
            // Cut off what was written of it; if even that fails, a torn tail would be in the middle later.
            self.is_broken = self.file.set_len(self.size_bytes).is_err();
            return Err(error);
        }
        self.size_bytes += record.len() as u64;
        self.is_dirty = true;
        Ok(())
    }

    /// Makes everything durable that was appended. If it fails, nobody knows how much is; later appends are refused.
    pub fn sync(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.is_dirty) {
            return Ok(());
        }
        self.file.sync_data().inspect_err(|_| self.is_broken = true)
    }

    /// Whether the log has grown enough that [`Log::compact`] pays.
    pub fn wants_compaction(&self) -> bool {
        !self.is_broken
            && self.size_bytes
                > COMPACT_MIN_BYTES.max(self.compacted_bytes.saturating_mul(COMPACT_FACTOR))
    }

    /// Replaces the file by one that holds just `db`, which must be what was logged.
    pub fn compact(&mut self, db: &Database) -> io::Result<()> {
        // If it fails, the next try is not at once.
        self.compacted_bytes = self.size_bytes;
        self.file = write_file(&self.path, &self.schema, db)?;
        self.size_bytes = self.file.metadata()?.len();
        self.compacted_bytes = self.size_bytes;
        self.is_dirty = false;
        Ok(())
    }

    /// How large the file is.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

/// Takes the lock file that lies beside the database, under the name that the stock tools give theirs.
fn lock(path: &Path) -> Result<File, LogError> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".~lock~");
    let lock_path = path.with_file_name(name);
    let opened = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock_path);
    let file = opened.map_err(|error| LogError::Io {
        path: lock_path.clone(),
        error,
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(LogError::InUse(path.to_owned())),
        Err(fs::TryLockError::Error(error)) => Err(LogError::Io {
            path: lock_path,
            error,
        }),
    }
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(FILE_LIMIT_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_LIMIT_BYTES {
        return Err(io::Error::other(format!(
            "more than {FILE_LIMIT_BYTES} bytes"
        )));
    }
    Ok(bytes)
}

fn bad(path: &Path, offset: u64, text: String) -> LogError {
    LogError::Bad {
        path: path.to_owned(),
        offset,
        text,
    }
}

/// Reads the records of the file: what they say, where they end, and what follows that is no record.
fn read(path: &Path, schema: &Arc<DatabaseSchema>) -> Result<(Replay, u64, Vec<u8>), LogError> {
    let bytes = read_file(path).map_err(|error| LogError::Io {
        path: path.to_owned(),
        error,
    })?;
    let mut replay: Option<Replay> = None;
    let mut rest = bytes.as_slice();
    while let Some((json, after)) = split_record(rest) {
        let offset = (bytes.len() - rest.len()) as u64;
        let json: Value =
            serde_json::from_slice(json).map_err(|e| bad(path, offset, e.to_string()))?;
        let result = match &mut replay {
            None => Replay::new(&json, schema.clone()).map(|first| replay = Some(first)),
            Some(replay) => replay.transaction(&json),
        };
        result.map_err(|e| bad(path, offset, e.to_string()))?;
        rest = after;
    }
    let replay =
        replay.ok_or_else(|| bad(path, 0, "this is not an OVSDB standalone database".into()))?;
    Ok((replay, (bytes.len() - rest.len()) as u64, rest.to_vec()))
}

/// The JSON of the first record and what follows it; `None` if there is no whole record.
fn split_record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    // The longest header: the words, a 20-digit size and a 40-digit hash.
    let end = bytes.iter().take(80).position(|b| *b == b'\n')?;
    let header = std::str::from_utf8(&bytes[..end]).ok()?;
    let (size, hash) = header.strip_prefix("OVSDB JSON ")?.split_once(' ')?;
    let (json, rest) = bytes[end + 1..].split_at_checked(size.parse().ok()?)?;
    (sha1::hex(json) == hash).then_some((json, rest))
}

fn record(json: &Value) -> Vec<u8> {
    let text = format!("{json}\n");
    format!(
        "OVSDB JSON {} {}\n{text}",
        text.len(),
        sha1::hex(text.as_bytes())
    )
    .into_bytes()
}

/// Writes a whole database under a temporary name, and puts it in the place of `path`.
fn write_file(path: &Path, schema: &DatabaseSchema, db: &Database) -> io::Result<File> {
    let temporary = beside(path, ".tmp");
    let mut bytes = record(&schema.to_json());
    let all = RowChanges(db).delta();
    if let Some(mut json) = transaction(schema, &all) {
        json["_date"] = json!(now_ms());
        json["_comment"] = json!("compacting database online");
        bytes.extend(record(&json));
    }
    let file = File::options()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .mode(0o640)
        .open(&temporary)?;
    file.write_all_at(&bytes, 0)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    let directory = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()?;
    Ok(file)
}

/// A database as the transaction that inserts all of it.
struct RowChanges<'a>(&'a Database);

impl RowChanges<'_> {
    fn delta(&self) -> Delta {
        let rows = |table| {
            self.0
                .rows(table)
                .map(|(uuid, row)| {
                    (
                        uuid,
                        RowChange {
                            old: None,
                            new: Some(row.clone()),
                        },
                    )
                })
                .collect()
        };
        let tables = self.0.schema().tables.keys();
        Delta {
            tables: tables.map(|t| (t.clone(), rows(t))).collect(),
            comment: String::new(),
        }
    }
}

/// The record of a transaction, without date and comment; `None` if it changes nothing persistent.
fn transaction(schema: &DatabaseSchema, delta: &Delta) -> Option<Value> {
    let mut tables = Map::new();
    for (name, rows) in &delta.tables {
        let Some(table) = schema.tables.get(name) else {
            continue;
        };
        let rows: Map<_, _> = rows
            .iter()
            .filter_map(|(uuid, change)| Some((uuid.to_string(), row_json(table, change)?)))
            .collect();
        if !rows.is_empty() {
            tables.insert(name.to_string(), Value::Object(rows));
        }
    }
    if tables.is_empty() {
        return None;
    }
    tables.insert("_is_diff".into(), json!(true));
    Some(Value::Object(tables))
}

fn row_json(table: &TableSchema, change: &RowChange) -> Option<Value> {
    let Some(new) = &change.new else {
        return Some(Value::Null);
    };
    let mut out = Map::new();
    for column in table
        .columns
        .values()
        .filter(|c| !c.ephemeral && change.changes(&c.name))
    {
        let Some(datum) = new.get(&column.name) else {
            continue;
        };
        let json = match change.old.as_ref().and_then(|old| old.get(&column.name)) {
            Some(old) if column.ty.has_diff() => old.diff(datum).to_json(),
            Some(_) => datum.to_json(),
            None if *datum == column.ty.default_datum() => continue,
            None => datum.to_json(),
        };
        out.insert(column.name.to_string(), json);
    }
    (change.old.is_none() || !out.is_empty()).then_some(Value::Object(out))
}

fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}
