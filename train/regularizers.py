"""What is added to the cross-entropy."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.params import NormPenaltyParams


def norm_penalty(residual: Float[Tensor, "batch d_model"], params: NormPenaltyParams) -> Float[Tensor, ""]:
    """strength * mean_batch (|h| - radius)^2 with h the residual stream before the read-out.

    Radial suppression (arXiv 2606.32000): the net may not lower its loss by growing its activations.
    """
    norm = torch.linalg.vector_norm(residual, dim=-1)
    return params.strength * (norm - params.radius).square().mean()
