"""A frame that is sent right after a BARRIER_REPLY meets the new rules, on every worker."""

import select
from pathlib import Path

import pytest
from wire import OpenFlow, raw_socket

ROUNDS = 500



def worker_turns(switch):
    """How often each worker went to sleep so far."""
    turns = []
    for task in Path(f"/proc/{switch.pid()}/task").iterdir():
        if (task / "comm").read_text().startswith("worker-"):
            turns.append(int((task / "status").read_text().split("\nvoluntary_ctxt_switches:")[1].split()[0]))
    return turns


@pytest.mark.parametrize("mask, workers", [("0x1", 1), ("0x3", 2)])
def test_new_rules_hold_after_a_barrier(lab, lan, mask, workers):
    hosts = {number: lab.port_host(lan, "br0", f"p{number}", columns=[
        "--", "set", "Interface", f"p{number}", f"ofport_request={number}"]) for number in (3, 4)}
    lan.vsctl("set", "Open_vSwitch", ".", f"other_config:pmd-cpu-mask={mask}", "--", "set-fail-mode", "br0", "secure")
    # Workers are made when the daemon starts. Their queues are dealt out in turn: ports 1 and 4 have different ones.
    assert lan.stop() == 0
    lan.start()
    lan.ofctl("del-flows", "br0")
    before = worker_turns(lan)
    assert len(before) == workers
    sources = {1: raw_socket(lan.h1, "eth0"), 4: raw_socket(hosts[4], "eth0")}
    sinks = {2: raw_socket(lan.h2, "eth0"), 3: raw_socket(hosts[3], "eth0")}
    ports = {sink.fileno(): port for port, sink in sinks.items()}
    connection = OpenFlow(lan.rundir / "br0.mgmt")
    for number in range(ROUNDS):
        wanted = 2 + number % 2
        in_port = 1 if number // 2 % 2 else 4
        for port in sources:
            connection.flow_mod(port, wanted)
        connection.barrier()
        frame = b"\xff" * 6 + b"\x02\0\0\0\0\1" + b"\x88\xb5" + number.to_bytes(4, "big") + bytes(42)
        sources[in_port].send(frame)
        ready, _, _ = select.select(list(sinks.values()), [], [], 5)
        assert ready, f"frame {number} is lost"
        for sink in ready:
            assert sink.recv(2000)[14:18] == frame[14:18]
        assert [ports[sink.fileno()] for sink in ready] == [wanted], f"frame {number} met old rules"
    turns = [after - was for was, after in zip(before, worker_turns(lan))]
    # One without frames wakes ten times a second; a single one may be too busy to sleep at all.
    assert workers == 1 or min(turns) > ROUNDS / 10, f"not every worker had frames: {turns}"
    connection.close()
    for sink in [*sources.values(), *sinks.values()]:
        sink.close()
