//! The run-time directory: one daemon in it at a time, and nothing left behind.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// Holds the directory as long as it lives: a lock on the pid file, which the kernel lets go of when
/// the process ends, however it ends.
pub struct RunDir {
    path: PathBuf,
    pid_file: PathBuf,
    _lock: File,
}

impl RunDir {
    /// Takes the directory, making it if it is missing. Another live daemon there is an error.
    pub fn take(path: &Path) -> Result<RunDir, String> {
        let say = |what: &Path, error: std::io::Error| format!("{}: {error}", what.display());
        std::fs::create_dir_all(path).map_err(|e| say(path, e))?;
        // The stock tools look for this name.
        let pid_file = path.join("ovs-vswitchd.pid");
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&pid_file)
            .map_err(|e| say(&pid_file, e))?;
        if !lock(&file) {
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            let (pid, path) = (pid.trim(), path.display());
            return Err(format!(
                "another switch daemon (pid {pid}) runs in {path}: stop it, or choose another --rundir"
            ));
        }
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        write(&mut file).map_err(|e| say(&pid_file, e))?;
        Ok(RunDir {
            path: path.to_owned(),
            pid_file,
            _lock: file,
        })
    }
    /// A file in the directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.pid_file);
    }
}

/// A POSIX record lock, as the stock daemon takes on its pid file: each sees the other's.
#[expect(
    unsafe_code,
    reason = "there is no safe wrapper for F_SETLK in the standard library"
)]
fn lock(file: &File) -> bool {
    let lock = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    // SAFETY: F_SETLK reads the structure, which lives during the call.
    unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &lock) == 0 }
}
