"""python -m stages.report.timeline: every snapshot of a run in one picture."""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

from pipeline.command_line import Parser, output_file
from pipeline.errors import reported
from pipeline.files import write_atomically

DESCRIPTION = """\
Draw a run over its snapshots: phases, change points with their bootstrap, answers on all
inputs, losses, local learning coefficient, and how alike the circuits of neighbours are.

Reads what other commands wrote, and leaves out what is not there:
  analysis/<name>/                  python -m interp analyse RUN
  verdicts/<name>.csv               python -m verify snapshots RUN
  proofs/<name>/certificate.json    python -m verify prove, of the last snapshot
"""


def main(arguments: list[str] | None = None) -> int:
    def body() -> int:
        draw(parser().parse_args(arguments))
        return 0

    return reported("python -m stages.report.timeline", body)


def parser() -> Parser:
    parser = Parser(prog="python -m stages.report.timeline", description=DESCRIPTION)
    parser.add_argument("run", type=Path, metavar="RUN", help="run directory, such as runs/modular-catapult")
    parser.add_argument("--analysis", type=Path, metavar="DIR", help="(default: analysis/<name of the run>)")
    parser.add_argument("--verdicts", type=Path, metavar="CSV", help="(default: verdicts/<name>.csv, if it is there)")
    parser.add_argument("--proof", type=Path, metavar="DIR", help="(default: proofs/<name>, if it is there)")
    parser.add_argument("--out", type=output_file, default="timeline.html", help="page to write (default: %(default)s)")
    return parser


def draw(options: argparse.Namespace) -> None:
    from pipeline.runs import Run  # torch takes seconds to import
    from stages.report.timeline_page import is_about, read_timeline, timeline_page

    snapshots = tuple(hashlib.sha256(path.read_bytes()).hexdigest() for path in Run.open(options.run).snapshots)
    name = options.run.resolve().name
    verdicts = options.verdicts or present(Path("verdicts") / f"{name}.csv")
    proof = options.proof / "certificate.json" if options.proof else present(Path("proofs") / name / "certificate.json")
    if proof is not None and options.proof is None and not is_about(proof, snapshots[-1]):
        print(f"note: {proof} is not about the last snapshot of {name}: left out")
        proof = None
    found = read_timeline(name, snapshots, options.analysis or Path("analysis") / name, verdicts, proof)
    write_atomically(options.out, timeline_page(found))
    print(f"wrote {options.out}")


def present(path: Path) -> Path | None:
    return path if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
