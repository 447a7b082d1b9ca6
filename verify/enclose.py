"""exp and tanh of float64 arrays with a proven relative error of at most 16 u, u = 2^-53.

x = k/64 + r, exactly, with |r| <= 1/128, and

    exp(x)  = exp(k/64) exp(r)
    tanh(x) = (tanh(k/64) + tanh(r)) / (1 + tanh(k/64) tanh(r))

Values at k/64 come from Arb enclosures (python-flint), each checked to be within 2 u of the float64 that stands for
it. The polynomials leave out less than 2^-56 of their value and are evaluated within 3 u of theirs: exp(r) by its
Taylor series up to r^6 (rest r^7/7!), tanh(r) up to r^7 (rest below r^9/40). For k != 0 the sum in the numerator
cancels at most half of |tanh(k/64)|: its relative error stays below 2 (2 + 3/2) + 2 = 9 u, the quotient's below 12 u.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from flint import arb, ctx, fmpq

from verify.real_net import Reals

LOWEST = -700.0
"""Below this exp is 0 here; it is less than 2^-1009."""
FLAT = 40.0
"""Beyond this tanh is 1 here, which is within u."""


def exp(x: Reals) -> Reals:
    """For x <= 0, -inf included."""
    whole, rest = _split(np.maximum(x, LOWEST))
    series = np.full_like(rest, 1 / 720)
    for coefficient in (1 / 120, 1 / 24, 1 / 6, 1 / 2, 1.0, 1.0):
        series = series * rest + coefficient
    return np.where(x < LOWEST, 0.0, _table(whole, lambda y: y.exp()) * series)


def tanh(x: Reals) -> Reals:
    whole, rest = _split(np.clip(x, -FLAT, FLAT))
    square = rest * rest
    near = rest * (1 + square * (-1 / 3 + square * (2 / 15 + square * (-17 / 315))))
    far = _table(whole, lambda y: y.tanh())
    return (far + near) / (1 + far * near)


def _split(x: Reals) -> tuple[Reals, Reals]:
    whole = np.rint(x * 64)
    return whole, x - whole / 64


def _table(whole: Reals, function: Callable[[arb], arb]) -> Reals:
    """function(whole / 64), each different argument once."""
    arguments, places = np.unique(whole, return_inverse=True)
    values = np.array([_nearest(function, int(k)) for k in arguments])
    return values[places].reshape(whole.shape)


def _nearest(function: Callable[[arb], arb], k: int) -> float:
    precision, ctx.prec = ctx.prec, 100
    try:
        exact = function(arb(fmpq(k, 64)))
        value = float(exact.mid())
        if not abs(exact - arb(value)) <= arb(abs(value)) * arb(2) ** -52:
            raise ArithmeticError(f"no float64 within 2 u of {exact} was found")
        return value
    finally:
        ctx.prec = precision
