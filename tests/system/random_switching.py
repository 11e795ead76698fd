"""Random flows, groups and frames out of small sets of values, so that they meet. All of it follows from the seed."""

import socket
import struct

MACS = ["02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03", "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff"]
IPS = ["10.0.0.1", "10.0.0.2", "10.0.1.1", "10.1.0.1", "224.0.0.9"]
IP6S = ["fc00::1", "fc00::2", "fc00:0:0:1::1", "ff02::5"]
PORTS = [1, 2, 3, 80]
TAGS = [1, 2, 3]
LABELS = [16, 17, 100]
TABLES = 4
OUTPUTS = [1, 2, 3, 4]


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _transport(rng, pseudo, v6, mark):
    """Protocol number and bytes; the mark is the last four."""
    payload = bytes(rng.randrange(0, 40)) + mark
    source, destination = rng.choice(PORTS), rng.choice(PORTS)

    def summed(segment, at, protocol):
        whole = pseudo + struct.pack("!IHBB" if v6 else "!BBH", *((len(segment), 0, 0, protocol) if v6 else (0, protocol, len(segment)))) + segment
        value = checksum(whole)
        return segment[:at] + struct.pack("!H", value) + segment[at + 2:]

    kind = rng.choice(["udp", "udp", "tcp", "tcp", "icmp", "sctp", "other"])
    if kind == "udp":
        return 17, summed(struct.pack("!HHHH", source, destination, 8 + len(payload), 0) + payload, 6, 17)
    if kind == "tcp":
        flags = rng.choice([0x02, 0x10, 0x12, 0x11, 0x04])
        return 6, summed(struct.pack("!HHIIBBHHH", source, destination, 7, 9, 0x50, flags, 512, 0, 0) + payload, 16, 6)
    if kind == "icmp" and v6:
        return 58, summed(struct.pack("!BBHI", rng.choice([128, 129]), 0, 0, 5) + payload, 2, 58)
    if kind == "icmp":
        message = struct.pack("!BBHI", rng.choice([0, 8, 3]), rng.choice([0, 1]), 0, 5) + payload
        return 1, message[:2] + struct.pack("!H", checksum(message)) + message[4:]
    if kind == "sctp":
        return 132, struct.pack("!HHII", source, destination, 1, 0) + payload
    return 89, payload


def _ipv4(rng, mark, who=None):
    source, destination = socket.inet_aton(IPS[who - 1] if who else rng.choice(IPS[:4])), socket.inet_aton(rng.choice(IPS))
    protocol, body = _transport(rng, source + destination, False, mark)
    # Whole, the first fragment, a later one; Open vSwitch takes bytes of a later one for a checksum, and changes them.
    fragment = rng.choice([0x4000] * 8 + [0x2000, 0x0005 if protocol in (89, 132) else 0x4000])
    header = struct.pack("!BBHHHBBH", 0x45, rng.choice([0, 0xB8, 0x02]), 20 + len(body), 7, fragment,
                         rng.choice([1, 2, 64, 64]), protocol, 0) + source + destination
    return 0x0800, header[:10] + struct.pack("!H", checksum(header)) + header[12:] + body


def _ipv6(rng, mark, who=None):
    source = socket.inet_pton(socket.AF_INET6, rng.choice(IP6S[:3]))
    destination = socket.inet_pton(socket.AF_INET6, rng.choice(IP6S))
    protocol, body = _transport(rng, source + destination, True, mark)
    first = 6 << 28 | rng.choice([0, 0xB8]) << 20 | rng.choice([0, 5])
    return 0x86DD, struct.pack("!IHBB", first, len(body), protocol, rng.choice([1, 2, 64])) + source + destination + body


def _arp(rng, mark, who=None):
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, rng.choice([1, 2])) + mac(rng.choice(MACS[:3]))
    body += socket.inet_aton(rng.choice(IPS[:3])) + mac(rng.choice(MACS[:3])) + socket.inet_aton(rng.choice(IPS[:3]))
    return 0x0806, body + bytes(18) + mark


def _mpls(rng, mark, who=None):
    kind, inner = rng.choice([_ipv4, _ipv6])(rng, mark, who)
    labels = [rng.choice(LABELS) for _ in range(rng.randrange(1, 4))]
    stack = b"".join(
        struct.pack("!I", label << 12 | rng.choice([0, 3]) << 9 | (index == len(labels) - 1) << 8 | rng.choice([2, 64]))
        for index, label in enumerate(labels))
    return 0x8847, stack + inner


def frame(rng, mark, who=None):
    """A frame whose last four bytes are the mark; `who`, 1 to 3, is who sends it, if that matters."""
    kind, body = rng.choice([_ipv4] * 5 + [_ipv6] * 3 + [_arp, _mpls, lambda r, m, w: (0x88B5, bytes(50) + m)])(rng, mark, who)
    tags = b""
    for tpid in rng.choice([[]] * 6 + [[0x8100]] * 3 + [[0x88A8, 0x8100]]):
        tags += struct.pack("!HH", tpid, rng.choice([0, 3]) << 13 | rng.choice(TAGS))
    whole = mac(rng.choice(MACS)) + mac(MACS[who - 1] if who else rng.choice(MACS[:3])) + tags + struct.pack("!H", kind) + body
    if len(whole) < 60:
        whole = whole[:-4] + bytes(60 - len(whole)) + mark
    return whole


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
    kind = rng.choice(["", "", "ip", "ip", "ipv6", "arp", "tcp", "udp", "icmp", "tcp6", "udp6", "sctp", "icmp6", "mpls"])
    words += [kind] if kind else []
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
    return ",".join(words), kind, tagged


V4, V6 = ("ip", "tcp", "udp", "icmp", "sctp"), ("ipv6", "tcp6", "udp6", "icmp6")
L4 = ("tcp", "udp", "tcp6", "udp6", "sctp")


def set_action(rng, kind, tagged):
    """An action that changes a field which a packet of this kind has."""
    choices = [
        f"mod_dl_src:{rng.choice(MACS[:3])}", f"mod_dl_dst:{rng.choice(MACS[:3])}",
        f"set_field:{rng.choice(MACS[:3])}->eth_dst", "set_field:00:00:00:00:00:02/00:00:00:00:00:03->eth_src",
        f"load:{rng.randrange(4)}->NXM_NX_REG{rng.randrange(3)}[0..{rng.choice([1, 7, 31])}]",
        f"move:NXM_OF_IN_PORT[]->NXM_NX_REG{rng.randrange(3)}[0..15]",
        "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]",
        f"set_field:{rng.randrange(4)}->reg{rng.randrange(3)}", f"set_field:{rng.randrange(4)}->metadata",
        "push:NXM_NX_REG0[],pop:NXM_NX_REG1[]", "set_field:7/0xf->xreg0",
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
        elif roll < 0.93:
            words.append("exit")
        elif roll < 0.97:
            words.append("note:01.02.03.04.05.06")
        else:
            words.append(f"enqueue:{rng.choice(OUTPUTS)}:0")
    return ",".join(words)


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


def flow(rng, priority, groups=()):
    """A flow as `add-flow` reads it; which of two of one priority wins is not said, so each has its own."""
    table = rng.choice([0, 0, 0, *range(1, TABLES)])
    text, kind, tagged = match(rng)
    done = actions(rng, table, kind, tagged, groups)
    if rng.random() < 0.2:
        done = ",".join(filter(None, [done, last_changes(rng, table, text, kind, tagged)]))
    # Open vSwitch counts twice what is looked up after this, so nothing is.
    if table == TABLES - 1 and rng.random() < 0.2:
        size, bit = rng.choice([60, 80, 1500]), rng.randrange(3)
        return f"{head(rng, table, priority, text)},actions=check_pkt_larger({size})->NXM_NX_REG2[{bit}],output:NXM_NX_REG2[0..15]"
    if rng.random() < 0.12:
        done = ",".join(filter(None, [done, rng.choice([
            f"write_actions({rng.choice([f'output:{rng.choice(OUTPUTS)}', set_action(rng, '', False) + f',output:{rng.choice(OUTPUTS)}'])})"
            .replace("push:NXM_NX_REG0[],pop:NXM_NX_REG1[],", ""), "clear_actions", "write_metadata:0x1/0x3"])]))
    if rng.random() < 0.25 and table + 1 < TABLES:
        done = ",".join(filter(None, [done, f"goto_table:{rng.randrange(table + 1, TABLES)}"]))
    return f"{head(rng, table, priority, text)},actions={done or 'drop'}"


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
    flags = rng.choice(["", "", "hard_timeout=600,", "cookie=0x9,", "send_flow_rem,", "fin_idle_timeout=5,"])
    learnt = f"learn(table={TABLES - 1},priority={priority + 100},{flags}{spec})"
    rest = rng.choice([f"resubmit(,{TABLES - 1})", f"output:{rng.choice(OUTPUTS)}", "FLOOD"])
    return f"{head(rng, 0, priority, text)},actions={learnt},{rest}"


def head(rng, table, priority, text):
    """What stands in front of a flow's actions."""
    words = f"table={table},priority={priority},cookie={rng.randrange(16):#x}"
    return ",".join(filter(None, [words, text]))


def group(rng, number, lower):
    """A group as `add-group` reads it; it may refer to those in `lower`."""
    kind = rng.choice(["all", "all", "indirect", "ff"])
    buckets = []
    for index in range(1 if kind == "indirect" else rng.randrange(0, 4)):
        done = rng.choice([f"output:{rng.choice(OUTPUTS)}",
                           f"mod_dl_dst:{rng.choice(MACS[:3])},output:{rng.choice(OUTPUTS)}",
                           f"set_field:{rng.choice(MACS[:3])}->eth_src,output:{rng.choice(OUTPUTS)}",
                           *(f"group:{other}" for other in lower)])
        watch = f"watch_port:{rng.choice(OUTPUTS)}," if kind == "ff" else ""
        buckets.append(f"bucket={watch}bucket_id:{index},actions={done}")
    return ",".join([f"group_id={number},type={kind}", *buckets])
