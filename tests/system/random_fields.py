"""The fields that can be set, and matches, loads, moves and pushes of parts of them. A field that only some packets have says
which kinds of match (random_switching.match) make sure of it."""

from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from random_frames import IP6S, IPS, LABELS, MACS, PORTS, mac

V4 = ("ip", "tcp", "udp", "icmp", "sctp")
ND = ("ns", "na")
V6 = ("ipv6", "tcp6", "udp6", "icmp6", *ND)
TCP, UDP, SCTP = ("tcp", "tcp6"), ("udp", "udp6"), ("sctp",)
MASKS = [0x1, 0x3, 0xF0, 0xFF, 0xFFFE]


def _mac(value):
    return ":".join(f"{byte:02x}" for byte in value.to_bytes(6))


def _v4(value):
    return str(IPv4Address(value))


def _v6(value):
    return str(IPv6Address(value))


class Field(NamedTuple):
    name: str
    bits: int
    values: list
    kinds: tuple | None = None  # None: every packet has it
    print: object = hex
    masks: bool = True  # whether a match can have some of its bits
    matches: bool = True


_MACS = [int.from_bytes(mac(text)) for text in MACS]
_V4S = [int(IPv4Address(text)) for text in IPS]
_V6S = [int(IPv6Address(text)) for text in IP6S]
_SMALL = [0, 1, 2, 3, 5]

FIELDS = [
    Field("eth_src", 48, _MACS[:3], print=_mac),
    Field("eth_dst", 48, _MACS, print=_mac),
    *(Field(f"reg{number}", 32, _SMALL) for number in (0, 1, 2, 15)),
    Field("xreg0", 64, _SMALL), Field("xreg1", 64, _SMALL), Field("xxreg0", 128, _SMALL),
    Field("metadata", 64, _SMALL), Field("pkt_mark", 32, _SMALL),
    Field("tun_id", 64, _SMALL), Field("tun_gbp_id", 16, _SMALL), Field("tun_gbp_flags", 8, [0, 8, 0x48]),
    # No matches: what is not there is all zeros, says ovs-fields(7); in Open vSwitch it is not, and its flow monitors crash.
    Field("tun_metadata0", 32, [1, 2, 5], matches=False), Field("tun_metadata1", 64, [1, 2, 5], matches=False),
    Field("tun_src", 32, _V4S, print=_v4), Field("tun_dst", 32, _V4S, print=_v4),
    Field("tun_ipv6_src", 128, _V6S, print=_v6), Field("tun_ipv6_dst", 128, _V6S, print=_v6),
    Field("ip_src", 32, _V4S[:4], V4, _v4), Field("ip_dst", 32, _V4S, V4, _v4),
    Field("ipv6_src", 128, _V6S[:3], V6, _v6), Field("ipv6_dst", 128, _V6S, V6, _v6),
    Field("ipv6_label", 20, [0, 5, 7], V6),
    Field("ip_dscp", 6, [0, 46, 8], V4 + V6, str, False), Field("nw_ecn", 2, [0, 1, 2, 3], V4 + V6, str, False),
    Field("nw_ttl", 8, [1, 2, 64, 9], V4 + V6, str, False),
    *(Field(f"{name}_{side}", 16, PORTS, kinds, str) for side in ("src", "dst")
      for name, kinds in (("tcp", TCP), ("udp", UDP), ("sctp", SCTP))),
    Field("icmp_type", 8, [0, 8, 3], ("icmp",), str, False), Field("icmp_code", 8, [0, 1], ("icmp",), str, False),
    Field("icmpv6_code", 8, [0, 1], ("icmp6",), str, False),
    Field("nd_target", 128, _V6S, ND, _v6), Field("nd_sll", 48, _MACS[:3], ("ns",), _mac), Field("nd_tll", 48, _MACS[:3], ("na",), _mac),
    Field("arp_op", 16, [1, 2], ("arp",), str, False),
    Field("arp_spa", 32, _V4S[:3], ("arp",), _v4), Field("arp_tpa", 32, _V4S[:3], ("arp",), _v4),
    Field("arp_sha", 48, _MACS[:3], ("arp",), _mac), Field("arp_tha", 48, _MACS[:3], ("arp",), _mac),
    Field("mpls_label", 20, LABELS, ("mpls",), str, False), Field("mpls_tc", 3, [0, 3, 5], ("mpls",), str, False),
    Field("mpls_ttl", 8, [2, 64, 9], ("mpls",), str, False),
]


def fields(kind, plain=False):
    """Those that packets of a kind have; `plain`: that can be set without knowing the kind."""
    return [field for field in FIELDS if field.kinds is None or kind in field.kinds and not plain]


def valued(rng, field, likely_whole=0.6):
    """A value, or some bits of one, as set_field and a match take it."""
    value = rng.choice(field.values)
    if not field.masks or rng.random() < likely_whole:
        return field.print(value)
    mask = rng.choice(MASKS) << rng.choice([0, 0, max(field.bits - 16, 0)]) & (1 << field.bits) - 1
    return f"{field.print(value & mask)}/{field.print(mask)}"


def matched(rng, kind):
    """A word of a match."""
    field = rng.choice([field for field in fields(kind) if field.matches])
    return field.name, f"{field.name}={valued(rng, field)}"


def part(rng, field, width):
    start = rng.randrange(field.bits - width + 1)
    return f"{field.name}[{start}]" if width == 1 and rng.random() < 0.5 else f"{field.name}[{start}..{start + width - 1}]"


def changed(rng, kind):
    """An action that changes a field, or some bits of it."""
    known = fields(kind)
    field = rng.choice(known)
    how = rng.choice(["set_field", "set_field", "load", "move", "move", "stack"])
    # An operation of 0 is not written by Open vSwitch (docs/differences.md): never one that is made of others.
    if how == "set_field" or field.name == "arp_op":
        return f"set_field:{valued(rng, field, 0.5)}->{field.name}"
    width = rng.choice([1, 2, 8, 16, field.bits])
    if how == "load":
        width = min(width, field.bits, 64)
        return f"load:{rng.choice(field.values + MASKS) & (1 << width) - 1:#x}->{part(rng, field, width)}"
    other = rng.choice(known)
    if how == "move":
        width = min(width, field.bits, other.bits)
        return f"move:{part(rng, other, width)}->{part(rng, field, width)}"
    return f"push:{part(rng, other, min(width, other.bits))},pop:{part(rng, field, min(rng.choice([2, 16, 32]), field.bits))}"
