//! `tun_metadata<N>` without a value: the packet has this tunnel option. In text, on the wire, in which versions.

use bytes::BytesMut;
use ofp::message::{Body, Dialect, FlowModCommand, Message};
use ofp::text::{PortMap, Style, print_match, read_flow_mod};
use ofp::types::{Version, Xid};
use ofp::usable::usable;

const TEXT: &str = "tun_metadata0,tun_metadata3=0x5,tun_metadata63,actions=drop";

#[test]
fn it_is_read_said_and_printed() {
    let ports = PortMap::default();
    let flow = read_flow_mod(TEXT, Some(FlowModCommand::Add), &ports).expect("a flow");
    for version in [Version::V12, Version::V13, Version::V14, Version::V15] {
        let dialect = Dialect::new(version);
        let mut bytes = BytesMut::new();
        let body = Body::FlowMod(Box::new(flow.clone()));
        Message { xid: Xid(1), body }.encode(&dialect, &mut bytes);
        // As Open vSwitch has it: a mask of no bits.
        let entry = [0, 1, 40 << 1 | 1, 0];
        assert!(bytes.windows(4).any(|part| part == entry), "{bytes:x?}");
        let read = Message::decode(&bytes.freeze(), &dialect).expect("what was written");
        let Body::FlowMod(read) = read.body else {
            panic!("{read:?}");
        };
        assert_eq!(read.matching, flow.matching);
        let printed = print_match(&read.matching, &Style::plain(version, &ports));
        assert_eq!(format!("{printed},actions=drop"), TEXT);
    }
    let names: Vec<String> = usable(&flow).protocols().map(|p| p.to_string()).collect();
    assert_eq!(
        names,
        [
            "NXM",
            "OpenFlow12",
            "OpenFlow13",
            "OpenFlow14",
            "OpenFlow15"
        ]
    );
}

#[test]
fn twice_is_refused() {
    for text in [
        "tun_metadata0,tun_metadata0=5,actions=drop",
        "tun_metadata0,tun_metadata0,actions=drop",
    ] {
        let flow = read_flow_mod(text, Some(FlowModCommand::Add), &PortMap::default());
        assert!(flow.is_err(), "{text}");
    }
}
