"""Lion: a step of fixed size along the sign of an interpolated momentum.

Chen et al. 2023, "Symbolic discovery of optimization algorithms" (arXiv 2302.06675), program 1:

    c = beta1 m + (1 - beta1) g
    w <- w - lr (sign(c) + weight_decay w)
    m <- beta2 m + (1 - beta2) g          with m = 0 at the start
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer


class Lion(Optimizer):
    """Every weight moves by lr, up or down, beside the decay by the factor 1 - lr * weight_decay."""

    def __init__(
        self, weights: Iterable[nn.Parameter], lr: float, betas: tuple[float, float], weight_decay: float
    ) -> None:
        super().__init__(weights, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> float | None:  # type: ignore[override]
        """One update from the gradients that are there; weights without one stay."""
        for group in self.param_groups:
            lr, (beta1, beta2) = group["lr"], group["betas"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                momentum = state["momentum"]
                direction = torch.lerp(weight.grad, momentum, beta1).sign_()
                weight.mul_(1 - lr * group["weight_decay"]).sub_(direction, alpha=lr)
                momentum.lerp_(weight.grad, 1 - beta2)
