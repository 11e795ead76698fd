//! Where frames from the kernel land and from where they leave: per thread, buffers with the kernel's
//! message structures around them, prepared once. Used by `packet_socket` and `tap` on every burst.
//!
//! A port holds no mbufs between bursts, so that hundreds of ports cost none. Each slot of a burst has a
//! head (an ordinary mbuf) and a tail (a large one); what a frame does not use stays for the next.

use std::cell::RefCell;
use std::mem::zeroed;
use std::sync::Arc;

use datapath::edge::{BURST, Frame, HEADROOM};
use libc::{iovec, mmsghdr, sockaddr_in6};
use packet::offload::Offload;
use packet::virtio;

use crate::mbuf::Mbuf;
use crate::mempool::{Mempools, TAG_ROOM, free_all};

/// `struct virtio_net_hdr`, as both kinds of port have it before each frame.
pub(crate) const VNET_SIZE: usize = size_of::<virtio::Header>();
/// Bytes of ancillary data, in words for the alignment: one `struct tpacket_auxdata` with its header, or destination,
/// traffic class and hop limit of an IP packet with theirs (88 bytes).
const CONTROL_WORDS: usize = 12;

thread_local! {
    static LANDING: RefCell<Option<Box<Landing>>> = const { RefCell::new(None) };
    static DEPARTURE: RefCell<Departure> = const { RefCell::new(Departure::new()) };
}

/// Receive buffers of a thread.
pub(crate) struct Landing {
    pools: Arc<Mempools>,
    heads: [Option<Mbuf>; BURST],
    tails: [Option<Mbuf>; BURST],
    headers: [virtio::Header; BURST],
    controls: [[u64; CONTROL_WORDS]; BURST],
    iovecs: [[iovec; 3]; BURST],
    messages: [mmsghdr; BURST],
    senders: [sockaddr_in6; BURST],
    fresh: Vec<Mbuf>,
}

/// Runs `f` with this thread's landing for these pools.
pub(crate) fn with_landing<R>(pools: &Arc<Mempools>, f: impl FnOnce(&mut Landing) -> R) -> R {
    LANDING.with_borrow_mut(|landing| match landing {
        Some(landing) if Arc::ptr_eq(&landing.pools, pools) => f(landing),
        other => f(other.insert(Landing::new(pools.clone()))),
    })
}

impl Landing {
    fn new(pools: Arc<Mempools>) -> Box<Landing> {
        // SAFETY: plain C structures, for which all zeroes is a value.
        let (iovecs, messages, senders) = unsafe { (zeroed(), zeroed(), zeroed()) };
        Box::new(Landing {
            pools,
            heads: [const { None }; BURST],
            tails: [const { None }; BURST],
            headers: [virtio::Header::default(); BURST],
            controls: [[0; CONTROL_WORDS]; BURST],
            iovecs,
            messages,
            senders,
            fresh: Vec::with_capacity(BURST),
        })
    }

    /// Fills the slots that were used, and returns how many of the first `max` are ready.
    pub(crate) fn prepare(&mut self, max: usize) -> usize {
        let max = max.min(BURST);
        let missing = self.heads[..max]
            .iter()
            .filter(|head| head.is_none())
            .count();
        if missing > 0 && !self.pools.ordinary.alloc_bulk(&mut self.fresh, missing) {
            return self.heads[..max]
                .iter()
                .take_while(|head| head.is_some())
                .count();
        }
        for index in 0..max {
            let is_ready = self.heads[index].is_some() && self.tails[index].is_some();
            if !is_ready {
                self.prepare_slot(index);
            }
        }
        max
    }

    fn prepare_slot(&mut self, index: usize) {
        if self.heads[index].is_none() {
            self.heads[index] = self.fresh.pop();
            if let Some(head) = &mut self.heads[index] {
                head.set_data_offset(HEADROOM + TAG_ROOM);
            }
        }
        if self.tails[index].is_none() {
            self.tails[index] = self.pools.alloc_tail();
        }
        let part = |mbuf: &Option<Mbuf>| {
            let (start, size) = mbuf.as_ref().map_or((std::ptr::null_mut(), 0), Mbuf::room);
            iovec {
                iov_base: start.cast(),
                iov_len: size,
            }
        };
        let header = iovec {
            iov_base: (&raw mut self.headers[index]).cast(),
            iov_len: VNET_SIZE,
        };
        self.iovecs[index] = [header, part(&self.heads[index]), part(&self.tails[index])];
        let message = &mut self.messages[index].msg_hdr;
        message.msg_control = self.controls[index].as_mut_ptr().cast();
    }

    /// The first `len` slots as messages to receive into, with the kernel's header before each frame.
    pub(crate) fn messages(&mut self, len: usize) -> &mut [mmsghdr] {
        for (message, iovecs) in self.messages.iter_mut().zip(&mut self.iovecs).take(len) {
            let message = &mut message.msg_hdr;
            (message.msg_iov, message.msg_iovlen) = (iovecs.as_mut_ptr(), iovecs.len());
            (message.msg_name, message.msg_namelen) = (std::ptr::null_mut(), 0);
            message.msg_controllen = size_of::<[u64; CONTROL_WORDS]>();
        }
        &mut self.messages[..len]
    }

    /// The same without that header, and with the sender's address.
    pub(crate) fn datagrams(&mut self, len: usize) -> &mut [mmsghdr] {
        self.messages(len);
        let senders = self.senders.iter_mut();
        for (message, sender) in self.messages.iter_mut().zip(senders).take(len) {
            let message = &mut message.msg_hdr;
            // SAFETY: the scatter list has three parts, of which the first is left out.
            message.msg_iov = unsafe { message.msg_iov.add(1) };
            message.msg_iovlen -= 1;
            message.msg_name = std::ptr::from_mut(sender).cast();
            message.msg_namelen = size_of::<sockaddr_in6>() as u32;
        }
        &mut self.messages[..len]
    }

    /// Who sent a slot's datagram: a `sockaddr_in` or a `sockaddr_in6`, as its family says.
    pub(crate) fn sender(&self, index: usize) -> &sockaddr_in6 {
        &self.senders[index]
    }

    /// One slot as scatter list: header, head, tail.
    pub(crate) fn iovec(&self, index: usize) -> &[iovec; 3] {
        &self.iovecs[index]
    }

    /// Bytes that a slot can hold, header included.
    pub(crate) fn slot_size(&self, index: usize) -> usize {
        self.iovecs[index].iter().map(|part| part.iov_len).sum()
    }

    /// The message that the kernel filled in.
    pub(crate) fn message(&self, index: usize) -> &mmsghdr {
        &self.messages[index]
    }

    /// Takes the frame out of a slot into which `size` bytes were received, header included.
    /// `None` when the kernel's header asks for what nobody negotiated; the slot is then used again.
    pub(crate) fn take(&mut self, index: usize, size: usize) -> Option<Mbuf> {
        let size = size.checked_sub(VNET_SIZE)?;
        let offload = self.headers[index].offload()?;
        let mut frame = self.take_datagram(index, size)?;
        frame.set_offload(offload);
        Some(frame)
    }

    /// Takes `size` bytes out of a slot that were received without the kernel's header.
    pub(crate) fn take_datagram(&mut self, index: usize, size: usize) -> Option<Mbuf> {
        let mut frame = self.heads[index].take()?;
        let head_size = frame.grow(size.min(self.iovecs[index][1].iov_len));
        if size > head_size
            && let Some(mut tail) = self.tails[index].take()
        {
            tail.grow(size - head_size);
            frame.append(tail);
        }
        Some(frame)
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        let slots = self.heads.iter_mut().chain(&mut self.tails);
        self.fresh.extend(slots.filter_map(Option::take));
        free_all(&mut self.fresh);
    }
}

/// Frames on their way to the kernel: their scatter lists and headers. The frames stay the caller's.
pub(crate) struct Departure {
    headers: Vec<virtio::Header>,
    iovecs: Vec<iovec>,
    messages: Vec<mmsghdr>,
}

/// Runs `f` with this thread's departure, loaded with `frames`.
pub(crate) fn with_departure<R>(frames: &[Mbuf], f: impl FnOnce(&mut Departure) -> R) -> R {
    DEPARTURE.with_borrow_mut(|departure| {
        departure.load(frames);
        f(departure)
    })
}

impl Departure {
    const fn new() -> Departure {
        Departure {
            headers: Vec::new(),
            iovecs: Vec::new(),
            messages: Vec::new(),
        }
    }

    fn load(&mut self, frames: &[Mbuf]) {
        self.headers.clear();
        self.iovecs.clear();
        self.messages.clear();
        self.headers.extend(frames.iter().map(vnet_header));
        // Pointers into the scatter lists follow: they must not move any more.
        self.iovecs
            .reserve(frames.iter().map(|frame| frame.segments_len() + 1).sum());
        for (frame, header) in frames.iter().zip(&mut self.headers) {
            let start = self.iovecs.len();
            self.iovecs.push(iovec {
                iov_base: std::ptr::from_mut(header).cast(),
                iov_len: VNET_SIZE,
            });
            self.iovecs.extend(frame.iovecs());
            // SAFETY: a plain C structure, for which all zeroes is a value.
            let mut message: mmsghdr = unsafe { zeroed() };
            message.msg_hdr.msg_iov = &raw mut self.iovecs[start];
            message.msg_hdr.msg_iovlen = self.iovecs.len() - start;
            self.messages.push(message);
        }
    }

    /// All frames as messages to send.
    pub(crate) fn messages(&mut self) -> &mut [mmsghdr] {
        &mut self.messages
    }
}

/// The kernel's header for a frame.
fn vnet_header(frame: &Mbuf) -> virtio::Header {
    let offload = frame.offload();
    if offload.is_finished() {
        return virtio::Header::default();
    }
    let (header_size, has_cwr) = transport(frame.head(), &offload);
    let mut header = virtio::Header::new(&offload, header_size);
    if has_cwr {
        header.gso_type |= virtio::GSO_ECN;
    }
    header
}

/// Bytes of all headers of a frame that is to be segmented, and whether its TCP header has CWR (then only
/// the first segment may have it, and the kernel wants to be told). Zero (which is only a hint) for others.
fn transport(head: &[u8], offload: &Offload) -> (u16, bool) {
    use packet::offload::Segmentation;
    use packet::{Wire, tcp, udp};
    let start = offload.csum_start;
    match offload.segmentation {
        Segmentation::None => (0, false),
        Segmentation::Udp => (start + udp::Header::SIZE as u16, false),
        Segmentation::Tcp4 | Segmentation::Tcp6 => {
            tcp::Header::at(head, start.into()).map_or((0, false), |tcp| {
                (
                    start + tcp.header_size() as u16,
                    tcp.flags() & tcp::CWR != 0,
                )
            })
        }
    }
}
