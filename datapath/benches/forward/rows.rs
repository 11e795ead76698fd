//! The rows of the micro bench: a switch's rules, and the frames that it forwards. `datapath/tests/alloc.rs` forwards them as well, to
//! count what memory they take. A row is added here, and nowhere else.

use super::rig::behind_port_2;

/// See the file's description.
pub struct Row {
    /// What it is asked for by.
    pub name: &'static str,
    /// Lines for [`super::rig::Rig::configure`].
    pub rules: fn() -> Vec<String>,
    /// What arrives at port 1, again and again.
    pub frames: fn() -> Vec<Vec<u8>>,
}

pub const FLOWS: u32 = 8000;

/// UDP flows over 256 networks 10.0.X.0/24, 60 bytes each.
pub fn flows(count: u32) -> Vec<Vec<u8>> {
    (0..count).map(udp).collect()
}

/// One of them.
pub fn udp(n: u32) -> Vec<u8> {
    let mut frame = vec![0; 60];
    frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]);
    frame[12..26].copy_from_slice(&[8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0]);
    frame[26..34].copy_from_slice(&[172, 16, 0, 1, 10, 0, n as u8, 5]);
    let _ = packet::ipv4::fill_checksum(&mut frame[14..]);
    frame[34..36].copy_from_slice(&((1024 + n % 60_000) as u16).to_be_bytes());
    frame[36..38].copy_from_slice(&((53 + n / 60_000) as u16).to_be_bytes());
    frame[38..40].copy_from_slice(&26u16.to_be_bytes());
    frame
}

/// The same, each between a pair of hosts of its own.
fn hosts(count: u32) -> Vec<Vec<u8>> {
    let frame = |n: u32| {
        let mut frame = udp(n);
        frame[..6].copy_from_slice(&behind_port_2(n));
        frame[6] = 6;
        frame[8..12].copy_from_slice(&n.to_be_bytes());
        frame
    };
    (0..count).map(frame).collect()
}

fn prefixes() -> Vec<String> {
    let rule = |net| format!("ip,nw_dst=10.0.{net}.0/24,actions=output:2");
    (0..256).map(rule).collect()
}

fn exact(count: u32) -> Vec<String> {
    let rule = |n: u32| {
        format!(
            "udp,nw_src=172.16.0.1,nw_dst=10.0.{}.5,udp_src={},udp_dst={},actions=output:2",
            n % 256,
            1024 + n % 60_000,
            53 + n / 60_000
        )
    };
    (0..count).map(rule).collect()
}

pub fn lines(text: &str) -> Vec<String> {
    text.lines().map(|line| line.trim().to_owned()).collect()
}

/// All of them.
pub const ROWS: &[Row] = &[
    Row {
        name: "p2p-1",
        rules: || lines("in_port=1,actions=output:2"),
        frames: || flows(1),
    },
    Row {
        name: "p2p-8k",
        rules: || lines("in_port=1,actions=output:2"),
        frames: || flows(FLOWS),
    },
    Row {
        name: "l3-1",
        rules: prefixes,
        frames: || flows(1),
    },
    Row {
        name: "l3-8k",
        rules: prefixes,
        frames: || flows(FLOWS),
    },
    Row {
        name: "l3-100k",
        rules: prefixes,
        frames: || flows(100_000),
    },
    Row {
        name: "exact-8k",
        rules: || exact(FLOWS),
        frames: || flows(FLOWS),
    },
    Row {
        name: "exact-100k",
        rules: || exact(100_000),
        frames: || flows(FLOWS),
    },
    Row {
        name: "exact-all",
        rules: || exact(100_000),
        frames: || flows(100_000),
    },
    Row {
        name: "rewrite",
        rules: || {
            lines(
                "in_port=1,ip,actions=mod_dl_dst:02:00:00:00:00:09,mod_nw_src:10.9.9.9,dec_ttl,mod_vlan_vid:7,output:2",
            )
        },
        frames: || flows(FLOWS),
    },
    Row {
        name: "pipeline",
        rules: || {
            lines(
                "table=0,in_port=1,actions=load:1->NXM_NX_REG0[],resubmit(,1)
                 table=1,reg0=1,actions=resubmit(,2)
                 table=2,ip,actions=load:2->NXM_NX_REG1[],resubmit(,3)
                 table=3,ip,nw_src=172.16.0.0/16,actions=resubmit(,4)
                 table=4,udp,actions=resubmit(,5)
                 table=5,ip,nw_dst=10.0.0.0/8,actions=resubmit(,6)
                 table=6,reg1=2,actions=output:2",
            )
        },
        frames: || flows(FLOWS),
    },
    Row {
        name: "select",
        rules: || {
            lines(
                "group group_id=1,type=select,bucket=actions=output:2,bucket=actions=output:2,bucket=actions=output:2,bucket=actions=output:2
                 in_port=1,actions=group:1",
            )
        },
        frames: || flows(FLOWS),
    },
    Row {
        name: "meter",
        rules: || {
            lines(
                "meter meter=1,kbps,bands=type=drop,rate=4000000000
                 in_port=1,actions=meter:1,output:2",
            )
        },
        frames: || flows(1000),
    },
    Row {
        name: "normal",
        rules: || lines("learn 1\nactions=NORMAL"),
        frames: || flows(1000),
    },
    Row {
        name: "normal-10k",
        rules: || lines("learn 10000\nactions=NORMAL"),
        frames: || hosts(10_000),
    },
];
