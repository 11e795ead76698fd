"""Random frames out of small sets of values, which random flows (random_switching.py) match. All of it follows from the seed."""

import socket
import struct

MACS = ["02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03", "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff"]
IPS = ["10.0.0.1", "10.0.0.2", "10.0.1.1", "10.1.0.1", "224.0.0.9"]
IP6S = ["fc00::1", "fc00::2", "fc00:0:0:1::1", "ff02::5"]
PORTS = [1, 2, 3, 80]
TAGS = [1, 2, 3]
LABELS = [16, 17, 100]


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
    if kind == "icmp" and v6 and rng.random() < 0.4:
        kind = rng.choice([135, 136])
        target = socket.inet_pton(socket.AF_INET6, rng.choice(IP6S))
        option = struct.pack("!BB", rng.choice([1, 2]), 1) + mac(rng.choice(MACS[:3]))
        return 58, summed(struct.pack("!BBHI", kind, rng.choice([0, 0, 0, 1]), 0, 0) + target + rng.choice([option, b""])
                          + b"\x0e\x01\0\0" + mark, 2, 58)
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
    if protocol in (89, 132) and rng.random() < 0.4:  # in a fragment: the first one, a later one
        protocol, body = 44, struct.pack("!BBHI", protocol, 0, rng.choice([0x0001, 0x0010]), 7) + body
    elif rng.random() < 0.05:
        protocol, body = 60, struct.pack("!BB6x", protocol, 0) + body
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
