"""The local learning coefficient of a net, estimated by stochastic-gradient Langevin dynamics.

Near a minimum w* of the loss L over n examples the volume of {w : L(w) - L(w*) < e} grows as e^lambda (up to powers of
log e); lambda is d / 2 where the minimum is regular and smaller where it is degenerate (Watanabe 2009). Lau et al. 2023
(arXiv 2308.12108, section 4.2) estimate it as

    lambda_hat = n beta (E[L(w)] - L(w*)),    beta = 1 / log n,

the mean over the density proportional to exp(-n beta L(w) - gamma / 2 |w - w*|^2), from chains that start at w*:

    w <- w - eps / 2 (n beta grad L(w) + gamma (w - w*)) + sqrt(eps) N(0, 1),

with gradient and loss over a batch that is drawn anew for every step. Where w* is no minimum it says nothing, and may
be negative. gamma > 0 confines the chain to a ball of about sqrt(d / gamma), so that estimates of nets with many flat
directions grow as gamma falls: compare them at one gamma only.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from pipeline.nets import Net

Loss = Callable[[Sequence[Tensor], torch.Generator], Tensor]
"""Mean loss of a batch that is drawn with the generator, at these weights."""


@dataclass(frozen=True)
class Sampler:
    """`step` is eps, `pull` gamma; a chain takes `burn_in` steps and then `draws`, each of which is averaged."""

    step: float = 3e-5
    pull: float = 1000.0
    chains: int = 2
    burn_in: int = 80
    draws: int = 40
    batch: int = 128
    seed: int = 0


@dataclass(frozen=True)
class LearningCoefficient:
    """`value` is the mean over the chains, `error` its standard error from their spread; nan for a single chain."""

    value: float
    error: float
    chains: tuple[float, ...]


def learning_coefficient(
    net: Net, pairs: Int[Tensor, "example 2"], labels: Int[Tensor, " example"], sampler: Sampler | None = None
) -> LearningCoefficient:
    """lambda_hat of a net for the cross-entropy over all examples; the net itself stays as it is."""
    sampler = sampler or Sampler()
    walker = copy.deepcopy(net)
    weights = list(walker.parameters())
    n = len(labels)

    def loss(_: Sequence[Tensor], draw: torch.Generator) -> Tensor:
        chosen = torch.randperm(n, generator=draw)[: sampler.batch]
        return torch.nn.functional.cross_entropy(walker(pairs[chosen]).double(), labels[chosen])

    with torch.no_grad():
        still = float(torch.nn.functional.cross_entropy(net(pairs).double(), labels))
    return sampled(loss, weights, still, n, sampler)


def quadratic_coefficient(p: int, width: int) -> float:
    """lambda of a quadratic net of generic weights, for the mean squared error to its own logits on all p^2 pairs.

    Where the Jacobian of the logits in the weights has constant rank r, the loss is a sum of r squares in suitable
    coordinates, and lambda = r / 2. A unit U_c (L_a + R_b)^2 has 3 p weights of which the logits do not see two
    directions: (s L, s R, U / s^2) and (L + t, R - t). The logits are p^3 numbers, and no rank is greater. So

        lambda = min(width (3 p - 2), p^3) / 2

    for units in general position, p > 2; the ranks are checked in the tests.
    """
    return min(width * (3 * p - 2), p**3) / 2


def sampled(loss: Loss, weights: Sequence[Tensor], still: float, n: int, sampler: Sampler) -> LearningCoefficient:
    """lambda_hat for any loss. `weights` begin at w* and are put back at the end; `still` is L(w*)."""
    start = [weight.detach().clone() for weight in weights]
    heat = n / math.log(n)
    try:
        means = [chain(loss, weights, start, heat, sampler, sampler.seed + i) for i in range(sampler.chains)]
    finally:
        put_back(weights, start)
    values = torch.tensor([heat * (mean - still) for mean in means], dtype=torch.float64)
    error = float(values.std() / math.sqrt(len(values))) if len(values) > 1 else float("nan")
    return LearningCoefficient(float(values.mean()), error, tuple(values.tolist()))


def chain(
    loss: Loss, weights: Sequence[Tensor], start: Sequence[Tensor], heat: float, sampler: Sampler, seed: int
) -> float:
    """Mean loss of one chain after its burn-in; the loss of a step is that at which it begins."""
    draw = torch.Generator().manual_seed(seed)
    put_back(weights, start)
    total = 0.0
    for step in range(sampler.burn_in + sampler.draws):
        here = loss(weights, draw)
        if step >= sampler.burn_in:
            total += here.item()
        slopes = torch.autograd.grad(here, weights)
        with torch.no_grad():
            for weight, slope, home in zip(weights, slopes, start, strict=True):
                force = (heat * slope).add_(weight, alpha=sampler.pull).sub_(home, alpha=sampler.pull)
                noise = torch.randn(weight.shape, generator=draw, dtype=weight.dtype)
                weight.add_(force, alpha=-sampler.step / 2).add_(noise, alpha=math.sqrt(sampler.step))
    return total / sampler.draws


@torch.no_grad()
def put_back(weights: Sequence[Tensor], start: Sequence[Tensor]) -> None:
    for weight, home in zip(weights, start, strict=True):
        weight.copy_(home)
