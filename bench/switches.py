"""How each switch is started by hand: its own directory and network namespace, only its own processes."""

import ctypes
import os
import re
import socket
import subprocess
import time

from openflow import Controller

STOCK_DPDK = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
STOCK_SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
REPLAY = "net_pcap{},rx_pcap={},infinite_rx=1"
NULL = "net_null{},no-rx=1"

EVERY_PROTOCOL = 3


class Failed(Exception):
    """Something that had to work did not; the text says what."""


class Switch:
    """One daemon (and its database) from start to end; a context manager."""

    name = ""

    def __init__(self, directory, cpus, program):
        self.directory, self.cpus, self.program = directory, cpus, program
        self.cpu_mask = f"{sum(1 << cpu for cpu in cpus):x}"
        self.namespace = f"bench-{self.name}-{os.getpid()}"
        self.children = []
        self.env = dict(os.environ, OVS_RUNDIR=directory, OVS_DBDIR=directory, OVS_LOGDIR=directory)

    def __enter__(self):
        os.makedirs(self.directory)
        subprocess.run(["ip", "netns", "add", self.namespace], check=True)
        try:
            self.run("ip link set lo up")
            # The host stack shall not send neighbour solicitations of its own into the captures.
            self.run("sysctl -qw net.ipv6.conf.default.disable_ipv6=1")
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        while self.children:
            self.end(self.children.pop())
        subprocess.run(["ip", "netns", "del", self.namespace], check=False)

    @staticmethod
    def end(child):
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def spawn(self, *command, **options):
        log = open(f"{self.directory}/{len(self.children)}.log", "wb")
        child = subprocess.Popen(
            ["ip", "netns", "exec", self.namespace, *command],
            env=self.env, stdout=log, stderr=log, **options,
        )
        self.children.append(child)
        return child

    def run(self, command):
        done = subprocess.run(
            ["ip", "netns", "exec", self.namespace, *command.split()],
            env=self.env, capture_output=True, text=True, timeout=600,
        )
        if done.returncode:
            raise Failed(f"{self.name}: `{command}` exited {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def raw_socket(self, device, protocol=0):
        """A packet socket on a device of the switch's namespace; with EVERY_PROTOCOL it also receives."""
        libc, network = ctypes.CDLL(None, use_errno=True), 0x40000000  # CLONE_NEWNET
        with open("/proc/self/ns/net") as here, open(f"/var/run/netns/{self.namespace}") as there:
            if libc.setns(there.fileno(), network):
                raise Failed(f"cannot enter {self.namespace}: {os.strerror(ctypes.get_errno())}")
            try:
                opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
                opened.bind((device, protocol))
            finally:
                libc.setns(here.fileno(), network)
        return opened

    def wait_for(self, what, ready, seconds=20):
        until = time.monotonic() + seconds
        while not ready():
            if self.children[-1].poll() is not None:
                raise Failed(f"{self.name}: the daemon ended; see {self.directory}/*.log")
            if time.monotonic() > until:
                raise Failed(f"{self.name}: {what} did not happen in {seconds} s")
            time.sleep(0.05)

    def configure(self, row, outputs, receiving):
        """Runs the row's commands, then adds the ports that receive: their devices by number."""
        flows = f"{self.directory}/flows"
        with open(flows, "w") as file:
            file.write("\n".join(row.flows()))
        for command in row.setup:
            only, _, rest = command.rpartition("-only: ")
            if only in ("", self.name):
                self.run(rest.format(output=outputs, flows=flows, directory=self.directory))
        self.controller = Controller(f"{self.directory}/{row.output}.mgmt")
        learnt = row.learnt()
        if learnt:
            self.controller.inject(2, learnt)
        time.sleep(0.5)  # routes and neighbours reach the switch
        for (number, device), columns in zip(receiving.items(), row.receiving):
            self.run(
                f"ovs-vsctl add-port {row.input} p{number} -- set interface p{number} type=dpdk ofport_request={number}"
                f" options:dpdk-devargs={device} {columns}"
            )

    def sent(self, row):
        """Packets that left by the counted ports."""
        return sum(self.sent_by_port(row).values())

    def sent_by_port(self, row):
        ports = self.controller.ports()
        return {number: ports[number][2] for number in row.outputs}

    def threads_ns(self):
        """CPU time of each thread, in nanoseconds."""
        tasks, times = f"/proc/{self.children[-1].pid}/task", {}
        for task in os.listdir(tasks):
            with open(f"{tasks}/{task}/schedstat") as file:
                times[task] = int(file.read().split()[0])
        return times


class OpenVSwitch(Switch):
    name = "ovs"

    def start(self):
        database, socket = f"{self.directory}/conf.db", f"{self.directory}/db.sock"
        self.run(f"ovsdb-tool create {database} {STOCK_SCHEMA}")
        self.spawn("ovsdb-server", f"--remote=punix:{socket}", f"--pidfile={self.directory}/ovsdb.pid", database)
        self.wait_for("the database", lambda: os.path.exists(socket))
        self.run(
            "ovs-vsctl --no-wait init -- set Open_vSwitch . other_config:dpdk-init=true"
            " other_config:dpdk-extra=--no-pci other_config:dpdk-socket-mem=512"
            f" other_config:pmd-cpu-mask={self.cpu_mask}"
        )
        control = f"{self.directory}/ovs-vswitchd.ctl"
        self.spawn(self.program, f"unix:{socket}", f"--unixctl={control}")
        self.wait_for("its start", lambda: os.path.exists(control))


class Tsunagi(Switch):
    name = "tsunagi"

    def start(self):
        self.start_daemon()
        self.run(f"ovs-vsctl --no-wait set Open_vSwitch . other_config:pmd-cpu-mask={self.cpu_mask}")
        self.end(self.children.pop())  # the workers' CPUs are chosen when the daemon starts
        self.start_daemon()

    def start_daemon(self):
        self.spawn(self.program, "--rundir", self.directory, "--dbdir", self.directory)
        self.wait_for("its start", lambda: os.path.exists(f"{self.directory}/db.sock"))


class TestPmd(Switch):
    """No switch: DPDK's own example, which only moves buffers from one port to the other."""

    name = "testpmd"

    def start(self):
        """Its ports are arguments, so it starts when it is configured."""

    def configure(self, row, outputs, receiving):
        cores = f"0@0,1@{self.cpus[0]}"
        devices = [f"--vdev={device}" for device in (receiving[1], outputs[2])]
        self.spawn(
            "stdbuf", "-oL", self.program, f"--lcores={cores}", "--in-memory", "--no-pci", *devices,
            "--", "-i", "--forward-mode=io", "--nb-cores=1", "--total-num-mbufs=32768",
            stdin=subprocess.PIPE,
        )
        self.command("start")

    def command(self, line):
        self.children[-1].stdin.write(line.encode() + b"\n")
        self.children[-1].stdin.flush()

    def sent(self, row):
        def counters():
            with open(f"{self.directory}/0.log") as file:
                return re.findall(r"TX-packets: (\d+)", file.read())

        before = len(counters())
        self.command("show port stats 1")
        self.wait_for("an answer", lambda: len(counters()) > before)
        return int(counters()[-1])
