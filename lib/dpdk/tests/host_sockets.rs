//! Sockets of the host's stack as an underlay, between two hosts in network namespaces.

mod common;

use std::net::UdpSocket;
use std::sync::Arc;

use common::{Namespace, bytes, frame, free, pools, receive};
use datapath::edge::{Frame, Port, Rx, Tx};
use dpdk::host_socket::{HostSocket, Protocol};
use dpdk::packet_socket::PacketSocket;
use dpdk::{Mbuf, MbufPool, Mempools};
use packet::{Wire, checksum, ethernet, ethertype, ipproto, ipv4, ipv6, udp};

/// Two hosts on a link.
struct Link {
    one: Namespace,
    two: Namespace,
    pools: Arc<Mempools>,
}

impl Link {
    fn new() -> Link {
        let (one, two) = (Namespace::new(), Namespace::new());
        one.veth("n0", &two, "e0", "10.0.0.2/24");
        one.ip("address add 10.0.0.1/24 dev n0");
        one.ip("address add fd00::1/64 dev n0 nodad");
        two.ip("address add fd00::2/64 dev e0 nodad");
        let pools = pools();
        Link { one, two, pools }
    }
    /// The queues of a listener on host two: IPv4, IPv6.
    fn listen(&self, protocol: Protocol) -> (HostSocket, Vec<Box<dyn Rx<Mbuf>>>) {
        let pools = self.pools.clone();
        let mut port = self
            .two
            .run(move || HostSocket::listen(protocol, &pools).expect("the port is free"));
        let queues = (0..port.rx_len()).map(|index| port.open_rx(index).expect("a queue"));
        let queues = queues.collect();
        (port, queues)
    }
    fn sender(&self) -> (HostSocket, Box<dyn Tx<Mbuf>>) {
        let pools = self.pools.clone();
        let mut port = self
            .one
            .run(move || HostSocket::sender(&pools).expect("root"));
        let tx = port.open_tx(0).expect("a sender");
        (port, tx)
    }
}

/// A whole frame from host one to host two.
fn packet(v6: bool, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let link = ethernet::Header {
        ether_type: if v6 { ethertype::IPV6 } else { ethertype::IPV4 }.into(),
        ..Default::default()
    };
    let mut bytes = vec![0; 14 + if v6 { 40 } else { 20 }];
    let rest = link.emit(&mut bytes).expect("room");
    let size = payload.len() as u16;
    if v6 {
        let (src, dst) = ("fd00::1", "fd00::2").map_ip();
        let mut header = ipv6::Header::new(src, dst, protocol, size);
        header.set_traffic_class(0xb9);
        header.hop_limit = 61;
        header.emit(rest).expect("room");
    } else {
        let (src, dst) = ("10.0.0.1", "10.0.0.2").map_ip();
        let mut header = ipv4::Header::new(src, dst, protocol, size);
        (header.tos, header.ttl) = (0xb9, 61);
        header.id.set(7);
        header.emit(rest).expect("room");
        ipv4::fill_checksum(rest).expect("a header");
    }
    bytes.extend(payload);
    bytes
}

/// Two addresses of one kind from text.
trait MapIp {
    fn map_ip<T: std::str::FromStr<Err: std::fmt::Debug>>(self) -> (T, T);
}

impl MapIp for (&str, &str) {
    fn map_ip<T: std::str::FromStr<Err: std::fmt::Debug>>(self) -> (T, T) {
        (self.0.parse().unwrap(), self.1.parse().unwrap())
    }
}

#[test]
fn packets_arrive_as_they_were_sent() {
    let link = Link::new();
    let (port, mut tx) = link.sender();
    let mut pool = MbufPool::new(link.pools.clone());
    let datagram = [&[0x80, 0, 0x12, 0xb5, 0, 108, 0, 0][..], &[0x5a; 100]].concat();
    let payload = vec![0xa5; 700];
    let cases: [(Protocol, u8, &[u8]); 4] = [
        (Protocol::Udp(4789), ipproto::UDP, &datagram),
        (Protocol::Gre, ipproto::GRE, &payload),
        (Protocol::L2tp, ipproto::L2TP, &payload),
        (Protocol::Gpw, ipproto::GPW, &payload),
    ];
    for (protocol, number, payload) in cases {
        let (_listener, mut queues) = link.listen(protocol);
        let is_v6_only = queues.len() == 1;
        for (index, queue) in queues.iter_mut().enumerate() {
            let v6 = index == 1 || is_v6_only;
            let sent = packet(v6, number, payload);
            tx.tx(&mut vec![frame(&mut pool, &sent)]);
            let frames = receive(queue.as_mut(), 1);
            assert_eq!(frames.len(), 1, "{protocol} v6={v6}");
            let mut got = bytes(&frames[0]);
            // An identification is the packet's own business when it was not a fragment.
            if !v6 {
                got[18..20].copy_from_slice(&sent[18..20]);
                got[24..26].copy_from_slice(&sent[24..26]);
            }
            assert_eq!(got, sent, "{protocol} v6={v6}");
            if !v6 {
                assert_eq!(checksum::of(&bytes(&frames[0])[14..34]), 0);
            }
            free(frames);
        }
    }
    assert_eq!(port.counters().tx_packets, 7);
    drop((port, tx));
}

#[test]
fn the_largest_datagram_is_received_whole() {
    let link = Link::new();
    let (_listener, mut queues) = link.listen(Protocol::Udp(8472));
    for (index, address) in ["10.0.0.2:8472", "[fd00::2]:8472"].into_iter().enumerate() {
        let data: Vec<u8> = (0..65_000u32).map(|n| n as u8 ^ (n >> 8) as u8).collect();
        let sent = data.clone();
        link.one.run(move || {
            let any = if index == 0 {
                "10.0.0.1:5"
            } else {
                "[fd00::1]:5"
            };
            let socket = UdpSocket::bind(any).expect("an address");
            socket.send_to(&sent, address).expect("sent");
        });
        let frames = receive(queues[index].as_mut(), 1);
        let start = 14 + [20, 40][index] + udp::Header::SIZE;
        assert_eq!(frames[0].size(), start + data.len());
        assert!(bytes(&frames[0])[start..] == data[..]);
        free(frames);
    }
}

#[test]
fn what_cannot_be_sent_is_counted_by_name() {
    let link = Link::new();
    let (port, mut tx) = link.sender();
    let mut pool = MbufPool::new(link.pools.clone());
    let mut away = packet(false, ipproto::GRE, &[0; 10]);
    away[30] = 99;
    let large = packet(true, ipproto::GRE, &[0; 1500]);
    tx.tx(&mut vec![
        frame(&mut pool, &away),
        frame(&mut pool, &large),
        frame(&mut pool, &[0; 60]),
    ]);
    let mut counters = Vec::new();
    port.custom_counters(&mut counters);
    let of = |name: &str| counters.iter().find(|(n, _)| n == name).map(|(_, n)| *n);
    assert_eq!((of("tx_no_route"), of("tx_too_big")), (Some(1), Some(1)));
    assert_eq!(port.counters().tx_errors, 3);
}

#[test]
fn a_port_that_is_taken_is_an_error_with_a_name() {
    let link = Link::new();
    let pools = link.pools.clone();
    let error = link.one.run(move || {
        let _taken = UdpSocket::bind("0.0.0.0:4789").expect("free");
        HostSocket::listen(Protocol::Udp(4789), &pools).err()
    });
    let text = error.expect("refused").to_string();
    assert!(text.starts_with("UDP port 4789 is used by another socket"));
}

#[test]
fn a_link_shares_one_ether_type_with_the_host() {
    let link = Link::new();
    let open = |host: &Namespace, name: &'static str| {
        let pools = link.pools.clone();
        host.run(move || PacketSocket::open_ether_type(name, ethertype::GPW, &pools).expect("root"))
    };
    let (mut near, mut far) = (open(&link.one, "n0"), open(&link.two, "e0"));
    let (mut tx, mut rx) = (near.open_tx(0).expect("tx"), far.open_rx(0).expect("rx"));
    let mut pool = MbufPool::new(link.pools.clone());
    let mac = far.state().mac;
    let sent = [&mac[..], &near.state().mac, &[0x96, 0xfc], &[1; 50]].concat();
    tx.tx(&mut vec![frame(&mut pool, &sent)]);
    let frames = receive(rx.as_mut(), 1);
    assert_eq!(bytes(&frames[0]), sent);
    free(frames);
    link.one.sh("ping -c1 -W2 10.0.0.2");
}
