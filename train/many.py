"""N nets of one shape, trained by one recipe as one batched computation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.nets import Net, NetConfig, build_net
from pipeline.params import RecipeParams
from pipeline.tasks import Task
from train.divergence import Diverged
from train.history import Row
from train.loop import Budget, fit


@dataclass(frozen=True)
class Fitted:
    """What one seed gave: its history up to the end or to where it diverged, and the net then."""

    seed: int
    history: list[Row]
    net: Net
    diverged: Diverged | None


def fit_many(
    config: NetConfig,
    task: Task,
    recipe: RecipeParams,
    budget: Budget,
    seeds: Sequence[int],
    *,
    train_fraction: float,
    batch_size: int | None = None,
    at_once: int | None = None,
    stop_when: Callable[[int, Tensor], bool] | None = None,
    device: torch.device | str = "cpu",
) -> list[Fitted]:
    """As `fit` for every seed."""
    fits: list[Fitted] = []
    for seed in seeds:
        net = build_net(config)
        diverged, history = None, []

        def collect(row: Row, history: list[Row] = history) -> bool:
            history.append(row)
            return (
                stop_when is not None
                and row["test_accuracy"] is not None
                and stop_when(row["step"], torch.tensor([row["test_accuracy"]]))
            )

        try:
            fit(
                net, task, recipe, budget.steps, budget.cycle_steps, seed, budget.evaluate_every, batch_size, collect,
                train_fraction=train_fraction, device=device,
            )  # fmt: skip
        except Diverged as error:
            diverged = error
        fits.append(Fitted(seed, history, net, diverged))
    return fits
