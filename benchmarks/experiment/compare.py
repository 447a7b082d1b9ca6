"""Two arms of a cell, paired by seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.experiment.raw import Raw, Record
from benchmarks.experiment.search import Outcomes, choose_best
from benchmarks.experiment.statistics import Difference, paired
from pipeline.errors import UserError

RUNS = ("cyclic", "constant", "decayed", "constant again", "flat")
PAIRS = (("cyclic", "constant"), ("cyclic", "decayed"), ("cyclic", "flat"), ("constant again", "constant"))
"""The first two are what is asked. `flat` is the cyclic arm's choice held at its mean rate, which was not searched;
the last pair is two searches of the same arm: what luck does."""
ASKED = PAIRS[:2]


@dataclass(frozen=True)
class Comparison:
    """How much better `arm` is than `other`: steps saved, or points of final accuracy where neither ever gets there."""

    cell: str
    arm: str
    other: str
    unit: str
    gain: Difference
    budget: int

    @property
    def scale(self) -> float:
        """What turns a gain into hundredths: of the budget saved, or of accuracy gained."""
        return 100 / self.budget if self.unit == "steps" else 1.0

    @property
    def saved(self) -> float:
        """Share of the budget that `arm` saves, in hundredths; 0 where neither gets there."""
        return self.gain.mean * self.scale if self.unit == "steps" else 0.0


def outcomes(record: Record) -> Outcomes:
    """The runs of a record."""
    return Outcomes(record["steps"], record["accuracy"], record["diverged"])


def finished(raw: Raw) -> list[str]:
    """The cells of which every run is there, in the order of the design.

    Raises UserError where a run is not of the best trial.
    """
    names = [name for name in raw.budgets if all(raw.get("run", name, arm) for arm in RUNS)]
    for name in names:
        for arm in RUNS[:-1]:
            trials, confirmed = (raw.of(kind, cell=name, arm=arm) for kind in ("trial", "confirm"))
            if raw.records["run", name, arm]["knobs"] != choose_best(trials, confirmed, raw.budgets[name])["knobs"]:
                raise UserError(f"{name}, {arm}: the runs are not of the best trial; the file was changed by hand")
    return names


def compare(raw: Raw, cell: str, arm: str, other: str) -> Comparison:
    """Positive where `arm` is better."""
    budget = raw.budgets[cell]
    one, two = (outcomes(raw.records["run", cell, name]) for name in (arm, other))
    if any(step is not None for step in one.steps + two.steps):
        gain = paired(np.subtract(two.restricted(budget), one.restricted(budget)).tolist())
        return Comparison(cell, arm, other, "steps", gain, budget)
    gain = paired((100 * np.subtract(one.accuracy, two.accuracy)).tolist())
    return Comparison(cell, arm, other, "points", gain, budget)


def comparisons(raw: Raw) -> list[Comparison]:
    """All PAIRS of all finished cells, cell by cell."""
    return [compare(raw, cell, *pair) for cell in finished(raw) for pair in PAIRS]


def same_draws(raw: Raw, cell: str) -> list[float]:
    """Share of the budget, in hundredths, that cycles save against a constant rate with mean rate, decay and penalty
    the same, trial by trial of the search.

    Of the trials in which either arm got a tuning seed to the level; no choice among trials enters.
    """
    saved = []
    for one in raw.of("trial", cell=cell, arm="cyclic"):
        two = raw.records["trial", cell, "constant", one["number"]]
        runs = [Outcomes(record["steps"], record["accuracy"], 0) for record in (two, one)]
        if any(step is not None for run in runs for step in run.steps):
            budget = raw.budgets[cell]
            slow, fast = (run.score(budget)[0] for run in runs)
            saved.append(100 * (slow - fast) / budget)
    return saved
