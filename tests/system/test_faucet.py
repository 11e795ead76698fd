"""FAUCET, a controller that networks are run with, on OpenFlow 1.3: VLANs, access lists, routing between VLANs, a new
configuration while it runs, ports that flap, a second controller (gauge) that watches."""

import time

import pytest
from lab import VENV, until

ADDRESS = "127.0.0.1"
PORT, GAUGE_PORT = 6653, 6654
DATAPATH = 0x17

BASE = """
vlans:
  office:
    vid: 100
    faucet_vips: ["10.1.0.254/24", "fc01::1:254/112"]
    faucet_mac: "0e:00:00:00:10:01"
  guests:
    vid: 200
    faucet_vips: ["10.2.0.254/24", "fc02::1:254/112"]
    faucet_mac: "0e:00:00:00:20:01"
routers:
  between:
    vlans: [office, guests]
acls:
  no-telnet:
    - rule:
        dl_type: 0x800
        nw_proto: 6
        tcp_dst: 23
        actions:
          allow: {telnet}
    - rule:
        actions:
          allow: 1
dps:
  sw:
    dp_id: 0x17
    hardware: "Open vSwitch"
    arp_neighbor_timeout: 30
    interfaces:
      1: {{native_vlan: office, acls_in: [no-telnet]}}
      2: {{native_vlan: office}}
      3: {{native_vlan: {third}}}
      4: {{tagged_vlans: [office, guests]}}
"""

GAUGE = """
faucet_configs: ["{faucet}"]
watchers:
  port_stats:
    dps: [sw]
    type: port_stats
    interval: 2
    db: text
  port_state:
    dps: [sw]
    type: port_state
    db: text
  flow_table:
    dps: [sw]
    type: flow_table
    interval: 2
    db: flows
dbs:
  text:
    type: text
    file: "{dir}/gauge.txt"
  flows:
    type: text
    path: "{dir}/flows"
"""


class Faucet:
    def __init__(self, switch, directory):
        self.dir = directory
        self.config = directory / "faucet.yaml"
        self.log = directory / "faucet.log"
        (directory / "flows").mkdir()
        self.namespace = switch.namespace
        self.process = None

    def configure(self, telnet=0, third="guests"):
        text = BASE.replace("{telnet}", str(telnet)).replace("{third}", third).replace("{{", "{").replace("}}", "}")
        self.config.write_text(text)

    def start(self, app, port, **env):
        settings = {f"{app.upper()}_{name}": str(value) for name, value in env.items()}
        log = open(self.dir / f"{app}.out", "wb")
        return self.namespace.start(VENV / "osken-manager", "--ofp-listen-host", ADDRESS, "--ofp-tcp-listen-port", port,
                                    f"faucet.{app}", env=settings, stdout=log, stderr=log)

    def run(self):
        self.process = self.start("faucet", PORT, CONFIG=self.config, LOG=self.log, EXCEPTION_LOG=self.dir / "exceptions",
                                  CONFIG_STAT_RELOAD=1, PROMETHEUS_ADDR=ADDRESS, PROMETHEUS_PORT=9302)

    def watch(self):
        gauge = self.dir / "gauge.yaml"
        gauge.write_text(GAUGE.format(faucet=self.config, dir=self.dir))
        self.start("gauge", GAUGE_PORT, CONFIG=gauge, LOG=self.dir / "gauge.log", EXCEPTION_LOG=self.dir / "exceptions",
                   PROMETHEUS_ADDR=ADDRESS)

    def exceptions(self):
        file = self.dir / "exceptions"
        return file.read_text() if file.exists() else ""


@pytest.fixture(scope="module")
def site(shared_lab):
    """Three hosts and a trunk on a bridge that FAUCET runs and gauge watches."""
    lab = shared_lab
    switch = lab.switch("faucet")
    switch.vsctl("add-br", "br0", "--", "set-fail-mode", "br0", "secure", "--", "set", "Bridge", "br0",
                 f"other_config:datapath-id={DATAPATH:016x}", "protocols=OpenFlow13")
    hosts = {}
    for number, (vlan, host) in enumerate([(1, 1), (1, 2), (2, 3)], 1):
        column = ["--", "set", "Interface", f"p{number}", f"ofport_request={number}"]
        hosts[number] = lab.port_host(switch, "br0", f"p{number}", f"10.{vlan}.0.{host}/24", f"fc0{vlan}::1:{host}/112",
                                      columns=column)
        hosts[number].run("ip", "route", "add", "default", "via", f"10.{vlan}.0.254")
        hosts[number].run("ip", "-6", "route", "add", "default", "via", f"fc0{vlan}::1:254")
    lab.port_host(switch, "br0", "p4", columns=["--", "set", "Interface", "p4", "ofport_request=4"])
    faucet = Faucet(switch, lab.directory())
    faucet.configure()
    faucet.run()
    faucet.watch()
    switch.vsctl("set-controller", "br0", f"tcp:{ADDRESS}:{PORT}", f"tcp:{ADDRESS}:{GAUGE_PORT}")
    connected = lambda: switch.vsctl("--bare", "--columns=is_connected", "list", "Controller").stdout.split() == ["true", "true"]
    until(connected, "both controllers connect", seconds=40)
    until(lambda: hosts[1].ping("10.1.0.2"), f"a ping inside a VLAN\n{(faucet.dir / 'faucet.out').read_text()}", seconds=20)
    switch.faucet, switch.hosts = faucet, hosts
    yield switch
    assert faucet.exceptions() == ""


def test_inside_a_vlan(site):
    h1, h2 = site.hosts[1], site.hosts[2]
    until(lambda: h2.ping("fc01::1:1"), "IPv6")
    assert h1.ping("10.1.0.2", count=5) and h2.ping("10.1.0.1", count=5)


def test_between_vlans(site):
    h1, h3 = site.hosts[1], site.hosts[3]
    until(lambda: h1.ping("10.1.0.254"), "FAUCET answers pings to the gateway", seconds=15)
    until(lambda: h3.ping("10.2.0.254"), "and in the other VLAN", seconds=15)
    until(lambda: h1.ping("10.2.0.3"), "routed", seconds=30)
    assert h1.ping("10.2.0.3", count=5) and h3.ping("10.1.0.1", count=5)
    until(lambda: h1.ping("fc02::1:3"), "IPv6, routed", seconds=30)
    # The routed packet's TTL was decremented.
    shown = h1.run("ping", "-n", "-c", "1", "10.2.0.3").stdout
    assert "ttl=63" in shown, shown
    # Frames of the other VLAN are not heard.
    h3.address("eth0", "10.1.0.33/24")
    assert not h3.ping("10.1.0.2", wait=1)
    h3.run("ip", "addr", "del", "10.1.0.33/24", "dev", "eth0")


def test_access_list_and_reload(site):
    h1, h2, faucet = site.hosts[1], site.hosts[2], site.faucet
    server = "import socket; s = socket.create_server(('', 23), reuse_port=True)\nwhile True: s.accept()"
    h2.start("python3", "-c", server)
    client = "import socket; socket.create_connection(('10.1.0.2', 23), timeout=1)"
    connects = lambda: h1.run("python3", "-c", client, check=False).returncode == 0
    assert h1.ping("10.1.0.2", count=3)
    time.sleep(1)
    assert not connects(), "the access list lets telnet through"
    faucet.configure(telnet=1)
    until(connects, "telnet after a new configuration", seconds=20)
    faucet.configure(telnet=0)
    until(lambda: not connects(), "no telnet after the old one", seconds=20)
    # The third host moves to the other VLAN, and hears what is said there.
    faucet.configure(third="office")
    site.hosts[3].address("eth0", "10.1.0.3/24")
    until(lambda: site.hosts[3].ping("10.1.0.2"), "the port moved to another VLAN", seconds=20)
    site.hosts[3].run("ip", "addr", "del", "10.1.0.3/24", "dev", "eth0")
    faucet.configure()
    until(lambda: site.hosts[1].ping("10.2.0.3"), "and back", seconds=30)


def test_port_flaps(site):
    h1, h2 = site.hosts[1], site.hosts[2]
    for _ in range(3):
        h2.run("ip", "link", "set", "eth0", "down")
        until(lambda: "LINK_DOWN" in site.ofctl("show", "br0").stdout, "the switch sees it", seconds=5)
        assert not h1.ping("10.1.0.2", wait=1)
        h2.run("ip", "link", "set", "eth0", "up")
        until(lambda: h1.ping("10.1.0.2"), "a ping after the port is up again", seconds=20)


def test_gauge_sees_the_same(site):
    text = lambda: (site.faucet.dir / "gauge.txt").read_text() if (site.faucet.dir / "gauge.txt").exists() else ""
    until(lambda: "packets-in" in text(), "statistics of ports", seconds=15)
    until(lambda: any((site.faucet.dir / "flows").rglob("*")), "flow tables", seconds=15)
