//! A stock Open vSwitch with dummy ports in a directory of its own, and both tools to drive it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A running switch; it ends when this is dropped.
pub struct Switch {
    dir: PathBuf,
    processes: Vec<Child>,
}

/// What a tool did.
pub struct Done {
    /// Its output, with ids and times made equal.
    pub text: String,
    /// What it complained about, likewise.
    pub errors: String,
    /// Whether it exited with 0.
    pub success: bool,
}

/// A tool that runs until it is stopped.
pub struct Watch(Child, PathBuf);

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Switch {
    /// Starts the switch with a bridge `br0`; `None` if Open vSwitch is not installed.
    pub fn start() -> Option<Switch> {
        let schema = "/usr/share/openvswitch/vswitch.ovsschema";
        if !Path::new(schema).exists()
            || Command::new("ovs-vswitchd")
                .arg("--version")
                .output()
                .is_err()
        {
            eprintln!("Open vSwitch is not installed: not compared");
            return None;
        }
        let name = format!(
            "ofctl-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        let mut switch = Switch {
            dir,
            processes: Vec::new(),
        };
        let database = format!("unix:{}/db.sock", switch.dir.display());
        let created = switch
            .command("ovsdb-tool", &["create", "conf.db", schema])
            .status()
            .unwrap();
        assert!(created.success());
        let remote = format!("--remote=p{database}");
        switch.spawn("ovsdb-server", &["conf.db", &remote, "--pidfile"]);
        switch.wait_for("db.sock");
        switch.spawn(
            "ovs-vswitchd",
            &[&database, "--enable-dummy", "--disable-system", "--pidfile"],
        );
        let db = format!("--db={database}");
        let setup = "-t 20 add-br br0 -- set bridge br0 datapath_type=dummy fail_mode=secure other_config:datapath-id=0000000000000001 \
            -- add-port br0 p1 -- set interface p1 type=dummy ofport_request=1 \
            -- add-port br0 p2 -- set interface p2 type=dummy ofport_request=2 \
            -- add-port br0 odd-port -- set interface odd-port type=dummy ofport_request=3";
        let words: Vec<&str> = std::iter::once(db.as_str())
            .chain(setup.split_whitespace())
            .collect();
        assert!(
            switch
                .command("ovs-vsctl", &words)
                .status()
                .unwrap()
                .success()
        );
        switch.wait_for("br0.mgmt");
        Some(switch)
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        for variable in ["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR"] {
            command.env(variable, &self.dir);
        }
        command.args(args).current_dir(&self.dir);
        command
    }

    fn spawn(&mut self, program: &str, args: &[&str]) {
        let mut command = self.command(program, args);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.processes.push(child.unwrap());
    }

    fn wait_for(&self, file: &str) {
        let start = Instant::now();
        while !self.dir.join(file).exists() {
            assert!(start.elapsed() < Duration::from_secs(20), "no {file}");
            sleep(Duration::from_millis(20));
        }
    }

    /// Restricts the bridge to some versions.
    pub fn set_protocols(&self, protocols: &str) {
        let db = format!("--db=unix:{}/db.sock", self.dir.display());
        let column = format!("protocols={protocols}");
        let words = [
            db.as_str(),
            "-t",
            "20",
            "set",
            "bridge",
            "br0",
            column.as_str(),
        ];
        assert!(
            self.command("ovs-vsctl", &words)
                .status()
                .unwrap()
                .success()
        );
    }

    /// Writes a file and returns its path.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Runs our tool.
    pub fn ours(&self, args: &[&str]) -> Done {
        self.run(env!("CARGO_BIN_EXE_ofctl"), args)
    }

    /// Runs the stock tool.
    pub fn stock(&self, args: &[&str]) -> Done {
        self.run("ovs-ofctl", args)
    }

    fn run(&self, program: &str, args: &[&str]) -> Done {
        let output = self
            .command(program, args)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| normal(&String::from_utf8_lossy(bytes));
        Done {
            text: text(&output.stdout),
            errors: text(&output.stderr),
            success: output.status.success(),
        }
    }

    /// Starts a tool that runs until it is stopped, and gives it time to connect.
    pub fn watch(&self, ours: bool, args: &[&str]) -> Watch {
        let (program, file) = match ours {
            true => (env!("CARGO_BIN_EXE_ofctl"), self.dir.join("ours.out")),
            false => ("ovs-ofctl", self.dir.join("stock.out")),
        };
        // The stock monitor writes to standard error.
        let out = std::fs::File::create(&file).unwrap();
        let mut command = self.command(program, args);
        let child = command
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        sleep(Duration::from_millis(700));
        Watch(child, file)
    }
}

impl Watch {
    /// Stops it and returns what it printed.
    pub fn stop(self) -> String {
        sleep(Duration::from_millis(500));
        // A kind signal, so that the stock tool writes what it holds back.
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        self.ended()
    }

    /// Waits for its end and returns what it printed.
    pub fn ended(mut self) -> String {
        self.0.wait().unwrap();
        let mut text = String::new();
        std::fs::File::open(&self.1)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        let lines = text.lines().filter(|line| !line.contains("|WARN|"));
        normal(&lines.map(|line| format!("{line}\n")).collect::<String>())
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().rev() {
            let _ = process.kill();
            let _ = process.wait();
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Replaces what differs from run to run: transaction ids, durations, round-trip times.
fn normal(text: &str) -> String {
    // By lines: a word that the text has not is not looked for through all of it again and again.
    text.split_inclusive('\n').map(normal_line).collect()
}

fn normal_line(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((at, key)) = ["xid=0x", "duration=", "duration:", "duration", "idle_age="]
        .iter()
        .filter_map(|key| rest.find(key).map(|at| (at, *key)))
        .min_by_key(|(at, key)| (*at, usize::MAX - key.len()))
    {
        let value = &rest[at + key.len()..];
        let end = value
            .find(|c: char| !(c.is_ascii_hexdigit() || c == '.'))
            .unwrap_or(value.len());
        out.push_str(&rest[..at + key.len()]);
        out.push('?');
        rest = &value[end..];
    }
    out.push_str(rest);
    out
}
