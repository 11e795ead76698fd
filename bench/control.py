"""Rows about flows that come and go while a worker forwards the row `exact-8k` at full load: `churn` and `load`."""

import statistics
import struct
import time

import openflow
import rows
from figures import Figure, Study, least, most
from openflow import ADD, DELETE, DELETE_STRICT, Controller, bundle, five_tuple, flow_mod

TRAFFIC = next(row for row in rows.ROWS if row.name == "exact-8k")  # the row whose rules, in the same table, forward its frames meanwhile
BATCH = 1000  # flow_mods between two barriers, and in a small bundle
ROUND = 50  # batches of additions before as many of removals
PACE = 100_000  # flow_mods a second
LARGE = 100_000  # flows of a large bundle
MILLION = 1_000_000 - 8000  # with those of the traffic
WINDOW = 0.1  # seconds in which a stall would show


CHURNED = struct.pack("!HH 6s5s 4sII 5x", 1, 27, b"\x80\x00\x0a\x02\x08\x00", b"\x80\x00\x14\x01\x11", b"\x80\x00\x17\x08", 0xC6120000, 0xFFFE0000)


class Loaded:
    """A switch whose worker forwards all the time, and a connection to it."""

    def __init__(self, switch, options, hz):
        self.switch, self.options, self.hz = switch, options, hz
        self.controller = switch.controller

    def cpu_ns(self, before):
        """CPU time since then of the worker, which polls all the time, and of all other threads together."""
        now = self.switch.threads_ns()
        times = [ns - before.get(thread, 0) for thread, ns in now.items()]
        return max(times), sum(times) - max(times)

    def resident(self):
        with open(f"/proc/{self.switch.children[-1].pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) * 1024

    def forward(self, work):
        """What `work` (which takes a function to call with each answer to ALL_PORTS) did to forwarding."""
        samples = [self.controller.ports()]
        before = self.switch.threads_ns()
        started = time.monotonic()
        count = work(lambda body: samples.append(openflow.read_ports(body)))
        seconds = time.monotonic() - started
        worker, others = self.cpu_ns(before)
        samples.append(self.controller.ports())
        (start, received, sent), (end, received_now, sent_now) = ((s[2][0], s[1][1], s[2][2]) for s in (samples[0], samples[-1]))
        packets = sent_now - sent
        return {
            "rate": count / seconds,
            "control_us": others / 1e3 / max(count, 1),
            "cycles": worker * 1e-9 * self.hz / packets,
            "pps": packets / (end - start),
            "slowest": slowest([(s[2][0], s[2][2]) for s in samples]) / (packets / (end - start)),
            "lost": received_now - received - packets,
        }

    def idle(self):
        """Nobody says anything, but for a question in each window."""
        def work(sample):
            until = time.monotonic() + self.options.seconds
            while time.monotonic() < until:
                time.sleep(WINDOW / 4)
                self.controller.send(openflow.ALL_PORTS)
                sample(self.controller.wait(openflow.MULTIPART_REPLY))
            return 0
        return self.forward(work)

    def stream(self, batches, is_answer, rate=None):
        """Sends batches over and over, the next one while the last one is being obeyed, `rate` flow_mods a second at most."""
        def work(sample):
            def finish():
                is_answer(self.controller)
                sample(self.controller.wait(openflow.MULTIPART_REPLY))
            started, sent = time.monotonic(), 0
            # Whole rounds: afterwards the table is as it was.
            while time.monotonic() < started + self.options.seconds:
                for data in batches:
                    if rate:
                        time.sleep(max(0, started + sent * BATCH / rate - time.monotonic()))
                    self.controller.send(data)
                    if sent:
                        finish()
                    sent += 1
            finish()
            return sent * BATCH
        return self.forward(work)


def slowest(samples):
    """The lowest rate of packets over a window."""
    rates, first = [], samples[0]
    for sample in samples[1:]:
        if sample[0] - first[0] >= WINDOW:
            rates.append((sample[1] - first[1]) / (sample[0] - first[0]))
            first = sample
    return min(rates, default=0)


def batches(make):
    """Rounds of additions and removals, a batch at a time."""
    numbers = [range(at, at + BATCH) for at in range(0, ROUND * BATCH, BATCH)]
    return [
        make([flow_mod(command, five_tuple(n), n) for n in part]) + openflow.ALL_PORTS
        for command in (ADD, DELETE_STRICT) for part in numbers
    ]


def answered(controller):
    controller.wait(openflow.BARRIER_REPLY)


def churn(loaded):
    single = batches(lambda mods: b"".join(mods) + openflow.BARRIER)
    before = loaded.idle()
    bundles = batches(lambda mods: bundle(1, mods))
    phases = {
        "paced": loaded.stream(single, answered, PACE),
        "paced_bundle": loaded.stream(bundles, Controller.wait_committed, PACE),
        "single": loaded.stream(single, answered),
        "bundle": loaded.stream(bundles, Controller.wait_committed),
    }
    quiet = (before["cycles"] + loaded.idle()["cycles"]) / 2
    figures = {"mpps": loaded.hz / quiet / 1e6}
    for name, got in phases.items():
        figures |= {
            f"{name}_rate": got["rate"],
            f"{name}_us": got["control_us"],
            f"{name}_mpps": loaded.hz / got["cycles"] / 1e6,
            f"{name}_loss": 1 - quiet / got["cycles"],
            f"{name}_slowest": got["slowest"],
            f"{name}_lost": got["lost"],
        }
    return figures


def load(loaded):
    controller, figures = loaded.controller, {}
    before = loaded.resident()
    parts = [
        b"".join(flow_mod(ADD, five_tuple(n), n) for n in range(at, at + BATCH)) + openflow.BARRIER
        for at in range(0, MILLION, BATCH)
    ]
    started = time.monotonic()
    for place, part in enumerate(parts):
        controller.send(part)
        if place:
            answered(controller)
    answered(controller)
    figures["million_secs"] = time.monotonic() - started
    figures["bytes"] = (loaded.resident() - before) / MILLION
    figures |= dump(loaded)
    started = time.monotonic()
    clear(controller)
    figures["clear_secs"] = time.monotonic() - started
    times = []
    for number in range(3):
        mods = bundle(number, [flow_mod(ADD, five_tuple(n), n) for n in range(LARGE)])
        before, started = loaded.switch.threads_ns(), time.monotonic()
        controller.send(mods)
        controller.wait_committed()
        times.append((time.monotonic() - started, loaded.cpu_ns(before)[1] / 1e3 / LARGE))
        clear(controller)
    seconds, figures["bundle_us"] = statistics.median(times)
    figures["bundle_rate"] = LARGE / seconds
    return figures


def clear(controller):
    """Removes all flows but those of the traffic."""
    controller.send(flow_mod(DELETE, CHURNED))
    controller.barrier()


def dump(loaded):
    held = most = loaded.resident()
    flows, started = 0, time.monotonic()
    for place, part in enumerate(loaded.controller.dump()):
        flows += part
        if place % 64 == 0:
            most = max(most, loaded.resident())
    return {"dump_secs": time.monotonic() - started, "dump_flows": flows, "dump_mb": (most - held) / 1e6}


def loaded(measure):
    """The same of a fresh switch that forwards at full load."""
    def start(bench, name):
        with bench.switch(name) as switch:
            switch.configure(TRAFFIC, bench.sinks(TRAFFIC), bench.replays(TRAFFIC, TRAFFIC.frames()))
            time.sleep(bench.options.warm_up)
            return measure(Loaded(switch, bench.options, bench.hz))
    return start


def churn_figures(phase, what, rate=None, loss=None):
    return [
        Figure(f"{phase}_rate", f"{what}: flow_mods/s", "{:,.0f}", rate),
        Figure(f"{phase}_us", "  CPU microseconds of control, each", "{:.1f}"),
        Figure(f"{phase}_mpps", "  Mpps forwarded meanwhile", "{:.2f}"),
        Figure(f"{phase}_loss", "  loss of forwarding", "{:.1%}", loss),
        Figure(f"{phase}_slowest", f"  slowest {WINDOW} s, of the average", "{:.0%}"),
        Figure(f"{phase}_lost", "  packets received and not sent", "{:,.0f}"),
    ]


STUDIES = [
    Study("churn", "flow_mods a second while a worker forwards the row `exact-8k` at full load", loaded(churn), [
        Figure("mpps", "Mpps forwarded, undisturbed", "{:.2f}"),
        *churn_figures("paced", f"one at a time, at most {PACE:,}/s", least(0.98 * PACE, "{:,.0f}"), most(0.1, "{:.0%}")),
        *churn_figures("paced_bundle", f"in bundles of {BATCH:,}, at most {PACE:,}/s", least(0.98 * PACE, "{:,.0f}"), most(0.1, "{:.0%}")),
        *churn_figures("single", "one at a time", least(PACE)),
        *churn_figures("bundle", f"in bundles of {BATCH:,}", least(PACE)),
    ]),
    Study("load", "a million flows, and bundles of 100,000, while a worker forwards `exact-8k`", loaded(load), [
        Figure("million_secs", f"seconds to load {MILLION:,} flows", "{:.1f}"),
        Figure("bytes", "  bytes of memory a flow", "{:.0f}", most(600)),
        Figure("dump_secs", "  seconds to dump these", "{:.1f}"),
        Figure("dump_mb", "  MB of memory for that", "{:.1f}"),
        Figure("clear_secs", "  seconds to delete these", "{:.1f}"),
        Figure("bundle_rate", f"a bundle of {LARGE:,}: flows/s", "{:,.0f}", least(300_000)),
        Figure("bundle_us", "  CPU microseconds of control, each", "{:.1f}"),
    ], once=("ovs",)),
]
