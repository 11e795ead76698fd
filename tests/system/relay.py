"""A wire that can be watched: frames between two interfaces of a namespace, IP fragments counted and, if wished, turned
around."""

import select
import socket
import struct
import threading

from wire import raw_socket

ETH_P_ALL = 3
HELD_MAX = 64


def fragment(frame):
    """(the datagram's key, whether this is its last fragment) of a fragment, else None."""
    kind = struct.unpack_from("!H", frame, 12)[0] if len(frame) >= 34 else 0
    if kind == 0x0800:
        number, offset = struct.unpack_from("!HH", frame, 18)
        if offset & 0x3FFF:
            return (frame[23:24] + frame[26:34], number), not offset & 0x2000
    if kind == 0x86DD and len(frame) >= 62 and frame[20] == 44:
        _, offset, number = struct.unpack_from("!BxHI", frame, 54)
        return (frame[22:54], number), not offset & 1
    return None


class Direction:
    """One way through the wire."""

    def __init__(self, source, sink):
        self.source, self.sink = source, sink
        self.frames = self.fragments = self.reversed = 0
        self.largest = 0
        self.held, self.key = [], None

    def pass_on(self, reverse):
        frame, address = self.source.recvfrom(65536)
        if address[2] == socket.PACKET_OUTGOING:
            return
        self.frames += 1
        self.largest = max(self.largest, len(frame))
        part = fragment(frame)
        if part:
            self.fragments += 1
        if not reverse or not part:
            return self._send(frame)
        key, last = part
        if key != self.key or len(self.held) >= HELD_MAX:
            self._release()
        self.held.append(frame)
        self.key = key
        if last:
            self.reversed += len(self.held) > 1
            self._release()

    def _release(self):
        for frame in reversed(self.held):
            self._send(frame)
        self.held.clear()

    def _send(self, frame):
        try:
            self.sink.send(frame)
        except OSError:
            pass  # an interface that goes away with its test


class Relay:
    """Joins the interfaces `left` and `right` of a namespace until it is closed."""

    def __init__(self, namespace, left, right):
        self.reverse = False
        sockets = [raw_socket(namespace, name, ETH_P_ALL) for name in (left, right)]
        self.rightward, self.leftward = Direction(*sockets), Direction(*reversed(sockets))
        self._end, self._ended = socket.socketpair()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self):
        while True:
            ready, _, _ = select.select([self._ended, self.rightward.source, self.leftward.source], [], [])
            if self._ended in ready:
                return
            for direction in self.rightward, self.leftward:
                if direction.source in ready:
                    try:
                        direction.pass_on(self.reverse)
                    except OSError:
                        return

    def close(self):
        self._end.close()
        self._thread.join()
        for each in self.rightward.source, self.leftward.source, self._ended:
            each.close()
