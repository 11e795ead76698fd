//! `<bridge>.snoop`: who connects there gets a copy of each OpenFlow message that goes to and from the bridge's
//! controllers. A reader that is too slow loses messages, which are counted; without readers nothing is copied.

use crate::stream::{Listener, SocketFile};
use bytes::Bytes;
use ofp::session::{Event, Session, Settings, Side, Versions};
use ofp::wire::Header;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

/// Readers of a bridge at a time.
const READERS: usize = 8;
/// Bytes that wait for a reader; what does not fit is lost to it.
const WAITING_BYTES: usize = 4 << 20;
/// A reader says hello within this time, or is gone.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// A bridge's conversations, as far as somebody listens.
#[derive(Debug, Default)]
pub struct Tap {
    /// How many listen: looked at for every message, so that nothing else is if it is 0.
    listening: AtomicUsize,
    readers: Mutex<Vec<Arc<Reader>>>,
    lost: AtomicU64,
}

#[derive(Debug)]
struct Reader {
    queue: mpsc::UnboundedSender<Bytes>,
    /// Bytes in the queue.
    waiting: AtomicUsize,
    lost: AtomicU64,
}

impl Tap {
    /// Whether somebody listens.
    pub fn is_open(&self) -> bool {
        self.listening.load(Relaxed) > 0
    }
    /// Messages that were lost to readers.
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }
    /// Copies whole messages to all who listen.
    pub fn copy(&self, bytes: &[u8]) {
        if !self.is_open() {
            return;
        }
        let bytes = Bytes::copy_from_slice(bytes);
        for reader in self.readers().iter() {
            let len = bytes.len();
            if reader.waiting.fetch_add(len, Relaxed) + len > WAITING_BYTES {
                reader.waiting.fetch_sub(len, Relaxed);
                let lost = count(&bytes);
                reader.lost.fetch_add(lost, Relaxed);
                self.lost.fetch_add(lost, Relaxed);
                continue;
            }
            // An error means that the reader is going.
            let _ = reader.queue.send(bytes.clone());
        }
    }
    fn readers(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Reader>>> {
        // Nothing panics while it holds the lock.
        self.readers.lock().unwrap_or_else(|e| e.into_inner())
    }
    fn join(&self) -> (Arc<Reader>, mpsc::UnboundedReceiver<Bytes>) {
        let (queue, queued) = mpsc::unbounded_channel();
        let reader = Arc::new(Reader {
            queue,
            waiting: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
        });
        let mut readers = self.readers();
        readers.push(reader.clone());
        self.listening.store(readers.len(), Relaxed);
        (reader, queued)
    }
    fn leave(&self, reader: &Arc<Reader>) {
        let mut readers = self.readers();
        readers.retain(|other| !Arc::ptr_eq(other, reader));
        self.listening.store(readers.len(), Relaxed);
    }
}

/// How many messages these are.
fn count(mut bytes: &[u8]) -> u64 {
    let mut messages = 0;
    while let Some(header) = Header::parse(bytes) {
        messages += 1;
        let size = usize::from(header.size).clamp(1, bytes.len());
        bytes = &bytes[size..];
    }
    messages
}

/// Leaves when it is dropped, however the reader's task ends.
struct Membership<'a>(&'a Tap, Arc<Reader>);

impl Drop for Membership<'_> {
    fn drop(&mut self) {
        self.0.leave(&self.1);
        let lost = self.1.lost.load(Relaxed);
        if lost > 0 {
            tracing::warn!(lost, "messages were not copied: the snooper did not read");
        }
    }
}

/// A bridge's socket; closed, with all readers, when it is dropped.
pub struct Snoop {
    task: AbortHandle,
    _file: Option<SocketFile>,
}

impl Drop for Snoop {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Snoop {
    /// Serves readers until dropped.
    pub fn start((listener, file): (Listener, Option<SocketFile>), tap: Arc<Tap>) -> Snoop {
        Snoop {
            task: tokio::spawn(serve(listener, tap)).abort_handle(),
            _file: file,
        }
    }
}

async fn serve(listener: Listener, tap: Arc<Tap>) {
    let mut open = JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((arrival, _)) if open.len() < READERS => {
                let tap = tap.clone();
                open.spawn(async move {
                    if let Ok(stream) = arrival.handshake().await {
                        // Who snoops goes without a word.
                        let _ = show(stream, &tap).await;
                    }
                });
            }
            Ok(_) => tracing::warn!(limit = READERS, "too many snoopers; one was refused"),
            // Out of file descriptors, most likely: do not spin.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Says hello, then what the others say. What the reader says is heard only for its end.
async fn show<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, tap: &Tap) -> std::io::Result<()> {
    let settings = Settings {
        side: Side::Switch,
        versions: Versions::all(),
        inactivity_probe: None,
    };
    let mut session = Session::new(settings, Duration::ZERO);
    let mut input = [0; 1024];
    let greet = async {
        loop {
            stream.write_all(session.output()).await?;
            session.output().clear();
            match session.next_event() {
                Some(Event::Up(_)) => return Ok(true),
                Some(_) => return Ok(false),
                None => {}
            }
            match stream.read(&mut input).await? {
                0 => return Ok(false),
                n => session.feed(Duration::ZERO, &input[..n]),
            }
        }
    };
    let greeted = tokio::time::timeout(HELLO_TIMEOUT, greet).await;
    let greeted: std::io::Result<bool> = greeted.unwrap_or(Ok(false));
    stream.write_all(session.output()).await?;
    if !greeted? {
        return Ok(());
    }
    let (reader, mut queued) = tap.join();
    let member = Membership(tap, reader);
    let (mut from, mut to) = tokio::io::split(stream);
    let write = async {
        while let Some(bytes) = queued.recv().await {
            to.write_all(&bytes).await?;
            member.1.waiting.fetch_sub(bytes.len(), Relaxed);
        }
        Ok(())
    };
    let read = async {
        while from.read(&mut input).await? > 0 {}
        Ok(())
    };
    tokio::select! {
        done = write => done,
        done = read => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_readers_lose_and_nobody_costs_nothing() {
        let tap = Tap::default();
        let message = [4, 2, 0, 8, 0, 0, 0, 1].repeat(1000);
        tap.copy(&message);
        let (reader, mut queued) = tap.join();
        let fit = WAITING_BYTES / message.len();
        (0..fit + 2).for_each(|_| tap.copy(&message));
        assert_eq!(tap.lost(), 2000);
        let mut got = 0;
        while queued.try_recv().is_ok() {
            got += 1;
        }
        assert_eq!(got, fit);
        tap.leave(&reader);
        assert!(!tap.is_open());
    }
}
