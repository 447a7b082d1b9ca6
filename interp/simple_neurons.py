"""Simple neurons and the frequencies they use (McCracken et al. 2025, "approximate Chinese remainder theorem").

A neuron of the first layer is simple where its preactivation is one wave in a plus one wave in b of the same frequency,

    c + A cos(w_k x + f) + B cos(w_k y + g),

x and y the names of a and b in Z_n (see `bases`), w_k = 2 pi k / n. R^2 is the share of the preactivation's variance
over the n^2 pairs that the best such k explains. The claim is that nets that add, clocks and pizzas alike, are made of
simple neurons with few frequencies, of the order of log n of them. Whether few frequencies carry the answers is asked
of the embeddings, in `circle_scrubbing`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.view import View

SIMPLE = 0.95
LIVE = 1e-6
NULL_NEURONS = 128


@dataclass(frozen=True)
class SimpleNeurons:
    """`share`: of the live neurons, those with R^2 of .95 or more. `frequencies`: those that simple neurons have.

    `fit` and `null_fit`: share of the variance of all live neurons together that their best waves explain, and that
    after the names of the symbols are mixed up, which is what choosing the best frequency finds where there is none.
    """

    share: float
    fit: float
    null_fit: float
    frequencies: tuple[int, ...]

    @property
    def excess(self) -> float:
        """(fit - null_fit) / (1 - null_fit): 0 where there are no waves, 1 where there is nothing else."""
        return (self.fit - self.null_fit) / max(1 - self.null_fit, 1e-9)


@dataclass(frozen=True)
class Fit:
    """The best single-frequency fit of every neuron."""

    r2: Float[Tensor, " d_first"]
    variance: Float[Tensor, " d_first"]
    frequency: Int[Tensor, " d_first"]
    live: Bool[Tensor, " d_first"]

    @property
    def together(self) -> float:
        """R^2 of all live neurons at once."""
        variance = self.variance[self.live]
        return float((self.r2[self.live] * variance).sum() / variance.sum())


def fit_neurons(first: Float[Tensor, "pair d_first"], n: int) -> Fit:
    """The fits of all neurons. A neuron with under a millionth of the liveliest one's variance is dead."""
    grid = first.reshape(n, n, -1)
    mean = grid.mean((0, 1))
    waves = torch.stack([torch.fft.rfft(grid.mean(1) - mean, dim=0), torch.fft.rfft(grid.mean(0) - mean, dim=0)])
    weight = torch.full((n // 2,), 2 / n, dtype=torch.float64)
    if n % 2 == 0:
        weight[-1] /= 2
    power = waves[:, 1:].abs().square().sum(0) * weight[:, None]  # summed over one axis; the other repeats it n times
    variance = (grid - mean).square().sum((0, 1)) / n
    live = variance > LIVE * variance.max().clamp_min(1e-300)
    return Fit(power.max(0).values / variance.clamp_min(1e-300), variance, power.argmax(0) + 1, live)


def measure_simple_neurons(seen: View, seed: int = 0) -> SimpleNeurons:
    """The fits of a net's first neurons, as they are and with the names of the symbols mixed up."""
    fit = fit_neurons(seen.first, seen.n)
    simple = fit.live & (fit.r2 >= SIMPLE)
    live = int(fit.live.sum())
    renamed = torch.from_numpy(np.random.default_rng(seed).permutation(seen.n))
    some = seen.first[:, fit.live][:, :: max(1, live // NULL_NEURONS)].reshape(seen.n, seen.n, -1)
    null = fit_neurons(some[renamed][:, renamed].flatten(0, 1), seen.n)
    return SimpleNeurons(
        share=int(simple.sum()) / live if live else 0.0,
        fit=fit.together if live else 0.0,
        null_fit=null.together if live else 0.0,
        frequencies=tuple(sorted({int(k) for k in fit.frequency[simple]})),
    )
