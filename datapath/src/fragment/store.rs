//! What the reassembler keeps: datagrams and their fragments in arrays that never grow beyond their
//! limits, linked by index. Finding, keeping and letting go is here; what it means is not.

use super::inspect::Key;
use super::layout::Layout;
use crate::time::Time;

/// No index.
pub(super) const NONE: u32 = u32::MAX;

/// Groups of sources: each source is in one, by its keyed hash, and each has its share.
pub(super) const GROUPS: usize = 256;

/// What is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub datagrams: usize,
    pub fragments: usize,
    pub bytes: usize,
    /// Fragments in frames of more than one segment.
    pub segmented: usize,
}

impl Usage {
    /// Both together.
    pub(super) fn plus(self, other: Usage) -> Usage {
        Usage {
            datagrams: self.datagrams + other.datagrams,
            fragments: self.fragments + other.fragments,
            bytes: self.bytes + other.bytes,
            segmented: self.segmented + other.segmented,
        }
    }
    /// Without the other one, which is part of it.
    pub(super) fn minus(self, other: Usage) -> Usage {
        Usage {
            datagrams: self.datagrams - other.datagrams,
            fragments: self.fragments - other.fragments,
            bytes: self.bytes - other.bytes,
            segmented: self.segmented - other.segmented,
        }
    }
    /// All within the limit.
    pub(super) fn fits(self, limit: Usage) -> bool {
        self.datagrams <= limit.datagrams
            && self.fragments <= limit.fragments
            && self.bytes <= limit.bytes
            && self.segmented <= limit.segmented
    }
}

/// A place in a doubly linked list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    prev: u32,
    next: u32,
}

/// The ends of such a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    first: u32,
    last: u32,
}

const UNLINKED: Link = Link {
    prev: NONE,
    next: NONE,
};

const EMPTY: List = List {
    first: NONE,
    last: NONE,
};

/// The two lists that a datagram is in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    /// By first arrival, one list per IP version: who times out first.
    Age,
    /// By latest fragment, one list per group: who has to go first.
    Use,
}

/// An incomplete datagram.
pub(super) struct Datagram {
    pub key: Key,
    hash: u64,
    chain: u32,
    links: [Link; 2],
    pub group: u8,
    /// When it times out.
    pub deadline: Time,
    /// First of its fragments, which are in the order of their offsets.
    pub first: u32,
    /// Last of them.
    pub last: u32,
    pub held: Usage,
    /// Bytes of payload in all, once the last fragment is here.
    pub end: Option<usize>,
    /// Of the fragment at offset 0, once it is here: where its parts are, and its ECN codepoint.
    pub head: Option<(Layout, u8)>,
    /// ECN codepoints seen, one bit each.
    pub ecn: u8,
    /// What arrives for it is dropped until it times out.
    pub is_refused: bool,
}

/// A fragment that is held.
pub(super) struct Piece<F> {
    /// `None`: free.
    pub frame: Option<F>,
    /// Where its payload starts in the frame.
    pub payload: usize,
    /// Where its payload starts in the datagram's.
    pub start: usize,
    pub end: usize,
    /// Its frame has more than one segment.
    pub is_segmented: bool,
    /// Index of the next one of the datagram, or of the next free one.
    pub next: u32,
}

/// All of them.
pub(super) struct Store<F> {
    datagrams: Vec<Datagram>,
    pieces: Vec<Piece<F>>,
    free_datagram: u32,
    free_piece: u32,
    buckets: Box<[u32]>,
    by_age: [List; 2],
    by_use: Box<[List; GROUPS]>,
    pub total: Usage,
    pub groups: Box<[Usage; GROUPS]>,
}

impl<F> Store<F> {
    /// Room for so many datagrams and fragments.
    pub(super) fn new(limit: Usage) -> Store<F> {
        Store {
            datagrams: Vec::with_capacity(limit.datagrams),
            pieces: Vec::with_capacity(limit.fragments),
            free_datagram: NONE,
            free_piece: NONE,
            buckets: vec![NONE; (limit.datagrams * 2).next_power_of_two()].into(),
            by_age: [EMPTY; 2],
            by_use: Box::new([EMPTY; GROUPS]),
            total: Usage::default(),
            groups: Box::new([Usage::default(); GROUPS]),
        }
    }

    pub(super) fn datagram(&mut self, index: u32) -> &mut Datagram {
        &mut self.datagrams[index as usize]
    }

    pub(super) fn piece(&self, index: u32) -> &Piece<F> {
        &self.pieces[index as usize]
    }

    /// The datagram of this key and its hash.
    pub(super) fn find(&self, key: &Key, hash: u64) -> Option<u32> {
        let mut index = self.buckets[self.bucket(hash)];
        while index != NONE {
            let datagram = &self.datagrams[index as usize];
            if datagram.hash == hash && datagram.key == *key {
                return Some(index);
            }
            index = datagram.chain;
        }
        None
    }

    /// A new datagram, without fragments.
    pub(super) fn add(&mut self, key: Key, hash: u64, group: u8, deadline: Time) -> u32 {
        let bucket = self.bucket(hash);
        let datagram = Datagram {
            key,
            hash,
            chain: self.buckets[bucket],
            links: [UNLINKED; 2],
            group,
            deadline,
            first: NONE,
            last: NONE,
            held: Usage {
                datagrams: 1,
                ..Usage::default()
            },
            end: None,
            head: None,
            ecn: 0,
            is_refused: false,
        };
        self.account(group, Usage::default(), datagram.held);
        let index = self.free_datagram;
        let index = if index == NONE {
            self.datagrams.push(datagram);
            self.datagrams.len() as u32 - 1
        } else {
            let slot = &mut self.datagrams[index as usize];
            self.free_datagram = slot.chain;
            *slot = datagram;
            index
        };
        self.buckets[bucket] = index;
        self.link(Order::Age, index);
        self.link(Order::Use, index);
        index
    }

    /// Forgets a datagram; its fragments' frames go to `out`, in the order of their offsets.
    pub(super) fn remove(&mut self, index: u32, out: &mut Vec<F>) {
        self.release(index, out);
        self.unlink(Order::Age, index);
        self.unlink(Order::Use, index);
        let datagram = &self.datagrams[index as usize];
        let (chain, group, held) = (datagram.chain, datagram.group, datagram.held);
        let mut slot = self.bucket(datagram.hash);
        self.account(group, held, Usage::default());
        if self.buckets[slot] == index {
            self.buckets[slot] = chain;
        } else {
            slot = self.buckets[slot] as usize;
            while self.datagrams[slot].chain != index {
                slot = self.datagrams[slot].chain as usize;
            }
            self.datagrams[slot].chain = chain;
        }
        self.datagrams[index as usize].chain = self.free_datagram;
        self.free_datagram = index;
    }

    /// Gives the fragments of a datagram to `out`, in the order of their offsets, and keeps the datagram.
    pub(super) fn release(&mut self, index: u32, out: &mut Vec<F>) {
        let datagram = &mut self.datagrams[index as usize];
        let mut at = std::mem::replace(&mut datagram.first, NONE);
        datagram.last = NONE;
        let before = datagram.held;
        datagram.held = Usage {
            datagrams: before.datagrams,
            ..Usage::default()
        };
        let (group, after) = (datagram.group, datagram.held);
        self.account(group, before, after);
        while at != NONE {
            let piece = &mut self.pieces[at as usize];
            out.extend(piece.frame.take());
            let next = std::mem::replace(&mut piece.next, self.free_piece);
            self.free_piece = at;
            at = next;
        }
    }

    /// Keeps a fragment of a datagram, behind its fragment `behind` (`NONE`: as the first).
    pub(super) fn insert(&mut self, index: u32, behind: u32, mut piece: Piece<F>) {
        let datagram = &mut self.datagrams[index as usize];
        let before = datagram.held;
        datagram.held.fragments += 1;
        datagram.held.bytes += piece.end - piece.start;
        datagram.held.segmented += usize::from(piece.is_segmented);
        let (group, after) = (datagram.group, datagram.held);
        let at = match self.free_piece {
            NONE => self.pieces.len() as u32,
            free => free,
        };
        let next = match behind {
            NONE => &mut datagram.first,
            behind => &mut self.pieces[behind as usize].next,
        };
        piece.next = std::mem::replace(next, at);
        if piece.next == NONE {
            datagram.last = at;
        }
        match self.pieces.get_mut(at as usize) {
            None => self.pieces.push(piece),
            Some(slot) => {
                self.free_piece = slot.next;
                *slot = piece;
            }
        }
        self.account(group, before, after);
        if self.list(Order::Use, index).last != index {
            self.unlink(Order::Use, index);
            self.link(Order::Use, index);
        }
    }

    /// The datagram of this IP version (0: IPv4, 1: IPv6) that times out first.
    pub(super) fn oldest(&self, version: usize) -> Option<u32> {
        Some(self.by_age[version].first).filter(|index| *index != NONE)
    }

    /// The datagram of a group that was not used for longest, other than `kept`.
    pub(super) fn least_used(&self, group: usize, kept: u32) -> Option<u32> {
        let mut index = self.by_use[group].first;
        if index != NONE && index == kept {
            index = self.datagrams[index as usize].links[Order::Use as usize].next;
        }
        Some(index).filter(|index| *index != NONE)
    }

    fn bucket(&self, hash: u64) -> usize {
        hash as usize & (self.buckets.len() - 1)
    }

    fn account(&mut self, group: u8, before: Usage, after: Usage) {
        let group = &mut self.groups[usize::from(group)];
        *group = group.plus(after).minus(before);
        self.total = self.total.plus(after).minus(before);
    }

    fn list(&mut self, order: Order, index: u32) -> &mut List {
        let datagram = &self.datagrams[index as usize];
        match order {
            Order::Age => &mut self.by_age[usize::from(datagram.key.is_ipv6())],
            Order::Use => &mut self.by_use[usize::from(datagram.group)],
        }
    }

    fn link(&mut self, order: Order, index: u32) {
        let list = self.list(order, index);
        let prev = std::mem::replace(&mut list.last, index);
        if prev == NONE {
            list.first = index;
        } else {
            self.datagrams[prev as usize].links[order as usize].next = index;
        }
        self.datagrams[index as usize].links[order as usize] = Link { prev, next: NONE };
    }

    fn unlink(&mut self, order: Order, index: u32) {
        let Link { prev, next } = self.datagrams[index as usize].links[order as usize];
        match prev {
            NONE => self.list(order, index).first = next,
            prev => self.datagrams[prev as usize].links[order as usize].next = next,
        }
        match next {
            NONE => self.list(order, index).last = prev,
            next => self.datagrams[next as usize].links[order as usize].prev = prev,
        }
    }
}
