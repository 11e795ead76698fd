"""A controller that is quicker than any switch: OpenFlow 1.4 messages made beforehand, sent as they are."""

import socket
import struct

VERSION = 5
HELLO, ERROR, ECHO_REQUEST, ECHO_REPLY, PACKET_OUT, FLOW_MOD, MULTIPART_REQUEST, MULTIPART_REPLY = 0, 1, 2, 3, 13, 14, 18, 19
BARRIER_REQUEST, BARRIER_REPLY, BUNDLE_CONTROL, BUNDLE_ADD = 20, 21, 33, 34
ADD, DELETE, DELETE_STRICT = 0, 3, 4
FLOWS, PORT_STATS = 1, 4
OPEN, COMMIT, COMMITTED = 0, 4, 5
ATOMIC_ORDERED = 3
ANY, MORE, PRIORITY = 0xFFFFFFFF, 1, 0x9000
HEADER = struct.Struct("!BBHI")
# eth_type, ip_proto, ipv4_src, ipv4_dst, udp_src, udp_dst
FIVE_TUPLE = struct.Struct("!HH 6s5s 4sI 4sI 4sH 4sH 5x")
NOTHING = struct.pack("!HH4x", 1, 4)
NORMAL = struct.pack("!HHIH6x", 0, 16, 0xFFFFFFFA, 0)
OUTPUT_2 = struct.pack("!HH4x HHIH6x", 4, 24, 0, 16, 2, 0)


def message(kind, body=b""):
    return HEADER.pack(VERSION, kind, 8 + len(body), 1) + body


def five_tuple(number):
    """One of 4 billion UDP flows between addresses of 198.18.0.0/15, which nobody uses."""
    return FIVE_TUPLE.pack(
        1, 43, b"\x80\x00\x0a\x02\x08\x00", b"\x80\x00\x14\x01\x11",
        b"\x80\x00\x16\x04", 0xC6120000 | number >> 16, b"\x80\x00\x18\x04", 0xC6130000 | number & 0xFFFF,
        b"\x80\x00\x1e\x02", 1024, b"\x80\x00\x20\x02", 53,
    )


def flow_mod(command, match, cookie=0):
    fixed = struct.pack("!QQBBHHHIIIHH", cookie, 0, 0, command, 0, 0, PRIORITY, ANY, ANY, ANY, 0, 0)
    return message(FLOW_MOD, fixed + match + (OUTPUT_2 if command == ADD else b""))


def packet_out(port, frame):
    """The frame as if it had arrived by this port of a learning switch."""
    return message(PACKET_OUT, struct.pack("!IIH6x", ANY, port, len(NORMAL)) + NORMAL + frame)


def bundle(number, messages):
    """These, committed together."""
    control = [message(BUNDLE_CONTROL, struct.pack("!IHH", number, kind, ATOMIC_ORDERED)) for kind in (OPEN, COMMIT)]
    prefix = struct.pack("!I2xH", number, ATOMIC_ORDERED)
    return b"".join([control[0], *(message(BUNDLE_ADD, prefix + inner) for inner in messages), control[1]])


BARRIER = message(BARRIER_REQUEST)
ALL_PORTS = message(MULTIPART_REQUEST, struct.pack("!HH4xI4x", PORT_STATS, 0, ANY))
ALL_FLOWS = message(MULTIPART_REQUEST, struct.pack("!HH4x B3xII4xQQ", FLOWS, 0, 0xFF, ANY, ANY, 0, 0) + NOTHING)


class Controller:
    """A connection to a bridge's management socket."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.socket.settimeout(120)
        self.input, self.at = b"", 0
        self.socket.sendall(message(HELLO, struct.pack("!HHI", 1, 8, 1 << VERSION)))
        self.wait(HELLO)

    def send(self, data):
        self.socket.sendall(data)

    def fill(self, size):
        """At least so many bytes behind `at`."""
        while len(self.input) - self.at < size:
            data = self.socket.recv(1 << 18)
            if not data:
                raise OSError("the switch hung up")
            self.input, self.at = self.input[self.at :] + data, 0

    def reply(self):
        """The next message: its type and body."""
        self.fill(8)
        _, kind, size, _ = HEADER.unpack_from(self.input, self.at)
        self.fill(size)
        body = self.input[self.at + 8 : self.at + size]
        self.at += size
        if kind == ECHO_REQUEST:
            self.send(message(ECHO_REPLY, body))
        if kind == ERROR:
            raise OSError("OpenFlow error {}, {}".format(*struct.unpack_from("!HH", body)))
        return kind, body

    def wait(self, wanted):
        kind, body = self.reply()
        while kind != wanted:
            kind, body = self.reply()
        return body

    def wait_committed(self):
        """Until a bundle's changes are in force."""
        while struct.unpack_from("!IH", self.wait(BUNDLE_CONTROL))[1] != COMMITTED:
            pass

    def barrier(self):
        self.send(BARRIER)
        self.wait(BARRIER_REPLY)

    def inject(self, port, frames):
        """Packet-outs, until all of them are through."""
        self.send(b"".join(packet_out(port, frame) for frame in frames))
        self.barrier()

    def ports(self):
        self.send(ALL_PORTS)
        return read_ports(self.wait(MULTIPART_REPLY))

    def dump(self):
        """Asks for all flows; yields how many came with each part."""
        self.send(ALL_FLOWS)
        more = True
        while more:
            body, at, flows = self.wait(MULTIPART_REPLY), 8, 0
            more = struct.unpack_from("!H", body, 2)[0] & MORE
            while at < len(body):
                at += struct.unpack_from("!H", body, at)[0]
                flows += 1
            yield flows


def read_ports(body):
    """By port number: seconds since it was made, packets received, sent."""
    at, ports = 8, {}
    while at < len(body):
        size, number, secs, nanos, received, sent = struct.unpack_from("!H2xIIIQQ", body, at)
        ports[number] = secs + nanos * 1e-9, received, sent
        at += size
    return ports
