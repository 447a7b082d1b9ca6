"""Clock or pizza: the measures of Zhong, Liu, Tegmark and Andreas 2023 (arXiv 2306.17844).

Every one is taken in the basis of the operation (see `bases`), and, but for the gradients, over all n^2 pairs;
w_k = 2 pi k / n. Q[x, y, z] are the logits, so that Q[x, y, x + y] is the correct one. All measures are pure numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.first_layer import embedding_gradients, embeddings, logits_with_embeddings
from interp.formulas import Shares, circle_fit, profile, shares
from interp.view import View, in_basis
from pipeline.nets import DeepTransformer

COMPONENTS = 4
CIRCLES = 4
PAIRS = 2048
CIRCLE_POWER = 0.02
MOST = 0.9
NEGLIGIBLE = 1e-6


@dataclass(frozen=True)
class Circle:
    """The net with one circle of its embeddings alone: what each of `formulas` explains of its logits, -1 to 1."""

    frequency: int
    power: float  # share of the embeddings' variance
    clock: float
    pizza: float
    accompanying: float


@dataclass(frozen=True)
class ClockPizza:
    """All measures of one net. `circles`: the strongest. `shares`: what formulas explain of the whole net."""

    gradient_symmetricity: float
    distance_irrelevance: float
    runner_up_irrelevance: float
    circularity: float
    circle_count: int
    circles: tuple[Circle, ...]
    shares: Shares

    def explained(self, formula: str) -> float:
        """Mean explained variance of a formula, weighted by power, over the circles that do not accompany others."""
        main = [c for c in self.circles if c.accompanying < max(c.clock, c.pizza)] or list(self.circles)
        total = sum(c.power for c in main)
        return sum(c.power * getattr(c, formula) for c in main) / total if total else float("nan")


def measure_clock_pizza(seen: View) -> ClockPizza:
    """Everything; a backward pass and a forward pass for every circle."""
    return ClockPizza(
        gradient_symmetricity=gradient_symmetricity(seen),
        distance_irrelevance=distance_irrelevance(correct_logits(seen)),
        runner_up_irrelevance=distance_irrelevance(runner_up_logits(seen)),
        circularity=circularity(seen.left),
        circle_count=circle_count(embedding_power(seen)),
        circles=tuple(circle(seen, k, power) for k, power in main_frequencies(seen)),
        shares=shares(profile(seen.logits)),
    )


def gradient_symmetricity(seen: View, triples: Int[Tensor, "triple 3"] | None = None) -> float:
    """Mean cosine between dQ[x, y, z] / dE_x and dQ[x, y, z] / dE_y (section 4.1): 1 where Q depends on E_x + E_y only.

    A clock with one circle has cos(w (x - y)), 0 on average. `triples` are rows (x, y, z); without them they are drawn
    with a fixed seed, `PAIRS` different pairs, or all. For an operation other than a + b or a * b the gradient of b is
    that of another symbol's name, and for an MLP with a table of its own for each side the two gradients do not live in
    one space: in both cases G[u] = gradient . (E_u - mean E), one number for every name u, stands in for the gradient.
    Triples on which a gradient is 0 have no cosine and are left out; nan where none is left.
    """
    if triples is None:
        draw = torch.Generator().manual_seed(0)
        chosen = torch.randperm(seen.n**2, generator=draw)[:PAIRS]
        z = torch.randint(0, seen.n, chosen.shape, generator=draw)
    else:
        chosen, z = triples[:, 0] * seen.n + triples[:, 1], triples[:, 2]
    pairs = seen.pairs[chosen]
    outputs = torch.from_numpy(seen.basis.answer)[z]
    of_left, of_right = (slope.double() for slope in embedding_gradients(seen.net, pairs, outputs))
    one_stream = isinstance(seen.net, DeepTransformer) and np.array_equal(seen.basis.left, seen.basis.right)
    if not one_stream and not (seen.left.shape == seen.right.shape and torch.equal(seen.left, seen.right)):
        of_left = of_left @ (seen.left - seen.left.mean(0)).T
        of_right = of_right @ (seen.right - seen.right.mean(0)).T
    there = (of_left.norm(dim=1) > 0) & (of_right.norm(dim=1) > 0)
    if not bool(there.any()):
        return float("nan")
    return float(torch.nn.functional.cosine_similarity(of_left[there], of_right[there], dim=1, eps=0).mean())


def correct_logits(seen: View) -> Float[Tensor, "n n"]:
    """Q[x, y, x + y]."""
    return seen.logits.gather(2, seen.answers[..., None])[..., 0]


def runner_up_logits(seen: View) -> Float[Tensor, "n n"]:
    """The greatest logit of each pair beside the correct one."""
    return seen.logits.scatter(2, seen.answers[..., None], -torch.inf).amax(2)


def distance_irrelevance(logits: Float[Tensor, "n n"]) -> float:
    """mean_d std{L[x, y] : x - y = d} / std L for one logit a pair (section 4.2); the deviations divide by the count.

    0 where it depends on the difference only, 1 where the difference says nothing about it: also where it is the same
    everywhere, as in a perfect clock. The paper and its notebook take the correct logit; the authors' tables of runs
    hold that of the runner-up.
    """
    n, spread = len(logits), logits.std(correction=0)
    if spread <= NEGLIGIBLE * logits.abs().mean():
        return 1.0
    i = torch.arange(n)
    return float(logits[(i[:, None] + i) % n, i].std(1, correction=0).mean() / spread)


def circularity(table: Float[Tensor, "n d_embed"]) -> float:
    """Mean over the first four principal components v of the embeddings of max_k 2 / n |sum_x v_x e^(i w_k x)|^2.

    v has length 1 (appendix of the paper): 1 where every component is one wave. Components without variance are left
    out. Circles of equal size are a defect of it: their components are mixtures, and it falls to 1 / 2 and below.
    """
    n = len(table)
    vectors, sizes, _ = torch.linalg.svd(table.double() - table.double().mean(0), full_matrices=False)
    kept = vectors[:, :COMPONENTS][:, sizes[:COMPONENTS] > NEGLIGIBLE * sizes[0].clamp_min(1e-300)]
    if not kept.shape[1]:
        return 0.0
    power = torch.fft.rfft(kept, dim=0)[1:].abs().square() * 2 / n
    return float(power.max(0).values.clamp_max(1).mean())


def circle_power(table: Float[Tensor, "n d_embed"]) -> Float[Tensor, " frequency"]:
    """Share of the rows' variance at k = 1 .. floor(n / 2)."""
    n = len(table)
    power = torch.fft.rfft(table.double(), dim=0)[1:].abs().square().sum(1) * 2
    if n % 2 == 0:
        power[-1] /= 2
    return power / power.sum().clamp_min(1e-300)


def embedding_power(seen: View) -> Float[Tensor, " frequency"]:
    """The mean of both sides' `circle_power`."""
    return (circle_power(seen.left) + circle_power(seen.right)) / 2


def circle_count(power: Float[Tensor, " frequency"]) -> int:
    """How many frequencies carry `MOST` of the power, the strongest first.

    Unlike the circularity it does not suffer where circles of equal size share principal components.
    """
    return int((power.sort(descending=True).values.cumsum(0) < MOST).sum()) + 1


def main_frequencies(seen: View) -> list[tuple[int, float]]:
    """The strongest frequencies of the embeddings, at most `CIRCLES`, with their share of the variance."""
    power = embedding_power(seen)
    order = torch.argsort(power, descending=True, stable=True)[:CIRCLES]
    return [(int(k) + 1, float(power[k])) for k in order if power[k] >= CIRCLE_POWER]


def circle(seen: View, frequency: int, power: float) -> Circle:
    """The fits of the net whose embeddings keep their mean and one frequency only ("circle isolation", section 4)."""
    left, right = (
        keep_frequency(table, torch.from_numpy(names), frequency)
        for table, names in zip(embeddings(seen.net), (seen.basis.left, seen.basis.right), strict=True)
    )
    logits = in_basis(logits_with_embeddings(seen.net, seen.pairs, left, right), seen.basis)
    return Circle(frequency, power, *circle_fit(profile(logits), frequency))


def keep_frequency(
    table: Float[Tensor, "symbol d_embed"], names: Int[Tensor, " n"], frequency: int
) -> Float[Tensor, "symbol d_embed"]:
    """The table with the rows `names` put at their mean plus their waves of one frequency."""
    spectrum = torch.fft.rfft(table[names].double(), dim=0)
    kept = torch.zeros_like(spectrum)
    kept[[0, frequency]] = spectrum[[0, frequency]]
    changed = table.clone()
    changed[names] = torch.fft.irfft(kept, n=len(names), dim=0).to(table.dtype)
    return changed
