"""The database survives every end of the daemon, and the daemon leaves nothing behind."""

import random
import threading

import pytest
from lab import BIN, CommandFailed, until


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_restart_brings_everything_back(lan, end):
    lan.vsctl("set-controller", "br0", "tcp:127.0.0.1:6653", "--", "set-fail-mode", "br0", "standalone")
    lan.vsctl("add-br", "br1", "--", "add-port", "br1", "tun", "--", "set", "Interface", "tun", "type=gre",
              "options:remote_ip=192.0.2.1", "ofport_request=77")
    before = lan.vsctl("--columns=name,type,options,ofport", "list", "Interface").stdout
    if end == "stop":
        assert lan.stop() == 0
    else:
        lan.kill()
    lan.start()
    assert lan.vsctl("list-br").stdout.split() == ["br0", "br1"]
    assert lan.vsctl("get-controller", "br0").stdout.split() == ["tcp:127.0.0.1:6653"]
    after = lan.vsctl("--columns=name,type,options,ofport", "list", "Interface").stdout
    assert sorted(after.splitlines()) == sorted(before.splitlines())
    lan.vsctl("del-controller", "br0")
    until(lambda: lan.h1.ping("10.0.0.2"), "forwards again")


def test_clean_exit_leaves_nothing(lan):
    lan.vsctl("add-port", "br0", "tap7", "--", "set", "Interface", "tap7", "type=internal",
              "--", "add-port", "br0", "tap8", "--", "set", "Interface", "tap8", "type=tap")
    lan.vsctl("add-port", "br0", "dp0", "--", "set", "Interface", "dp0", "type=dpdk",
              "options:dpdk-devargs=net_null0,no-rx=1")
    assert {"br0", "tap7", "tap8"} <= lan.namespace.interfaces()
    assert (lan.rundir / "br0.mgmt").exists()
    assert lan.stop() == 0
    assert lan.namespace.interfaces() == {"lo", "p1", "p2"}
    assert list(lan.rundir.iterdir()) == []


def test_a_second_daemon_is_refused(lan):
    done = lan.namespace.run(BIN / "switchd", "--rundir", lan.rundir, "--dbdir", lan.dbdir, "--no-huge", check=False)
    assert done.returncode != 0
    assert str(lan.pid()) in done.stderr + done.stdout and str(lan.rundir) in done.stderr + done.stdout
    assert lan.h1.ping("10.0.0.2"), "the first one goes on"


def test_every_confirmed_command_survives_kill(lab):
    switch = lab.switch()
    switch.vsctl("add-br", "br0")
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    pick = random.Random(seed)
    number, confirmed = 0, []
    for _ in range(3):
        timer = threading.Timer(pick.uniform(0.2, 1.0), switch.process.kill)
        timer.start()
        while True:
            number += 1
            done = switch.vsctl("-t", "3", "add-port", "br0", f"g{number}", "--", "set", "Interface", f"g{number}",
                                "type=gre", "options:remote_ip=192.0.2.1", f"options:key={number}", check=False)
            if done.returncode != 0:
                break
            confirmed.append(f"g{number}")
        timer.join()
        switch.process.wait()
        switch.start()
        ports = set(switch.vsctl("list-ports", "br0").stdout.split())
        assert set(confirmed) <= ports, f"lost: {set(confirmed) - ports}"
    assert confirmed


def test_a_damaged_log_is_named(lab):
    """A database file that is no database: the daemon says which, and does not start on an empty one."""
    switch = lab.switch()
    switch.vsctl("add-br", "br0")
    switch.stop()
    files = [path for path in switch.dbdir.iterdir() if path.stat().st_size]
    assert len(files) >= 1
    for path in files:
        path.write_bytes(b"nonsense\n" + path.read_bytes())
    with pytest.raises((RuntimeError, CommandFailed, AssertionError)):
        switch.start()
    assert any(str(path) in switch.log() for path in files)


def test_tools_fail_fast_without_a_daemon(lab):
    namespace = lab.namespace("none")
    for program, words in ("vsctl", ["--db=unix:/nonexistent/db.sock", "show"]), ("ofctl", ["show", "/nonexistent/br0.mgmt"]):
        done = namespace.run(BIN / program, *words, check=False, timeout=5)
        assert done.returncode != 0 and "/nonexistent/" in done.stderr
