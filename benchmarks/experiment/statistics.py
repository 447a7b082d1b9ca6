"""Paired differences: a bootstrap interval, a sign-flip test, and Holm's adjustment for many of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000


@dataclass(frozen=True)
class Difference:
    """Mean of the paired differences, its 95% interval, and the two-sided p-value of no difference."""

    mean: float
    low: float
    high: float
    p: float

    @property
    def verdict(self) -> str:
        """Whether the interval leaves 0 out, and on which side: greater is better."""
        return "win" if self.low > 0 else "lose" if self.high < 0 else "tie"


def paired(differences: Sequence[float], seed: int = 0) -> Difference:
    """The percentile bootstrap over pairs (Efron 1979), and the test that flips the sign of each pair at random.

    Under the null that the two of a pair may be exchanged, all 2^n flips are equally likely; RESAMPLES of them are
    drawn, and p = (1 + those at least as far from 0) / (1 + RESAMPLES).
    """
    values = np.asarray(differences, dtype=np.float64)
    generator = np.random.default_rng(seed)
    means = values[generator.integers(0, len(values), (RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    flipped = np.abs((generator.choice((-1.0, 1.0), (RESAMPLES, len(values))) * values).mean(axis=1))
    mean = float(values.mean())
    p = (1 + int((flipped >= abs(mean) - 1e-12).sum())) / (1 + RESAMPLES)
    return Difference(mean, float(low), float(high), p)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that keep the chance of any false rejection below the level (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, greatest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        greatest = max(greatest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = greatest
    return adjusted


def resultant(phases: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean resultant length |mean exp(2 pi i phase)| over the last axis: 1 all the same, near 0 all over the cycle."""
    return np.abs(np.exp(2j * np.pi * phases).mean(axis=-1))


def direction(phases: Sequence[float]) -> float:
    """The circular mean, as a share of the cycle from 0 to 1."""
    return float(np.angle(np.exp(2j * np.pi * np.asarray(phases)).mean()) / (2 * np.pi)) % 1.0


@dataclass(frozen=True)
class PhaseTest:
    """`length` of `n` phases, its mean under the null, and the one-sided p-value."""

    n: int
    length: float
    expected: float
    p: float


def phase_test(
    times: Sequence[float], shifts: Sequence[float], blocks: Sequence[int], cycle: int, seed: int = 0
) -> PhaseTest:
    """Are the times of a jump tied to the phase time / cycle + shift?

    The null keeps every time and permutes the shifts among the runs of a block (one seed under several shifts), so
    jumps that cluster in time without regard to the cycle do not count.
    """
    at, turned, of = np.asarray(times) / cycle, np.asarray(shifts), np.asarray(blocks)
    generator = np.random.default_rng(seed)
    shuffled = np.empty((RESAMPLES, len(at)))
    for block in np.unique(of):
        own = np.flatnonzero(of == block)
        shuffled[:, own] = generator.permuted(np.tile(turned[own], (RESAMPLES, 1)), axis=1)
    length, null = float(resultant(at + turned)), resultant(at + shuffled)
    p = (1 + int((null >= length - 1e-12).sum())) / (1 + RESAMPLES)
    return PhaseTest(len(at), length, float(null.mean()), p)
