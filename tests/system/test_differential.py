"""Random flows, groups and frames through switchd and through Debian's `ovs-vswitchd --enable-dummy`: the same frames
leave by the same ports, and the same dumps come back.

`ROUNDS` in the environment is how many rounds there are, `SEED` the first one's seed; what fails names its seed. Deliberate
differences are written in docs/differences.md; the generator (random_switching.py) avoids them, as it avoids what follows
from a switch's own hash.
"""

import itertools
import json
import os
import random
import re
import select
import socket
import struct
import time

import pytest
import random_switching
from lab import flows, run, until
from wire import raw_socket

ROUNDS = int(os.environ.get("ROUNDS", 150))
SEED = int(os.environ.get("SEED", 1))
FRAMES = 24
PORTS = random_switching.OUTPUTS
VERSIONS = os.environ.get("VERSIONS", "OpenFlow10 OpenFlow11 OpenFlow12 OpenFlow13 OpenFlow14 OpenFlow15").split()
BUNDLES = os.environ.get("BUNDLES", "OpenFlow14 OpenFlow15").split()


class Dummy:
    """Open vSwitch with devices of its own that give and take frames by its control socket."""

    def __init__(self, lab):
        self.namespace, self.dir = lab.namespace("dummy"), lab.directory()
        directory = str(self.dir)
        self.env = {"OVS_RUNDIR": directory, "OVS_LOGDIR": directory, "OVS_DBDIR": directory}
        run("ovsdb-tool", "create", self.dir / "conf.db", "/usr/share/openvswitch/vswitch.ovsschema")
        database = self.dir / "db.sock"
        self.namespace.start("ovsdb-server", self.dir / "conf.db", f"--remote=punix:{database}", env=self.env)
        until(database.exists, "ovsdb-server listens")
        self.vsctl("--no-wait", "init")
        self.namespace.start("ovs-vswitchd", f"unix:{database}", "--enable-dummy", "--disable-system", "--pidfile",
                             f"--log-file={self.dir}/log", "-vconsole:off",
                             f"--unixctl={self.dir}/ctl", env=self.env)
        add = ["add-br", "br0", "--", "set", "Bridge", "br0", "datapath_type=dummy", "fail_mode=secure"]
        for port in PORTS:
            add += ["--", "add-port", "br0", f"p{port}", "--", "set", "Interface", f"p{port}", "type=dummy",
                    f"ofport_request={port}", f"options:tx_pcap={self.dir}/p{port}.pcap"]
        self.vsctl("-t", "20", *add)
        self.control = socket.socket(socket.AF_UNIX)
        self.control.connect(f"{self.dir}/ctl")
        self.captures = {port: open(self.dir / f"p{port}.pcap", "rb") for port in PORTS}
        for capture in self.captures.values():
            capture.read(24)

    def vsctl(self, *words):
        return run("ovs-vsctl", f"--db=unix:{self.dir}/db.sock", *words, env=self.env)

    def ofctl(self, *words, **options):
        return run("ovs-ofctl", *words, env=self.env, **options)

    def ask(self, method, *words):
        self.control.sendall(json.dumps({"id": 0, "method": method, "params": words}).encode())
        decoder, text = json.JSONDecoder(), ""
        while True:
            text += self.control.recv(65536).decode()
            try:
                return decoder.raw_decode(text)[0]
            except ValueError:
                continue

    def forget(self):
        self.ask("fdb/flush", "br0")

    def exchange(self, frames, learns):
        """Sends (port, bytes) one after another; what left, as (port, bytes). With `learns`, flows change by that."""
        self.ask("revalidator/purge")
        for port, data in frames:
            answer = self.ask("netdev-dummy/receive", f"p{port}", data.hex())
            assert answer["error"] is None, answer
            if learns:
                time.sleep(0.002)
                self.ask("revalidator/purge")
        came, quiet = [], 0
        while quiet < 4:
            self.ask("version")
            new = [(port, data) for port, capture in self.captures.items() for data in records(capture)]
            quiet = 0 if new else quiet + 1
            came += new
            time.sleep(0.001)
        self.ask("revalidator/purge")
        return came


def records(capture):
    while len(header := capture.read(16)) == 16:
        size = struct.unpack("=IIII", header)[2]
        yield capture.read(size)


class Ours:
    """switchd between veth cables."""

    def __init__(self, lab):
        self.switch = lab.switch("differs")
        there = lab.namespace("there")
        for namespace in self.switch.namespace, there:
            namespace.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
        add = ["add-br", "br0", "--", "set-fail-mode", "br0", "secure"]
        for port in PORTS:
            lab.veth(self.switch.namespace, f"p{port}", there, f"h{port}", mtu=2000)
            add += ["--", "add-port", "br0", f"p{port}", "--", "set", "Interface", f"p{port}", f"ofport_request={port}"]
        self.switch.vsctl(*add)
        self.control = next(self.switch.rundir.glob("ovs-vswitchd.*.ctl"))
        self.sockets = {port: raw_socket(there, f"h{port}", ethertype=3) for port in PORTS}
        for raw in self.sockets.values():
            raw.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)

    def ofctl(self, *words, **options):
        return self.switch.stock_ofctl(*words, **options)

    def forget(self):
        run("ovs-appctl", "-t", self.control, "fdb/flush", "br0")

    def exchange(self, frames, expected, pause):
        """As above; `expected` is how many frames should come, `pause` the seconds between those that go."""
        for port, data in frames:
            self.sockets[port].send(data)
            time.sleep(pause)
        came, by_socket = [], {raw: port for port, raw in self.sockets.items()}
        deadline = time.monotonic() + 2
        while (left := deadline - time.monotonic()) > 0:
            # When all have come, a moment for those that should not.
            ready, _, _ = select.select(list(by_socket), [], [], 0.005 if len(came) >= expected else left)
            if not ready and len(came) >= expected:
                break
            for raw in ready:
                data, ancillary, _, address = raw.recvmsg(65536, 256, socket.MSG_DONTWAIT)
                if address[2] != socket.PACKET_OUTGOING:
                    came.append((by_socket[raw], with_tag(data, ancillary)))
        return came


SOL_PACKET, PACKET_AUXDATA = 263, 8


def with_tag(data, ancillary):
    """A frame with the outer VLAN tag that the kernel has taken from it (packet(7))."""
    for level, kind, value in ancillary:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, *_, tci, tpid = struct.unpack("=IIIHHHH", value[:20])
            if status & 0x10:
                return data[:12] + struct.pack("!HH", tpid if status & 0x40 else 0x8100, tci) + data[12:]
    return data


@pytest.fixture(scope="module")
def pair(shared_lab):
    return Dummy(shared_lab), Ours(shared_lab)


def state(rng):
    """Lines of a bundle file: groups and flows."""
    groups, lines = [], []
    for number in range(1, rng.choice([1, 2, 4])):
        lines.append("group add " + random_switching.group(rng, number, groups))
        groups.append(number)
    priorities = rng.sample(range(1, 60), rng.randrange(4, 25))
    made = [random_switching.flow(rng, priority, groups) for priority in priorities]
    if rng.random() < 0.4:
        made += random_switching.conjunctions(rng, rng.randrange(60, 70), rng.randrange(1, 5))
    if rng.random() < 0.3:
        made += [random_switching.learning(rng, priority) for priority in rng.sample(range(70, 80), 2)]
    lines += ["flow add " + flow for flow in made]
    return lines


def load(switch, lines, version, directory):
    """All of the state of before goes, the new one comes: in a bundle, or message by message."""
    file = directory / "lines"
    if version in BUNDLES:
        file.write_text("\n".join(["flow delete", "group delete group_id=all", *lines]) + "\n")
        return switch.ofctl("-O", version, "bundle", "br0", str(file), check=False)
    # In 1.1 this ends the process of Debian's Open vSwitch.
    for command in "del-flows", "del-groups":
        switch.ofctl("-O", "OpenFlow13", command, "br0")
    for kind in "group", "flow":
        chosen = [line.removeprefix(f"{kind} add ") for line in lines if line.startswith(kind)]
        file.write_text("".join(f"{line}\n" for line in chosen))
        result = switch.ofctl("-O", version, f"add-{kind}s", "br0", str(file), check=False)
        if result.returncode != 0:
            return result
    return result


def dump(switch, what, version):
    text = switch.ofctl("-O", version, what, "br0").stdout
    # The head has a transaction id; ages are not compared, and Open vSwitch leaves groups out of ref_count.
    return sorted(re.sub(r"duration=[0-9.]+s,?|idle_age=\d+, |hard_age=\d+, |ref_count=\d+,", "", line).strip() for line in text.splitlines()[1:])


@pytest.mark.parametrize("seed", range(SEED, SEED + ROUNDS, 25))
def test_the_same_frames_and_dumps(pair, seed, tmp_path):
    dummy, ours = pair
    for number in range(seed, min(seed + 25, SEED + ROUNDS)):
        rng = random.Random(number)
        version, lines = rng.choice(VERSIONS), state(rng)
        shown = f"SEED={number} ROUNDS=1 {version}\n" + "\n".join(lines)
        results = [load(switch, lines, version, tmp_path) for switch in (dummy, ours)]
        accepted = [result.returncode == 0 for result in results]
        assert accepted[0] == accepted[1], f"{shown}\nOpen vSwitch: {results[0].stderr}\nours: {results[1].stderr}"
        if not accepted[0]:
            assert error(results[0].stderr) == error(results[1].stderr), shown
            continue
        # What is learnt from a frame holds for the next one, which therefore waits. Open vSwitch learns from the first
        # frame of a flow only, so everybody stays where they are.
        learns = any("learn(" in line or "NORMAL" in line for line in lines)
        frames = []
        for index in range(FRAMES):
            port = rng.choice(PORTS[:3] if learns else PORTS)
            mark = struct.pack("!I", number << 8 | index)
            frames.append((port, random_switching.frame(rng, mark, port if learns else None)))
        dummy.forget()
        ours.forget()
        want = dummy.exchange(frames, learns)
        came = ours.exchange(frames, len(want), 0.012 if learns else 0)
        compare(frames, want, came, shown)
        for what in "dump-flows", "dump-groups", "dump-group-stats":
            theirs, mine = dump(dummy, what, version), dump(ours, what, version)
            differ = [f"theirs {a}\n  ours {b}" for a, b in itertools.zip_longest(theirs, mine) if a != b]
            assert not differ, "\n".join([shown, what, *differ])


def error(text):
    found = re.search(r"OFP\w+|NX\w+", text)
    return found and found[0]


def compare(frames, want, came, shown):
    """All at once first; then which frame it was that went differently."""
    if sorted(want) == sorted(came):
        return
    for index, (port, data) in enumerate(frames):
        def left(sent):
            return sorted((number, frame.hex()) for number, frame in sent if frame[-1:] == data[-1:])
        assert left(came) == left(want), f"{shown}\nframe {index} into port {port}: {data.hex()}\n(ours first, then Open vSwitch)"
    assert sorted(came) == sorted(want), shown
