"""Curves as SVG: cycles per packet of both switches against the number of rules or of flows. Readable on light and dark pages."""

import math
import os
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 800, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 230, 40, 60  # around the axes
SWITCHES = {"ovs": "Open vSwitch", "tsunagi": "Tsunagi"}
DASHES = ("none", "8 4", "2 4", "10 3 2 3")
STYLE = """
text { font: 13px sans-serif; fill: #333 } .title { font-size: 15px; font-weight: bold }
.axis { stroke: #777 } .grid { stroke: #999; stroke-opacity: .3 } path { fill: none; stroke-width: 2 }
.ovs { stroke: #c2410c } .tsunagi { stroke: #1d6fd8 } circle.ovs { fill: #c2410c } circle.tsunagi { fill: #1d6fd8 }
@media (prefers-color-scheme: dark) {
text { fill: #ddd } .ovs { stroke: #fb923c } .tsunagi { stroke: #60a5fa } circle.ovs { fill: #fb923c } circle.tsunagi { fill: #60a5fa }
}"""


@dataclass(frozen=True)
class Plot:
    file: str
    title: str
    axis: str
    curves: dict  # name in a row's `plot` -> what it is, or "" if there is only one


PLOTS = [
    Plot("flows.svg", "256 rules of prefixes: flows against cycles", "flows", {"l3": ""}),
    Plot("rules.svg", "8,000 flows: rules against cycles", "rules",
         {"exact": "five-tuples", "acl": "access list", "fw": "firewall", "ipc": "IP chains"}),
]


def points(rows, curve, switch):
    """(x, cycles) of a curve, in order."""
    found = [(row["plot"][1], row["switches"].get(switch, {}).get("cycles")) for row in rows if row["plot"] and row["plot"][0] == curve]
    return sorted((x, y) for x, y in found if y)


def short(value):
    """A number on an axis.

    >>> [short(value) for value in (1, 500, 8000, 1e6)]
    ['1', '500', '8k', '1M']
    """
    for unit, sign in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{sign}"
    return f"{value:g}"


def ticks(low, high, steps=(1, 2, 5)):
    """Numbers for a logarithmic axis, one beyond each end.

    >>> ticks(90, 450)
    [50, 100, 200, 500]
    """
    first, last = math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1
    marks = [step * 10**power if power >= 0 else step / 10**-power for power in range(first, last + 1) for step in steps]
    below = max((mark for mark in marks if mark <= low), default=marks[0])
    above = min((mark for mark in marks if mark >= high), default=marks[-1])
    return [mark for mark in marks if below <= mark <= above]


def scale(marks, start, end):
    """Where on the page a value is: both axes are logarithmic."""
    low, high = math.log(marks[0]), math.log(marks[-1])
    span = high - low or 1
    return lambda value: start + (end - start) * (math.log(value) - low) / span


def line(kind, x1, y1, x2, y2):
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def label(x, y, words, anchor="middle", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(words)}</text>'


def axes(plot, x_marks, y_marks, x_at, y_at):
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = [label(LEFT, 24, plot.title, "start", 'class="title"')]
    parts += [line("grid", LEFT, y_at(mark), right, y_at(mark)) + label(LEFT - 8, y_at(mark) + 4, f"{mark:,g}" if mark < 1e6 else short(mark), "end")
              for mark in y_marks]
    parts += [line("grid", x_at(mark), TOP, x_at(mark), bottom) + label(x_at(mark), bottom + 20, short(mark)) for mark in x_marks]
    parts += [line("axis", LEFT, bottom, right, bottom), line("axis", LEFT, TOP, LEFT, bottom)]
    middle = (TOP + bottom) / 2
    parts += [label((LEFT + right) / 2, HEIGHT - 14, plot.axis),
              label(18, middle, "TSC cycles per packet", more=f'transform="rotate(-90 18 {middle:.1f})"')]
    return parts


def draw(plot, rows):
    """The picture, or nothing if nothing of it was measured."""
    curves = [(place, switch, curve, points(rows, curve, switch)) for switch in SWITCHES for place, curve in enumerate(plot.curves)]
    curves = [one for one in curves if one[3]]
    every = [point for *_, found in curves for point in found]
    if not every:
        return ""
    x_marks = ticks(min(x for x, _ in every), max(x for x, _ in every), (1,))
    y_marks = ticks(min(y for _, y in every), max(y for _, y in every))
    x_at, y_at = scale(x_marks, LEFT, WIDTH - RIGHT), scale(y_marks, HEIGHT - BOTTOM, TOP)
    parts = axes(plot, x_marks, y_marks, x_at, y_at)
    for number, (place, switch, curve, found) in enumerate(curves):
        path = "M" + " L".join(f"{x_at(x):.1f} {y_at(y):.1f}" for x, y in found)
        stroke = f'<path class="{switch}" stroke-dasharray="{DASHES[place]}"'
        parts.append(f'{stroke} d="{path}"/>')
        parts += [f'<circle class="{switch}" cx="{x_at(x):.1f}" cy="{y_at(y):.1f}" r="3.5"><title>{x:,}: {y:,.0f}</title></circle>'
                  for x, y in found]
        y = TOP + 12 + 22 * number
        parts.append(f'{stroke} d="M{WIDTH - RIGHT + 14} {y} h34"/>')
        name = ", ".join(word for word in (SWITCHES[switch], plot.curves[curve]) if word)
        parts.append(label(WIDTH - RIGHT + 54, y + 4, name, "start", 'style="font-size: 12px"'))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(plot.title)}">'
    return "\n".join([head, f"<style>{STYLE}</style>", *parts, "</svg>", ""])


def write(directory, rows):
    """All pictures; the plots that are there."""
    os.makedirs(directory, exist_ok=True)
    done = [(plot, text) for plot in PLOTS if (text := draw(plot, rows))]
    for plot, text in done:
        with open(f"{directory}/{plot.file}", "w", encoding="utf-8") as file:
            file.write(text)
    return [plot for plot, _ in done]
