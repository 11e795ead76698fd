"""The Wireshark dissector for gpw, by tshark on captures of bytes as the program in the field sends them."""

import json
import struct

import pytest
from lab import ROOT, run

DISSECTOR = ROOT / "contrib/wireshark/gpw.lua"
BIG = ["-o", "gpw.order:big endian (as documented)"]


def ethernet(dst, src, ethertype):
    return bytes.fromhex(dst + src) + struct.pack("!H", ethertype)


def datagram(size):
    """An Ethernet frame of this size with a UDP datagram."""
    ip = struct.pack("!BBHIBBH4s4s", 0x45, 0, size - 14, 0, 64, 17, 0, b"\x0a\0\0\1", b"\x0a\0\0\2")
    udp = struct.pack("!HHHH", 5000, 6000, size - 34, 0)
    frame = ethernet("020000000002", "020000000001", 0x0800) + ip + udp
    return frame + b"x" * (size - len(frame))


def over_ethernet(control, inner, src="020000000a0a"):
    return ethernet("020000000b0b", src, 0x96FC) + bytes.fromhex(control) + inner


def over_ipv6(control, inner):
    address = lambda last: bytes.fromhex("20010db8" + "00" * 11) + bytes([last])
    header = struct.pack("!IHBB", 6 << 28, 2 + len(inner), 252, 64) + address(1) + address(2)
    return ethernet("020000000b0b", "020000000a0a", 0x86DD) + header + bytes.fromhex(control) + inner


@pytest.fixture
def dissect(tmp_path):
    def dissect(frames, *options):
        """Per frame: protocols, and gpw's fields and those of what is inside, by name."""
        path = tmp_path / "frames.pcap"
        with open(path, "wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
            for number, frame in enumerate(frames):
                file.write(struct.pack("<IIII", number, 0, len(frame), len(frame)) + frame)
        fields = ["frame.protocols", "gpw.control", "gpw.part", "gpw.id", "gpw.first", "gpw.second", "gpw.joined_size",
                  "eth.dst", "udp.dstport", "stp.version", "vlan.id", "_ws.expert.message"]
        words = [word for field in fields for word in ("-e", field)]
        out = run("tshark", "-X", f"lua_script:{DISSECTOR}", "-r", path, "-T", "json", *words, *options).stdout
        values = [packet["_source"]["layers"] for packet in json.loads(out)]
        return [{name: value[-1] for name, value in packet.items()} for packet in values]
    return dissect


@pytest.mark.parametrize("outer", [over_ethernet, over_ipv6])
def test_a_whole_frame(dissect, outer):
    [packet] = dissect([outer("0000", datagram(100))])
    assert packet["gpw.part"] == "0" and packet["udp.dstport"] == "6000" and "gpw.id" not in packet
    assert packet["frame.protocols"].endswith("gpw:eth:ethertype:ip:udp:data")


@pytest.mark.parametrize("outer", [over_ethernet, over_ipv6])
@pytest.mark.parametrize("controls, options", [(("0280", "02c0"), []), (("8002", "c002"), BIG)])
def test_parts_are_joined(dissect, outer, controls, options):
    inner = datagram(1514)
    frames = [outer(controls[0], inner[:1280]), outer("0000", datagram(100)), outer(controls[1], inner[1280:])]
    for passes in [], ["-2"]:
        first, between, second = dissect(frames, *options, *passes)
        assert (first["gpw.part"], first["gpw.id"], second["gpw.part"], second["gpw.id"]) == ("1", "2", "2", "2")
        assert second["gpw.first"] == "1" and second["gpw.joined_size"] == "1514" and second["udp.dstport"] == "6000"
        assert "udp.dstport" not in first and between["udp.dstport"] == "6000"
        assert passes == [] or first["gpw.second"] == "3"
    assert "udp.dstport" not in dissect(frames, *options, "-o", "gpw.join:FALSE")[2]


def test_parts_in_the_wrong_order_of_others_and_alone(dissect):
    inner = datagram(1514)
    other = "020000000c0c"
    packets = dissect([
        over_ethernet("05c0", inner[1280:]), over_ethernet("0580", inner[:1280]),
        # An id of another sender, and one without its other part.
        over_ethernet("0680", inner[:1280]), over_ethernet("06c0", inner[1280:], src=other), over_ethernet("07c0", inner[1280:])])
    assert [packet.get("gpw.joined_size") for packet in packets] == [None, "1514", None, None, None]


def test_what_is_inside(dissect):
    bpdu = ethernet("0180c2000000", "020000000001", 39) + bytes.fromhex("424203 0000 02 02") + bytes(32)
    tagged = datagram(100)[:12] + bytes.fromhex("8100 0007") + datagram(100)[12:]
    packets = dissect([over_ethernet("0000", bpdu), over_ipv6("0000", tagged)])
    assert (packets[0]["stp.version"], packets[1]["vlan.id"], packets[1]["udp.dstport"]) == ("2", "7", "6000")


def test_what_is_wrong(dissect):
    packets = dissect([over_ethernet("05", b""), over_ethernet("0500", b"part"), over_ethernet("0000", b"")])
    assert packets[0]["_ws.expert.message"] == "Shorter than the control word"
    assert packets[1]["_ws.expert.message"] == "A part without the bit that says so" and packets[1]["gpw.part"] == "1"
    assert packets[2]["gpw.part"] == "0"
