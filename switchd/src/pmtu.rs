//! Path MTUs: hears what routers say of the tunnels' packets. The number itself is the kernel's, which is asked for the
//! route again.

use crate::daemon::Event;
use dpdk::error_queue::ErrorQueue;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Listens for one IP protocol, as long as it lives.
pub struct Watch(Vec<JoinHandle<()>>);

impl Watch {
    /// Sends an event for each destination to which a packet was too big. Needs a tokio runtime.
    pub fn start(protocol: u8, events: &mpsc::Sender<Event>) -> Watch {
        let queues = [false, true].into_iter().filter_map(|is_v6| {
            let queue = ErrorQueue::open(protocol, is_v6);
            let queue = queue.map_err(|error| error.to_string()).and_then(register);
            match queue {
                Ok(queue) => Some(queue),
                Err(error) => {
                    tracing::warn!(protocol, is_v6, error, "path MTUs are not learnt");
                    None
                }
            }
        });
        let tasks = queues.map(|queue| {
            let events = events.clone();
            tokio::spawn(async move { listen(&queue, &events).await })
        });
        Watch(tasks.collect())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

#[expect(
    unsafe_code,
    reason = "tokio has no safe way for a descriptor that is not its own"
)]
fn register(queue: ErrorQueue) -> Result<AsyncFd<ErrorQueue>, String> {
    // SAFETY: the queue owns its descriptor, which stays open as long as the AsyncFd owns the queue.
    let fd = unsafe { AsyncFd::register_with_interest(queue, Interest::ERROR) };
    fd.map_err(|error| error.to_string())
}

async fn listen(queue: &AsyncFd<ErrorQueue>, events: &mpsc::Sender<Event>) {
    while let Ok(mut guard) = queue.ready(Interest::ERROR).await {
        while let Some(ip) = queue.get_ref().next_too_big() {
            if events.send(Event::PathMtu(ip)).await.is_err() {
                return;
            }
        }
        guard.clear_ready();
    }
}
