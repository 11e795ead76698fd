"""The parts of bench/ that need no switch: what is sent is what is expected, and results become tables and pictures."""

import doctest
import xml.etree.ElementTree

import figures
import plot
import rows
import rulesets
import table
import traffic


def result(name, cycles, plot=()):
    switches = {switch: {"cycles": count, "mpps": 2300 / count, "share": 1} for switch, count in cycles.items()}
    return {"row": name, "what": "", "plot": plot, "failed": {}, "switches": switches}


def test_doctests():
    assert doctest.testmod(plot).failed == 0


def test_names_are_different_and_others_exist():
    names = [row.name for row in rows.ROWS]
    assert len(set(names)) == len(names)
    assert {row.wanted.of for row in rows.ROWS if row.wanted} <= {"ratio", "mpps", "", *names}


def test_judge():
    base, attack = result("l3-8k", {"ovs": 200, "tsunagi": 100}), result("attack", {"ovs": 90000, "tsunagi": 150})
    figures.judge(base, figures.ratio(0.5), [base])
    assert (base["ratio"], base["met"], base["wanted"]) == (0.5, True, "≤ 0.5 ×")
    figures.judge(attack, figures.times(1.2, "l3-8k"), [base, attack])
    assert (attack["reached"], attack["met"]) == (1.5, False)
    alone = result("fragment", {"tsunagi": 460})
    figures.judge(alone, figures.mpps(5), [alone])
    assert alone["ratio"] is None and alone["met"] is True
    assert table.rows_markdown([base, attack, alone]).count("\n") == 4


def test_pictures_are_xml():
    found = [result(f"l3-{x}", {"ovs": 100 + x / 100, "tsunagi": 50}, ["l3", x]) for x in (1, 8000, 1_000_000)]
    picture = xml.etree.ElementTree.fromstring(plot.draw(plot.PLOTS[0], found))
    assert len(picture.findall("{*}circle")) == 6
    assert plot.draw(plot.PLOTS[1], found) == ""


def test_flows_are_different_and_right():
    frames = traffic.flows(70_000)
    assert len(set(frames)) == len(frames) and {len(frame) for frame in frames} == {60}
    assert all(traffic.ipv4_fields(frame) for frame in frames[::1000])
    assert frames[61_000] == traffic.udp("172.16.0.1", f"10.0.{61_000 % 256}.5", traffic.ports(61_000))


def test_rewritten():
    (frame,) = rows.rewritten(traffic.flows(1))
    assert frame[12:18].hex() == "810000070800" and traffic.ipv4_fields(frame[:12] + frame[16:])[4] == 63


def test_fragments_are_put_together():
    frame = traffic.flows(1, 3000)[0]
    assert traffic.reassemble(traffic.split(frame, 7, 1500)) == [traffic.reassemble(traffic.split(frame, 7, 900))[0]]


def test_rulesets():
    for kind in rows.RULESETS:
        lines = rulesets.rules(kind, 500)
        assert len(set(lines)) == 500 and all(line.endswith("actions=output:2") for line in lines)
        assert lines == rulesets.rules(kind, 500)
        assert {len(frame) for frame in rulesets.frames(kind, 500, n=50)} == {60}
    assert len(set(rulesets.attack_frames())) == 8000
