"""Numbers that are no longer numbers, caught at the step that made them."""

from __future__ import annotations

import math

import torch
from torch import nn

from pipeline.errors import UserError


class Diverged(UserError):
    """Names the step, from 1, and the first learning rate at it."""

    def __init__(self, what: str, step: int, rate: float) -> None:
        super().__init__(f"{what} at step {step} with lr {rate:.4g}; lower the rates")
        self.what, self.step, self.rate = what, step, rate

    def __reduce__(self) -> tuple[type[Diverged], tuple[str, int, float]]:
        """So that it gets out of a process of its own."""
        return type(self), (self.what, self.step, self.rate)


def refuse_divergence(net: nn.Module, loss: float, step: int, rate: float) -> None:
    """Raises Diverged where the loss or any weight is not finite."""
    if not math.isfinite(loss):
        raise Diverged(f"the loss is {loss}", step, rate)
    if not bool(torch.stack([weight.isfinite().all() for weight in net.parameters()]).all()):
        name = next(name for name, weight in net.named_parameters() if not weight.isfinite().all())
        raise Diverged(f"the weights {name} are not finite", step, rate)
