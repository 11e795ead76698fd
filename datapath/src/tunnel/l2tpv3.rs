//! L2TPv3 (RFC 3931): sessions of static tunnels, over UDP and directly over IP. Cookie, sublayer and sequence numbers are known to
//! the session only, so that a packet is read in two steps.

use super::{Header, Inside, Tunnelled};
use crate::edge::Frame;
use crate::model::DropReason;
use crate::model::tunnel::{Encap, L2tpv3, Tunnel, TunnelConfig, TunnelKey, TunnelState, Words};
use packet::l2tpv3::{self, Error, Sequence, Sublayer};
use packet::{Wire, ethernet, ethertype, vlan};
use std::sync::atomic::Ordering::Relaxed;

/// Of `TunnelState::received`, beside the bits of [`Sequence`]: the peer's last packet had a number.
const PEER_NUMBERS: u64 = 1 << 63;

fn settings(config: &TunnelConfig) -> Option<&L2tpv3> {
    match &config.encap {
        Encap::L2tpv3(settings) => Some(settings),
        _ => None,
    }
}

fn sent(settings: &L2tpv3, session: u64) -> l2tpv3::Header {
    l2tpv3::Header {
        encap: settings.over,
        session: session as u32,
        cookie: settings.cookie,
        sublayer: settings.sublayer,
    }
}

/// See [`super::Row::prepare`].
pub fn prepare(config: &TunnelConfig, bytes: &mut [u8]) -> usize {
    let session = match config.out_key {
        TunnelKey::Value(key) => key,
        TunnelKey::None | TunnelKey::Flow => 0,
    };
    let header = settings(config).map(|settings| sent(settings, session));
    header.map_or(0, |header| {
        header.emit(None, bytes);
        header.size()
    })
}

/// See [`super::Row::patch`].
pub fn patch(header: &mut [u8], tunnel: &Tunnel, words: &Words, _: &Inside) {
    let (config, state) = (&tunnel.config, &tunnel.state);
    let Some(settings) = settings(config) else {
        return;
    };
    let session = match config.out_key {
        TunnelKey::Value(key) => key,
        TunnelKey::None => 0,
        TunnelKey::Flow => words[0],
    };
    // Numbers are sent while the peer's packets have some, as Linux does it, or always.
    let is_numbered =
        settings.sublayer == Sublayer::Default && (settings.send_sequence || has_numbers(state));
    let number = is_numbered.then(|| state.sequence.fetch_add(1, Relaxed));
    sent(settings, session).emit(number, header);
}

/// Whether the peer's last packet had a number.
pub fn has_numbers(state: &TunnelState) -> bool {
    state.received.load(Relaxed) & PEER_NUMBERS != 0
}

fn reason(error: Error) -> DropReason {
    match error {
        Error::Short => DropReason::TunnelMalformed,
        Error::Version => DropReason::TunnelVersion,
        Error::Control => DropReason::TunnelControl,
        Error::ZeroSession | Error::OtherSession => DropReason::TunnelUnknown,
        Error::Cookie => DropReason::TunnelCookie,
    }
}

fn parse(over: l2tpv3::Encap, bytes: &[u8]) -> Result<Header, DropReason> {
    Ok(Header {
        key: Some(l2tpv3::session(over, bytes).map_err(reason)?.into()),
        size: 0,
        csum: false,
        payload: ethertype::TEB,
        is_plain: false,
    })
}

/// See [`super::Row::parse`].
pub fn parse_udp(bytes: &[u8]) -> Result<Header, DropReason> {
    parse(l2tpv3::Encap::Udp, bytes)
}

/// See [`super::Row::parse`].
pub fn parse_ip(bytes: &[u8]) -> Result<Header, DropReason> {
    parse(l2tpv3::Encap::Ip, bytes)
}

/// See [`super::Row::accept`].
pub fn accept(tunnel: &Tunnel, found: &mut Tunnelled, bytes: &[u8]) -> Result<(), DropReason> {
    let settings = settings(&tunnel.config).ok_or(DropReason::TunnelUnknown)?;
    let header = l2tpv3::Header {
        encap: settings.over,
        session: found.lookup.key.unwrap_or(0) as u32,
        cookie: settings.peer_cookie,
        sublayer: settings.sublayer,
    };
    let accepted = header.accept(bytes).map_err(reason)?;
    found.start += header.size();
    let is_in_order = in_order(&tunnel.state, accepted.sequence, settings.receive_sequence);
    is_in_order.then_some(()).ok_or(DropReason::TunnelSequence)
}

/// Whether to take a packet with this number. Packets of one session arrive at one worker, as their addresses and ports are
/// the same; if they did not, two workers that change the state at once would lose one of the changes, no more.
fn in_order(state: &TunnelState, number: Option<u32>, must_have: bool) -> bool {
    let bits = state.received.load(Relaxed);
    let Some(number) = number else {
        if bits & PEER_NUMBERS != 0 && !must_have {
            state.received.store(bits & !PEER_NUMBERS, Relaxed);
        }
        return !must_have;
    };
    let mut sequence = Sequence::from_bits(bits);
    let is_due = sequence.accept(number);
    state
        .received
        .store(sequence.to_bits() | PEER_NUMBERS, Relaxed);
    is_due
}

/// The service tag of a frame in a VLAN pseudowire.
fn service_tag(head: &mut [u8]) -> Option<&mut vlan::Header> {
    let link = ethernet::Header::parse(head)?.0;
    if !ethertype::is_vlan(link.ether_type.get()) {
        return None;
    }
    vlan::Header::at_mut(head, ethernet::Header::SIZE)
}

/// Whether a frame that is to enter a VLAN pseudowire has its service tag.
pub fn has_service_tag<F: Frame>(frame: &mut F, vid: u16) -> bool {
    service_tag(frame.head_mut()).is_some_and(|tag| tag.vid() == vid)
}

/// Gives the service tag of a frame that came out of a VLAN pseudowire our id: ends may differ in it, and the receiving one
/// rewrites it (RFC 4719 section 3.2).
pub fn rewrite_service_tag<F: Frame>(frame: &mut F, vid: u16) -> Result<(), DropReason> {
    let tag = service_tag(frame.head_mut()).ok_or(DropReason::TunnelVlan)?;
    tag.tci.set(tag.tci.get() & !vlan::VID_MASK | vid);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tunnel::Remote;
    use packet::gpw::Part;
    use packet::l2tpv3::Cookie;
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    fn session(send_sequence: bool) -> Tunnel {
        let encap = Encap::L2tpv3(L2tpv3 {
            over: l2tpv3::Encap::Ip,
            cookie: Cookie::NONE,
            peer_cookie: Cookie::NONE,
            sublayer: Sublayer::Default,
            send_sequence,
            receive_sequence: false,
            service_vid: None,
        });
        let remote = Remote::Ip(Ipv4Addr::LOCALHOST.into());
        Tunnel {
            config: TunnelConfig::new(encap, remote).with_key(TunnelKey::Value(7)),
            route: None,
            state: Arc::default(),
        }
    }

    fn next(tunnel: &Tunnel) -> Option<u32> {
        let mut bytes = [0; 16];
        let size = prepare(&tunnel.config, &mut bytes);
        let inside = Inside {
            payload: ethertype::TEB,
            part: Part::Whole,
        };
        patch(&mut bytes[..size], tunnel, &Words::default(), &inside);
        let header = sent(settings(&tunnel.config).unwrap(), 7);
        header.accept(&bytes).unwrap().sequence
    }

    #[test]
    fn numbers_are_sent_while_the_peer_does() {
        let tunnel = session(false);
        assert_eq!(next(&tunnel), None);
        assert!(in_order(&tunnel.state, Some(9), false));
        assert_eq!([next(&tunnel), next(&tunnel)], [Some(0), Some(1)]);
        assert!(in_order(&tunnel.state, None, false));
        assert_eq!(next(&tunnel), None);
        assert!(in_order(&tunnel.state, Some(10), false));
        assert!(!in_order(&tunnel.state, Some(10), false));
        assert_eq!(next(&tunnel), Some(2));
    }

    #[test]
    fn numbers_that_are_set_are_always_sent() {
        let tunnel = session(true);
        assert_eq!([next(&tunnel), next(&tunnel)], [Some(0), Some(1)]);
        assert!(in_order(&tunnel.state, None, false));
        assert!(!in_order(&tunnel.state, None, true));
        assert_eq!(next(&tunnel), Some(2));
    }
}
