"""The stock Open vSwitch tools configure the switch unchanged, and both families of tools print the same."""

import pytest
from lab import flows

DEMO_FLOWS = [
    "arp,actions=flood",
    "ip,nw_dst=172.31.2.0/24,actions=output:2",
    "icmp6,ipv6_dst=ff00::/8,actions=flood",
    "ip6,ipv6_dst=fc00:0:0:2::0/64,actions=output:2",
]

MORE_FLOWS = [
    "priority=100,ip,in_port=1,nw_dst=10.0.0.0/24,actions=mod_dl_dst:00:11:22:33:44:55,dec_ttl,output:2",
    "cookie=0xabc,priority=5,tcp,tp_dst=80,idle_timeout=600,hard_timeout=1200,actions=resubmit(,1)",
    "table=1,dl_vlan=5,dl_vlan_pcp=3,actions=strip_vlan,NORMAL",
    "table=2,priority=7,udp,nw_src=10.1.0.0/255.255.0.0,tp_src=0x35/0xffff,actions=drop",
    "table=3,arp,arp_tpa=10.0.0.1,arp_op=1,actions=CONTROLLER:128",
    "table=4,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,actions=flood",
    "table=5,reg0=0x5,metadata=0x1/0xff,actions=load:0x7->NXM_NX_REG1[0..15],move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],output:1",
    "table=6,dl_vlan=0xffff,actions=mod_vlan_vid:9,output:2",
    "table=7,tun_id=0x2a,actions=set_field:0x2b->tun_id,IN_PORT",
    "table=8,icmp6,icmpv6_type=135,nd_target=fc00::1,actions=ALL",
    "table=9,sctp,tp_dst=99,send_flow_rem,actions=mod_nw_tos:184,LOCAL",
]


@pytest.fixture
def site(lab):
    """The demo's configuration of one site, by the stock tools alone."""
    switch = lab.switch()
    host = lab.host(switch, "h1", "172.31.1.1/16")
    switch.stock_vsctl("add-br", "ovs1", "--", "set-fail-mode", "ovs1", "secure")
    switch.stock_vsctl("add-port", "ovs1", "h1", "--", "set", "Interface", "h1", "ofport_request=1")
    for port, site in (2, 2), (3, 3):
        switch.stock_vsctl(
            "add-port", "ovs1", f"to{site}", "--", "set", "Interface", f"to{site}", "type=vxlan",
            f"options:remote_ip=192.168.200.10{site}", "options:dst_port=8472", f"ofport_request={port}")
    switch.host = host
    return switch


def test_configuration_by_the_stock_tools(site):
    assert site.stock_vsctl("list-br").stdout.split() == ["ovs1"]
    assert site.stock_vsctl("list-ports", "ovs1").stdout.split() == ["h1", "to2", "to3"]
    assert site.stock_vsctl("port-to-br", "to2").stdout.strip() == "ovs1"
    assert site.stock_vsctl("get", "Interface", "to3", "ofport").stdout.strip() == "3"
    assert site.stock_vsctl("get-fail-mode", "ovs1").stdout.strip() == "secure"
    assert site.stock_vsctl("br-exists", "nope", check=False).returncode == 2
    assert "remote_ip" in site.stock_vsctl("show").stdout
    site.stock_vsctl("del-port", "ovs1", "to3")
    assert site.vsctl("list-ports", "ovs1").stdout.split() == ["h1", "to2"]
    site.stock_vsctl("del-br", "ovs1")
    assert site.vsctl("list-br").stdout == ""


def test_both_tools_print_the_same(site):
    for words in ["list-br"], ["list-ports", "ovs1"], ["port-to-br", "to2"], ["get-fail-mode", "ovs1"], \
            ["get", "Interface", "to2", "options", "type", "ofport"], ["find", "Interface", "type=vxlan"], \
            ["--columns=name,ofport,options", "list", "Interface"], ["-f", "csv", "list", "Port"], \
            ["-f", "json", "--columns=name", "list", "Bridge"]:
        ours, stock = site.vsctl(*words).stdout, site.stock_vsctl(*words).stdout
        # Rows come in any order; what is asked for is the same rows.
        assert sorted(ours.splitlines()) == sorted(stock.splitlines()), words
    # Ours says more: the underlay of tunnels, for example.
    assert set(site.stock_vsctl("show").stdout.splitlines()) <= set(site.vsctl("show").stdout.splitlines())


@pytest.mark.parametrize("version", ["OpenFlow10", "OpenFlow13"])
def test_flows_by_the_stock_tool(site, version):
    for flow in DEMO_FLOWS + MORE_FLOWS:
        site.stock_ofctl("-O", version, "add-flow", "ovs1", flow)
    stock = site.stock_ofctl("-O", version, "dump-flows", "ovs1").stdout
    ours = site.ofctl("-O", version, "dump-flows", "ovs1").stdout
    assert len(flows(stock)) == len(DEMO_FLOWS + MORE_FLOWS)
    assert flows(ours) == flows(stock)
    assert ours.splitlines()[0].split("xid")[0] == stock.splitlines()[0].split("xid")[0]
    site.stock_ofctl("-O", version, "--strict", "del-flows", "ovs1", "arp")
    site.stock_ofctl("-O", version, "mod-flows", "ovs1", "ip,nw_dst=172.31.2.0/24,actions=output:3")
    assert "nw_dst=172.31.2.0/24 actions=output:3" in site.ofctl("dump-flows", "ovs1").stdout
    site.stock_ofctl("-O", version, "del-flows", "ovs1")
    assert flows(site.ofctl("dump-flows", "ovs1").stdout) == []


def test_flows_by_our_tool_read_by_the_stock_one(site):
    site.ofctl("add-flows", "ovs1", "-", stdin="\n".join(DEMO_FLOWS + MORE_FLOWS) + "\n")
    for version in "OpenFlow10", "OpenFlow13":
        stock = site.stock_ofctl("-O", version, "dump-flows", "ovs1").stdout
        assert flows(site.ofctl("-O", version, "dump-flows", "ovs1").stdout) == flows(stock)
    match = ["dump-flows", "ovs1", "table=4"]
    assert flows(site.ofctl("-O", "OpenFlow10", *match).stdout) == flows(site.stock_ofctl(*match).stdout) != []


@pytest.mark.parametrize("version", ["OpenFlow10", "OpenFlow13"])
@pytest.mark.parametrize("command", ["show", "dump-ports-desc", "dump-desc", "dump-ports", "dump-tables", "dump-aggregate"])
def test_other_commands_print_the_same(site, command, version):
    site.ofctl("add-flow", "ovs1", "priority=1,actions=NORMAL")
    ours = site.ofctl("-O", version, command, "ovs1").stdout
    stock = site.stock_ofctl("-O", version, command, "ovs1").stdout
    assert steady(ours) == steady(stock)


def steady(text):
    """Without transaction ids, durations and counters, which differ between two moments."""
    words = []
    for word in text.replace("=", " = ").replace(",", " , ").split():
        words.append("N" if word.replace(".", "").rstrip("s").isdigit() else word)
    return [word for word in words if not word.startswith("0x") and not word.startswith("(xid")]
