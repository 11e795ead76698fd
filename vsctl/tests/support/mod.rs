//! Servers to talk to, runs of `ovs-vsctl` and `vsctl` on them, and texts made comparable.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ovsdb::log::Log;
use ovsdb::server::{Limits, Server as Core};
use ovsdb::{net, open_vswitch};

const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";

/// A database server with a directory of its own; both are gone when it is dropped.
pub struct Server {
    process: Process,
    dir: PathBuf,
}

enum Process {
    Stock(Child),
    Own(
        Option<tokio::sync::oneshot::Sender<()>>,
        Option<JoinHandle<()>>,
    ),
}

impl Server {
    /// Debian's `ovsdb-server`.
    pub fn stock() -> Self {
        let dir = new_dir();
        let made = Command::new("ovsdb-tool")
            .arg("create")
            .arg(dir.join("db"))
            .arg(SCHEMA)
            .status();
        assert!(made.expect("ovsdb-tool of openvswitch-common").success());
        let child = Command::new("ovsdb-server")
            .arg(dir.join("db"))
            .arg(format!("--remote=punix:{}", dir.join("sock").display()))
            .arg(format!("--unixctl={}", dir.join("ctl").display()))
            .args(["--no-chdir", "-vconsole:off", "-vsyslog:off"])
            .stderr(Stdio::null())
            .spawn()
            .expect("ovsdb-server of openvswitch-switch");
        let server = Self {
            process: Process::Stock(child),
            dir,
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::os::unix::net::UnixStream::connect(server.dir.join("sock")).is_err() {
            assert!(Instant::now() < deadline, "ovsdb-server does not listen");
            std::thread::yield_now();
        }
        server
    }

    /// The server that the daemon has in it.
    pub fn own() -> Self {
        let dir = new_dir();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let at = dir.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let (log, db, _) = Log::open(&at.join("db"), open_vswitch::schema()).unwrap();
                let mut core = Core::new((), Limits::default());
                core.host(db, Some(log));
                let (sender, mut events) = tokio::sync::mpsc::channel(net::EVENT_CHANNEL_LEN);
                let _listener = net::listen_unix(&at.join("sock"), sender).unwrap();
                ready.send(()).unwrap();
                tokio::select! {
                    () = net::serve(&mut core, &mut events) => {}
                    _ = stopped => {}
                }
            });
        });
        is_ready.recv().unwrap();
        Self {
            process: Process::Own(Some(stop), Some(thread)),
            dir,
        }
    }

    /// What `--db` wants.
    pub fn target(&self) -> String {
        format!("unix:{}", self.dir.join("sock").display())
    }

    fn run(&self, program: impl AsRef<Path>, line: &str) -> Ran {
        let output = Command::new(program.as_ref())
            .args([
                format!("--db={}", self.target()),
                "--no-wait".into(),
                "--timeout=20".into(),
            ])
            .args(words(line))
            .output();
        Ran::from(output.expect("the program runs"))
    }

    /// Our tool.
    pub fn ours(&self, line: &str) -> Ran {
        self.run(env!("CARGO_BIN_EXE_vsctl"), line)
    }

    /// The stock tool.
    pub fn theirs(&self, line: &str) -> Ran {
        self.run("ovs-vsctl", line)
    }

    /// Everything in the database, without the UUIDs and in an order that does not depend on them.
    pub fn contents(&self) -> Vec<String> {
        let dump = Command::new("ovsdb-client")
            .args(["-f", "csv", "dump", &self.target(), "Open_vSwitch"])
            .output()
            .unwrap();
        sorted(&without_uuids(&String::from_utf8_lossy(&dump.stdout)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        match &mut self.process {
            Process::Stock(child) => {
                let _ = child.kill();
                let _ = child.wait();
            }
            Process::Own(stop, thread) => {
                stop.take();
                let _ = thread.take().map(JoinHandle::join);
            }
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn new_dir() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!(
        "vsctl-test-{}-{}",
        std::process::id(),
        NUMBER.fetch_add(1, Ordering::Relaxed)
    );
    let dir = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// What a program did.
#[derive(Debug, Clone, PartialEq)]
pub struct Ran {
    /// The exit code.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }
}

/// Splits at spaces; single quotes keep words together.
pub fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut any) = (Vec::new(), String::new(), false, false);
    for c in line.chars() {
        match c {
            '\'' => (quoted, any) = (!quoted, true),
            ' ' if !quoted => {
                if any {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            c => {
                word.push(c);
                any = true;
            }
        }
    }
    if any {
        words.push(word);
    }
    words
}

/// The text with every UUID replaced by the word.
pub fn without_uuids(text: &str) -> String {
    let is_uuid = |word: &[u8]| {
        word.iter().enumerate().all(|(at, b)| {
            if [8, 13, 18, 23].contains(&at) {
                *b == b'-'
            } else {
                b.is_ascii_hexdigit()
            }
        })
    };
    let (bytes, mut out, mut at) = (text.as_bytes(), Vec::new(), 0);
    while at < bytes.len() {
        match bytes.get(at..at + 36) {
            Some(word) if is_uuid(word) => {
                out.extend(b"UUID");
                at += 36;
            }
            _ => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The lines in order.
pub fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// The words of an error without the name of the program, the stock tool's log lines and our hints.
pub fn essence(err: &str) -> String {
    let mut out = String::new();
    for line in err
        .lines()
        .filter(|line| !line.contains("|WARN|") && !line.starts_with("vsctl: warning: "))
    {
        let line = line.strip_prefix("ovs-").unwrap_or(line);
        let end = [" (did you mean ", " (put the value "]
            .iter()
            .filter_map(|hint| line.find(hint))
            .min();
        out += &line[..end.unwrap_or(line.len())];
        out.push('\n');
    }
    without_uuids(&out)
}
