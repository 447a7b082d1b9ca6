"""Mealy machines over pairs of symbols: run, minimise, compare.

A machine reads a stream of pairs (a, b) and gives an answer at every step. Two machines are the same up to the names of
their states iff their minimised forms, numbered in the order in which states are first reached, are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

S = TypeVar("S", bound=Hashable)
Pair = tuple[int, int]
Table = tuple[tuple[tuple[int, ...], ...], ...]


@dataclass(frozen=True)
class Machine:
    """`following[q][a][b]` is the next state and `answers[q][a][b]` the answer of state q; it starts in state 0."""

    following: Table
    answers: Table

    @property
    def n_states(self) -> int:
        return len(self.following)

    @property
    def n_left(self) -> int:
        return len(self.following[0])

    @property
    def n_right(self) -> int:
        return len(self.following[0][0])

    @property
    def pairs(self) -> tuple[Pair, ...]:
        return tuple((a, b) for a in range(self.n_left) for b in range(self.n_right))

    def run(self, stream: Sequence[Pair]) -> list[int]:
        """The answer at every step."""
        state, answers = 0, []
        for a, b in stream:
            answers.append(self.answers[state][a][b])
            state = self.following[state][a][b]
        return answers

    def minimised(self) -> Machine:
        """The smallest machine with the same answers (Moore 1956), its states in the order of `explore`."""
        blocks = _numbered([self.answers[q] for q in range(self.n_states)])
        while True:
            after = [
                (blocks[q], tuple(blocks[self.following[q][a][b]] for a, b in self.pairs)) for q in range(self.n_states)
            ]
            finer = _numbered(after)
            if max(finer) == max(blocks):
                break
            blocks = finer
        member = {block: q for q, block in reversed(list(enumerate(blocks)))}

        def step(block: int, a: int, b: int) -> tuple[int, int]:
            q = member[block]
            return blocks[self.following[q][a][b]], self.answers[q][a][b]

        smaller = explore(blocks[0], step, self.n_left, self.n_right, self.n_states)
        assert smaller is not None
        return smaller[0]

    def same_as(self, other: Machine) -> bool:
        """Whether both give the same answers to every stream of every length."""
        return self.minimised() == other.minimised()

    def to_dict(self) -> dict[str, Any]:
        return {"answers": _lists(self.answers), "following": _lists(self.following)}


def explore(
    initial: S, step: Callable[[S, int, int], tuple[S, int]], n_left: int, n_right: int, limit: int
) -> tuple[Machine, list[S]] | None:
    """The machine of a step function and what each of its states stands for; None if more than `limit` are reached.

    States are numbered in the order in which they are first reached, pairs in the order of a, then b.
    """
    states, number = [initial], {initial: 0}
    following, answers = [], []
    for state in states:  # grows while it is walked
        rows = [[step(state, a, b) for b in range(n_right)] for a in range(n_left)]
        for after in (after for row in rows for after, _ in row):
            if after not in number:
                if len(states) == limit:
                    return None
                number[after] = len(states)
                states.append(after)
        following.append(tuple(tuple(number[after] for after, _ in row) for row in rows))
        answers.append(tuple(tuple(answer for _, answer in row) for row in rows))
    return Machine(tuple(following), tuple(answers)), states


def _numbered(keys: Sequence[Hashable]) -> list[int]:
    """Equal keys get equal numbers, in the order of their first occurrence."""
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(key, len(numbers)) for key in keys]


def _lists(table: Table) -> list[list[list[int]]]:
    return [[list(row) for row in rows] for rows in table]
