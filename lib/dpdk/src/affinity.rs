//! On which CPUs threads may run. Called by `switchd`, for its workers and for all others.

use std::io;

/// The CPUs on which the calling thread may run, in order; none if the kernel does not say.
pub fn allowed() -> Vec<usize> {
    // SAFETY: cpu_set_t is plain bits, and sched_getaffinity fills at most its size.
    let set = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::sched_getaffinity(0, size_of_val(&set), &mut set);
        set
    };
    // SAFETY: the index stays below CPU_SETSIZE.
    let is_set = |cpu: &usize| unsafe { libc::CPU_ISSET(*cpu, &set) };
    (0..libc::CPU_SETSIZE as usize).filter(is_set).collect()
}

/// Keeps a thread (by the kernel's number; 0: the calling one) on these CPUs. Fails if the process has none of them, or no such
/// thread. CPUs that no set can hold are left out.
pub fn set(thread: i32, cpus: &[usize]) -> io::Result<()> {
    // SAFETY: the set is plain bits that live during the call; the indices stay below CPU_SETSIZE.
    let result = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        for &cpu in cpus.iter().filter(|cpu| **cpu < libc::CPU_SETSIZE as usize) {
            libc::CPU_SET(cpu, &mut set);
        }
        libc::sched_setaffinity(thread, size_of_val(&set), &set)
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_runs_where_it_was_put() {
        let thread = std::thread::spawn(|| {
            let before = allowed();
            set(0, &before[..1]).unwrap();
            assert_eq!(allowed(), before[..1]);
            set(0, &before).unwrap();
            assert_eq!(allowed(), before);
            assert!(set(0, &[]).is_err());
            assert!(set(0, &[usize::MAX]).is_err());
            assert_eq!(allowed(), before);
        });
        thread.join().unwrap();
    }
}
