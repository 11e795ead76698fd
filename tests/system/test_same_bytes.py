"""The same frames through the same tunnels and flows, in switchd and in Debian's Open vSwitch: the packets on the wire
are the same byte for byte, and so is what comes out at the other end.

Three things may differ: the UDP source port, which is each one's own hash of the flow (and with it the UDP checksum), and
the id of an IPv4 packet without DF; and congestion that is marked inside already (not sent here), which Open vSwitch does not copy to the
outer header (RFC 3168) and switchd does (RFC 6040).
"""

import socket
import struct

import pytest
from lab import run, until
from wire import raw_socket

ETH_P_ALL = 3
LOCAL_MAC, REMOTE_MAC = "02:00:00:00:0a:01", "02:00:00:00:0a:02"
ENDS = {4: ("10.9.0.1", "10.9.0.2", 24), 6: ("fd09::1", "fd09::2", 64)}


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ethernet(payload, ethertype, tag=b""):
    return mac("02:00:00:00:00:02") + mac("02:00:00:00:00:01") + tag + struct.pack("!H", ethertype) + payload


def ipv4(tos=0, ttl=64, df=True, size=64):
    body = struct.pack("!HHHH", 5000, 6000, 8 + size, 0) + bytes(range(size))
    header = struct.pack("!BBHHHBBH", 0x45, tos, 20 + len(body), 7, 0x4000 if df else 0, ttl, 17, 0)
    header += socket.inet_aton("172.31.0.1") + socket.inet_aton("172.31.0.2")
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    return ethernet(header + body, 0x0800)


def ipv6(traffic_class=0, hop_limit=64):
    body = struct.pack("!HHHH", 5000, 6000, 8 + 40, 0xFFFF) + bytes(40)
    header = struct.pack("!IHBB", 6 << 28 | traffic_class << 20, len(body), 17, hop_limit)
    header += socket.inet_pton(socket.AF_INET6, "fc00::1") + socket.inet_pton(socket.AF_INET6, "fc00::2")
    return ethernet(header + body, 0x86DD)


ARP = ethernet(struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + bytes(20) + bytes(18), 0x0806)
TAGGED = ipv4()[:12] + b"\x81\x00\x60\x07" + ipv4()[12:]
FRAMES = [ipv4(), ipv4(tos=0xB9, ttl=5), ipv4(tos=0x02, df=False), ipv6(0xB8 | 2, 9), ARP, TAGGED]
PACKETS = [ipv4(), ipv4(tos=0xB9, ttl=5), ipv6(0xB8 | 2, 9)]

# Type, options, action in front of the output, IP version, frames.
CASES = {
    "vxlan": ("vxlan", [], "", 4, FRAMES),
    "vxlan-key": ("vxlan", ["key=42", "dst_port=8472"], "", 4, FRAMES),
    "vxlan-flow-key": ("vxlan", ["key=flow"], "set_field:0x123456->tun_id,", 4, FRAMES),
    "vxlan-in-out": ("vxlan", ["in_key=flow", "out_key=2"], "", 4, FRAMES),
    "vxlan-inherit": ("vxlan", ["tos=inherit", "ttl=inherit", "key=flow"], "", 4, FRAMES),
    "vxlan-fixed": ("vxlan", ["tos=0x20", "ttl=3", "df_default=false", "key=flow"], "", 4, FRAMES),
    "vxlan-csum": ("vxlan", ["csum=true", "key=flow"], "", 4, FRAMES),
    "vxlan-remote-flow": ("vxlan", ["remote_ip=flow", "key=flow"],
                          "set_field:10.9.0.2->tun_dst,set_field:5->tun_id,", 4, FRAMES),
    "vxlan6": ("vxlan", ["key=flow"], "set_field:7->tun_id,", 6, FRAMES),
    "vxlan6-inherit": ("vxlan", ["key=flow", "tos=inherit", "ttl=inherit"], "", 6, FRAMES),
    "gre": ("gre", [], "", 4, FRAMES),
    "gre-key": ("gre", ["key=7"], "", 4, FRAMES),
    "gre-flow-key": ("gre", ["key=flow"], "set_field:0x12345678->tun_id,", 4, FRAMES),
    "gre-csum": ("gre", ["key=flow", "csum=true"], "", 4, FRAMES),
    "gre-seq": ("gre", ["key=flow", "seq=true"], "", 4, FRAMES),
    "gre-l3": ("gre", ["key=flow", "packet_type=legacy_l3"], "", 4, PACKETS),
    "gre6": ("gre", ["key=flow", "tos=inherit"], "set_field:9->tun_id,", 6, FRAMES),
    "geneve": ("geneve", ["key=42"], "", 4, FRAMES),
    "geneve-flow-key": ("geneve", ["key=flow"], "set_field:0x123456->tun_id,", 4, FRAMES),
    "geneve-csum": ("geneve", ["key=flow", "csum=true", "tos=inherit"], "", 4, FRAMES),
    "geneve6": ("geneve", ["key=flow"], "set_field:7->tun_id,", 6, FRAMES),
}


class Bench:
    """A switch between a host and a wire, with a tunnel between them."""

    def __init__(self, lab, name, switch, version):
        self.lab, self.switch, self.version = lab, switch, version
        self.host, self.wire = lab.namespace(f"{name}-host"), lab.namespace(f"{name}-wire")
        for namespace, interface in (self.host, "host"), (self.wire, "uplink"):
            lab.veth(switch.namespace, interface, namespace, "eth0", mtu=2000)
        # Nobody else talks here.
        for namespace in (self.host, self.wire):
            namespace.run("sysctl", "-qw", "net.ipv6.conf.eth0.disable_ipv6=1")

    def configure(self, kind, options, actions):
        near, far, bits = ENDS[self.version]
        run_vsctl, namespace = self.switch.vsctl, self.switch.namespace
        run_vsctl("set", "bridge", "br-phys", f'other_config:hwaddr="{LOCAL_MAC}"')
        run_vsctl("add-port", "br-phys", "uplink", "--", "add-port", "br0", "host")
        namespace.address("br-phys", f"{near}/{bits}")
        if not any(option.startswith("remote_ip") for option in options):
            options = [f"remote_ip={far}", *options]
        run_vsctl("add-port", "br0", "tun", "--", "set", "Interface", "tun", f"type={kind}",
                  *(f"options:{option}" for option in options))
        self.switch.ofctl("-O", "OpenFlow13", "del-flows", "br0")
        for flow in f"in_port=host,actions={actions}output:tun", "in_port=tun,actions=output:host":
            for name in "host", "tun":
                number = run_vsctl("get", "Interface", name, "ofport").stdout.strip()
                flow = flow.replace(f"in_port={name}", f"in_port={number}").replace(f"output:{name}", f"output:{number}")
            self.switch.ofctl("-O", "OpenFlow13", "add-flow", "br0", flow)
        until(lambda: LOCAL_MAC in namespace.run("ip", "link", "show", "br-phys").stdout, "the bridge's address")
        return far

    def pass_through(self, frames, into, out_of):
        """What comes out at one side of what goes in at the other."""
        source, sink = raw_socket(into, "eth0"), raw_socket(out_of, "eth0", ETH_P_ALL)
        sink.settimeout(0.2)
        received = []
        with source, sink:
            for frame in frames:
                before = len(received)
                # The first one may wait for a neighbour; none may be lost.
                source.send(frame)

                def came():
                    try:
                        data, (_, _, kind, *_) = sink.recvfrom(4000)
                    except TimeoutError:
                        return False
                    if kind != socket.PACKET_OUTGOING and data[:6] in (mac(REMOTE_MAC), FRAMES[0][:6]) or data[:12] == bytes(12):
                        received.append(data)
                    return len(received) > before
                until(came, f"frame {before} of {len(frames)} comes out")
        return received


def masked(packet, version):
    """Without what may differ."""
    packet = bytearray(packet)
    l4 = 34 if version == 4 else 54
    if version == 4 and not packet[20] & 0x40:
        packet[18:20] = packet[24:26] = bytes(2)
    protocol = packet[23 if version == 4 else 20]
    if protocol == 17:
        port = struct.unpack_from("!H", packet, l4)[0]
        assert 32768 <= port < 61000
        packet[l4:l4 + 2] = bytes(2)
        if packet[l4 + 6:l4 + 8] != bytes(2):
            packet[l4 + 6:l4 + 8] = b"\xff\xff"
    return packet.hex()


def returned(packet, version):
    """The packet that the other end would have sent: addresses the other way round, which no checksum notices."""
    ip, size = (26, 4) if version == 4 else (22, 16)
    addresses = packet[ip:ip + 2 * size]
    return packet[6:12] + packet[:6] + packet[12:ip] + addresses[size:] + addresses[:size] + packet[ip + 2 * size:]


@pytest.mark.parametrize("name", CASES)
def test_as_open_vswitch_does_it(lab, name):
    kind, options, actions, version, frames = CASES[name]
    ours, theirs = lab.switch(), lab.stock_switch()
    ours.vsctl("add-br", "br-phys", "--", "add-br", "br0")
    for bridge in "br-phys", "br0":
        theirs.add_br(bridge)
    benches = [Bench(lab, "o", ours, version), Bench(lab, "t", theirs, version)]
    for bench in benches:
        far = bench.configure(kind, options, actions)
        bench.switch.namespace.run("ip", "neigh", "replace", far, "lladdr", REMOTE_MAC, "dev", "br-phys",
                                   "nud", "permanent")
    pid = (theirs.dir / "ovs-vswitchd.pid").read_text().strip()
    control = f"{theirs.dir}/ovs-vswitchd.{pid}.ctl"
    run("ovs-appctl", "-t", control, "tnl/neigh/set", "br-phys", far, REMOTE_MAC)
    until(lambda: far.rsplit(".", 1)[0].rsplit(":", 1)[0] in run("ovs-appctl", "-t", control, "ovs/route/show").stdout,
          "Open vSwitch knows the route")
    out = [bench.pass_through(frames, bench.host, bench.wire) for bench in benches]
    assert [masked(packet, version) for packet in out[0]] == [masked(packet, version) for packet in out[1]]
    back = [returned(packet, version) for packet in out[1]]
    came = [bench.pass_through(back, bench.wire, bench.host) for bench in benches]
    assert came[0] == came[1]


# Name, options beside the type: which of several tunnels gets a packet.
CHOICES = {
    "a": ["remote_ip=10.9.0.2", "key=5"],
    "b": ["remote_ip=10.9.0.2", "key=flow"],
    "c": ["remote_ip=flow", "key=5"],
    "d": ["remote_ip=flow", "key=flow"],
    "e": ["remote_ip=10.9.0.2", "local_ip=10.9.0.1", "key=flow"],
    "f": ["remote_ip=flow", "local_ip=10.9.0.1", "key=7"],
    "g": ["remote_ip=10.9.0.3", "local_ip=10.9.0.1", "key=7"],
}


def vxlan_from(source, vni, port=4789):
    inner = ipv4()
    vxlan = struct.pack("!II", 0x08000000, vni << 8) + inner
    datagram = struct.pack("!HHHH", 40000, port, 8 + len(vxlan), 0) + vxlan
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(datagram), 0, 0x4000, 64, 17, 0)
    header += socket.inet_aton(source) + socket.inet_aton("10.9.0.1")
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    return mac(LOCAL_MAC) + mac(REMOTE_MAC) + b"\x08\x00" + header + datagram


@pytest.mark.parametrize("names", ["abcd", "bc", "cde", "befd", "cfg", "defg", "acf"])
def test_the_same_tunnel_gets_a_packet(lab, names):
    chosen = []
    for name, switch in ("o", lab.switch()), ("t", lab.stock_switch("ovs")):
        for bridge in "br-phys", "br0":
            switch.vsctl("add-br", bridge, "--", "set", "Bridge", bridge, "datapath_type=netdev")
        bench = Bench(lab, name, switch, 4)
        switch.vsctl("set", "bridge", "br-phys", f'other_config:hwaddr="{LOCAL_MAC}"')
        switch.vsctl("add-port", "br-phys", "uplink", "--", "add-port", "br0", "host")
        switch.namespace.address("br-phys", "10.9.0.1/24")
        for tunnel in names:
            switch.vsctl("add-port", "br0", tunnel, "--", "set", "Interface", tunnel, "type=vxlan",
                         f"ofport_request={ord(tunnel)}", *(f"options:{option}" for option in CHOICES[tunnel]))
        switch.ofctl("-O", "OpenFlow13", "del-flows", "br0")
        # The frame's source says by which port it came.
        number = switch.vsctl("get", "Interface", "host", "ofport").stdout.strip()
        for tunnel in names:
            switch.ofctl("-O", "OpenFlow13", "add-flow", "br0", f"in_port={ord(tunnel)},"
                         f"actions=set_field:02:00:00:00:01:{ord(tunnel):02x}->eth_src,output:{number}")
        until(lambda: LOCAL_MAC in switch.namespace.run("ip", "link", "show", "br-phys").stdout, "the bridge's address")
        source, sink = raw_socket(bench.wire, "eth0"), raw_socket(bench.host, "eth0", ETH_P_ALL)
        sink.settimeout(0.3)
        came = []
        with source, sink:
            for packet in (vxlan_from(ip, vni) for ip in ("10.9.0.2", "10.9.0.3") for vni in (5, 6, 7)):
                source.send(packet)
                try:
                    while (data := sink.recv(4000))[:6] != FRAMES[0][:6]:
                        pass
                    came.append(chr(data[11]))
                except TimeoutError:
                    came.append(None)
        chosen.append(came)
    assert chosen[0] == chosen[1] and any(chosen[0])
