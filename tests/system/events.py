"""A controller that listens: packet-ins, flow removals and what a flow monitor tells, as `ovs-ofctl` prints them."""

import re
import struct
import time

from lab import run
from wire import read_exactly, unix_socket

NICIRA = 0x2320
HELLO, ERROR, ECHO_REQUEST, VENDOR, SET_CONFIG = 0, 1, 2, 4, 9
SET_FLOW_FORMAT, SET_PACKET_IN_FORMAT, SET_ASYNC_CONFIG, SET_CONTROLLER_ID = 12, 16, 19, 20
ID = 7


class Watcher:
    """A connection to a bridge in one version (1 for OpenFlow 1.0)."""

    def __init__(self, path, version):
        self.version, self.socket = version, unix_socket(path)
        self._send(HELLO)
        assert self._receive()[1] == HELLO
        self._send(SET_CONFIG, struct.pack("!HH", 0, 0xFFFF))
        if version == 1:  # FLOW_REMOVED with all of the match
            self._nicira(SET_FLOW_FORMAT, struct.pack("!I", 2))
        self._nicira(SET_PACKET_IN_FORMAT, struct.pack("!I", 2))
        self._nicira(SET_CONTROLLER_ID, struct.pack("!6xH", ID))
        # All reasons, as the primary controller and as another.
        reasons = (0x3F, 0x0F) if version >= 5 else (0x07, 0x0F)
        self._nicira(SET_ASYNC_CONFIG, struct.pack("!6I", *[reasons[0]] * 2, 0, 0, *[reasons[1]] * 2))
        # In 1.1 to 1.3 Open vSwitch's flow monitors send instructions as actions, and worse.
        if version not in (2, 3, 4):
            self._monitor()
        refused = [message for message in self.collect() if message[1] == ERROR]
        assert not refused, refused

    def _send(self, kind, body=b"", xid=0):
        self.socket.sendall(struct.pack("!BBHI", self.version, kind, 8 + len(body), xid) + body)

    def _nicira(self, subtype, body):
        self._send(VENDOR, struct.pack("!II", NICIRA, subtype) + body)

    def _monitor(self):
        """Everything about all flows, with actions, also of one's own."""
        flags, all_tables = 0x3E, 0xFF
        if self.version == 1:
            self._send(16, struct.pack("!HHII4x", 0xFFFF, 0, NICIRA, 2) + struct.pack("!IHHHB5x", 1, flags, 0xFFFF, 0, all_tables))
        else:
            match = struct.pack("!HH4x", 1, 4)
            self._send(18, struct.pack("!HH4x", 16, 0) + struct.pack("!IIIHBB", 1, 0xFFFFFFFF, 0xFFFFFFFF, 0x1E, all_tables, 0) + match)

    def _receive(self):
        """A whole message, and its type."""
        head = read_exactly(self.socket, 8)
        return head + read_exactly(self.socket, struct.unpack("!H", head[2:4])[0] - 8), head[1]

    def collect(self, expected=0, seconds=1.0):
        """The messages that have come: until there is nothing new for a moment, and at least `expected` or time is over."""
        barrier, reply = (18, 19) if self.version == 1 else (20, 21)
        came, quiet, deadline = [], 0, time.monotonic() + seconds
        while quiet < 2 or len(came) < expected and time.monotonic() < deadline:
            self._send(barrier, xid=9)
            before = len(came)
            while True:
                message, kind = self._receive()
                if kind == reply:
                    break
                if kind == ECHO_REQUEST:
                    continue
                came.append(message)
            quiet = quiet + 1 if len(came) == before else 0
            time.sleep(0.003)
        return came

    def close(self):
        self.socket.close()


def apart(message):
    """A flow monitor's message as one message for each flow."""
    version, kind, _, xid = struct.unpack("!BBHI", message[:8])
    head = {(1, 17): 24}.get((version, kind), 16 if version >= 5 and (kind, message[8:10]) == (19, b"\0\x10") else 0)
    if not head:
        return [message]
    messages, rest = [], message[head:]
    while rest:
        size = struct.unpack("!H", rest[:2])[0]
        messages.append(struct.pack("!BBHI", version, kind, head + size, xid) + message[8:head] + rest[:size])
        rest = rest[size:]
    return messages


def texts(messages, directory):
    """What the messages say, without what differs from moment to moment."""
    messages = [part for message in messages for part in apart(message)]
    if not messages:
        return []
    file = directory / "messages"
    file.write_bytes(b"".join(messages))
    text = run("ovs-ofctl", "ofp-parse", file, timeout=20).stdout
    found = re.split(r"^(?=\S.*\(xid=)", text, flags=re.MULTILINE)
    # What ovs-ofctl cannot print (1.0's forms of instructions) it shows in bytes, whose order is anyone's.
    # Register 14 has what check_pkt_larger found, which Open vSwitch forgets behind its list.
    volatile = r"^[0-9a-f]{8}  .*|reg14=0x[0-9a-f]+,|\(xid=0x[0-9a-f]+\)|duration[= ]?[0-9.]+s?,?|^NXST_FLOW_MONITOR reply|^OFPST_FLOW_MONITOR reply"
    return sorted(text for message in found if (text := re.sub(volatile, "", message, flags=re.MULTILINE).strip(" :\n")))
