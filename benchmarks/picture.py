"""python -m benchmarks.picture: the pictures of the README and of the guide, from what `dvc repro` left.

Writes docs/transition.svg, and with `--browser chromium` also docs/timeline.png, docs/circuit.png and
docs/circuit-phone.png: the timeline of the catapult, and the circuit of its consolidation with the strongest neuron
pinned, as a headless browser shows them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from interp.circuit_view import page as circuit_page
from interp.circuits import load_circuit
from pipeline.command_line import Parser
from pipeline.errors import UserError, reported
from pipeline.files import write_atomically
from pipeline.svg import Scale, Svg, log_domain
from stages.report import page
from stages.report.axes import LEFT, RIGHT
from stages.report.figures import timeline, training
from stages.report.read import record
from stages.report.records import Record
from stages.report.timeline_page import timeline_page

PANEL, GAP, TOP = 400, 30, 64
BAND = 74
"""Pixels of the phase figure that hold its band."""


def main(arguments: list[str] | None = None) -> int:
    parser = Parser(prog="python -m benchmarks.picture", description=__doc__)
    parser.add_argument("--browser", help="a Chromium, for the pictures of the circuit view")
    options = parser.parse_args(arguments)
    records = [record(f"modular-{recipe}", Path()) for recipe in ("standard", "adamw_tuned", "catapult")]
    write_atomically(Path("docs/transition.svg"), transition(records))
    if options.browser:
        photograph(options.browser, records[-1], "modular-catapult_consolidation")
    return 0


def transition(records: Sequence[Record]) -> str:
    """Loss, accuracy and phases of the recipes, as an SVG file."""
    steps = max(each.steps for each in records)
    last = max(each.phases.cycles[-1] for each in records)
    losses = [
        loss for each in records for name, _, _ in training.LOSSES for _, loss in each.history.points("step", name)
    ]
    height = TOP + BAND + training.HEIGHT * 2 + 112
    svg = Svg(len(records) * (PANEL + GAP) + GAP, height, "Loss, accuracy and phases of the recipes, side by side")
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
    return str(svg).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"


def photograph(browser: str, found: Record, consolidated: str) -> None:
    """Pages of the commands, in windows of a headless browser: the timeline of a run, the circuit of `consolidated`."""
    program = shutil.which(browser)
    if program is None:
        raise UserError(f"--browser = {browser}: no such program; name a Chromium")
    circuit = load_circuit(Path("analysis") / consolidated / "circuit.json")
    neurons = [(abs(node["score"]), name) for name, node in circuit.nodes.items() if node["kind"] == "neuron"]
    place = quote(max(neurons)[1])
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "timeline.html").write_text(timeline_page(found.timeline))
        (folder / "circuit.html").write_text(circuit_page(circuit))
        frame = f'<body style="margin:0"><iframe src="circuit.html#{place}" width="390" height="844" style="border:0">'
        (folder / "phone.html").write_text(frame)
        for name, address, size in (
            ("timeline", "timeline.html", (980, 830)),
            ("circuit", f"circuit.html#{place}", (1280, 960)),
            ("circuit-phone", "phone.html", (500, 844)),
        ):
            picture = Path("docs", f"{name}.png").resolve()
            window = f"--window-size={size[0]},{size[1]}"
            where = [f"--user-data-dir={folder / 'profile'}", window, f"--screenshot={picture}"]
            call = [program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", *where]
            subprocess.run([*call, f"file://{folder}/{address}"], check=True, capture_output=True)


if __name__ == "__main__":
    sys.exit(reported("python -m benchmarks.picture", main))
