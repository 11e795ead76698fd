//! DPDK devices: virtual ones, attached while the process runs, without huge pages.

mod common;

use common::{
    Namespace, bytes, frame, free, open, open_dpdk, pools, receive, receive_matching, try_open,
};
use datapath::edge::{Frame, Offload, Pool, Segmentation};
use dpdk::{Mbuf, MbufPool, Mempools};
use packet::{checksum, gso};
use std::sync::Arc;

/// Ethernet, IPv4, TCP with a partial checksum, and `payload_size` bytes that differ.
fn tcp_frame(pool: &mut MbufPool, payload_size: usize) -> (Mbuf, Vec<u8>) {
    let total = (20 + 20 + payload_size).min(65_535) as u16;
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    bytes.extend([0x45, 0]);
    bytes.extend(total.to_be_bytes());
    bytes.extend([0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    let sum = checksum::of(&bytes[14..34]);
    bytes[24..26].copy_from_slice(&sum.to_be_bytes());
    bytes.extend([
        0x13, 0x88, 0x17, 0x70, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x18, 4, 0, 0, 0, 0, 0,
    ]);
    let pseudo =
        checksum::pseudo_v4([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 6, total - 20).fold();
    bytes[50..52].copy_from_slice(&pseudo.to_be_bytes());
    bytes.extend((0..payload_size).map(|i| (i * 7 / 3) as u8));
    (frame(pool, &bytes), bytes)
}

/// The TCP checksum of a finished frame is right.
fn assert_finished(frame: &[u8]) {
    let size = (frame.len() - 34) as u16;
    let pseudo = checksum::pseudo_v4([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 6, size);
    assert_eq!(pseudo.bytes(&frame[34..]).finish(), 0);
    assert_eq!(checksum::of(&frame[14..34]), 0);
}

fn assert_nothing_leaked(pools: &Arc<Mempools>) {
    assert_eq!((pools.in_use().ordinary, pools.in_use().large), (0, 0));
}

/// Waits for what another thread does, for a bounded time.
fn until(is_so: impl Fn() -> bool) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while !is_so() && std::time::Instant::now() < end {
        std::thread::yield_now();
    }
}

#[test]
fn null_receives_and_swallows() {
    let pools = pools();
    let mut port = open_dpdk("net_null0,size=100", &pools);
    assert_eq!(port.driver(), "net_null");
    assert!(port.state().link_up);
    let (mut rx, mut tx) = (port.open_rx(0).unwrap(), port.open_tx(0).unwrap());
    assert!(port.open_rx(0).is_err() && port.open_rx(1).is_err());
    let mut burst = Vec::new();
    for _ in 0..500 {
        rx.rx(&mut burst, 32);
        assert_eq!((burst.len(), burst[0].size()), (32, 100));
        tx.tx(&mut burst);
        assert!(burst.is_empty());
    }
    let counters = port.counters();
    assert_eq!((counters.rx_packets, counters.tx_packets), (16_000, 16_000));
    let mut xstats = Vec::new();
    port.custom_counters(&mut xstats);
    assert!(
        xstats
            .iter()
            .any(|(name, value)| name == "rx_good_packets" && *value == 16_000),
        "{xstats:?}"
    );
}

#[test]
fn a_device_comes_back_after_it_was_detached() {
    let pools = pools();
    for _ in 0..3 {
        let port = open_dpdk("net_null1", &pools);
        let second = try_open("dpdk", "p", &[("dpdk-devargs", "net_null1")], &pools)
            .map(drop)
            .unwrap_err();
        assert_eq!(
            second.to_string(),
            "the DPDK device net_null1 is in use by another port"
        );
        drop(port);
    }
}

#[test]
fn a_queue_keeps_its_device() {
    let pools = pools();
    let mut port = open_dpdk("net_null2", &pools);
    let mut rx = port.open_rx(0).unwrap();
    drop(port);
    let mut burst = Vec::new();
    rx.rx(&mut burst, 8);
    assert_eq!(burst.len(), 8);
    free(burst);
}

#[test]
fn wrong_options_are_named() {
    let pools = pools();
    let error = |options: &[(&str, &str)]| {
        try_open("dpdk", "p1", options, &pools)
            .map(drop)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(error(&[]), "p1 has no options:dpdk-devargs");
    assert_eq!(error(&[("dpdk-devargs", "")]), "dpdk-devargs is empty");
    assert!(error(&[("dpdk-devargs", "net_warp0")]).starts_with("net_warp0: cannot attach it"));
    let wrong = error(&[("dpdk-devargs", "net_null9"), ("n_rxq", "many")]);
    assert_eq!(wrong, "n_rxq=many is not a number from 1 to 1024");
}

#[test]
fn ring_carries_frames_of_several_segments() {
    let pools = pools();
    let mut pool = MbufPool::new(pools.clone());
    let mut port = open_dpdk("net_ring0", &pools);
    let (mut rx, mut tx) = (port.open_rx(0).unwrap(), port.open_tx(0).unwrap());
    let data: Vec<u8> = (0..9000u32).map(|i| i as u8).collect();
    let mut burst = vec![frame(&mut pool, &data), frame(&mut pool, &data[..60])];
    tx.tx(&mut burst);
    let got = receive(&mut *rx, 2);
    assert_eq!(
        got.iter().map(bytes).collect::<Vec<_>>(),
        [data.clone(), data[..60].to_vec()]
    );
    free(got);
    drop((port, rx, tx));
    assert_nothing_leaked(&pools);
}

#[test]
fn work_that_the_device_cannot_do_is_done_in_software() {
    let pools = pools();
    let mut pool = MbufPool::new(pools.clone());
    let mut port = open_dpdk("net_ring1", &pools);
    let (mut rx, mut tx) = (port.open_rx(0).unwrap(), port.open_tx(0).unwrap());

    // A checksum, in frames of one and of two segments.
    for size in [100, 3001] {
        let (mut pending, _) = tcp_frame(&mut pool, size);
        pending.set_offload(Offload {
            csum_start: 34,
            csum_offset: 16,
            ..Offload::default()
        });
        tx.tx(&mut vec![pending]);
        let got = receive(&mut *rx, 1);
        assert_finished(&bytes(&got[0]));
        assert!(got[0].offload().is_finished());
        free(got);
    }
    // A segment of 60,000 bytes of payload.
    let (mut large, original) = tcp_frame(&mut pool, 60_000);
    let offload = Offload {
        csum_start: 34,
        csum_offset: 16,
        segmentation: Segmentation::Tcp4,
        segment_size: 1448,
    };
    large.set_offload(offload);
    let expected = gso::Segments::new(&original[..100], original.len(), &offload)
        .unwrap()
        .len();
    tx.tx(&mut vec![large]);
    let got = receive(&mut *rx, expected);
    assert_eq!(got.len(), expected);
    let mut payload = Vec::new();
    for segment in &got {
        let segment = bytes(segment);
        assert_finished(&segment);
        payload.extend_from_slice(&segment[54..]);
    }
    assert!(payload == original[54..]);
    free(got);
    // Headers that are not what the record says: dropped and counted, not sent broken.
    let mut broken = frame(&mut pool, &[0; 3000]);
    broken.set_offload(offload);
    tx.tx(&mut vec![broken]);
    assert_eq!(port.counters().tx_errors, 1);
    drop((port, rx, tx));
    assert_nothing_leaked(&pools);
}

#[test]
fn a_full_ring_drops_and_counts() {
    let pools = pools();
    let mut pool = MbufPool::new(pools.clone());
    let mut port = open_dpdk("net_ring2", &pools);
    let (rx, mut tx) = (port.open_rx(0).unwrap(), port.open_tx(0).unwrap());
    let mut sent = 0;
    while port.counters().tx_dropped == 0 {
        let mut burst: Vec<_> = (0..32).map(|_| pool.alloc(60).unwrap()).collect();
        sent += burst.len() as u64;
        tx.tx(&mut burst);
        assert!(burst.is_empty() && sent < 4000);
    }
    let counters = port.counters();
    assert_eq!(counters.tx_packets + counters.tx_dropped, sent);
    let mut rx = rx;
    free(receive(&mut *rx, counters.tx_packets as usize));
    drop((port, rx, tx));
    assert_nothing_leaked(&pools);
}

#[test]
fn pcap_writes_and_replays() {
    let pools = pools();
    let mut pool = MbufPool::new(pools.clone());
    let path = std::env::temp_dir().join(format!("dpdk-test-{}.pcap", std::process::id()));
    let data: Vec<Vec<u8>> = [60usize, 1514, 9000]
        .iter()
        .map(|&size| (0..size).map(|i| i as u8).collect())
        .collect();
    {
        let mut port = open_dpdk(&format!("net_pcap0,tx_pcap={}", path.display()), &pools);
        let mut tx = port.open_tx(0).unwrap();
        tx.tx(&mut data.iter().map(|bytes| frame(&mut pool, bytes)).collect());
        assert_eq!(port.counters().tx_packets, 3);
    }
    let mut port = open_dpdk(&format!("net_pcap1,rx_pcap={}", path.display()), &pools);
    let mut rx = port.open_rx(0).unwrap();
    let got = receive(&mut *rx, 3);
    assert_eq!(got.iter().map(bytes).collect::<Vec<_>>(), data);
    free(got);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn pcap_replays_for_ever() {
    let pools = pools();
    let path = std::env::temp_dir().join(format!("dpdk-loop-{}.pcap", std::process::id()));
    // The file's header (little endian, Ethernet), then 8,000 frames of 60 bytes.
    let mut file = Vec::from([0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    file.extend([0xff, 0xff, 0, 0, 1, 0, 0, 0]);
    for i in 0..8000u16 {
        file.extend([0; 8]);
        file.extend([60, 0, 0, 0, 60, 0, 0, 0]);
        file.extend([&i.to_be_bytes()[..], &[0; 58]].concat());
    }
    std::fs::write(&path, file).unwrap();
    let mut port = open_dpdk(
        &format!("net_pcap6,rx_pcap={},infinite_rx=1", path.display()),
        &pools,
    );
    let mut rx = port.open_rx(0).unwrap();
    let mut expected = (0..8000u16).cycle();
    let mut burst = Vec::new();
    for _ in 0..1000 {
        rx.rx(&mut burst, 32);
        assert_eq!(burst.len(), 32);
        for frame in &burst {
            assert_eq!(frame.head()[..2], expected.next().unwrap().to_be_bytes());
        }
        free(std::mem::take(&mut burst));
    }
    std::fs::remove_file(path).unwrap();
}

/// A frame of a private EtherType, which no host answers.
fn marked(size: usize, mark: u8) -> Vec<u8> {
    let mut bytes = vec![mark; size];
    bytes[..14].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, mark, 0x88, 0xb5]);
    bytes
}

fn is_marked(head: &[u8]) -> bool {
    let behind_addresses = head.get(12..18).unwrap_or_default();
    behind_addresses.starts_with(&[0x88, 0xb5]) || behind_addresses.ends_with(&[0x88, 0xb5])
}

/// Opens a device in a namespace with a veth pair, its other end in a packet socket, and passes frames both ways.
fn exchange(devargs: &'static str, size: usize) {
    let namespace = Namespace::new();
    namespace.ip("link add v0 mtu 9000 type veth peer name v1 mtu 9000");
    namespace.ip("link set v0 up");
    namespace.ip("link set v1 up");
    let pools = pools();
    let (mut port, mut far) = {
        let pools = pools.clone();
        namespace.run(move || {
            let options = [("dpdk-devargs".to_string(), devargs.to_string())].into();
            let request = dpdk::types::OpenRequest {
                name: "p",
                options: &options,
                workers: 1,
                mtu: Some(9000),
                mac: None,
                pools: &pools,
            };
            let port = (dpdk::types::find("dpdk").unwrap().open)(&request)
                .unwrap_or_else(|error| panic!("{error}"));
            (port, open("system", "v1", &[], &pools))
        })
    };
    let mut pool = MbufPool::new(pools.clone());
    let (mut rx, mut tx) = (port.open_rx(0).unwrap(), port.open_tx(0).unwrap());
    let (mut far_rx, mut far_tx) = (far.open_rx(0).unwrap(), far.open_tx(0).unwrap());
    let mut tagged = marked(200, 9);
    tagged.splice(12..12, [0x81, 0, 0x20, 5]);
    let sent = [marked(size, 7), marked(60, 8), tagged];
    for (rx, tx) in [(&mut far_rx, &mut tx), (&mut rx, &mut far_tx)] {
        tx.tx(&mut sent.iter().map(|bytes| frame(&mut pool, bytes)).collect());
        let got = receive_matching(&mut **rx, sent.len(), is_marked);
        let sizes: Vec<_> = got.iter().map(Frame::size).collect();
        assert!(got.iter().map(bytes).eq(sent.clone()), "{sizes:?}");
        free(got);
    }
}

#[test]
fn af_packet_carries_jumbo_frames_whole() {
    exchange("net_af_packet0,iface=v0", 9014);
}

#[test]
fn pcap_on_an_interface() {
    exchange("net_pcap5,iface=v0", 3000);
}

#[test]
fn tap_of_dpdk() {
    let namespace = Namespace::new();
    let pools = pools();
    let (mut port, mut far) = {
        let pools = pools.clone();
        namespace.run(move || {
            let port = open_dpdk("net_tap0,iface=dtap0", &pools);
            let far = open("system", "dtap0", &[], &pools);
            (port, far)
        })
    };
    namespace.ip("link set dtap0 up");
    let mut pool = MbufPool::new(pools.clone());
    let (mut rx, mut tx) = (port.open_rx(0).unwrap(), port.open_tx(0).unwrap());
    let (mut far_rx, mut far_tx) = (far.open_rx(0).unwrap(), far.open_tx(0).unwrap());
    // net_tap finishes checksums itself: the work is described to it.
    let (mut pending, _) = tcp_frame(&mut pool, 1000);
    pending.set_offload(Offload {
        csum_start: 34,
        csum_offset: 16,
        ..Offload::default()
    });
    tx.tx(&mut vec![pending]);
    let is_tcp = |head: &[u8]| head.get(12..14) == Some(&[8, 0]) && head.get(23) == Some(&6);
    let got = receive_matching(&mut *far_rx, 1, is_tcp);
    assert_finished(&bytes(&got[0]));
    free(got);
    let (mut large, original) = tcp_frame(&mut pool, 10_000);
    let offload = Offload {
        csum_start: 34,
        csum_offset: 16,
        segmentation: Segmentation::Tcp4,
        segment_size: 1448,
    };
    large.set_offload(offload);
    tx.tx(&mut vec![large]);
    let got = receive_matching(&mut *far_rx, 7, is_tcp);
    let mut payload = Vec::new();
    for segment in &got {
        let segment = bytes(segment);
        assert_finished(&segment);
        payload.extend_from_slice(&segment[54..]);
    }
    assert!(
        payload == original[54..],
        "{} segments with {} bytes",
        got.len(),
        payload.len()
    );
    free(got);
    far_tx.tx(&mut vec![frame(&mut pool, &marked(1514, 3))]);
    let got = receive_matching(&mut *rx, 1, is_marked);
    assert_eq!(got.len(), 1);
    free(got);
}

#[test]
fn memif_between_two_ends() {
    let pools = pools();
    let socket = std::env::temp_dir().join(format!("dpdk-memif-{}.sock", std::process::id()));
    let args = |name: &str, role: &str| {
        format!(
            "{name},role={role},id=0,socket={},socket-abstract=no",
            socket.display()
        )
    };
    let mut server = open_dpdk(&args("net_memif0", "server"), &pools);
    let mut client = open_dpdk(&args("net_memif1", "client"), &pools);
    let (mut rx, mut tx) = (server.open_rx(0).unwrap(), client.open_tx(0).unwrap());
    until(|| server.state().link_up && client.state().link_up);
    let mut pool = MbufPool::new(pools.clone());
    tx.tx(&mut vec![frame(&mut pool, &marked(1400, 1))]);
    let got = receive(&mut *rx, 1);
    assert_eq!(got.iter().map(bytes).collect::<Vec<_>>(), [marked(1400, 1)]);
    free(got);
    // DPDK's interrupt thread tells the other end that one has gone; both must not go at once.
    drop((tx, client));
    until(|| !server.state().link_up);
    // It says so before it has cleaned up.
    std::thread::sleep(std::time::Duration::from_millis(500));
    drop((rx, server));
    let _ = std::fs::remove_file(socket);
}

#[test]
fn workers_share_the_queues_that_there_are() {
    let pools = pools();
    let mut port = open(
        "dpdk",
        "p",
        &[
            ("dpdk-devargs", "net_null6"),
            ("n_rxq", "2"),
            ("n_txq", "1"),
        ],
        &pools,
    );
    assert_eq!(port.rx_len(), 2);
    let (mut one, mut two) = (port.open_rx(0).unwrap(), port.open_rx(1).unwrap());
    let mut burst = Vec::new();
    one.rx(&mut burst, 4);
    two.rx(&mut burst, 4);
    assert_eq!(burst.len(), 8);
    let (mut first, mut second) = (port.open_tx(0).unwrap(), port.open_tx(1).unwrap());
    first.tx(&mut burst.split_off(4));
    second.tx(&mut burst);
    assert_eq!(port.counters().tx_packets, 8);
}

#[test]
fn vhost_to_virtio_user() {
    // With both ends in one process and memory that grows, DPDK waits for itself. In life they are two processes.
    if common::has_huge_pages() {
        return;
    }
    let pools = pools();
    let socket = std::env::temp_dir().join(format!("dpdk-vhost-{}.sock", std::process::id()));
    let mut host = open_dpdk(&format!("net_vhost0,iface={}", socket.display()), &pools);
    let mut guest = open_dpdk(
        &format!("net_virtio_user0,path={}", socket.display()),
        &pools,
    );
    let (mut rx, mut tx) = (host.open_rx(0).unwrap(), guest.open_tx(0).unwrap());
    let (mut guest_rx, mut host_tx) = (guest.open_rx(0).unwrap(), host.open_tx(0).unwrap());
    until(|| host.state().link_up && guest.state().link_up);
    let mut pool = MbufPool::new(pools.clone());
    let sent = [marked(60, 1), marked(1514, 2), marked(9000, 3)];
    tx.tx(&mut sent.iter().map(|bytes| frame(&mut pool, bytes)).collect());
    let got = receive(&mut *rx, 3);
    assert!(got.iter().map(bytes).eq(sent.clone()));
    free(got);
    host_tx.tx(&mut sent[..2]
        .iter()
        .map(|bytes| frame(&mut pool, bytes))
        .collect());
    let got = receive(&mut *guest_rx, 2);
    assert!(got.iter().map(bytes).eq(sent[..2].to_vec()));
    free(got);
    drop((rx, tx, guest_rx, host_tx, guest, host));
    let _ = std::fs::remove_file(socket);
}
