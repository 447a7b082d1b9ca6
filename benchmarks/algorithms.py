"""python -m benchmarks.algorithms RUN ...: which algorithm is it? Measures and label of each run's last snapshot.

Of the nets built by hand as well, with `--hand-built`. `symmetricity`, `irrelevance` (of the correct logit, and of the
runner-up's), `circularity`: Zhong et al. 2023; `circles`: how many frequencies hold 90% of the embeddings' power;
`clock` and `pizza`: explained variance of the formulas, one circle at a time; `clock share`: of the whole logits;
`simple`, `frequencies` and `scrubbed`: McCracken et al. 2025. With `--all`, every snapshot in turn.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from interp.algorithms import AlgorithmLabel, name_algorithm
from interp.hand_built import clock, lookup, pizza
from pipeline.errors import reported
from pipeline.nets import Net
from pipeline.runs import Run, load_snapshot
from pipeline.tasks import ModularTask

COLUMNS = (
    "accuracy", "symmetricity", "irrelevance", "runner-up", "circularity", "circles", "clock", "pizza", "clock share",
    "simple", "frequencies", "scrubbed", "CPU s", "label",
)  # fmt: skip


def row(name: str, label: AlgorithmLabel, seconds: float) -> str:
    m = label.measures
    if m is None:
        return f"| {name} |{' |' * (len(COLUMNS) - 1)} {label} |"
    c, s = m.circular, m.simple
    figures = (
        f"{m.accuracy:.4f}", f"{c.gradient_symmetricity:.3f}", f"{c.distance_irrelevance:.3f}",
        f"{c.runner_up_irrelevance:.3f}", f"{c.circularity:.3f}", str(c.circle_count), f"{c.explained('clock'):.2f}",
        f"{c.explained('pizza'):.2f}", f"{c.shares.clock:.2f}", f"{s.share:.2f}", str(len(s.frequencies)),
        f"{s.scrubbed_accuracy:.2f}", f"{seconds:.1f}", str(label),
    )  # fmt: skip
    return f"| {name} | {' | '.join(figures)} |"


def nets(paths: list[Path], everything: bool) -> Iterator[tuple[str, Net, ModularTask, torch.Tensor]]:
    """The snapshots of the runs, each with the pairs that it was trained on."""
    for run in [Run.open(path) for path in paths]:
        for path in run.snapshots if everything else run.snapshots[-1:]:
            snapshot = load_snapshot(path, Net)
            yield f"{run.key} {path.stem}", snapshot.net, snapshot.task, torch.from_numpy(snapshot.split()[0])


def hand_built(p: int = 31) -> Iterator[tuple[str, Net, ModularTask, None]]:
    task, frequencies = ModularTask(p), (3, 7, 11)
    yield "clock, built by hand", clock(p, frequencies), task, None
    yield "pizza, built by hand", pizza(p, frequencies), task, None
    yield "table, built by hand", lookup(p), task, None


def main(arguments: list[str] | None = None) -> int:
    shape = argparse.RawDescriptionHelpFormatter
    options = argparse.ArgumentParser(
        prog="python -m benchmarks.algorithms", description=__doc__, formatter_class=shape
    )
    options.add_argument("runs", type=Path, nargs="*", metavar="RUN", help="run directories")
    options.add_argument("--all", action="store_true", help="every snapshot, not the last one only")
    options.add_argument("--hand-built", action="store_true", help="the nets built by hand as well")
    given = options.parse_args(arguments)
    print(f"| net | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 1)}")
    for source in (hand_built() if given.hand_built else (), nets(given.runs, given.all)):
        for name, net, task, train in source:
            start = time.process_time()
            label = name_algorithm(net, task, train)
            print(row(name, label, time.process_time() - start), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(reported("python -m benchmarks.algorithms", main))
