//! Sleeping until a port has something: epoll over the ports' descriptors, and an eventfd to wake the
//! sleeper. One [`Poll`] per worker; with hundreds of ports it also tells which of them to look at.

use std::mem::zeroed;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use crate::netdev::owned;
use crate::{Error, Result};

/// Events taken per call: a burst of ports. What is left is reported by the next call.
const EVENTS: usize = 128;
/// The token of the wake-up descriptor.
const WAKE: u64 = u64::MAX;
/// Waits in a row after which a descriptor that only reports errors is given up: a deleted tap does so
/// for ever, and would keep the worker from sleeping. A socket's error is cleared by receiving.
const ERRORS_MAX: u32 = 16;

/// A set of descriptors that become readable.
#[derive(Debug)]
pub struct Poll {
    epoll: OwnedFd,
    wake: Arc<OwnedFd>,
    /// Descriptors by token.
    fds: Vec<Option<Watched>>,
}

#[derive(Clone, Copy, Debug)]
struct Watched {
    fd: RawFd,
    errors: u32,
}

/// Wakes one [`Poll`] from any thread.
#[derive(Clone, Debug)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    /// Makes the sleeper's current or next wait return. Any number of calls before that count as one.
    pub fn wake(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: eight bytes, as an eventfd wants them. A full counter (EAGAIN) wakes just as well.
        unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// Takes wake-ups back: for a reader that watches the eventfd itself.
    pub fn drain(&self) {
        let mut count = [0u8; 8];
        // SAFETY: eight bytes, as an eventfd gives them.
        unsafe { libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }

    /// The eventfd, for those who hand it on.
    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Poll {
    /// An empty set.
    pub fn new() -> Result<Poll> {
        // SAFETY: plain system calls.
        let (epoll, wake) = unsafe {
            (
                libc::epoll_create1(libc::EPOLL_CLOEXEC),
                libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK),
            )
        };
        let epoll = owned(epoll, || "cannot make an epoll set".into())?;
        let wake = Arc::new(owned(wake, || "cannot make an eventfd".into())?);
        let poll = Poll {
            epoll,
            wake,
            fds: Vec::new(),
        };
        poll.control(libc::EPOLL_CTL_ADD, poll.wake.as_raw_fd(), WAKE)?;
        Ok(poll)
    }

    /// Something to wake this with.
    pub fn waker(&self) -> Waker {
        Waker(self.wake.clone())
    }

    fn control(&self, operation: i32, fd: RawFd, token: u64) -> Result<()> {
        let mut event = libc::epoll_event {
            events: libc::EPOLLIN as u32,
            u64: token,
        };
        // SAFETY: the event lives during the call.
        match unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, fd, &mut event) } {
            0 => Ok(()),
            _ => Err(Error::system("cannot change an epoll set")),
        }
    }

    /// Watches `fd`; it is reported as `token`, a small number of the caller's choice that is not in use.
    pub fn add(&mut self, fd: RawFd, token: usize) -> Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, token as u64)?;
        if self.fds.len() <= token {
            self.fds.resize(token + 1, None);
        }
        self.fds[token] = Some(Watched { fd, errors: 0 });
        Ok(())
    }

    /// Stops watching, before the descriptor is closed.
    pub fn remove(&mut self, token: usize) {
        if let Some(Some(watched)) = self.fds.get_mut(token).map(Option::take) {
            // A descriptor that is closed already has left the set by itself.
            let _ = self.control(libc::EPOLL_CTL_DEL, watched.fd, token as u64);
        }
    }

    /// Waits until something is readable, a waker is used or the time is over (`None`: for ever), and
    /// appends the tokens of what is readable to `ready`. Returns whether a waker was used.
    pub fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<usize>) -> bool {
        // SAFETY: plain C structures, for which all zeroes is a value.
        let mut events: [libc::epoll_event; EVENTS] = unsafe { zeroed() };
        let len = self.epoll_wait(&mut events, timeout);
        let mut is_woken = false;
        for event in &events[..len] {
            let (token, bits) = (event.u64, event.events as i32);
            if token == WAKE {
                is_woken = true;
                self.waker().drain();
                continue;
            }
            ready.push(token as usize);
            self.note_errors(token as usize, bits & libc::EPOLLIN == 0);
        }
        is_woken
    }

    fn epoll_wait(&self, events: &mut [libc::epoll_event], timeout: Option<Duration>) -> usize {
        let time = timeout.map(|timeout| libc::timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        let time = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        let (fd, len) = (self.epoll.as_raw_fd(), events.len() as i32);
        // SAFETY: the events and the time live during the call. Microseconds matter: epoll_pwait2 (Linux 5.11).
        let got =
            unsafe { libc::epoll_pwait2(fd, events.as_mut_ptr(), len, time, std::ptr::null()) };
        usize::try_from(got).unwrap_or(0)
    }

    fn note_errors(&mut self, token: usize, is_error: bool) {
        let Some(Some(watched)) = self.fds.get_mut(token) else {
            return;
        };
        watched.errors = if is_error { watched.errors + 1 } else { 0 };
        if watched.errors == ERRORS_MAX {
            tracing::warn!(
                "descriptor {} only reports errors and is not watched any more",
                watched.fd
            );
            self.remove(token);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    #[test]
    fn readable_descriptors_are_reported_by_token() {
        let mut poll = Poll::new().unwrap();
        let (mut near, far) = UnixStream::pair().unwrap();
        poll.add(far.as_raw_fd(), 7).unwrap();
        let mut ready = Vec::new();
        assert!(!poll.wait(Some(Duration::ZERO), &mut ready) && ready.is_empty());
        near.write_all(b"x").unwrap();
        assert!(!poll.wait(None, &mut ready));
        assert_eq!(ready, [7]);
        poll.remove(7);
        ready.clear();
        assert!(!poll.wait(Some(Duration::ZERO), &mut ready) && ready.is_empty());
    }

    #[test]
    fn wakers_wake_once() {
        let mut poll = Poll::new().unwrap();
        let waker = poll.waker();
        std::thread::spawn(move || (waker.wake(), waker.wake()))
            .join()
            .unwrap();
        assert!(poll.wait(None, &mut Vec::new()));
        assert!(!poll.wait(Some(Duration::from_micros(50)), &mut Vec::new()));
    }
}
