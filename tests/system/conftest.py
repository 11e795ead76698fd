"""Fixtures of the system tests; they need root and the packages that `make setup` installs."""

import os

import pytest
from lab import BIN, Lab
from linux_vm import LinuxVm


def pytest_sessionstart(session):
    if os.geteuid() != 0:
        pytest.exit("the system tests make network namespaces: run them as root (make system)", 2)
    missing = [name for name in ("switchd", "vsctl", "ofctl") if not (BIN / name).exists()]
    if missing:
        pytest.exit(f"{BIN} has no {', '.join(missing)}: make build", 2)


@pytest.fixture
def lab(request):
    lab = Lab()
    yield lab
    report = getattr(request.node, "report", None)
    if report is not None and report.failed:
        for switch in lab.switches:
            print(f"--- log of {switch.namespace.name}:\n{switch.log()}")
    lab.close()


@pytest.fixture(scope="module")
def shared_lab():
    """A lab for a whole module; it goes too when what builds on it fails."""
    lab = Lab()
    yield lab
    lab.close()


@pytest.fixture(scope="module")
def machine():
    """An emulated machine with Linux 6.1: booting it takes seconds, so a module shares it."""
    lab = Lab()
    try:
        machine = LinuxVm(lab.namespace("machine"), lab.directory())
        yield machine
        machine.close()
    finally:
        lab.close()


@pytest.fixture
def linux(machine):
    """The emulated machine, with nothing configured; it is cabled to nothing."""
    machine.reset()
    return machine


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.report = outcome.get_result()


@pytest.fixture
def lan(lab):
    """One switch, bridge br0, and two hosts that reach each other at 10.0.0.1, 10.0.0.2 and fc00::1, fc00::2."""
    switch = lab.switch()
    switch.vsctl("add-br", "br0")
    switch.h1 = lab.port_host(switch, "br0", "p1", "10.0.0.1/24", "fc00::1/64", columns=["--", "set", "Interface", "p1", "ofport_request=1"])
    switch.h2 = lab.port_host(switch, "br0", "p2", "10.0.0.2/24", "fc00::2/64", columns=["--", "set", "Interface", "p2", "ofport_request=2"])
    return switch
