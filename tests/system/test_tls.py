"""TLS to controllers and database clients: certificates by ovs-pki, stock tools at the other end."""

import subprocess

import pytest
from lab import BIN, run, until

ADDRESS = "127.0.0.1"


def tool(switch, name, *words, check=True):
    """Runs a tool, ours or a stock one, where the switch is."""
    program = BIN / name if name in ("ofctl", "vsctl") else name
    return switch.namespace.run(program, *words, check=check, env={"OVS_RUNDIR": str(switch.rundir)})


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """Two CAs and certificates for a switch, a tool and a controller, and one by nobody who is trusted."""
    top = tmp_path_factory.mktemp("pki")
    run("ovs-pki", "--force", f"--dir={top}/pki", f"--log={top}/log", "init")
    run("ovs-pki", "--force", f"--dir={top}/other", f"--log={top}/log", "init")

    def request(directory, name, kind):
        command = ["ovs-pki", f"--dir={top}/{directory}", f"--log={top}/log", "req+sign", name, kind]
        subprocess.run(command, cwd=top, check=True, capture_output=True)

    for name, kind in ("sw", "switch"), ("tool", "controller"), ("ctl", "controller"):
        request("pki", name, kind)
    request("other", "stranger", "controller")
    return top


def files(pki, name, ca="switchca"):
    return f"{pki}/{name}-privkey.pem", f"{pki}/{name}-cert.pem", f"{pki}/pki/{ca}/cacert.pem"


def options(pki, name, ca="switchca"):
    key, certificate, ca_cert = files(pki, name, ca)
    return ["-p", key, "-c", certificate, "-C", ca_cert]


@pytest.fixture
def tls(lan, pki):
    """A switch with a certificate that trusts the controllers' CA."""
    lan.vsctl("set-ssl", *files(pki, "sw", "controllerca"))
    return lan


def test_the_ssl_table(tls, pki):
    key, certificate, ca = files(pki, "sw", "controllerca")
    want = f"Private key: {key}\nCertificate: {certificate}\nCA Certificate: {ca}\nBootstrap: false\n"
    assert tls.vsctl("get-ssl").stdout == want
    assert tls.stock_vsctl("get-ssl").stdout == want
    missing = tls.vsctl("set-ssl", "/nonexistent/key.pem", certificate, ca)
    assert "there is no file /nonexistent/key.pem" in missing.stderr
    relative = tls.vsctl("set-ssl", "key.pem", certificate, ca, check=False)
    assert relative.returncode != 0 and '"key.pem" is not a path from the root' in relative.stderr
    tls.vsctl("del-ssl")
    assert tls.vsctl("get-ssl").stdout == ""


def test_openflow_on_a_listening_socket(tls, pki):
    tls.vsctl("set-controller", "br0", f"pssl:6653:{ADDRESS}")
    for name in "ofctl", "ovs-ofctl":
        command = ["dump-flows", f"ssl:{ADDRESS}:6653"]
        good = tool(tls, name, *options(pki, "tool"), *command)
        assert "actions=NORMAL" in good.stdout
        # Without a certificate, with one of another CA, and plain TCP: nobody of these is let in.
        for wrong in (command, [*options(pki, "stranger"), *command], ["dump-flows", f"tcp:{ADDRESS}:6653"]):
            refused = tool(tls, name, "-t", "8", *wrong, check=False)
            assert refused.returncode != 0, (name, wrong)
    nothing = tool(tls, "ofctl", "dump-flows", f"ssl:{ADDRESS}:6653", check=False)
    assert "--private-key, --certificate and --ca-cert have to be given" in nothing.stderr
    partly = tool(tls, "ofctl", "-p", "/x", "dump-flows", f"ssl:{ADDRESS}:6653", check=False)
    assert "--ca-cert is missing" in partly.stderr
    # Our tool does not take a switch of another CA either.
    stranger = tool(tls, "ofctl", *options(pki, "tool", "controllerca"), "dump-flows", f"ssl:{ADDRESS}:6653", check=False)
    assert stranger.returncode != 0 and "certificate" in stranger.stderr.lower()


@pytest.mark.parametrize("bootstrap", [False, True])
def test_a_controller(tls, pki, lab, bootstrap):
    key, certificate, ca = files(pki, "sw", "controllerca")
    if bootstrap:
        ca = f"{lab.directory()}/learnt.pem"
        tls.vsctl("--bootstrap", "set-ssl", key, certificate, ca)
    log = open(lab.directory() / "controller.log", "wb")
    peer = ["--peer-ca-cert", f"{pki}/pki/controllerca/cacert.pem"]
    tls.namespace.start("ovs-testcontroller", "-O", "OpenFlow13", *options(pki, "ctl"), *peer, f"pssl:6653:{ADDRESS}", stdout=log, stderr=log,
                        env={"OVS_RUNDIR": str(tls.rundir)})
    tls.vsctl("set-fail-mode", "br0", "secure")
    tls.ofctl("del-flows", "br0")
    tls.vsctl("set-controller", "br0", f"ssl:{ADDRESS}:6653")
    until(lambda: tls.vsctl("get", "Controller", "br0", "is_connected").stdout.strip() == "true", "connected", seconds=15)
    until(lambda: tls.h1.ping("10.0.0.2"), "a ping through the controller's flows")
    if bootstrap:
        with open(ca) as learnt, open(f"{pki}/pki/controllerca/cacert.pem") as known:
            assert learnt.read().split("-----")[2] == known.read().split("-----")[2]


def test_a_controller_of_another_ca_is_not_obeyed(tls, pki, lab):
    log = open(lab.directory() / "controller.log", "wb")
    tls.namespace.start("ovs-testcontroller", *options(pki, "stranger"), f"pssl:6653:{ADDRESS}", stdout=log, stderr=log,
                        env={"OVS_RUNDIR": str(tls.rundir)})
    tls.vsctl("set-controller", "br0", f"ssl:{ADDRESS}:6653")
    until(lambda: "certificate" in tls.vsctl("get", "Controller", "br0", "status").stdout, "the reason in its status")
    assert tls.vsctl("get", "Controller", "br0", "is_connected").stdout.strip() == "false"


def test_the_database(tls, pki):
    tls.vsctl("set-manager", f"pssl:6640:{ADDRESS}")
    for name in "vsctl", "ovs-vsctl":
        there = f"--db=ssl:{ADDRESS}:6640"
        assert tool(tls, name, *options(pki, "tool"), there, "list-br").stdout == "br0\n"
        wrong = tool(tls, name, "-t", "5", *options(pki, "stranger"), there, "list-br", check=False)
        assert wrong.returncode != 0


def test_without_keys_nothing_listens_and_the_row_says_why(lan):
    lan.vsctl("set-manager", f"pssl:6640:{ADDRESS}")
    until(lambda: "set-ssl" in lan.vsctl("--columns=status", "list", "Manager").stdout, "the reason in its status")
    lan.vsctl("set-controller", "br0", f"ssl:{ADDRESS}:6653")
    until(lambda: "set-ssl" in lan.vsctl("get", "Controller", "br0", "status").stdout, "the reason in its status")


def test_ping_probe_and_benchmark(tls, pki):
    tls.vsctl("set-controller", "br0", f"pssl:6653:{ADDRESS}", f"ptcp:6654:{ADDRESS}")
    for name in "ofctl", "ovs-ofctl":
        for target in f"ssl:{ADDRESS}:6653", f"tcp:{ADDRESS}:6654", "br0":
            words = options(pki, "tool") if target.startswith("ssl") else []
            assert "64 bytes from" in tool(tls, name, *words, "ping", target, "64").stdout
            tool(tls, name, *words, "-t", "5", "probe", target)
            assert "packets/s" in tool(tls, name, *words, "benchmark", target, "100", "50").stdout
