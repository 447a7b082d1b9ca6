"""What came of the nets of benchmarks.consolidation: a table, a row a cell, and a picture, a dot a net."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.experiment.forest import STYLE
from pipeline.svg import Scale, Svg, tick_label

WIDTH, LEFT, MIDDLE, TOP, ROW, FOOT = 860, 210, 540, 56, 24, 50
JITTER = (0, -5, 5, -3, 3, -7, 7, -1, 1, -6)
"""Pixels up or down, in the order of the seeds, so that dots of the same value can be told apart."""
USUAL = ("transformer", "addition", "same")
"""Net, operation and kernels that go without saying."""
Cell = dict[str, Any]
"""One net: what it is, and what came of it."""
Name = tuple[str, float, str, str]
"""Prime, with what is not usual; the share shown; start; pressure."""


def grouped(cells: Sequence[Cell]) -> list[tuple[Name, list[Cell]]]:
    """The nets that differ by their seed alone, in the order of their seeds, under what they have in common."""
    groups: dict[Name, list[Cell]] = {}
    for cell in sorted(cells, key=lambda cell: (cell["p"], cell["seed"])):
        unusual = [cell[name] for name in ("net", "operation", "kernels") if cell[name] not in USUAL]
        name = " ".join([str(cell["p"]), *unusual]), cell["fraction"], cell["start"], cell["pressure"]
        groups.setdefault(name, []).append(cell)
    return sorted(groups.items(), key=lambda group: (group[1][0]["p"], group[0]))


HEADER = (
    "| p | share shown | start | pressure | n | wrong before | wrong after | 0 wrong | live neurons | frequencies "
    "| algorithm named | phase `algorithm` | edges, share | right from step | circuit kept (null) |"
)


def summary(cells: Sequence[Cell]) -> list[str]:
    """A row a cell of the experiment: least, median and greatest over the seeds."""
    lines = [HEADER, "|" + "---|" * HEADER.count(" |")]
    for (what, fraction, start, pressure), own in grouped(cells):
        right = [cell["right_from"] for cell in own if cell["right_from"] is not None]
        named = [cell["algorithm"] for cell in own]
        names = ", ".join(f"{named.count(name)} {name}" for name in sorted(set(named)))
        lines.append(
            f"| {what} | {fraction} | {start} | {pressure} | {len(own)} | {span(own, 'wrong_before')} "
            f"| {span(own, 'wrong')} | {sum(cell['wrong'] == 0 for cell in own)} | {span(own, 'live')} "
            f"| {span(own, 'frequencies')} | {names} | {sum(cell['phase'] == 'algorithm' for cell in own)} "
            f"| {span(own, 'share', 3)} | {'never' if not right else f'{min(right)} to {max(right)} ({len(right)})'} "
            f"| {likeness(own)} |"
        )
    return lines


ALL_BUT_ONE = 7
"""Of 8 paired seeds: where both sides are alike, as many or more on one side come up with p = 9/256 = .035."""


def comparisons(cells: Sequence[Cell]) -> list[str]:
    """Which cells have fewer inputs wrong than which, of those that differ in start alone or in pressure alone.

    By the rule fixed beforehand: at least 7 of the 8 nets of the same seed have fewer. A tie is on neither side. The
    rule is asked in both directions, and of every pair: nothing is corrected for how many those are. The last line has
    how many pairs it says nothing of, and how many are not compared, for they do not have 8 seeds in common.
    """
    better: dict[tuple[str, str, str], list[str]] = {}
    silent, apart, groups = 0, 0, grouped(cells)
    for (name, own), (than, others) in itertools.permutations(groups, 2):
        (what, shown, start, pressure), (other, other_shown, *rest) = name, than
        if (what, shown) != (other, other_shown) or (start != rest[0]) == (pressure != rest[1]):
            continue
        at, this, that = (pressure, start, rest[0]) if start != rest[0] else (start, pressure, rest[1])
        wrong = [{cell["seed"]: cell["wrong"] for cell in side} for side in (own, others)]
        seeds = wrong[0].keys() & wrong[1].keys()
        if len(seeds) != ALL_BUT_ONE + 1:
            apart += 1
            continue
        fewer, more = (sum(a[seed] < b[seed] for seed in seeds) for a, b in (wrong, wrong[::-1]))
        silent += max(fewer, more) < ALL_BUT_ONE
        if fewer >= ALL_BUT_ONE:
            title = what if shown == 0.3 else f"{what}, {shown:g} shown"
            better.setdefault((title, at, this), []).append(that)
    lines = ["| p | at | this has fewer inputs wrong | than each of these |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(cell)} | {', '.join(than)} |" for cell, than in better.items()]
    uncompared = f"; {apart // 2} have not 8 seeds in common and are not compared" if apart else ""
    return [*lines, "", f"No difference seen in {silent // 2} other pairs of cells{uncompared}."]


def likeness(cells: Sequence[Cell]) -> str:
    """The median similarity of the circuit in the end to that at the start, and the median null control."""
    known = [cell["kept"] for cell in cells if cell["kept"] is not None]
    return " ".join(f"{statistics.median(kind):.2f}" for kind in zip(*known, strict=True)) if known else ""


def span(cells: Sequence[Cell], name: str, digits: int = 0) -> str:
    values = [cell[name] for cell in cells]
    low, middle, high = (f"{value:.{digits}f}" for value in (min(values), statistics.median(values), max(values)))
    return low if low == high else f"{low} / {middle} / {high}"


def picture(cells: Sequence[Cell]) -> str:
    """An SVG file: wrong inputs on the left, live neurons on the right; the same bytes for the same table.

    Filled dots are nets that are right on every input.
    """
    rows = grouped(cells)
    most = max(cell["p"] ** 2 for cell in cells)
    wrong = Scale(0.3, most, LEFT, MIDDLE - 40, log=True)
    live = Scale(0, max(cell["live"] for cell in cells), MIDDLE, WIDTH - 30)
    svg = Svg(WIDTH, TOP + ROW * len(rows) + FOOT, "Wrong inputs and live neurons of consolidated nets, cell by cell")
    svg.marks.append(STYLE)
    svg.rect(0, 0, svg.width, svg.height, "paper")
    svg.text(LEFT, 24, "inputs wrong in the end", "")
    svg.text(MIDDLE, 24, "hidden neurons that are live in the end", "")
    bottom = TOP + ROW * len(rows)
    for scale, ticks in ((wrong, [1.0, 10.0, 100.0, 1000.0, 10000.0]), (live, live.ticks(6))):
        for tick in (tick for tick in ticks if tick <= scale.high):
            svg.line(scale(tick), TOP - 8, scale(tick), bottom, "rule")
            svg.text(scale(tick), bottom + 16, tick_label(tick), "soft", "middle")
    svg.line(wrong(0.3), TOP - 8, wrong(0.3), bottom, "zero")
    svg.text(wrong(0.3), bottom + 16, "none", "soft", "middle")
    svg.text(LEFT, bottom + 36, "a dot is a net; filled: right on every input", "soft")
    for place, ((what, fraction, start, pressure), nets) in enumerate(rows):
        y = TOP + ROW * place + ROW / 2
        shown = "" if fraction == 0.3 else f", {fraction:g} shown"
        svg.text(LEFT - 14, y + 4, f"{what}: {start}, {pressure}{shown}", "", "end")
        for cell, shift in zip(nets, JITTER * len(nets), strict=False):
            css = "constant" if cell["wrong"] == 0 else "decayed points"
            title = f"seed {cell['seed']}: {cell['wrong']} wrong, {cell['live']} live, {cell['algorithm']}"
            svg.dot(wrong(max(cell["wrong"], 0.3)), y + shift, 3.5, css, title)
            svg.dot(live(cell["live"]), y + shift, 3.5, css, title)
    return str(svg).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"
