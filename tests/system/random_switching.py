"""Random flows and groups out of small sets of values, so that they meet. All of it follows from the seed."""

import re

import random_fields
from random_frames import IP6S, IPS, LABELS, MACS, PORTS, TAGS

TABLES = 4
OUTPUTS = [1, 2, 3, 4]
METERS = 3


def _masked(rng, value, masks):
    mask = rng.choice([None, None, *masks])
    return value if mask is None else f"{value}/{mask}"


def match(rng):
    """A match that has its prerequisites, as (text, the protocol that it makes sure of, whether it has a tag)."""
    words, tagged = [], None
    if rng.random() < 0.3:
        words.append(f"in_port={rng.choice(OUTPUTS)}")
    if rng.random() < 0.2:
        words.append(f"dl_src={_masked(rng, rng.choice(MACS[:3]), ['ff:ff:ff:ff:ff:00', '00:00:00:00:00:03'])}")
    if rng.random() < 0.2:
        words.append(f"dl_dst={_masked(rng, rng.choice(MACS), ['01:00:00:00:00:00'])}")
    if rng.random() < 0.2:
        vlan = rng.choice(["dl_vlan=0xffff", f"dl_vlan={rng.choice(TAGS)}", "vlan_tci=0x1000/0x1000", "dl_vlan_pcp=3"])
        tagged = vlan != "dl_vlan=0xffff"  # None: not known
        words.append(vlan)
    for register in range(3):
        if rng.random() < 0.06:
            words.append(f"reg{register}={_masked(rng, rng.randrange(4), [1, 2])}")
    if rng.random() < 0.06:
        words.append(f"metadata={_masked(rng, rng.randrange(4), [1])}")
    kind = rng.choice(["", "", "ip", "ip", "ipv6", "arp", "tcp", "udp", "icmp", "tcp6", "udp6", "sctp", "icmp6", "mpls", "ns", "na"])
    words += [KINDS.get(kind, kind)] if kind else []
    if kind in ("ip", "tcp", "udp", "icmp", "sctp"):
        if rng.random() < 0.4:
            words.append(f"nw_dst={_masked(rng, rng.choice(IPS), [24, 16, '255.0.255.0'])}")
        if rng.random() < 0.3:
            words.append(f"nw_src={_masked(rng, rng.choice(IPS[:4]), [24, 8])}")
        if rng.random() < 0.1:
            words.append(rng.choice(["nw_tos=184", "nw_ecn=2", "nw_ttl=64", "ip_frag=no", "ip_frag=yes", "ip_frag=first",
                                     "ip_frag=later", "ip_frag=not_later"]))
    if kind in ("ipv6", "tcp6", "udp6", "icmp6"):
        if rng.random() < 0.4:
            words.append(f"ipv6_dst={_masked(rng, rng.choice(IP6S), [64, 10])}")
        if rng.random() < 0.2:
            words.append(f"ipv6_src={_masked(rng, rng.choice(IP6S[:3]), [64])}")
        if rng.random() < 0.1:
            words.append("ipv6_label=0x5")
    if kind in ("tcp", "udp", "tcp6", "udp6", "sctp") and "frag" not in ",".join(words) and rng.random() < 0.5:
        side = rng.choice(["tp_src", "tp_dst"])
        words.append(f"{side}={_masked(rng, rng.choice(PORTS), ['0xfffe', '0x1'])}")
    if kind in ("tcp", "tcp6") and "frag" not in ",".join(words) and rng.random() < 0.2:
        words.append(rng.choice(["tcp_flags=+syn-ack", "tcp_flags=+fin", "tcp_flags=0x010/0x010"]))
    if kind == "icmp" and "frag" not in ",".join(words) and rng.random() < 0.4:
        words.append(f"icmp_type={rng.choice([0, 8, 3])}")
    if kind == "icmp6" and rng.random() < 0.4:
        words.append("icmp_type=128")
    if kind == "arp" and rng.random() < 0.6:
        words.append(rng.choice([f"arp_op={rng.choice([1, 2])}", f"arp_tpa={rng.choice(IPS[:3])}",
                                 f"arp_sha={rng.choice(MACS[:3])}", f"arp_spa={rng.choice(IPS[:3])}/24"]))
    if kind == "mpls" and rng.random() < 0.6:
        words.append(rng.choice([f"mpls_label={rng.choice(LABELS)}", "mpls_bos=1", "mpls_tc=3", "mpls_ttl=64"]))
    if rng.random() < 0.25 and "frag" not in ",".join(words):
        name, word = random_fields.matched(rng, kind)
        taken = [name, ALIASES.get(name, name), "reg" if "reg" in name else name, "tp_" if name.endswith(("src", "dst")) else name]
        if not any(known in ",".join(words) for known in taken):
            words.append(word)
    return ",".join(words), kind, tagged


KINDS = {"ns": "icmp6,icmp_type=135,icmp_code=0", "na": "icmp6,icmp_type=136,icmp_code=0"}
ALIASES = {"eth_src": "dl_src", "eth_dst": "dl_dst", "ip_src": "nw_src", "ip_dst": "nw_dst", "ip_dscp": "nw_tos", "icmpv6_code": "icmp_code"}
V4, V6 = ("ip", "tcp", "udp", "icmp", "sctp"), ("ipv6", "tcp6", "udp6", "icmp6", "ns", "na")
L4 = ("tcp", "udp", "tcp6", "udp6", "sctp")


def set_action(rng, kind, tagged):
    """An action that changes a field which a packet of this kind has."""
    if rng.random() < 0.5:
        return random_fields.changed(rng, kind)
    choices = [
        f"mod_dl_src:{rng.choice(MACS[:3])}", f"mod_dl_dst:{rng.choice(MACS[:3])}",
        f"set_field:{rng.choice(MACS[:3])}->eth_dst", "set_field:00:00:00:00:00:02/00:00:00:00:00:03->eth_src",
        f"load:{rng.randrange(4)}->NXM_NX_REG{rng.randrange(3)}[0..{rng.choice([1, 7, 31])}]",
        f"move:NXM_OF_IN_PORT[]->NXM_NX_REG{rng.randrange(3)}[0..15]",
        "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]",
        f"set_field:{rng.randrange(4)}->reg{rng.randrange(3)}", f"set_field:{rng.randrange(4)}->metadata",
        "push:NXM_NX_REG0[],pop:NXM_NX_REG1[]", "set_field:7/0xf->xreg0",
        f"set_tunnel:{rng.randrange(4)}", f"mod_vlan_vid:{rng.choice(TAGS)}", "mod_vlan_pcp:5", "strip_vlan",
        f"move:NXM_OF_VLAN_TCI[0..11]->NXM_NX_REG{rng.randrange(3)}[0..11]", f"load:{rng.choice(OUTPUTS)}->NXM_OF_IN_PORT[]",
    ]
    if tagged:
        choices += [f"set_field:{rng.choice(TAGS) | 0x1000}->vlan_vid", f"set_field:{rng.randrange(8)}->vlan_pcp"]
    if kind in V4:
        choices += [f"mod_nw_dst:{rng.choice(IPS[:4])}", f"mod_nw_src:{rng.choice(IPS[:4])}", "mod_nw_tos:32",
                    "mod_nw_ttl:9", "dec_ttl", "move:NXM_OF_IP_SRC[]->NXM_OF_IP_DST[]", "mod_nw_ecn:1",
                    "set_field:10.9.0.0/255.255.0.0->ip_dst", "move:NXM_OF_IP_DST[0..7]->NXM_NX_REG2[8..15]"]
    if kind in V6:
        choices += [f"set_field:{rng.choice(IP6S)}->ipv6_dst", "dec_ttl", "set_field:0x7->ipv6_label", "mod_nw_ttl:9",
                    "mod_nw_tos:32"]
    if kind in ("tcp", "tcp6"):
        choices += ["fin_timeout(idle_timeout=300)", "fin_timeout(idle_timeout=400,hard_timeout=500)"]
    if kind in L4:
        choices += [f"mod_tp_dst:{rng.choice(PORTS)}", f"mod_tp_src:{rng.choice(PORTS)}"]
    if kind == "icmp":
        choices += ["set_field:3->icmp_type", "set_field:1->icmp_code"]
    if kind == "arp":
        choices += [f"set_field:{rng.choice(MACS[:3])}->arp_sha", f"set_field:{rng.choice(IPS[:3])}->arp_tpa",
                    "set_field:2->arp_op", "move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[]"]
    if kind == "mpls":
        choices += [f"set_mpls_label({rng.choice(LABELS)})", "set_mpls_tc(5)", "set_mpls_ttl(9)", "dec_mpls_ttl"]
    return rng.choice(choices)


def hashing(rng):
    """An action whose outcome is the switch's own hash: only `active_backup` gives the same everywhere."""
    ports = ",".join(str(port) for port in rng.sample(OUTPUTS, rng.randrange(1, 4)))
    return rng.choice([f"bundle(eth_src,0,active_backup,ofport,members:{ports})",
                       f"bundle_load(eth_src,0,active_backup,ofport,NXM_NX_REG0[0..15],members:{ports})",
                       "multipath(eth_src,50,modulo_n,1,0,NXM_NX_REG1[0..3])"])


def actions(rng, table, kind, tagged, groups=(), depth=0):
    """A list of actions, as text, that fits packets of this kind."""
    words = []
    for _ in range(rng.choice([0, 1, 1, 2, 2, 3, 4])):
        roll = rng.random()
        if roll < 0.42:
            words.append(f"output:{rng.choice(OUTPUTS)}")
        elif roll < 0.70:
            words.append(set_action(rng, kind, tagged))
        elif roll < 0.75:
            words.append(rng.choice(["IN_PORT", "FLOOD", "ALL", "output:NXM_NX_REG0[0..15]", "NORMAL"]))
        elif roll < 0.82 and table + 1 < TABLES:
            words.append(f"resubmit({rng.choice(['', rng.choice(OUTPUTS)])},{rng.randrange(table + 1, TABLES)})")
        elif roll < 0.86 and depth < 2:
            words.append(f"clone({actions(rng, table, kind, tagged, groups, depth + 1) or 'note:00.00.00.00.00.00'})")
        elif roll < 0.90 and groups:
            words.append(f"group:{rng.choice(groups)}")
        elif roll < 0.92:
            words.append(hashing(rng))
        elif roll < 0.945:
            words.append(controller(rng, kind))
        elif roll < 0.95:
            words.append("exit")
        elif roll < 0.97:
            words.append("note:01.02.03.04.05.06")
        else:
            words.append(f"enqueue:{rng.choice(OUTPUTS)}:0")
    return ",".join(words)


def controller(rng, kind):
    """An action that sends a packet to the controllers, or may."""
    choices = ["CONTROLLER:65535", "controller(max_len=40)", "controller(reason=no_match,userdata=01.02.03)",
               "controller(reason=invalid_ttl,max_len=100)", "controller(id=7)", "controller(id=8)"]
    if kind in V4 + V6:
        choices += ["dec_ttl(0,7)", "dec_ttl(7)"]
    return rng.choice(choices)


def last_changes(rng, table, text, kind, tagged):
    """Actions that change what the packet is, and an output."""
    choices = ["note:00.00.00.00.00.00"]
    # Open vSwitch forgets tags behind the second one, so there are no more.
    if tagged is False and table >= TABLES - 2:
        choices.append(f"push_vlan:0x8100,set_field:{rng.choice(TAGS) | 0x1000}->vlan_vid")
    if tagged:
        choices.append("pop_vlan")
    if kind in V4 + V6 and not tagged:
        choices += [f"push_mpls:0x8847,set_field:{rng.choice(LABELS)}->mpls_label"]
    if kind == "mpls":
        # With another type than MPLS's, Open vSwitch removes all labels; here, as OpenFlow says, one.
        choices += ["pop_mpls:0x0800" if "mpls_bos=1" in text else "pop_mpls:0x8847", "push_mpls:0x8847"]
    return rng.choice(choices) + f",output:{rng.choice(OUTPUTS)}"


def flow(rng, priority, groups=(), version="OpenFlow10"):
    """A flow as `add-flow` reads it; which of two of one priority wins is not said, so each has its own."""
    table = rng.choice([0, 0, 0, *range(1, TABLES)])
    text, kind, tagged = match(rng)
    done = actions(rng, table, kind, tagged, groups)
    if rng.random() < 0.2:
        done = ",".join(filter(None, [done, last_changes(rng, table, text, kind, tagged)]))
    # Open vSwitch counts twice what is looked up after this, so nothing is.
    if table == TABLES - 1 and rng.random() < 0.2:
        size, bit = rng.choice([60, 80, 1500]), rng.randrange(3)
        return f"{head(rng, table, priority, text, version)},actions=check_pkt_larger({size})->NXM_NX_REG14[{bit}],output:NXM_NX_REG14[0..15]"
    if rng.random() < 0.12:
        done = ",".join(filter(None, [done, rng.choice([
            action_set(rng, kind, groups), action_set(rng, kind, groups), "clear_actions", "write_metadata:0x1/0x3"])]))
    if rng.random() < 0.25 and table + 1 < TABLES:
        done = ",".join(filter(None, [done, f"goto_table:{rng.randrange(table + 1, TABLES)}"]))
    if version >= "OpenFlow13" and rng.random() < 0.12:
        done = ",".join(filter(None, [f"meter:{rng.randrange(1, METERS + 1)}", done]))
    return f"{head(rng, table, priority, text, version)},actions={done or 'drop'}"


def action_set(rng, kind, groups):
    """write_actions of what has a place in an action set, in any order."""
    words = [f"set_field:{random_fields.valued(rng, field, 1)}->{field.name}" for field in
             rng.sample(random_fields.fields(kind), rng.choice([0, 0, 1, 2]))]
    if rng.random() < 0.8:
        words.append(f"output:{rng.choice(OUTPUTS)}")
    if groups and rng.random() < 0.2:
        words.append(f"group:{rng.choice(groups)}")
    if kind in V4 + V6 and rng.random() < 0.1:
        words.append("dec_ttl")
    return f"write_actions({','.join(rng.sample(words, len(words)))})" if words else "clear_actions"


def conjunctions(rng, priority, number):
    """Flows that stand for one together (ovs-fields(7), "Conjunctive Match Fields"), and that one."""
    table, protocol = rng.randrange(TABLES), rng.choice(["tcp", "udp"])
    first = rng.sample([f"nw_src={ip}" for ip in IPS[:4]] + ["nw_src=10.0.0.0/16"], rng.randrange(1, 4))
    second = rng.sample([f"tp_dst={port}" for port in PORTS] + ["tp_dst=0/0x1"], rng.randrange(1, 4))
    clauses = [(1, f"{protocol},{text}") for text in first] + [(2, f"{protocol},{text}") for text in second]
    n_clauses = 2
    if rng.random() < 0.4:
        n_clauses = 3
        clauses += [(3, f"in_port={port}") for port in rng.sample(OUTPUTS, 2)]
    head = f"table={table},priority={priority}"
    lines = [f"{head},{text},actions=conjunction({number},{clause}/{n_clauses})" for clause, text in clauses]
    return [*lines, f"{head},conj_id={number},{protocol},actions={actions(rng, TABLES - 1, protocol, None) or 'drop'}"]


def learning(rng, priority):
    """A flow that teaches table 3 where addresses are, or asks it."""
    text = rng.choice(["", "ip", "dl_vlan=0xffff", f"in_port={rng.choice(OUTPUTS)}"])
    spec = rng.choice([
        "NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[]",
        "NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:NXM_OF_IN_PORT[]->NXM_NX_REG0[0..15],load:0x5->NXM_NX_REG1[]",
        "NXM_OF_VLAN_TCI[0..11],NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[]",
        "eth_type=0x800,NXM_OF_IP_DST[]=NXM_OF_IP_SRC[],output:NXM_OF_IN_PORT[]" if text == "ip" else
        "NXM_OF_IN_PORT[],NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[]",
    ])
    flags = rng.choice(["", "", "hard_timeout=600,", "cookie=0x9,", "send_flow_rem,", "fin_idle_timeout=5,", "limit=2,result_dst=reg2[0],", "delete_learned,cookie=0x77,"])
    learnt = f"learn(table={TABLES - 1},priority={priority + 100},{flags}{spec})"
    rest = rng.choice([f"resubmit(,{TABLES - 1})", f"output:{rng.choice(OUTPUTS)}", "FLOOD"])
    return f"{head(rng, 0, priority, text)},actions={learnt},{rest}"


def head(rng, table, priority, text, version="OpenFlow10"):
    """What stands in front of a flow's actions."""
    words = f"table={table},priority={priority},cookie={rng.randrange(16):#x}"
    flags = [rng.choice(["send_flow_rem", "idle_timeout=900", "hard_timeout=900", "idle_timeout=600,hard_timeout=700"])] if rng.random() < 0.3 else []
    if version >= "OpenFlow13" and rng.random() < 0.1:
        flags.append(rng.choice(["no_packet_counts", "no_byte_counts", "check_overlap", "reset_counts"]))
    if version >= "OpenFlow14" and rng.random() < 0.1:
        flags.append(f"importance={rng.randrange(4)}")
    return ",".join(filter(None, [words, *flags, text]))


def change(rng, lines, groups):
    """A line of a bundle file that changes or deletes some of the flows of `lines`."""
    strict = rng.random() < 0.5
    kind = rng.choice(["add", "modify", "modify", "delete", "delete"])
    if kind != "delete" and any("conjunction(" in line for line in lines):
        # Those of a conjunction overlap: which of them wins, once they are flows like others, is open.
        strict, others = True, [line for line in lines if "conjunction(" not in line]
        kind, lines = (kind, others) if others else ("delete", lines)
    known, _, done = rng.choice(lines).partition(",actions=")
    words = known.removeprefix("flow add ").split(",")
    if kind == "add":
        return rng.choice([f"flow add {known.removeprefix('flow add ')},actions=output:{rng.choice(OUTPUTS)}", rng.choice(lines)])
    left = [word for word in words if not word.startswith(("cookie", "send_flow", "idle", "hard", "priority", "actions", "meter"))]
    if not strict and rng.random() < 0.3:
        left = left[:1]
    if rng.random() < 0.1:
        left = left[1:]
    if rng.random() < 0.3:
        left.append(rng.choice(["cookie=0x3/0x3", "cookie=0/0x1", "cookie=0x5/-1"]))
    if strict:
        left += [word for word in words if word.startswith("priority")]
    if kind == "delete" and rng.random() < 0.4:
        left.append(f"out_port={rng.choice(OUTPUTS)}" if rng.random() < 0.6 or not groups else f"out_group={rng.choice(groups)}")
    if kind == "modify":
        # Open vSwitch takes some equal actions for changed ones (meters, fields).
        others = [other for line in lines if (other := line.partition(",actions=")[2]) != done]
        taken = others and rng.random() < 0.3
        other = re.sub(r"meter:\d+,?", "", rng.choice(others)) if taken else f"output:{rng.choice(OUTPUTS)}"
        left += ["reset_counts"] if rng.random() < 0.2 else []
        left.append(f"actions={other or 'drop'}")
    return f"flow {kind}{'_strict' if strict else ''} {','.join(left)}"


def group(rng, number, lower):
    """A group as `add-group` reads it; it may refer to those in `lower`."""
    kind = rng.choice(["all", "all", "indirect", "ff", "select"])
    buckets = []
    for index in range(1 if kind in ("indirect", "select") else rng.randrange(0, 4)):
        done = rng.choice([f"output:{rng.choice(OUTPUTS)}",
                           f"mod_dl_dst:{rng.choice(MACS[:3])},output:{rng.choice(OUTPUTS)}",
                           f"set_field:{rng.choice(MACS[:3])}->eth_src,output:{rng.choice(OUTPUTS)}",
                           *(f"group:{other}" for other in lower)])
        watch = f"watch_port:{rng.choice(OUTPUTS)}," if kind == "ff" else ""
        buckets.append(f"bucket={watch}bucket_id:{index},actions={done}")
    return ",".join([f"group_id={number},type={kind}", *buckets])
