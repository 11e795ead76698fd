"""Auxiliary connections (OpenFlow 1.3.5 section 6.3.6): the switch dials as many as the controller's row says."""

import socket
import struct

from lab import until
from wire import raw_socket, read_exactly

HELLO, FEATURES, FEATURES_REPLY, PACKET_IN, PORT_STATUS, BARRIER, BARRIER_REPLY = 0, 5, 6, 10, 12, 20, 21


class Accepted:
    """The controller's end of a connection."""

    def __init__(self, listener):
        self.socket, _ = listener.accept()
        self.socket.settimeout(5)
        self.send(HELLO)
        assert self.receive()[0] == HELLO
        self.send(FEATURES)
        self.number = self.expect(FEATURES_REPLY)[13]

    def send(self, kind, body=b""):
        self.socket.sendall(struct.pack("!BBHI", 4, kind, 8 + len(body), 1) + body)

    def receive(self):
        _, kind, size, _ = struct.unpack("!BBHI", read_exactly(self.socket, 8))
        return kind, read_exactly(self.socket, size - 8)

    def expect(self, kind):
        while (message := self.receive())[0] != kind:
            pass
        return message[1]

    def events(self):
        """The kinds of what came before the answer to a barrier."""
        self.send(BARRIER)
        kinds = []
        while (message := self.receive())[0] != BARRIER_REPLY:
            kinds.append(message[0])
        return kinds


def test_auxiliary_connections(lan):
    path = lan.dir / "controller"
    listener = socket.socket(socket.AF_UNIX)
    listener.settimeout(10)
    listener.bind(str(path))
    listener.listen()
    lan.vsctl("set-fail-mode", "br0", "secure", "--", "set-controller", "br0", f"unix:{path}", "--",
              "set", "Controller", "br0", "other_config:aux-connections=2")
    # The row was made and changed in one transaction, so there is one main connection.
    connections = sorted((Accepted(listener) for _ in range(3)), key=lambda connection: connection.number)
    assert [connection.number for connection in connections] == [0, 1, 2]
    lan.ofctl("add-flow", "br0", "dl_type=0x88b5,actions=controller")
    raw = raw_socket(lan.h1, "eth0")
    for station in range(60):
        raw.send(b"\xff" * 6 + bytes([2, 0, 0, 0, 1, station]) + b"\x88\xb5" + bytes(60))
    got = [[], [], []]

    def all_came():
        for kinds, connection in zip(got, connections):
            kinds += connection.events()
        return sum(kinds.count(PACKET_IN) for kinds in got) >= 60

    until(all_came, "all packets are sent to the controller")
    assert all(kinds.count(PACKET_IN) > 5 for kinds in got), got
    # Other events are the main connection's.
    lan.ofctl("mod-port", "br0", "p2", "no-flood")
    assert PORT_STATUS in connections[0].events()
    assert all(PORT_STATUS not in connection.events() for connection in connections[1:])
    # One that ends is dialled again; all end with the main one.
    connections[2].socket.close()
    connections[2] = Accepted(listener)
    assert connections[2].number == 2
    connections[0].socket.close()
    for connection in connections[1:]:
        until(lambda: connection.socket.recv(4096) == b"", "it ends")
    again = [Accepted(listener) for _ in range(3)]
    assert sorted(connection.number for connection in again) == [0, 1, 2]
    lan.vsctl("del-controller", "br0")
    for connection in again:
        until(lambda: connection.socket.recv(4096) == b"", "it ends")
    refused = lan.vsctl("set-controller", "br0", "ptcp:6699", "--", "set", "Controller", "br0",
                        "other_config:aux-connections=1", check=False)
    assert refused.returncode != 0 and "aux-connections" in refused.stderr
    listener.close()
