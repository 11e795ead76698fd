"""Results as people read them: lines on a terminal, and tables for the documentation."""

import sys

COLUMNS = "{:<17} {:>9} {:>8} {:>9} {:>8} {:>6}  {:<16} {:>7} {:<4} {:>8}"
MARKS = {True: "yes", False: "NO", None: ""}


def figure(result, name, key, form, missing="-"):
    value = result["switches"].get(name, {}).get(key)
    return missing if value is None else form.format(value)


def mpps(result, name):
    form = "{:.4f}" if 0 < (result["switches"].get(name, {}).get("mpps") or 0) < 0.1 else "{:.2f}"
    return figure(result, name, "mpps", form)


def reached(result):
    value = result.get("reached")
    return "" if value is None else f"{value:.2f}"


def cells(result):
    """Of a row: Mpps and cycles of both, the ratio, what is wanted, what of that was reached, whether it is met, the floor."""
    return [
        mpps(result, "ovs"), figure(result, "ovs", "cycles", "{:,.0f}"),
        mpps(result, "tsunagi"), figure(result, "tsunagi", "cycles", "{:,.0f}"),
        "-" if result["ratio"] is None else f"{result['ratio']:.2f}",
        result.get("wanted", ""), reached(result), MARKS[result.get("met")],
        figure(result, "testpmd", "cycles", "{:.0f}", missing=""),
    ]


def machine_line(machine):
    return (f"{machine['cpu']}, TSC {machine['tsc_hz'] / 1e9:.3f} GHz, worker on CPU {machine['worker_cpu']} of"
            f" {machine['cpus']}; {machine['runs']} runs of {machine['seconds']:g} s, medians")


def print_head():
    print(COLUMNS.format("", "Open vS", "witch", "Tsun", "agi", "", "", "", "", "testpmd"))
    print(COLUMNS.format("row", "Mpps", "cycles", "Mpps", "cycles", "ratio", "wanted", "reached", "met", "cycles"))


def print_row(result):
    print(COLUMNS.format(result["row"], *cells(result)).rstrip())
    for failure in result["failed"].values():
        print(f"    {failure}")
    for name, figures in result["switches"].items():
        if figures["share"] < 0.9:
            print(f"    {name}'s worker had {figures['share']:.0%} of its core: something else ran there")
    sys.stdout.flush()


def with_figures(result, study):
    """The result and what its figures mean, so that it can be printed without the study."""
    result["figures"] = []
    for one in study.figures:
        value = result["switches"].get("tsunagi", {}).get(one.key)
        result["figures"].append({
            "what": one.what,
            "cells": [figure(result, name, one.key, one.form) for name in ("ovs", "tsunagi")],
            "wanted": one.wanted.text() if one.wanted else "",
            "met": one.wanted.met(value) if one.wanted else None,
        })
    return result


def print_study(result):
    print(f"\n{result['row']:<58} {'Open vSwitch':>14} {'Tsunagi':>14}  wanted")
    for one in result["figures"]:
        ours, theirs = reversed(one["cells"])
        print(f"  {one['what']:<56} {theirs:>14} {ours:>14}  {one['wanted']:<12} {MARKS[one['met']]}".rstrip())
    for failure in result["failed"].values():
        print(f"    {failure}")
    sys.stdout.flush()


def print_list(rows, studies):
    for row in [*rows, *studies]:
        print(f"{row.name:<17} {row.what}")


def summary(found, seconds):
    judged = [one["met"] for one in found["rows"] if "met" in one]
    judged += [one["met"] for result in found["studies"] for one in result["figures"]]
    judged = [met for met in judged if met is not None]
    return f"\n{sum(judged)} of {len(judged)} figures are as wanted; {seconds / 60:.0f} min {seconds % 60:.0f} s"


def rows_markdown(rows):
    lines = ["| row | rules and traffic | Open vSwitch Mpps | cycles | Tsunagi Mpps | cycles | ratio | wanted | reached | met | testpmd cycles |",
             "|---|---|---|---|---|---|---|---|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join([row['row'], row['what'], *cells(row)])} |" for row in rows)])


def study_markdown(result):
    lines = [f"| {result['row']}: {result['what']} | Open vSwitch | Tsunagi | wanted | met |", "|---|---|---|---|---|"]
    for one in result["figures"]:
        what = one["what"].replace("  ", "&nbsp;&nbsp;", 1) if one["what"].startswith("  ") else one["what"]
        lines.append(f"| {what} | {' | '.join(one['cells'])} | {one['wanted']} | {MARKS[one['met']]} |")
    return "\n".join(lines)
