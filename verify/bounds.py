"""Exact bounds of the recurrent net over a box of states, for one pair of symbols.

With the pair fixed, every output is f(s) = c + sum_i w_i relu(p_i + W_i s). Over a box each unit is on (its
pre-activation is never below 0), off (never above 0) or open. Units that are on stay linear in s, so that where none is
open the bound is attained; an open one is bounded by 0 or by its own line from below, by its largest value from above:

    w_i > 0:   relu(x) >= x if up > -low, else 0           w_i < 0:   relu(x) <= up

Everything is in Python integers: weights over 2^k, boxes over 2^g, pre-activations over 2^(k+g), f over 2^(2k+g).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul

from verify.recurrent_net import ExactWeights, Row

GRID_BITS = 20
"""Boxes have corners over 2^GRID_BITS."""
LARGEST, OVERFLOW = 1 << 40, 1 << 400
"""Values below LARGEST are far from float32's overflow; beyond, the rounding error is said to be OVERFLOW."""


@dataclass(frozen=True)
class Box:
    """low_j <= s_j <= high_j, over 2^GRID_BITS."""

    low: Row
    high: Row

    @property
    def widest(self) -> int:
        """The number of the longest side."""
        return max(range(len(self.low)), key=lambda j: self.high[j] - self.low[j])

    def halves(self, side: int) -> tuple[Box, Box]:
        """The two halves of one side; they share their border."""
        middle = (self.low[side] + self.high[side]) // 2
        lower = (*self.high[:side], middle, *self.high[side + 1 :])
        upper = (*self.low[:side], middle, *self.low[side + 1 :])
        return Box(self.low, lower), Box(upper, self.high)


@dataclass(frozen=True)
class Layer:
    """The hidden layer over a box for one pair: constants, and the least and largest pre-activations."""

    constant: Row
    low: Row
    high: Row
    box: Box

    @classmethod
    def of(cls, net: ExactWeights, box: Box, a: int, b: int) -> Layer:
        constant = tuple((x + y) << GRID_BITS for x, y in zip(net.left[a], net.right[b], strict=True))
        low, high = [], []
        for c, weights in zip(constant, net.state_in, strict=True):
            least, most = span(weights, box)
            low.append(c + least)
            high.append(c + most)
        return cls(constant, tuple(low), tuple(high), box)

    def least(self, net: ExactWeights, weights: Sequence[int], bias: int) -> int:
        """A lower bound of bias + sum_i weights_i hidden_i over the box, over 2^(2k+g)."""
        total = bias << (net.bits + GRID_BITS)
        slopes = [0] * len(self.box.low)
        for w, c, low, high, row in zip(weights, self.constant, self.low, self.high, net.state_in, strict=True):
            if high <= 0 or w == 0:
                continue
            if low >= 0 or (w > 0 and high > -low):
                total += w * c
                for j, v in enumerate(row):
                    slopes[j] += w * v
            elif w < 0:
                total += w * high
        return total + span(slopes, self.box)[0]


def span(weights: Sequence[int], box: Box) -> tuple[int, int]:
    """The least and the largest of sum_j weights_j s_j over the box."""
    low = sum(w * (least if w > 0 else most) for w, least, most in zip(weights, box.low, box.high, strict=True))
    high = sum(w * (most if w > 0 else least) for w, least, most in zip(weights, box.low, box.high, strict=True))
    return low, high


def differences(net: ExactWeights) -> dict[tuple[int, int], tuple[Row, int]]:
    """logit_x - logit_y as weights and bias, for all x != y."""
    n = len(net.unembed)
    return {
        (x, y): (
            tuple(p - q for p, q in zip(net.unembed[x], net.unembed[y], strict=True)),
            net.unembed_bias[x] - net.unembed_bias[y],
        )
        for x in range(n)
        for y in range(n)
        if x != y
    }


def rounding(net: ExactWeights, box: Box, a: int, b: int) -> tuple[int, int]:
    """Bounds of the error of any logit and of any next state in float32, over 2^(2k+g), any order of summation.

    A sum of n products, each rounded, is off by at most n u / (1 - n u) sum |terms| with u = 2^-24 (Higham 2002, 3.1;
    fused products are only better), which is below n 2^-23 sum |terms|; a product that underflows is off by 2^-149.
    """
    k, n_state = net.bits, len(box.low)
    n = n_state + 3
    tiny = _up(n << (k + GRID_BITS), 149)
    hidden, error = [], []
    for x, y, row in zip(net.left[a], net.right[b], net.state_in, strict=True):
        size = ((abs(x) + abs(y)) << GRID_BITS) + sum(map(mul, map(abs, row), box.high))
        error.append(_up(n * size, 23) + 1 + tiny)
        hidden.append(size + error[-1])
    if max(hidden) >= LARGEST << (k + GRID_BITS) or net.largest >= LARGEST << k:
        return OVERFLOW << (2 * k + GRID_BITS), OVERFLOW << (2 * k + GRID_BITS)
    m = len(hidden) + 2

    def outputs(rows: Sequence[Row], bias: Row) -> int:
        worst = 0
        for weights, v in zip(rows, bias, strict=True):
            size = (abs(v) << (k + GRID_BITS)) + sum(map(mul, map(abs, weights), hidden))
            carried = sum(map(mul, map(abs, weights), error))
            worst = max(worst, carried + _up(m * size, 23) + _up(m << (2 * k + GRID_BITS), 149) + 1)
        return worst

    return outputs(net.unembed, net.unembed_bias), outputs(net.state_out, net.state_bias)


def _up(value: int, shift: int) -> int:
    """value / 2^shift, rounded up."""
    return -(-value >> shift)
