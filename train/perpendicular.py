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
from jaxtyping import Float
from torch import Tensor

from pipeline.recipe_params import PerpendicularParams


class Perpendicular:
    """Has no state. A weight of length 0 (a bias at the start) keeps its gradient: it has no direction."""

    def __init__(self, params: PerpendicularParams) -> None:
        self.params = params

    @torch.no_grad()
    def __call__(self, weights: Sequence[Tensor], gradients: Sequence[Tensor]) -> Float[Tensor, " nets"]:
        """Change the gradients, stacks over nets, in place.

        Returns the share of each net's gradient energy (squared length) that was radial.
        """
        radial = total = weights[0].new_zeros(len(weights[0]))
        for stack, stacked in zip(weights, gradients, strict=True):
            w, g = stack.flatten(1), stacked.view(len(stacked), -1)
            length = torch.linalg.vector_norm(g, dim=1)
            square = w.square().sum(1)
            along = torch.where(square > 0, (w * g).sum(1) / square, 0.0)
            total = total + length.square()
            radial = radial + along.square() * square
            g.sub_(along[:, None] * w)
            if self.params.rescale:
                left = torch.linalg.vector_norm(g, dim=1)
                g.mul_(torch.where(left > 0, length / left, 1.0)[:, None])
        return torch.where(total > 0, radial / total, 0.0)

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        pass
