"""A Linux 6.1 kernel in an emulated machine: the other side of tunnels that the host's kernel need not have.

It boots from memory: Debian's kernel and modules (tools/setup puts them into .linux/), busybox, and the host's own
`ip`, `bridge` and `ping`. Its eth0 is a tap in a namespace; commands go in by a virtio serial port, one at a time, and
come back with their output and exit code.
"""

import base64
import functools
import re
import shlex
import socket
import stat
import subprocess
import time
from pathlib import Path

from lab import ROOT, CommandFailed, run, stop
from relay import Relay

DEBIAN = ROOT / ".linux"
MODULES = """virtio_pci virtio_net virtio_console veth 8021q bridge dummy vxlan geneve
    ip_gre ip6_gre l2tp_eth l2tp_ip l2tp_ip6""".split()
TOOLS = "ip bridge ping".split()
# Debian's busybox prefers its own commands of these names to those in the PATH.
PRELUDE = "".join(f'{tool}() {{ /tools/{tool} "$@"; }}\n' for tool in TOOLS)
BOOT_SECONDS = 120

# One command a line: a limit in seconds and the script in base 64. The answer: the exit code, the size of the output
# and the output. A command may leave processes behind, so each has an output file of its own.
INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /dev /proc /sys /run /tmp /bb
/bin/busybox mount -t devtmpfs none /dev
/bin/busybox mount -t proc none /proc
/bin/busybox mount -t sysfs none /sys
/bin/busybox --install -s /bb
export PATH=/bb
while read module; do insmod /modules/$module || echo "no module $module"; done </modules/order
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
until [ -c /dev/vport*p1 ]; do sleep 0.05; done
exec 3<>$(echo /dev/vport*p1)
echo ready >&3
number=0
while read -r seconds script <&3; do
    number=$((number + 1))
    echo "$script" | base64 -d >/tmp/script
    timeout -s KILL "$seconds" sh /tmp/script >/tmp/out$number 2>&1 </dev/null 3>&-
    code=$?
    { echo "$code $(stat -c %s /tmp/out$number)"; cat /tmp/out$number; } >/tmp/answer
    cat /tmp/answer >&3
    rm -f /tmp/out$number
done
poweroff -f
"""

RESET = r"""
ip l2tp show session | sed -n 's/^Session \([0-9]*\) in tunnel \([0-9]*\)/\1 \2/p' | while read session tunnel; do
    ip l2tp del session tunnel_id $tunnel session_id $session
done
ip l2tp show tunnel | sed -n 's/^Tunnel \([0-9]*\),.*/\1/p' | while read tunnel; do ip l2tp del tunnel tunnel_id $tunnel; done
ip netns list | while read name rest; do ip netns del $name; done
for name in $(ls /sys/class/net); do
    case $name in lo|eth0|gre0|gretap0|erspan0|ip6gre0|ip6tnl0) ;; *) ip link del $name 2>/dev/null ;; esac
done
ip link set eth0 down
ip addr flush dev eth0
ip link set eth0 mtu 1500 up
exit 0
"""


def kernel():
    """The kernel image and the folder of its modules."""
    images = sorted(DEBIAN.glob("boot/vmlinuz-6.1.*"))
    if not images:
        raise AssertionError(f"{DEBIAN} has no kernel: make setup")
    return images[-1], DEBIAN / "lib/modules" / images[-1].name.removeprefix("vmlinuz-")


def modules_in_order(folder):
    """The files of MODULES and of all that they need, each after what it needs."""
    needs = {}
    for line in (folder / "modules.dep").read_text().splitlines():
        file, _, others = line.partition(":")
        needs[file] = others.split()
    files = {Path(file).name.removesuffix(".ko"): file for file in needs}
    order = []

    def add(file):
        for other in reversed(needs[file]):
            add(other)
        if file not in order:
            order.append(file)

    for name in MODULES:
        add(files[name])
    return order


def libraries(program):
    """The shared libraries of a program and its loader."""
    return re.findall(r"(/\S+) \(0x", run("ldd", program).stdout)


class Archive:
    """An initramfs: a cpio archive of the "newc" format (the kernel's buffer-format.rst)."""

    def __init__(self):
        self.data, self.seen = bytearray(), set()

    def _entry(self, name, mode, content):
        numbers = [len(self.seen), mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0]
        self.data += b"070701" + b"".join(b"%08X" % number for number in numbers) + name.encode() + b"\0"
        self._pad()
        self.data += content
        self._pad()

    def _pad(self):
        self.data += bytes(-len(self.data) % 4)

    def add(self, path, content, mode=0o755):
        """A file and the folders above it."""
        path = Path(path.lstrip("/"))
        for folder in reversed(path.parents[:-1]):
            if folder not in self.seen:
                self.seen.add(folder)
                self._entry(str(folder), stat.S_IFDIR | 0o755, b"")
        if path not in self.seen:
            self.seen.add(path)
            self._entry(str(path), stat.S_IFREG | mode, content)

    def bytes(self):
        self._entry("TRAILER!!!", 0, b"")
        return bytes(self.data)


@functools.cache
def initramfs(modules_folder):
    archive = Archive()
    archive.add("/init", INIT.encode())
    archive.add("/bin/busybox", Path("/bin/busybox").read_bytes())
    for tool in TOOLS:
        program = run("sh", "-c", f"PATH=/sbin:/bin:/usr/bin:/usr/sbin command -v {tool}").stdout.strip()
        archive.add(f"/tools/{tool}", Path(program).read_bytes())
        for library in libraries(program):
            archive.add(library, Path(library).read_bytes())
    order = modules_in_order(modules_folder)
    for file in order:
        archive.add(f"/modules/{Path(file).name}", (modules_folder / file).read_bytes())
    archive.add("/modules/order", "".join(f"{Path(file).name}\n" for file in order).encode())
    return archive.bytes()


class LinuxVm:
    """An emulated machine whose eth0 is the tap `tap` of a namespace."""

    def __init__(self, namespace, directory, tap="tap0"):
        image, modules_folder = kernel()
        self.namespace, self.tap, self.relay = namespace, tap, None
        self.console = directory / "console"
        (directory / "initramfs").write_bytes(initramfs(modules_folder))
        agent = directory / "agent"
        namespace.run("ip", "tuntap", "add", tap, "mode", "tap")
        namespace.run("ip", "link", "set", tap, "up")
        offloads = "csum=off,gso=off,guest_csum=off,guest_tso4=off,guest_tso6=off,guest_ufo=off"
        self.process = namespace.start(
            "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "256", "-nodefaults", "-no-reboot",
            "-display", "none", "-kernel", image, "-initrd", directory / "initramfs",
            "-append", "console=ttyS0 loglevel=4 panic=-1 random.trust_cpu=on mitigations=off",
            "-serial", f"file:{self.console}",
            "-netdev", f"tap,id=net0,ifname={tap},script=no,downscript=no,vhost=off",
            "-device", f"virtio-net-pci,netdev=net0,mac=02:00:00:00:61:01,romfile=,{offloads}",
            "-device", "virtio-serial-pci", "-chardev", f"socket,id=agent,path={agent},server=on,wait=off",
            "-device", "virtserialport,chardev=agent,name=agent",
            stderr=open(directory / "qemu", "wb"))
        try:
            self._connect(agent, directory)
        except BaseException:
            stop(self.process)
            raise

    def _connect(self, agent, directory):
        deadline = time.monotonic() + BOOT_SECONDS
        while not agent.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"qemu does not run: {(directory / 'qemu').read_text()}")
            time.sleep(0.02)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(BOOT_SECONDS)
        self.socket.connect(str(agent))
        self.stream = self.socket.makefile("rb")
        self._line()

    def _line(self):
        try:
            line = self.stream.readline()
        except TimeoutError:
            line = b""
        if not line:
            raise AssertionError(f"the emulated machine does not answer:\n{self.console.read_text(errors='replace')[-4000:]}")
        return line

    def run(self, *words, check=True, timeout=30):
        """Runs a command: a shell script if it is one word. Like lab.run: output is text, stderr with it."""
        script = str(words[0]) if len(words) == 1 else shlex.join(str(word) for word in words)
        self.socket.settimeout(timeout + 30)
        self.socket.sendall(f"{timeout} {base64.b64encode((PRELUDE + script).encode()).decode()}\n".encode())
        code, size = map(int, self._line().split())
        output = self.stream.read(size).decode(errors="replace")
        if check and code != 0:
            raise CommandFailed(f"{script}: exit {code}\n{output}")
        return subprocess.CompletedProcess(script, code, output, "")

    def reset(self):
        """Takes away all that a test has made, but for its files."""
        if self.relay:
            self.relay.close()
            self.relay = None
        self.run(RESET)

    def cable(self, namespace, interface="uplink"):
        """Makes an interface of a namespace and joins it with eth0 by a relay, which is also returned. Rightward is
        towards the machine."""
        self.namespace.run("ip", "link", "del", "cable", check=False)
        self.namespace.run("ip", "link", "add", "cable", "type", "veth", "peer", "name", interface,
                           "netns", namespace.name)
        self.namespace.run("ip", "link", "set", "cable", "up")
        namespace.run("ip", "link", "set", interface, "up")
        # A packet socket, as the relay has, would see checksums that are left to a device.
        namespace.run("ethtool", "-K", interface, "tx", "off")
        self.relay = Relay(self.namespace, "cable", self.tap)
        return self.relay

    def close(self):
        if self.relay:
            self.relay.close()
        self.stream.close()
        self.socket.close()
        self.process.kill()
        self.process.wait()
