//! docs/reference/actions.md.

use super::{code, head, owner, row, table, versions};
use ofp::text::action_names;
use ofp::wire::INSTRUCTIONS;
use ofp::wire::action::{ACTIONS, Space};

/// An action: its names as text, how it is typed, its wire forms (without OFPAT_, NXAST_ and the like), what it does.
type Doc = (
    &'static [&'static str],
    &'static str,
    &'static [&'static str],
    &'static str,
);

const DOCS: &[Doc] = &[
    (
        &["output"],
        "PORT, output:PORT, output:FIELD[a..b], output(port=PORT,max_len=N)",
        &["OUTPUT", "OUTPUT_REG", "OUTPUT_REG2", "OUTPUT_TRUNC"],
        "to a port: a number, a name, or `in_port`, `table`, `normal`, `flood`, `all`, `local`; the port whose number a field has; cut to N bytes, 14 at least. To the port where it came in only as `in_port`",
    ),
    (
        &["controller"],
        "controller, controller:N, controller(max_len=N,reason=R,id=N,userdata=hh.hh,pause,meter_id=N)",
        &["CONTROLLER", "CONTROLLER2"],
        "to the controllers that chose this id; `pause`: stop here until one of them resumes the packet",
    ),
    (
        &["enqueue"],
        "enqueue:PORT:QUEUE",
        &["ENQUEUE"],
        "to a port, by a queue; no port shapes its queues yet",
    ),
    (&["group"], "group:N", &["GROUP"], "to a group"),
    (
        &["bundle"],
        "bundle(FIELDS,BASIS,hrw|active_backup,ofport,members:P,P,...)",
        &["BUNDLE"],
        "to one of several ports that are up: by a hash, or the first",
    ),
    (
        &["bundle_load"],
        "bundle_load(FIELDS,BASIS,ALGORITHM,ofport,FIELD[a..b],members:P,P,...)",
        &["BUNDLE_LOAD"],
        "the number of that port into a field",
    ),
    (
        &["mod_vlan_vid", "set_vlan_vid"],
        "mod_vlan_vid:N",
        &["SET_VLAN_VID"],
        "the VLAN id; in OpenFlow 1.0 a packet without a tag gets one",
    ),
    (
        &["mod_vlan_pcp", "set_vlan_pcp"],
        "mod_vlan_pcp:N",
        &["SET_VLAN_PCP"],
        "the VLAN priority, likewise",
    ),
    (
        &["strip_vlan", "pop_vlan"],
        "pop_vlan",
        &["STRIP_VLAN", "POP_VLAN"],
        "take the outer tag off, if there is one",
    ),
    (
        &["push_vlan"],
        "push_vlan:0x8100|0x88a8",
        &["PUSH_VLAN"],
        "put a tag on",
    ),
    (
        &["push_mpls"],
        "push_mpls:0x8847|0x8848",
        &["PUSH_MPLS"],
        "put a label on",
    ),
    (
        &["pop_mpls"],
        "pop_mpls:ETHERTYPE",
        &["POP_MPLS"],
        "take the outermost label off; if it was the last, this is what follows",
    ),
    (
        &["set_mpls_label"],
        "set_mpls_label:N",
        &["SET_MPLS_LABEL"],
        "the outermost label",
    ),
    (
        &["set_mpls_tc"],
        "set_mpls_tc:N",
        &["SET_MPLS_TC"],
        "its traffic class",
    ),
    (
        &["set_mpls_ttl"],
        "set_mpls_ttl:N",
        &["SET_MPLS_TTL"],
        "its TTL",
    ),
    (
        &["dec_mpls_ttl"],
        "dec_mpls_ttl",
        &["DEC_MPLS_TTL"],
        "its TTL, one less; at the end the packet goes to the controllers that ask for such packets",
    ),
    (
        &["copy_ttl_out"],
        "copy_ttl_out",
        &["COPY_TTL_OUT"],
        "the TTL of the second label, or of IP, into the outermost label",
    ),
    (
        &["copy_ttl_in"],
        "copy_ttl_in",
        &["COPY_TTL_IN"],
        "the other way",
    ),
    (
        &["push_pbb"],
        "push_pbb:0x88e7",
        &["PUSH_PBB"],
        "put a backbone header on, with the addresses of the frame",
    ),
    (&["pop_pbb"], "pop_pbb", &["POP_PBB"], "take it off"),
    (
        &["encap"],
        "encap(ethernet), encap(mpls), encap(mpls_mc)",
        &["ENCAP"],
        "put a header on: the packet is of another type then",
    ),
    (
        &["decap"],
        "decap, decap(packet_type(ns=N,type=N))",
        &["DECAP"],
        "take the outermost header off, and say what follows if that cannot be seen",
    ),
    (
        &["mod_dl_src"],
        "mod_dl_src:MAC",
        &["SET_DL_SRC"],
        "the Ethernet source address",
    ),
    (
        &["mod_dl_dst"],
        "mod_dl_dst:MAC",
        &["SET_DL_DST"],
        "the Ethernet destination address",
    ),
    (
        &["mod_nw_src"],
        "mod_nw_src:IP",
        &["SET_NW_SRC"],
        "the IPv4 source address",
    ),
    (
        &["mod_nw_dst"],
        "mod_nw_dst:IP",
        &["SET_NW_DST"],
        "the IPv4 destination address",
    ),
    (
        &["mod_nw_tos"],
        "mod_nw_tos:N",
        &["SET_NW_TOS"],
        "the DSCP, as the octet with two low bits of 0",
    ),
    (
        &["mod_nw_ecn"],
        "mod_nw_ecn:N",
        &["SET_NW_ECN"],
        "the congestion notification bits",
    ),
    (
        &["mod_nw_ttl", "set_nw_ttl"],
        "mod_nw_ttl:N",
        &["SET_NW_TTL"],
        "the TTL or hop limit",
    ),
    (
        &["dec_ttl"],
        "dec_ttl, dec_ttl(ID,...)",
        &["DEC_NW_TTL", "DEC_TTL", "DEC_TTL_CNT_IDS"],
        "one less; at the end the packet goes to the controllers (of these ids) that ask for such packets",
    ),
    (
        &["mod_tp_src"],
        "mod_tp_src:N",
        &["SET_TP_SRC"],
        "the source port of TCP, UDP or SCTP",
    ),
    (
        &["mod_tp_dst"],
        "mod_tp_dst:N",
        &["SET_TP_DST"],
        "the destination port",
    ),
    (
        &["set_field"],
        "set_field:VALUE[/MASK]->FIELD",
        &["SET_FIELD", "REG_LOAD2"],
        "set a field, or bits of it",
    ),
    (
        &["load"],
        "load:VALUE->FIELD[a..b]",
        &["REG_LOAD"],
        "set bits of a field",
    ),
    (
        &["move"],
        "move:FIELD[a..b]->FIELD[a..b]",
        &["REG_MOVE", "COPY_FIELD"],
        "copy bits of a field into another",
    ),
    (
        &["push"],
        "push:FIELD[a..b]",
        &["STACK_PUSH"],
        "remember bits on the stack (64 KiB at most)",
    ),
    (
        &["pop"],
        "pop:FIELD[a..b]",
        &["STACK_POP"],
        "take them back",
    ),
    (
        &["set_tunnel"],
        "set_tunnel:N",
        &["SET_TUNNEL"],
        "the tunnel key, of 32 bits (of 64, if it needs them)",
    ),
    (
        &["set_tunnel64"],
        "set_tunnel64:N",
        &["SET_TUNNEL64"],
        "the tunnel key, of 64 bits",
    ),
    (
        &["set_queue"],
        "set_queue:N",
        &["SET_QUEUE"],
        "the queue for later outputs; no port shapes its queues yet",
    ),
    (
        &["pop_queue"],
        "pop_queue",
        &["POP_QUEUE"],
        "the queue is again what it was when the packet came",
    ),
    (
        &["delete_field"],
        "delete_field:tun_metadataN",
        &["DELETE_FIELD"],
        "the packet has that tunnel option no more",
    ),
    (
        &["resubmit"],
        "resubmit:PORT, resubmit([PORT],[TABLE])",
        &["RESUBMIT", "RESUBMIT_TABLE"],
        "look into a table again, as if the packet had come by that port; 64 deep and 4096 times at most",
    ),
    (
        &["clone"],
        "clone(ACTION,...)",
        &["CLONE"],
        "do these to a copy: what they change is forgotten",
    ),
    (
        &["exit"],
        "exit",
        &["EXIT"],
        "nothing more, not even what follows a resubmit; the action set stays",
    ),
    (
        &["learn"],
        "learn(SETTING,...,FIELD,FIELD=FIELD,load:X->FIELD,output:FIELD)",
        &["LEARN", "LEARN2"],
        "add a flow that is made of the packet's fields",
    ),
    (
        &["conjunction"],
        "conjunction(ID,K/N)",
        &["CONJUNCTION"],
        "this flow is one of dimension K of N; the flow with `conj_id=ID` matches if all dimensions do",
    ),
    (
        &["multipath"],
        "multipath(FIELDS,BASIS,ALGORITHM,LINKS,ARG,FIELD[a..b])",
        &["MULTIPATH"],
        "a hash of the packet's fields, as a link's number, into a field",
    ),
    (
        &["fin_timeout"],
        "fin_timeout(idle_timeout=S,hard_timeout=S)",
        &["FIN_TIMEOUT"],
        "a TCP FIN or RST shortens the flow's time",
    ),
    (
        &["check_pkt_larger"],
        "check_pkt_larger(N)->FIELD[b]",
        &["CHECK_PKT_LARGER"],
        "whether the packet is larger than N bytes, into a bit",
    ),
    (
        &["sample"],
        "sample(probability=N,collector_set_id=N,obs_domain_id=N,obs_point_id=N,sampling_port=P)",
        &["SAMPLE", "SAMPLE2", "SAMPLE3", "SAMPLE4"],
        "choose one packet in 65535/N: counted by `sampled`; there are no collectors that it could be sent to",
    ),
    (
        &["note"],
        "note:hh.hh...",
        &["NOTE"],
        "nothing; the bytes are kept with the flow",
    ),
    (
        &["fragment"],
        "fragment(mtu=N[,df=ignore])",
        &["FRAGMENT"],
        "split IP packets: [experimenter.md](../experimenter.md)",
    ),
    (
        &["reassemble"],
        "reassemble(table=N)",
        &["REASSEMBLE"],
        "put fragments together, and go on in a table",
    ),
    (
        &["bpdu"],
        "bpdu(count), bpdu(forward), bpdu(drop), bpdu(tunnel), bpdu(untunnel)",
        &["BPDU"],
        "what to do with a BPDU",
    ),
    (
        &["meter"],
        "meter:N",
        &["METER", "OFPIT_METER"],
        "pass a meter, which may drop the packet or remark its DSCP; comes first",
    ),
    (
        &[],
        "ACTION,ACTION,...",
        &["OFPIT_APPLY_ACTIONS"],
        "do these now, in this order",
    ),
    (
        &["clear_actions"],
        "clear_actions",
        &["OFPIT_CLEAR_ACTIONS"],
        "empty the action set",
    ),
    (
        &["write_actions"],
        "write_actions(ACTION,...)",
        &["OFPIT_WRITE_ACTIONS"],
        "put these into the action set, which is executed at the end, in the specification's order",
    ),
    (
        &["write_metadata"],
        "write_metadata:VALUE[/MASK]",
        &["WRITE_METADATA", "OFPIT_WRITE_METADATA"],
        "set `metadata`, or bits of it",
    ),
    (
        &["stat_trigger"],
        "stat_trigger([periodic,][only_first,]duration=SECONDS|idle_time=SECONDS|packet_count=N|byte_count=N,...)",
        &["OFPIT_STAT_TRIGGER"],
        "tell the controllers of the flow's statistics when one of them has reached its threshold; `periodic`: each multiple of it, \
         `only_first`: the threshold that is reached first is the only one that counts",
    ),
    (
        &["goto_table"],
        "goto_table:TABLE",
        &["OFPIT_GOTO_TABLE"],
        "go on in a table, with the action set; comes last. OpenFlow 1.0 says it as a resubmit",
    ),
];

/// A wire form's name without whose it is.
fn stem(name: &'static str) -> &'static str {
    let stem = ["OFPAT_", "NXAST_", "ONFACT_", "TSUNAGI_"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix));
    stem.unwrap_or(name)
}

/// The page.
pub fn page() -> String {
    let mut page = head(
        "Actions and instructions",
        "How each is typed, which forms it has on the wire (number and versions; *Nicira*, *ONF* and *Tsunagi*: as an experimenter action with that \
         number, in every version), and what it does. What a version lacks is said in the form that stands in for it. `drop` is the empty list. Instructions \
         are typed among the actions, in the order of their execution: meter, actions, clear, write, metadata, trigger, goto.",
    );
    check();
    page += &table(&["typed", "on the wire", "what it does"]);
    for (_, typed, forms, doc) in DOCS {
        // A comma inside parentheses is part of a form.
        let mut depth = 0;
        let split = |c: char| {
            depth += i32::from("([".contains(c)) - i32::from(")]".contains(c));
            c == ',' && depth == 0
        };
        let typed: Vec<_> = match typed.starts_with("ACTION,") || typed.contains(":P,") {
            true => vec![code(typed)],
            false => typed.split(split).map(|form| code(form.trim())).collect(),
        };
        page += &row(&[typed.join(", "), wire_forms(forms), doc.to_string()]);
    }
    let (_, refused) = action_names();
    let refused: Vec<_> = refused.iter().map(|name| code(name)).collect();
    page + "\nRefused by name, as there is no connection tracking and no NSH: "
        + &refused.join(", ")
        + ".\n"
}

fn wire_forms(names: &[&str]) -> String {
    let actions = ACTIONS
        .iter()
        .filter(|row| names.contains(&stem(row.name)))
        .map(|row| match row.space {
            Space::Standard(first, last) => {
                format!("{} {} ({})", row.name, row.number, versions(first, last))
            }
            Space::Experimenter(who) => format!("{} {} {}", row.name, owner(who), row.number),
        });
    let instructions = INSTRUCTIONS.iter().filter(|row| names.contains(&row.0));
    let instructions = instructions.map(|(name, number, first, last)| {
        format!("{name} {number} ({})", versions(*first, *last))
    });
    actions.chain(instructions).collect::<Vec<_>>().join("; ")
}

/// Every action has a row, and every row an action.
fn check() {
    let mut offences = Vec::new();
    let typed: Vec<_> = action_names().0.collect();
    let sides = DOCS
        .iter()
        .flat_map(|row| row.0.iter())
        .copied()
        .collect::<Vec<_>>();
    offences.extend(
        typed
            .iter()
            .filter(|name| !sides.contains(name))
            .map(|name| format!("{name} has no sentence")),
    );
    offences.extend(
        sides
            .iter()
            .filter(|name| !typed.contains(name))
            .map(|name| format!("{name} is no action")),
    );
    let wire = ACTIONS
        .iter()
        .map(|row| stem(row.name))
        .chain(INSTRUCTIONS.iter().map(|row| row.0));
    let wire: Vec<_> = wire.collect();
    let forms: Vec<_> = DOCS.iter().flat_map(|row| row.2.iter()).copied().collect();
    offences.extend(
        wire.iter()
            .filter(|name| !forms.contains(name))
            .map(|name| format!("{name} is in no row")),
    );
    offences.extend(
        forms
            .iter()
            .filter(|name| !wire.contains(name))
            .map(|name| format!("{name} is no wire form")),
    );
    house::none("The page of actions and the tables disagree:", &offences);
}
