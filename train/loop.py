"""The one training loop, and its plain use: a fit that writes nothing. train/run.py makes run directories of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from pipeline.batch import Batch
from pipeline.nets import Net
from pipeline.recipe_params import RecipeParams
from pipeline.tasks import Task
from train.data import Batches, Data
from train.divergence import refuse_divergence
from train.environment import prepare
from train.history import Row
from train.losses import evaluate
from train.recipes import initialise
from train.schedules import multiplier
from train.step import Trainer


@dataclass(frozen=True)
class Budget:
    """How many steps there are, how many make a cycle, and how often the test set is looked at.

    Schedules are over `steps`; a phase that hands over to another one stops before, at `stop`. Steps and cycles that a
    net had before, under another budget, are counted on in the history.
    """

    steps: int
    cycle_steps: int
    evaluate_every: int
    steps_before: int = 0
    cycles_before: int = 0
    stop: int | None = None

    @property
    def last(self) -> int:
        """The number of steps that are taken."""
        return self.steps if self.stop is None else self.stop

    def evaluated(self, step: int) -> bool:
        """Whether step number `step`, from 1, ends with an evaluation; the last of a cycle and of all always does."""
        return step % self.evaluate_every == 0 or step % self.cycle_steps == 0 or step == self.last


def train_steps(trainer: Trainer, batches: Batches, budget: Budget, done: int = 0) -> Iterator[Row]:
    """The loop: update, and give the row of the history, until the budget is spent. Raises Diverged."""
    for step in range(done, budget.last):
        row, test = train_step(trainer, batches.next(), budget, step), batches.data.test
        if budget.evaluated(step + 1) and test is not None:
            row["test_loss"], row["test_accuracy"] = evaluate(trainer.net, test)
        yield row


def train_step(trainer: Trainer, batch: Batch, budget: Budget, step: int) -> Row:
    """Update number `step`, from 0, at its rate; the row of the history, not evaluated. Raises Diverged."""
    factor = multiplier(trainer.recipe.schedule, step, budget.cycle_steps, budget.steps)
    loss, accuracy, measured = trainer.step(batch, factor, step / budget.steps)
    rate = trainer.rates[0] * factor
    refuse_divergence(trainer.net, loss, budget.steps_before + step + 1, rate)
    return {
        "step": budget.steps_before + step + 1,
        "cycle": budget.cycles_before + step // budget.cycle_steps + 1,
        "lr": rate,
        "train_loss": loss,
        "train_accuracy": accuracy,
        "test_loss": None,
        "test_accuracy": None,
        **measured,
    }


def fit(
    net: Net,
    task: Task,
    recipe: RecipeParams,
    budget: Budget,
    seed: int,
    *,
    train_fraction: float,
    batch_size: int | None = None,
    stop_when: Callable[[Row], bool] | None = None,
    device: torch.device | str = "cpu",
    fresh: bool = True,
) -> list[Row]:
    """Train `net` in place, from initial weights that the recipe and the seed give it, and return its history.

    Where it is not `fresh` it goes on from the weights that it has. Nothing is written. The split of the task, the
    initial weights, the batches and the noise depend on `seed` alone.
    `stop_when` sees every row and ends the training by True. A row also has `samples`, the examples seen so far, and
    `cpu_seconds`, the process time of the updates without the evaluations. Raises Diverged (a UserError with `step`
    and `rate`) where the loss or a weight is not finite.
    """
    prepare()
    if fresh:
        initialise(net.to("cpu"), recipe.init, torch.Generator().manual_seed(seed))
    trainer = TimedTrainer(net.to(device), recipe, seed)
    batches = Batches(Data.of_pairs(task, train_fraction, seed, device), batch_size, seed)
    history: list[Row] = []
    for row in train_steps(trainer, batches, budget):
        history.append({**row, "samples": trainer.samples, "cpu_seconds": trainer.cpu_seconds})
        if stop_when is not None and stop_when(history[-1]):
            break
    return history


class TimedTrainer(Trainer):
    """Counts examples and the process time that updates take."""

    samples = 0
    cpu_seconds = 0.0

    def step(self, batch: Batch, factor: float, share: float = 0.0) -> tuple[float, float, dict[str, float]]:
        start = time.process_time()
        result = super().step(batch, factor, share)
        self.cpu_seconds += time.process_time() - start
        self.samples += len(batch)
        return result
