"""The radius within which no perturbation of the two embedded rows changes the integer student's answer.

    logits(x, y) = readout^T (offset + mix^T relu(left[a] + x + right[b] + y))        |x_j|, |y_j| <= r for all j

The pre-activations c_j move by up to 2r each, apart from one another, and the lead of the answer s over a rival c is a
sum over units, so that its least value over the box is exact, no relaxation. With w_j = mix_j (readout_s - readout_c):

    least(r) = offset . (readout_s - readout_c) + sum_j  w_j relu(c_j - 2r) if w_j > 0 else w_j relu(c_j + 2r)

It falls with r; the radius is found by bisection on the grid r = k / 2^BITS, in integers. The next point of the grid is
the upper bound: there the corner of the box where every unit moves against its vote changes the answer.

Where both inputs read one table and it is the table that is perturbed, a = b moves its units by x_j + x_j, which covers
the same intervals: the smallest radius is also that of the tables, all inputs at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from pipeline.errors import UserError
from verify.attack import Perturbation, corner
from verify.claims import Proved, Unknown
from verify.exact_net import ExactNet, Ints

BITS = 20
"""Radii are multiples of 2^-BITS."""
EXACT = "exact least lead, unit by unit"
_LIMIT = 1 << 62


@dataclass(frozen=True)
class Radius:
    """lower: no perturbation within it changes the answer (proved `how`); upper: one does (None: none was found)."""

    lower: Fraction
    upper: Fraction | None
    how: str

    def __post_init__(self) -> None:
        if self.upper is not None and self.lower >= self.upper:
            raise ValueError(f"radius = {self.lower} proved, {self.upper} attacked: one of the two is wrong")


@dataclass(frozen=True, eq=False)
class RobustReport:
    """Of every input on which the student is right, the largest k with radius k / 2^BITS proved; -1 elsewhere."""

    net: ExactNet
    steps: Ints

    @property
    def right(self) -> int:
        return int((self.steps >= 0).sum())

    @cached_property
    def smallest_at(self) -> tuple[int, int]:
        """The first right input with the smallest radius."""
        if not self.right:
            raise UserError("student = right on no input: a radius needs a right answer")
        a, b = np.unravel_index(np.where(self.steps < 0, _LIMIT, self.steps).argmin(), self.steps.shape)
        return int(a), int(b)

    def at(self, a: int, b: int) -> Radius:
        return _radius(self.net, int(self.steps[a, b]))

    @property
    def smallest(self) -> Radius:
        return self.at(*self.smallest_at)

    @property
    def median(self) -> Radius:
        return self.quantile(0.5)

    def quantile(self, q: float) -> Radius:
        """The radius of the right input at this place in the order of radii; no interpolation."""
        ordered = np.sort(self.steps[self.steps >= 0])
        return _radius(self.net, int(ordered[round(q * (len(ordered) - 1))]))

    def attack(self, a: int, b: int) -> Perturbation:
        """The replayed perturbation that gives the upper bound at (a, b)."""
        step = int(self.steps[a, b]) + 1
        s = (a + self.net.sign * b) % self.net.p
        lead = _Leads.of(self.net, s).least((self.net.left[a] + self.net.right[b])[None], np.array([step]))
        return corner(self.net, a, b, int(lead[0].argmin()), Fraction(step, 1 << BITS))

    @property
    def verdict(self) -> Proved | Unknown:
        return Proved(EXACT) if self.right else Unknown("the student is right nowhere")


@dataclass(frozen=True, eq=False)
class _Leads:
    """The leads of the answer s over every answer: votes [unit, answer] and base [answer]."""

    s: int
    votes: Ints
    base: Ints

    @classmethod
    def of(cls, net: ExactNet, s: int) -> _Leads:
        votes, base = composite(net, BITS, cap(net))
        return cls(s, votes[:, [s]] - votes, base[s] - base)

    def least(self, before: Ints, step: Ints) -> Ints:
        """The least leads [input, answer], over 2^BITS, within step / 2^BITS; s's over itself counts as largest."""
        scaled, reach = before << BITS, 2 * step[:, None]
        low, high = np.maximum(scaled - reach, 0), np.maximum(scaled + reach, 0)
        leads = low @ np.maximum(self.votes, 0) + high @ np.minimum(self.votes, 0) + (self.base << BITS)
        leads[:, self.s] = _LIMIT
        return leads


def radius(net: ExactNet, a: int, b: int) -> Radius:
    """Of one input. Raises UserError where the student is wrong on it, or too large for 64-bit integers."""
    s = (a + net.sign * b) % net.p
    step = int(_steps(_Leads.of(net, s), (net.left[a] + net.right[b])[None], cap(net) << BITS)[0])
    if step < 0:
        raise UserError(f"a, b = {a}, {b}: the student is wrong there, give an input on which it is right")
    return _radius(net, step)


def robustness(net: ExactNet) -> RobustReport:
    """Of every input on which the student is right. Raises UserError where it is too large for 64-bit integers."""
    steps = np.full((net.p, net.p), -1, dtype=np.int64)
    a, most = np.arange(net.p), cap(net) << BITS
    for s in range(net.p):
        b = net.sign * (s - a) % net.p
        steps[a, b] = _steps(_Leads.of(net, s), net.left[a] + net.right[b], most)
    steps.setflags(write=False)
    return RobustReport(net, steps)


def table_rms(net: ExactNet) -> float:
    """Root mean square of the tables' entries after each unit's mean over the symbols is taken off."""
    tables = np.stack([net.left] if net.tied else [net.left, net.right]).astype(float)
    return float(np.sqrt(((tables - tables.mean(1, keepdims=True)) ** 2).mean()))


def cap(net: ExactNet) -> int:
    """No radius beyond the largest pre-activation is looked for."""
    return max(1, sum(max(abs(int(t.min())), abs(int(t.max()))) for t in (net.left, net.right)))


def composite(net: ExactNet, bits: int, reach: int) -> tuple[Ints, Ints]:
    """votes = mix readout and base = offset readout, where leads within `reach` over 2^bits fit 62 bits."""
    mix, readout, offset = (
        [[abs(v) for v in row] for row in t.tolist()] for t in (net.mix, net.readout, net.offset[None])
    )
    columns = [max(row) for row in readout]
    sizes = [sum(w * v for w, v in zip(row, columns, strict=True)) for row in (*mix, *offset)]
    if (2 * (sum(sizes[:-1]) * (cap(net) + 2 * reach) + sizes[-1])) << bits >= _LIMIT:
        raise UserError("student = leads beyond 62 bits on the grid of radii: use smaller weights")
    return net.mix @ net.readout, net.offset @ net.readout


def _steps(leads: _Leads, before: Ints, most: int) -> Ints:
    """The largest step of every input at which its least lead is positive; -1 where it is not even at 0."""
    safe, broken = np.full(len(before), -1), np.full(len(before), most + 1)
    ask = np.zeros(len(before), dtype=np.int64)
    while True:
        held = leads.least(before, ask).min(1) > 0
        safe, broken = np.where(held, ask, safe), np.where(held, broken, ask)
        if (broken - safe <= 1).all():
            return safe
        ask = np.where(broken - safe > 1, (safe + broken) // 2, safe.clip(0))


def _radius(net: ExactNet, step: int) -> Radius:
    upper = Fraction(step + 1, 1 << BITS) if step < cap(net) << BITS else None
    return Radius(Fraction(step, 1 << BITS), upper, EXACT)
