"""Workers and receive queues: which CPU polls which, at run time, as Open vSwitch's settings and commands say it."""

import json
import os
import re
import socket
import struct
import threading
from pathlib import Path

import pytest
from lab import run, until
from wire import raw_socket


def appctl(switch, *words, **options):
    """The stock ovs-appctl."""
    target = switch.rundir / f"ovs-vswitchd.{switch.pid()}.ctl"
    return run("ovs-appctl", "-t", target, *words, env=switch.env, **options)


def queues(switch):
    """CPU and isolation by port and queue, as the stock command shows it."""
    found, cpu, isolated = {}, None, None
    for line in appctl(switch, "dpif-netdev/pmd-rxq-show").stdout.splitlines():
        if match := re.fullmatch(r"pmd thread numa_id 0 core_id (\d+):", line):
            cpu = int(match[1])
        elif match := re.fullmatch(r"  isolated : (true|false)", line):
            isolated = match[1] == "true"
        elif match := re.match(r"  port: (\S.*?) +queue-id: +(\d+) \(enabled\) +pmd usage: +\d+ %", line):
            found[match[1], int(match[2])] = (cpu, isolated)
    return found


def add_queues(switch, name, count, *settings):
    """A polled port with so many receive queues that receive nothing."""
    switch.vsctl("add-port", "br0", name, "--", "set", "Interface", name, "type=dpdk",
                 f"options:dpdk-devargs=net_null_{name},no-rx=1", f"options:n_rxq={count}", *settings)


@pytest.fixture
def two(lab):
    """A switch with a worker on each of two CPUs."""
    switch = lab.switch()
    switch.vsctl("set", "Open_vSwitch", ".", "other_config:pmd-cpu-mask=0x3", "--", "add-br", "br0")
    return switch


def workers(switch):
    return [worker["cpu"] for worker in json.loads(switch.ofctl("--json", "show-workers").stdout)["workers"]]


def test_queues_are_dealt_out(two):
    add_queues(two, "dp0", 4)
    found = queues(two)
    cpus = [found["dp0", queue][0] for queue in range(4)]
    assert sorted(cpus) == [0, 0, 1, 1]
    two.vsctl("set", "Open_vSwitch", ".", "other_config:pmd-rxq-assign=roundrobin")
    until(lambda: len(queues(two)) == 5, "all queues have a worker")
    assert "rebalance requested" in appctl(two, "dpif-netdev/pmd-rxq-rebalance").stdout
    assert {cpu for cpu, _ in queues(two).values()} == {0, 1}


def test_a_port_changes_its_number_of_queues(two):
    add_queues(two, "dp0", 1)
    two.vsctl("set", "Interface", "dp0", "options:n_rxq=3", "options:n_rxq_desc=512", "options:n_txq_desc=512")
    assert {queue for name, queue in queues(two) if name == "dp0"} == {0, 1, 2}
    assert two.vsctl("get", "Interface", "dp0", "status:n_rxq").stdout.strip() == '"3"'
    two.vsctl("set", "Interface", "dp0", "options:n_rxq=0")
    assert {queue for name, queue in queues(two) if name == "dp0"} == {0}


def test_a_pinned_queue_has_its_worker_for_itself(two):
    add_queues(two, "dp0", 3, "other_config:pmd-rxq-affinity=1:1")
    found = queues(two)
    assert found["dp0", 1] == (1, True)
    assert all(cpu == (0, False) for queue, cpu in found.items() if queue != ("dp0", 1))
    two.vsctl("set", "Open_vSwitch", ".", "other_config:pmd-rxq-assign=group", "other_config:pmd-rxq-isolate=false")
    found = queues(two)
    assert found["dp0", 1] == (1, False)
    assert [cpu for cpu, _ in found.values()].count(1) == 2
    # A CPU without a worker: the queue is dealt out like the others.
    two.vsctl("set", "Interface", "dp0", "other_config:pmd-rxq-affinity=1:77")
    assert len(queues(two)) == 4
    two.vsctl("clear", "Interface", "dp0", "other_config")
    assert len(queues(two)) == 4


@pytest.mark.parametrize("words, said", [
    (["Open_vSwitch", ".", "other_config:pmd-rxq-assign=fair"], "cycles, roundrobin or group"),
    (["Open_vSwitch", ".", "other_config:pmd-auto-lb=perhaps"], "true or false"),
    (["Open_vSwitch", ".", "other_config:pmd-auto-lb-load-threshold=101"], "0 to 100"),
    (["Open_vSwitch", ".", "other_config:pmd-auto-lb-improvement-threshold=-1"], "0 to 100"),
    (["Open_vSwitch", ".", "other_config:pmd-auto-lb-rebal-interval=20001"], "0 to 20000"),
    (["Open_vSwitch", ".", "other_config:pmd-sleep-max=10001"], "0 to 10000"),
    (["Open_vSwitch", ".", "other_config:pmd-cpu-mask=0x80000000000000000000000000000000"], "online"),
    (["Interface", "dp0", "other_config:pmd-rxq-affinity=0"], "QUEUE:CPU"),
    (["Interface", "dp0", "other_config:pmd-rxq-affinity=\"0:1,0:0\""], "has two"),
    (["Interface", "dp0", "options:n_rxq=65"], "0 to 64"),
    (["Interface", "dp0", "options:n_rxq_desc=0"], "1 to 32768"),
])
def test_bad_values_are_refused(two, words, said):
    add_queues(two, "dp0", 1)
    for tool in (two.vsctl, two.stock_vsctl):
        done = tool("set", *words, check=False)
        assert done.returncode != 0 and said in done.stderr, done.stderr


def test_isolation_is_switched_off_in_any_order(two):
    add_queues(two, "dp0", 2, "other_config:pmd-rxq-affinity=1:1")
    done = two.vsctl("set", "Open_vSwitch", ".", "other_config:pmd-rxq-isolate=false")
    assert "pmd-rxq-isolate" in done.stderr
    assert queues(two)["dp0", 1] == (1, True)
    two.vsctl("set", "Open_vSwitch", ".", "other_config:pmd-rxq-assign=group")
    assert queues(two)["dp0", 1] == (1, False)


def test_workers_come_and_go_at_run_time(lan):
    assert len(workers(lan)) == 1
    for mask, cpus in [("0x3", [0, 1]), ("0x1", [0]), ("0x2", [1]), ("0x3", [0, 1])]:
        lan.vsctl("set", "Open_vSwitch", ".", f"other_config:pmd-cpu-mask={mask}")
        assert workers(lan) == cpus
        assert lan.h1.ping("10.0.0.2", count=3)
        assert len(queues(lan)) == 3
        # A packet-out and the barrier behind it are answered by whoever is there now.
        lan.ofctl("packet-out", "br0", "in_port=NONE,packet=ffffffffffff02000000000188b5,actions=normal")
    lan.vsctl("remove", "Open_vSwitch", ".", "other_config", "pmd-cpu-mask")
    assert len(workers(lan)) == 1 and lan.h1.ping("10.0.0.2", count=3)


def cpus_of_threads(switch):
    """Where the workers may run, and where all other threads of the daemon."""
    def cpus(task):
        words = re.search(r"^Cpus_allowed_list:\s*(\S+)", (task / "status").read_text(), re.M)[1].split(",")
        ends = [(word.split("-")[0], word.split("-")[-1]) for word in words]
        return {cpu for first, last in ends for cpu in range(int(first), int(last) + 1)}

    tasks = list(Path(f"/proc/{switch.pid()}/task").iterdir())
    are_workers = {task: (task / "comm").read_text().startswith("worker-") for task in tasks}
    found = [[cpus(task) for task in tasks if are_workers[task] == kind] for kind in (True, False)]
    assert len(found[1]) > 1, "DPDK has a thread of its own, too"
    return sorted(found[0], key=min), found[1]


def test_other_threads_leave_workers_their_cpus(lan):
    ours = os.sched_getaffinity(0)
    masks = [None, {0}, {1}, {0, 1}, {1}, None]
    for taken in masks:
        if taken:
            mask = sum(1 << cpu for cpu in taken)
            lan.vsctl("set", "Open_vSwitch", ".", f"other_config:pmd-cpu-mask={mask:#x}")
        else:
            lan.vsctl("remove", "Open_vSwitch", ".", "other_config", "pmd-cpu-mask")
            taken = {max(ours)}
        workers, others = cpus_of_threads(lan)
        assert workers == [{cpu} for cpu in sorted(taken)]
        assert all(cpus == (ours - taken or ours) for cpus in others), (taken, others)


def test_counters_outlive_their_workers(lan):
    def count(command, name):
        return int(re.search(rf"^{name} +(\d+)", appctl(lan, command).stdout, re.M)[1])

    lan.ofctl("add-flow", "br0", "priority=9,in_port=1,ip,actions=reassemble(table=1)")
    sender = raw_socket(lan.h1, "eth0")
    lan.vsctl("set", "Open_vSwitch", ".", "other_config:pmd-cpu-mask=0x2")
    for turn, mask in enumerate(["0x1", "0x3", "0x2"], 1):
        # The first fragment of a packet, without the others.
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 36, turn, 0x2000, 64, 17, 0, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
        total = sum(struct.unpack("!10H", header))
        checksum = ~(total + (total >> 16)) & 0xffff
        header = header[:10] + struct.pack("!H", checksum) + header[12:]
        sender.send(b"\x02\0\0\0\0\2\x02\0\0\0\0\1\x08\0" + header + bytes(16) + bytes(24))
        until(lambda: count("fragment/show", "held_fragments") == 1, "the fragment is held")
        assert count("fragment/show", "held") == turn
        lan.vsctl("set", "Open_vSwitch", ".", f"other_config:pmd-cpu-mask={mask}")
        assert count("fragment/show", "held_fragments") == 0
        assert count("fragment/show", "held") == turn
        assert count("coverage/show", "drop_reassembly") == turn
    sender.close()


class Numbered:
    """Numbered frames from one host to another, some of which are always on their way."""

    WINDOW = 64

    def __init__(self, lan, count):
        self.out, self.into = raw_socket(lan.h1, "eth0"), raw_socket(lan.h2, "eth0")
        self.into.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.into.settimeout(10)
        self.count, self.seen, self.room = count, [], threading.Semaphore(self.WINDOW)
        self.threads = [threading.Thread(target=self.send), threading.Thread(target=self.receive)]
        for thread in self.threads:
            thread.start()

    def send(self):
        for number in range(self.count):
            if not self.room.acquire(timeout=10):
                return
            self.out.send(b"\x02\0\0\0\0\2\x02\0\0\0\0\1\x88\xb5" + struct.pack("!I", number) + bytes(42))

    def receive(self):
        while len(self.seen) < self.count:
            try:
                frame = self.into.recv(2000)
            except TimeoutError:
                return
            if frame[12:14] == b"\x88\xb5":
                self.seen.append(struct.unpack("!I", frame[14:18])[0])
                self.room.release()

    def is_over(self):
        return len(self.seen) == self.count

    def check(self):
        for thread in self.threads:
            thread.join()
        assert self.seen == list(range(self.count))
        self.out.close()
        self.into.close()


def test_flows_stay_in_order_while_queues_move(lan):
    lan.vsctl("set", "Open_vSwitch", ".", "other_config:pmd-cpu-mask=0x3")
    lan.ofctl("add-flow", "br0", "priority=9,in_port=1,dl_type=0x88b5,actions=output:2")
    places = set()
    frames = Numbered(lan, 30_000)
    cpu = 0
    while not frames.is_over() and any(thread.is_alive() for thread in frames.threads):
        cpu ^= 1
        lan.vsctl("set", "Interface", "p1", f"other_config:pmd-rxq-affinity=0:{cpu}")
        appctl(lan, "dpif-netdev/pmd-rxq-rebalance")
        places.add(queues(lan)["p1", 0][0])
    frames.check()
    assert places == {0, 1}


def test_no_frame_is_lost_while_workers_change(lan):
    lan.ofctl("add-flow", "br0", "priority=9,in_port=1,dl_type=0x88b5,actions=output:2")
    frames = Numbered(lan, 20_000)
    masks = ["0x3", "0x1", "0x2"]
    turns = 0
    while not frames.is_over() and any(thread.is_alive() for thread in frames.threads):
        lan.vsctl("set", "Open_vSwitch", ".", f"other_config:pmd-cpu-mask={masks[turns % 3]}")
        turns += 1
    frames.check()
    assert turns > 1


def test_a_kernel_port_with_several_queues(lab, two):
    hosts = [lab.port_host(two, "br0", f"p{n}", f"10.0.0.{n}/24", columns=[
        "--", "set", "Interface", f"p{n}", f"ofport_request={n}", "options:n_rxq=2"]) for n in (1, 2)]
    found = queues(two)
    assert {found["p1", 0][0], found["p1", 1][0]} == {0, 1}
    assert hosts[0].ping("10.0.0.2", count=5) and hosts[1].ping("10.0.0.1", count=5)
    # Flows are spread over the queues, and each stays in order.
    receiver = hosts[1].start("iperf3", "-s", "-1")
    until(lambda: ":5201" in hosts[1].run("ss", "-tln").stdout, "iperf3 listens")
    done = json.loads(hosts[0].run("iperf3", "-c", "10.0.0.2", "-P", "8", "-t", "1", "-J").stdout)
    assert done["end"]["sum_received"]["bytes"] > 0
    receiver.wait(10)
    shown = json.loads(two.ofctl("--json", "show-workers").stdout)
    packets = {(queue["port"], queue["queue"]): queue["packets"]
               for worker in shown["workers"] for queue in worker["queues"]}
    assert packets["p1", 0] > 0 and packets["p1", 1] > 0


def test_stock_commands_show_what_workers_do(lan):
    lan.ofctl("add-flow", "br0", "priority=9,in_port=1,dl_type=0x88b5,actions=output:2")
    appctl(lan, "dpif-netdev/pmd-stats-clear")
    frames = Numbered(lan, 1000)
    frames.check()
    stats = dict(line.strip().split(": ", 1) for line in
                 appctl(lan, "dpif-netdev/pmd-stats-show").stdout.splitlines() if ": " in line)
    assert int(stats["packets received"]) >= 1000
    assert int(stats["emc hits"]) + int(stats["megaflow hits"]) >= 1000
    assert int(stats["megaflow hits"]) < 100
    assert float(stats["avg processing cycles per packet"].split()[0]) > 0
    perf = appctl(lan, "dpif-netdev/pmd-perf-show").stdout
    for line in ("Measurement duration:", "Iterations:", "- Used TSC cycles:", "- sleep iterations:", "Rx packets:", "Tx packets:",
                 "Datapath passes:", "packets/batch"):
        assert line in perf, perf
    assert "packets/batch" not in appctl(lan, "dpif-netdev/pmd-perf-show", "-nh").stdout
    assert float(stats["avg. packets per output batch"]) >= 1
    assert perf.count("no history") == 0
    assert "-it: " in appctl(lan, "dpif-netdev/pmd-perf-show", "-it", "10", "-ms", "0").stdout
    shown = appctl(lan, "dpif-netdev/pmd-rxq-show", "-secs", "12").stdout
    assert shown.startswith("Displaying last 20 seconds pmd usage %\n")
    appctl(lan, "dpif-netdev/pmd-stats-clear")
    stats = appctl(lan, "dpif-netdev/pmd-stats-show").stdout
    assert int(re.search("packets received: (\\d+)", stats)[1]) < 1000
    [cpu] = workers(lan)
    assert f"core_id {cpu}:" in appctl(lan, "dpif-netdev/pmd-rxq-show", "-pmd", cpu).stdout
    for words in (["pmd-rxq-show", "-pmd", "99"], ["pmd-stats-show", "nothing"], ["pmd-perf-show", "-pmd"]):
        assert appctl(lan, f"dpif-netdev/{words[0]}", *words[1:], check=False).returncode != 0


def test_show_workers(lan):
    assert lan.h1.ping("10.0.0.2", count=3)
    text = lan.ofctl("show-workers").stdout
    assert "worker 0" in text and "p1" in text
    [worker] = json.loads(lan.ofctl("--json", "show-workers").stdout)["workers"]
    assert worker["packets"] > 0 and worker["cache_hits"] + worker["cache_misses"] > 0
    assert worker["lookups"] >= worker["cache_misses"] and worker["classifier_steps"] > 0
    assert sum(worker["bursts_by_packets"].values()) == worker["bursts"]
    assert {(queue["port"], queue["queue"]) for queue in worker["queues"]} == {("br0", 0), ("p1", 0), ("p2", 0)}
