//! The server core without sockets: monitors, locks, limits, the commit hook, and random transactions against an oracle.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ovsdb::database::{CommitHook, Database, Delta, Refusal};
use ovsdb::jsonrpc::Message;
use ovsdb::server::{Limits, Server};
use ovsdb::{Datum, Output, Row, SessionId, open_vswitch};
use proptest::prelude::*;
use serde_json::{Value, json};

const A: SessionId = SessionId(1);
const B: SessionId = SessionId(2);

/// Refuses QoS rows of type "bad", and remembers what it was told.
#[derive(Default)]
struct Hook {
    committed: usize,
}

impl CommitHook for Hook {
    fn check(&mut self, after: &Database, delta: &Delta) -> Result<(), Refusal> {
        for (uuid, change) in delta.table("QoS") {
            assert_eq!(after.row("QoS", uuid), change.new.as_ref());
        }
        match after.rows("QoS").any(|(_, row)| row.str("type") == "bad") {
            true => Err(Refusal("QoS type bad is not possible".into())),
            false => Ok(()),
        }
    }

    fn committed(&mut self, _: &Database, _: &Delta) {
        self.committed += 1;
    }
}

struct Bench {
    server: Server<Hook>,
    now: Instant,
}

impl Bench {
    fn new(limits: Limits) -> Self {
        let mut server = Server::new(Hook::default(), limits);
        server.host(Database::new(open_vswitch::schema()), None);
        server.connect(A).expect("connects");
        server.connect(B).expect("connects");
        Self {
            server,
            now: Instant::now(),
        }
    }

    /// Sends a request; what all sessions get.
    fn request(
        &mut self,
        session: SessionId,
        method: &str,
        params: Value,
    ) -> Vec<(SessionId, Value)> {
        let params = params.as_array().expect("params").clone();
        self.server
            .handle(self.now, session, Message::request("id", method, params));
        self.outputs()
    }

    fn outputs(&mut self) -> Vec<(SessionId, Value)> {
        let show = |output| match output {
            Output::Send(
                session,
                Message::Response {
                    result: Ok(result), ..
                },
            ) => (session, result),
            Output::Send(
                session,
                Message::Response {
                    result: Err(error), ..
                },
            ) => (session, json!({ "bad": error["error"] })),
            Output::Send(session, Message::Notification { method, params }) => {
                (session, json!({ method: params }))
            }
            other => panic!("{other:?}"),
        };
        self.server.outputs().into_iter().map(show).collect()
    }

    fn transact(&mut self, operations: Value) -> Vec<(SessionId, Value)> {
        let mut params = vec![json!("Open_vSwitch")];
        params.extend(operations.as_array().expect("operations").iter().cloned());
        self.request(A, "transact", Value::Array(params))
    }
}

fn insert(ty: &str) -> Value {
    json!({ "op": "insert", "table": "QoS", "row": { "type": ty } })
}

#[test]
fn a_refusal_takes_everything_back() {
    let mut bench = Bench::new(Limits::default());
    bench.request(B, "monitor", json!(["Open_vSwitch", "m", { "QoS": {} }]));
    let refused = bench.transact(json!([insert("good"), insert("bad")]));
    let [(A, results)] = refused.as_slice() else {
        panic!("{refused:?}")
    };
    assert_eq!(
        results[2],
        json!({ "error": "constraint violation", "details": "QoS type bad is not possible" })
    );
    assert_eq!(
        bench
            .server
            .database("Open_vSwitch")
            .map(|db| db.len("QoS")),
        Some(0)
    );
    assert_eq!(
        (
            bench.server.hook.committed,
            bench.server.counters().transactions_refused
        ),
        (0, 1)
    );
    bench.transact(json!([insert("good")]));
    assert_eq!(bench.server.hook.committed, 1);
    let own = bench.server.update("Open_vSwitch", |txn| {
        txn.insert("QoS", Row::new().with("type", Datum::scalar("bad")))
    });
    assert!(own.is_ok(), "the daemon is not asked about its own updates");
}

#[test]
fn the_three_forms_of_updates() {
    let mut bench = Bench::new(Limits::default());
    let columns = json!({ "QoS": [{ "columns": ["type", "external_ids"] }] });
    bench.transact(json!([{ "op": "insert", "table": "QoS", "row": { "type": "t" } }]));
    let (uuid, _) = bench
        .server
        .database("Open_vSwitch")
        .and_then(|db| db.singleton("QoS"))
        .expect("row");
    let uuid = uuid.to_string();
    let map = |pairs: Value| json!(["map", pairs]);
    let initial = |bench: &mut Bench, method: &str, id: &str| {
        bench
            .request(
                B,
                method,
                json!([
                    "Open_vSwitch",
                    id,
                    columns,
                    "00000000-0000-0000-0000-000000000000"
                ]),
            )
            .remove(0)
            .1
    };
    assert_eq!(
        initial(&mut bench, "monitor", "1"),
        json!({ "QoS": { &uuid: { "new": { "type": "t", "external_ids": map(json!([])) } } } })
    );
    assert_eq!(
        initial(&mut bench, "monitor_cond", "2"),
        json!({ "QoS": { &uuid: { "initial": { "type": "t" } } } })
    );
    let since = initial(&mut bench, "monitor_cond_since", "3");
    assert_eq!(
        (&since[0], &since[2]),
        (
            &json!(false),
            &json!({ "QoS": { &uuid: { "initial": { "type": "t" } } } })
        )
    );

    let seen = bench.transact(json!([{ "op": "mutate", "table": "QoS", "where": [], "mutations": [["external_ids", "insert", ["map", [["a", "b"]]]]] }]));
    let added = map(json!([["a", "b"]]));
    let old = json!({ "external_ids": map(json!([])) });
    assert_eq!(
        seen[0].1,
        json!({ "update": ["1", { "QoS": { &uuid: { "old": old, "new": { "type": "t", "external_ids": added } } } }] })
    );
    let diff = json!({ "QoS": { &uuid: { "modify": { "external_ids": added } } } });
    assert_eq!(seen[1].1, json!({ "update2": ["2", diff] }));
    assert_eq!(seen[2].1["update3"][2], diff);
    assert_eq!(seen[3].0, A, "the updates of others come before the reply");

    let unseen = bench.transact(json!([{ "op": "update", "table": "QoS", "where": [], "row": { "other_config": ["map", [["a", "b"]]] } }]));
    assert_eq!(unseen.len(), 1, "no column of the monitors changed");
    let gone = bench.transact(json!([{ "op": "delete", "table": "QoS", "where": [] }]));
    assert_eq!(
        gone[0].1,
        json!({ "update": ["1", { "QoS": { &uuid: { "old": { "type": "t", "external_ids": added } } } }] })
    );
    assert_eq!(
        gone[1].1,
        json!({ "update2": ["2", { "QoS": { &uuid: { "delete": null } } }] })
    );
}

#[test]
fn conditions_bring_rows_into_view() {
    let mut bench = Bench::new(Limits::default());
    bench.transact(json!([insert("a"), insert("b")]));
    let seen = bench.request(B, "monitor_cond", json!(["Open_vSwitch", "m", { "QoS": [{ "columns": ["type"], "where": [["type", "==", "a"]] }] }]));
    assert!(
        seen[0].1.to_string().contains("\"a\"") && !seen[0].1.to_string().contains("\"b\""),
        "{seen:?}"
    );
    let seen = bench.request(
        B,
        "monitor_cond_change",
        json!(["m", "n", { "QoS": [{ "where": [["type", "==", "b"]] }] }]),
    );
    assert_eq!(seen[0].1, json!({}));
    let text = seen[1].1.to_string();
    assert!(
        text.contains("\"insert\":{\"type\":\"b\"}")
            && text.contains("\"delete\":null")
            && text.contains("\"n\""),
        "{text}"
    );
    let text = bench.transact(json!([{ "op": "update", "table": "QoS", "where": [["type", "==", "b"]], "row": { "type": "a" } }]))[0].1.to_string();
    assert!(text.contains("delete"), "{text}");
    assert_eq!(
        bench.request(B, "monitor_cancel", json!(["n"]))[0].1,
        json!({})
    );
    assert_eq!(
        bench.request(B, "monitor_cancel", json!(["n"]))[0].1,
        json!({ "bad": "unknown monitor" })
    );
    assert_eq!(bench.transact(json!([insert("b")])).len(), 1);
}

#[test]
fn locks() {
    let mut bench = Bench::new(Limits::default());
    let assert_lock = json!([{ "op": "assert", "lock": "l" }]);
    assert_eq!(
        bench.request(A, "lock", json!(["l"])),
        [(A, json!({ "locked": true }))]
    );
    assert_eq!(bench.transact(assert_lock.clone())[0].1, json!([{}]));
    assert_eq!(
        bench.request(B, "lock", json!(["l"])),
        [(B, json!({ "locked": false }))]
    );
    assert_eq!(
        bench.request(A, "unlock", json!(["l"])),
        [(B, json!({ "locked": ["l"] })), (A, json!({}))]
    );
    assert_eq!(bench.transact(assert_lock)[0].1[0]["error"], "not owner");
    assert_eq!(
        bench.request(A, "steal", json!(["l"])),
        [
            (B, json!({ "stolen": ["l"] })),
            (A, json!({ "locked": true }))
        ]
    );
    bench.server.disconnect(A);
    assert_eq!(bench.outputs(), []);
    assert_eq!(
        bench.request(B, "lock", json!(["l"])),
        [(B, json!({ "locked": true }))]
    );
}

#[test]
fn waiting_ends_by_change_time_cancel_or_goodbye() {
    let mut bench = Bench::new(Limits {
        waiting: 1,
        ..Limits::default()
    });
    let wait = |ms: u64| json!(["Open_vSwitch", { "op": "wait", "table": "QoS", "where": [], "columns": ["type"], "until": "==", "rows": [{ "type": "t" }], "timeout": ms }]);
    assert_eq!(bench.request(B, "transact", wait(1000)), []);
    assert_eq!(
        bench.server.next_deadline(),
        Some(bench.now + Duration::from_millis(1000))
    );
    assert_eq!(
        bench.request(B, "transact", wait(1000)),
        [(B, json!({ "bad": "resources exhausted" }))]
    );
    bench.server.tick(bench.now + Duration::from_millis(999));
    assert_eq!(bench.outputs(), []);
    bench.server.tick(bench.now + Duration::from_millis(1000));
    assert_eq!(bench.outputs()[0].1[0]["error"], "timed out");
    bench.request(B, "transact", wait(1000));
    bench.server.handle(
        bench.now,
        B,
        Message::notification("cancel", vec![json!("id")]),
    );
    assert_eq!(bench.outputs(), [(B, json!({ "bad": "canceled" }))]);
    bench.request(B, "transact", wait(1000));
    assert_eq!(bench.transact(json!([insert("t")]))[1], (B, json!([{}])));
    bench.transact(json!([{ "op": "delete", "table": "QoS", "where": [] }]));
    bench.request(B, "transact", wait(1000));
    bench.server.disconnect(B);
    assert_eq!(bench.server.next_deadline(), None);
}

#[test]
fn limits_and_bad_requests() {
    let mut bench = Bench::new(Limits {
        sessions: 2,
        monitors: 1,
        locks: 1,
        ..Limits::default()
    });
    assert!(bench.server.connect(SessionId(3)).is_err());
    bench.request(A, "monitor", json!(["Open_vSwitch", 1, {}]));
    bench.request(A, "lock", json!(["l"]));
    for (method, params, error) in [
        (
            "monitor",
            json!(["Open_vSwitch", 2, {}]),
            "resources exhausted",
        ),
        ("monitor", json!(["Open_vSwitch", 1, {}]), "syntax error"),
        ("lock", json!(["m"]), "resources exhausted"),
        ("transact", json!(["nothing"]), "unknown database"),
        ("transact", json!([]), "syntax error"),
        (
            "transact",
            json!(["_Server", { "op": "delete", "table": "Database", "where": [] }]),
            "not supported",
        ),
        ("get_schema", json!([7]), "syntax error"),
        ("monitor_cond_change", json!([9, 9, {}]), "unknown monitor"),
        ("monitor_cond_change", json!([1, 1, {}]), "syntax error"),
        ("unlock", json!(["never"]), "syntax error"),
        ("frob", json!([]), "unknown method"),
    ] {
        assert_eq!(
            bench.request(A, method, params.clone()),
            [(A, json!({ "bad": error }))],
            "{method} {params}"
        );
    }
    assert_eq!(
        bench.request(A, "echo", json!([1, "two"])),
        [(A, json!([1, "two"]))]
    );
    assert_eq!(
        bench.request(A, "list_dbs", json!([]))[0].1,
        json!(["Open_vSwitch", "_Server"])
    );
    let counters = bench.server.counters();
    assert_eq!(
        (counters.sessions_refused, counters.requests_limited),
        (1, 2)
    );
}

/// Operations on a few names, with references of both kinds, so that random ones often touch each other.
fn operation() -> impl Strategy<Value = Value> {
    let name = prop_oneof![Just("a"), Just("b"), Just("c")];
    let named = |name: &str| json!(["name", "==", name]);
    let reference = |label: &str| json!(["named-uuid", label]);
    prop_oneof![
        Just(json!({ "op": "insert", "table": "Open_vSwitch", "row": {} })),
        (name.clone(), name.clone()).prop_map(move |(n, p)| json!([
            { "op": "insert", "table": "Interface", "row": { "name": p }, "uuid-name": "i" },
            { "op": "insert", "table": "Port", "row": { "name": p, "interfaces": reference("i") }, "uuid-name": "p" },
            { "op": "insert", "table": "Mirror", "row": { "output_port": reference("p") }, "uuid-name": "m" },
            { "op": "insert", "table": "Bridge", "row": { "name": n, "ports": reference("p"), "mirrors": reference("m") }, "uuid-name": "b" },
            { "op": "mutate", "table": "Open_vSwitch", "where": [], "mutations": [["bridges", "insert", reference("b")]] },
        ])),
        (name.clone(), name.clone()).prop_map(move |(n, p)| json!([
            { "op": "insert", "table": "Interface", "row": { "name": p }, "uuid-name": "i" },
            { "op": "insert", "table": "Port", "row": { "name": p, "interfaces": reference("i") }, "uuid-name": "p" },
            { "op": "mutate", "table": "Bridge", "where": [named(n)], "mutations": [["ports", "insert", reference("p")]] },
        ])),
        name.clone().prop_map(move |n| json!({ "op": "update", "table": "Bridge", "where": [named(n)], "row": { "ports": ["set", []] } })),
        name.clone().prop_map(move |n| json!({ "op": "update", "table": "Bridge", "where": [named(n)], "row": { "mirrors": ["set", []] } })),
        name.prop_map(move |n| json!({ "op": "delete", "table": "Bridge", "where": [named(n)] })),
        Just(json!({ "op": "update", "table": "Open_vSwitch", "where": [], "row": { "bridges": ["set", []] } })),
        Just(json!({ "op": "delete", "table": "Open_vSwitch", "where": [] })),
    ]
}

/// What must always hold, computed from the rows alone.
fn check_whole(db: &Database) {
    let schema = db.schema();
    let mut strong: BTreeMap<(String, ovsdb::Uuid), usize> = BTreeMap::new();
    for table in schema.tables.values() {
        let mut names = std::collections::BTreeSet::new();
        for (uuid, row) in db.rows(&table.name) {
            assert_eq!(
                row.keys().collect::<Vec<_>>(),
                table.columns.keys().collect::<Vec<_>>()
            );
            for column in table.columns.values() {
                let datum = &row[&column.name];
                column.ty.check(datum).expect("the schema holds");
                for (reference, target) in column.ty.references(datum) {
                    assert!(
                        db.row(&reference.table, target).is_some(),
                        "{}.{} dangles",
                        table.name,
                        column.name
                    );
                    if reference.strong {
                        *strong
                            .entry((reference.table.to_string(), target))
                            .or_default() += 1;
                    }
                }
            }
            if !table.indexes.is_empty() && row.contains_key("name") {
                assert!(
                    names.insert(row.str("name").to_owned()),
                    "a name twice in {}",
                    table.name
                );
                assert_eq!(
                    db.find(&table.name, row.str("name")).map(|(u, _)| u),
                    Some(uuid)
                );
            }
        }
    }
    for table in schema.tables.values().filter(|t| !t.is_root) {
        for (uuid, _) in db.rows(&table.name) {
            assert!(
                strong.contains_key(&(table.name.to_string(), uuid)),
                "an orphan in {}",
                table.name
            );
        }
    }
}

proptest! {
    #[test]
    fn random_transactions_keep_the_schema(operations in prop::collection::vec(operation(), 1..30)) {
        let mut bench = Bench::new(Limits::default());
        bench.transact(json!([{ "op": "insert", "table": "Open_vSwitch", "row": {} }]));
        for operation in operations {
            let list = if operation.is_array() { operation } else { json!([operation]) };
            bench.transact(list);
            check_whole(bench.server.database("Open_vSwitch").expect("hosted"));
        }
    }

    #[test]
    fn noise_never_panics(
        method in "transact|monitor|monitor_cond|monitor_cond_change|lock",
        text in "(\"(op|table|where|row|rows|QoS|insert|mutate|wait|columns|type|set|map|uuid|==|until)\"|[\\[\\]{}:,17]){0,40}",
    ) {
        let mut bench = Bench::new(Limits::default());
        for text in [format!("[\"Open_vSwitch\",{text}]"), format!("[{text}]"), format!("[\"Open_vSwitch\",{{{text}}}]")] {
            if let Ok(params) = serde_json::from_str::<Value>(&text) {
                bench.request(A, &method, params);
            }
        }
    }

    /// Good requests in which one place holds something else.
    #[test]
    fn mutants_never_panic(request in 0..REQUESTS.len(), place in 0..40usize, with in 0..REPLACEMENTS.len()) {
        let mut bench = Bench::new(Limits::default());
        bench.transact(json!([insert("a"), { "op": "insert", "table": "Open_vSwitch", "row": {} }]));
        let (method, params) = REQUESTS[request];
        let mut params: Value = serde_json::from_str(params).expect("JSON");
        replace(&mut params, &mut place.clone(), &serde_json::from_str(REPLACEMENTS[with]).expect("JSON"));
        if params.is_array() {
            bench.request(A, method, params);
            check_whole(bench.server.database("Open_vSwitch").expect("hosted"));
        }
    }
}

const REQUESTS: [(&str, &str); 7] = [
    (
        "transact",
        r#"["Open_vSwitch",{"op":"insert","table":"QoS","row":{"type":"t","other_config":["map",[["a","b"]]]},"uuid-name":"q","uuid":"00000000-0000-0000-0000-000000000001"}]"#,
    ),
    (
        "transact",
        r#"["Open_vSwitch",{"op":"mutate","table":"Open_vSwitch","where":[["cur_cfg","<=",0]],"mutations":[["next_cfg","+=",1],["iface_types","insert",["set",["a","b"]]],["other_config","delete",["set",["a"]]]]}]"#,
    ),
    (
        "transact",
        r#"["Open_vSwitch",{"op":"update","table":"QoS","where":[["other_config","includes",["map",[["a","b"]]]]],"row":{"queues":["map",[[1,["uuid","00000000-0000-0000-0000-000000000001"]]]]}}]"#,
    ),
    (
        "transact",
        r#"["Open_vSwitch",{"op":"wait","table":"QoS","where":[],"columns":["type","_uuid"],"until":"==","rows":[{"type":"a"}],"timeout":0}]"#,
    ),
    (
        "monitor_cond",
        r#"["Open_vSwitch",["m",1],{"QoS":[{"columns":["type"],"select":{"initial":true},"where":[["type","==","a"]]}]}]"#,
    ),
    (
        "monitor",
        r#"["Open_vSwitch","m",{"QoS":{"columns":["type"],"select":{"initial":false}}}]"#,
    ),
    (
        "transact",
        r#"["Open_vSwitch",{"op":"select","table":"QoS","where":[["_uuid","==",["uuid","00000000-0000-0000-0000-000000000001"]]],"columns":["type","_version"]}]"#,
    ),
];

const REPLACEMENTS: [&str; 13] = [
    "null",
    "true",
    "-1",
    "1e300",
    "9223372036854775807",
    "\"\"",
    "\"_uuid\"",
    "\"é\"",
    "[]",
    "{}",
    "[\"set\",[]]",
    "[\"map\",[[1,2]]]",
    "[\"named-uuid\",\"q\"]",
];

/// Replaces the value number `place`, counted from the outside in.
fn replace(json: &mut Value, place: &mut usize, with: &Value) {
    if *place == 0 {
        *json = with.clone();
    }
    *place = place.wrapping_sub(1);
    match json {
        Value::Array(list) => list.iter_mut().for_each(|item| replace(item, place, with)),
        Value::Object(object) => object
            .values_mut()
            .for_each(|item| replace(item, place, with)),
        _ => {}
    }
}
