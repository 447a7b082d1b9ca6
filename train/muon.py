"""torch.optim.Muon for stacks of matrices: one matrix of each net side by side, [nets, rows, columns].

Jordan et al. 2024 (kellerjordan.github.io/posts/muon). The numbers are those of torch.optim.Muon, which takes one
matrix at a time: with M the running mean of the gradients (momentum mu), U = G + mu (M - G) under Nesterov, else M,

    W <- (1 - lr weight_decay) W - lr sqrt(max(1, rows / columns)) NS(U)

and NS five steps of X <- a X + b (X X^T) X + c (X X^T)^2 X in bfloat16 from U / |U|, which draw the singular
values to about 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Optimizer

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
STEPS = 5
EPSILON = 1e-7


def orthogonalise(stack: Float[Tensor, "nets rows columns"]) -> Float[Tensor, "nets rows columns"]:
    """NS of each matrix, in bfloat16."""
    a, b, c = COEFFICIENTS
    tall = stack.shape[1] > stack.shape[2]
    x = stack.bfloat16()
    x = x.mT if tall else x
    x = x / torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True).clamp(min=EPSILON)
    for _ in range(STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


class StackedMuon(Optimizer):
    """Its state is the running mean of each stack."""

    def __init__(
        self, stacks: Iterable[nn.Parameter], lr: float, weight_decay: float, momentum: float, nesterov: bool
    ) -> None:
        super().__init__(stacks, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov})

    @torch.no_grad()
    def step(self, closure: Any = None) -> float | None:  # type: ignore[override]
        """One update from the gradients that are there; stacks without one stay."""
        for group in self.param_groups:
            lr, momentum = group["lr"], group["momentum"]
            for stack in group["params"]:
                if stack.grad is None:
                    continue
                state = self.state[stack]
                if not state:
                    state["mean"] = torch.zeros_like(stack)
                mean = state["mean"].lerp_(stack.grad, 1 - momentum)
                update = orthogonalise(stack.grad.lerp(mean, momentum) if group["nesterov"] else mean)
                stack.mul_(1 - lr * group["weight_decay"])
                stack.add_(update, alpha=-lr * max(1, stack.shape[1] / stack.shape[2]) ** 0.5)
