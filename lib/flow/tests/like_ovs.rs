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
        0x88cc,
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
    key.0[word::MPLS3] = random.next() << 32;
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

#[test]
fn fields_print_as_ovs_ofctl_prints_them() {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    println!("SEED={seed}");
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ seed);
    let frames: Vec<Vec<u8>> = (0..4000).map(|_| random_frame(&mut random)).collect();
    let path = std::env::temp_dir().join(format!("like_ovs.{}.pcap", std::process::id()));
    std::fs::write(&path, pcap(&frames)).unwrap();
    let output = Command::new("ovs-ofctl")
        .arg("parse-pcap")
        .arg(&path)
        .output();
    std::fs::remove_file(&path).unwrap();
    let Ok(output) = output else {
        println!("there is no ovs-ofctl to compare with");
        return;
    };
    let theirs = String::from_utf8(output.stdout).unwrap();
    let theirs: Vec<String> = theirs
        .lines()
        .map(|line| line.replacen("in_port=ANY,", "", 1))
        .collect();
    assert_eq!(theirs.len(), frames.len());
    let mut bad = 0;
    for (frame, theirs) in frames.iter().zip(theirs) {
        let mut key = Key::default();
        flow::extract(frame, frame.len(), &flow::Plan::FULL, &mut key);
        let ours = print::Fields(&key).to_string();
        if ours != theirs {
            let hex: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
            println!("frame  {hex}\nours   {ours}\ntheirs {theirs}\n");
            bad += 1;
        }
    }
    assert_eq!(bad, 0, "of {} frames", frames.len());
}
