"""Composition in the symmetric group: the non-commutative task of Power et al. 2022 (S5 has 120 elements)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from math import factorial

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.tasks.task import split_pairs


@lru_cache
def _elements(n: int) -> tuple[tuple[int, ...], ...]:
    return tuple(permutations(range(n)))


@lru_cache
def _numbers(n: int) -> dict[tuple[int, ...], int]:
    return {element: number for number, element in enumerate(_elements(n))}


@dataclass(frozen=True)
class PermutationTask:
    """a o b in S_n, (a o b)(i) = a(b(i)); elements are numbered in lexicographic order, so 0 is the identity."""

    n: int = 5

    def __post_init__(self) -> None:
        if not 2 <= self.n <= 6:
            raise UserError(f"n = {self.n}: give a number from 2 to 6; S_6 has 518,400 pairs")

    @property
    def operation(self) -> str:
        return "composition"

    @property
    def n_left(self) -> int:
        return factorial(self.n)

    @property
    def n_right(self) -> int:
        return factorial(self.n)

    @property
    def n_answers(self) -> int:
        return factorial(self.n)

    def reference(self, a: int, b: int) -> int:
        """The number of a o b."""
        elements = _elements(self.n)
        return _numbers(self.n)[tuple(elements[a][i] for i in elements[b])]

    def pairs(self) -> NDArray[np.int64]:
        """Every input, [n!^2, 2], row a * n! + b."""
        size = factorial(self.n)
        return np.stack(np.divmod(np.arange(size * size, dtype=np.int64), size), axis=1)

    def answers(self) -> NDArray[np.int64]:
        """The answer to every input, [n!^2], in the order of `pairs`."""
        elements = np.array(_elements(self.n), dtype=np.int64)
        place = self.n ** np.arange(self.n - 1, -1, -1)
        number = np.zeros(self.n**self.n, dtype=np.int64)
        number[elements @ place] = np.arange(len(elements))
        composed = elements[:, elements]  # [a, b, i]: a(b(i))
        return number[composed @ place].reshape(-1)

    def split(self, fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Disjoint (train, test) pair numbers, sorted; int(fraction * n!^2) of them train."""
        return split_pairs(factorial(self.n) ** 2, fraction, seed)

    def __str__(self) -> str:
        return f"a o b in S{self.n}"
