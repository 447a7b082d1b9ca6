"""What is added to the cross-entropy."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.recipe_params import NormPenaltyParams


def norm_penalty(residual: Float[Tensor, "batch width"], params: NormPenaltyParams) -> Float[Tensor, ""]:
    """strength * mean_batch (|h| - radius)^2 with h the last hidden activations, before the read-out.

    Radial suppression (arXiv 2606.32000): the net may not lower its loss by growing its activations. The paper's
    radius is sqrt(width), which null stands for; with radius 0 this is strength * mean |h|^2.
    """
    radius = residual.shape[-1] ** 0.5 if params.radius is None else params.radius
    norm = torch.linalg.vector_norm(residual, dim=-1)
    return params.strength * (norm - radius).square().mean()
