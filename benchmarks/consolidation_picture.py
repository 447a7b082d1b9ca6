"""The picture of benchmarks.consolidation: cells down, a dot a net; wrong inputs left, live neurons right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.experiment.forest import STYLE
from pipeline.report.svg import Scale, Svg, tick_label

WIDTH, LEFT, MIDDLE, TOP, ROW, FOOT = 860, 210, 540, 56, 24, 50
JITTER = (0, -5, 5, -3, 3, -7, 7, -1, 1, -6)
"""Pixels up or down, in the order of the seeds, so that dots of the same value can be told apart."""
Name = tuple[str, ...]


def picture(cells: Sequence[dict[str, Any]]) -> str:
    """The SVG file; the same bytes for the same table. Filled dots are nets that are right on every input."""
    rows: dict[Name, list[dict[str, Any]]] = {}
    for cell in sorted(cells, key=lambda cell: cell["seed"]):
        rows.setdefault((str(cell["p"]), cell["start"], cell["pressure"]), []).append(cell)
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
    for place, ((p, start, pressure), nets) in enumerate(sorted(rows.items())):
        y = TOP + ROW * place + ROW / 2
        svg.text(LEFT - 14, y + 4, f"{p}: {start}, {pressure}", "", "end")
        for cell, shift in zip(nets, JITTER * len(nets), strict=False):
            css = "constant" if cell["wrong"] == 0 else "decayed points"
            title = f"seed {cell['seed']}: {cell['wrong']} wrong, {cell['live']} live, {cell['algorithm']}"
            svg.dot(wrong(max(cell["wrong"], 0.3)), y + shift, 3.5, css, title)
            svg.dot(live(cell["live"]), y + shift, 3.5, css, title)
    return str(svg).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"
