"""The nuclear norm of weight matrices: the convex measure of rank (Fazel 2002), which knows of no basis.

|W|_* = sum_i s_i(W) = <W, U V^T> for W = U diag(s) V^T, and U V^T is its gradient where W has full rank. In a null
direction of W the subgradient taken is 0.
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
    """U V^T of each matrix, without its null directions.

    From the eigenvectors of the smaller Gram matrix, which costs a fraction of a singular value decomposition.
    """
    wide = stack.double()
    tall = stack.shape[1] >= stack.shape[2]
    gram = wide.mT @ wide if tall else wide @ wide.mT
    squares, vectors = torch.linalg.eigh(torch.nan_to_num(gram))  # a net that has diverged must not stop the others
    floor = NULL**2 * squares.amax(1, keepdim=True).clamp(min=1e-300)
    inverse = torch.where(squares > floor, squares.clamp(min=1e-300).rsqrt(), 0.0)
    root = (vectors * inverse[:, None]) @ vectors.mT
    return (wide @ root if tall else root @ wide).to(stack.dtype)
