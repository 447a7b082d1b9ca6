"""Perpendicular gradients: no step along the weights, which only scales the logits.

Prieto et al. 2025, "Grokking at the edge of numerical stability" (arXiv 2501.04697), section 5: once the training
pairs fit, most of the gradient points along the weights (naive loss minimisation). It is taken out, tensor by tensor:

    g <- g - (w . g / w . w) w

With `rescale`, as in the authors' code, what is left gets the length of the whole again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from pipeline.params import PerpendicularParams


class Perpendicular:
    """Has no state. A weight of length 0 (a bias at the start) keeps its gradient: it has no direction."""

    def __init__(self, params: PerpendicularParams) -> None:
        self.params = params

    @torch.no_grad()
    def __call__(self, weights: Sequence[nn.Parameter]) -> float:
        """Change the gradients in place; returns the share of their energy (squared length) that was radial."""
        radial = total = 0.0
        for weight in weights:
            gradient = weight.grad
            if gradient is None:
                continue
            length = torch.linalg.vector_norm(gradient)
            square = weight.square().sum()
            total += float(length) ** 2
            if not square:
                continue
            along = (weight * gradient).sum() / square
            radial += float(along.square() * square)
            gradient.sub_(along * weight)
            if self.params.rescale:
                left = torch.linalg.vector_norm(gradient)
                gradient.mul_(length / left if left else 1.0)
        return radial / total if total else 0.0

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        pass
