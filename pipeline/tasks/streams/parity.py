"""Parity of a bit string: the answer is whether the number of ones so far is odd."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.tasks.streaming import StreamTask


@dataclass(frozen=True)
class Task(StreamTask):
    """One column of bits; the second symbol is always 0."""

    @property
    def n_left(self) -> int:
        return 2

    @property
    def n_right(self) -> int:
        return 1

    @property
    def n_answers(self) -> int:
        return 2

    def step(self, state: int, a: int, b: int) -> tuple[int, int]:
        odd = (state + a) % 2
        return odd, odd
