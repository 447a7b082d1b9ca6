"""Simple neurons and the frequencies they use (McCracken et al. 2025, "approximate Chinese remainder theorem").

A neuron of the first layer is simple where its preactivation is one wave in a plus one wave in b of the same frequency,

    c + A cos(w_k x + f) + B cos(w_k y + g),

x and y the names of a and b in Z_n (see `bases`), w_k = 2 pi k / n. R^2 is the share of the preactivation's variance
over the n^2 pairs that the best such k explains. The claim is that nets that add, clocks and pizzas alike, are made of
simple neurons with few frequencies, of the order of log n of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.first_layer import first_layer
from interp.view import View, in_basis

SIMPLE = 0.95
LIVE = 1e-6
NULL_NEURONS = 128


@dataclass(frozen=True)
class SimpleNeurons:
    """`share`: of the live neurons, those with R^2 of .95 or more. `frequencies`: those that simple neurons have.

    `median_fit` and `null_fit`: median R^2 of the live neurons, and that after the names of the symbols are mixed up,
    which is what choosing the best frequency finds where there is none. `scrubbed_accuracy`: accuracy when every first
    neuron keeps its fit and takes the rest of its preactivation from another, random input (causal scrubbing, Chan et
    al. 2022).
    """

    share: float
    median_fit: float
    null_fit: float
    frequencies: tuple[int, ...]
    scrubbed_accuracy: float


@dataclass(frozen=True)
class Fit:
    """The best single-frequency fit of every neuron."""

    r2: Float[Tensor, " d_first"]
    frequency: Int[Tensor, " d_first"]
    fitted: Float[Tensor, "pair d_first"]
    live: Bool[Tensor, " d_first"]


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
    best = power.argmax(0)
    kept = torch.zeros_like(waves)
    index = torch.arange(first.shape[1])
    kept[:, best + 1, index] = waves[:, best + 1, index]
    left, right = torch.fft.irfft(kept, n=n, dim=1)
    fitted = (left[:, None] + right[None] + mean).reshape(n * n, -1)
    live = variance > LIVE * variance.max().clamp_min(1e-300)
    return Fit(power.max(0).values / variance.clamp_min(1e-300), best + 1, fitted, live)


def measure_simple_neurons(seen: View, seed: int = 0) -> SimpleNeurons:
    """The fits of a net's first neurons, and one more forward pass for the scrubbed accuracy."""
    fit = fit_neurons(seen.first, seen.n)
    simple = fit.live & (fit.r2 >= SIMPLE)
    live = int(fit.live.sum())
    rng = np.random.default_rng(seed)
    order, renamed = (torch.from_numpy(rng.permutation(size)) for size in (seen.n**2, seen.n))
    some = seen.first[:, fit.live][:, :: max(1, live // NULL_NEURONS)].reshape(seen.n, seen.n, -1)
    null = fit_neurons(some[renamed][:, renamed].flatten(0, 1), seen.n)
    patched = fit.fitted + (seen.first - fit.fitted)[order]
    return SimpleNeurons(
        share=int(simple.sum()) / live if live else 0.0,
        median_fit=float(fit.r2[fit.live].median()) if live else 0.0,
        null_fit=float(null.r2.median()) if live else 0.0,
        frequencies=tuple(sorted({int(k) for k in fit.frequency[simple]})),
        scrubbed_accuracy=accuracy_with(seen, patched),
    )


def accuracy_with(seen: View, first: Float[Tensor, "pair d_first"]) -> float:
    """Share of right answers when the first preactivations at the answer position are these."""

    def patch(x: Tensor, hook: object) -> Tensor:
        changed = x.clone()
        changed[(..., -1, slice(None)) if x.ndim == 3 else ...] = first.to(x.dtype)
        return changed

    with torch.no_grad():
        logits = seen.net.run_with_hooks(seen.pairs, fwd_hooks=[(first_layer(seen.net).neurons, patch)])
    return int((in_basis(logits, seen.basis).argmax(2) == seen.answers).sum()) / seen.n**2
