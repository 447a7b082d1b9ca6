"""Recomputes a compact proof in Python's integers: the standard library only, and no formula is read.

Given the student's integers and the evidence (which features are the cosine and sine of which frequency, S_k, R_k,
rho_k and tau_k), three things are checked, with e_k(x) = (cos, sin)(2 pi k x / p) and s = (a +- b) mod p:

    for all a, b      |features of k at a, b - S_k e_k(s)| <= rho_k
    for all c         |read-out of k at c - R_k e_k(c)| <= tau_k
    for all d != 0    sum_k S_k R_k (1 - cos(2 pi k d / p))
                          > sum_k (R_k rho_k 2 |sin(pi k d / p)| + 2 tau_k (S_k + rho_k))

Then logit_s > logit_c for every other c. Cosines are Taylor's series in fixed point, less than 2^-BITS away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import add, mul
from typing import Any

BITS, GUARD, LARGEST = 40, 40, 1 << 62
_FIELDS = ("features", "frequencies", "gain", "rho", "scale", "tau")
Rows = Sequence[Sequence[int]]


def check(
    p: int,
    sign: int,
    left: Rows,
    right: Rows,
    mix: Rows,
    offset: Sequence[int],
    readout: Rows,
    evidence: Mapping[str, Any],
) -> str | None:
    """None where the evidence proves that the student computes (a +- b) mod p on every input, else what is wrong."""
    malformed = _malformed(p, len(offset), evidence)
    if malformed:
        return malformed
    fine, wave, close = evidence["fine"], cosines(4 * p), 0
    symmetric = sign == 1 and left == right
    columns = [evidence[name] for name in _FIELDS]
    for (c, s), k, gain, rho, scale, tau in zip(*columns, strict=True):
        turn = [(wave[4 * k * x % (4 * p)], wave[(4 * k * x - p) % (4 * p)]) for x in range(p)]
        units = [j for j, row in enumerate(mix) if row[c] or row[s]]
        weights = [([mix[j][i] for j in units], offset[i]) for i in (c, s)]
        tables = [[[row[j] for j in units] for row in table] for table in (left, right)]
        wanted, within = [(scale * x, scale * y) for x, y in turn], (rho << BITS) ** 2
        for a, of_a in enumerate(tables[0]):
            for b in range(a if symmetric else 0, p):
                hidden = [h if h > 0 else 0 for h in map(add, of_a, tables[1][b])]
                square = 0
                for (column, start), target in zip(weights, wanted[(a + sign * b) % p], strict=True):
                    value = sum(map(mul, hidden, column), start)
                    square += (abs((fine * value << BITS) - target) + scale) ** 2
                if square > within:
                    return f"frequency {k} at a = {a}, b = {b}: its features are further off than {rho} / {fine}"
        for place in range(p):
            off = zip((readout[c][place], readout[s][place]), turn[place], strict=True)
            if sum((abs((v << BITS) - gain * w) * fine + gain * fine) ** 2 for v, w in off) > (tau << BITS) ** 2:
                return f"frequency {k} at c = {place}: its read-out is further off than {tau} / {fine}"
        close += 2 * tau * (scale + rho) << BITS
    for d in range(1, p):
        margin = -close
        for _, k, gain, rho, scale, _ in zip(*columns, strict=True):
            if k * d % p:
                margin += fine * gain * scale * ((1 << BITS) - wave[4 * k * d % (4 * p)] - 1)
                margin -= fine * gain * rho * 2 * (abs(wave[(2 * k * d - p) % (4 * p)]) + 1)
        if margin <= 0:
            return f"the answer {d} off: the residuals may reach it"
    return None


def cosines(n: int) -> list[int]:
    """2^BITS cos(2 pi y / n) for every y < n, less than 1 away: pi by Machin, then Taylor, with GUARD bits to spare."""
    unit = 1 << (BITS + GUARD)
    pi = 16 * _arctangent(5, unit) - 4 * _arctangent(239, unit)
    table = []
    for y in range(n):
        angle = 2 * pi * min(y, n - y) // n
        square, term, total, place = angle * angle // unit, unit, unit, 0
        while term:
            term = term * square // unit // ((place + 1) * (place + 2))
            place += 2
            total += -term if place % 4 else term
        table.append((total + (1 << (GUARD - 1))) >> GUARD)
    return table


def _arctangent(x: int, unit: int) -> int:
    """arctan(1 / x) in units of 1 / `unit`, a few of them off."""
    term, total, place = unit // x, unit // x, 1
    while term:
        term //= x * x
        place += 2
        total += -(term // place) if place % 4 == 3 else term // place
    return total


def _malformed(p: int, features: int, evidence: Mapping[str, Any]) -> str | None:
    """Lists of whole numbers of one length, every feature once, no frequency twice, no negative length."""
    lists: list[Any] = [evidence.get(name) for name in _FIELDS]
    fine = evidence.get("fine")
    pairs: list[Any] = lists[0] if isinstance(lists[0], list) else [None]
    whole: list[Any] = [fine]
    for values in (*lists[1:], *pairs):
        if not isinstance(values, list):
            return "evidence = not lists of whole numbers"
        whole += values
    if not all(type(v) is int and 0 <= v < LARGEST for v in whole) or fine == 0:
        return "evidence = entries that are no whole numbers from 0 to 2^62"
    count = len(pairs)
    if not count or any(len(values or ()) != count for values in lists):
        return "evidence = lists of different lengths"
    if any(len(pair) != 2 for pair in pairs):
        return "evidence = features that are no pairs"
    if sorted(i for pair in pairs for i in pair) != list(range(features)):
        return "evidence = not every feature once"
    if len(set(evidence["frequencies"])) != count or not all(0 < k < p for k in evidence["frequencies"]):
        return "evidence = frequencies that are no different residues"
    return None
