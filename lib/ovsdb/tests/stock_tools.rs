//! The server on a real unix socket, driven by the stock tools of Debian's openvswitch-common and openvswitch-switch
//! (`ovs-vsctl`, `ovsdb-client`, `ovsdb-tool`), which are among the development packages.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ovsdb::database::{CommitHook, Database, Delta, Refusal};
use ovsdb::log::Log;
use ovsdb::server::{Limits, Server};
use ovsdb::{net, open_vswitch};

/// Refuses bridges named "forbidden".
struct Hook;

impl CommitHook for Hook {
    fn check(&mut self, after: &Database, _: &Delta) -> Result<(), Refusal> {
        match after.find("Bridge", "forbidden") {
            Some(_) => Err(Refusal("bridge \"forbidden\" cannot be".into())),
            None => Ok(()),
        }
    }
}

/// A server in a thread of its own, in a directory of its own; both end with this value.
struct Switch {
    dir: PathBuf,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Switch {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("ovsdb-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("temporary directory");
        let mut switch = Self {
            dir,
            stop: None,
            thread: None,
        };
        switch.start();
        switch
    }

    fn start(&mut self) {
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let dir = self.dir.clone();
        self.thread = Some(std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("runtime");
            runtime.block_on(async {
                let (log, db, _) = Log::open(&dir.join("conf.db"), open_vswitch::schema())
                    .expect("database opens");
                let mut server = Server::new(Hook, Limits::default());
                server.host(db, Some(log));
                let (sender, mut events) = tokio::sync::mpsc::channel(net::EVENT_CHANNEL_LEN);
                let _listener = net::listen_unix(&dir.join("db.sock"), sender).expect("socket");
                ready.send(()).expect("test waits");
                tokio::select! {
                    () = net::serve(&mut server, &mut events) => {}
                    _ = stopped => {}
                }
            });
        }));
        self.stop = Some(stop);
        is_ready.recv().expect("server starts");
    }

    fn restart(&mut self) {
        self.end();
        self.start();
    }

    fn end(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("server ends well");
        }
    }

    fn target(&self) -> String {
        format!("unix:{}", self.dir.join("db.sock").display())
    }

    /// Runs `ovs-vsctl` with the words of `command`.
    fn vsctl(&self, command: &str) -> Output {
        let args: Vec<&str> = command.split_whitespace().collect();
        let db = format!("--db={}", self.target());
        run(
            "ovs-vsctl",
            &[&[db.as_str(), "--no-wait", "--timeout=10"], &args[..]].concat(),
        )
    }

    fn ok(&self, command: &str) -> String {
        good(&self.vsctl(command), command)
    }

    fn refused(&self, command: &str) -> String {
        let output = self.vsctl(command);
        assert!(!output.status.success(), "ovs-vsctl {command} succeeded");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn client(&self, command: &str, args: &[&str]) -> Output {
        run(
            "ovsdb-client",
            &[&["--timeout=10", command, &self.target()], args].concat(),
        )
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.end();
        // Left for inspection if the test fails.
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

fn run(program: &str, args: &[&str]) -> Output {
    let output = Command::new(program).args(args).output();
    output.unwrap_or_else(|e| {
        panic!("{program}: {e}; install Debian's openvswitch-common and openvswitch-switch")
    })
}

fn good(output: &Output, what: &str) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{what}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text.trim_end().to_owned()
}

#[test]
fn vsctl_configures_a_bridge() {
    let mut switch = Switch::new();
    switch.ok("init");
    switch.ok(
        "add-br br0 -- add-port br0 p1 -- set Interface p1 type=vxlan options:remote_ip=10.0.0.2",
    );
    switch.ok("--may-exist add-br br0");
    switch.ok("add-port br0 p2 tag=10");
    switch.ok("set-controller br0 tcp:127.0.0.1:6653 unix:/tmp/x");
    switch.ok("set-fail-mode br0 secure");
    switch.ok("set bridge br0 other_config:a=b protocols=OpenFlow10,OpenFlow13");
    switch.ok("--id=@m create Mirror name=m -- --id=@p get Port p2 -- set Bridge br0 mirrors=@m -- set Mirror m output_port=@p");
    let check = |switch: &Switch| {
        assert_eq!(switch.ok("list-br"), "br0");
        assert_eq!(switch.ok("list-ports br0"), "p1\np2");
        assert_eq!(switch.ok("port-to-br p2"), "br0");
        assert_eq!(
            switch.ok("get Interface p1 options:remote_ip"),
            "\"10.0.0.2\""
        );
        assert_eq!(switch.ok("get Port p2 tag"), "10");
        assert_eq!(
            switch.ok("get-controller br0"),
            "tcp:127.0.0.1:6653\nunix:/tmp/x"
        );
        assert_eq!(switch.ok("get-fail-mode br0"), "secure");
        assert_eq!(
            switch.ok("get Bridge br0 protocols"),
            "[OpenFlow10, OpenFlow13]"
        );
        assert_eq!(switch.ok("--bare --columns=name find Port tag=10"), "p2");
        assert!(switch.ok("show").contains("Bridge br0"));
    };
    check(&switch);
    switch.restart();
    check(&switch);
    switch.ok("del-port br0 p2");
    assert_eq!(
        switch.ok("get Mirror m output_port"),
        "[]",
        "a weak reference goes with its row"
    );
    switch.ok("del-controller br0");
    switch.ok("remove bridge br0 other_config a");
    switch.ok("clear bridge br0 protocols mirrors");
    switch.ok("del-br br0");
    switch.ok("--if-exists del-br br0");
    for table in ["Bridge", "Port", "Interface", "Controller", "Mirror"] {
        assert_eq!(
            switch.ok(&format!("list {table}")),
            "",
            "table {table} is empty after del-br"
        );
    }
}

#[test]
fn refusals_name_the_word() {
    let switch = Switch::new();
    switch.ok("add-br br0 -- add-port br0 p1");
    let hook = switch.refused("add-br forbidden");
    assert!(
        hook.contains("constraint violation") && hook.contains("cannot be"),
        "{hook}"
    );
    assert_eq!(switch.ok("list-br"), "br0");
    let transact = |operation: &str| {
        let output = switch.client("transact", &[&format!("[\"Open_vSwitch\",{operation}]")]);
        good(&output, "ovsdb-client transact")
    };
    for (operation, words) in [
        (
            r#"{"op":"update","table":"Bridge","where":[],"row":{"fail_mode":"foo"}}"#,
            "foo is not one of the allowed values ([secure, standalone])",
        ),
        (
            r#"{"op":"update","table":"Port","where":[],"row":{"tag":5000}}"#,
            "5000 is not in the valid range 0 to 4095",
        ),
        (
            r#"{"op":"update","table":"Port","where":[],"row":{"name":"x"}}"#,
            "immutable column name",
        ),
        (
            r#"{"op":"update","table":"Port","where":[],"row":{"nam":"x"}}"#,
            "nam",
        ),
        (r#"{"op":"select","table":"Prot","where":[]}"#, "Prot"),
        (r#"{"op":"frob"}"#, "frob"),
        (
            r#"{"op":"insert","table":"Open_vSwitch","row":{}}"#,
            "rows, and the schema allows 1",
        ),
        (
            r#"{"op":"insert","table":"Flow_Sample_Collector_Set","row":{"id":1}}"#,
            "does not exist",
        ),
        (
            r#"{"op":"delete","table":"Port","where":[]}"#,
            "cannot delete Port row",
        ),
        (r#"{"op":"abort"}"#, "aborted"),
    ] {
        let text = transact(operation);
        assert!(
            text.contains("error") && text.contains(words),
            "{operation}: {text}"
        );
    }
    let twice = transact(
        r#"{"op":"insert","table":"Bridge","row":{"name":"br0"},"uuid-name":"b"},{"op":"mutate","table":"Open_vSwitch","where":[],"mutations":[["bridges","insert",["named-uuid","b"]]]}"#,
    );
    assert!(twice.contains("same name (br0)"), "{twice}");
    assert_eq!(switch.ok("list-ports br0"), "p1");
}

#[test]
fn client_reads_schema_and_data() {
    let switch = Switch::new();
    switch.ok("add-br br0");
    assert_eq!(
        good(&switch.client("list-dbs", &[]), "list-dbs"),
        "Open_vSwitch\n_Server"
    );
    assert_eq!(
        good(
            &switch.client("get-schema-version", &["Open_vSwitch"]),
            "version"
        ),
        "8.3.1"
    );
    let schema = good(
        &switch.client("get-schema", &["Open_vSwitch"]),
        "get-schema",
    );
    let schema =
        ovsdb::schema::DatabaseSchema::from_json(&serde_json::from_str(&schema).expect("JSON"));
    assert_eq!(schema, Ok((*open_vswitch::schema()).clone()));
    assert!(good(&switch.client("dump", &["Open_vSwitch"]), "dump").contains("br0"));
    assert!(
        good(
            &switch.client("dump", &["_Server", "Database", "name", "model"]),
            "dump"
        )
        .contains("standalone")
    );
    let select = r#"["Open_vSwitch",{"op":"select","table":"Bridge","where":[["name","==","br0"]],"columns":["name"]}]"#;
    assert_eq!(
        good(&switch.client("transact", &[select]), "transact"),
        r#"[{"rows":[{"name":"br0"}]}]"#
    );
    good(&switch.client("backup", &["Open_vSwitch"]), "backup");
    let lock = run(
        "timeout",
        &["1", "ovsdb-client", "lock", &switch.target(), "mine"],
    );
    let lock = String::from_utf8_lossy(&lock.stdout).into_owned();
    assert!(lock.contains("locked"), "{lock:?}");
}

/// All three monitors see an insertion, a modification and a deletion.
#[test]
fn monitors_see_changes() {
    for command in ["monitor", "monitor-cond", "monitor-cond-since"] {
        let switch = Switch::new();
        switch.ok("add-br br0");
        let target = switch.target();
        let mut args = vec!["--format=csv", command, &target, "Open_vSwitch"];
        match command {
            "monitor" => {}
            "monitor-cond" => args.push("[true]"),
            _ => args.extend(["00000000-0000-0000-0000-000000000000", "[true]"]),
        }
        args.extend(["Bridge", "name,fail_mode"]);
        let file = switch.dir.join("out");
        let out = std::fs::File::create(&file).expect("file");
        let mut child = Command::new("ovsdb-client")
            .args(&args)
            .stdout(out)
            .stdin(Stdio::null())
            .spawn()
            .expect("ovsdb-client");
        let seen = |words: &str| wait_for(&file, words);
        seen("initial");
        switch.ok("add-br br1");
        seen("br1");
        switch.ok("set-fail-mode br1 secure");
        seen("secure");
        switch.ok("del-br br1");
        seen("delete");
        child.kill().expect("kill");
        child.wait().expect("wait");
    }
}

fn wait_for(file: &Path, words: &str) {
    for _ in 0..500 {
        if std::fs::read_to_string(file).is_ok_and(|text| text.contains(words)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("\"{words}\" is not in {:?}", std::fs::read_to_string(file));
}

/// `ovs-vsctl wait-until` works on monitors, and `ovsdb-client wait` on the `_Server` database.
#[test]
fn waiting_clients_wake_up() {
    let switch = Switch::new();
    good(
        &switch.client("wait", &["Open_vSwitch", "connected"]),
        "wait",
    );
    let waiter = Command::new("ovs-vsctl")
        .args([
            &format!("--db={}", switch.target()),
            "--timeout=10",
            "wait-until",
            "bridge",
            "br7",
        ])
        .spawn();
    switch.ok("add-br br7");
    assert!(waiter.expect("ovs-vsctl").wait().expect("wait").success());
    let transaction = r#"["Open_vSwitch",{"op":"wait","table":"Bridge","where":[["name","==","br8"]],"columns":["name"],"until":"==","rows":[{"name":"br8"}],"timeout":MS}]"#;
    let late = good(
        &switch.client("transact", &[&transaction.replace("MS", "50")]),
        "transact",
    );
    assert!(late.contains("timed out"), "{late}");
    let target = switch.target();
    let waiter = std::thread::spawn(move || {
        run(
            "ovsdb-client",
            &[
                "--timeout=10",
                "transact",
                &target,
                &transaction.replace("MS", "8000"),
            ],
        )
    });
    std::thread::sleep(Duration::from_millis(100));
    switch.ok("add-br br8");
    assert_eq!(good(&waiter.join().expect("waiter"), "transact"), "[{}]");
}

/// The stock tools read our file, and we read theirs.
#[test]
fn log_format_is_the_stock_one() {
    let mut switch = Switch::new();
    switch.ok("add-br br0 -- set bridge br0 other_config:a=b");
    switch.ok("add-port br0 p1");
    switch.ok("set bridge br0 other_config:a=c other_config:d=e");
    switch.ok("del-port br0 p1");
    switch.end();
    let path = switch.dir.join("conf.db").display().to_string();
    let shown = good(
        &run("ovsdb-tool", &["show-log", "-m", &path]),
        "ovsdb-tool show-log",
    );
    assert!(
        shown.contains("record 4") && shown.contains("ovs-vsctl"),
        "{shown}"
    );
    let select = r#"["Open_vSwitch",{"op":"select","table":"Bridge","where":[],"columns":["name","other_config"]}]"#;
    let rows = good(
        &run("ovsdb-tool", &["query", &path, select]),
        "ovsdb-tool query",
    );
    assert!(
        rows.contains("br0") && rows.contains(r#"["a","c"],["d","e"]"#),
        "{rows}"
    );
    let insert = r#"["Open_vSwitch",{"op":"insert","table":"QoS","row":{"type":"stock","other_config":["map",[["x","y"]]]}},{"op":"mutate","table":"Bridge","where":[],"mutations":[["other_config","insert",["map",[["f","g"]]]]]}]"#;
    good(
        &run("ovsdb-tool", &["transact", &path, insert]),
        "ovsdb-tool transact",
    );
    switch.start();
    assert_eq!(switch.ok("--bare --columns=type list QoS"), "stock");
    assert_eq!(switch.ok("get bridge br0 other_config"), "{a=c, d=e, f=g}");
    let in_use =
        Log::open(&switch.dir.join("conf.db"), open_vswitch::schema()).expect_err("is in use");
    assert!(in_use.to_string().contains("in use"), "{in_use}");
}

/// What is not JSON-RPC closes the connection and nothing else.
#[test]
fn malformed_input_closes_the_connection() {
    use std::io::{Read, Write};
    let switch = Switch::new();
    for noise in [
        "}",
        "[1,2]",
        "{\"id\":1}{",
        "GET / HTTP/1.0\r\n",
        &"[".repeat(100),
        "{\"method\":3,\"params\":[],\"id\":1}",
    ] {
        let mut stream =
            std::os::unix::net::UnixStream::connect(switch.dir.join("db.sock")).expect("connect");
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .expect("timeout");
        stream.write_all(noise.as_bytes()).expect("write");
        let mut rest = Vec::new();
        stream
            .read_to_end(&mut rest)
            .expect("an answer, then the end");
        let text = String::from_utf8_lossy(&rest);
        assert!(text.contains("malformed JSON-RPC"), "{noise}: {text}");
    }
    switch.ok("add-br br0");
}

/// A switch with a thousand ports: set up one by one it takes seconds, and the file stays small.
#[test]
fn a_thousand_ports() {
    let switch = Switch::new();
    switch.ok("add-br br0");
    for batch in 0..10 {
        let add = |n| format!("add-port br0 p{}", batch * 100 + n);
        switch.ok(&(0..100).map(add).collect::<Vec<_>>().join(" -- "));
    }
    assert_eq!(switch.ok("list-ports br0").lines().count(), 1000);
    switch.ok("del-br br0");
    assert_eq!(switch.ok("list Interface"), "");
}

/// Clients that change the same row at the same time retry until each of them got through.
#[test]
fn many_clients_at_once() {
    let switch = Switch::new();
    switch.ok("add-br br0");
    std::thread::scope(|scope| {
        for client in 0..6 {
            let switch = &switch;
            scope.spawn(move || {
                for n in 0..4 {
                    switch.ok(&format!("add-port br0 p{client}-{n} tag={n}"));
                    switch.ok(&format!("set Open_vSwitch . external_ids:k{client}-{n}=v"));
                }
            });
        }
    });
    assert_eq!(switch.ok("list-ports br0").lines().count(), 24);
    assert_eq!(
        switch
            .ok("get Open_vSwitch . external_ids")
            .matches("=v")
            .count(),
        24
    );
}
