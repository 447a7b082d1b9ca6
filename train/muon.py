"""Muon, for one matrix at a time or for stacks of matrices, one of each net side by side: [nets, rows, columns].

Jordan et al. 2024 (kellerjordan.github.io/posts/muon). With M the running mean of the gradients (momentum mu),
U = G + mu (M - G) under Nesterov, else M,

    W <- (1 - lr weight_decay) W - lr sqrt(max(1, rows / columns)) NS(U)

and NS five steps of X <- a X + b (X X^T) X + c (X X^T)^2 X from U / |U|, which draw the singular values to about 1.

torch.optim.Muon is the same with NS in bfloat16, whose kernel, and so whose sums, each processor chooses for itself.
Here NS is in float32: `python -m benchmarks.speed` has what that costs.
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
    """NS of each matrix."""
    a, b, c = COEFFICIENTS
    tall = stack.shape[1] > stack.shape[2]
    x = stack.mT if tall else stack
    x = x / torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True).clamp(min=EPSILON)
    for _ in range(STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


class Muon(Optimizer):
    """Its state is the running mean of each weight, a matrix or a stack of matrices."""

    def __init__(
        self, weights: Iterable[nn.Parameter], lr: float, weight_decay: float, momentum: float, nesterov: bool
    ) -> None:
        super().__init__(weights, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov})

    @torch.no_grad()
    def step(self, closure: Any = None) -> float | None:  # type: ignore[override]
        """One update from the gradients that are there; weights without one stay."""
        for group in self.param_groups:
            lr, momentum = group["lr"], group["momentum"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["mean"] = torch.zeros_like(weight)
                mean = state["mean"].lerp_(weight.grad, 1 - momentum)
                update = weight.grad.lerp(mean, momentum) if group["nesterov"] else mean
                rows, columns = weight.shape[-2:]
                update = orthogonalise(update.view(-1, rows, columns)).view_as(weight)
                weight.mul_(1 - lr * group["weight_decay"])
                weight.add_(update, alpha=-lr * max(1, rows / columns) ** 0.5)
