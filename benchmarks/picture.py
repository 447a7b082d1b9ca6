"""python -m benchmarks.picture: the README's picture, docs/transition.svg, drawn from the runs of `dvc repro`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from pipeline.errors import reported
from pipeline.files import write_atomically
from pipeline.params import load_params
from pipeline.report import page
from pipeline.report.axes import LEFT, RIGHT
from pipeline.report.figures import timeline, training
from pipeline.report.read import record
from pipeline.report.svg import Scale, Svg, log_domain

PANEL, GAP, TOP = 520, 40, 64
BAND = 74
"""Pixels of the phase figure that hold its band."""


def main() -> int:
    params = load_params()
    records = [record(params.run_config(recipe).key, Path()) for recipe in ("standard", "catapult")]
    steps = max(each.steps for each in records)
    last = max(each.phases.cycles[-1] for each in records)
    losses = [
        loss for each in records for name, _, _ in training.LOSSES for _, loss in each.history.points("step", name)
    ]
    height = TOP + BAND + training.HEIGHT * 2 + 112
    svg = Svg(len(records) * (PANEL + GAP) + GAP, height, "Loss, accuracy and phases of both recipes")
    style = Path(page.__file__).with_name("page.css").read_text()
    svg.marks.append(f"<style>{re.sub(r'@media print.*?^}$', '', style, flags=re.S | re.M)}</style>")
    svg.rect(0, 0, svg.width, svg.height, "paper")
    svg.marks.append("<style>.paper { fill: var(--paper); }</style>")
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
    drawing = str(svg).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    write_atomically(Path("docs/transition.svg"), drawing + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(reported("python -m benchmarks.picture", main))
