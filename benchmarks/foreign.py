"""Verdicts on nets that others trained: `python -m benchmarks.foreign FOLDER`, checkpoints with a config beside each.

For each model its right answers, the verdict over all inputs with the float bound, the smallest margin over that bound,
and wall-clock seconds from the file to the checker's word. The folder is that of Zhong et al. 2023's published models.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from interp.foreign import import_checkpoints, reader
from pipeline.command_line import Parser
from pipeline.errors import UserError, reported
from pipeline.tasks import ModularTask
from verify.run import Nets, verify_run


def verdict(checkpoint: Path, p: int) -> str:
    """A row of the table."""
    task = ModularTask(p)
    with tempfile.TemporaryDirectory() as scratch:
        began = time.monotonic()
        read = reader("tl", task, None, {}, None)
        run, _ = import_checkpoints(checkpoint, Path(scratch) / "run", read, "tl")
        summary = verify_run(Nets(run.snapshots[-1]), None)
        seconds = time.monotonic() - began
    right, rounding = summary.results
    over = rounding.measured["margin_over_bound"]["smallest"]
    inputs, wrong, unsure = (right.measured[name] for name in ("inputs", "disagreements", "open"))
    said = f"{inputs - wrong - unsure} of {inputs} right, {unsure} open, margin over bound {over}"
    return f"{checkpoint.name}: {said}, {seconds:.0f} s: {summary.verdict}"


def main() -> int:
    parser = Parser(prog="python -m benchmarks.foreign", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--p", type=int, default=59)
    options = parser.parse_args()
    checkpoints = sorted(options.folder.glob("*.pt"))
    if not checkpoints:
        raise UserError(f"folder = {options.folder}: no checkpoint (*.pt) in it")
    for checkpoint in checkpoints:
        print(verdict(checkpoint, options.p), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(reported("python -m benchmarks.foreign", main))
