"""Running error analysis: float64 values of a net, each with a bound on what float32 can get instead.

`error` bounds |float32 value - exact value|, with u = 2^-24, whatever the order of summation, fused or not
(Higham 2002, 3.1; any order has at most n - 1 additions on a path):

    a sum of n terms      gamma_n sum |terms| + n TINY,    gamma_n = n u / (1 - n u)
    x + y                 u |x + y|
    softmax               every weight is off by a factor of at most 1 + rho, rho = t + t^2 (for rho < 1/4),
                          t = 2 (largest error of a score + u largest difference) + (n + 2 LIBM + 8) u
    tanh-GELU             1.2 (error of x) + LIBM u |x|, since |gelu'| < 1.2

Assumptions on the float32 arithmetic: every operation rounds its result to within u of it, or, where the result is
below the normal range, is off by at most 2^-126 (flushing to zero, of operands too); exp and tanh are within 8 ulp
(LIBM u); the division by sqrt(d_head) may also be a multiplication, before or after the sum. TensorFloat-32 and half
precision are not float32. Magnitudes stay below LARGEST, else `TooLarge`, which says of which inputs; hence there is no
overflow, and TINY covers underflow. Where heads weigh by share 0 nothing is asked of their softmax.

The values themselves are float64, an arithmetic of the same kind with u = 2^-53. Each bound is a power series in u with
coefficients >= 0 and no constant term, so at 2^-53 it is at most 2^-29 times what it is at 2^-24: the exact value lies
within 2^-29 `error` of `value`, the float32 value within 2 `error`. Bounds are computed in float64 with a relative
error far below 2^-20; whoever uses the last one adds that (INFLATE). float64 sums are taken to round as IEEE 754 says.

The error of the residual stream is kept as a sum of images M d of boxes |d| <= box, M a stored matrix: a layer that
reads the stream with R sees |R M| box instead of |R| |M| box. What the errors of the scores do to z is kept by its
directions (`Turns`), input by input.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from verify import enclose
from verify.real_net import Block, Decoder, Linear, Reals

UNIT = 2.0**-24
LIBM = 16
TINY = 2.0**-90
LARGEST = 2.0**30
SHARPEST = 2.0**10
SHARP = "a softmax may be off by {:.3g} of its value"
INFLATE = 1 + 2.0**-20
ROOT, CUBIC = np.sqrt(2 / np.pi), 0.044715
"""gelu_tanh(x) = x/2 (1 + tanh(ROOT (x + CUBIC x^3)))."""
EXACTNESS = 2.0**-28
"""The float64 values are within EXACTNESS * error of the exact ones (2^-29, and room for INFLATE)."""


class TooLarge(ArithmeticError):
    """Nothing is claimed about some inputs of a batch: `inputs` are their places in it, `reasons` says why of each."""

    def __init__(self, what: str, reach: Reals, limit: float) -> None:
        """`reach` [b, ...] is not below the limit everywhere; `what` is a phrase with a place for the largest of it."""
        worst = reach.reshape(len(reach), -1).max(axis=1)
        self.inputs = np.flatnonzero(~(worst < limit))
        self.reasons = [what.format(worst[i]) for i in self.inputs]
        super().__init__(f"{len(self.inputs)} inputs: {self.reasons[0]}")


@dataclass(frozen=True, eq=False)
class Bounded:
    """Float64 values and bounds of the error of float32; `turned` is that part of it which is kept as `Turns`."""

    value: Reals
    error: Reals
    turned: Reals | float = 0.0

    @cached_property
    def size(self) -> Reals:
        """At least |exact value| and |float32 value|."""
        return np.abs(self.value) + 2 * (self.error + self.turned)


@dataclass(frozen=True, eq=False)
class Turns:
    """Errors sum_i x_i row_i of a stream with |x_i| <= box_i: rows [b, pos, i, d], box [b, pos, i]."""

    rows: Reals
    box: Reals

    @cached_property
    def reach(self) -> Reals:
        """sum_i box_i |row_i|."""
        return np.einsum("...i,...id->...d", self.box, np.abs(self.rows))

    def seen_by(self, weight: Reals) -> Reals:
        """sum_i box_i |weight row_i|."""
        seen = np.einsum("...i,...im->...m", self.box, np.abs(times(self.rows, weight)))
        return seen + lost(weight.shape[1]) * times(self.reach, np.abs(weight))


@dataclass(frozen=True, eq=False)
class Stream:
    """A residual stream [b, pos, d]: values, a box of errors of its own, images (M, box) of others, and turns."""

    value: Reals
    own: Reals
    parts: tuple[tuple[Reals, Reals], ...] = ()
    turns: tuple[Turns, ...] = ()

    @cached_property
    def bounded(self) -> Bounded:
        error = self.own + sum(times(box, np.abs(m)) for m, box in self.parts)
        return Bounded(self.value, error + sum(turns.reach for turns in self.turns))

    def at(self, pos: int | slice) -> Stream:
        """The stream at some of its positions."""
        parts = tuple((m, box[:, pos]) for m, box in self.parts)
        turns = tuple(Turns(turns.rows[:, pos], turns.box[:, pos]) for turns in self.turns)
        return Stream(self.value[:, pos], self.own[:, pos], parts, turns)


class Composites:
    """|R M| for stored matrices R and M, each computed once: |fl(R M)| and what float64 can have lost in it."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[Reals, Reals, Reals]] = {}

    def __call__(self, r: Reals, m: Reals) -> Reals:
        if (id(r), id(m)) not in self._known:
            self._known[id(r), id(m)] = (np.abs(r @ m) + lost(len(m)) * (np.abs(r) @ np.abs(m)), r, m)
        return self._known[id(r), id(m)][0]


def lost(terms: int) -> float:
    """The relative error of float64 sums of products with that many terms, nested at most four deep: over 8 gamma_n."""
    return (terms + 8) * 2.0**-49


def times(x: Reals, matrix: Reals) -> Reals:
    """matrix x for every vector along the last axis."""
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    return (rows @ matrix.T).reshape(*x.shape[:-1], len(matrix))


def summed(terms: int, sizes: Reals) -> Reals:
    """The error of a sum with that many terms, of which `sizes` [b, ...] bounds the sum of magnitudes."""
    if not np.max(sizes, initial=0.0) < LARGEST:
        raise TooLarge("magnitudes reach {:.3g}, beyond 2^30", sizes, LARGEST)
    return terms * UNIT / (1 - terms * UNIT) * sizes + terms * TINY


def embedding(value: Reals) -> Stream:
    """The sum of two stored vectors."""
    return Stream(value, summed(1, np.abs(value)))


def read(stream: Stream, linear: Linear, composites: Composites) -> tuple[Reals, Reals, Reals]:
    """linear(stream): values, the error carried over from the stream, and the error made here."""
    r = linear.weight
    carried = times(stream.own, np.abs(r)) + sum(times(box, composites(r, m)) for m, box in stream.parts)
    carried = carried + sum(turns.seen_by(r) for turns in stream.turns)
    return times(stream.value, r) + linear.bias, carried, _made(stream.bounded, linear)


def write(stream: Stream, linear: Linear, x: Bounded, turns: tuple[Turns, ...] = ()) -> Stream:
    """stream + linear(x), of whose error `turns` are a part.

    What float64 loses in the rows of `turns` is below gamma_n |weight| x.turned, of which `_made` has twice as much.
    """
    value = stream.value + (times(x.value, linear.weight) + linear.bias)
    parts, turns = (*stream.parts, (linear.weight, x.error)), (*stream.turns, *turns)
    rough = Stream(value, stream.own + _made(x, linear), parts, turns)
    return Stream(value, rough.own + summed(1, rough.bounded.size), parts, turns)


def activate(kind: str, pre: Bounded) -> Bounded:
    """relu is exact and moves no two numbers apart; where both are certainly negative it leaves no error."""
    x = pre.value
    if kind == "relu":
        return Bounded(np.maximum(x, 0), np.where(x + 2 * pre.error <= 0, 0.0, pre.error))
    assert kind == "gelu_tanh", kind
    inner = ROOT * (x + CUBIC * x * x * x)
    return Bounded(x * (0.5 * (1 + enclose.tanh(inner))), 1.2 * pre.error + made_by_gelu(pre))


def slopes(kind: str, pre: Bounded) -> tuple[Reals, Reals]:
    """The activation's slopes between any two values that float32 and exact arithmetic may give: centre, half-width.

    |gelu''| < 1; the centre is computed within 2^-30.
    """
    x = pre.value
    if kind == "relu":
        on, off = x - 2 * pre.error >= 0, x + 2 * pre.error <= 0
        return np.where(off, 0.0, np.where(on, 1.0, 0.5)), np.where(on | off, 0.0, 0.5)
    t = enclose.tanh(ROOT * (x + CUBIC * x * x * x))
    centre = 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * ROOT * (1 + 3 * CUBIC * x * x)
    return centre, 2 * pre.error + 2.0**-30


def made_by_gelu(pre: Bounded) -> Reals:
    return summed(LIBM, pre.size)


def attention(
    net: Decoder, block: Block, stream: Stream, queries: Stream, composites: Composites
) -> tuple[Bounded, Turns, Reals]:
    """z, the heads' weighted values side by side, at the last positions, as many as `queries` has, and rho by input.

    The error of z is a box, and one number for each head and position seen: how far its weight is off, in the direction
    of its value as `block.o` writes it. Of those, what all weights have in common is taken out: as they sum to 1, an
    error of the weights moves z by sum_t error_t (v_t - z), but for the rounding in the softmax itself.
    """

    def heads(source: Stream, linear: Linear) -> Bounded:
        value, carried, made = read(source, linear, composites)
        shape = (*value.shape[:-1], net.n_heads, net.d_head)
        return Bounded(value.reshape(shape), (carried + made).reshape(shape))

    q, k, v = heads(queries, block.q), heads(stream, block.k), heads(stream, block.v)
    n_queries, n = q.value.shape[1], k.value.shape[1]
    seen = np.ones((n_queries, n), dtype=bool)
    if net.causal:
        seen = np.tril(seen, n - n_queries)
    flat = (*q.value.shape[:2], block.width)
    if net.share == 0:
        # Every weight is 1, since q and k are below LARGEST and no score overflows; 4 roundings are more than it takes.
        z, sizes, error = (np.einsum("qk,bkhd->bqhd", seen, x) for x in (v.value, v.size, v.error))
        error = (error + summed(n + 4, sizes)).reshape(flat)
        nothing = np.zeros((*q.value.shape[:2], 0))
        none = Turns(np.zeros((*nothing.shape, len(block.o.weight))), nothing)
        return Bounded(z.reshape(flat), error), none, np.zeros(len(z))
    root = np.sqrt(net.d_head)
    scores = np.einsum("bqhd,bkhd->bhqk", q.value, k.value) / root
    products = np.einsum("bqhd,bkhd->bhqk", q.size, k.size) / root
    moved = np.einsum("bqhd,bkhd->bhqk", q.error, k.size) + np.einsum("bqhd,bkhd->bhqk", q.size, k.error)
    pattern, by_scores, rho = _softmax(Bounded(scores, moved / root + summed(net.d_head + 4, products)), seen)
    mean = np.einsum("bhqk,bkhd->bqhd", pattern.value, v.value)
    z, made = mean, pattern.error
    if net.share != 1:
        weights = Bounded(net.share * pattern.value + (1 - net.share) * seen, net.share * pattern.error)
        z, by_scores = np.einsum("bhqk,bkhd->bqhd", weights.value, v.value), net.share * by_scores
        made = weights.error + summed(4, weights.size + by_scores)
        pattern = weights
    sizes = pattern.size + by_scores
    error = np.einsum("bhqk,bkhd->bqhd", made, v.size) + np.einsum("bhqk,bkhd->bqhd", sizes, v.error)
    error = error + summed(n + 1, np.einsum("bhqk,bkhd->bqhd", sizes, v.size))
    # v_t is a float64 in the directions below: it is off by EXACTNESS times its error.
    error = error + EXACTNESS * np.einsum("bhqk,bkhd->bqhd", by_scores, v.size)
    differences = v.value[:, None] - mean[:, :, None]
    turned = np.einsum("bhqk,bqkhd->bqhd", by_scores, np.abs(differences))
    rows = _directions(differences, block.o)
    turns = Turns(rows, by_scores.transpose(0, 2, 1, 3).reshape(rows.shape[:-1]))
    return Bounded(z.reshape(flat), error.reshape(flat), turned.reshape(flat)), turns, rho


def _directions(differences: Reals, o: Linear) -> Reals:
    """What `o` makes of the differences [b, q, k, head, d] of each head alone: [b, q, (head, k), d_model]."""
    per_head = o.weight.reshape(len(o.weight), *differences.shape[3:])
    rows = np.stack([times(differences[:, :, :, h], per_head[:, h]) for h in range(differences.shape[3])], axis=2)
    return rows.reshape(*rows.shape[:2], -1, rows.shape[-1])


def _softmax(scores: Bounded, seen: Reals) -> tuple[Bounded, Reals, Reals]:
    """Weights, each with the error that the softmax makes, what the errors of the scores move in each; rho by input.

    The largest score is at most 2 error away in either arithmetic; float32 may subtract another one than float64.
    Nothing is known of float32 where rho is no less than 1/4. Of float64, whose scores are off by 2^-29 times as much,
    everything holds nevertheless up to SHARPEST: there weights move by a factor within 1 +- 2^-23.
    """
    masked = np.where(seen, scores.value, -np.inf)
    shifted = masked - masked.max(axis=-1, keepdims=True)
    powers = enclose.exp(shifted)
    value = powers / powers.sum(axis=-1, keepdims=True)
    worst = np.where(seen, scores.error, 0.0).max(axis=-1, keepdims=True)
    spread = np.where(seen, -shifted, 0.0).max(axis=-1, keepdims=True) + 4 * worst
    t = 2 * (worst + summed(1, spread))
    rho, made = t + t * t, (seen.shape[-1] + 2 * LIBM + 10) * UNIT
    if not np.max(rho) < SHARPEST:
        raise TooLarge(SHARP, rho, SHARPEST)
    moved = np.where(seen, value * (1 - value + EXACTNESS) * rho, 0.0)
    weights = Bounded(value, np.where(seen, made * (value + moved) + TINY, 0.0))
    return weights, moved, rho.reshape(len(rho), -1).max(axis=1)


def _made(x: Bounded, linear: Linear) -> Reals:
    """The error of bias + weight x, given x."""
    return summed(linear.weight.shape[1] + 1, times(x.size, np.abs(linear.weight)) + np.abs(linear.bias))
