"""Pictures of training as files of their own: for `dvc plots`, which shows and compares images without network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pipeline.svg import Scale, Svg, log_domain
from stages.report import page
from stages.report.axes import LEFT, RIGHT
from stages.report.figures import timeline, training
from stages.report.records import Record
from stages.report.stream_records import StreamRecord
from stages.report.streams import draw as draw_stream

PANEL, GAP, TOP = 400, 30, 64
BAND = 74
"""Pixels of the phase figure that hold its band."""
LEGEND = 480
"""Pixels that the legend above the panels takes."""
WIDTH = 560
"""Of the picture of a net on streams."""


def training_picture(records: Sequence[Record]) -> str:
    """Loss, accuracy and phases of nets on pairs, side by side, as an SVG file."""
    steps = max(each.steps for each in records)
    last = max(each.phases.cycles[-1] for each in records)
    losses = [
        loss for each in records for name, _, _ in training.LOSSES for _, loss in each.history.points("step", name)
    ]
    height = TOP + BAND + training.HEIGHT * 2 + 112
    width = max(len(records) * (PANEL + GAP) + GAP, LEGEND)
    svg = Svg(width, height, "Loss, accuracy and phases of the recipes, side by side")
    on_paper(svg)
    for i, (css, words) in enumerate((("train", "training pairs"), ("test", "pairs never shown"))):
        x = GAP + i * 170
        svg.path([(x, 22), (x + 22, 22)], f"curve {css}")
        svg.text(x + 30, 26, words)
    svg.rect(GAP + 340, 15, 22, 14, "rate")
    svg.text(GAP + 370, 26, "learning rate")
    for i, each in enumerate(records):
        svg.marks.append(f'<g transform="translate({GAP + i * (PANEL + GAP)} {TOP})">')
        svg.text(0, 0, each.recipe, "rung")
        band = Svg(PANEL, BAND)
        timeline.band(each.timeline, band, Scale(-0.5, last + 0.5, LEFT, PANEL - RIGHT))
        svg.marks += [*band.marks, f'<g transform="translate(0 {BAND})">']
        svg.marks += [training.draw(each, PANEL, log_domain(losses), steps), "</g></g>"]
    return as_file(svg)


def stream_picture(record: StreamRecord) -> str:
    """Exact match at the shortest and the longest length, cycle by cycle, and what is proved, as an SVG file."""
    drawing = draw_stream(record, WIDTH)
    height = float(re.search(r'viewBox="0 0 \S+ (\S+)"', drawing)[1])  # pyright: ignore[reportOptionalSubscript]
    svg = Svg(WIDTH + 2 * GAP, height + TOP, f"Exact match of {record.key}")
    on_paper(svg)
    longest, shortest = max(record.lengths), min(record.lengths)
    curves = (("train", f"random, {shortest}"), ("embed", f"random, {longest}"), ("test", f"hard, {longest}"))
    for i, (css, words) in enumerate(curves):
        x = GAP + i * 150
        svg.path([(x, 22), (x + 22, 22)], f"curve {css}")
        svg.text(x + 30, 26, f"{words} places")
    svg.text(GAP, TOP - 10, record.key, "rung")
    svg.marks += [f'<g transform="translate({GAP} {TOP})">', drawing, "</g>"]
    return as_file(svg)


def on_paper(svg: Svg) -> None:
    """The styles of the page, and its background, within the drawing."""
    style = Path(page.__file__).with_name("page.css").read_text()
    svg.marks.append(f"<style>{re.sub(r'@media print.*?^}$', '', style, flags=re.S | re.M)}</style>")
    svg.rect(0, 0, svg.width, svg.height, "paper")
    svg.marks.append("<style>.paper { fill: var(--paper); }</style>")


def as_file(svg: Svg) -> str:
    """A drawing that stands alone."""
    return str(svg).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"
