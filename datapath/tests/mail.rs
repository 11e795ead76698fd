//! Fragments of one packet that reach different workers meet: wherever they arrive, with what the switch knows of them,
//! and none is lost but those that find a ring full.

use datapath::edge::Offload;
use datapath::fragment::Outcome;
use datapath::model::id::PortId;
use datapath::model::{BridgeId, DropReason};
use datapath::sim::{Options, Sim};
use flow::frametext;

const WORKERS: usize = 3;

struct Bed {
    sim: Sim,
    bridge: BridgeId,
    ports: Vec<PortId>,
}

impl Bed {
    /// A bridge with one port per worker, and one more.
    fn new(flows: &[&str]) -> Bed {
        let options = Options {
            workers: WORKERS,
            ..Options::default()
        };
        let mut sim = Sim::new(options);
        let bridge = sim.add_bridge("br0");
        let ports = sim.add_devices(bridge, WORKERS as u32 + 1);
        for text in flows {
            sim.add_flow(bridge, text);
        }
        Bed { sim, bridge, ports }
    }
    fn send(&mut self, worker: usize, frame: &str) {
        let frame = frametext::read(frame).expect("a frame");
        let port = self.ports[worker % WORKERS];
        self.sim.send(port, &frame, Offload::default());
    }
    fn received(&mut self) -> Vec<Vec<u8>> {
        self.sim.poll(&mut ());
        self.sim.take(self.ports[WORKERS])
    }
    fn stop(mut self) {
        self.sim.stop();
        assert_eq!(self.sim.outstanding(), 0);
    }
}

#[test]
fn they_meet() {
    let mut bed = Bed::new(&[
        "table=0,actions=load:5->NXM_NX_REG0[],set_tunnel:6,reassemble(table=1)",
        "table=1,reg0=5,tun_id=6,udp,tp_dst=6000,ip_frag=no,actions=output:4",
    ]);
    let start = "eth(dst=..02,src=..01)";
    for id in 0..300usize {
        let ip = format!("10.0.0.1->10.0.0.2,id={id}");
        let whole = format!("{start} ipv4({ip}) udp(5000->6000) fill=112");
        let bytes = frametext::read(&whole).expect("a frame");
        let hex = |range: std::ops::Range<usize>| -> String {
            bytes[range].iter().map(|b| format!("{b:02x}")).collect()
        };
        let parts = [
            format!("{start} ipv4({ip},mf,proto=17) hex\"{}\"", hex(34..82)),
            format!(
                "{start} ipv4({ip},mf,offset=6,proto=17) hex\"{}\"",
                hex(82..122)
            ),
            format!(
                "{start} ipv4({ip},offset=11,proto=17) hex\"{}\"",
                hex(122..154)
            ),
        ];
        for part in 0..3 {
            // All orders, and all distributions over the workers.
            bed.send(
                id / 3 + part * (id / 9),
                &parts[(part * (1 + id % 2) + id) % 3],
            );
            if id % 4 == 0 {
                bed.sim.poll(&mut ());
            }
        }
        assert_eq!(bed.received(), [bytes], "{id}");
    }
    assert_eq!(bed.sim.stats.fragments(Outcome::Completed), 300);
    assert_eq!(bed.sim.stats.drops(DropReason::Reassembly), 0);
    assert!(bed.bridge == BridgeId(0));
    bed.stop();
}

#[test]
fn a_full_ring_drops_and_counts() {
    let mut bed = Bed::new(&[
        "table=0,actions=fragment(mtu=68),reassemble(table=1)",
        "table=1,actions=output:4",
    ]);
    // More fragments than one packet may have, let alone a ring.
    for id in 0..20 {
        let ip = format!("10.0.0.1->10.0.0.2,id={id}");
        bed.send(
            0,
            &format!("eth(dst=..02,src=..01) ipv4({ip},proto=253) fill=9000"),
        );
    }
    assert!(bed.received().is_empty());
    let drops = |reason| bed.sim.stats.drops(reason);
    let (full, lost) = (drops(DropReason::MailFull), drops(DropReason::Reassembly));
    assert!(full > 0 && lost > 0, "{full} {lost}");
    // Each packet is 188 fragments: those that are not held were dropped, and counted.
    let held = bed.sim.outstanding();
    assert_eq!(full + lost + held as u64, 20 * 188);
    // And so are these when the workers end.
    bed.sim.stop();
    assert_eq!(bed.sim.stats.held(), [0; 3]);
    assert_eq!(bed.sim.stats.drops(DropReason::Reassembly), 20 * 188 - full);
    bed.stop();
}
