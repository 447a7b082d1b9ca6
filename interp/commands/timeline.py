"""python -m interp timeline: every snapshot of a run in one picture."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pipeline.files import write_atomically

DESCRIPTION = """\
Draw a run over its snapshots: phases, change points with their bootstrap, answers on all
inputs, losses, local learning coefficient, and how alike the circuits of neighbours are.

Reads what other commands wrote, and leaves out what is not there:
  analysis/<key>/            python -m interp analyse RUN
  verdicts/<key>.csv         python -m verify snapshots RUN
  proofs/<key>/certificate.json   python -m verify prove, of the last snapshot
"""


def add(commands: Any) -> None:
    shape = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(
        "timeline", help="every snapshot of a run in one picture", formatter_class=shape, description=DESCRIPTION
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="run directory, such as runs/modular-catapult-s0")
    parser.add_argument("--analysis", type=Path, metavar="DIR", help="(default: analysis/<key>)")
    parser.add_argument("--verdicts", type=Path, metavar="CSV", help="(default: verdicts/<key>.csv, if it is there)")
    parser.add_argument("--proof", type=Path, metavar="DIR", help="(default: proofs/<key>, if it is there)")
    parser.add_argument("--out", type=Path, default=Path("timeline.html"), help="page to write (default: %(default)s)")


def run(options: argparse.Namespace) -> None:
    from pipeline.report.timeline_page import read_timeline, timeline_page
    from pipeline.runs import Run

    key = Run.open(options.run).key
    verdicts = options.verdicts or present(Path("verdicts") / f"{key}.csv")
    proof = options.proof / "certificate.json" if options.proof else present(Path("proofs") / key / "certificate.json")
    found = read_timeline(key, options.analysis or Path("analysis") / key, verdicts, proof)
    write_atomically(options.out, timeline_page(found))
    print(f"wrote {options.out}")


def present(path: Path) -> Path | None:
    return path if path.exists() else None
