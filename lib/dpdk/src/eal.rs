//! The Environment Abstraction Layer: DPDK's memory and logging, started once per process.
//! Called by `switchd` before any pool or port. It never changes the affinity of the caller.

use std::ffi::{CString, c_char, c_int, c_void};
use std::sync::{Mutex, PoisonError};

use dpdk_sys as sys;

use crate::{Error, Result, affinity, mbuf};

/// What the operator may decide about the EAL.
#[derive(Clone, Debug)]
pub struct EalOptions {
    /// MiB of memory wanted. Without huge pages it is reserved at the start (and only touched as it is used);
    /// with huge pages it is what must be free for them to be chosen.
    pub memory_mb: u32,
    /// Whether PCI devices are probed.
    pub pci: bool,
    /// Whether huge pages are used if enough of them are free.
    pub huge_pages: bool,
    /// Further arguments (`other_config:dpdk-extra`), as on a command line.
    pub extra: String,
}

impl Default for EalOptions {
    fn default() -> Self {
        // The pools of one worker are 57 MiB; a device with 2,048 descriptors takes 17, of which so many fit as machines have.
        EalOptions {
            memory_mb: 512,
            pci: false,
            huge_pages: true,
            extra: String::new(),
        }
    }
}

/// Arguments of `dpdk-extra` that choose the devices, so that `--no-pci` must not be given.
const PCI_ARGUMENTS: &[&str] = &["-a", "-b", "--allow", "--block"];
/// Arguments of `dpdk-extra` that choose the memory.
const MEMORY_ARGUMENTS: &[&str] = &[
    "-m",
    "--no-huge",
    "--in-memory",
    "--huge-dir",
    "--socket-mem",
    "--legacy-mem",
];

/// Bytes of huge pages that are free, over all page sizes.
fn free_huge_bytes() -> u64 {
    let Ok(sizes) = std::fs::read_dir("/sys/kernel/mm/hugepages") else {
        return 0;
    };
    sizes
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let kb: u64 = name
                .strip_prefix("hugepages-")?
                .strip_suffix("kB")?
                .parse()
                .ok()?;
            let free = std::fs::read_to_string(entry.path().join("free_hugepages")).ok()?;
            Some(kb * 1024 * free.trim().parse::<u64>().ok()?)
        })
        .sum()
}

/// The EAL's command line, and the sentence about memory for the log. Pure.
fn arguments(options: &EalOptions, free_huge: u64, cpu: usize, pid: u32) -> (Vec<String>, String) {
    let extra: Vec<&str> = options.extra.split_whitespace().collect();
    let given = |names: &[&str]| {
        extra
            .iter()
            .any(|word| names.contains(&word.split('=').next().unwrap_or(word)))
    };
    let mut args: Vec<String> = vec!["tsunagi".into(), "--no-telemetry".into()];
    // One lcore: the thread that starts the EAL. Workers register themselves.
    args.push(format!("--lcores=0@{cpu}"));
    args.push(format!("--file-prefix=tsunagi-{pid}"));
    if !options.pci && !given(PCI_ARGUMENTS) {
        args.push("--no-pci".into());
    }
    let wanted = u64::from(options.memory_mb) << 20;
    let memory = if given(MEMORY_ARGUMENTS) {
        "memory as dpdk-extra says".to_string()
    } else if options.huge_pages && free_huge >= wanted {
        args.extend(["--in-memory".into(), "--single-file-segments".into()]);
        format!("huge pages, {} MiB of them free", free_huge >> 20)
    } else {
        // "--legacy-mem is not compatible with --in-memory", and --no-huge implies the former.
        args.extend([
            "--no-huge".into(),
            "--no-shconf".into(),
            format!("-m{}", options.memory_mb),
        ]);
        format!(
            "no huge pages ({} MiB of them free), {} MiB of ordinary memory",
            free_huge >> 20,
            options.memory_mb
        )
    };
    args.extend(extra.iter().map(|word| word.to_string()));
    (args, memory)
}

/// Starts the EAL, once; later calls return the first call's result whatever they ask for.
/// Returns a sentence for the log: the version, and which memory was chosen.
pub fn init(options: &EalOptions) -> Result<String> {
    static STARTED: Mutex<Option<std::result::Result<String, String>>> = Mutex::new(None);
    let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    started
        .get_or_insert_with(|| start(options).map_err(|error| error.to_string()))
        .clone()
        .map_err(Error::Refused)
}

fn start(options: &EalOptions) -> Result<String> {
    // rte_eal_init pins its thread to the main lcore, and every thread that one spawns later
    // inherits the mask. So it runs, and ends, on a thread of its own.
    let options = options.clone();
    let starter = std::thread::Builder::new().name("eal".into());
    let handle = starter
        .spawn(move || start_here(&options))
        .map_err(|source| Error::System {
            what: "cannot start the EAL's thread".into(),
            source,
        })?;
    handle
        .join()
        .unwrap_or_else(|_| Err(Error::Refused("the EAL's thread panicked".into())))
}

fn start_here(options: &EalOptions) -> Result<String> {
    redirect_log();
    // This thread's only: it starts things, and ends.
    let cpu = affinity::allowed().last().copied().unwrap_or(0);
    let (args, memory) = arguments(options, free_huge_bytes(), cpu, std::process::id());
    let strings: Vec<CString> = args
        .iter()
        .map(|arg| CString::new(arg.as_str()))
        .collect::<std::result::Result<_, _>>()
        .map_err(|_| Error::Refused("dpdk-extra contains a NUL byte".into()))?;
    // The EAL keeps pointers into its arguments, and permutes them: they live as long as the process.
    let argv: &'static mut [*mut c_char] = strings
        .into_iter()
        .map(CString::into_raw)
        .collect::<Vec<_>>()
        .leak();
    // SAFETY: argv holds argv.len() NUL-terminated strings that are never freed; this runs once (`init`).
    let code = unsafe { sys::rte_eal_init(argv.len() as c_int, argv.as_mut_ptr()) };
    if code < 0 {
        return Err(Error::dpdk(
            format!("DPDK does not start with \"{}\"", args[1..].join(" ")),
            -1,
        ));
    }
    mbuf::reserve_offload_flag()?;
    remove_runtime_directory();
    // SAFETY: returns a static string.
    let version = unsafe { std::ffi::CStr::from_ptr(sys::rte_version()) }.to_string_lossy();
    Ok(format!("{version}: {memory}"))
}

/// Removes the directory that the EAL makes even if nothing will ever be in it. It stays if something is.
fn remove_runtime_directory() {
    // SAFETY: returns a string that the EAL keeps.
    let directory = unsafe { std::ffi::CStr::from_ptr(sys::rte_eal_get_runtime_dir()) };
    if let Ok(directory) = directory.to_str() {
        let _ = std::fs::remove_dir(directory);
    }
}

/// Sends DPDK's log lines to `tracing`, at the level that DPDK gave them.
fn redirect_log() {
    // SAFETY: the callbacks outlive the stream, which is never closed; it is line buffered, so that
    // one callback is (at least) one line, made on the thread that logs.
    unsafe {
        let functions = sys::cookie_io_functions_t {
            read: None,
            write: Some(write_log),
            seek: None,
            close: None,
        };
        let stream = sys::fopencookie(std::ptr::null_mut(), c"w".as_ptr(), functions);
        if !stream.is_null() {
            sys::rte_openlog_stream(stream);
        }
        sys::rte_log_set_global_level(sys::RTE_LOG_INFO);
    }
}

/// The stream's write function: `bytes` are whole lines.
unsafe extern "C" fn write_log(_cookie: *mut c_void, bytes: *const c_char, size: usize) -> i64 {
    // SAFETY: the C library passes a buffer of `size` bytes.
    let text = String::from_utf8_lossy(unsafe { std::slice::from_raw_parts(bytes.cast(), size) });
    // SAFETY: reads a per-thread value.
    let level = unsafe { sys::rte_log_cur_msg_loglevel() } as u32;
    for line in text.lines().filter(|line| !line.is_empty()) {
        match level {
            0..=sys::RTE_LOG_ERR => tracing::warn!(target: "dpdk", "{line}"),
            sys::RTE_LOG_WARNING => tracing::info!(target: "dpdk", "{line}"),
            _ => tracing::debug!(target: "dpdk", "{line}"),
        }
    }
    size as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(options: &EalOptions, free_huge: u64) -> String {
        arguments(options, free_huge, 1, 7).0.join(" ")
    }

    #[test]
    fn huge_pages_when_enough_are_free() {
        let options = EalOptions::default();
        assert!(words(&options, 512 << 20).contains("--in-memory --single-file-segments"));
        assert!(words(&options, 511 << 20).ends_with("--no-huge --no-shconf -m512"));
        let never = EalOptions {
            huge_pages: false,
            ..options
        };
        assert!(words(&never, 1 << 40).contains("--no-huge"));
    }

    #[test]
    fn extra_arguments_replace_ours() {
        let options = EalOptions {
            extra: " -a 0000:01:00.0  --socket-mem=64 ".into(),
            ..EalOptions::default()
        };
        assert_eq!(
            words(&options, 0),
            "tsunagi --no-telemetry --lcores=0@1 --file-prefix=tsunagi-7 -a 0000:01:00.0 --socket-mem=64"
        );
    }
}
