"""What every snapshot of a run answers, decided on all its inputs; evaluated, and not proved.

    right   the largest logit is the right answer's on every pair, in exact arithmetic over the stored weights
    wrong   on some pair it certainly is another's; the counterexample is the first such pair, of those that float32
            shares if there are any
    open    neither: a tie, or logits too close for float64

by the running error analysis of `rounding`, in its coarse form. No certificate is written and no checker has looked:
Proved is said by `verify prove` of one snapshot, not here. `margin` is the least lead of the right answer, the
smallest over all pairs; `margin_over_coarse_bound` holds it against a coarse bound of what float32 may lose, so that
above 1 every float32 evaluation is right too. (A certificate's bound is several times narrower.) Both are None where
the net is not right everywhere.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from threadpoolctl import threadpool_limits

from pipeline.files import snapshot_paths
from verify.exact_net import NO_ANSWER
from verify.real_net import load_real_net
from verify.rounding import analyse
from verify.solver import Progress

Status = Literal["right", "wrong", "open"]
COLUMNS = (
    "cycle", "status", "wrong", "open", "inputs", "margin", "margin_over_coarse_bound", "counterexample", "sha256",
)  # fmt: skip


@dataclass(frozen=True)
class SnapshotVerdict:
    """Counts are of pairs; `counterexample` is an equation, empty without one."""

    cycle: int
    wrong: int
    open: int
    inputs: int
    margin: float | None
    margin_over_coarse_bound: float | None
    counterexample: str
    sha256: str

    @property
    def status(self) -> Status:
        return "wrong" if self.wrong else "open" if self.open else "right"

    def __str__(self) -> str:
        if self.status == "right":
            also = ", in float32 too" if (self.margin_over_coarse_bound or 0) > 1 else ""
            return f"right on all {self.inputs} inputs{also}"
        if self.status == "open":
            return f"open on {self.open} of {self.inputs} inputs"
        return f"wrong on {self.wrong} of {self.inputs} inputs: {self.counterexample}"


def verdicts(run: Path, progress: Progress) -> list[SnapshotVerdict]:
    """Every snapshot of a run, in cycle order; UserError where one is of a kind that is not known here.

    As many at a time as there are cores, each on one: products are small, and threads inside them cost more than they
    give.
    """
    found, paths = [], snapshot_paths(run)
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(min(os.cpu_count() or 1, len(paths))) as pool:
        for one in pool.map(verdict_of, paths):
            found.append(one)
            progress(f"cycle {one.cycle}: {one}")
    return found


def verdict_of(path: Path) -> SnapshotVerdict:
    """One snapshot, `cycle-0007.safetensors` being that of cycle 7."""
    net = load_real_net(path)
    task, expected = net.task, net.task.table
    report = analyse(net, coarse=True)
    certain = report.answers != NO_ANSWER
    wrong = certain & (report.answers != expected)
    first = task.where(wrong & (report.margins > report.bounds)) or task.where(wrong)
    all_right = bool(certain.all()) and not first
    said = ""
    if first:
        a, b = first[0]
        answers = expected[a, b - task.first], report.answers[a, b - task.first]
        said = f"a = {a}, b = {b}: {task.name} = {answers[0]}, the net says {answers[1]}"
    return SnapshotVerdict(
        cycle=int(path.stem.removeprefix("cycle-")),
        wrong=int(wrong.sum()),
        open=int((~certain).sum()),
        inputs=certain.size,
        margin=rounded_down(float(report.margins.min())) if all_right else None,
        margin_over_coarse_bound=rounded_down(report.smallest) if all_right else None,
        counterexample=said,
        sha256=net.sha256,
    )


def rounded_down(value: float) -> float | None:
    """A positive number to three digits, never above itself; None for what is no number."""
    if not math.isfinite(value):
        return None
    near, last = float(f"{value:.3g}"), 10.0 ** (math.floor(math.log10(value)) - 2)
    return near if near <= value else float(f"{near - last:.3g}")


def to_csv(found: Sequence[SnapshotVerdict]) -> str:
    """One row a snapshot; what is nan is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in found:
        values = [getattr(one, name) for name in COLUMNS]
        writer.writerow(["" if value is None else value for value in values])
    return text.getvalue()
