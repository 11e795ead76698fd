"""ofproto/trace of random flows and packets on switchd and on Debian's `ovs-vswitchd --enable-dummy`: both tell the same tree.

`TRACES` in the environment is how many traces there are, `SEED` the first round's seed. What our traces say beside the stock
ones (docs/differences.md) is taken out by `common`. `Megaflow` and `Datapath actions` are not compared: they differ deliberately.
"""

import os
import random
import re
import socket

import pytest
import random_frames
import random_switching
from lab import until
from test_differential import Dummy

SEED = int(os.environ.get("SEED", 1))
TRACES = int(os.environ.get("TRACES", 120))
PER_ROUND = 20
PORTS = random_switching.OUTPUTS
# Lines that only we print, and what only the stock prints.
OURS = [" -> table=", " -> by weight and a hash", " -> dropped: ", " -> conjunction, clause ", " -> meter ", " -> port ",
        " -> link ", " -> the packet waits", " -> larger than ", " -> not larger than ", " -> no port is up", " -> queue = "]
# The stock shows all of a tunnel's header if that has a destination, and else nothing.
TUNNEL = re.compile(r"(tun|gtpu)_\w+=[^,]*,")
FIELDS = re.compile(r",(ipv6_exthdr|bpdu_type|nd_reserved|nd_options_type)=[^,]*")
STOCK = [" -> bucket "]


class Ours:
    """switchd; its ports are cabled to nobody who sends."""

    def __init__(self, lab):
        self.switch = lab.switch("traced")
        there = lab.namespace("there")
        add = ["add-br", "br0", "--", "set-fail-mode", "br0", "secure"]
        for port in PORTS:
            lab.veth(self.switch.namespace, f"p{port}", there, f"h{port}")
            add += ["--", "add-port", "br0", f"p{port}", "--", "set", "Interface", f"p{port}", f"ofport_request={port}"]
        self.switch.vsctl(*add)
        self.control = socket.socket(socket.AF_UNIX)
        self.control.connect(str(next(self.switch.rundir.glob("ovs-vswitchd.*.ctl"))))

    ask = Dummy.ask

    def ofctl(self, *words, **options):
        return self.switch.stock_ofctl(*words, **options)


@pytest.fixture(scope="module")
def pair(shared_lab):
    return Dummy(shared_lab), Ours(shared_lab)


def common(text):
    """The lines of a trace that both have: fields, tree, fields in the end."""
    lines = []
    for line in text.splitlines():
        if line.startswith(("Megaflow: ", "Datapath actions: ", "Translation failed")):
            continue
        if any(words in line for words in OURS) or any(words in line and "score" in line for words in STOCK):
            continue
        if line.startswith(("Flow: ", "Final flow: ")):
            line = FIELDS.sub("", TUNNEL.sub("", line))
        # The stock compares more than it prints.
        if line.startswith("Final flow: ") and line.endswith(lines[0].removeprefix("Flow")):
            line = "Final flow: unchanged"
        # The stock calls it an error, and goes on as we do.
        lines.append(line.replace(">>>> stack underflow <<<<", ">> stack underflow"))
    return lines


def trace(switch, *words, method="ofproto/trace"):
    answer = switch.ask(method, "br0", *words)
    assert answer["error"] is None, answer
    return answer["result"]


def load(pair, lines, directory):
    file = directory / "lines"
    file.write_text("\n".join(["flow delete", "group delete group_id=all", *lines]) + "\n")
    return [switch.ofctl("-O", "OpenFlow14", "bundle", "br0", str(file), check=False) for switch in pair]


def state(rng):
    groups, lines = [], []
    for number in range(1, rng.choice([1, 2, 4])):
        lines.append("group add " + random_switching.group(rng, number, groups))
        groups.append(number)
    made = [random_switching.flow(rng, priority, groups) for priority in rng.sample(range(1, 60), rng.randrange(8, 30))]
    made += random_switching.conjunctions(rng, 65, 7)
    # The stock shows both ways of a packet that is measured; and it learns from frames that it is given.
    # Of an action set that sends the packet nowhere it shows nothing.
    return lines + ["flow add " + flow for flow in made if "check_pkt_larger" not in flow and not sends_nowhere(flow)]


def sends_nowhere(flow):
    written = re.findall(r"write_actions\((.*)\)", flow)
    return any("output" not in actions and "group" not in actions for actions in written)


def test_the_same_tree(pair, tmp_path):
    told = 0
    for seed in range(SEED, SEED + 10 * TRACES):
        if told >= TRACES:
            break
        rng = random.Random(seed)
        results = load(pair, state(rng), tmp_path)
        if any(result.returncode for result in results):
            continue
        for _ in range(PER_ROUND):
            told += 1
            port, frame = rng.choice(PORTS), random_frames.frame(rng, b"mark").hex()
            stock, ours = (trace(switch, f"in_port={port}", frame) for switch in pair)
            pair[0].ask("fdb/flush", "br0")
            if "nw_frag=first" in stock:
                # Ours shows the ports that tables see of it: none.
                continue
            assert common(ours) == common(stock), f"seed {seed}: in_port={port} {frame}\n{ours}\n{stock}"
    assert told >= TRACES


FLOWS = """
priority=10,ip,nw_src=1.0.0.1 actions=write_actions(group:1),goto_table:1
priority=10,ip,nw_src=1.0.0.2 actions=push:NXM_NX_REG0[],pop:NXM_NX_REG1[0..5],move:NXM_OF_IP_SRC[]->NXM_OF_IP_DST[],pop:NXM_NX_REG1[],output:2
priority=10,ip,nw_src=1.0.0.3 actions=learn(table=9,hard_timeout=5,priority=9,cookie=0x5,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:7->NXM_NX_REG3[],output:NXM_OF_IN_PORT[]),output:2
priority=10,ip,nw_src=1.0.0.4 actions=group:2,output:4
priority=10,ip,nw_src=1.0.0.5 actions=group:3,group:4,output:4
priority=10,ip,nw_src=1.0.0.6 actions=meter:9,set_queue:3,output:2
priority=10,ip,nw_src=1.0.0.7 actions=push_vlan:0x8100,set_field:0x1005->vlan_vid,output:2,push_vlan:0x88a8,output:3,pop_vlan,output:4
priority=10,ip,nw_src=1.0.0.8 actions=controller(userdata=01.02,id=3,max_len=55),controller(pause),output:3
priority=10,ip,nw_src=1.0.0.9 actions=resubmit(,0)
priority=10,ip,nw_src=1.0.0.10 actions=set_field:0x9->pkt_mark,set_field:0x7->metadata,set_field:3->reg15,output:NXM_NX_REG15[]
priority=10,ip,nw_src=1.0.0.11 actions=output:20,set_queue:2,pop_queue,dec_ttl,output:3,output:NXM_NX_REG9[0..15]
priority=10,ip,nw_src=1.0.0.12 actions=push_mpls:0x8847,set_field:9->mpls_label,output:2
priority=10,ip,nw_src=1.0.0.13 actions=clear_actions,write_actions(output:2),goto_table:1
table=1,cookie=0x77,priority=3 actions=resubmit(,2),clear_actions,write_actions(output:3)
table=2,ip actions=multipath(eth_src,50,modulo_n,1,0,NXM_NX_REG1[0..3])
"""
GROUPS = ["group_id=1,type=all,bucket=bucket_id:1,actions=output:1,bucket=bucket_id:2,actions=output:3",
          "group_id=2,type=ff,bucket=bucket_id:1,watch_port:9,actions=output:1,bucket=bucket_id:2,watch_port:3,actions=output:3",
          "group_id=3,type=ff,bucket=bucket_id:1,watch_port:9,actions=output:1",
          "group_id=4,type=indirect,bucket=bucket_id:1,actions=output:2"]


def test_the_same_words(pair):
    """What actions say beside their names."""
    for switch in pair:
        switch.ofctl("del-flows", "br0")
        switch.ofctl("-O", "OpenFlow13", "del-groups", "br0")
        switch.ofctl("-O", "OpenFlow15", "add-meter", "br0", "meter=9,kbps,bands=type=drop,rate=100")
        for group in GROUPS:
            switch.ofctl("-O", "OpenFlow15", "add-group", "br0", group)
        switch.ofctl("-O", "OpenFlow13", "add-flows", "br0", "-", stdin=FLOWS)
    for last in range(1, 15):
        for more in "nw_ttl=64", "nw_ttl=1", "nw_proto=47,nw_ttl=5,reg3=7,pkt_mark=1,metadata=4,reg9=2":
            words = f"in_port=1,ip,nw_src=1.0.0.{last},{more}"
            stock, ours = (trace(switch, words) for switch in pair)
            assert common(ours) == common(stock), f"{words}\n{ours}\n{stock}"


def test_what_only_we_say(pair):
    """Tunnel options, what is learnt, why not a bucket; and that nothing is learnt without -generate."""
    ours = pair[1]
    ours.ofctl("add-tlv-map", "br0", "{class=0x102,type=3,len=4}->tun_metadata3")
    text = trace(ours, "in_port=1,ip,nw_src=1.0.0.4,tun_metadata3=0x77,tun_dst=1.2.3.4")
    assert ",tun_dst=1.2.3.4,tun_metadata3=0x77,in_port=1," in text
    assert "bucket 1: not live due to port 9" in text
    answer = ours.ask("ofproto/trace", "br0", "in_port=1,ip,tun_metadata4=1")
    assert "tun_metadata4 is not in the bridge's TLV map" in answer["error"]
    text = trace(ours, "in_port=1,dl_type=0x88e7,pbb_isid=5")
    assert "dl_type=0x88e7,pbb_isid=5" in text
    learnt = "table=9 dl_dst=00:00:00:00:00:00 priority=9 cookie=0x5 hard=5 actions=load:0x7->NXM_NX_REG3[],output:1"
    text = trace(ours, "in_port=1,ip,nw_src=1.0.0.3")
    assert learnt in text and "learn action ignored" in text
    count = lambda: ours.ofctl("dump-flows", "br0", "table=9").stdout.count("table=9")
    assert count() == 0
    text = trace(ours, "in_port=1,ip,nw_src=1.0.0.3", "-generate")
    assert learnt in text and "learn action ignored" not in text
    until(lambda: count() == 1, "the flow is learnt")
    ours.ofctl("del-tlv-map", "br0")
