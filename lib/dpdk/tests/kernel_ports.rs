//! Packet sockets and taps between hosts in network namespaces, as a switch's users have them.

#![allow(unsafe_code)] // Socket options and limits that the standard library has no words for.

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{
    Namespace, Wire, bytes, frame, free, open, pools, receive, receive_matching, try_open,
};
use datapath::edge::{BURST, Frame, Port};
use dpdk::types::{OpenRequest, find};
use dpdk::{Mbuf, MbufPool};

/// Two hosts, and a switch between them that opens one port to each.
struct Lan {
    one: Namespace,
    two: Namespace,
    switch: Namespace,
}

impl Lan {
    fn new() -> Lan {
        let lan = Lan {
            one: Namespace::new(),
            two: Namespace::new(),
            switch: Namespace::new(),
        };
        // No router solicitations of the switch's own host on its ports.
        lan.switch
            .sh("echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6");
        lan.switch.veth("s1", &lan.one, "e0", "10.0.0.1/24");
        lan.switch.veth("s2", &lan.two, "e0", "10.0.0.2/24");
        lan
    }

    fn open(&self, name: &'static str) -> Box<dyn Port<Mbuf>> {
        let pools = pools();
        self.switch.run(move || open("system", name, &[], &pools))
    }

    fn join(&self) -> Wire {
        Wire::join(vec![self.open("s1"), self.open("s2")])
    }
}

/// Sends 20 MB by TCP from one namespace to another, and checks every byte.
fn transfer(from: &Namespace, to: &Namespace, address: &'static str) {
    const SIZE: usize = 20 << 20;
    let listener = to.run(move || TcpListener::bind((address, 5001)).unwrap());
    let receiver = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut data = Vec::new();
        stream.read_to_end(&mut data).unwrap();
        data
    });
    let data: Vec<u8> = (0..SIZE).map(|i| (i ^ i >> 8 ^ i >> 16) as u8).collect();
    let sent = data.clone();
    from.run(move || {
        let mut stream = TcpStream::connect((address, 5001)).unwrap();
        stream
            .set_write_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream.write_all(&sent).unwrap();
    });
    let received = receiver.join().unwrap();
    assert_eq!(received.len(), data.len());
    assert!(received == data, "the data were changed on the way");
}

#[test]
fn tcp_between_veth_hosts_in_large_segments() {
    let lan = Lan::new();
    let wire = lan.join();
    lan.one.sh("ping -c1 -W2 10.0.0.2");
    transfer(&lan.one, &lan.two, "10.0.0.2");
    transfer(&lan.two, &lan.one, "10.0.0.1");
    let largest = wire.largest.load(Ordering::Relaxed);
    assert!(largest > 30_000, "the largest segment had {largest} bytes");
}

/// Tags what comes from the first port, and takes the tag off what comes from the second.
fn access(frame: &mut Mbuf, from: usize) {
    let mut offload = frame.offload();
    if from == 0 {
        frame.push(4).expect("headroom");
        let head = frame.head_mut();
        head.copy_within(4..16, 0);
        head[12..16].copy_from_slice(&[0x81, 0, 0, 7]);
        offload.shift(4);
    } else {
        let head = frame.head_mut();
        assert_eq!(
            head[12..16],
            [0x81, 0, 0, 7],
            "the trunk carries tagged frames"
        );
        head.copy_within(0..12, 4);
        assert!(frame.pull(4));
        offload.shift(-4);
    }
    frame.set_offload(offload);
}

#[test]
fn tcp_over_ipv6_and_a_tagged_trunk_between_two_switches() {
    let lan = Lan::new();
    for (host, number) in [(&lan.one, 1), (&lan.two, 2)] {
        host.ip(&format!("address add fd00::{number}/64 dev e0 nodad"));
    }
    lan.switch.ip("link add t1 type veth peer name t2");
    lan.switch.ip("link set t1 up");
    lan.switch.ip("link set t2 up");
    let near = Wire::join_with(vec![lan.open("s1"), lan.open("t1")], access);
    let far = Wire::join_with(vec![lan.open("s2"), lan.open("t2")], access);
    lan.one.sh("ping -6 -c1 -W2 fd00::2");
    transfer(&lan.one, &lan.two, "fd00::2");
    transfer(&lan.one, &lan.two, "10.0.0.2");
    for wire in [near, far] {
        let largest = wire.largest.load(Ordering::Relaxed);
        assert!(largest > 30_000, "the largest segment had {largest} bytes");
    }
}

#[test]
fn udp_with_unfinished_checksums_and_in_segments() {
    let lan = Lan::new();
    let _wire = lan.join();
    let receiver = lan.two.run(|| UdpSocket::bind("10.0.0.2:6000").unwrap());
    receiver
        .set_read_timeout(Some(Duration::from_secs(3)))
        .unwrap();
    let receiving = std::thread::spawn(move || {
        let mut sizes = Vec::new();
        let mut buffer = [0u8; 9000];
        while sizes.len() < 12 {
            sizes.push(receiver.recv(&mut buffer).unwrap());
        }
        sizes
    });
    lan.one.run(|| {
        let sender = UdpSocket::bind("10.0.0.1:0").unwrap();
        sender.connect("10.0.0.2:6000").unwrap();
        sender.send(&[1; 1000]).unwrap();
        // UDP_SEGMENT: eleven datagrams in one call, which veth passes on as one.
        let size = 1200i32;
        // SAFETY: an int, with its size.
        let code = unsafe {
            use std::os::fd::AsRawFd;
            libc::setsockopt(
                sender.as_raw_fd(),
                libc::SOL_UDP,
                libc::UDP_SEGMENT,
                (&raw const size).cast(),
                4,
            )
        };
        assert_eq!(code, 0);
        sender.send(&[2; 12_500]).unwrap();
    });
    let mut expected = vec![1000];
    expected.extend([1200; 10]);
    expected.push(500);
    assert_eq!(receiving.join().unwrap(), expected);
}

/// A frame of a private EtherType, which no host answers, with a tag if one is given.
fn marked(size: usize, tag: Option<[u8; 4]>) -> Vec<u8> {
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    bytes.extend(tag.unwrap_or_default().iter().filter(|_| tag.is_some()));
    bytes.extend([0x88, 0xb5]);
    bytes.extend((bytes.len()..size).map(|i| (i * 3) as u8));
    bytes
}

fn is_marked(head: &[u8]) -> bool {
    head.windows(2).take(20).any(|two| two == [0x88, 0xb5])
}

#[test]
fn frames_and_their_vlan_tags_stay_as_they_are() {
    let lan = Lan::new();
    let pools = pools();
    let mut pool = MbufPool::new(pools.clone());
    let (mut port, mut far) = (lan.open("s1"), {
        let pools = pools.clone();
        lan.one.run(move || open("system", "e0", &[], &pools))
    });
    let (mut rx, mut tx) = (far.open_rx(0).unwrap(), port.open_tx(0).unwrap());
    let sent = [
        marked(60, None),
        marked(1514, None),
        marked(1518, Some([0x81, 0, 0xa0, 100])),
        marked(60, Some([0x81, 0, 0, 0])),
        marked(200, Some([0x88, 0xa8, 0x3f, 0xff])),
        marked(64, Some([0x91, 0, 0, 5])),
    ];
    tx.tx(&mut sent.iter().map(|bytes| frame(&mut pool, bytes)).collect());
    let got = receive_matching(&mut *rx, sent.len(), is_marked);
    assert_eq!(got.iter().map(bytes).collect::<Vec<_>>(), sent);
    assert!(
        got.iter()
            .all(|frame| frame.headroom() >= datapath::edge::HEADROOM)
    );
    free(got);
    assert_eq!(port.counters().tx_packets, sent.len() as u64);
    // Too large for the MTU: an error, counted, and nothing is cut.
    tx.tx(&mut vec![frame(&mut pool, &marked(1600, None))]);
    assert_eq!(port.counters().tx_errors, 1);
}

#[test]
fn jumbo_frames() {
    let lan = Lan::new();
    let pools = pools();
    let mut pool = MbufPool::new(pools.clone());
    lan.one.ip("link set e0 mtu 9000");
    let mut port = lan.open("s1");
    port.set_mtu(9000).unwrap();
    assert_eq!(port.state().mtu, 9000);
    let mut far = {
        let pools = pools.clone();
        lan.one.run(move || open("system", "e0", &[], &pools))
    };
    let (mut rx, mut tx) = (far.open_rx(0).unwrap(), port.open_tx(0).unwrap());
    let sent = [
        marked(9014, None),
        marked(9018, Some([0x81, 0, 0, 1])),
        marked(3000, None),
    ];
    tx.tx(&mut sent.iter().map(|bytes| frame(&mut pool, bytes)).collect());
    let got = receive_matching(&mut *rx, sent.len(), is_marked);
    assert!(got.iter().map(bytes).eq(sent));
    free(got);
}

#[test]
fn the_host_stack_does_not_answer() {
    let lan = Lan::new();
    lan.switch.ip("address add 10.0.0.254/24 dev s1");
    lan.one.sh("ping -c1 -W2 10.0.0.254");
    let mut port = lan.open("s1");
    let mut rx = port.open_rx(0).unwrap();
    lan.one.ip("neigh flush all");
    assert!(
        !lan.one.try_sh("ping -c2 -i0.2 -W1 10.0.0.254").0,
        "the host answered"
    );
    // The switch saw the question, and the address is still there.
    let got = receive(&mut *rx, 1);
    assert!(!got.is_empty());
    free(got);
    assert!(
        lan.switch
            .sh("ip address show dev s1")
            .contains("10.0.0.254")
    );
    assert!(lan.switch.sh("nft list tables").contains("tsunagi-"));
    drop((rx, port));
    assert!(!lan.switch.sh("nft list tables").contains("tsunagi-"));
    lan.one.sh("ping -c1 -W2 10.0.0.254");
}

#[test]
fn what_the_host_sends_is_not_received() {
    let lan = Lan::new();
    let mut port = lan.open("s1");
    let mut rx = port.open_rx(0).unwrap();
    lan.switch.ip("address add 10.0.0.254/24 dev s1");
    lan.switch.try_sh("ping -c1 -W1 10.0.0.9");
    let mac = port.state().mac;
    let mut burst = Vec::new();
    rx.rx(&mut burst, BURST);
    assert!(burst.iter().all(|frame| frame.head()[6..12] != mac));
    free(burst);
}

#[test]
fn errors_of_opening_name_the_device() {
    let pools = pools();
    let namespace = Namespace::new();
    namespace.ip("tuntap add dev plain mode tun");
    let error = move |kind: &'static str, name: &'static str| {
        let pools = pools.clone();
        namespace.run(move || {
            try_open(kind, name, &[], &pools)
                .map(drop)
                .unwrap_err()
                .to_string()
        })
    };
    assert_eq!(
        error("system", "nowhere"),
        "there is no network device \"nowhere\""
    );
    assert_eq!(error("system", "plain"), "plain is not an Ethernet device");
    assert_eq!(
        error("internal", "lo"),
        "a network device \"lo\" exists already"
    );
    assert_eq!(
        error("internal", "much-too-long-a-name"),
        "\"much-too-long-a-name\" cannot be the name of a network device: 1 to 15 characters, no slash, colon or blank"
    );
}

#[test]
fn a_device_that_vanishes_has_no_state_and_no_frames() {
    let lan = Lan::new();
    let pools = pools();
    let mut pool = MbufPool::new(pools.clone());
    let mut port = lan.open("s1");
    let (mut rx, mut tx) = (port.open_rx(0).unwrap(), port.open_tx(0).unwrap());
    assert_ne!(port.state().ifindex, 0);
    lan.switch.ip("link delete s1");
    tx.tx(&mut vec![frame(&mut pool, &marked(60, None))]);
    let mut burst = Vec::new();
    rx.rx(&mut burst, BURST);
    free(burst);
    let (state, counters) = (port.state(), port.counters());
    assert!(state.ifindex == 0 && !state.link_up && !state.admin_up);
    assert_eq!((counters.tx_packets, counters.tx_dropped), (0, 1));
}

#[test]
fn two_hundred_ports_in_one_process() {
    const PAIRS: usize = 100;
    let namespace = Namespace::new();
    let script = format!(
        "for i in $(seq 0 {}); do echo link add n$i type veth peer name f$i; echo link set n$i up; echo link set f$i up; done | ip -batch -",
        PAIRS - 1
    );
    namespace.sh(&script);
    let pools = pools();
    // As the daemon does for itself: two descriptors per port.
    // SAFETY: a plain C structure.
    unsafe {
        let limit = libc::rlimit {
            rlim_cur: 4096,
            rlim_max: 4096,
        };
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
    }
    let opened = {
        let pools = pools.clone();
        namespace.run(move || -> Vec<_> {
            (0..PAIRS)
                .flat_map(|i| {
                    [
                        open("system", &format!("n{i}"), &[], &pools),
                        open("system", &format!("f{i}"), &[], &pools),
                    ]
                })
                .collect()
        })
    };
    let mut pool = MbufPool::new(pools.clone());
    let mut ports = opened;
    let mut sides: Vec<_> = ports
        .iter_mut()
        .map(|port| (port.open_rx(0).unwrap(), port.open_tx(0).unwrap()))
        .collect();
    for pair in sides.chunks_exact_mut(2) {
        let [near, far] = pair else { panic!("pairs") };
        near.1.tx(&mut vec![frame(&mut pool, &marked(1514, None))]);
        let got = receive_matching(&mut *far.0, 1, is_marked);
        assert_eq!(got.len(), 1);
        free(got);
    }
    let in_use = pools.in_use();
    assert!(
        in_use.ordinary <= 64 && in_use.large <= 64,
        "ports hold mbufs: {in_use:?}"
    );
    drop(sides);
    dpdk::types::close_all(ports);
}

#[test]
fn a_tap_is_a_host_on_the_wire() {
    let lan = Lan::new();
    let pools = pools();
    let tap = {
        let pools = pools.clone();
        lan.switch.run(move || {
            let options = Default::default();
            let request = OpenRequest {
                name: "br0",
                options: &options,
                workers: 1,
                mtu: Some(1400),
                mac: Some([2, 0, 0, 0, 0, 0x77]),
                pools: &pools,
            };
            let mut tap = (find("internal").unwrap().open)(&request).unwrap();
            assert!(!tap.state().admin_up);
            tap.set_up(true).unwrap();
            tap
        })
    };
    let state = tap.state();
    assert_eq!(
        (state.mtu, state.mac, state.admin_up),
        (1400, [2, 0, 0, 0, 0, 0x77], true)
    );
    lan.switch.ip("address add 10.0.0.9/24 dev br0");
    let wire = Wire::join(vec![tap, lan.open("s1")]);
    lan.one.sh("ping -c1 -W2 10.0.0.9");
    transfer(&lan.one, &lan.switch, "10.0.0.9");
    transfer(&lan.switch, &lan.one, "10.0.0.1");
    let largest = wire.largest.load(Ordering::Relaxed);
    assert!(largest > 30_000, "the largest segment had {largest} bytes");
    drop(wire);
    assert!(
        !lan.switch.try_sh("ip link show br0").0,
        "the tap is still there"
    );
}

#[test]
fn a_tap_that_is_down_drops_and_counts() {
    let pools = pools();
    let namespace = Namespace::new();
    let mut tap = {
        let pools = pools.clone();
        namespace.run(move || open("internal", "t0", &[], &pools))
    };
    let mut tx = tap.open_tx(0).unwrap();
    let mut pool = MbufPool::new(pools.clone());
    tx.tx(&mut vec![frame(&mut pool, &marked(60, None))]);
    assert_eq!(
        (tap.counters().tx_packets, tap.counters().tx_dropped),
        (0, 1)
    );
}
