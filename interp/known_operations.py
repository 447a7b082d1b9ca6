"""Which of the operations of `pipeline.tasks` does a net compute? Its answers against all of them."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from pipeline.nets import Net
from pipeline.tasks import OPERATIONS, ModularTask, Operation


def agreements(given: Int[Tensor, " pair"], task: ModularTask) -> dict[Operation, float]:
    """The share of `given`, answers to the task's pairs, that each operation gives too; nothing is a / 0."""
    a, b = torch.from_numpy(task.pairs()).T
    shares: dict[Operation, float] = {}
    for operation in OPERATIONS:
        other = ModularTask(task.p, operation)
        table = torch.full((task.p, task.p), -1)
        table[tuple(torch.from_numpy(other.pairs()).T)] = torch.from_numpy(other.answers())
        shares[operation] = int((table[a, b] == given).sum()) / len(given)
    return shares


@torch.no_grad()
def other_operation(net: Net, task: ModularTask) -> list[str]:
    """A note, if most answers of the net are those of one operation, which is not the task's."""
    shares = agreements(net(torch.from_numpy(task.pairs())).argmax(1), task)
    best = max(shares, key=shares.__getitem__)
    if best == task.operation or shares[best] < 0.5:
        return []
    return [f"{shares[best]:.2%} of the answers are those of --operation {best}"]
