"""Requests about many flows at once: all of them are counted, and nobody waits long for anybody else's."""

import struct
import threading
import time

import pytest
from wire import OpenFlow

V13, V14 = 4, 5
FLOWS = 70_000  # More than are sorted for a dump.
LAST = 10
ERROR, ECHO, ECHO_REPLY, SET_CONFIG, FLOW_REMOVED, FLOW_MOD = 1, 2, 3, 9, 11, 14
REQUEST, REPLY, BARRIER, BARRIER_REPLY = 18, 19, 20, 21
FLOW, AGGREGATE, MONITOR = 1, 2, 16
MODIFY, DELETE = 1, 3
ANY = 0xFFFFFFFF
ALL_PACKETS = struct.pack("!HH4x", 1, 4)


class Peer(OpenFlow):
    """OpenFlow 1.3 and later, as far as it takes. What comes in between is kept in `heard`."""

    def __init__(self, switch, version=V13):
        super().__init__(switch.rundir / "br0.mgmt", version)
        self.socket.settimeout(20)
        self.buffered = self.socket.makefile("rb")
        self.heard = []

    def receive(self):
        if not hasattr(self, "buffered"):
            return super().receive()
        _, kind, size, xid = struct.unpack("!BBHI", self.buffered.read(8))
        return kind, xid, self.buffered.read(size - 8)

    def expect(self, kind):
        while (message := self.receive())[0] != kind:
            assert message[0] != ERROR, message
            self.heard.append(message)
        return message

    def statistics(self, kind, cookie=0, mask=0):
        """The bodies of a reply's parts."""
        selection = struct.pack("!B3xII4xQQ", 1, ANY, ANY, cookie, mask) + ALL_PACKETS
        self.send(REQUEST, struct.pack("!HH4x", kind, 0) + selection)
        parts, more = [], 1
        while more:
            body = self.expect(REPLY)[2]
            said, more = struct.unpack("!HH", body[:4])
            assert said == kind
            parts.append(body[8:])
        return parts

    def aggregate(self, **selection):
        (body,) = self.statistics(AGGREGATE, **selection)
        packets, _, flows = struct.unpack("!QQI4x", body)
        return packets, flows

    def change(self, command, out_port=None):
        """A FLOW_MOD for all flows of table 1."""
        head = struct.pack("!QQBBHHHIIIHH", 2**64 - 1 if command == MODIFY else 0, 0, 1, command, 0, 0, 0, ANY, ANY, ANY, 0, 0)
        output = b"" if out_port is None else struct.pack("!HH4xHHIH6x", 4, 24, 0, 16, out_port, 0)
        self.send(FLOW_MOD, head + ALL_PACKETS + output)

    def barrier_13(self):
        self.send(BARRIER)
        self.expect(BARRIER_REPLY)


def entries(parts):
    """Each begins with its length."""
    for part in parts:
        while part:
            (size,) = struct.unpack("!H", part[:2])
            yield part[:size]
            part = part[size:]


class Slowest:
    """The longest time that an echo took on a connection of its own, in a block."""

    def __init__(self, switch):
        self.peer, self.seconds, self.ends = Peer(switch), 0, threading.Event()
        self.thread = threading.Thread(target=self.ask)

    def ask(self):
        while not self.ends.wait(0.01):
            began = time.monotonic()
            self.peer.send(ECHO)
            self.peer.expect(ECHO_REPLY)
            self.seconds = max(self.seconds, time.monotonic() - began)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ends.set()
        self.thread.join()
        self.peer.close()


@pytest.fixture
def full(lan):
    """Table 1 is full of flows, of which the last have the cookie 7."""
    path = lan.dir / "flows"
    with open(path, "w") as out:
        for number in range(FLOWS):
            address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
            cookie = 7 if number >= FLOWS - LAST else 1
            out.write(f"cookie={cookie},table=1,send_flow_rem,priority=10,ip,nw_dst={address},actions=output:2\n")
    lan.ofctl("add-flows", "br0", path, timeout=60)
    return lan


def test_sums_and_few_of_many(full):
    # The last flow's packets are counted in the sum.
    full.ofctl("add-flow", "br0", "priority=9,in_port=1,ip,nw_dst=10.0.0.2,actions=goto_table:1")
    assert full.h1.ping("10.0.0.2", count=3)
    peer = Peer(full)
    with Slowest(full) as echo:
        began = time.monotonic()
        packets, flows = peer.aggregate()
        assert (flows, packets >= 3) == (FLOWS, True)
        assert peer.aggregate(cookie=7, mask=2**64 - 1) == (0, LAST)
        assert peer.aggregate(cookie=5, mask=2**64 - 1) == (0, 0)
        # The first places match nothing.
        last = list(entries(peer.statistics(FLOW, cookie=7, mask=2**64 - 1)))
        assert len(last) == LAST and {flow[24:32] for flow in last} == {struct.pack("!Q", 7)}
        assert not list(entries(peer.statistics(FLOW, cookie=5, mask=2**64 - 1)))
        assert len(list(entries(peer.statistics(FLOW)))) == FLOWS
        took = time.monotonic() - began
    assert took < 15 and echo.seconds < 1, (took, echo.seconds)
    peer.close()


def test_a_monitor_sees_a_wide_modify(full):
    monitor, peer = Peer(full, V14), Peer(full)
    flags = 2 | 4 | 8 | 16  # Added, removed, modified; with instructions.
    monitor.send(REQUEST, struct.pack("!HH4x", MONITOR, 0) + struct.pack("!IIIHBB", 1, ANY, ANY, flags, 1, 0) + ALL_PACKETS)
    monitor.expect(REPLY)
    began = time.monotonic()
    with Slowest(full) as echo:
        peer.change(MODIFY, 1)
        # A long reply right behind it shows all flows as they are then, and after the barrier's.
        peer.send(BARRIER)
        parts = peer.statistics(FLOW)
        assert [message[0] for message in peer.heard] == [BARRIER_REPLY]
        assert sum(flow[-12:-8] == struct.pack("!I", 1) for flow in entries(parts)) == FLOWS
        seen = set()
        while len(seen) < FLOWS:
            kind, _, body = monitor.receive()
            assert kind == REPLY
            for update in entries([body[8:]]):
                (event,) = struct.unpack("!H", update[2:4])
                # 0 to 3: a flow, after which come table, timeouts, priority and cookie; 5 and 6: paused, resumed.
                assert event in (1, 3, 5, 6), event
                if event < 4:
                    seen.add(update[24:48])
        took = time.monotonic() - began
    assert took < 20 and echo.seconds < 1, (took, echo.seconds)
    peer.close()
    monitor.close()


def test_who_wants_to_know_is_told_of_each_flow_that_a_wide_delete_ends(full):
    peer = Peer(full)
    peer.send(SET_CONFIG, struct.pack("!HH", 0, 128))
    began = time.monotonic()
    with Slowest(full) as echo:
        peer.change(DELETE)
        peer.barrier_13()
        took = time.monotonic() - began
    assert [message[0] for message in peer.heard] == [FLOW_REMOVED] * FLOWS
    assert len({body for _, _, body in peer.heard}) == FLOWS
    assert took < 20 and echo.seconds < 1, (took, echo.seconds)
    assert peer.aggregate() == (0, 0)
    peer.close()
