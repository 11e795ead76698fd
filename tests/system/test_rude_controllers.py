"""Controllers that flood, stall, send what nobody can read, or do not read themselves: each is held back, counted
and answered, and neither the others nor the packets notice."""

import socket
import struct
import threading
import time

import pytest
from lab import until
from wire import OpenFlow, raw_socket, read_exactly

V10, V13 = 1, 4
# A debug build on a busy machine is slow; who is starved waits for as long as the flood lasts.
PATIENCE = 3.0
FLOOD_SECONDS = 4.0


def message(version, kind, body=b"", xid=7):
    return struct.pack("!BBHI", version, kind, 8 + len(body), xid) + body


def flow_mod13(port):
    match = struct.pack("!HHII", 1, 12, 0x80000004, port) + bytes(4)
    return message(V13, 14, struct.pack("!QQBBHHHIIIHH", 0, 0, 9, 0, 0, 0, 5, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0, 0) + match)


def packet_out13():
    """To nowhere, by way of all tables: what would come out of a port would keep its host busy, and not the switch."""
    action = struct.pack("!HHIHBB4s", 0xFFFF, 16, 0x2320, 14, 0xFF, 0xF8, b"\x05\0\0\0")
    return message(V13, 13, struct.pack("!IIH6x", 0xFFFFFFFF, 0xFFFFFFFD, len(action)) + action + bytes(60))


def bundle_add(add):
    return message(V13, 4, struct.pack("!IIIHH", 0x4F4E4600, 2301, 1, 0, 1) + add)


def multipart13(kind, body=b""):
    return message(V13, 18, struct.pack("!HH4x", kind, 0) + body)


ALL_FLOWS = struct.pack("!B3xII4xQQ", 255, 0xFFFFFFFF, 0xFFFFFFFF, 0, 0) + struct.pack("!HH4x", 1, 4)
BUNDLE_OPEN = message(V13, 4, struct.pack("!IIIHH", 0x4F4E4600, 2300, 1, 0, 1))

# What is sent again and again.
FLOODS = {
    "flow_mods": b"".join(flow_mod13(port) for port in range(1, 200)),
    "echo_requests": message(V13, 2, bytes(100)) * 100,
    "packet_outs": packet_out13() * 100,
    "flow_requests": multipart13(1, ALL_FLOWS) * 100,
    "aggregate_requests": multipart13(2, ALL_FLOWS) * 100,
    "port_requests": multipart13(13) * 100,
    "barriers": message(V13, 20) * 100,
    "noise": message(V13, 99, bytes(range(40))) * 100,
    "bundle": BUNDLE_OPEN + b"".join(bundle_add(flow_mod13(port)) for port in range(1, 200)),
}


class Flood(threading.Thread):
    """Sends for a while as fast as the switch takes it; reads what comes, or does not."""

    def __init__(self, switch, data, reads):
        super().__init__()
        self.connection, self.data, self.reads = OpenFlow(switch.rundir / "br0.mgmt", V13), data, reads
        self.sent, self.ends = 0, time.monotonic() + FLOOD_SECONDS
        self.start()

    def run(self):
        client = self.connection.socket
        client.setblocking(False)
        rest = self.data
        while time.monotonic() < self.ends:
            try:
                rest = rest[client.send(rest):] or self.data
                self.sent += 1
            except BlockingIOError:
                time.sleep(0.001)
            except (BrokenPipeError, ConnectionResetError):
                # Hung up on: it left more unread than the switch keeps.
                return
            try:
                while self.reads and client.recv(1 << 20):
                    pass
            except (BlockingIOError, ConnectionResetError):
                pass

    def close(self):
        self.join()
        self.connection.close()


def coverage(switch):
    text = switch.namespace.run("ovs-appctl", "-t", str(next(switch.rundir.glob("ovs-vswitchd.*.ctl"))), "coverage/show")
    return {words[0]: int(words[1]) for line in text.stdout.splitlines() if len(words := line.split(None, 2)) > 1}


@pytest.mark.parametrize("reads", [True, False], ids=["reads", "does_not_read"])
@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood(lan, kind, reads):
    lan.ofctl("add-flows", "br0", "-", stdin="".join(f"table=5,priority={n},actions=drop\n" for n in range(1, 2000)))
    polite = OpenFlow(lan.rundir / "br0.mgmt")
    polite.barrier()
    memory = lan.memory_mb()
    flood = Flood(lan, FLOODS[kind], reads)
    waits = []
    while flood.is_alive():
        started = time.monotonic()
        polite.barrier()
        waits.append(time.monotonic() - started)
        assert lan.h1.ping("10.0.0.2", 3)
    assert flood.sent > 1 and waits
    assert max(waits) < PATIENCE, sorted(waits)[-5:]
    assert lan.memory_mb() < memory + 150
    counted = coverage(lan)
    if kind == "noise":
        assert counted["openflow_malformed"] > 100
    if not reads and kind in ("echo_requests", "flow_requests", "port_requests", "noise"):
        assert counted["openflow_held_back"] > 0
    flood.close()
    until(lambda: coverage(lan)["openflow_waiting"] == 0, "nothing is kept for who is gone")


def test_a_stall_in_a_message(lan):
    rude, polite = (OpenFlow(lan.rundir / "br0.mgmt") for _ in range(2))
    whole = message(V10, OpenFlow.ECHO, b"0123456789")
    for cut in range(1, len(whole)):
        rude.socket.sendall(whole[:cut])
        polite.barrier()
        rude.socket.sendall(whole[cut:])
        assert rude.receive()[2] == b"0123456789"
    assert lan.h1.ping("10.0.0.2", 3)


def test_a_slow_reader_gets_everything(lan):
    """Requests without end, and nobody reads: they wait where they are. What was asked for comes when it is read."""
    lan.ofctl("add-flows", "br0", "-", stdin="".join(f"table=5,priority={n},actions=drop\n" for n in range(1, 1000)))
    rude = OpenFlow(lan.rundir / "br0.mgmt", V13)
    memory = lan.memory_mb()
    asked = 0
    rude.socket.settimeout(0.5)
    try:
        while asked < 5000:
            rude.socket.sendall(multipart13(1, ALL_FLOWS))
            asked += 1
    except socket.timeout:
        pass
    assert asked < 5000, "the switch takes requests of who does not read"
    assert lan.memory_mb() < memory + 50
    assert coverage(lan)["openflow_held_back"] > 0
    rude.socket.settimeout(20)
    for _ in range(20):
        more = True
        while more:
            kind, _, body = rude.receive()
            assert kind == 19
            more = body[3] & 1
    rude.close()


def test_packet_ins_that_nobody_reads(lan):
    lan.ofctl("add-flow", "br0", "priority=9,dl_type=0x88b5,actions=controller(max_len=1500)")
    rude, polite = (OpenFlow(lan.rundir / "br0.mgmt", V13) for _ in range(2))
    for connection in rude, polite:
        connection.send(9, struct.pack("!HH", 0, 1500))  # SET_CONFIG: a service that wants packet-ins
        connection.send(20)
        connection.expect(21)
    got = []

    def read():
        while polite.receive()[0] == 10:
            got.append(1)

    reader = threading.Thread(target=read)
    reader.start()
    raw = raw_socket(lan.h1, "eth0")
    frame = b"\xff" * 6 + b"\x02\0\0\0\0\x09" + b"\x88\xb5" + bytes(1300)
    memory = lan.memory_mb()

    def dropped():
        for _ in range(200):
            raw.send(frame)
        return coverage(lan)["openflow_packet_ins_unread"]

    until(dropped, "packet-ins are dropped and counted", seconds=60)
    assert len(got) > 4000, "who reads gets them"
    assert lan.memory_mb() < memory + 60
    assert lan.h1.ping("10.0.0.2", 3)
    rude.close()
    polite.send(20)
    reader.join(20)
    polite.close()


def test_the_rate_of_packet_ins(lan):
    lan.vsctl("set-controller", "br0", f"punix:{lan.rundir}/limited", "--", "set", "Controller", "br0",
              "controller_rate_limit=100", "controller_burst_limit=25", "type=primary")
    lan.ofctl("add-flow", "br0", "priority=9,dl_type=0x88b5,actions=controller")
    until((lan.rundir / "limited").exists, "it listens")
    controller = OpenFlow(lan.rundir / "limited", V13)
    controller.send(20)
    controller.expect(21)
    raw = raw_socket(lan.h1, "eth0")
    started = time.monotonic()
    for _ in range(500):
        raw.send(b"\xff" * 6 + b"\x02\0\0\0\0\x09" + b"\x88\xb5" + bytes(60))
    got = [0]

    def counted():
        controller.socket.settimeout(0.2)
        try:
            while True:
                got[0] += controller.receive()[0] == 10
        except socket.timeout:
            pass
        return got[0] + coverage(lan)["control_packet_ins_limited"] >= 500

    until(counted, "each is delivered or counted")
    assert 25 <= got[0] <= 25 + 100 * (time.monotonic() - started) + 1
    controller.close()


# Messages that cannot be read, by type and body, and the error (type, code) in OpenFlow 1.3.
UNREADABLE = {
    "an unknown type": (99, bytes(range(56)), (1, 1)),
    "an unknown experimenter": (4, b"\xde\xad\xbe\xef" * 14, (1, 3)),
    "an unknown statistic": (18, b"\0\x77" + bytes(54), (1, 2)),
    "a message that is too long": (5, bytes(56), (1, 6)),
    "a flow mod that is too short": (14, bytes(20), (1, 6)),
    "an unknown flow command": (14, bytes(17) + b"\x09" + bytes(22) + b"\0\x01\0\x04" + bytes(4), (5, 6)),
    "an unknown match": (14, bytes(40) + b"\0\x07\0\x04" + bytes(4), (4, 0)),
    "a field that nobody knows": (14, bytes(40) + b"\0\x01\0\x0c\x80\0\xfe\x04" + bytes(8), (4, 6)),
    "an unknown instruction": (14, bytes(40) + b"\0\x01\0\x04" + bytes(4) + b"\0\x63\0\x08" + bytes(4), (3, 0)),
    "an unknown action": (13, struct.pack("!IIH6x", 0xFFFFFFFF, 1, 8) + b"\0\x63\0\x08" + bytes(4), (2, 0)),
}


@pytest.mark.parametrize("kind, body, error", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_errors_quote_what_was_wrong(lan, kind, body, error):
    connection = OpenFlow(lan.rundir / "br0.mgmt", V13)
    connection.send(kind, body, xid=4711)
    kind_of_reply, xid, reply = connection.receive()
    assert (kind_of_reply, xid, struct.unpack("!HH", reply[:4])) == (OpenFlow.ERROR, 4711, error)
    sent = message(V13, kind, body, 4711)
    assert reply[4:68] == sent[:64]
    assert sent.startswith(reply[4:])
    connection.close()


@pytest.mark.parametrize("version", range(1, 7))
def test_every_version_quotes(lan, version):
    connection = OpenFlow(lan.rundir / "br0.mgmt", version)
    for kind, body in (99, bytes(range(56))), (4, b"\xde\xad\xbe\xef" * 14), (14, bytes(3)):
        connection.send(kind, body, xid=5)
        got = connection.receive()
        assert got[:2] == (OpenFlow.ERROR, 5) and got[2][4:] == message(version, kind, body, 5)
    # After all that it is a connection as before.
    connection.send(OpenFlow.ECHO, b"still here")
    assert connection.receive()[2] == b"still here"
    connection.close()


def test_connections_without_a_word(lan):
    """Who comes and says nothing takes a place, not the switch; the places are counted."""
    idle = [socket.socket(socket.AF_UNIX) for _ in range(100)]
    for client in idle:
        client.connect(str(lan.rundir / "br0.mgmt"))
    assert "NORMAL" in lan.ofctl("dump-flows", "br0").stdout
    for client in idle:  # after ten seconds without a hello they are gone
        client.settimeout(30)
        assert read_exactly(client, 8)[1] == OpenFlow.HELLO
    until(lambda: coverage(lan)["openflow_hung_up"] >= 100, "they are hung up on", seconds=30)
    for client in idle:
        client.close()
