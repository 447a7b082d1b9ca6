"""What is shown and what is held out, and which of it is in a step's batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from pipeline.errors import UserError
from pipeline.tasks import Task


@dataclass(frozen=True)
class Data:
    """Pairs and answers of the two halves of the domain, on the training device."""

    train_pairs: Int[Tensor, "train 2"]
    train_answers: Int[Tensor, " train"]
    test_pairs: Int[Tensor, "test 2"]
    test_answers: Int[Tensor, " test"]

    @classmethod
    def of(cls, task: Task, train_fraction: float, seed: int, device: torch.device | str = "cpu") -> Data:
        train, test = task.split(train_fraction, seed)
        pairs, answers = torch.from_numpy(task.pairs()), torch.from_numpy(task.answers())
        return cls(*(x.to(device) for x in (pairs[train], answers[train], pairs[test], answers[test])))


class Batches:
    """The whole training set in every step, or batches of one size, drawn without replacement.

    Each pass goes through a new random order and leaves out what does not fill a batch at its end.
    """

    def __init__(self, data: Data, size: int | None, seed: int) -> None:
        self.data, self.size = data, size
        self.generator = torch.Generator().manual_seed(seed)
        self.order = torch.empty(0, dtype=torch.int64)
        if size is not None and size > len(data.train_pairs):
            raise UserError(
                f"batch_size = {size}: there are {len(data.train_pairs)} training pairs; lower it or use null"
            )

    def next(self) -> tuple[Int[Tensor, "batch 2"], Int[Tensor, " batch"]]:
        """Pairs and answers of the next step."""
        pairs, answers = self.data.train_pairs, self.data.train_answers
        if self.size is None:
            return pairs, answers
        if len(self.order) < self.size:
            self.order = torch.randperm(len(pairs), generator=self.generator)
        chosen, self.order = self.order[: self.size].to(pairs.device), self.order[self.size :]
        return pairs[chosen], answers[chosen]

    def state_dict(self) -> dict[str, Any]:
        return {"generator": self.generator.get_state(), "order": self.order.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.generator.set_state(state["generator"])
        self.order = state["order"]
