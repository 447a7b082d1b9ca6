"""python -m benchmarks.attribution: what attribution costs on the default net, and how well it ranks the edges.

Every method scores all nodes and edges of the last snapshot of a run; the slowest of the repeats is what the two-second
bound is held against. `exact` is the Pearson correlation of its edges with those of edge patching; CPR and CMD are
areas of the faithfulness curve on other inputs (Mueller et al. 2025), f at 10% is a point of that curve, and `edges at
99%` the size of the smallest circuit of the ranking that keeps 99% of the metric there.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch

from benchmarks.timing import cost_of
from interp.attribution import METHODS, Attribution, contrast, edge_patching
from interp.circuits import Evaluator, curve, ranking, smallest
from pipeline.command_line import Parser
from pipeline.errors import UserError, reported
from pipeline.nets import Net
from pipeline.runs import Run, Snapshot, load_snapshot

HEADER = """\
| method | nodes | edges | wall s, median (greatest) | exact | CPR | CMD | f at 10% | edges at 99% |
|---|---|---|---|---|---|---|---|---|"""
TENTH = 6
"""Place of 10% among the shares of the curve."""


def correlation(found: Attribution, exact: Attribution) -> str:
    """Pearson correlation over the edges; empty where the method scores nodes only."""
    return "" if np.isnan(found.edges).any() else f"{np.corrcoef(found.edges, exact.edges)[0, 1]:.4f}"


def rows(snapshot: Snapshot[Net], neurons: bool, inputs: int, repeats: int) -> list[str]:
    """One row a method."""
    given = contrast(snapshot.modular, inputs)
    evaluator = Evaluator(snapshot.net, *contrast(snapshot.modular, inputs, skip=inputs), neurons=neurons)
    exact = edge_patching(snapshot.net, *given, neurons=neurons)
    found = []
    for name, method in METHODS.items():
        work = partial(method, snapshot.net, *given, neurons=neurons)
        costs, result = [cost_of(work).wall for _ in range(repeats)], work()
        order = ranking(result)
        areas, kept = curve(evaluator, order), int(smallest(evaluator, order).sum())
        found.append(
            f"| {name} | {len(exact.nodes)} | {len(exact.edges)} | {median(costs):.3f} ({max(costs):.3f}) | "
            f"{correlation(result, exact)} | {areas.cpr:.3f} | {areas.cmd:.3f} | "
            f"{areas.points[TENTH].faithfulness:.3f} | {kept} |"
        )
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = Parser(prog="python -m benchmarks.attribution", description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("runs/modular-catapult"), help="(default: %(default)s)")
    parser.add_argument("--inputs", type=int, default=128, help="pairs that are scored (default: 128)")
    parser.add_argument("--repeats", type=int, default=5, help="timed calls of each method (default: 5)")
    parser.add_argument("--threads", type=int, default=2, help="of torch (default: 2)")
    options = parser.parse_args(arguments)
    if min(options.inputs, options.repeats, options.threads) < 1:
        raise UserError("--inputs, --repeats, --threads: give whole numbers, 1 or more")
    torch.set_num_threads(options.threads)
    snapshot = load_snapshot(Run.open(options.run).snapshots[-1], Net)
    print(
        f"{options.run}, cycle {snapshot.cycle}, {options.inputs} inputs, {options.threads} thread(s) of "
        f"{os.cpu_count()} cores, {options.repeats} repeats, torch {torch.__version__}\n\n{HEADER}"
    )
    for neurons in (False, True):
        for row in rows(snapshot, neurons, options.inputs, options.repeats):
            print(row, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(reported("python -m benchmarks.attribution", main))
