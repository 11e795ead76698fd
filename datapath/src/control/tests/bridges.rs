//! Bridges: the default flow, fail modes, the flush, misses, learnt addresses.

use super::*;
use crate::model::snapshot::Miss;
use packet::MacAddr;

fn normal() -> Action {
    output(PortNo::NORMAL.0)
}

fn settings(fail_mode: FailMode, has_controllers: bool) -> BridgeSettings {
    BridgeSettings {
        fail_mode,
        has_controllers,
        ..Default::default()
    }
}

impl Bed {
    fn set(&mut self, fail_mode: FailMode, has_controllers: bool) {
        let settings = settings(fail_mode, has_controllers);
        self.switch
            .set_bridge(self.now, self.bridge, settings)
            .expect("valid");
        self.publish();
    }
    fn shown(&mut self) -> Vec<(u16, Vec<Action>)> {
        self.all_flows()
            .into_iter()
            .map(|f| (f.priority, f.actions))
            .collect()
    }
    fn first_table(&self) -> u8 {
        let snapshot = self.switch.publisher.current();
        snapshot
            .bridge(self.bridge)
            .expect("there")
            .config
            .first_table
            .0
    }
    fn own_actions(&self) -> Vec<Action> {
        let snapshot = self.switch.publisher.current();
        let own = &snapshot.bridge(self.bridge).expect("there").tables[254].rules;
        own.iter().next().expect("one").actions.to_vec()
    }
    fn miss(&mut self) -> (Miss, u16) {
        self.publish();
        let snapshot = self.switch.publisher.current();
        let config = &snapshot.bridge(self.bridge).expect("there").config;
        (config.miss, config.miss_send_len)
    }
}

#[test]
fn standalone_without_controllers_has_a_normal_flow_that_users_see() {
    let mut bed = Bed::with(settings(FailMode::Standalone, false));
    assert_eq!(bed.shown(), [(0, vec![normal()])]);
    bed.flow_mod(99, add(7, vec![])).unwrap();
    // Nothing that matters to the flows changed.
    bed.set(FailMode::Standalone, false);
    assert_eq!(bed.shown().len(), 2);
    bed.set(FailMode::Secure, false);
    assert_eq!(bed.shown(), []);
    bed.set(FailMode::Standalone, false);
    assert_eq!(bed.shown(), [(0, vec![normal()])]);
    bed.set(FailMode::Standalone, true);
    assert_eq!(bed.shown(), []);
}

#[test]
fn fail_open_forwards_by_normal_and_keeps_the_flows() {
    let mut bed = Bed::with(settings(FailMode::Standalone, true));
    bed.flow_mod_by_user();
    for _ in 0..2 {
        bed.switch.set_fail_open(bed.bridge, true);
        bed.publish();
        assert_eq!(bed.first_table(), 254);
        assert_eq!(bed.own_actions(), [normal()]);
        assert_eq!(bed.shown().len(), 1);
        bed.switch.set_fail_open(bed.bridge, false);
        bed.publish();
        assert_eq!(bed.first_table(), 0);
    }
    bed.set(FailMode::Secure, true);
    bed.switch.set_fail_open(bed.bridge, true);
    bed.publish();
    assert_eq!((bed.first_table(), bed.shown().len()), (0, 1));
}

#[test]
fn a_change_to_secure_ends_fail_open() {
    let mut bed = Bed::with(settings(FailMode::Standalone, true));
    bed.switch.set_fail_open(bed.bridge, true);
    bed.set(FailMode::Secure, true);
    assert_eq!(bed.first_table(), 0);
}

impl Bed {
    fn flow_mod_by_user(&mut self) {
        self.connect(99, ConnKind::Service, Version::V13);
        self.flow_mod(99, add(7, vec![])).unwrap();
    }
}

#[test]
fn misses_go_to_controllers_of_old_versions_only() {
    let mut bed = Bed::new();
    assert_eq!(bed.miss(), (Miss::Drop, 0));
    bed.connect(1, ConnKind::Controller, Version::V13);
    assert_eq!(bed.miss(), (Miss::Drop, 0));
    bed.connect(2, ConnKind::Controller, Version::V10);
    assert_eq!(bed.miss(), (Miss::Controller, 128));
    bed.switch.disconnect(conn(2));
    assert_eq!(bed.miss(), (Miss::Drop, 0));
    bed.connect(3, ConnKind::Service, Version::V10);
    assert_eq!(bed.miss(), (Miss::Drop, 0));
    let config = SwitchConfig {
        miss_send_len: 65535,
        ..Default::default()
    };
    bed.say(3, Body::SetConfig(config));
    assert_eq!(bed.miss(), (Miss::Controller, 65535));
}

#[test]
fn wrong_settings_are_refused_by_name() {
    let mut bed = Bed::new();
    let wrong = BridgeSettings {
        mac_aging_secs: 5,
        ..Default::default()
    };
    let refused = bed.switch.add_bridge(bed.now, "br1", wrong);
    assert!(refused.unwrap_err().0.contains("mac-aging-time 5"));
    let refused = bed
        .switch
        .add_bridge(bed.now, "br0", BridgeSettings::default());
    assert_eq!(refused.unwrap_err().0, "bridge br0 exists already");
}

#[test]
fn a_removed_bridge_closes_its_connections_and_its_number_is_used_again() {
    let mut bed = Bed::new();
    bed.connect(1, ConnKind::Controller, Version::V13);
    let port = PortSettings::new("p1", PortType::Device);
    let (port, _) = bed
        .switch
        .add_port(bed.now, bed.bridge, port, &mut bed.out)
        .unwrap();
    bed.flow_mod(1, add(5, vec![])).unwrap();
    bed.switch.remove_bridge(bed.bridge, &mut bed.out);
    assert_eq!(bed.outputs(), [Output::Close(conn(1))]);
    bed.publish();
    let bridge = bed.bridge;
    assert_eq!(
        bed.outputs(),
        [Output::PortGone(port), Output::BridgeGone(bridge)]
    );
    let again = bed
        .switch
        .add_bridge(bed.now, "br0", settings(FailMode::Secure, false))
        .unwrap();
    assert_eq!(again, bed.bridge);
    bed.publish();
    assert_eq!(bed.shown(), []);
}

#[test]
fn learnt_addresses_age_and_go_with_their_port() {
    let mut bed = Bed::new();
    let add = |bed: &mut Bed, name: &str| {
        let settings = PortSettings::new(name, PortType::Device);
        bed.switch
            .add_port(bed.now, bed.bridge, settings, &mut bed.out)
            .unwrap()
            .0
    };
    let (one, two) = (add(&mut bed, "p1"), add(&mut bed, "p2"));
    bed.publish();
    let macs = bed
        .switch
        .publisher
        .current()
        .bridge(bed.bridge)
        .unwrap()
        .config
        .macs
        .clone();
    macs.learn(MacAddr::from_u64(1), 0, one, bed.now);
    bed.wait(200);
    macs.learn(MacAddr::from_u64(2), 5, two, bed.now);
    let entry = FdbEntry {
        port: two,
        vlan: 5,
        mac: MacAddr::from_u64(2),
        age_secs: 0,
    };
    assert_eq!(bed.switch.fdb(bed.now, bed.bridge).len(), 2);
    bed.wait(100);
    let entries = bed.switch.fdb(bed.now, bed.bridge);
    assert_eq!(
        entries,
        [FdbEntry {
            age_secs: 100,
            ..entry
        }]
    );
    bed.switch.remove_port(two, &mut bed.out);
    assert!(macs.is_empty());
    // A worker that had not let go learns it again; that is forgotten too.
    macs.learn(MacAddr::from_u64(2), 5, two, bed.now);
    bed.publish();
    assert!(macs.is_empty());
}
