"""BPDUs by real frames: what NORMAL does with reserved destinations, the counters and all who show them, the alarm."""

import contextlib
import json
import os
import socket
import subprocess
import time
import tomllib

import pytest
from lab import BIN, ROOT, CommandFailed, run, until
from wire import raw_socket

STP, LACP, LLDP = "01:80:c2:00:00:00", "01:80:c2:00:00:02", "01:80:c2:00:00:0e"
TUNNELLED = "01:00:0c:cd:cd:d0"
RSTP = bytes.fromhex("424203 0000 02 02") + bytes(32)
ALL_TYPES = 3  # ETH_P_ALL


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def bpdu(dst=STP, body=RSTP, tag=None):
    tag = b"" if tag is None else b"\x81\x00" + tag.to_bytes(2, "big")
    return mac(dst) + mac("02:00:00:00:00:01") + tag + len(body).to_bytes(2, "big") + body


def protocol(dst, ethertype):
    return mac(dst) + mac("02:00:00:00:00:01") + ethertype.to_bytes(2, "big") + b"reserved" + bytes(40)


class Wire:
    """What a host sends, and which of its frames another one gets."""

    def __init__(self, switch):
        self.tx = raw_socket(switch.h1, "eth0", ALL_TYPES)
        self.rx = raw_socket(switch.h2, "eth0", ALL_TYPES)
        self.rx.settimeout(0.1)
        self.number = 0

    def crosses(self, frame):
        """Whether a frame gets through, before one that does for sure."""
        self.number += 1
        marker = protocol("02:00:00:00:00:99", 0x88B5) + self.number.to_bytes(4, "big")
        self.tx.send(frame)

        def seen():
            self.tx.send(marker)
            got = []
            try:
                while marker not in got:
                    got.append(self.rx.recv(2000))
            except TimeoutError:
                return None
            return [frame[:14] == other[:14] for other in got]

        return any(until(seen, "the marker arrives"))


def test_reserved_destinations(lan):
    wire = Wire(lan)
    frames = [bpdu(STP), protocol(LACP, 0x8809), protocol(LLDP, 0x88CC), protocol("01:80:c2:00:00:10", 0x88B5)]
    crossing = lambda: [wire.crosses(frame) for frame in frames]
    until(lambda: wire.crosses(frames[3]), "the switch forwards")
    assert crossing() == [False, False, False, True]
    lan.vsctl("set", "Bridge", "br0", f'other_config:forward-reserved="{STP},{LACP}"')
    assert crossing() == [True, True, False, True]
    lan.vsctl("set", "Bridge", "br0", f'other_config:forward-reserved="!{LACP}"', "other_config:forward-bpdu=true")
    assert crossing() == [True, False, True, True]
    lan.vsctl("clear", "Bridge", "br0", "other_config")
    assert crossing() == [False, False, False, True]


@pytest.mark.parametrize("tool", ["vsctl", "stock_vsctl"])
@pytest.mark.parametrize("list", ["01:80:c2:00:00:10", "hello", f"{STP},{STP}", f"{STP},", "!"])
def test_other_addresses_are_refused(lan, tool, list):
    with pytest.raises(CommandFailed) as error:
        getattr(lan, tool)("set", "Bridge", "br0", f'other_config:forward-reserved="{list}"')
    assert "forward-reserved" in str(error.value) and "twice" in str(error.value) or "01:00:0c:cc:cc:cd PVST+" in str(error.value)
    assert "forward-reserved" not in lan.vsctl("get", "Bridge", "br0", "other_config").stdout


def counts(switch, port):
    return json.loads(switch.ofctl("--json", "bpdu", "br0", port).stdout)[0]


def test_counters_everywhere(lan):
    wire = Wire(lan)
    lan.ofctl("add-flow", "br0", "in_port=1,bpdu_type=rstp,actions=bpdu(tunnel),output:2")
    lan.ofctl("add-flow", "br0", "in_port=2,actions=bpdu(untunnel),output:1")
    before = lan.ofctl("dump-ports", "br0").stdout
    assert "bpdus" not in before
    for tag in None, 7:
        wire.tx.send(bpdu(tag=tag))
    until(lambda: counts(lan, "p1")["rx"]["rstp"] == 2, "both were counted")
    assert counts(lan, "p1")["rx"] == {"bpdus": 2, "stp": 0, "rstp": 2, "mstp": 0, "tcn": 0, "pvst": 0}
    until(lambda: counts(lan, "p2")["tx"]["rstp"] == 2, "both were sent")
    assert counts(lan, "p2")["rx"]["bpdus"] == counts(lan, "p1")["tx"]["bpdus"] == 0
    assert counts(lan, "p1")["name"] == "p1" and counts(lan, "p1")["gpw"] is None

    text = lan.ofctl("bpdu", "br0", "p1").stdout
    assert text.splitlines() == [
        "  port  1: rx bpdus=2, stp=0, rstp=2, mstp=0, tcn=0, pvst=0",
        "           tx bpdus=0, stp=0, rstp=0, mstp=0, tcn=0, pvst=0",
    ]
    assert "bpdus: rx=2, tx=0" in lan.ofctl("dump-ports", "br0", "p1").stdout
    assert "bpdus" not in lan.stock_ofctl("dump-ports", "br0", "p1").stdout
    statistics = lambda port: lan.vsctl("get", "Interface", port, "statistics").stdout
    until(lambda: "rx_bpdus=2" in statistics("p1"), "the database says so")
    assert "rx_bpdu_rstp=2" in statistics("p1") and "tx_bpdus=0" in statistics("p1")
    assert "rx_bpdu_stp" not in statistics("p1")

    # What comes back in disguise is a BPDU again.
    back = raw_socket(lan.h1, "eth0", ALL_TYPES)
    back.settimeout(5)
    wire.rx.send(bpdu(TUNNELLED))
    until(lambda: back.recv(2000)[:6] == mac(STP), "the destination is restored")
    assert counts(lan, "p2")["rx"]["rstp"] == 1 and counts(lan, "p1")["tx"]["rstp"] == 1


def test_dump_ports_of_a_stock_switch(lab):
    stock = lab.stock_switch()
    stock.add_br("br0")
    ours = run(BIN / "ofctl", "dump-ports", "br0", env=stock.env).stdout
    assert "port LOCAL" in ours and "bpdus" not in ours
    with pytest.raises(CommandFailed, match="does not count BPDUs"):
        run(BIN / "ofctl", "bpdu", "br0", env=stock.env)


def test_gpwstats_of_a_tunnel(lan):
    lan.vsctl("add-port", "br0", "tun", "--", "set", "Interface", "tun", "type=vxlan", "options:remote_ip=192.0.2.1")
    lines = lan.ofctl("--gpwstats", "bpdu", "br0", "tun").stdout.splitlines()
    names = [f"{side}_{way}_{what}" for side in ("ul", "dl") for way in ("rx", "tx")
             for what in ("packets", "bytes", "bpdus", "errors")]
    assert lines == [f"gpwstats.{name}".ljust(24) + "0".rjust(20) for name in names]
    for wrong in ["p1"], []:
        with pytest.raises(CommandFailed, match="a tunnel's"):
            lan.ofctl("--gpwstats", "bpdu", "br0", *wrong)


class Check:
    """check_bpdu, started while frames are sent."""

    def __init__(self, switch):
        self.switch = switch

    def start(self, *words):
        tools = [f"--ofctl={BIN / 'ofctl'}", f"--vsctl={BIN / 'vsctl'}"]
        env = {**os.environ, **self.switch.env}
        return subprocess.Popen([ROOT / "contrib/nagios/check_bpdu", *tools, *words], env=env, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def run(self, *words):
        process = self.start(*words)
        out, _ = process.communicate(timeout=30)
        return process.returncode, out.strip()


def test_the_alarm(lan):
    wire, check = Wire(lan), Check(lan)
    lan.ofctl("add-flow", "br0", "in_port=1,bpdu_type=rstp,actions=output:2")

    def while_sending(number, *words):
        before = counts(lan, "p1")["rx"]["bpdus"]
        process = check.start("-i", "3", *words)
        # The first sample is taken at once; what is sent later falls between the two.
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)
        for _ in range(number):
            wire.tx.send(bpdu())
        out, _ = process.communicate(timeout=30)
        assert counts(lan, "p1")["rx"]["bpdus"] == before + number
        return process.returncode, out.strip()

    assert while_sending(5, "br0", "p1") == (0, "BPDU OK: 5 BPDUs received on br0 port p1 in 3 s|bpdus=5;4;1;0")
    assert while_sending(2, "br0", "p1")[0] == 1
    assert while_sending(0, "br0", "p1") == (2, "BPDU CRITICAL: 0 BPDUs received on br0 port p1 in 3 s|bpdus=0;4;1;0")
    assert while_sending(3, "-w3", "br0")[0] == 0
    assert while_sending(3, "--kind=mstp", "br0")[0] == 2
    assert while_sending(3, "--direction", "tx", "--warning=3", "--kind", "rstp", "br0", "p2")[0] == 0


def test_the_alarm_without_an_answer(lan):
    check = Check(lan)
    for words in ([], ["br0", "p1", "more"], ["-w", "x", "br0"], ["-w", "1", "-c", "2", "br0"], ["-i", "0", "br0"], ["-i", "08", "br0"], ["-w"],
                  ["--kind", "lacp", "br0"], ["--direction", "up", "br0"], ["--nonsense", "br0"], ["-i", "9", "-t", "9", "br0"],
                  ["--ofctl", "/nowhere/ofctl", "br0"]):
        code, text = check.run(*words)
        assert code == 3 and text.startswith("BPDU UNKNOWN: "), (words, text)
    assert check.run("--help")[0] == check.run("--version")[0] == 0
    assert check.run("-i", "1", "br0", "p9") == (3, "BPDU UNKNOWN: br0 has no port p9")
    assert check.run("-i", "1", "br9") == (3, "BPDU UNKNOWN: there is no bridge br9")
    lan.stop()
    code, text = check.run("-i", "1", "br0", "p1")
    assert code == 2 and text.startswith("BPDU CRITICAL: the switch does not answer: ") and len(text.splitlines()) == 1


def test_the_alarm_is_in_time(lan):
    """Somebody listens and takes no connections: the timeout holds for connecting too."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, contextlib.ExitStack() as stack:
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        start = time.monotonic()
        code, text = Check(lan).run("-i", "1", "-t", "2", f"tcp:127.0.0.1:{server.getsockname()[1]}")
        assert (code, time.monotonic() - start < 4) == (2, True), text


def test_the_alarm_when_the_switch_restarts(lan):
    wire, check = Wire(lan), Check(lan)
    wire.tx.send(bpdu())
    wire.tx.send(bpdu())
    until(lambda: counts(lan, "p1")["rx"]["bpdus"] == 2, "they were counted")
    process = check.start("-i", "8", "-t", "30", "-w", "1", "br0", "p1")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    lan.stop()
    lan.start()
    until(lambda: "p1" in lan.ofctl("dump-ports-desc", "br0").stdout, "the port is back")
    wire.tx.send(bpdu())
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, "(the counter began anew)|bpdus=1;1;1;0" in out) == (0, True), out


def test_telegraf_reads_what_ofctl_prints(lan):
    """The example's command as it stands, and its settings against the document that it gets."""
    [plugin] = tomllib.loads((ROOT / "contrib/telegraf/bpdu.conf").read_text())["inputs"]["exec"]
    [command] = plugin["commands"]
    words = command.split()
    ports = json.loads(run(BIN / words[0], *words[1:], env=lan.env).stdout)
    assert plugin["data_format"] == "json" and len(ports) == 3
    assert all(tag in port for port in ports for tag in plugin["tag_keys"])
    assert all(isinstance(number, int) for port in ports for way in ("rx", "tx") for number in port[way].values())
