//! Fragments on their way through the switch: held by the worker that owns their packet, and the packet goes on when it
//! is whole. Three ask for it: `reassemble(...)`, a bridge that is set to do so, and tunnels whose packets arrived in parts.
//!
//! Where fragments of one packet met other rules, the one that came last decides how the packet goes on.
//! Counters: each outcome by its name (`fragment::OUTCOMES`); and each frame that was dropped, as `reassembly`.

use super::continuation::Continuation;
use super::execute::{Context, Executor, Item, NO_WORDS, Place, TunnelWords};
use super::mail::{Mail, Mailbox, Then, What};
use super::trace::Observer;
use crate::edge::{Frame, Pool};
use crate::fragment::{Counts, Fragment, Limits, Outcome, Reassembler, Secret};
use crate::model::port::PortView;
use crate::model::{BridgeId, DropReason};
use packet::{Wire, ethernet, ethertype, ipproto, ipv4, ipv6, vlan};
use std::net::IpAddr;
use std::sync::Arc;

/// What fragments were seen for: those of one packet meet only if it is the same.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    /// An action asks.
    Action,
    /// They arrived in a bridge that puts all packets together.
    Arrival,
    /// They are about to reach the host.
    Host,
}

/// What one worker holds.
pub(super) struct Reassembly<F> {
    secret: Secret,
    table: Reassembler<F>,
    /// Of those that cannot be fragments.
    rejected: Counts,
    /// Of both, what was published.
    published: Counts,
    /// Whether the counters are ahead of what was published.
    is_ahead: bool,
    /// The first fragment of a packet, whose rest most often is what comes next. Until then, or until the burst ends, it
    /// is not in the table.
    first: Option<First<F>>,
}

/// A fragment, and how its packet goes on.
struct First<F> {
    fragment: Fragment,
    then: Then,
    frame: F,
}

impl<F: Frame> Reassembly<F> {
    /// One of so many workers'.
    pub fn new(secret: Secret, workers: usize) -> Reassembly<F> {
        Reassembly {
            secret,
            table: Reassembler::new(secret, Limits::for_workers(workers)),
            rejected: Counts::default(),
            published: Counts::default(),
            is_ahead: false,
            first: None,
        }
    }
    /// Those that are held.
    pub fn table(&mut self) -> &mut Reassembler<F> {
        &mut self.table
    }
    /// Whether a fragment is this worker's, and nothing of its packet is held.
    pub fn is_new(&self, mailbox: &Mailbox<F>, fragment: &Fragment) -> bool {
        let key = fragment.key();
        let workers = mailbox.workers();
        let is_ours = workers == 1 || key.owner(&self.secret, workers) == mailbox.index();
        is_ours && !self.table.holds(key)
    }
}

/// Where fragments may meet: by purpose, bridge, VLAN (and whether a tag says so), and the key of the tunnel that they came
/// through. In another place, the same addresses may be another network's.
fn zone(purpose: Purpose, bridge: BridgeId, (vlan, vid): (u16, u16), tun_id: u64) -> u64 {
    let kind = (purpose as u32) << 1 | u32::from(vid != 0);
    let place = kind << 28 | u32::from(bridge.0) << 12 | u32::from(vlan);
    u64::from(place) << 32 | tun_id & 0xffff_ffff
}

/// The same for what is about to reach the host without a tag.
pub(super) fn host_zone(bridge: BridgeId) -> u64 {
    zone(Purpose::Host, bridge, (0, 0), 0)
}

/// The id in a frame's outer VLAN tag; 0: it has none.
fn outer_vid(head: &[u8]) -> u16 {
    let link = ethernet::Header::parse(head);
    let is_tagged = link.is_some_and(|(link, _)| ethertype::is_vlan(link.ether_type.get()));
    let tag = is_tagged.then(|| vlan::Header::at(head, ethernet::Header::SIZE));
    tag.flatten()
        .map_or(0, |tag| tag.tci.get() & vlan::VID_MASK)
}

/// The VLAN that a frame with this id in its tag belongs to in a bridge.
fn vlan_of(cx: Context<'_>, item: &Item<()>, vid: u16) -> u16 {
    let view = cx.snapshot.bridge(item.bridge);
    let id = view.and_then(|view| view.ports.get(&item.in_port));
    let port = id.and_then(|id| cx.snapshot.port(*id));
    port.and_then(|port| port.vlan.admit(vid)).unwrap_or(vid)
}

impl<P: Pool> Executor<P> {
    /// Runs `reassemble(...)`.
    pub fn reassemble<O: Observer>(
        &mut self,
        cx: Context<'_>,
        at: &Place<'_>,
        then: &Arc<Continuation>,
        frame: P::Frame,
        o: &mut O,
    ) {
        let item = at.item((), Some(then));
        if let Some(frame) = self.hold(cx, Purpose::Action, at.bridge, Then::Bridge(item), frame, o)
        {
            self.continue_with(at.item(frame, Some(then)), o);
        }
    }
    /// Holds a fragment until its packet is whole, and goes on with that. Gives back what is no fragment.
    pub fn hold<O: Observer>(
        &mut self,
        cx: Context<'_>,
        purpose: Purpose,
        bridge: BridgeId,
        mut then: Then,
        frame: P::Frame,
        o: &mut O,
    ) -> Option<P::Frame> {
        let vid = outer_vid(frame.head());
        let (mut vlan, mut words) = (vid, TunnelWords::default());
        let mut came_by = NO_WORDS;
        if let Some(item) = then.item() {
            vlan = vlan_of(cx, item, vid);
            came_by = item.words;
            let came = self.words.get(item.words as usize);
            words = came.copied().unwrap_or_default();
        }
        let zone = zone(purpose, bridge, (vlan, vid), words[0]);
        let fragment = match Fragment::inspect(&frame, zone) {
            Ok(Some(fragment)) => fragment,
            Ok(None) => return Some(frame),
            Err(outcome) => {
                self.reassembly.rejected.add(outcome);
                self.reassembly.is_ahead = true;
                o.note(format_args!("fragment: {}", outcome.text()));
                self.drop(frame, DropReason::Reassembly, o);
                return None;
            }
        };
        let workers = self.mailbox.workers();
        let owner = match workers {
            1 => 0,
            _ => fragment.key().owner(&self.reassembly.secret, workers),
        };
        if owner == self.mailbox.index() {
            self.insert(cx, &fragment, then, frame, o);
            return None;
        }
        let what = What::Fragment {
            fragment,
            words,
            options: self.options_of(came_by).copied().map(Box::new),
            then,
        };
        self.post(owner, Mail { frame, what }, o);
        None
    }
    /// Puts a fragment to the others of its packet, which this worker owns.
    pub fn insert<O: Observer>(
        &mut self,
        cx: Context<'_>,
        fragment: &Fragment,
        then: Then,
        frame: P::Frame,
        o: &mut O,
    ) {
        let reassembly = &mut self.reassembly;
        if let Some(first) = reassembly.first.take() {
            let table = &mut reassembly.table;
            if table.is_pair(&first.fragment, fragment) {
                let (begin, end) = ((first.frame, &first.fragment), (frame, fragment));
                let whole = table.join_pair(&mut self.pool, begin, end);
                return self.inserted(cx, whole, then, o);
            }
            self.keep(cx, &first.fragment, first.then, first.frame, o);
        }
        // It may be the one that was missing.
        let is_known = self.reassembly.table.holds(fragment.key());
        if O::EXPLAINS || !fragment.begins() || is_known {
            return self.keep(cx, fragment, then, frame, o);
        }
        self.reassembly.first = Some(First {
            fragment: *fragment,
            then,
            frame,
        });
    }
    /// Puts the first fragment that waits for the next one into the table; `false`: there is none.
    #[inline]
    pub fn keep_first<O: Observer>(&mut self, cx: Context<'_>, o: &mut O) -> bool {
        let Some(first) = self.reassembly.first.take() else {
            return false;
        };
        self.keep(cx, &first.fragment, first.then, first.frame, o);
        true
    }
    /// Puts a fragment into the table.
    fn keep<O: Observer>(
        &mut self,
        cx: Context<'_>,
        fragment: &Fragment,
        then: Then,
        frame: P::Frame,
        o: &mut O,
    ) {
        let table = &mut self.reassembly.table;
        let result = table.insert(&mut self.pool, cx.now, frame, fragment);
        self.inserted(cx, result, then, o);
    }
    /// A packet goes on that was put together.
    fn inserted<O: Observer>(
        &mut self,
        cx: Context<'_>,
        result: Result<P::Frame, Outcome>,
        then: Then,
        o: &mut O,
    ) {
        self.count_lost(o);
        let frame = match result {
            Ok(frame) => frame,
            Err(outcome) => return o.note(format_args!("fragment: {}", outcome.text())),
        };
        o.note(format_args!("reassembled: {} bytes", frame.size()));
        match then {
            Then::Bridge(item) => self.continue_with(item.with(frame), o),
            Then::Host(port, nesting) => match cx.snapshot.port(port) {
                Some(port) => self.reach_host_whole(cx, nesting, port, frame, o),
                None => self.drop(frame, DropReason::NoPort, o),
            },
        }
    }
    /// Lets go of what waited too long. Called once per poll.
    #[inline]
    pub fn expire<O: Observer>(&mut self, cx: Context<'_>, o: &mut O) {
        let table = &mut self.reassembly.table;
        if table.held()[0] > 0 && table.expire(&mut self.pool, cx.now) > 0 {
            o.note(format_args!("fragments waited too long"));
            self.count_lost(o);
        }
    }
    /// Whether a fragment may be of a packet that this worker knows, or another worker's.
    pub fn knows_fragments(&self) -> bool {
        self.reassembly.table.held()[0] > 0 || self.mailbox.workers() > 1
    }
    /// Counts the frames that the table dropped.
    pub fn count_lost<O: Observer>(&mut self, o: &mut O) {
        let reassembly = &mut self.reassembly;
        reassembly.is_ahead = true;
        let len = reassembly.table.take_dropped();
        if len > 0 {
            o.drop(DropReason::Reassembly);
            self.stats.dropped_all(DropReason::Reassembly, len);
        }
    }
    /// Shows the outcomes to those who read them.
    pub fn publish_outcomes(&mut self) {
        let Reassembly {
            table,
            rejected,
            published,
            is_ahead,
            ..
        } = &mut self.reassembly;
        if std::mem::take(is_ahead) {
            let counts = table.counts().since(rejected, published);
            self.stats.add_fragments(&counts, table.held());
            published.add_all(&counts);
        }
    }
    /// Lets go of all frames that are held, or on their way to this worker, and counts them.
    pub fn let_go(&mut self) {
        let first = self.reassembly.first.take();
        self.trash.extend(first.map(|first| first.frame));
        self.reassembly.table.clear(&mut self.pool);
        self.count_lost(&mut ());
        while let Some(Mail { frame, what }) = self.mailbox.receive() {
            match what {
                What::Fragment { .. } => self.drop(frame, DropReason::Reassembly, &mut ()),
                What::Part { to, .. } => {
                    self.lose_parts(to, 1, &mut ());
                    self.trash.push(frame);
                }
            }
        }
    }
    /// Whether a frame for the host may be a part of a tunnel's packet.
    pub fn is_tunnel_part(&mut self, cx: Context<'_>, port: &PortView, head: &[u8]) -> bool {
        const PROTOCOLS: [u8; 4] = [ipproto::UDP, ipproto::GRE, ipproto::L2TP, ipproto::GPW];
        let Some((link, rest)) = ethernet::Header::parse(head) else {
            return false;
        };
        let (src, dst, protocol): (IpAddr, IpAddr, u8) = match link.ether_type.get() {
            ethertype::IPV4 => match ipv4::Header::at(rest, 0) {
                Some(ip) if ip.is_fragment() => (ip.src().into(), ip.dst().into(), ip.protocol),
                _ => return false,
            },
            ethertype::IPV6 => {
                let payload = rest.get(ipv6::Header::SIZE..).unwrap_or_default();
                let Some(ip) = ipv6::Header::at(rest, 0) else {
                    return false;
                };
                let upper = ipv6::upper(ip.next_header, payload);
                let at = upper.and_then(|upper| upper.fragment_header);
                match at.and_then(|at| ipv6::Fragment::at(payload, at)) {
                    Some(part) => (ip.src().into(), ip.dst().into(), part.next_header),
                    None => return false,
                }
            }
            _ => return false,
        };
        self.known.refresh(cx.snapshot);
        link.dst == port.mac
            && PROTOCOLS.contains(&protocol)
            && self.known.may_come_from(cx.snapshot, src)
            && self.known.is_ours(cx.snapshot, port.bridge, &dst)
    }
}
