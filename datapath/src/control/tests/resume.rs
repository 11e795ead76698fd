//! Tokens of paused packets: good once, in time, on their own bridge, and not to be guessed.

use super::*;
use crate::model::event::{Event, Paused, Punt};
use bytes::Bytes;
use ofp::key::Match;

fn paused(bridge: BridgeId) -> Event {
    let way = Arc::new(5u32);
    Event::Punt(Box::new(Punt {
        bridge,
        table: TableId(1),
        cookie: Cookie(0),
        controller: Default::default(),
        fields: Match::default(),
        in_port: PortNo(7),
        total_len: 60,
        data: vec![1; 60],
        paused: Some(Paused {
            way,
            words: None,
            options: None,
        }),
    }))
}

/// A controller that gets tokens.
fn bed() -> Bed {
    let mut bed = Bed::new();
    bed.connect(1, ConnKind::Controller, Version::V13);
    bed.say(1, Body::SetPacketInFormat(PacketInFormat::Nxt2));
    bed.outputs();
    bed
}

impl Bed {
    fn pause(&mut self) -> PacketIn {
        self.switch
            .event(self.now, paused(self.bridge), &mut self.out);
        match self.sent(1).pop() {
            Some(Body::PacketIn(packet_in)) => *packet_in,
            other => panic!("{other:?}"),
        }
    }
    /// What goes to a worker, or the error.
    fn resume(&mut self, packet_in: &PacketIn) -> Result<crate::model::event::PacketOut, OfError> {
        self.outputs();
        self.say(1, Body::Resume(Box::new(packet_in.clone())));
        self.publish();
        match self.outputs().pop() {
            Some(Output::PacketOut(packet)) => Ok(*packet),
            Some(Output::Send(_, message)) => match message.body {
                Body::Error(error) => Err(error.error),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_token_is_good_once() {
    let mut bed = bed();
    let mut packet_in = bed.pause();
    assert_eq!(packet_in.continuation.len() % 8, 0);
    packet_in.fields.set(Field::Reg1.place(), 9, u128::MAX);
    packet_in.data = Bytes::from_static(&[2; 64]);
    let packet = bed.resume(&packet_in).expect("goes on");
    assert_eq!((packet.in_port, packet.data), (PortNo(7), vec![2; 64]));
    assert_eq!(packet.fields.get(Field::Reg1.place()).0, 9);
    assert_eq!(packet.fields.words().len(), 1);
    assert!(packet.paused.is_some());
    assert_eq!(bed.resume(&packet_in), Err(OfError::ResumeStale));
}

#[test]
fn others_tokens_are_refused() {
    let mut bed = bed();
    let (first, second) = (bed.pause(), bed.pause());
    assert_ne!(first.continuation, second.continuation);
    for wrong in [&[][..], &[0; 24], &first.continuation[..16], &[0xff; 64]] {
        let mut packet_in = first.clone();
        packet_in.continuation = Bytes::copy_from_slice(wrong);
        assert_eq!(bed.resume(&packet_in), Err(OfError::ResumeStale));
    }
    // Of another bridge.
    let settings = BridgeSettings {
        fail_mode: FailMode::Secure,
        ..Default::default()
    };
    let here = bed.bridge;
    bed.bridge = bed
        .switch
        .add_bridge(bed.now, "br1", settings)
        .expect("valid");
    bed.connect(2, ConnKind::Controller, Version::V13);
    bed.say(2, Body::Resume(Box::new(first.clone())));
    let stale = |body: &Body| matches!(body, Body::Error(e) if e.error == OfError::ResumeStale);
    assert!(bed.sent(2).iter().all(stale));
    bed.bridge = here;
    assert!(bed.resume(&first).is_ok());
    // Too late.
    bed.wait(61);
    assert_eq!(bed.resume(&second), Err(OfError::ResumeStale));
    assert_eq!(bed.switch.counters().paused_lost, 1);
}

#[test]
fn the_oldest_gives_way() {
    let mut bed = bed();
    let first = bed.pause();
    for _ in 0..8192 {
        bed.pause();
    }
    assert_eq!(bed.resume(&first), Err(OfError::ResumeStale));
    assert_eq!(bed.switch.counters().paused_lost, 1);
}

#[test]
fn one_that_waits_does_not_keep_those_that_went_on() {
    let mut bed = bed();
    bed.pause();
    for _ in 0..40_000 {
        let packet_in = bed.pause();
        bed.resume(&packet_in).expect("goes on");
    }
    assert!(bed.switch.paused_len().1 <= 2 * 8192 + 1);
}

#[test]
fn tokens_go_with_their_bridge() {
    let mut bed = bed();
    let packet_in = bed.pause();
    let settings = || BridgeSettings {
        fail_mode: FailMode::Secure,
        ..Default::default()
    };
    bed.switch.remove_bridge(bed.bridge, &mut bed.out);
    bed.publish();
    let again = bed.switch.add_bridge(bed.now, "br0", settings());
    assert_eq!(again, Ok(bed.bridge));
    bed.connect(2, ConnKind::Controller, Version::V13);
    bed.outputs();
    bed.say(2, Body::Resume(Box::new(packet_in)));
    let stale = |body: &Body| matches!(body, Body::Error(e) if e.error == OfError::ResumeStale);
    assert!(matches!(&bed.sent(2)[..], [body] if stale(body)));
}
