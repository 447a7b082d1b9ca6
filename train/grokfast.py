"""Grokfast-EMA: amplify the slow part of the gradient.

Lee et al. 2024 (arXiv 2405.20233), algorithm 2: before every update

    mu <- alpha mu + (1 - alpha) g,    g <- g + lamb mu        with mu = g at the first step.

With lamb = 0 the gradient is the plain one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.recipe_params import GrokfastParams


class Grokfast:
    """Keeps one running mean for each weight."""

    def __init__(self, params: GrokfastParams) -> None:
        self.params = params
        self.means: list[Tensor] = []

    @torch.no_grad()
    def __call__(self, weights: Sequence[Tensor], gradients: Sequence[Tensor]) -> Float[Tensor, " nets"]:
        """Change the gradients, stacks over nets, in place.

        Returns the length of each net's new gradient in units of the old one's.
        """
        before = _lengths(gradients)
        if not self.means:
            self.means = [gradient.clone() for gradient in gradients]
        for gradient, mean in zip(gradients, self.means, strict=True):
            mean.lerp_(gradient, 1 - self.params.alpha)
            gradient.add_(mean, alpha=self.params.lamb)
        return torch.where(before > 0, _lengths(gradients) / before, 1.0)

    def state_dict(self) -> dict[str, Any]:
        return {"means": self.means}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        self.means = [mean.to(device) for mean in state["means"]]


def _lengths(stacks: Sequence[Tensor]) -> Float[Tensor, " nets"]:
    return torch.stack([stack.flatten(1).square().sum(1, dtype=torch.float64) for stack in stacks]).sum(0).sqrt()
