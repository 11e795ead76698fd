"""A learning switch as an external controller: an os-ken application for OpenFlow 1.0 and 1.2 to 1.5.

    osken-manager --ofp-listen-host 127.0.0.1 --ofp-tcp-listen-port 6653 demo/learning_switch.py

What the bridge does not know comes here; from that it learns where each address is, and gets a flow
for each pair of addresses that talk.
"""

import logging

from os_ken.base import app_manager
from os_ken.controller import ofp_event
from os_ken.controller.handler import CONFIG_DISPATCHER, MAIN_DISPATCHER, set_ev_cls
from os_ken.lib.mac import haddr_to_str
from os_ken.ofproto import ofproto_v1_0, ofproto_v1_2, ofproto_v1_3, ofproto_v1_4, ofproto_v1_5

IDLE_TIMEOUT_SECS = 60


class LearningSwitch(app_manager.OSKenApp):
    """Knows, for each bridge, the port of each address."""
    OFP_VERSIONS = [version.OFP_VERSION for version in (ofproto_v1_0, ofproto_v1_2, ofproto_v1_3, ofproto_v1_4, ofproto_v1_5)]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.logger.setLevel(logging.INFO)
        self.ports = {}

    @set_ev_cls(ofp_event.EventOFPSwitchFeatures, CONFIG_DISPATCHER)
    def switch_features(self, event):
        """A bridge has connected: start with no flows but, since OpenFlow 1.2, the one for what nobody knows."""
        datapath = event.msg.datapath
        ofproto, parser = datapath.ofproto, datapath.ofproto_parser
        self.logger.info("bridge %016x speaks OpenFlow 1.%d", datapath.id, ofproto.OFP_VERSION - 1)
        self.ports[datapath.id] = {}
        if is_10(datapath):
            datapath.send_msg(parser.OFPFlowMod(datapath, parser.OFPMatch(), 0, ofproto.OFPFC_DELETE, 0,
                                                out_port=ofproto.OFPP_NONE))
        else:
            datapath.send_msg(parser.OFPFlowMod(datapath, command=ofproto.OFPFC_DELETE, table_id=ofproto.OFPTT_ALL,
                                                out_port=ofproto.OFPP_ANY, out_group=ofproto.OFPG_ANY))
            self.add_flow(datapath, 0, parser.OFPMatch(), ofproto.OFPP_CONTROLLER, 0)

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def packet_in(self, event):
        """A frame that no flow knows."""
        message, datapath = event.msg, event.msg.datapath
        ofproto, parser = datapath.ofproto, datapath.ofproto_parser
        in_port = message.in_port if is_10(datapath) else message.match["in_port"]
        destination, source = haddr_to_str(message.data[0:6]), haddr_to_str(message.data[6:12])
        ports = self.ports.setdefault(datapath.id, {})
        if ports.get(source) != in_port:
            self.logger.info("%s is at port %s", source, in_port)
            ports[source] = in_port
        out_port = ports.get(destination, ofproto.OFPP_FLOOD)
        if out_port != ofproto.OFPP_FLOOD:
            names = ("dl_src", "dl_dst") if is_10(datapath) else ("eth_src", "eth_dst")
            match = parser.OFPMatch(in_port=in_port, **dict(zip(names, (source, destination))))
            self.add_flow(datapath, 10, match, out_port, IDLE_TIMEOUT_SECS)
        # OpenFlow 1.5 says where a packet came from by a match.
        came = ({"match": parser.OFPMatch(in_port=in_port)} if ofproto.OFP_VERSION >= ofproto_v1_5.OFP_VERSION
                else {"in_port": in_port})
        datapath.send_msg(parser.OFPPacketOut(datapath=datapath, buffer_id=ofproto.OFP_NO_BUFFER, data=message.data,
                                              actions=[parser.OFPActionOutput(out_port, 0)], **came))

    def add_flow(self, datapath, priority, match, out_port, idle_timeout_secs):
        """Sends what matches to one port."""
        ofproto, parser = datapath.ofproto, datapath.ofproto_parser
        if is_10(datapath):
            actions = [parser.OFPActionOutput(out_port)]
            how = {"command": ofproto.OFPFC_ADD, "cookie": 0, "actions": actions}
        else:
            actions = [parser.OFPActionOutput(out_port, ofproto.OFPCML_NO_BUFFER)]
            how = {"instructions": [parser.OFPInstructionActions(ofproto.OFPIT_APPLY_ACTIONS, actions)]}
        datapath.send_msg(parser.OFPFlowMod(datapath=datapath, match=match, priority=priority,
                                            idle_timeout=idle_timeout_secs, **how))


def is_10(datapath):
    return datapath.ofproto.OFP_VERSION == ofproto_v1_0.OFP_VERSION
