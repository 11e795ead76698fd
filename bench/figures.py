"""What is wanted of a row or of a figure, and whether it is met; the rows that have figures of their own."""

from dataclasses import dataclass
from typing import Callable


@dataclass(frozen=True)
class Wanted:
    """A bound of our figure. `of` says which figure: "ratio" to Open vSwitch's cycles, "mpps", the name of another row
    whose cycles ours are compared with, or "" for the figure itself."""

    bound: float
    of: str = "ratio"
    is_most: bool = True
    form: str = "{:g}"

    def text(self):
        sign = "≤" if self.is_most else "≥"
        unit = {"ratio": " ×", "mpps": " Mpps", "": ""}.get(self.of, f" × {self.of}")
        return f"{sign} {self.form.format(self.bound)}{unit}"

    def met(self, value):
        """None if there is no value."""
        return None if value is None else value <= self.bound if self.is_most else value >= self.bound


def ratio(bound):
    return Wanted(bound)


def mpps(bound):
    return Wanted(bound, "mpps", is_most=False)


def times(bound, row):
    return Wanted(bound, row)


def most(bound, form="{:g}"):
    return Wanted(bound, "", form=form)


def least(bound, form="{:,}"):
    return Wanted(bound, "", is_most=False, form=form)


@dataclass(frozen=True)
class Figure:
    key: str
    what: str
    form: str
    wanted: Wanted | None = None


@dataclass(frozen=True)
class Study:
    """A row that is no replay of frames: `measure` takes the Bench and a switch's name, and returns its figures."""

    name: str
    what: str
    measure: Callable
    figures: list
    once: tuple = ()  # switches that take long: one run of each


def cycles(result, name):
    return result["switches"].get(name, {}).get("cycles")


def judge(result, wanted, results):
    """Adds to a row's result: the ratio, what is wanted, what of it was reached, whether that is met."""
    ours, theirs = cycles(result, "tsunagi"), cycles(result, "ovs")
    result["ratio"] = ours / theirs if ours and theirs else None
    if wanted is None:
        return
    if wanted.of == "mpps":
        reached = result["switches"].get("tsunagi", {}).get("mpps")
    elif wanted.of == "ratio":
        reached = result["ratio"]
    else:
        other = next((cycles(other, "tsunagi") for other in results if other["row"] == wanted.of), None)
        reached = ours / other if ours and other else None
    result |= {"wanted": wanted.text(), "reached": reached, "met": wanted.met(reached)}
