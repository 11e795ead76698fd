"""Bytes on sockets: raw frames in a namespace, and as much of OpenFlow and JSON-RPC as it takes to be rude."""

import ctypes
import os
import socket
import struct

_libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


def raw_socket(namespace, interface, ethertype=0x88B5):
    """A packet socket on an interface of a namespace; it stays there."""
    home, there = os.open("/proc/thread-self/ns/net", os.O_RDONLY), os.open(f"/run/netns/{namespace.name}", os.O_RDONLY)
    try:
        assert _libc.setns(there, CLONE_NEWNET) == 0
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ethertype))
        raw.bind((interface, ethertype))
        return raw
    finally:
        assert _libc.setns(home, CLONE_NEWNET) == 0
        os.close(home)
        os.close(there)


def unix_socket(path):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(5)
    client.connect(str(path))
    return client


def read_exactly(client, size):
    data = b""
    while len(data) < size:
        part = client.recv(size - len(data))
        if not part:
            raise EOFError(f"closed after {len(data)} of {size} bytes")
        data += part
    return data


class OpenFlow:
    """An OpenFlow 1.0 connection."""
    HELLO, ERROR, ECHO, FLOW_MOD, BARRIER, BARRIER_REPLY = 0, 1, 2, 14, 18, 19

    def __init__(self, path, version=1):
        self.version = version
        self.socket = unix_socket(path)
        self.send(self.HELLO)
        assert self.receive()[0] == self.HELLO

    def send(self, kind, body=b"", xid=1, size=None, version=None):
        """`size` and `version` lie about the message if given."""
        header = struct.pack("!BBHI", version or self.version, kind, 8 + len(body) if size is None else size, xid)
        self.socket.sendall(header + body)

    def receive(self):
        """(type, xid, body) of the next message."""
        _, kind, size, xid = struct.unpack("!BBHI", read_exactly(self.socket, 8))
        return kind, xid, read_exactly(self.socket, size - 8)

    def expect(self, kind):
        while (message := self.receive())[0] != kind:
            pass
        return message

    def flow_mod(self, in_port, out_port, command=0):
        """Adds (or, with `command`, changes) the rule that sends one port's frames to another."""
        wildcards_but_in_port = 0x3FFFFF & ~1
        match = struct.pack("!IH34x", wildcards_but_in_port, in_port)
        rest = struct.pack("!QHHHHIHH", 0, command, 0, 0, 100, 0xFFFFFFFF, 0xFFFF, 0)
        action = struct.pack("!HHHH", 0, 8, out_port, 0)
        self.send(self.FLOW_MOD, match + rest + action)

    def barrier(self):
        self.send(self.BARRIER)
        self.expect(self.BARRIER_REPLY)

    def close(self):
        self.socket.close()
