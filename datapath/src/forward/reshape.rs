//! What a packet is changes: MPLS labels and PBB headers come and go, TTLs go from one header to the next, a size is asked
//! for. Labels are pushed by a step, as the key says all of the new one; after the others the packet is looked at anew, so
//! what remains of the walk goes on with a continuation.

use super::continuation::Continuation;
use super::execute::{Context, Executor, Place};
use super::packet_type::spare;
use super::pipeline::{Outcome, Walk};
use super::program::Step;
use super::rewrite::{ADDRESSES, shift_layout, shift_offload};
use super::set::{eth_type, has};
use super::trace::Observer;
use crate::edge::{Frame, Pool, Segmentation};
use crate::model::DropReason;
use flow::extract::Layout;
use ofp::action::{Action, Controller, PacketInReason, WHOLE_PACKET};
use ofp::field::{Field, Prereq, Subfield};
use ofp::key::{WORDS, word};
use packet::{Wire, checksum, ethernet, ethertype, ipproto, ipv4, ipv6, mpls, vlan};
use std::sync::Arc;

/// A change after which the packet is looked at anew.
#[derive(Clone, Debug, PartialEq)]
pub enum Reshape {
    /// Removes the outer label; the ether type is this one then.
    PopMpls(u16),
    /// Puts a backbone header in front.
    PushPbb,
    /// Removes it, with the backbone's tags.
    PopPbb,
    /// The outermost TTL becomes that of the next header.
    CopyTtlOut,
    /// The TTL of the next header becomes the outermost one.
    CopyTtlIn,
    /// Puts a label, and a link header that is none, in front of an Ethernet frame.
    EncapFrame(u16),
    /// Removes those.
    DecapFrame,
    /// Nothing; packets of more bytes go on with the other continuation.
    Size(u16, Arc<Continuation>),
}

impl Reshape {
    /// Bytes of memory that it takes.
    pub fn memory(&self) -> usize {
        let owned = match self {
            Reshape::Size(_, larger) => larger.memory(),
            _ => 0,
        };
        size_of::<Reshape>() + owned
    }
}

/// A PBB header: both addresses, ether type, service instance (IEEE 802.1ah-2008 section 9.7).
const PBB: usize = ethernet::Header::SIZE + 4;
/// A label stack entry.
const LABEL: usize = mpls::Header::SIZE;
/// Tags in front of a PBB header or a label.
const MAX_TAGS: usize = 2;

impl<O: Observer> Walk<'_, '_, O> {
    /// What remains goes on behind a change.
    pub(super) fn reshape(&mut self, how: Reshape) -> Outcome {
        let then = self.suspend(None);
        let how = Box::new(how);
        self.push(Step::Reshape { how, then })
    }
    /// The fields of the new label are those of the outer one, or of the IP header (OpenFlow 1.3.5 table 8, as Open vSwitch
    /// reads it: the traffic class is the DSCP's, and an IPv6 packet's label is explicit null).
    pub(super) fn push_mpls(&mut self, ether_type: u16) -> Outcome {
        let stack = self.key.0[word::MPLS];
        let lse = if has(&self.key, Prereq::Mpls) {
            (stack >> 32) as u32 & !mpls::BOTTOM
        } else {
            let is_ip = has(&self.key, Prereq::Ip);
            let ip = |field: Field| {
                if is_ip {
                    self.key.get(field.place()) as u8
                } else {
                    0
                }
            };
            let ttl = match ip(Field::IpTtl) {
                0 => 64,
                ttl => ttl,
            };
            let label = if eth_type(&self.key) == ethertype::IPV6 {
                2
            } else {
                0
            };
            let header = mpls::Header::new(label, ip(Field::IpTos) >> 2, true, ttl);
            header.lse.get()
        };
        self.labelled(ether_type, lse);
        self.becomes(ether_type);
        self.push(Step::PushMpls { ether_type, lse })
    }
    /// The key of a packet with one more label.
    fn labelled(&mut self, ether_type: u16, lse: u32) {
        let below = match has(&self.key, Prereq::Mpls) {
            true => self.key.0[word::MPLS],
            false => 0,
        };
        self.key.0[word::MPLS3] = below << 32;
        self.key.0[word::MPLS] = u64::from(lse) << 32 | below >> 32;
        self.key.0[word::IPV4..WORDS].fill(0);
        let place = Field::EthType.place();
        self.key.set(place, ether_type.into(), u128::MAX);
    }
    pub(super) fn pop_mpls(&mut self, ether_type: u16) -> Outcome {
        match has(&self.key, Prereq::Mpls) {
            true => {
                self.becomes(ether_type);
                self.reshape(Reshape::PopMpls(ether_type))
            }
            false => Ok(()),
        }
    }
    /// As for IP, the list ends when the TTL would expire.
    pub(super) fn dec_mpls_ttl(&mut self) -> Outcome {
        if !has(&self.key, Prereq::Mpls) {
            return Ok(());
        }
        let ttl = self.key.get(Field::MplsTtl.place());
        if ttl > 1 {
            return self.change(Field::MplsTtl, ttl - 1, u128::MAX);
        }
        self.expire("MPLS");
        let len = self.levels.len();
        self.punt(Controller {
            max_len: WHOLE_PACKET,
            reason: PacketInReason::InvalidTtl,
            ..Controller::default()
        })?;
        self.end_list(len);
        Ok(())
    }
    /// Two continuations: the bit is part of what is looked up next.
    pub(super) fn check_pkt_larger(&mut self, size: u16, destination: Subfield) -> Outcome {
        let bit = |value| Action::Load { value, destination };
        let size = size.saturating_add(spare(&self.key).into());
        let smaller = self.suspend(None);
        let larger = Arc::new(smaller.after(bit(1)));
        let smaller = Arc::new(smaller.after(bit(0)));
        self.push(Step::Reshape {
            how: Box::new(Reshape::Size(size, larger)),
            then: smaller,
        })
    }
}

impl<P: Pool> Executor<P> {
    /// Changes a frame, which goes on anew.
    #[inline(never)]
    pub(super) fn reshape<O: Observer>(
        &mut self,
        at: &Place<'_>,
        how: &Reshape,
        then: &Arc<Continuation>,
        mut frame: P::Frame,
        o: &mut O,
    ) {
        if is_large(&frame) && matches!(how, Reshape::PushPbb | Reshape::EncapFrame(_)) {
            return self.segments(frame, o, |to, part, o| to.reshape(at, how, then, part, o));
        }
        let (layout, mut then) = (&at.layout, then);
        let done = match how {
            Reshape::PopMpls(ether_type) => pop_mpls(&mut frame, layout, *ether_type),
            Reshape::PushPbb => push_pbb(&mut frame),
            Reshape::PopPbb => pop_pbb(&mut frame),
            Reshape::CopyTtlOut => copy_ttl(&mut frame, true),
            Reshape::CopyTtlIn => copy_ttl(&mut frame, false),
            Reshape::EncapFrame(ether_type) => encap_frame(&mut frame, *ether_type),
            Reshape::DecapFrame => strip(&mut frame, ethernet::Header::SIZE + LABEL),
            Reshape::Size(size, larger) => {
                let is_larger = packet_size(&frame) > usize::from(*size);
                let words = if is_larger { "larger than" } else { "at most" };
                o.note(format_args!("{words} {size} bytes"));
                if is_larger {
                    then = larger;
                }
                Ok(())
            }
        };
        match done {
            Ok(()) => self.continue_with(at.item(frame, Some(then)), o),
            Err(reason) => self.drop(frame, reason, o),
        }
    }
}

impl<P: Pool> Executor<P> {
    /// Runs steps on each of the packets that a large segment stands for.
    #[cold]
    pub(super) fn run_segments<O: Observer>(
        &mut self,
        cx: Context<'_>,
        at: &mut Place<'_>,
        steps: &[Step],
        frame: P::Frame,
        o: &mut O,
    ) {
        let layout = at.layout;
        self.segments(frame, o, |to, part, o| {
            at.layout = layout;
            to.run(cx, at, steps, part, o);
        });
    }
}

/// Whether a frame stands for several packets.
pub(super) fn is_large<F: Frame>(frame: &F) -> bool {
    frame.offload().segmentation != Segmentation::None
}

/// Bytes of the largest packet that a frame stands for.
fn packet_size<F: Frame>(frame: &F) -> usize {
    let offload = frame.offload();
    let size = match (offload.segmentation, usize::from(offload.csum_start)) {
        (Segmentation::None, _) => return frame.size(),
        (Segmentation::Udp, l4) => l4 + 8,
        (_, l4) => {
            let offset = frame.head().get(l4 + 12).map_or(20, |byte| byte >> 4 << 2);
            l4 + usize::from(offset)
        }
    };
    frame.size().min(size + usize::from(offload.segment_size))
}

/// Removes bytes from a frame's front.
fn strip<F: Frame>(frame: &mut F, size: usize) -> Result<(), DropReason> {
    if frame.head().len() < size + ethernet::Header::SIZE || !frame.pull(size) {
        return Err(DropReason::Malformed);
    }
    shift_offload(frame, -(size as isize));
    Ok(())
}

/// Puts a label behind the tags. `false`: no room, the frame is unchanged.
pub(super) fn push_mpls<F: Frame>(
    frame: &mut F,
    layout: &mut Layout,
    ether_type: u16,
    lse: u32,
) -> bool {
    let at = usize::from(layout.l2_5);
    if at < ethernet::Header::SIZE || frame.head().len() < at || frame.push(LABEL).is_none() {
        return false;
    }
    let head = frame.head_mut();
    head.copy_within(LABEL..LABEL + at, 0);
    head[at - 2..at].copy_from_slice(&ether_type.to_be_bytes());
    head[at..at + LABEL].copy_from_slice(&lse.to_be_bytes());
    shift_layout(layout, LABEL as i16);
    (layout.l2_5, layout.l3, layout.l4, layout.frag) = (at as u16, 0, 0, 0);
    shift_offload(frame, LABEL as isize);
    true
}

fn pop_mpls<F: Frame>(frame: &mut F, layout: &Layout, ether_type: u16) -> Result<(), DropReason> {
    let at = usize::from(layout.l2_5);
    let head = frame.head_mut();
    if at < ethernet::Header::SIZE || head.len() < at + LABEL {
        return Err(DropReason::Malformed);
    }
    head[at - 2..at].copy_from_slice(&ether_type.to_be_bytes());
    head.copy_within(0..at, LABEL);
    frame.pull(LABEL);
    shift_offload(frame, -(LABEL as isize));
    Ok(())
}

/// OpenFlow 1.3.5 table 8: the backbone's addresses are copied from the frame's, the priority from its tag, the service from
/// an outer PBB header.
fn push_pbb<F: Frame>(frame: &mut F) -> Result<(), DropReason> {
    let head = frame.head();
    let Some(&addresses) = head.first_chunk::<ADDRESSES>() else {
        return Err(DropReason::Malformed);
    };
    let outer = ethernet::Header::at(head, 0).map_or(0, |header| header.ether_type.get());
    let mut service = [0; 4];
    if ethertype::is_vlan(outer) {
        let tag = vlan::Header::at(head, ethernet::Header::SIZE);
        service[0] = tag.map_or(0, |tag| (tag.tci.get() >> 8) as u8 & 0xe0);
    } else if outer == ethertype::PBB
        && let Some(old) = head.get(ethernet::Header::SIZE..PBB)
    {
        service.copy_from_slice(old);
    }
    let bytes = frame.push(PBB).ok_or(DropReason::NoMemory)?;
    bytes[..ADDRESSES].copy_from_slice(&addresses);
    bytes[ADDRESSES..ADDRESSES + 2].copy_from_slice(&ethertype::PBB.to_be_bytes());
    bytes[ADDRESSES + 2..].copy_from_slice(&service);
    shift_offload(frame, PBB as isize);
    Ok(())
}

fn pop_pbb<F: Frame>(frame: &mut F) -> Result<(), DropReason> {
    match ethernet::payload(frame.head(), MAX_TAGS) {
        Some(payload) if payload.ether_type == ethertype::PBB => strip(frame, payload.offset + 4),
        _ => Ok(()),
    }
}

fn encap_frame<F: Frame>(frame: &mut F, ether_type: u16) -> Result<(), DropReason> {
    const SIZE: usize = ethernet::Header::SIZE + LABEL;
    let bytes = frame.push(SIZE).ok_or(DropReason::NoMemory)?;
    let label = mpls::Header::new(0, 0, true, 64).lse.get();
    bytes.fill(0);
    bytes[ADDRESSES..ADDRESSES + 2].copy_from_slice(&ether_type.to_be_bytes());
    bytes[ethernet::Header::SIZE..].copy_from_slice(&label.to_be_bytes());
    shift_offload(frame, SIZE as isize);
    Ok(())
}

/// A header that has a TTL.
#[derive(Clone, Copy)]
enum Ttl {
    Mpls(usize),
    Ipv4(usize),
    Ipv6(usize),
}

impl Ttl {
    fn offset(self) -> usize {
        match self {
            Ttl::Mpls(at) => at + 3,
            Ttl::Ipv4(at) => at + 8,
            Ttl::Ipv6(at) => at + 7,
        }
    }
    /// The outermost header.
    fn outermost(head: &[u8]) -> Option<Ttl> {
        let payload = ethernet::payload(head, MAX_TAGS)?;
        let at = payload.offset;
        match payload.ether_type {
            kind if ethertype::is_mpls(kind) => Some(Ttl::Mpls(at)),
            ethertype::IPV4 | ethertype::IPV6 => Ttl::ip(head, at),
            _ => None,
        }
    }
    fn ip(head: &[u8], at: usize) -> Option<Ttl> {
        match head.get(at)? >> 4 {
            4 => ipv4::Header::at(head, at).map(|_| Ttl::Ipv4(at)),
            6 => ipv6::Header::at(head, at).map(|_| Ttl::Ipv6(at)),
            _ => None,
        }
    }
    /// The header behind it.
    fn next(self, head: &[u8]) -> Option<Ttl> {
        let is_ip = |protocol: u8| matches!(protocol, ipproto::IPIP | ipproto::IPV6);
        match self {
            Ttl::Mpls(at) if mpls::Header::at(head, at)?.is_bottom() => Ttl::ip(head, at + LABEL),
            Ttl::Mpls(at) => mpls::Header::at(head, at + LABEL).map(|_| Ttl::Mpls(at + LABEL)),
            Ttl::Ipv4(at) => {
                let header = ipv4::Header::at(head, at)?;
                let inner = is_ip(header.protocol) && !header.is_fragment();
                Ttl::ip(head, at + header.header_size()).filter(|_| inner)
            }
            Ttl::Ipv6(at) => {
                let header = ipv6::Header::at(head, at)?;
                let inner = Ttl::ip(head, at + ipv6::Header::SIZE);
                inner.filter(|_| is_ip(header.next_header))
            }
        }
    }
    fn set(self, head: &mut [u8], ttl: u8) {
        let Some(byte) = head.get_mut(self.offset()) else {
            return;
        };
        let old = std::mem::replace(byte, ttl);
        if let Ttl::Ipv4(at) = self
            && let Some(header) = ipv4::Header::at_mut(head, at)
        {
            let word = |ttl: u8| u16::from_be_bytes([ttl, 0]);
            let sum = checksum::update16(header.checksum.get(), word(old), word(ttl));
            header.checksum.set(sum);
        }
    }
}

/// Between the two outermost headers that have a TTL; without effect if there are not two.
fn copy_ttl<F: Frame>(frame: &mut F, out: bool) -> Result<(), DropReason> {
    let head = frame.head_mut();
    let Some(outer) = Ttl::outermost(head) else {
        return Ok(());
    };
    let Some(inner) = outer.next(head) else {
        return Ok(());
    };
    let (from, to) = if out { (inner, outer) } else { (outer, inner) };
    if let Some(&ttl) = head.get(from.offset()) {
        to.set(head, ttl);
    }
    Ok(())
}
