"""Perturbations of the two embedded rows that change the student's answer, and their replay in exact rationals.

    replay          the answer to (a, b) of the student with left[a] + x and right[b] + y, in exact rational arithmetic
    corner          |x|, |y| <= r, entry by entry: the perturbation that lowers one lead as far as any can
    descend         x, y in a shared subspace: projected sign-gradient descent (PGD, Madry et al. 2018) from many starts

The float search of `descend` is trusted by nobody: what it finds lies on the grid and is evaluated in integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

import numpy as np

from verify.exact_net import ExactNet, Ints

STEPS, RIVALS = 40, 12


@dataclass(frozen=True)
class Perturbation:
    """What is added to left[a] and right[b], and the answer that the student then gives (None: a tie)."""

    a: int
    b: int
    x: tuple[Fraction, ...]
    y: tuple[Fraction, ...]
    got: int | None

    @property
    def size(self) -> Fraction:
        """The largest entry."""
        return max(abs(v) for v in (*self.x, *self.y))


def replay(net: ExactNet, a: int, b: int, x: Sequence[Fraction], y: Sequence[Fraction]) -> Perturbation:
    """Evaluates the perturbed student in Python integers over the common denominator of all entries."""
    scale = lcm(*(Fraction(v).denominator for v in (*x, *y)))
    rows = zip(net.left[a].tolist(), net.right[b].tolist(), x, y, strict=True)
    hidden = [max(0, int((p + q + u + v) * scale)) for p, q, u, v in rows]
    mix, offset = net.mix.T.tolist(), net.offset.tolist()
    features = [
        o * scale + sum(w * h for w, h in zip(row, hidden, strict=True)) for o, row in zip(offset, mix, strict=True)
    ]
    logits = [sum(w * f for w, f in zip(column, features, strict=True)) for column in net.readout.T.tolist()]
    top = max(logits)
    got = logits.index(top) if logits.count(top) == 1 else None
    return Perturbation(a, b, tuple(map(Fraction, x)), tuple(map(Fraction, y)), got)


def corner(net: ExactNet, a: int, b: int, rival: int, r: Fraction) -> Perturbation:
    """The worst perturbation within r for the lead of (a +- b) mod p over `rival`: every unit against its own vote."""
    s = (a + net.sign * b) % net.p
    difference = (net.readout[:, s] - net.readout[:, rival]).tolist()
    votes = [sum(w * v for w, v in zip(row, difference, strict=True)) for row in net.mix.tolist()]
    x = [-r if vote > 0 else r for vote in votes]
    return replay(net, a, b, x, x)


def descend(before: Ints, push: Ints, votes: Ints, base: Ints, bound: int, given: Ints, starts: int) -> Ints | None:
    """Integers t, |t_g| <= bound, with base_c + sum_j votes[j, c] relu(before_j + (t push)_j) <= 0 for a rival c.

    `votes` and `base` are of the rivals alone. None where the search finds no such t, which proves nothing.
    """
    rng = np.random.default_rng(0)
    near = np.argsort(base + np.maximum(before, 0) @ votes)[:RIVALS]
    w, constant = votes[:, near].T.astype(float), base[near].astype(float)
    first = np.concatenate([rng.uniform(-bound, bound, (starts, len(push))), np.clip(given, -bound, bound)])
    t = np.broadcast_to(first, (len(near), *first.shape)).copy()
    slopes = push.astype(float)
    for step in range(STEPS):
        ahead = before + t @ slopes
        value = constant[:, None] + (np.maximum(ahead, 0) * w[:, None]).sum(-1)
        row, start = np.unravel_index(value.argmin(), value.shape)
        if value[row, start] <= 0:
            found = np.clip(np.rint(t[row, start]).astype(np.int64), -bound, bound)
            if (base + np.maximum(before + found @ push, 0) @ votes).min() <= 0:
                return found
        gradient = ((ahead > 0) * w[:, None]) @ slopes.T
        t = np.clip(t - np.sign(gradient) * bound * (1 - step / STEPS), -bound, bound)
    return None
