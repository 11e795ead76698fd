//! The log against crashes: whatever a crash leaves of the last record, everything before it is there.

use std::path::{Path, PathBuf};

use ovsdb::log::{Log, LogError, Notice};
use ovsdb::server::{Limits, Server};
use ovsdb::{Datum, Error, Row, open_vswitch};

struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("ovsdb-log-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("temporary directory");
        Self(dir)
    }

    fn db(&self) -> PathBuf {
        self.0.join("conf.db")
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn open(path: &Path) -> (Server, Vec<Notice>) {
    let (log, db, notices) = Log::open(path, open_vswitch::schema()).expect("opens");
    let mut server = Server::new((), Limits::default());
    server.host(db, Some(log));
    (server, notices)
}

fn add_qos(server: &mut Server, name: &str) {
    let row = Row::new()
        .with("type", Datum::scalar(name))
        .with("external_ids", Datum::map([("é", "\n\"")]));
    server
        .update("Open_vSwitch", |txn| txn.insert("QoS", row))
        .expect("inserts");
    assert!(server.outputs().is_empty());
}

fn types(server: &Server) -> Vec<String> {
    let db = server.database("Open_vSwitch").expect("is hosted");
    let mut types: Vec<String> = db
        .rows("QoS")
        .map(|(_, row)| row.str("type").to_owned())
        .collect();
    types.sort();
    types
}

/// A database with the rows a, b and c, one record each, and the offset of the last record.
fn three(dir: &Dir) -> (Vec<u8>, usize) {
    let (mut server, notices) = open(&dir.db());
    assert_eq!(notices, [Notice::Created]);
    add_qos(&mut server, "a");
    add_qos(&mut server, "b");
    let before = std::fs::metadata(dir.db()).expect("file").len();
    add_qos(&mut server, "c");
    drop(server);
    (
        std::fs::read(dir.db()).expect("file"),
        usize::try_from(before).expect("small"),
    )
}

#[test]
fn torn_at_every_byte() {
    let dir = Dir::new("torn");
    let (bytes, last) = three(&dir);
    for end in last..=bytes.len() {
        std::fs::write(dir.db(), &bytes[..end]).expect("write");
        let (mut server, notices) = open(&dir.db());
        let whole = end == bytes.len();
        assert_eq!(
            types(&server),
            if whole {
                &["a", "b", "c"][..]
            } else {
                &["a", "b"]
            },
            "cut at {end}"
        );
        match end == last || whole {
            true => assert_eq!(notices, []),
            false => assert_eq!(
                notices,
                [Notice::Torn {
                    offset: last as u64,
                    size_bytes: (end - last) as u64
                }]
            ),
        }
        // Life goes on after it.
        add_qos(&mut server, "d");
        drop(server);
        let (server, notices) = open(&dir.db());
        assert_eq!(
            (types(&server).last().map(String::as_str), notices.len()),
            (Some("d"), 0),
            "cut at {end}"
        );
    }
}

/// A file system may leave blocks of anything where the last record should be.
#[test]
fn damaged_at_every_byte() {
    let dir = Dir::new("damaged");
    let (bytes, last) = three(&dir);
    for place in last..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 0x20;
        std::fs::write(dir.db(), &damaged).expect("write");
        let (server, notices) = open(&dir.db());
        assert_eq!(types(&server), ["a", "b"], "byte {place}");
        assert_eq!(notices.len(), 1);
        assert_eq!(
            std::fs::read(dir.db().with_file_name("conf.db.torn")).expect("kept"),
            &damaged[last..]
        );
    }
}

#[test]
fn one_process_at_a_time() {
    let dir = Dir::new("lock");
    let (server, _) = open(&dir.db());
    assert!(matches!(
        Log::open(&dir.db(), open_vswitch::schema()),
        Err(LogError::InUse(_))
    ));
    drop(server);
    open(&dir.db());
}

#[test]
fn what_is_not_a_database_is_left_alone() {
    let dir = Dir::new("foreign");
    for content in [
        "hello",
        "OVSDB CLUSTER 3 da39a3ee5e6b4b0d3255bfef95601890afd80709\n{}\n",
    ] {
        std::fs::write(dir.db(), content).expect("write");
        assert!(matches!(
            Log::open(&dir.db(), open_vswitch::schema()),
            Err(LogError::Bad { offset: 0, .. })
        ));
        assert_eq!(std::fs::read_to_string(dir.db()).expect("file"), content);
    }
    std::fs::remove_file(dir.db()).expect("remove");
    drop(Log::open(&dir.db(), open_vswitch::server_schema()).expect("creates"));
    let error = Log::open(&dir.db(), open_vswitch::schema())
        .expect_err("another database")
        .to_string();
    assert!(error.contains("holds a database _Server"), "{error}");
}

/// Statistics come every few seconds: they must not reach the disk.
#[test]
fn ephemeral_columns_are_not_kept() {
    let dir = Dir::new("ephemeral");
    let (mut server, _) = open(&dir.db());
    let uuid = server
        .update("Open_vSwitch", |txn| {
            txn.insert(
                "Open_vSwitch",
                Row::new().with("statistics", Datum::map([("cpu", "1")])),
            )
        })
        .expect("inserts");
    let size = std::fs::metadata(dir.db()).expect("file").len();
    let set = |server: &mut Server, column: &str, datum: Datum| {
        server
            .update("Open_vSwitch", |txn| {
                txn.set("Open_vSwitch", uuid, column, datum)
            })
            .expect("sets");
        server.outputs();
    };
    set(&mut server, "statistics", Datum::map([("cpu", "2")]));
    assert_eq!(std::fs::metadata(dir.db()).expect("file").len(), size);
    set(&mut server, "cur_cfg", Datum::scalar(7));
    drop(server);
    let (server, _) = open(&dir.db());
    let (_, row) = server
        .database("Open_vSwitch")
        .and_then(|db| db.singleton("Open_vSwitch"))
        .expect("row");
    assert_eq!(
        (row.int("cur_cfg"), row.get("statistics")),
        (Some(7), Some(&Datum::empty_map()))
    );
}

/// A long life in a bounded file, and nothing is lost on the way.
#[test]
fn the_file_is_bounded() {
    let dir = Dir::new("compact");
    let (mut server, _) = open(&dir.db());
    let uuid = server
        .update("Open_vSwitch", |txn| txn.insert("QoS", Row::new()))
        .expect("inserts");
    let (mut largest, mut shrunk) = (0, false);
    for round in 0..600i64 {
        let big = "x".repeat(20_000);
        let map = Datum::map([("round".to_owned(), round.to_string()), (big.clone(), big)]);
        let result: Result<(), Error> = server.update("Open_vSwitch", |txn| {
            txn.set("QoS", uuid, "other_config", map)?;
            txn.set(
                "QoS",
                uuid,
                "type",
                Datum::scalar(format!("{round}{}", "y".repeat(20_000))),
            )
        });
        result.expect("sets");
        server.outputs();
        let size = std::fs::metadata(dir.db()).expect("file").len();
        shrunk |= size < largest;
        largest = largest.max(size);
    }
    assert!(shrunk && largest < 6 << 20, "{largest}");
    drop(server);
    let (server, notices) = open(&dir.db());
    assert_eq!(notices, []);
    let row = server
        .database("Open_vSwitch")
        .and_then(|db| db.row("QoS", uuid))
        .expect("row");
    assert_eq!(row.key("other_config", "round"), Some("599"));
}

/// A file of another version is converted, and the original kept.
#[test]
fn other_versions_are_converted() {
    let dir = Dir::new("convert");
    let mut newer = (*open_vswitch::schema()).clone();
    newer.version = "8.9.0".into();
    let queue = newer.tables.get_mut("Queue").expect("table");
    let mut column = queue.columns["dscp"].clone();
    column.name = "novelty".into();
    queue.columns.insert(column.name.clone(), column);
    let (log, db, _) = Log::open(&dir.db(), newer.into()).expect("creates");
    let mut server = Server::new((), Limits::default());
    server.host(db, Some(log));
    let row = Row::new()
        .with("dscp", Datum::scalar(3))
        .with("novelty", Datum::scalar(4));
    server
        .update("Open_vSwitch", |txn| txn.insert("Queue", row))
        .expect("inserts");
    server.outputs();
    drop(server);
    let original = std::fs::read(dir.db()).expect("file");
    let (server, notices) = open(&dir.db());
    let [
        Notice::Converted {
            from,
            backup,
            dropped,
        },
    ] = notices.as_slice()
    else {
        panic!("{notices:?}")
    };
    assert_eq!(
        (from.as_str(), dropped.as_slice()),
        ("8.9.0", &["Queue.novelty".to_owned()][..])
    );
    assert_eq!(std::fs::read(backup).expect("backup"), original);
    let queue = server
        .database("Open_vSwitch")
        .and_then(|db| db.singleton("Queue"))
        .expect("row");
    assert_eq!(queue.1.int("dscp"), Some(3));
    drop(server);
    assert_eq!(open(&dir.db()).1, []);
}
