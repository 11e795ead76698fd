"""A frame that is sent right after a BARRIER_REPLY meets the new rules, on every worker."""

import select

import pytest
from wire import OpenFlow, raw_socket

ROUNDS = 500


@pytest.mark.parametrize("mask", ["0x1", "0x3"])
def test_new_rules_hold_after_a_barrier(lab, lan, mask):
    h3 = lab.port_host(lan, "br0", "p3", columns=["--", "set", "Interface", "p3", "ofport_request=3"])
    lan.vsctl("set", "Open_vSwitch", ".", f"other_config:pmd-cpu-mask={mask}", "--", "set-fail-mode", "br0", "secure")
    lan.ofctl("del-flows", "br0")
    source = raw_socket(lan.h1, "eth0")
    sinks = {2: raw_socket(lan.h2, "eth0"), 3: raw_socket(h3, "eth0")}
    ports = {sink.fileno(): port for port, sink in sinks.items()}
    connection = OpenFlow(lan.rundir / "br0.mgmt")
    for number in range(ROUNDS):
        wanted = 2 + number % 2
        connection.flow_mod(1, wanted)
        connection.barrier()
        frame = b"\xff" * 6 + b"\x02\0\0\0\0\1" + b"\x88\xb5" + number.to_bytes(4, "big") + bytes(42)
        source.send(frame)
        ready, _, _ = select.select(list(sinks.values()), [], [], 5)
        assert ready, f"frame {number} is lost"
        for sink in ready:
            assert sink.recv(2000)[14:18] == frame[14:18]
        assert [ports[sink.fileno()] for sink in ready] == [wanted], f"frame {number} met old rules"
    connection.close()
    for sink in [source, *sinks.values()]:
        sink.close()
