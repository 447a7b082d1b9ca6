"""python -m benchmarks.picture: the pictures of the README and of the guide, from what `dvc repro` left.

Writes docs/transition.svg, and with `--browser chromium` also docs/timeline.png, docs/circuit.png and
docs/circuit-phone.png: the timeline of the catapult, and the circuit of its consolidation with the strongest neuron
pinned, as a headless browser shows them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

from interp.circuit_view import page as circuit_page
from interp.circuits import load_circuit
from pipeline.command_line import Parser
from pipeline.errors import UserError, reported
from pipeline.files import write_atomically
from stages.report.plots import training_picture
from stages.report.read import record
from stages.report.records import Record
from stages.report.timeline_page import timeline_page


def main(arguments: list[str] | None = None) -> int:
    parser = Parser(prog="python -m benchmarks.picture", description=__doc__)
    parser.add_argument("--browser", help="a Chromium, for the pictures of the circuit view")
    options = parser.parse_args(arguments)
    records = [record(f"modular-{recipe}", Path()) for recipe in ("standard", "adamw_tuned", "catapult")]
    write_atomically(Path("docs/transition.svg"), training_picture(records))
    if options.browser:
        photograph(options.browser, records[-1], "modular-catapult_consolidation")
    return 0


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
