"""The same random search for every arm: what a trial draws, the recipe it makes, and the runs of it.

Drawn log-uniformly: the rate, the share of a weight that a step decays at that rate (rate times torch's weight_decay),
and the strength of the norm penalty. Trial i of the cyclic, the constant and the decayed arm has the same three. The
rate is what a constant schedule holds, what a decayed one begins with, and the mean over a cycle of a cyclic one. The
decayed arm also draws its floor; the cyclic arm its kind of cycle, its length, peak and floor, with no more trials for
that. Draws depend on cell, arm and trial number alone.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.experiment.cells import EMBED_STD, EVERY, Cell
from pipeline.recipe_params import RecipeParams, ScheduleParams
from train.loop import Budget
from train.many import fit_many
from train.schedules import multiplier

ARMS = ("cyclic", "constant", "decayed", "constant again")
"""`constant again` is the constant arm under another draw of the search: what luck in the search alone is worth."""

LEVEL = 0.95
RATE = {"adamw": (0.01, 0.15), "muon": (0.02, 0.3)}
DECAY = (0.05, 0.3)
PENALTY = (0.01, 0.3)
FLOOR = (0.01, 0.5)
PEAK = (1.0, 4.0)
SHORTEST = 5

FINALISTS = 3
"""Trials of each arm that are run again on more tuning seeds, before one is chosen."""

Knobs = dict[str, Any]


@dataclass(frozen=True)
class Outcomes:
    """One entry a seed: steps to LEVEL test accuracy or None, and the last accuracy, 0 where the run diverged."""

    steps: list[int | None]
    accuracy: list[float]
    diverged: int

    def restricted(self, budget: int) -> list[int]:
        """Steps to LEVEL, and the budget for those that never got there."""
        return [budget if step is None else step for step in self.steps]

    def score(self, budget: int) -> tuple[float, float]:
        """What the search minimises: the restricted mean of the steps; where that ties, less accuracy is worse."""
        n = len(self.steps)
        return sum(self.restricted(budget)) / n, -sum(self.accuracy) / n


def draw(cell: Cell, arm: str, trial: int) -> Knobs:
    """The knobs of a trial, three digits each."""
    shared = random.Random(f"{cell.name}/{'again' if arm == 'constant again' else 'first'}/{trial}")
    own = random.Random(f"{cell.name}/{arm}/{trial}")
    knobs: Knobs = {"rate": log_uniform(shared, *RATE[cell.optimizer])}
    if cell.regulariser != "none":
        knobs["decay"] = log_uniform(shared, *DECAY)
    if cell.regulariser == "penalty":
        knobs["penalty"] = log_uniform(shared, *PENALTY)
    if arm == "decayed":
        knobs["floor"] = log_uniform(own, *FLOOR)
    if arm == "cyclic":
        knobs["kind"] = own.choice(("cyclic", "triangular", "catapult"))
        knobs["cycle"] = round(log_uniform(own, SHORTEST, cell.steps / 3))
        knobs["peak"] = log_uniform(own, *PEAK)
        knobs["floor"] = log_uniform(own, *FLOOR)
    return knobs


def log_uniform(generator: random.Random, low: float, high: float) -> float:
    """Three digits, so that what is written down is what was run."""
    return float(f"{math.exp(generator.uniform(math.log(low), math.log(high))):.3g}")


def finalists(trials: Sequence[Mapping[str, Any]], budget: int) -> list[Mapping[str, Any]]:
    """The FINALISTS trials with the least scores, best first; of those that tie, the earlier."""
    return sorted(trials, key=lambda trial: (_outcomes(trial).score(budget), trial["number"]))[:FINALISTS]


def choose_best(
    trials: Sequence[Mapping[str, Any]], confirmed: Sequence[Mapping[str, Any]], budget: int
) -> Mapping[str, Any]:
    """Of the finalists, the one with the least score over the seeds of its trial and of its confirmation together."""
    more = {record["number"]: record for record in confirmed}

    def score(trial: Mapping[str, Any]) -> tuple[float, float]:
        again = more[trial["number"]]
        both = Outcomes(trial["steps"] + again["steps"], trial["accuracy"] + again["accuracy"], 0)
        return both.score(budget)

    return min(finalists(trials, budget), key=score)


def _outcomes(record: Mapping[str, Any]) -> Outcomes:
    return Outcomes(record["steps"], record["accuracy"], 0)


def schedule(knobs: Knobs, shift: float = 0.0) -> dict[str, Any]:
    """The schedule that knobs stand for; `shift` begins that share into the first cycle."""
    if "kind" in knobs:
        return {"kind": knobs["kind"], "peak": knobs["peak"], "floor": knobs["floor"], "shift": shift}
    return {"kind": "cosine", "floor": knobs["floor"]} if "floor" in knobs else {"kind": "constant"}


def flat(knobs: Knobs) -> Knobs:
    """The same mean rate, decay and penalty, without cycles."""
    return {name: value for name, value in knobs.items() if name in ("rate", "decay", "penalty")}


def recipe(cell: Cell, knobs: Knobs, shift: float = 0.0) -> RecipeParams:
    """Muon's matrices go at three times the rate of the AdamW beside it, and lose the same share a step."""
    shape, mean = ScheduleParams.model_validate(schedule(knobs, shift)), 1.0
    if "cycle" in knobs:
        cycle = knobs["cycle"]
        mean = sum(multiplier(shape, step, cycle, cycle) for step in range(cycle)) / cycle
    rate, decay = knobs["rate"] / mean, knobs.get("decay", 0.0) / knobs["rate"]
    adamw = {"kind": "adamw", "lr": rate, "weight_decay": decay, "betas": (0.9, 0.98)}
    values: dict[str, Any] = {"init": {"embed_std": EMBED_STD}, "optimizer": adamw, "schedule": shape}
    if cell.optimizer == "muon":
        values["optimizer"] = {"kind": "muon", "lr": 3 * rate, "weight_decay": decay / 3}
        values |= {"embeddings": adamw, "readout": adamw}
    if "penalty" in knobs:
        values["norm_penalty"] = {"strength": knobs["penalty"], "radius": 0.0}
    return RecipeParams.model_validate(values)


def run(cell: Cell, knobs: Knobs, seeds: Sequence[int], stop: bool = False) -> Outcomes:
    """Train one net a seed. With `stop`, end when all of them are at LEVEL together.

    Only every EVERY-th step is looked at: the loop also evaluates at the end of a cycle, which the other arms have not.
    """
    fits = fit_many(
        cell.net,
        cell.task,
        recipe(cell, knobs),
        Budget(cell.steps, knobs.get("cycle", cell.steps), EVERY),
        seeds,
        train_fraction=cell.fraction,
        stop_when=(lambda step, accuracy: step % EVERY == 0 and bool((accuracy >= LEVEL).all())) if stop else None,
    )
    curves = [[(row["step"], row["test_accuracy"]) for row in fit.history if row["step"] % EVERY == 0] for fit in fits]
    return Outcomes(
        steps=[next((step for step, accuracy in curve if accuracy >= LEVEL), None) for curve in curves],
        accuracy=[
            0.0 if fit.diverged or not curve else round(curve[-1][1], 4)
            for fit, curve in zip(fits, curves, strict=True)
        ],
        diverged=sum(fit.diverged is not None for fit in fits),
    )
