"""The learning-rate range test: where does a rate that only rises begin to make things worse?

Smith 2017 (arXiv 1506.01186), section 3.3: train once, with the rate growing exponentially from step to step, and look
where the loss turns. The rates of all groups grow together, so the answer is a multiplier on the recipe's rates.

The edge is the first multiplier at which the training loss, averaged exponentially (SMOOTHING), lies
`rise` * ln(answers) above the lowest it has been; or at which the loss or a weight is not finite. ln(answers) is
the loss of a uniform guess. A short sweep finds a higher edge than a long one: rates that diverge slowly are passed by.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from pipeline.nets import Net
from pipeline.recipe_params import RecipeParams
from pipeline.tasks import Task
from train.data import Batches, Data
from train.divergence import Diverged, refuse_divergence
from train.environment import prepare
from train.recipes import initialise
from train.step import Trainer

SMOOTHING = 0.8


@dataclass(frozen=True)
class RangeTest:
    """Multipliers in order, the loss that each was applied at, and the edge, None where the sweep did not reach it."""

    factors: tuple[float, ...]
    losses: tuple[float, ...]
    edge: float | None


def sweep(low: float, high: float, steps: int) -> list[float]:
    """`steps` multipliers from `low` to `high`, each the same factor above the one before."""
    return [low * (high / low) ** (i / (steps - 1)) for i in range(steps)]


def find_edge(factors: Sequence[float], losses: Sequence[float], rise: float) -> float | None:
    """The first factor whose smoothed loss is `rise` (in nats) above the lowest before it; None where none is."""
    mean, lowest = 0.0, math.inf
    for i, (factor, loss) in enumerate(zip(factors, losses, strict=True)):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        smoothed = mean / (1 - SMOOTHING ** (i + 1))
        if not smoothed <= lowest + rise:
            return factor
        lowest = min(lowest, smoothed)
    return None


def range_test(
    net: Net, task: Task, recipe: RecipeParams, seed: int, train_fraction: float, factors: Sequence[float], rise: float
) -> RangeTest:
    """Train `net` in place from the recipe's initial weights, one full-batch step a factor, up to the edge."""
    prepare()
    initialise(net, recipe.init, torch.Generator().manual_seed(seed))
    trainer = Trainer(net, recipe, seed)
    batches = Batches(Data.of_pairs(task, train_fraction, seed), None, seed)
    losses: list[float] = []
    nats = rise * math.log(task.n_answers)
    for i, factor in enumerate(factors):
        loss, _, _ = trainer.step(batches.next(), factor, i / len(factors))
        try:
            refuse_divergence(net, loss, i + 1, trainer.rates[0] * factor)
        except Diverged:
            return RangeTest(tuple(factors[: len(losses)]), tuple(losses), factor)
        losses.append(loss)
        if find_edge(factors[: i + 1], losses, nats) is not None:
            break
    done = tuple(factors[: len(losses)])
    return RangeTest(done, tuple(losses), find_edge(done, losses, nats))
