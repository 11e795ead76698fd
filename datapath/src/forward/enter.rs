//! What the worker's loop is made of: how a packet's key begins, which packets may enter a bridge, how a program is run and
//! credited.

use super::execute::{Context, Executor, Nesting, Place, TunnelWords};
use super::program::{Program, Step, Visit};
use super::trace::Observer;
use crate::edge::Pool;
use crate::model::stats::{WorkerStats, table_index};
use crate::model::{BridgeId, BridgeView, DropReason};
use crate::time::Time;
use flow::extract::{Depth, Layout};
use ofp::key::{FRAG_ANY, FRAG_LATER, Key, word};
use ofp::message::port_config;
use ofp::types::{PortNo, TableId};
use packet::{Wire as _, bpdu, ethernet};

/// Values of [`crate::model::snapshot::BridgeConfig::frag`].
pub(super) const FRAG_NORMAL: u8 = 0;
pub(super) const FRAG_DROP: u8 = 1;
pub(super) const FRAG_REASSEMBLE: u8 = 2;
/// Shorter frames are dropped.
pub(super) const RUNT: usize = ethernet::Header::SIZE;

/// Whether fragments are not handled as other packets are.
#[inline]
pub(super) fn takes_fragments(frag: u8) -> bool {
    matches!(frag, FRAG_DROP | FRAG_REASSEMBLE)
}

/// Whether a bridge does not look at its packets at all.
#[inline]
pub(super) fn is_blind(view: &BridgeView) -> bool {
    view.plan.extract.depth() == Depth::None && !takes_fragments(view.config.frag)
}

/// The word of the ingress port; no output is in the action set yet.
#[inline(always)]
pub(super) fn in_port_word(in_port: PortNo) -> u64 {
    u64::from(in_port.0) << 32 | u64::from(PortNo::UNSET.0)
}

/// Fills the words in front of the packet's own: registers, metadata and options are 0, whatever packet the key was for before.
#[inline]
pub(super) fn begin(key: &mut Key, in_port: PortNo, words: Option<&TunnelWords>) {
    key.0[word::IN_PORT] = in_port_word(in_port);
    match words {
        Some(words) => key.0[word::TUN_ID..word::METADATA].copy_from_slice(words),
        None => key.0[word::TUN_ID..word::METADATA].fill(0),
    }
    key.0[word::METADATA..word::ETH_DST].fill(0);
}

/// ovs-ofctl(8), "set-frags normal": "the transport ports of all fragments are 0". TCP flags and extension headers stay.
#[cold]
pub(super) fn hide_ports(key: &mut Key) {
    key.0[word::L4] &= 0xffff_ffff;
}

/// Why a packet may not enter a bridge.
#[inline]
pub(super) fn refuse(
    cx: Context<'_>,
    view: &BridgeView,
    in_port: &PortNo,
    head: &[u8],
    layout: &Layout,
    nesting: Nesting,
) -> Option<DropReason> {
    if head.len() < RUNT {
        return Some(DropReason::Malformed);
    }
    if layout.frag & (FRAG_ANY | FRAG_LATER) != 0 && view.config.frag == FRAG_DROP {
        return Some(DropReason::FragmentDropped);
    }
    // Received packets were checked with their burst.
    if nesting.depth > 0
        && let Some(port) = view.ports.get(in_port).and_then(|id| cx.snapshot.port(*id))
        && port.config & (port_config::NO_RECV | port_config::PORT_DOWN) != 0
        && *in_port != PortNo::LOCAL
    {
        return Some(DropReason::NoReceive);
    }
    None
}

/// Runs a program.
#[inline(always)]
pub(super) fn execute<P: Pool, O: Observer>(
    executor: &mut Executor<P>,
    cx: Context<'_>,
    at: &mut Place<'_>,
    program: &Program,
    frame: P::Frame,
    o: &mut O,
) {
    if program.bpdu != bpdu::Kind::None {
        executor.count_bpdu(cx, at.view, at.in_port, program.bpdu);
    }
    match program.steps.as_slice() {
        [] => return executor.drop(frame, program.drop, o),
        // Most programs are this one.
        [
            Step::Output {
                port,
                tunnel,
                max_size,
                ..
            },
        ] => return executor.emit(cx, at, *port, tunnel, *max_size, frame, o),
        _ => {}
    }
    // The controllers get to know of it, but the packet goes nowhere.
    if program.drop == DropReason::TtlExpired
        && program.steps.iter().all(|s| matches!(s, Step::Punt { .. }))
    {
        o.drop(program.drop);
        executor.stats.dropped(program.drop);
    }
    executor.run_patched(cx, at, program, frame, o);
}

/// Credits packets to the rules and tables of a program.
#[inline]
pub(super) fn credit(
    stats: &WorkerStats,
    bridge: BridgeId,
    program: &Program,
    packets: u64,
    bytes: u64,
    now: Time,
) {
    let bytes = bytes.saturating_sub(packets * u64::from(program.spare));
    credit_all(stats, bridge, &program.visits, packets, bytes, now);
}

/// Credits packets to rules, groups, buckets and tables.
#[inline(always)]
pub(super) fn credit_all(
    stats: &WorkerStats,
    bridge: BridgeId,
    visits: &[Visit],
    packets: u64,
    bytes: u64,
    now: Time,
) {
    for visit in visits {
        // A group's visit is no lookup.
        if visit.table != TableId::ALL {
            let matched = if visit.rule.is_some() { packets } else { 0 };
            let table = table_index(bridge, visit.table);
            stats.tables.add_from(table, 0, [packets, matched]);
        }
        if let Some(rule) = visit.rule {
            stats.credit(rule, packets, bytes, now);
        }
    }
}
