//! The oracle for extraction and printing: the stock `ovs-ofctl`, which prints the fields of each frame in a
//! capture file. Random frames, composed and then damaged, must give the same text.

use flow::{compose, print};
use ofp::field::Field;
use ofp::key::{Key, word};
use std::process::Command;

/// xorshift64*: enough to vary test frames.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    fn below(&mut self, bound: usize) -> usize {
        self.next() as usize % bound
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn address(&mut self) -> u128 {
        let low = u128::from(self.next());
        self.pick(&[
            0xfd00 << 112 | low,
            0xff02 << 112 | 1,
            0xffff_0a00_0001,
            low,
            low << 64,
        ])
    }
}

fn random_key(random: &mut Random) -> Key {
    let mut key = Key::default();
    let mut set = |field: Field, value: u128| key.set(field.place(), value, u128::MAX);
    for field in [Field::EthSrc, Field::EthDst, Field::ArpSha, Field::ArpTha] {
        set(field, random.next().into());
    }
    let types = [
        0x0800, 0x0800, 0x0800, 0x86dd, 0x86dd, 0x86dd, 0x0806, 0x8035, 0x8847, 0x8848, 0x05ff,
        0x88cc, 0x88e7,
    ];
    set(Field::EthType, random.pick(&types));
    set(Field::VlanTci, random.pick(&[0, 0, 0x1000, 0x1064, 0xffff]));
    set(Field::IpSrc, random.next().into());
    set(Field::IpDst, random.next().into());
    for field in [Field::Ipv6Src, Field::Ipv6Dst, Field::NdTarget] {
        set(field, random.address());
    }
    for field in [
        Field::IpTos,
        Field::IpTtl,
        Field::TcpSrc,
        Field::TcpDst,
        Field::TcpFlags,
        Field::Ipv6Label,
    ] {
        set(field, random.next().into());
    }
    let protocol = random.pick(&[
        1, 2, 6, 6, 6, 17, 17, 17, 58, 58, 58, 132, 47, 0, 43, 44, 51, 60,
    ]);
    set(Field::IpProto, protocol);
    if protocol == 58 {
        set(Field::TcpSrc, random.pick(&[128, 133, 135, 135, 136]));
        set(Field::TcpDst, random.pick(&[0, 0, 0, 1]));
    }
    set(Field::IpFrag, random.pick(&[0, 0, 0, 0, 1, 3]));
    key.0[word::MPLS] = random.next() << 20;
    key.0[word::MPLS3] = random.next() << 32 | random.next() & 0x1ff_ffff;
    key.0[word::ND_RESERVED] = random.next() << 32;
    key.0[word::VLAN_INNER] =
        u64::from(random.pick(&[0, 0, 0x9001u16])) << 48 | random.pick(&[0, 0x88a8_0000, 0x88a8]);
    key
}

fn random_frame(random: &mut Random) -> Vec<u8> {
    let payload: Vec<u8> = (0..random.below(60))
        .map(|_| random.pick(&[0, 1, 2, 4, 6, 8, 17, 0xff]))
        .collect();
    let mut frame = compose(&random_key(random), &payload);
    for _ in 0..random.pick(&[0, 0, 0, 1, 1, 2, 8]) {
        let at = random.below(frame.len().min(100));
        frame[at] = random.pick(&[0, 1, 5, 6, 8, 0x20, 0x45, 0x46, 0x50, 0x81, 0xff, 0xa5]);
    }
    match random.below(8) {
        0 => frame.truncate(random.below(frame.len())),
        1 => frame.resize(frame.len() + random.below(300), 0),
        _ => {}
    }
    // The network service header is not among our fields, and an empty record is no frame.
    if frame.is_empty() || frame.windows(2).any(|pair| pair == [0x89, 0x4f]) {
        return random_frame(random);
    }
    frame
}

fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let words = |words: &[u32]| {
        words
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let mut file = words(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, 65535, 1]);
    for frame in frames {
        let size = frame.len() as u32;
        file.extend(words(&[0, 0, size, size]));
        file.extend(frame);
    }
    file
}

/// What `ovs-ofctl COMMAND FILE` prints when the file holds `bytes`; `None` where it is not installed.
fn ovs_ofctl(command: &str, bytes: &[u8]) -> Option<Vec<String>> {
    let path = std::env::temp_dir().join(format!("like_ovs.{}.{command}", std::process::id()));
    std::fs::write(&path, bytes).unwrap();
    let output = Command::new("ovs-ofctl").arg(command).arg(&path).output();
    std::fs::remove_file(&path).unwrap();
    let Ok(output) = output else {
        println!("there is no ovs-ofctl to compare with");
        return None;
    };
    Some(
        String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(str::to_string)
            .collect(),
    )
}

fn frames(len: usize) -> Vec<Vec<u8>> {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    println!("SEED={seed}");
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ seed);
    (0..len).map(|_| random_frame(&mut random)).collect()
}

fn compare(frames: &[Vec<u8>], theirs: &[String], ours: impl Fn(&[u8]) -> String) {
    assert_eq!(theirs.len(), frames.len());
    let mut bad = 0;
    for (frame, theirs) in frames.iter().zip(theirs) {
        let ours = ours(frame);
        if ours != *theirs {
            println!(
                "frame  {}\nours   {ours}\ntheirs {theirs}\n",
                flow::frametext::print(frame)
            );
            bad += 1;
        }
    }
    assert_eq!(bad, 0, "of {} frames", frames.len());
}

#[test]
fn fields_print_as_ovs_ofctl_prints_them() {
    let frames = frames(4000);
    let Some(theirs) = ovs_ofctl("parse-pcap", &pcap(&frames)) else {
        return;
    };
    let theirs: Vec<String> = theirs
        .iter()
        .map(|line| line.replacen("in_port=ANY,", "", 1))
        .collect();
    compare(&frames, &theirs, |frame| {
        let mut key = Key::default();
        flow::extract(frame, frame.len(), &flow::Plan::FULL, &mut key);
        print::Fields(&key).to_string()
    });
}

/// An OpenFlow 1.0 PACKET_IN that carries the frame.
fn packet_in(frame: &[u8]) -> Vec<u8> {
    let size = (frame.len() as u16).to_be_bytes();
    let message_size = (frame.len() as u16 + 18).to_be_bytes();
    [
        &[1, 10],
        &message_size[..],
        &[0; 4],
        &[0xff; 4],
        &size,
        &[0, 1, 0, 0],
        frame,
    ]
    .concat()
}

#[test]
fn packet_ins_print_as_ovs_ofctl_prints_them() {
    let frames = frames(1000);
    let messages: Vec<u8> = frames.iter().flat_map(|frame| packet_in(frame)).collect();
    let Some(theirs) = ovs_ofctl("ofp-parse", &messages) else {
        return;
    };
    let is_packet = |line: &&String| !line.is_empty() && !line.starts_with("OFPT_");
    let theirs: Vec<String> = theirs.iter().filter(is_packet).cloned().collect();
    compare(&frames, &theirs, print::packet);
}

/// Fields of sensible packets survive being composed and extracted.
#[test]
fn compose_then_extract() {
    let mut random = Random(7);
    for _ in 0..2000 {
        let mut key = random_key(&mut random);
        let mut once = Key::default();
        let frame = compose(&key, b"payload");
        flow::extract(&frame, frame.len(), &flow::Plan::FULL, &mut once);
        for field in [Field::EthSrc, Field::EthDst, Field::EthType, Field::VlanVid] {
            let is_tagged = key.get(Field::VlanTci.place()) & 0x1000 != 0;
            if field != Field::VlanVid || is_tagged {
                assert_eq!(once.get(field.place()), key.get(field.place()), "{field:?}");
            }
        }
        // What has no header in this frame is gone after the first time; the rest stays as it is.
        let frame = compose(&once, b"payload");
        flow::extract(&frame, frame.len(), &flow::Plan::FULL, &mut key);
        let extension = matches!(once.get(Field::IpProto.place()), 0 | 43 | 44 | 51 | 60);
        let same = key.0[word::ETH_DST..] == once.0[word::ETH_DST..];
        assert!(same || extension, "{}", flow::frametext::print(&frame));
    }
}
