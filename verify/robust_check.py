"""Checks in integers, standard library only, on which inputs no perturbation within r changes the student's answer.

With x, y bounded by r in every entry the pre-activations c_j = left[a, j] + right[b, j] move by up to 2r each, apart
from one another, so that the least lead of the answer s over a rival c is attained unit by unit:

    offset . v + sum_j  w_j relu(c_j - 2r) if w_j > 0 else w_j relu(c_j + 2r)     v = readout_s - readout_c, w = mix v

All p rivals of an input are one Python integer, a lane of bits each (Kronecker's substitution), so that an input costs
two products per unit and not two per unit and rival.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import mul

Row = Sequence[int]


def safe_inputs(
    left: Sequence[Row],
    right: Sequence[Row],
    mix: Sequence[Row],
    offset: Row,
    readout: Sequence[Row],
    sign: int,
    numerator: int = 0,
    bits: int = 0,
) -> list[list[bool]]:
    """[a][b]: (a + sign b) mod p has the one largest logit, under every perturbation within numerator / 2^bits.

    With numerator 0 these are the inputs on which the student is right.
    """
    if numerator < 0 or bits < 0:
        raise ValueError(f"radius = {numerator} / 2^{bits}: neither may be negative")
    p, columns, reach = len(left), list(zip(*readout, strict=True)), 2 * numerator
    votes = [[sum(map(mul, row, column)) for column in columns] for row in mix]  # of each unit for each answer
    base = [sum(map(mul, offset, column)) << bits for column in columns]
    top = max(abs(v) for table in (left, right) for row in table for v in row)
    most = sum(2 * max(map(abs, row)) for row in votes) * ((2 * top << bits) + reach) + 2 * max(map(abs, base)) + 1
    size = most.bit_length() + 2  # a lane holds lead + 2^(size - 1) - 1: non-negative, top bit set where lead > 0
    half = 1 << (size - 1)
    tops = _pack([half] * p, size)
    symmetric = sign == 1 and list(map(tuple, left)) == list(map(tuple, right))
    safe = [[False] * p for _ in range(p)]
    for s in range(p):
        start = _pack([base[s] - v + half - (c != s) for c, v in enumerate(base)], size)
        pro = [_pack([max(row[s] - v, 0) for v in row], size) for row in votes]
        contra = [_pack([max(v - row[s], 0) for v in row], size) for row in votes]
        for a in range(p):
            b = sign * (s - a) % p
            if symmetric and b < a:
                safe[a][b] = safe[b][a]
                continue
            total = start
            for x, y, up, down in zip(left[a], right[b], pro, contra, strict=True):
                before = (x + y) << bits
                if before > reach:
                    total += (before - reach) * up
                if before > -reach:
                    total -= (before + reach) * down
            safe[a][b] = total & tops == tops
    return safe


def _pack(lanes: Sequence[int], size: int) -> int:
    """sum_c lanes[c] 2^(size c), for lanes in [0, 2^size)."""
    return int("".join(f"{lane:0{size}b}" for lane in reversed(lanes)), 2)
