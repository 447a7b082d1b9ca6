"""Along and across: what a gradient does to the length of a vector, and what a penalty on lengths does to a matrix.

For h = W x with second moment S = E x x^T, mean |h|^2 = tr(W S W^T): its gradient 2 W S shrinks W v_k, for an
eigenvector v_k of S, at a rate proportional to its eigenvalue. Weight decay, whose gradient is W itself, shrinks all at
the same rate (Tiwari, Chauhan and Singh 2026, arXiv 2606.32000, first proposition).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pipeline.nets import Net

NULL = 1e-6
"""Directions whose second moment is below this share of the greatest are left out: the inputs do not have them."""


def radial_share(gradients: Sequence[Tensor], vectors: Sequence[Tensor]) -> float:
    """sum (g . v)^2 / |v|^2 over sum |g|^2, over pairs of tensors; nothing is along a zero vector."""
    along = total = 0.0
    for g, v in zip(gradients, vectors, strict=True):
        square = v.double().square().sum()
        along += float((g.double() * v.double()).sum().square() / square) if square else 0.0
        total += float(g.double().square().sum())
    return along / total if total else 0.0


def radial_share_of_rows(gradients: Float[Tensor, "n width"], rows: Float[Tensor, "n width"]) -> float:
    """`radial_share` with each row a vector of its own. An isotropic random gradient has 1 / width."""
    g, h = gradients.double(), rows.double()
    along = (g * h).sum(1).square() / h.square().sum(1).clamp_min(1e-300)
    return float(along.sum() / g.square().sum())


def last_hidden(net: Net) -> nn.Linear:
    """The last linear map before the read-out."""
    return [module for module in net.modules() if isinstance(module, nn.Linear) and module is not net.readout][-1]


def input_alignment(weight: Float[Tensor, "out width"], inputs: Float[Tensor, "n width"]) -> float:
    """tr(W S W^T) / (|W|^2 tr(S) / width): the energy that W makes of its inputs, over that of a W without direction.

    It is 1 for a random W, more where W looks along the inputs' strong directions, and no scaling of W changes it.
    """
    outputs = inputs.double() @ weight.double().T
    isotropic = weight.double().square().sum() * inputs.double().square().sum() / inputs.shape[1]
    return float(outputs.square().sum() / isotropic)


def rate_rank_correlation(
    gradient: Float[Tensor, "out width"], weight: Float[Tensor, "out width"], inputs: Float[Tensor, "n width"]
) -> float | None:
    """Spearman's correlation, over the eigenvectors v_k of S, of the eigenvalue with the rate of decay of |W v_k|.

    The rate, under descent on `gradient` G, is (G v_k . W v_k) / |W v_k|^2: 1 for all k for weight decay.
    None where the inputs have fewer than three directions.
    """
    x, w, g = inputs.double(), weight.double(), gradient.double()
    values, vectors = torch.linalg.eigh(x.T @ x / len(x))
    some = values > NULL * values[-1]
    if int(some.sum()) < 3:
        return None
    values, wv, gv = values[some], w @ vectors[:, some], g @ vectors[:, some]
    return _correlation(_ranks(values), _ranks((gv * wv).sum(0) / wv.square().sum(0)))


def _ranks(x: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    return x.argsort().argsort().double()


def _correlation(x: Float[Tensor, " n"], y: Float[Tensor, " n"]) -> float:
    return float(torch.corrcoef(torch.stack([x, y]))[0, 1])
