"""Balanced parentheses of any depth: the answer is whether what was read so far is balanced. It needs a counter.

0 opens and 1 closes; a prefix that closed more than it opened is never balanced again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.tasks.streaming import Streams, StreamTask

BROKEN = -1


@dataclass(frozen=True)
class Task(StreamTask):
    """The state is the depth, without a bound, or BROKEN."""

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
        depth = BROKEN if state == BROKEN else state + (1 if a == 0 else -1)
        return depth, int(depth == 0)

    def hard(self, count: int, length: int, rng: np.random.Generator) -> Streams:
        """Openings, then as many closings, as deep as the length allows; then openings again."""
        depth = rng.integers(max(1, length // 4), max(1, length // 2) + 1, (count, 1))
        place = np.arange(length)[None, :]
        closes = (place >= depth) & (place < 2 * depth)
        return np.stack([closes.astype(np.int64), np.zeros((count, length), np.int64)], axis=2)
