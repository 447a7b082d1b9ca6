"""Remainder mod m of a number that is read digit by digit, most significant first; the answer is that of the prefix."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import UserError
from pipeline.tasks.streaming import StreamTask


@dataclass(frozen=True)
class Task(StreamTask):
    """One column of digits in `base`; the second symbol is always 0."""

    base: int = 2
    modulus: int = 3

    def __post_init__(self) -> None:
        if not all(type(value) is int and 2 <= value <= 16 for value in (self.base, self.modulus)):
            raise UserError(f"base, modulus = {self.base}, {self.modulus}: give whole numbers from 2 to 16")

    @property
    def n_left(self) -> int:
        return self.base

    @property
    def n_right(self) -> int:
        return 1

    @property
    def n_answers(self) -> int:
        return self.modulus

    def step(self, state: int, a: int, b: int) -> tuple[int, int]:
        remainder = (state * self.base + a) % self.modulus
        return remainder, remainder
