"""The nuclear norm of weight matrices: the convex measure of rank (Fazel 2002), which knows of no basis.

|W|_* = sum_i s_i(W) = <W, U V^T> for W = U diag(s) V^T, and U V^T is its gradient where W has full rank. In a null
direction of W the subgradient taken is 0. A direction that has become next to nothing is set to 0 after the update: an
optimiser that works number by number would stir it up again and again.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

NULL = 1e-6
"""Singular values below this share of the greatest are none: what the eigenvalues of a float64 Gram matrix tell."""


def nuclear_norm(stacks: Sequence[Float[Tensor, "nets rows columns"]]) -> Float[Tensor, " nets"]:
    """Sum over the matrices of each net, differentiable. Stacks of vectors, [nets, n], do not count."""
    matrices = [stack for stack in stacks if stack.ndim == 3]
    norms = [(stack * polar_factor(stack.detach())).sum((1, 2)) for stack in matrices]
    return torch.stack(norms).sum(0) if norms else stacks[0].new_zeros(len(stacks[0]))


@torch.no_grad()
def polar_factor(stack: Float[Tensor, "nets rows columns"]) -> Float[Tensor, "nets rows columns"]:
    """U V^T of each matrix, without its null directions."""
    squares, vectors, wide, tall = _eigen(stack)
    floor = NULL**2 * squares.amax(1, keepdim=True).clamp(min=1e-300)
    inverse = torch.where(squares > floor, squares.clamp(min=1e-300).rsqrt(), 0.0)
    root = (vectors * inverse[:, None]) @ vectors.mT
    return (wide @ root if tall else root @ wide).to(stack.dtype)


@torch.no_grad()
def drop_directions(stack: Float[Tensor, "nets rows columns"], dead: float) -> Float[Tensor, " nets"]:
    """Set singular values of at most `dead` times the greatest to 0, in place, and return how many are left.

    The weights then have that rank up to the rounding of float32.
    """
    squares, vectors, wide, tall = _eigen(stack)
    live = squares > dead**2 * squares.amax(1, keepdim=True)
    kept = (vectors * live[:, None]) @ vectors.mT
    stack.copy_(wide @ kept if tall else kept @ wide)
    return live.sum(1).float()


def _eigen(stack: Float[Tensor, "nets rows columns"]) -> tuple[Tensor, Tensor, Tensor, bool]:
    """Eigenvalues and vectors of the smaller Gram matrix in float64, the stack in float64, and whether it is tall.

    That costs a fraction of a singular value decomposition.
    """
    wide = torch.nan_to_num(stack.double())  # a net that has diverged must not stop the others
    tall = stack.shape[1] >= stack.shape[2]
    squares, vectors = torch.linalg.eigh(wide.mT @ wide if tall else wide @ wide.mT)
    return squares, vectors, wide, tall
