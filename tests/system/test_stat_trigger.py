"""OpenFlow 1.5's statistics trigger: os-ken writes the instruction and reads what comes without being asked for."""

import struct

import pytest
from os_ken.ofproto import ofproto_v1_5 as ofp
from os_ken.ofproto import ofproto_v1_5_parser as parser
from os_ken.ofproto.ofproto_protocol import ProtocolDesc
from wire import OpenFlow

V15 = 6
MULTIPART_REPLY = 19


class Controller(OpenFlow):
    """OpenFlow 1.5 in os-ken's words."""

    def __init__(self, path):
        super().__init__(path, V15)
        self.os_ken = ProtocolDesc(version=V15)

    def say(self, message):
        message.xid = 7
        message.serialize()
        self.socket.sendall(message.buf)

    def wants_statistics(self, mask=1 << ofp.OFPFSR_STAT_TRIGGER):
        reasons = parser.OFPAsyncConfigPropReasons(ofp.OFPACPT_FLOW_STATS_MASTER, mask=mask)
        self.say(parser.OFPSetAsync(self.os_ken, [reasons]))

    def add_flow(self, trigger, in_port=1, out_port=2):
        actions = [parser.OFPActionOutput(out_port)]
        instructions = [parser.OFPInstructionActions(ofp.OFPIT_APPLY_ACTIONS, actions), trigger]
        match = parser.OFPMatch(in_port=in_port, eth_type=0x800)
        self.say(parser.OFPFlowMod(self.os_ken, table_id=0, priority=9, match=match, instructions=instructions))
        self.barrier_15()

    def barrier_15(self):
        self.send(20)
        kind, _, body = self.receive()
        assert kind == 21, (kind, body)

    def statistics(self):
        """Of the one flow in the next message."""
        kind, xid, body = self.receive()
        assert (kind, xid) == (MULTIPART_REPLY, 0), (kind, xid, body)
        header = struct.pack("!BBHI", V15, kind, 8 + len(body), xid)
        reply = parser.OFPMultipartReply.parser(self.os_ken, V15, kind, 8 + len(body), xid, header + body)
        assert (reply.type, reply.flags) == (ofp.OFPMP_FLOW_STATS, 0)
        (flow,) = reply.body
        assert (flow.reason, flow.table_id, flow.priority) == (ofp.OFPFSR_STAT_TRIGGER, 0, 9)
        return flow

    def hears_nothing(self, seconds=0.5):
        self.socket.settimeout(seconds)
        with pytest.raises(TimeoutError):
            self.receive()
        self.socket.settimeout(5)


@pytest.fixture
def controller(lan):
    lan.vsctl("set-fail-mode", "br0", "secure")
    lan.ofctl("del-flows", "br0")
    lan.ofctl("add-flow", "br0", "priority=1,actions=normal")
    controller = Controller(lan.rundir / "br0.mgmt")
    yield controller
    controller.close()


def test_each_ten_packets(lan, controller):
    controller.wants_statistics()
    thresholds = parser.OFPStats(packet_count=10)
    controller.add_flow(parser.OFPInstructionStatTrigger(ofp.OFPSTF_PERIODIC, thresholds))
    assert lan.h1.ping("10.0.0.2", 9)
    controller.hears_nothing()
    for most in 10, 20:
        assert lan.h1.ping("10.0.0.2", 1 if most == 10 else 10)
        flow = controller.statistics()
        assert flow.match["in_port"] == 1
        assert most <= flow.stats["packet_count"] < most + 10
        assert flow.stats["byte_count"] > 64 * most
    controller.hears_nothing()
    # Statistics are asked for as before, and the tools show the flow.
    shown = lan.ofctl("-O", "OpenFlow15", "dump-flows", "br0", "in_port=1").stdout
    assert "stat_trigger(periodic,packet_count=10)" in shown
    assert "reason" not in lan.ofctl("-O", "OpenFlow15", "dump-flow-counts", "br0").stdout
    features = lan.ofctl("-O", "OpenFlow15", "dump-table-features", "br0").stdout
    assert "write_metadata stat_trigger goto_table" in features


def test_the_first_of_several(lan, controller):
    controller.wants_statistics()
    thresholds = parser.OFPStats(packet_count=5, duration=(1, 0), idle_time=(600, 0))
    controller.add_flow(parser.OFPInstructionStatTrigger(ofp.OFPSTF_ONLY_FIRST, thresholds))
    flow = controller.statistics()
    assert (1, 0) <= flow.stats["duration"] < (2, 0)
    assert lan.h1.ping("10.0.0.2", 9)
    controller.hears_nothing()


def test_nobody_asked(lan, controller):
    """A connection that is no controller's has events only if it chooses some."""
    thresholds = parser.OFPStats(packet_count=1)
    controller.add_flow(parser.OFPInstructionStatTrigger(0, thresholds))
    assert lan.h1.ping("10.0.0.2", 2)
    controller.hears_nothing()
    added = lan.ofctl("add-flow", "br0", "in_port=3,actions=stat_trigger(duration=1)", check=False)
    assert added.returncode == 0
    wrong = lan.ofctl("-O", "OpenFlow13", "add-flow", "br0", "in_port=3,actions=stat_trigger(duration=1)", check=False)
    assert wrong.returncode != 0 and "stat_trigger needs OpenFlow 1.5" in wrong.stderr
