"""What the weights are held to after every step, each function on a stack of one matrix of several nets.

rows: each row longer than max_norm is shortened to it. With Lion it is "Clip to Grok" (Volchkov and Rivlin,
github.com/NiftyliuS/cliptogrok), which clips every row of the hidden matrices to 2.

spectral: singular values greater than max_norm are lowered to it, the nearest such matrix in Frobenius norm. It is
the hard cap of Newhouse, Hess, Cesista et al. 2025 (arXiv 2507.13338), here exact instead of by a polynomial.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.recipe_params import ConstraintParams


@torch.no_grad()
def clip_rows(stack: Float[Tensor, "nets rows columns"], max_norm: float) -> Float[Tensor, " nets"]:
    """Shorten in place; returns the share of each net's rows that were too long."""
    norms = torch.linalg.vector_norm(stack, dim=2, keepdim=True)
    over = norms > max_norm
    stack.mul_(torch.where(over, max_norm / norms, 1.0))
    return over.float().mean(dim=(1, 2))


@torch.no_grad()
def cap_spectrum(stack: Float[Tensor, "nets rows columns"], max_norm: float) -> Float[Tensor, " nets"]:
    """W <- W V min(1, max_norm / s) V^T with W^T W = V s^2 V^T, or the same from the left; returns the share lowered.

    From the eigenvectors of the smaller Gram matrix, which costs a fraction of a singular value decomposition. No
    singular value is greater than the Frobenius norm, so a stack shorter than max_norm is left without looking.
    """
    if bool((torch.linalg.matrix_norm(stack) <= max_norm).all()):
        return stack.new_zeros(len(stack))
    tall = stack.shape[1] >= stack.shape[2]
    gram = stack.mT @ stack if tall else stack @ stack.mT
    squares, vectors = torch.linalg.eigh(torch.nan_to_num(gram))  # a net that has diverged must not stop the others
    values = squares.clamp(min=0).sqrt()
    over = values > max_norm
    # W - W V (1 - max_norm / s) V^T over what is too long alone: the rest is not touched by rounding.
    excess = (vectors * torch.where(over, 1 - max_norm / values, 0.0)[:, None]) @ vectors.mT
    stack.sub_(stack @ excess if tall else excess @ stack)
    return over.float().mean(dim=1)


def constrain(
    groups: Mapping[str, Sequence[Tensor]], constraints: Sequence[ConstraintParams]
) -> Float[Tensor, " nets"]:
    """Carry them out in order; returns the mean share, over all matrices concerned, that was over its norm."""
    shares = [
        (clip_rows if constraint.kind == "rows" else cap_spectrum)(stack, constraint.max_norm)
        for constraint in constraints
        for name in constraint.groups
        for stack in groups[name]
        if stack.ndim == 3
    ]
    nets = len(next(stack for stacks in groups.values() for stack in stacks))
    return torch.stack(shares).mean(0) if shares else torch.zeros(nets)
