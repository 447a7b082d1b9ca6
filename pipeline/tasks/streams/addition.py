"""Addition in base b: two numbers digit by digit, least significant first; the answer is the digit of the sum.

The state is the carry: a + b + carry = answer + base * next carry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import UserError
from pipeline.tasks.machine import Pair
from pipeline.tasks.streaming import Stream, Streams, StreamTask

LARGEST_BASE = 16


@dataclass(frozen=True)
class Task(StreamTask):
    """a + b for operands of any number of digits."""

    base: int = 10

    def __post_init__(self) -> None:
        if not (type(self.base) is int and 2 <= self.base <= LARGEST_BASE):
            raise UserError(f"base = {self.base}: give a whole number from 2 to {LARGEST_BASE}, such as 2, 3, 10 or 16")

    @property
    def n_left(self) -> int:
        return self.base

    @property
    def n_right(self) -> int:
        return self.base

    @property
    def n_answers(self) -> int:
        return self.base

    @property
    def flush(self) -> Stream:
        """One more place, where a last carry comes out."""
        return ((0, 0),)

    def step(self, state: int, a: int, b: int) -> tuple[int, int]:
        carry, answer = divmod(a + b + state, self.base)
        return carry, answer

    def hard(self, count: int, length: int, rng: np.random.Generator) -> Streams:
        """A third each: sums of base - 1 at every place; the same with a few places that start or stop a carry; and
        99...9 (any number of nines) plus 1, in either order."""
        top = self.base - 1
        left = rng.integers(0, self.base, (count, length))
        batch = np.stack([left, top - left], axis=2)
        kind = np.arange(count) % 3
        broken = rng.random((count, length)) < min(1.0, 2 / length)
        other = rng.integers(0, self.base, (count, length, 2))
        batch = np.where((broken & (kind == 1)[:, None])[..., None], other, batch)
        nines = rng.integers(1, length + 1, count)
        nines[: max(1, count // 6)] = length
        place = np.arange(length)
        for i in np.flatnonzero(kind == 2):
            run = np.stack([np.where(place < nines[i], top, 0), np.where(place == 0, 1, 0)], axis=1)
            batch[i] = run[:, ::-1] if rng.random() < 0.5 else run
        return batch

    def equation(self, stream: Sequence[Pair], got: Sequence[int | None]) -> str:
        a, b = (numeral(digits, self.base) for digits in zip(*stream, strict=True))
        right = numeral(self.reference(stream), self.base)
        where = "" if self.base == 10 else f" (base {self.base})"
        return f"{a} + {b} = {right}{where}, the net says {numeral(got, self.base)}"


def numeral(digits: Sequence[int | None], base: int) -> str:
    """Digits, least significant first, as written; a digit that is None is a question mark."""
    symbols = ["?" if digit is None else "0123456789abcdef"[digit] for digit in reversed(digits)]
    return "".join(symbols).lstrip("0") or "0"


def value(digits: Sequence[int], base: int) -> int:
    """The number that digits, least significant first, stand for."""
    total = 0
    for digit in reversed(digits):
        total = total * base + digit
    return total
