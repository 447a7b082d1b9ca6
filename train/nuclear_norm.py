"""The nuclear norm of weight matrices: the convex measure of rank (Fazel 2002), which knows of no basis.

|W|_* = sum_i s_i(W) = <W, U V^T> for W = U diag(s) V^T, and U V^T is its gradient where W has full rank. In a null
direction of W the subgradient taken is 0. A direction that has become next to nothing is set to 0 after the update: an
optimiser that works number by number would stir it up again and again.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

NULL = 1e-6
"""Singular values below this share of the greatest are none: what the eigenvalues of a float64 Gram matrix tell."""


def nuclear_norm(
    matrices: Sequence[Float[Tensor, "nets rows columns"]],
    factors: Sequence[Float[Tensor, "nets rows columns"]] | None = None,
) -> Float[Tensor, " nets"]:
    """Sum over the matrices of each net, one at least, differentiable. `factors` are theirs where they are known."""
    factors = [polar_factor(stack.detach()) for stack in matrices] if factors is None else factors
    return torch.stack([(w * uv).sum((1, 2)) for w, uv in zip(matrices, factors, strict=True)]).sum(0)


@torch.no_grad()
def polar_factor(stack: Float[Tensor, "nets rows columns"]) -> Float[Tensor, "nets rows columns"]:
    """U V^T of each matrix, without its null directions."""
    squares, vectors, wide, tall = _eigen(stack)
    return _polar(squares, vectors, wide, tall, squares > NULL**2 * squares.amax(1, keepdim=True)).to(stack.dtype)


@torch.no_grad()
def drop_directions(
    stack: Float[Tensor, "nets rows columns"], dead: float
) -> tuple[Float[Tensor, " nets"], Float[Tensor, "nets rows columns"]]:
    """Set singular values of at most `dead` (or `NULL`) times the greatest to 0, in place; not of what is not finite.

    Returns how many are left, which the weights then have as their rank up to the rounding of float32, and the polar
    factor of what is left, which comes from the same decomposition.
    """
    squares, vectors, wide, tall = _eigen(stack)
    live = squares > max(dead, NULL) ** 2 * squares.amax(1, keepdim=True)
    kept = (vectors * live[:, None]) @ vectors.mT
    finite = stack.isfinite().flatten(1).all(1)[:, None, None]
    stack.copy_(torch.where(finite, wide @ kept if tall else kept @ wide, stack.double()))
    return live.sum(1).float(), _polar(squares, vectors, wide, tall, live).to(stack.dtype)


def _polar(squares: Tensor, vectors: Tensor, wide: Tensor, tall: bool, live: Bool[Tensor, "nets value"]) -> Tensor:
    inverse = torch.where(live, squares.clamp(min=1e-300).rsqrt(), 0.0)
    root = (vectors * inverse[:, None]) @ vectors.mT
    return wide @ root if tall else root @ wide


def _eigen(stack: Float[Tensor, "nets rows columns"]) -> tuple[Tensor, Tensor, Tensor, bool]:
    """Eigenvalues and vectors of the smaller Gram matrix in float64, the stack in float64, and whether it is tall.

    That costs a fraction of a singular value decomposition.
    """
    wide = torch.nan_to_num(stack.double(), posinf=0.0, neginf=0.0)  # a net that has diverged must not stop the others
    tall = stack.shape[1] >= stack.shape[2]
    squares, vectors = torch.linalg.eigh(wide.mT @ wide if tall else wide @ wide.mT)
    return squares, vectors, wide, tall
