"""How a row is verified and measured, and what of the machine that needs."""

import ctypes
import mmap
import os
import statistics
import time

import traffic
from switches import NULL, REPLAY, Failed, OpenVSwitch, Switch, TestPmd, Tsunagi

HUGE = "/sys/kernel/mm/hugepages/hugepages-2048kB"
CHUNK = 256  # frames; what any receiving ring holds
NOTHING = {"cycles": None, "mpps": 0, "share": 1}  # the figures of a switch that drops everything
CLASSES = {kind.name: kind for kind in (OpenVSwitch, Tsunagi, TestPmd)}
SHARE_LEAST = 0.1  # of an even share, for each counted port


def read_int(path):
    with open(path) as file:
        return int(file.read())


class HugePages:
    """Reserves what is missing, if memory allows, and gives it back."""

    def __init__(self, wanted):
        self.wanted = wanted

    def __enter__(self):
        self.before = None
        missing = self.wanted - read_int(f"{HUGE}/free_hugepages")
        with open("/proc/meminfo") as file:
            available_kb = next(int(line.split()[1]) for line in file if line.startswith("MemAvailable"))
        if missing > 0 and available_kb > 2 * 2048 * missing:
            self.before = read_int(f"{HUGE}/nr_hugepages")
            self.write(self.before + missing)
        print(f"huge pages: {read_int(f'{HUGE}/free_hugepages')} of 2 MiB free"
              + (f" (raised from {self.before} to {self.before + missing} for this run)" if self.before is not None else ""))
        return self

    def write(self, count):
        with open(f"{HUGE}/nr_hugepages", "w") as file:
            file.write(str(count))

    def __exit__(self, *_):
        if self.before is not None:
            self.write(self.before)


def tsc_hz():
    """The time stamp counter's rate against the monotonic clock."""
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(bytes.fromhex("0f3148c1e2204809d0c3"))  # rdtsc; shl rdx,32; or rax,rdx; ret
    rdtsc = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    best = []
    for _ in range(5):
        start, ticks = time.monotonic_ns(), rdtsc()
        time.sleep(0.1)
        best.append((rdtsc() - ticks) / (time.monotonic_ns() - start) * 1e9)
    return statistics.median(best)


def medians(runs):
    """By switch, the medians of its runs' figures, and the runs."""
    return {
        name: {key: median([run[key] for run in done]) for key in done[0]} | {"runs": done}
        for name, done in runs.items() if done
    }


def median(values):
    return None if None in values else statistics.median(values)


class Bench:
    def __init__(self, options, directory):
        self.options, self.directory, self.hz, self.starts = options, directory, tsc_hz(), 0
        self.half = {}  # half of what each switch lets through, by latency.py

    def switch(self, name, cpus=None) -> Switch:
        """A fresh one, with a worker on each of these CPUs."""
        self.starts += 1
        program = getattr(self.options, name)
        return CLASSES[name](f"{self.directory}/{self.starts}-{name}", cpus or [self.options.cpu], program)

    def replays(self, row, frames):
        """The devices of the receiving ports, by number."""
        count, devices = len(row.receiving), {}
        for place in range(count):
            path = f"{self.directory}/replay{place}.pcap"
            traffic.write(path, frames[place::count])
            number = 1 if place == 0 else 10 + place
            devices[number] = REPLAY.format(number, path)
        return devices

    @staticmethod
    def sinks(row):
        return {number: NULL.format(number) for number in (*row.outputs, *row.silent)}

    def verify(self, row, name, frames):
        """Sends every frame once and compares what comes out: no number is of dropped traffic."""
        frames = frames[:: row.verified]
        want = sorted(row.expected(frames)) if name not in row.dropping else []
        captures = {number: f"{self.directory}/received{number}.pcap" for number in (*row.outputs, *row.silent)}
        with self.switch(name) as switch:
            switch.run("ip link add wire type veth peer name plug")
            switch.run("ip link set wire up")
            switch.run("ip link set plug up")
            devices = {number: f"net_pcap{number},tx_pcap={path}" for number, path in captures.items()}
            switch.configure(row, devices, {1: "net_pcap1,rx_iface=plug"})
            wire = switch.raw_socket("wire")
            self.send_all(row, switch, wire, frames)
            wire.close()
            for number in captures:  # writes what the capture has buffered
                switch.run(f"ovs-vsctl del-port {row.output} p{number}")
        # The switch's own ARP requests are nobody's traffic, nor is what it learnt from.
        known = set(row.learnt())
        got = {
            number: [frame for frame in traffic.read(path) if frame[12:14] != b"\x08\x06" and frame not in known]
            for number, path in captures.items()
        }
        restored = sorted(row.restore([frame for number in row.outputs for frame in got[number]]))
        if restored != want:
            known = set(want)
            example = next((frame for frame in restored if frame not in known), b"")[:200].hex()
            raise Failed(f"{name}: {len(want)} frames should come out, {len(restored)} do, not all as they should be {example}")
        least = SHARE_LEAST * len(want) / len(row.outputs)
        for number, frames in got.items():
            if len(frames) > 0 if number in row.silent else len(frames) < least:
                raise Failed(f"{name}: {len(frames)} frames left by port {number}")

    @staticmethod
    def send_all(row, switch, wire, frames):
        """Each part when the one before has arrived: no queue overflows."""
        start = switch.sent(row)
        for at in range(0, len(frames), CHUNK):
            chunk = frames[at : at + CHUNK]
            for frame in chunk:
                wire.send(frame)
            until = time.monotonic() + 3
            due = (at + len(chunk)) * row.leaving // row.arriving
            while switch.sent(row) < start + due:
                if time.monotonic() >= until:
                    return
                time.sleep(0.001)

    def measure(self, row, name, frames):
        """Packets and worker time over the measured seconds."""
        def sample(switch):
            before = switch.threads_ns()
            count, now = switch.sent(row), time.monotonic_ns()
            after = switch.threads_ns()
            return count, now, {thread: (before.get(thread, 0) + ns) / 2 for thread, ns in after.items()}

        with self.switch(name) as switch:
            switch.configure(row, self.sinks(row), self.replays(row, frames))
            time.sleep(self.options.warm_up + row.warm_up)
            first, started, before = sample(switch)
            time.sleep(self.options.seconds)
            last, ended, after = sample(switch)
        packets, wall_ns = last - first, ended - started
        worker_ns = max(ns - before.get(thread, 0) for thread, ns in after.items())  # that of the busiest thread, which is the one worker
        packets /= row.arriving if name == "testpmd" else row.leaving  # testpmd passes on what arrives
        if packets <= 0:
            raise Failed(f"{name}: nothing came out")
        cycles = worker_ns * 1e-9 * self.hz / packets
        return {"cycles": cycles, "mpps": self.hz / cycles / 1e6, "share": worker_ns / wall_ns}

    def row(self, row):
        """Every run of every switch, alternating; by switch, the medians and the runs."""
        frames = row.frames()
        without = row.lacking if row.floor else (*row.lacking, "testpmd")
        names = [name for name in self.options.switches if name not in without]

        def run(name, number):
            is_dropping = name in row.dropping
            if number == 0 and name != "testpmd" and (self.options.verify or is_dropping):
                self.verify(row, name, frames)
            return NOTHING if is_dropping else self.measure(row, name, frames)

        return {"row": row.name, "what": row.what, "plot": row.plot, **self.alternate(names, run)}

    def study(self, study):
        """The same of a row that has figures of its own."""
        names = [name for name in self.options.switches if name != "testpmd"]
        found = self.alternate(names, lambda name, number: study.measure(self, name), study.once)
        return {"row": study.name, "what": study.what, **found}

    def alternate(self, names, run, once=()):
        runs, failed = {name: [] for name in names}, {}
        for number in range(self.options.runs):
            for name in names:
                if name in failed or number > 0 and name in once:
                    continue
                try:
                    runs[name].append(run(name, number))
                except (Failed, OSError) as failure:
                    failed[name] = f"{name}: {str(failure).removeprefix(f'{name}: ')}"
        return {"failed": failed, "switches": medians(runs)}
