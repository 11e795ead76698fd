"""What the system tests build with: namespaces, hosts, switches and peers.

A Lab makes everything under names of its own and takes it all away again. Waiting is polling with a
deadline; nothing sleeps for a fixed time and hopes.
"""

import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("TSUNAGI_BIN", ROOT / "target/release"))
VENV = ROOT / ".venv/bin"
_numbers = itertools.count(1)


class CommandFailed(AssertionError):
    """A command that should have succeeded."""


def run(*argv, check=True, timeout=60, env=None, stdin=None):
    """Runs a command; its output is text. Fails with all that it said unless `check` is False."""
    argv = [str(word) for word in argv]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, input=stdin,
                          env={**os.environ, **(env or {})})
    if check and done.returncode != 0:
        raise CommandFailed(f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def until(check, what, seconds=10.0, interval=0.05):
    """Calls `check` until it returns something true, and returns that. Failed assertions count as false."""
    deadline = time.monotonic() + seconds
    while True:
        reason = None
        try:
            if found := check():
                return found
        except AssertionError as error:
            reason = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}") from reason
        time.sleep(interval)


class Namespace:
    """A network namespace and the processes that were started in it."""

    def __init__(self, name):
        self.name = name
        self.processes = []
        run("ip", "netns", "add", name)
        self.run("ip", "link", "set", "lo", "up")

    def run(self, *argv, **options):
        return run("ip", "netns", "exec", self.name, *argv, **options)

    def start(self, *argv, env=None, **options):
        """Starts a process here; it is ended with the lab."""
        options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options}
        argv = ["ip", "netns", "exec", self.name, *(str(word) for word in argv)]
        process = subprocess.Popen(argv, env={**os.environ, **(env or {})}, **options)
        self.processes.append(process)
        return process

    def address(self, interface, *addresses):
        """Addresses with their prefix length, version 4 or 6, usable at once."""
        for address in addresses:
            nodad = ["nodad"] if ":" in address else []
            self.run("ip", "addr", "add", address, "dev", interface, *nodad)
        self.run("ip", "link", "set", interface, "up")

    def interfaces(self):
        return {link["ifname"] for link in json.loads(self.run("ip", "-j", "link").stdout)}

    def ping(self, address, count=1, wait=None, **options):
        """Whether `count` pings are all answered. Other work on the machine may delay an answer, so several
        pings wait for 10 seconds: one is lost or it is not. A single one is usually asked again and again."""
        wait = wait or (10 if count > 1 else 2)
        done = self.run("ping", "-n", "-q", "-i", "0.05", "-c", count, "-W", wait, address,
                        check=False, **options)
        return done.returncode == 0 and f"{count} received" in done.stdout

    def close(self):
        for process in reversed(self.processes):
            stop(process)
        run("ip", "netns", "del", self.name, check=False)


def stop(process, how=signal.SIGTERM, seconds=10):
    """Ends a process that we started, and waits for its end."""
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return process.returncode


class Switch:
    """One switchd in a namespace, with directories of its own."""

    def __init__(self, lab, namespace, *options):
        self.namespace, self.options = namespace, options
        self.dir = lab.directory()
        self.rundir, self.dbdir = self.dir / "run", self.dir / "db"
        self.rundir.mkdir()
        self.dbdir.mkdir()
        self.log_path = self.dir / "log"
        self.env = {"OVS_RUNDIR": str(self.rundir)}
        self.db = f"unix:{self.rundir}/db.sock"
        self.process = None

    def start(self):
        log = open(self.log_path, "ab")
        self.process = self.namespace.start(
            BIN / "switchd", "--rundir", self.rundir, "--dbdir", self.dbdir, "--no-huge", *self.options,
            stdout=log, stderr=subprocess.STDOUT)
        until(self._answers, f"switchd answers\n{self.log()}", seconds=20)
        return self

    def _answers(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"switchd ended with {self.process.returncode}:\n{self.log()}")
        return self.vsctl("-t", "2", "show", check=False).returncode == 0

    def log(self):
        return self.log_path.read_text(errors="replace")[-6000:] if self.log_path.exists() else ""

    def stop(self):
        """By SIGTERM; returns the exit code."""
        return stop(self.process)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def _tool(self, program, words, options):
        try:
            return run(program, *words, env=self.env, **options)
        except CommandFailed as error:
            raise CommandFailed(f"{error}\n--- switchd's log:\n{self.log()}") from None

    def vsctl(self, *words, **options):
        return self._tool(BIN / "vsctl", [f"--db={self.db}", *words], options)

    def ofctl(self, *words, **options):
        return self._tool(BIN / "ofctl", words, options)

    def stock_vsctl(self, *words, **options):
        return self._tool("ovs-vsctl", [f"--db={self.db}", *words], options)

    def stock_ofctl(self, *words, **options):
        return self._tool("ovs-ofctl", words, options)

    def pid(self):
        return self.process.pid

    def memory_mb(self):
        """Resident memory, without the pools that DPDK maps beforehand."""
        status = dict(line.split(":", 1) for line in Path(f"/proc/{self.pid()}/status").read_text().splitlines())
        return int(status["RssAnon"].split()[0]) / 1024

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.pid()}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class StockSwitch:
    """Debian's Open vSwitch with its userspace datapath, in a namespace, with directories of its own."""

    def __init__(self, lab, namespace):
        self.namespace, self.dir = namespace, lab.directory()
        directory = str(self.dir)
        self.env = {"OVS_RUNDIR": directory, "OVS_LOGDIR": directory, "OVS_DBDIR": directory}
        database = self.dir / "conf.db"
        run("ovsdb-tool", "create", database, "/usr/share/openvswitch/vswitch.ovsschema")
        socket = self.dir / "db.sock"
        namespace.start("ovsdb-server", database, f"--remote=punix:{socket}", "--pidfile", env=self.env)
        until(socket.exists, "ovsdb-server listens")
        self.vsctl("--no-wait", "init")
        namespace.start("ovs-vswitchd", f"unix:{socket}", "--disable-system", "--pidfile",
                        f"--log-file={self.dir}/vswitchd.log", "-vconsole:off", env=self.env)
        self.vsctl("-t", "20", "wait-until", "Open_vSwitch", ".", "cur_cfg>=0")

    def vsctl(self, *words, **options):
        return run("ovs-vsctl", f"--db=unix:{self.dir}/db.sock", "-t", "20", *words, env=self.env, **options)

    def ofctl(self, *words, **options):
        return run("ovs-ofctl", *words, env=self.env, **options)

    def add_br(self, bridge):
        self.vsctl("add-br", bridge, "--", "set", "Bridge", bridge, "datapath_type=netdev")


class Lab:
    """Makes things for one test."""

    def __init__(self):
        self.prefix = f"tsu{os.getpid()}x{next(_numbers)}"
        self.dir = Path(tempfile.mkdtemp(prefix="tsu", dir="/tmp"))
        self.namespaces, self.switches = [], []

    def directory(self):
        return Path(tempfile.mkdtemp(dir=self.dir, prefix="d"))

    def namespace(self, name):
        namespace = Namespace(f"{self.prefix}-{name}")
        self.namespaces.append(namespace)
        return namespace

    def veth(self, left, left_name, right, right_name, mtu=None):
        """A cable between two namespaces, both ends up."""
        run("ip", "link", "add", left_name, "netns", left.name, "type", "veth",
            "peer", "name", right_name, "netns", right.name)
        for namespace, name in (left, left_name), (right, right_name):
            if mtu:
                namespace.run("ip", "link", "set", name, "mtu", mtu)
            namespace.run("ip", "link", "set", name, "up")

    def switch(self, name="sw", *options, namespace=None):
        """A running switchd in a namespace of its own."""
        switch = Switch(self, namespace or self.namespace(name), *options)
        self.switches.append(switch)
        return switch.start()

    def host(self, switch, name, *addresses, mtu=None):
        """A host whose eth0 is cabled to the interface `name` of a switch's namespace."""
        host = self.namespace(name)
        self.veth(switch.namespace, name, host, "eth0", mtu)
        host.address("eth0", *addresses)
        return host

    def port_host(self, switch, bridge, name, *addresses, mtu=None, columns=()):
        """A host that is a port of a bridge."""
        host = self.host(switch, name, *addresses, mtu=mtu)
        switch.vsctl("add-port", bridge, name, *columns)
        return host

    def stock_switch(self, name="ovs"):
        return StockSwitch(self, self.namespace(name))

    def close(self):
        for namespace in reversed(self.namespaces):
            namespace.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def flows(text):
    """The flows of a dump without what changes from moment to moment: header, times, counters."""
    volatile = ("duration=", "n_packets=", "n_bytes=", "idle_age=", "hard_age=")
    lines = []
    for line in text.splitlines():
        if "actions=" in line:
            words = [word for word in line.strip().split(", ") if not word.startswith(volatile)]
            lines.append(", ".join(words))
    return lines
