"""What is shown and what is held out, on the training device, and which of it is in a step's batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from pipeline.batch import Batch
from pipeline.errors import UserError
from pipeline.tasks import Split, Task, pair_split


@dataclass(frozen=True)
class Data:
    """What training is shown, and the evaluation sets by name."""

    train: Batch
    tried: Mapping[str, Batch]

    @classmethod
    def of(cls, split: Split, device: torch.device | str = "cpu") -> Data:
        return cls(Batch.of(split.shown, device), {name: Batch.of(each, device) for name, each in split.tried.items()})

    @classmethod
    def of_pairs(cls, task: Task, train_fraction: float, seed: int, device: torch.device | str = "cpu") -> Data:
        """A share of all pairs of a task, and the others as `test`."""
        return cls.of(pair_split(task, train_fraction, seed), device)

    @property
    def test(self) -> Batch | None:
        """The evaluation set of the history: the first one, None where it is empty."""
        first = next(iter(self.tried.values()), None)
        return first if first is not None and len(first) else None


class Batches:
    """The whole training set in every step, or batches of one size, drawn without replacement.

    Each pass goes through a new random order and leaves out what does not fill a batch at its end.
    """

    def __init__(self, data: Data, size: int | None, seed: int) -> None:
        self.data, self.size = data, size
        self.generator = torch.Generator().manual_seed(seed)
        self.order = torch.empty(0, dtype=torch.int64)
        if size is not None and size > len(data.train):
            raise UserError(f"batch_size = {size}: there are {len(data.train)} training examples; lower it or use null")

    def next(self) -> Batch:
        """The examples of the next step."""
        train = self.data.train
        if self.size is None:
            return train
        if len(self.order) < self.size:
            self.order = torch.randperm(len(train), generator=self.generator)
        chosen, self.order = self.order[: self.size].to(train.targets.device), self.order[self.size :]
        return train.some(chosen)

    def show(self, data: Data) -> None:
        """Other examples from the next step on, in a new random order that goes on from the present generator."""
        self.data, self.order = data, self.order[:0]

    def state_dict(self) -> dict[str, Any]:
        return {"generator": self.generator.get_state(), "order": self.order.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.generator.set_state(state["generator"])
        self.order = state["order"]
