"""What happens at the end of a cycle: evaluation on every set, a snapshot, and (train/teaching.py) lessons.

A callback is an object with the methods of `Callback`; what it has to know again after an interruption is its state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch

from pipeline.batch import Batch
from pipeline.cycles import snapshot_cycles
from pipeline.experiment import Experiment
from pipeline.nets import Net
from pipeline.recipe_params import RecipeParams
from pipeline.runs import Snapshot, save_snapshot
from train.data import Batches, Data
from train.history import Row
from train.step import Trainer


@dataclass
class Training:
    """A run in progress, as callbacks see it and may change it."""

    experiment: Experiment
    net: Net
    data: Data
    history: list[Row] = field(default_factory=list)
    trainer: Trainer = field(init=False)
    batches: Batches = field(init=False)

    def begin(self, recipe: RecipeParams) -> None:
        """A new trainer for the net as it is, and new batches: at the start of a phase."""
        params = self.experiment.train
        self.trainer = Trainer(self.net, recipe, params.seed, params.matmul_precision)
        self.batches = Batches(self.data, params.batch_size, params.seed)

    def show(self, data: Data) -> None:
        """Other examples from the next step on."""
        self.data = data
        self.batches.show(data)

    @property
    def recipe_name(self) -> str:
        """Of the phase that the next step belongs to."""
        cycle = len(self.history) // self.experiment.train.cycle_steps
        return next((p.recipe for p in self.experiment.phases if cycle < p.last_cycle), self.experiment.recipe)

    @property
    def steps_before(self) -> int:
        return 0 if self.experiment.start is None else self.experiment.start.step

    @property
    def cycles_before(self) -> int:
        return 0 if self.experiment.start is None else self.experiment.start.cycle

    @property
    def cycle(self) -> int:
        """The last one that has ended."""
        return self.history[-1]["cycle"] if self.history else self.cycles_before

    @property
    def more(self) -> bool:
        """Whether the budget has steps left."""
        return len(self.history) < self.experiment.train.steps

    def state_dict(self) -> dict[str, Any]:
        return {"trainer": self.trainer.state_dict(), "batches": self.batches.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.trainer.load_state_dict(state["trainer"])
        self.batches.load_state_dict(state["batches"])


class Callback(Protocol):
    """What acts at the end of every cycle, in the order in which train.run lists them."""

    def before(self, training: Training) -> None:
        """Before the first step of a run."""
        ...

    def after_cycle(self, training: Training, row: Row) -> bool:
        """At the end of a cycle, of which `row` is the last step; True where the trainer or the data are others now."""
        ...

    def files(self) -> dict[str, str]:
        """What it leaves in the run directory, by name."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Snapshots:
    """A snapshot of the net at the end of the cycles that `train.snapshots` names."""

    def __init__(self, experiment: Experiment, directory: Path) -> None:
        self.experiment, self.directory = experiment, directory
        params, start = experiment.train, experiment.start
        before = 0 if start is None else start.cycle
        rule = params.snapshots
        self.kept = snapshot_cycles(params.steps // params.cycle_steps, before, rule.dense, rule.every)

    def before(self, training: Training) -> None:
        self._save(training, training.cycles_before, training.steps_before)

    def after_cycle(self, training: Training, row: Row) -> bool:
        if row["cycle"] in self.kept:
            self._save(training, row["cycle"], row["step"])
        return False

    def _save(self, training: Training, cycle: int, step: int) -> None:
        experiment = self.experiment
        snapshot = Snapshot(
            net=training.net,
            task=experiment.task.task(),
            train_fraction=getattr(experiment.task, "train_fraction", None),
            recipe=experiment.recipe,
            seed=experiment.train.seed,
            cycle=cycle,
            step=step,
            experiment=experiment.digest,
        )
        save_snapshot(self.directory / f"cycle-{cycle:04d}.safetensors", snapshot)

    def files(self) -> dict[str, str]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Evaluation:
    """accuracy.csv: the share of examples of every evaluation set that are right at every position, cycle by cycle."""

    def __init__(self, training: Training) -> None:
        self.rows: list[Row] = []

    def before(self, training: Training) -> None:
        self.rows.append({"cycle": training.cycles_before, **exact_match(training.net, training.data.tried)})

    def after_cycle(self, training: Training, row: Row) -> bool:
        first, *others = training.data.tried  # the loop has just looked at the first one
        found = exact_match(training.net, {name: training.data.tried[name] for name in others})
        self.rows.append({"cycle": row["cycle"], first: row["test_accuracy"], **found})
        return False

    def files(self) -> dict[str, str]:
        return {"accuracy.csv": table(self.rows)}

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rows = state["rows"]


@torch.no_grad()
def exact_match(net: Net, sets: Mapping[str, Batch]) -> dict[str, float]:
    """By evaluation set: the share of examples that are right at every position, {"random_40": 0.93, ...}."""
    return {name: batch.right(net(batch.inputs)).sum().item() / len(batch) for name, batch in sets.items()}


def table(rows: Sequence[Row]) -> str:
    """Rows of the same columns as CSV, numbers at six digits."""
    columns = list(rows[0])
    lines = [columns, *([f"{row[column]:.6g}" for column in columns] for row in rows)]
    return "\n".join(",".join(line) for line in lines) + "\n"
