//! Where threads that are no workers run: on the daemon's CPUs without those that workers have.

use dpdk::affinity;

/// Where the kernel lists our threads, by number.
const THREADS: &str = "/proc/self/task";

/// The CPUs on which the daemon might run when it started.
#[derive(Clone, Debug)]
pub struct Home(Vec<usize>);

impl Home {
    /// Reads them, before any thread is put elsewhere.
    pub fn read() -> Home {
        Home(affinity::allowed())
    }
    /// The last of them: a worker gets it if nobody says which.
    pub fn last(&self) -> usize {
        self.0.last().copied().unwrap_or(0)
    }
    /// The CPUs for others than the workers on `taken`: all, if workers have all of them.
    fn others(&self, taken: &[usize]) -> Vec<usize> {
        let is_free = |cpu: &&usize| !taken.contains(cpu);
        let free: Vec<usize> = self.0.iter().filter(is_free).copied().collect();
        match free.is_empty() {
            true => self.0.clone(),
            false => free,
        }
    }
    /// Keeps every thread that is no worker off the CPUs of the workers; also those that libraries started. What a thread
    /// starts later is where it is itself.
    pub fn keep_off(&self, taken: &[usize], workers: &[i32]) {
        let others = self.others(taken);
        for thread in threads().filter(|thread| !workers.contains(thread)) {
            // It may have ended meanwhile.
            if let Err(error) = affinity::set(thread, &others) {
                tracing::debug!(%error, thread, ?others, "a thread stays where it is");
            }
        }
    }
}

/// Our threads, by the kernel's numbers.
fn threads() -> impl Iterator<Item = i32> {
    let entries = std::fs::read_dir(THREADS).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The kernel's number of the calling thread.
pub fn this_thread() -> Option<i32> {
    let link = std::fs::read_link("/proc/thread-self").ok()?;
    link.file_name()?.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_get_what_workers_leave() {
        let home = Home(vec![0, 2, 3]);
        assert_eq!(home.others(&[3]), [0, 2]);
        assert_eq!(home.others(&[1]), [0, 2, 3]);
        assert_eq!(home.others(&[0, 1, 2, 3]), [0, 2, 3]);
        assert_eq!(home.last(), 3);
    }

    #[test]
    fn this_thread_is_one_of_ours() {
        let this = this_thread().unwrap();
        assert!(threads().any(|thread| thread == this));
    }
}
