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


def ipv4_header(fields):
    """The header with its checksum: tos, size, id, flags and offset, ttl, protocol, addresses."""
    tos, size, number, fragment, ttl, protocol, source, destination = fields
    header = struct.pack("!BBHHHBBH4s4s", 0x45, tos, size, number, fragment, ttl, protocol, 0, source, destination)
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:]


def ipv4(source, destination, protocol, payload, macs):
    """An Ethernet frame (destination MAC first in `macs`)."""
    header = ipv4_header((0, 20 + len(payload), 0, 0, 64, protocol, ip(source), ip(destination)))
    return b"".join([*macs, b"\x08\x00", header, payload])


def udp(source, destination, ports, size=60):
    """An Ethernet frame of `size` bytes without FCS."""
    payload = bytes(size - 42)
    return ipv4(source, destination, 17, struct.pack("!HHHH", *ports, 8 + len(payload), 0) + payload, (MAC_B, MAC_A))


def ports(n):
    return 1024 + n % 60000, 53 + n // 60000


def flows(count, size=60):
    """`count` UDP flows over 256 destination networks 10.0.X.0/24."""
    frames = [udp("172.16.0.1", f"10.0.{net}.5", (0, 0), size=size) for net in range(256)]
    pack = struct.Struct("!HH").pack
    return [frames[n % 256][:34] + pack(*ports(n)) + frames[0][38:] for n in range(count)]


def mac_pairs(count):
    """A frame of each of `count` stations to one of `count` others."""
    frame = udp("172.16.0.1", "10.0.0.5", (1024, 53))
    pack = struct.Struct("!IHIH").pack
    return [pack(0x02000200, n, 0x02000100, n) + frame[12:] for n in range(count)]


def ipv4_fields(frame):
    """What `ipv4_header` takes, of a frame without options."""
    fields = struct.unpack_from("!xBHHHBBxx4s4s", frame, 14)
    return fields if frame[12:15] == b"\x08\x00\x45" and checksum(frame[14:34]) == 0 else None


def split(frame, number, mtu):
    """The frame's packet as fragments with this id."""
    payload, room = frame[34:], (mtu - 20) & ~7
    tos, _, _, _, *rest = ipv4_fields(frame)
    parts = []
    for at in range(0, len(payload), room):
        part = payload[at : at + room]
        more = 0x2000 if at + room < len(payload) else 0
        parts.append(frame[:14] + ipv4_header((tos, 20 + len(part), number, more | at // 8, *rest)) + part)
    return parts


def reassemble(frames):
    """Whole packets of fragments; what is wrong or missing is not there."""
    datagrams, whole = {}, []
    for frame in frames:
        tos, size, number, fragment, *rest = ipv4_fields(frame) or (0, 0, 0, 0)
        if size == len(frame) - 14:
            datagrams.setdefault((frame[:14], number, *rest), []).append((fragment & 0x1FFF, fragment & 0xE000, frame))
    for (ethernet, number, *rest), parts in datagrams.items():
        parts.sort()
        payload = b""
        for place, (offset, flags, frame) in enumerate(parts, 1):
            if (offset * 8, flags) == (len(payload), 0x2000 if place < len(parts) else 0):
                payload += frame[34:]
        header = ipv4_header((parts[0][2][15], 20 + len(payload), number, 0, *rest))
        whole.append(ethernet + header + payload)
    return whole


def write(path, frames):
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, ETHERNET))
        file.writelines(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame for frame in frames)


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
