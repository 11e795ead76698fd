"""Frames as bytes and pcap files: what the rows send, and what came out."""

import struct

ETHERNET = 1
MAC_A, MAC_B = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip(text):
    return bytes(int(part) for part in text.split("."))


def udp(source, destination, ports, payload=b"", macs=(MAC_B, MAC_A), size=60):
    """An Ethernet frame (destination MAC first in `macs`) of at least `size` bytes without FCS."""
    payload = payload.ljust(size - 42, b"\0")
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), 0, 0, 64, 17, 0, ip(source), ip(destination))
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    return b"".join([*macs, b"\x08\x00", header, struct.pack("!HHHH", *ports, 8 + len(payload), 0), payload])


def flows(count, size=60):
    """`count` UDP flows over 256 destination networks 10.0.X.0/24."""
    return [udp("172.16.0.1", f"10.0.{n % 256}.5", (1024 + n % 60000, 53 + n // 60000), size=size) for n in range(count)]


def vxlan(inner, source, destination, macs, vni):
    """An inner frame in the outer one that another switch would have sent."""
    entropy = 0xC000 | (struct.unpack_from("!H", inner, 34)[0] & 0x3FFF)
    return udp(source, destination, (entropy, 4789), struct.pack("!II", 0x08000000, vni << 8) + inner, macs, size=0)


def write(path, frames):
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, ETHERNET))
        for frame in frames:
            file.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)


def read(path):
    """The frames of a pcap file that may still be growing."""
    with open(path, "rb") as file:
        data = file.read()
    if len(data) < 24:
        return []
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    frames, at = [], 24
    while at + 16 <= len(data):
        size = struct.unpack_from(order + "I", data, at + 8)[0]
        frames.append(data[at + 16 : at + 16 + size])
        at += 16 + size
    return frames
