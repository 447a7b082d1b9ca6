"""Cosines and sines enclosed by integers, from python-flint's arb; no floating-point cosine is trusted."""

from __future__ import annotations

from math import isqrt

from flint import arb, ctx, fmpq

BITS = 40  # an enclosure is an integer in units of 2^-BITS, less than 1 away from the value


class Waves:
    """cos and sin of 2 pi x / p, and abs(sin(pi x / p)), for integers x: 2^BITS times the value, less than 1 away."""

    def __init__(self, p: int) -> None:
        self.p = p
        self._table = [_nearest(arb(fmpq(2 * y, 4 * p))) for y in range(4 * p)]

    def cos(self, x: int) -> int:
        return self._table[4 * x % (4 * self.p)]

    def sin(self, x: int) -> int:
        return self._table[(4 * x - self.p) % (4 * self.p)]

    def half(self, x: int) -> int:
        return abs(self._table[(2 * x - self.p) % (4 * self.p)])

    def rounded(self, scale: int, x: int) -> tuple[int, int]:
        """scale (cos, sin)(2 pi x / p) in integers, about rounded: `distance` says how well."""
        return (2 * scale * self.cos(x) + _ONE) >> (BITS + 1), (2 * scale * self.sin(x) + _ONE) >> (BITS + 1)

    def distance(self, scale: int, x: int, point: tuple[int, int]) -> int:
        """The distance of `point` from scale (cos, sin)(2 pi x / p), rounded up; scale >= 0."""
        wave = (self.cos(x), self.sin(x))
        across = (abs((v << BITS) - scale * w) + scale for v, w in zip(point, wave, strict=True))
        return -(-root(sum(v * v for v in across)) >> BITS)


def root(value: int) -> int:
    """The square root, rounded up."""
    return isqrt(value - 1) + 1 if value else 0


_ONE = 1 << BITS


def _nearest(turns: arb) -> int:
    """2^BITS cos(pi turns), rounded to the nearest integer. arb names it only where its ball leaves no doubt."""
    with ctx.workprec(3 * BITS):
        found = (turns.cos_pi() * _ONE + arb(1) / 2).floor().unique_fmpz()
    if found is None:
        raise ArithmeticError(f"cos(pi {turns}) = not enclosed at {3 * BITS} bits: use more")
    return int(found)
