"""How sharp a minimum is: the top eigenvalue of a Hessian by Lanczos, and the loss's rise under relative noise.

Products with the Hessian are second backward passes (Pearlmutter 1994); the Lanczos vectors are orthogonalised against
all before them, so that no eigenvalue appears twice. A Hessian in the weights changes when a weight is scaled up and
the next one down, which leaves the net what it was. In relative coordinates it does not: each tensor is measured in
units of its own RMS (`scales`), so that the matrix is D H D with D the diagonal of those, and noise of size s adds
s * RMS * N(0, 1) to every weight.

Logits that are scaled up change both as well. `inverse_temperature` finds the scale at which two nets have the same
cross-entropy, where they may be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

Product = Callable[[Float[Tensor, " n"]], Float[Tensor, " n"]]


@dataclass(frozen=True)
class TopEigenvalue:
    """`error` bounds the distance to the nearest true eigenvalue: the length of the residual of the Ritz vector."""

    value: float
    error: float
    steps: int


def relative_scales(weights: Sequence[Tensor]) -> list[float]:
    """The RMS of each tensor."""
    return [weight.detach().square().mean().sqrt().item() for weight in weights]


def hessian_product(loss: Tensor, weights: Sequence[Tensor], scales: Sequence[float] | None = None) -> Product:
    """v -> H v, or D H D v with the `scales` of the tensors on the diagonal of D; v holds them in their order."""
    scales = scales or [1.0] * len(weights)
    gradients = torch.autograd.grad(loss, weights, create_graph=True)
    sizes = [weight.numel() for weight in weights]

    def product(v: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        parts = [
            scale * part.view_as(weight).to(weight.dtype)
            for scale, part, weight in zip(scales, v.split(sizes), weights, strict=True)
        ]
        # materialize_grads: a weight that the gradient does not depend on has a row of zeros
        rows = torch.autograd.grad(gradients, weights, parts, retain_graph=True, materialize_grads=True)
        return torch.cat([scale * row.flatten().to(v.dtype) for scale, row in zip(scales, rows, strict=True)])

    return product


def top_eigenvalue(product: Product, size: int, steps: int, tolerance: float, seed: int = 0) -> TopEigenvalue:
    """The greatest eigenvalue of a symmetric matrix, by Lanczos from a random vector.

    Ends after `steps` products, or once the error is at most `tolerance` times the value.
    """
    q = torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    basis = (q / q.norm()).unsqueeze(0)
    diagonal: list[Tensor] = []
    off: list[Tensor] = []
    while True:
        w = product(basis[-1])
        diagonal.append(basis[-1] @ w)
        for _ in range(2):  # once leaves rounding errors that grow
            w = w - basis.T @ (basis @ w)
        off.append(w.norm())
        beside = torch.stack(off[:-1]) if off[1:] else torch.zeros(0, dtype=torch.float64)
        values, vectors = torch.linalg.eigh(
            torch.diag(torch.stack(diagonal)) + torch.diag(beside, 1) + torch.diag(beside, -1)
        )
        top, error = values[-1].item(), (off[-1] * vectors[-1, -1]).abs().item()
        if len(diagonal) == min(steps, size) or error <= tolerance * abs(top):
            return TopEigenvalue(top, error, len(diagonal))
        basis = torch.cat([basis, (w / off[-1]).unsqueeze(0)])


@torch.no_grad()
def noise_rise(loss: Callable[[], Tensor], weights: Sequence[Tensor], size: float, draws: int, seed: int = 0) -> float:
    """Mean rise of the loss under noise of `size` times each tensor's RMS, over `draws` vectors and their negatives.

    With both signs the slope cancels, and what is left is curvature: size^2 / 2 times the trace of D H D where the
    noise is small. The weights are as they were afterwards, bit for bit.
    """
    generator = torch.Generator().manual_seed(seed)
    scales, kept = relative_scales(weights), [weight.detach().clone() for weight in weights]
    still, total = loss().item(), 0.0
    for _ in range(draws):
        noise = [size * s * torch.randn(w.shape, generator=generator) for s, w in zip(scales, weights, strict=True)]
        for sign in (1, -1):
            for weight, start, part in zip(weights, kept, noise, strict=True):
                weight.copy_(start + sign * part)
            total += loss().item() - still
    for weight, start in zip(weights, kept, strict=True):
        weight.copy_(start)
    return total / (2 * draws)


@torch.no_grad()
def inverse_temperature(
    logits: Float[Tensor, "n answers"], answers: Int[Tensor, " n"], level: float, greatest: float = 1e4
) -> float | None:
    """The least b > 0 at which the cross-entropy of b * logits is `level` nats; None where there is none to `greatest`.

    The cross-entropy is convex in b, so that below its minimum there is one such b at most.
    """
    logits = logits.double()
    if level >= F.cross_entropy(0 * logits, answers).item():
        return None
    low = high = 2.0**-20
    before = F.cross_entropy(low * logits, answers).item()
    while (now := F.cross_entropy(high * logits, answers).item()) > level:
        if now > before or high > greatest:
            return None
        low, high, before = high, high * 1.25, now
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if F.cross_entropy(middle * logits, answers) > level else (low, middle)
    return (low + high) / 2
