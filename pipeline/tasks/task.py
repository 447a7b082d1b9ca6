"""What every task on pairs offers: a finite domain, an exact integer reference, and a split of the domain."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.tasks.examples import Examples, Split


class Task(Protocol):
    """A function of two symbols, a in [0, n_left) and b in [0, n_right), with answers in [0, n_answers)."""

    @property
    def operation(self) -> str:
        """The function in a word, such as addition."""
        ...

    @property
    def n_left(self) -> int: ...

    @property
    def n_right(self) -> int: ...

    @property
    def n_answers(self) -> int: ...

    def reference(self, a: int, b: int) -> int:
        """The exact answer, by Python integers."""
        ...

    def pairs(self) -> NDArray[np.int64]:
        """Every input, [n, 2], b fastest."""
        ...

    def answers(self) -> NDArray[np.int64]:
        """The answer to every input, [n], in the order of `pairs`."""
        ...

    def split(self, fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Disjoint (train, test) pair numbers, sorted; int(fraction * n) of them train."""
        ...


def split_pairs(n: int, fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Disjoint (train, test) numbers below n, sorted; int(fraction * n) of them train, as Nanda et al. 2023."""
    order = np.random.default_rng(seed).permutation(n)
    n_train = int(fraction * n)
    return np.sort(order[:n_train]), np.sort(order[n_train:])


def pair_split(task: Task, fraction: float, seed: int) -> Split:
    """A share of all pairs to be shown; the others are the evaluation set `test`."""
    pairs, answers = task.pairs(), task.answers()
    shown, held_out = (Examples(pairs[chosen], answers[chosen]) for chosen in task.split(fraction, seed))
    return Split(shown, {"test": held_out})
