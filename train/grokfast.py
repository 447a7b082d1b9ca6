"""Grokfast-EMA: amplify the slow part of the gradient.

Lee et al. 2024 (arXiv 2405.20233), algorithm 2: before every update

    mu <- alpha mu + (1 - alpha) g,    g <- g + lamb mu        with mu = g at the first step.

With lamb = 0 the gradient is the plain one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.params import GrokfastParams


class Grokfast:
    """Keeps one running mean for each weight."""

    def __init__(self, params: GrokfastParams) -> None:
        self.params = params
        self.means: list[Tensor] = []

    @torch.no_grad()
    def __call__(self, weights: Sequence[nn.Parameter]) -> float:
        """Change the gradients in place; returns the length of the new gradient in units of the old one's."""
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        before = _length(gradients)
        if not self.means:
            self.means = [gradient.clone() for gradient in gradients]
        for gradient, mean in zip(gradients, self.means, strict=True):
            mean.lerp_(gradient, 1 - self.params.alpha)
            gradient.add_(mean, alpha=self.params.lamb)
        return _length(gradients) / before if before else 1.0

    def state_dict(self) -> dict[str, Any]:
        return {"means": self.means}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        self.means = [mean.to(device) for mean in state["means"]]


def _length(tensors: Sequence[Tensor]) -> float:
    return sum(float(tensor.double().square().sum()) for tensor in tensors) ** 0.5
