"""Do a few circles of the embeddings carry the answers? A question to the input of a net, whatever its depth.

Every symbol keeps the mean and the waves of a few frequencies of its embedding and takes the rest from the embeddings
of another, random pair (causal scrubbing, Chan et al. 2022, of the hypothesis "the answer to (x, y) depends on x and y
through these circles only"):

    E_x -> sum_(k kept) (part of E_x at k) + sum_(k not kept) (part of E_x' at k)

A net that adds by circles keeps its answers; one that knows its answers by heart needs all of its embeddings. How the
rest of the net reads the circles is not asked. Few are at most 2 log2 n of them (McCracken et al. 2025 find of the
order of log n) and at most a third of all.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.clock_pizza import embedding_power
from interp.first_layer import shifted_embeddings
from interp.view import View, in_basis


def few(n: int) -> int:
    """min(2 log2 n, (n - 1) / 6), rounded down, and at least 1."""
    return max(1, int(min(2 * math.log2(n), (n - 1) / 6)))


def strongest(power: Float[Tensor, " frequency"], count: int) -> tuple[int, ...]:
    """The frequencies of greatest power, from 1, ascending."""
    return tuple(sorted((power.argsort(descending=True, stable=True)[:count] + 1).tolist()))


def carried_by_few(seen: View) -> float:
    """The circle-scrubbed accuracy with the `few(n)` strongest circles, by the mean power of both sides' embeddings."""
    return circle_scrubbed_accuracy(seen, strongest(embedding_power(seen), few(seen.n)))


def circle_scrubbed_accuracy(seen: View, frequencies: tuple[int, ...], seed: int = 0) -> float:
    """Share of right answers over the n^2 pairs; one forward pass. The other pairs are a random permutation of them."""
    n = seen.n
    order = torch.from_numpy(np.random.default_rng(seed).permutation(n * n))
    x, y = torch.arange(n * n) // n, torch.arange(n * n) % n
    left = moved(seen.left, frequencies, x, x[order])
    right = moved(seen.right, frequencies, y, y[order])
    logits = shifted_embeddings(seen.net, seen.pairs, left.float(), right.float())
    return int((in_basis(logits, seen.basis).argmax(2) == seen.answers).sum()) / n**2


def moved(
    table: Float[Tensor, "n d_embed"], kept: tuple[int, ...], own: Int[Tensor, " pair"], other: Int[Tensor, " pair"]
) -> Float[Tensor, "pair d_embed"]:
    """What scrubbing adds to the embedding of `own`: all frequencies but `kept`, of `other` less those of `own`."""
    spectrum = torch.fft.rfft(table, dim=0)
    spectrum[[0, *kept]] = 0
    rest = torch.fft.irfft(spectrum, n=len(table), dim=0)
    return rest[other] - rest[own]
