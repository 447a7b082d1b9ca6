"""What the weights are held to after every step.

rows: each row longer than max_norm is shortened to it. With Lion it is "Clip to Grok" (Volchkov and Rivlin,
github.com/NiftyliuS/cliptogrok), which clips every row of the hidden matrices to 2.

spectral: singular values greater than max_norm are lowered to it, the nearest such matrix in Frobenius norm. It is
the hard cap of Newhouse, Hess, Cesista et al. 2025 (arXiv 2507.13338), here exact instead of by a polynomial.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pipeline.params import ConstraintParams


@torch.no_grad()
def clip_rows(weight: Float[Tensor, "rows columns"], max_norm: float) -> float:
    """Shorten in place; returns the share of rows that were too long."""
    norms = torch.linalg.vector_norm(weight, dim=1, keepdim=True)
    over = norms > max_norm
    weight.mul_(torch.where(over, max_norm / norms, 1.0))
    return int(over.sum()) / len(weight)


@torch.no_grad()
def cap_spectrum(weight: Float[Tensor, "rows columns"], max_norm: float) -> float:
    """W <- W V min(1, max_norm / s) V^T with W^T W = V s^2 V^T, or the same from the left; returns the share lowered.

    From the eigenvectors of the smaller Gram matrix, which costs a fraction of a singular value decomposition. No
    singular value is greater than the Frobenius norm, so a matrix shorter than max_norm is left without looking.
    """
    if torch.linalg.vector_norm(weight) <= max_norm or not weight.isfinite().all():
        return 0.0
    tall = weight.shape[0] >= weight.shape[1]
    squares, vectors = torch.linalg.eigh(weight.T @ weight if tall else weight @ weight.T)
    values = squares.clamp(min=0).sqrt()
    over = values > max_norm
    if not over.any():
        return 0.0
    # I - V_over (1 - max_norm / s) V_over^T: what is under the cap is not touched by rounding twice.
    chosen = vectors[:, over]
    excess = (chosen * (1 - max_norm / values[over])) @ chosen.T
    weight.sub_(weight @ excess if tall else excess @ weight)
    return int(over.sum()) / len(values)


def constrain(groups: dict[str, list[nn.Parameter]], constraints: tuple[ConstraintParams, ...]) -> float:
    """Carry them out in order; returns the mean share, over all 2-D weights concerned, that was over its norm."""
    shares = [
        (clip_rows if constraint.kind == "rows" else cap_spectrum)(weight, constraint.max_norm)
        for constraint in constraints
        for name in constraint.groups
        for weight in groups[name]
        if weight.ndim == 2
    ]
    return sum(shares) / len(shares) if shares else 0.0
