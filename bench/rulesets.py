"""Rule sets as operators have them, and packets that hit them: access lists, firewalls and chains of
IP rules. Used by rows.py and by the classifier's benchmark; never the same as any real network's.

The shapes follow what was published about real sets (the study behind ClassBench): which prefix
lengths, protocols and ports come together, how many rules leave a field out, networks inside networks.
Everything is drawn from a seeded generator: the same arguments are the same rules."""

import argparse
import random
import struct
from dataclasses import dataclass
from functools import lru_cache

import traffic

TCP, UDP, ICMP, GRE, ESP = 6, 17, 1, 47, 50
NAMES = {None: "ip", TCP: "tcp", UDP: "udp", ICMP: "icmp"}
LEVEL_RULES = 8  # rules of one priority at most; they do not overlap
SERVICES = (80, 443, 53, 25, 22, 123, 110, 143, 21, 23, 161, 162, 389, 445, 514, 1433, 1521, 3306, 3389, 5060, 8080, 8443)
WHOLE = {"any": (0, 65535), "high": (1024, 65535), "low": (0, 1023)}
RANGES = ((20, 21), (135, 139), (6000, 6063), (33434, 33523), (5900, 5910), (16384, 32767))
ATTACKED = (80, "10.0.0.1", 12345)  # destination port, source address, source port

# Weights of the lengths of one prefix, by what a rule is about.
ALL = {0: 1}
HOST = {32: 1}
SUBNET = {24: 50, 16: 14, 20: 8, 22: 8, 26: 8, 28: 9, 30: 3}
NEAR_HOST = {32: 84, 30: 6, 28: 10}
SITE = {16: 60, 8: 10, 12: 10, 20: 20}


@dataclass(frozen=True)
class Shape:
    pairs: tuple  # (weight, source lengths, destination lengths)
    protocols: dict  # weights; None: any
    source_ports: dict  # weights of any, high, low, range, exact
    destination_ports: dict


SHAPES = {
    # Who may use which service of which host: sources wide or left out, destinations narrow, one port.
    "acl": Shape(
        ((28, ALL, NEAR_HOST), (9, ALL, SUBNET), (22, SUBNET, NEAR_HOST), (17, SUBNET, SUBNET), (12, HOST, NEAR_HOST),
         (6, SITE, NEAR_HOST), (3, SITE, SUBNET), (3, NEAR_HOST, ALL)),
        {TCP: 70, UDP: 18, ICMP: 4, None: 8},
        {"any": 100},
        {"any": 26, "high": 4, "low": 1, "range": 9, "exact": 60},
    ),
    # Between zones: either side often left out, ranges on both sides.
    "fw": Shape(
        ((14, ALL, NEAR_HOST), (10, ALL, SUBNET), (4, ALL, SITE), (14, NEAR_HOST, ALL), (8, SUBNET, ALL), (3, SITE, ALL),
         (20, HOST, HOST), (9, SUBNET, HOST), (9, HOST, SUBNET), (6, SUBNET, SUBNET), (3, SITE, SITE)),
        {TCP: 50, UDP: 29, ICMP: 5, GRE: 1, ESP: 1, None: 14},
        {"any": 80, "high": 12, "low": 1, "exact": 7},
        {"any": 32, "high": 9, "low": 2, "range": 14, "exact": 43},
    ),
    # Both at once: pairs of hosts and networks of every length.
    "ipc": Shape(
        ((26, HOST, HOST), (12, NEAR_HOST, SUBNET), (12, SUBNET, NEAR_HOST), (14, SUBNET, SUBNET), (5, SITE, NEAR_HOST),
         (5, NEAR_HOST, SITE), (4, SITE, SITE), (7, ALL, NEAR_HOST), (4, ALL, SUBNET), (6, NEAR_HOST, ALL), (5, SUBNET, ALL)),
        {TCP: 46, UDP: 32, ICMP: 6, GRE: 1, ESP: 1, None: 14},
        {"any": 72, "high": 3, "low": 1, "exact": 24},
        {"any": 45, "high": 5, "low": 1, "range": 4, "exact": 45},
    ),
}  # fmt: skip


def draw(rng, weights):
    return rng.choices(list(weights), weights.values())[0]


def mask_of(length):
    return (1 << 32) - (1 << 32 - length)


def prefix(rng, length, tops):
    """A network: few large ones, in which lower numbers are more common, so that they nest."""
    octets = (rng.choice(tops), *(int(256 * rng.random() ** power) for power in (2.5, 1.6, 1.0)))
    return struct.unpack("!I", bytes(octets))[0] & mask_of(length), mask_of(length)


def ports(rng, weights):
    """First and last."""
    kind = draw(rng, weights)
    if kind in WHOLE:
        return WHOLE[kind]
    if kind == "range":
        return rng.choice(RANGES)
    port = rng.choice(SERVICES) if rng.random() < 0.7 else rng.randrange(1024, 65536)
    return port, port


def masks(first, last):
    """A range as values with masks, whose union it is."""
    while first <= last:
        size = first & -first if first else 1 << 16
        while size > last - first + 1:
            size >>= 1
        yield first, 0xFFFF & -size
        first += size


def overlap(a, b):
    """Whether a packet can match both rules: values with masks, field by field."""
    return all((x[0] ^ y[0]) & x[1] & y[1] == 0 for x, y in zip(a, b))


def one_rule(rng, shape, tops):
    """The flows of one rule: a range of ports takes several. Protocol, addresses, ports: values with masks."""
    _, source, destination = rng.choices(shape.pairs, [pair[0] for pair in shape.pairs])[0]
    protocol = draw(rng, shape.protocols)
    parts = (shape.source_ports, shape.destination_ports)
    ranges = [ports(rng, part) if protocol in (TCP, UDP) else WHOLE["any"] for part in parts]
    if ranges[0] != WHOLE["any"] and rng.random() < 0.9:
        ranges[1] = WHOLE["any"]  # rules for answers
    start = (
        (protocol or 0, 0xFF if protocol else 0),
        prefix(rng, draw(rng, source), tops[0]),
        prefix(rng, draw(rng, destination), tops[1]),
    )
    return [(*start, s, d) for s in masks(*ranges[0]) for d in masks(*ranges[1])]


@lru_cache(maxsize=4)
def generate(kind, count, seed):
    """`count` flows as (priority, fields): narrow rules first, as people write them, but not strictly."""
    rng = random.Random(f"{kind} {count} {seed}")
    tops = [rng.sample(range(1, 224), 12) for _ in range(2)]
    seen, found = set(), []
    while len(seen) < count:
        flows = [flow for flow in one_rule(rng, SHAPES[kind], tops) if flow not in seen][: count - len(seen)]
        if flows:
            seen.update(flows)
            found.append(flows)
    breadth = lambda flows: -sum(mask.bit_count() for _, mask in flows[0]) + rng.gauss(0, 6)
    found.sort(key=breadth)
    priority, level, result = 60000, [], []
    for flows in found:
        if len(level) >= LEVEL_RULES or any(overlap(flow, other) for flow in flows for other in level):
            priority, level = priority - 1, []
        level += flows
        result += [(priority, flow) for flow in flows]
    assert priority > 0, "more priorities than there are"
    return result


def text(priority, fields):
    (protocol, protocol_mask), source, destination, source_ports, destination_ports = fields
    name = NAMES.get(protocol if protocol_mask else None)
    words = [f"priority={priority}", name or f"ip,nw_proto={protocol}"]
    for field, (value, mask) in (("nw_src", source), ("nw_dst", destination)):
        if mask:
            address = ".".join(str(octet) for octet in struct.pack("!I", value))
            words.append(f"{field}={address}/{mask.bit_count()}")
    for field, (value, mask) in (("tp_src", source_ports), ("tp_dst", destination_ports)):
        if mask:
            words.append(f"{field}={value}" if mask == 0xFFFF else f"{field}={value:#x}/{mask:#x}")
    return ",".join([*words, "actions=output:2"])


def frame(protocol, source, destination, source_port, destination_port):
    """60 bytes."""
    size = 26
    head = {
        TCP: struct.pack("!HHIIBBHHH", source_port, destination_port, 0, 0, 0x50, 0x10, 0, 0, 0),
        UDP: struct.pack("!HHHH", source_port, destination_port, size, 0),
        ICMP: struct.pack("!BBHI", 8, 0, 0, 0),
        GRE: struct.pack("!HH", 0, 0x6558),
    }.get(protocol, b"")
    addresses = struct.pack("!I", source), struct.pack("!I", destination)
    header = traffic.ipv4_header((0, 20 + size, 0, 0, 64, protocol, *addresses))
    return b"".join([traffic.MAC_B, traffic.MAC_A, b"\x08\x00", header, head.ljust(size, b"\0")])


def rules(kind, count, seed=1):
    """Flows as lines for `add-flows`; each goes to port 2."""
    return [text(*flow) for flow in generate(kind, count, seed)]


def frames(kind, count, seed=1, n=8000):
    """`n` frames, each of which hits some rule of the set: connections of rules that are drawn evenly, with few packets
    each, or many (a Pareto distribution, 100 at most), mixed."""
    rng = random.Random(f"{kind} {count} {seed} frames")
    flows, found = generate(kind, count, seed), []
    while len(found) < n:
        fields = [value | rng.getrandbits(32) & ~mask for value, mask in rng.choice(flows)[1]]
        protocol, addresses, ports = (fields[0] & 0xFF, fields[1:3], [port & 0xFFFF for port in fields[3:]])
        if protocol not in (TCP, UDP, ICMP, GRE, ESP):
            protocol = rng.choice((TCP, UDP))
        one = frame(protocol, *addresses, *ports)
        found += [one] * min(int(rng.paretovariate(1)), 100)
    found = found[:n]
    rng.shuffle(found)
    return found


def attack_rules():
    """An access list that looks harmless: three fields, each by itself."""
    port, address, source_port = ATTACKED
    return [
        f"priority=4,udp,tp_dst={port},actions=output:2",
        f"priority=3,udp,nw_src={address},actions=output:2",
        f"priority=2,udp,tp_src={source_port},actions=output:2",
        "priority=1,actions=output:2",
    ]


def attack_frames(n=8000):
    """Frames that differ from each of the rules in one bit: what is kept of each, with the bits that were needed to tell, has
    a mask of its own. There are 16 * 32 * 16 of them."""
    port, address, source_port = ATTACKED
    address = struct.unpack("!I", traffic.ip(address))[0]
    bits = [(a, b, c) for a in range(16) for b in range(32) for c in range(16)]
    target = struct.unpack("!I", traffic.ip("10.9.9.9"))[0]
    return [frame(UDP, address ^ 1 << b, target, source_port ^ 1 << c, port ^ 1 << a) for a, b, c in bits[:n]]


def main():
    parser = argparse.ArgumentParser(description="Prints a rule set, or frames that hit it (in hex).")
    parser.add_argument("kind", choices=[*SHAPES, "attack"])
    parser.add_argument("count", type=int, nargs="?", default=1000, help="flows")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--frames", type=int, metavar="N", help="print N frames")
    options = parser.parse_args()
    if options.kind == "attack":
        lines = attack_rules() if options.frames is None else [one.hex() for one in attack_frames(options.frames)]
    elif options.frames is None:
        lines = rules(options.kind, options.count, options.seed)
    else:
        lines = [one.hex() for one in frames(options.kind, options.count, options.seed, options.frames)]
    print("\n".join(lines))


if __name__ == "__main__":
    main()
