"""An idle switch is cheap, unless it is told not to sleep."""

import time
from pathlib import Path

from lab import until


def cpu_shares(switch, seconds=2, rounds=3):
    """Of a core, in some rounds: what else the machine does makes the same work longer, or leaves less for it."""
    shares = []
    for _ in range(rounds):
        before = switch.cpu_seconds()
        time.sleep(seconds)
        shares.append((switch.cpu_seconds() - before) / seconds)
    return shares


def sleeps(switch, seconds=1):
    """How often the worker gave the CPU away by itself."""
    def count():
        for task in Path(f"/proc/{switch.pid()}/task").iterdir():
            if (task / "comm").read_text().startswith("worker-"):
                return int((task / "status").read_text().split("voluntary_ctxt_switches:")[1].split()[0])
    before = count()
    time.sleep(seconds)
    return count() - before


def test_idle_with_kernel_ports(lan):
    assert lan.h1.ping("10.0.0.2")
    assert min(cpu_shares(lan)) < 0.05


def test_idle_with_a_polled_port(lan):
    lan.vsctl("add-port", "br0", "dp0", "--", "set", "Interface", "dp0", "type=dpdk",
              "options:dpdk-devargs=net_null0,no-rx=1")
    assert min(cpu_shares(lan)) < 0.05


def test_a_worker_never_sleeps_when_told_so(lan):
    lan.vsctl("add-port", "br0", "dp0", "--", "set", "Interface", "dp0", "type=dpdk",
              "options:dpdk-devargs=net_null0,no-rx=1")
    assert sleeps(lan) > 20
    lan.vsctl("set", "Open_vSwitch", ".", "other_config:pmd-sleep-max=0")
    until(lambda: sleeps(lan) < 5, "a worker that does not sleep")
    assert lan.h1.ping("10.0.0.2", count=3)


def test_a_packet_socket_of_dpdk_wakes_the_worker(lab):
    """Its port has to be polled, but its descriptor tells of frames: no pauses, and no waiting for their end."""
    switch = lab.switch()
    switch.vsctl("add-br", "br0")
    hosts = [lab.host(switch, f"v{n}", f"10.0.0.{n}/24") for n in (1, 2)]
    for n in (1, 2):
        switch.vsctl("add-port", "br0", f"d{n}", "--", "set", "Interface", f"d{n}", "type=dpdk",
                     f"options:dpdk-devargs=net_af_packet{n},iface=v{n},qpairs={n}", f"options:n_rxq={n}")
    for host in hosts:
        host.run("ethtool", "-K", "eth0", "tx", "off")
    # Longer than any test has patience for, if it were slept through.
    switch.vsctl("set", "Open_vSwitch", ".", "other_config:pmd-sleep-max=10000")
    until(lambda: hosts[0].ping("10.0.0.2"), "a way")
    # A worker that pauses would wake a hundred times a second; one that waits looks around ten times.
    until(lambda: sleeps(switch) < 60, "a worker that waits for descriptors")
    assert hosts[1].ping("10.0.0.1", count=5)
