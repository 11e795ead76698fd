//! The switch daemon: threads, sockets, files and netlink around the datapath. Decides no OpenFlow.

mod args;
mod clock;
mod config;
mod daemon;
mod home;
mod kernel;
mod pmtu;
mod rundir;
mod stream;
mod target;
mod underlay;
mod unixctl;
mod workers;

use args::Args;
use clap::Parser;
use daemon::{Daemon, Signals, Start};
use dpdk::eal::{self, EalOptions};
use dpdk::{Mempools, PoolSizes};
use ovsdb::log::Log;
use rundir::RunDir;
use std::process::ExitCode;

/// Name of the database file, as the stock server's.
const DATABASE_FILE: &str = "conf.db";

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(text) = args.manual() {
        print!("{text}");
        return ExitCode::SUCCESS;
    }
    init_log(&args);
    log_panics();
    match start(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("switchd: {error}");
            ExitCode::FAILURE
        }
    }
}

fn init_log(args: &Args) {
    let filter = tracing_subscriber::EnvFilter::try_new(&args.log).unwrap_or_else(|error| {
        eprintln!("switchd: --log {:?}: {error}; logging info", args.log);
        tracing_subscriber::EnvFilter::new("info")
    });
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match args.log_json {
        true => builder.json().init(),
        false => builder.with_ansi(false).init(),
    }
}

/// A panic of any thread is a line of the log, with its place, before the usual message; so it is found where everything
/// else is, whatever becomes of the standard error stream's other lines.
fn log_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        let message = panic.payload_as_str().unwrap_or("no message");
        let place = panic
            .location()
            .map_or_else(String::new, ToString::to_string);
        tracing::error!(
            message,
            place,
            thread = thread.name().unwrap_or("unnamed"),
            "a panic: this is a fault in switchd"
        );
        usual(panic);
    }));
}

/// Each kernel port takes two descriptors, each connection one: the usual soft limit of 1024 is too few.
#[expect(
    unsafe_code,
    reason = "there is no safe wrapper in the standard library"
)]
fn raise_file_limit() {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: both calls only use the structure, which lives during them.
    let result = unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit)
    };
    if result != 0 {
        tracing::warn!("cannot raise the limit of open files: hundreds of ports may not fit");
    }
}

fn start(args: Args) -> Result<(), String> {
    raise_file_limit();
    let home = home::Home::read();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    let signals = {
        let _inside = runtime.enter();
        Signals::catch()?
    };
    let rundir = RunDir::take(&args.rundir)?;
    std::fs::create_dir_all(&args.dbdir)
        .map_err(|error| format!("{}: {error}", args.dbdir.display()))?;
    let path = args.dbdir.join(DATABASE_FILE);
    let (log, database, notices) =
        Log::open(&path, ovsdb::open_vswitch::schema()).map_err(|error| error.to_string())?;
    for notice in notices {
        tracing::warn!(%notice, file = %path.display(), "database");
    }
    let (config, _) = config::Config::read(&database);
    let options = EalOptions {
        memory_mb: args.memory,
        pci: args.pci,
        huge_pages: !args.no_huge,
        extra: config.global.dpdk_extra.join(" "),
    };
    let dpdk = eal::init(&options).map_err(|error| error.to_string())?;
    tracing::info!("{dpdk}");
    let pools = Mempools::new(PoolSizes::for_workers(config.global.worker_cpus.len()))
        .map_err(|error| error.to_string())?;
    let start = Start {
        args,
        rundir,
        database: (database, log),
        pools,
        dpdk,
        home,
        signals,
    };
    runtime.block_on(Daemon::run(start))
}
