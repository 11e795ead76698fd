"""The tunnel types that are measured: how each is configured, and its packets as bytes."""

import struct
from dataclasses import dataclass
from typing import Callable

import traffic

OUTER_MACS = (bytes.fromhex("020000000901"), bytes.fromhex("020000000902"))  # ours, the peer's
OURS, PEER, KEY = "10.9.0.1", "10.9.0.2", 42
IP_END = 34  # bytes of Ethernet and IPv4 headers


@dataclass
class Tunnel:
    name: str
    columns: str  # of the Interface
    protocol: int  # of IP
    header: Callable[[bytes], bytes]  # inner frame -> what is between the IP header and it
    is_right: Callable[[bytes], bool]  # what a switch put there
    lacking: tuple = ()  # switches that do not have it

    @property
    def size(self):
        """Bytes in front of the inner frame."""
        return IP_END + len(self.header(b""))

    def outer(self, inner):
        """What the peer would send us."""
        return traffic.ipv4(PEER, OURS, self.protocol, self.header(inner) + inner, OUTER_MACS)

    def inner(self, frame):
        """The inner frame of a packet to the peer whose outer headers are right; else nothing."""
        right = (
            len(frame) > self.size
            and frame[:15] == OUTER_MACS[1] + OUTER_MACS[0] + b"\x08\x00\x45"
            and frame[23] == self.protocol
            and frame[26:34] == traffic.ip(OURS) + traffic.ip(PEER)
            and traffic.checksum(frame[14:34]) == 0
            and struct.unpack_from("!H", frame, 16)[0] == len(frame) - 14
            and self.is_right(frame[IP_END : self.size])
        )
        return frame[self.size :] if right else b""


class Pseudowire(Tunnel):
    """A tunnel without an IP header; `protocol` is its EtherType."""

    @property
    def size(self):
        return 14 + len(self.header(b""))

    def outer(self, inner):
        return b"".join([*OUTER_MACS, struct.pack("!H", self.protocol), self.header(inner), inner])

    def inner(self, frame):
        right = frame[:14] == OUTER_MACS[1] + OUTER_MACS[0] + struct.pack("!H", self.protocol)
        return frame[self.size :] if right and self.is_right(frame[14 : self.size]) else b""


def in_udp(port, header, fixed_source=None):
    """Behind a UDP header with a source port that differs between flows, unless one is fixed."""

    def build(inner):
        source = fixed_source or 0xC000 | (struct.unpack_from("!H", inner, 34)[0] & 0x3FFF if inner else 0)
        return struct.pack("!HHHH", source, port, 8 + len(header) + len(inner), 0) + header

    def is_right(found):
        return found[2:4] == struct.pack("!H", port) and found[6:] == b"\0\0" + header

    return {"protocol": 17, "header": build, "is_right": is_right}


def plain(protocol, header):
    return {"protocol": protocol, "header": lambda inner: header, "is_right": lambda found: found == header}


OPTIONS = f"options:remote_ip={PEER} options:key={KEY}"
VXLAN = Tunnel("vxlan", f"type=vxlan {OPTIONS}", **in_udp(4789, struct.pack("!II", 0x08000000, KEY << 8)))
GRE = Tunnel("gre", f"type=gre {OPTIONS}", **plain(47, struct.pack("!HHI", 0x2000, 0x6558, KEY)))
GENEVE = Tunnel("geneve", f"type=geneve {OPTIONS}", **in_udp(6081, struct.pack("!HHI", 0, 0x6558, KEY << 8)))
L2TPV3 = Tunnel(
    "l2tpv3",
    f"type=l2tpv3 options:remote_ip={PEER} options:local_session_id={KEY} options:peer_session_id={KEY}",
    **in_udp(1701, struct.pack("!HHII", 3, 0, KEY, 0), fixed_source=1701),
    lacking=("ovs",),
)
GPW = Pseudowire(
    "gpw",
    f"type=gpw options:remote_mac={OUTER_MACS[1].hex(':')} options:via=br-phy",
    **plain(0x96FC, b"\0\0"),
    lacking=("ovs",),
)
TUNNELS = [VXLAN, GRE, GENEVE, L2TPV3, GPW]
