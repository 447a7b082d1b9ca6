"""The tasks on pairs of symbols that claims are about: name, domain, table of answers, equations in words."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import factorial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.tasks.modular import SYMBOLS, is_prime
from pipeline.tasks.permutation import PermutationTask
from verify.exact_net import LARGEST_P

EQUATIONS = {
    "addition": "{a} + {b}",
    "subtraction": "{a} - {b}",
    "multiplication": "{a} * {b}",
    "division": "{a} / {b}",
    "quadratic_form": "{a}^2 + {a} * {b} + {b}^2",
    "composition": "{a} o {b}",
}
OPERATIONS = tuple(EQUATIONS)
_NAMES: dict[str, str] = {**SYMBOLS}
DEGREES = {factorial(n): n for n in range(2, 7)}
"""By the number of permutations, of how many things they are."""


class Signed(Protocol):
    """A program or a student, whose operation is addition or subtraction."""

    @property
    def p(self) -> int: ...

    @property
    def operation(self) -> str: ...


@dataclass(frozen=True)
class Specification:
    """An operation on a in 0..p-1 and b in `first`..p-1, with an answer in 0..p-1.

    `first` is 0, and 1 for division, which leaves b = 0 out. Composition is that of the p = n! permutations of n,
    numbered in lexicographic order: (a o b)(i) = a(b(i)). Arrays over the domain are [p, p - first].
    """

    operation: str
    p: int

    def __post_init__(self) -> None:
        if self.operation not in OPERATIONS:
            raise UserError(f"operation = {self.operation!r}: choose one of {', '.join(OPERATIONS)}")
        if type(self.p) is not int or not 2 <= self.p <= LARGEST_P:
            raise UserError(f"p = {self.p!r}: an integer from 2 to {LARGEST_P}")
        if self.operation == "division" and not is_prime(self.p):
            raise UserError(f"p = {self.p}: division needs a prime modulus")
        if self.operation == "composition" and self.p not in DEGREES:
            raise UserError(f"p = {self.p}: composition needs a factorial, one of {', '.join(map(str, DEGREES))}")

    @classmethod
    def of(cls, net: Signed) -> Specification:
        return cls(net.operation, net.p)

    @classmethod
    def described(cls, task: dict[str, Any]) -> Specification:
        """From the header of a snapshot; raises UserError, or KeyError for what is missing."""
        match task["name"]:
            case "modular":
                if task["operation"] == "composition":
                    raise UserError("operation = 'composition': it is of task permutation, and not of task modular")
                return cls(task["operation"], task["p"])
            case "permutation":
                n = task["n"]
                if type(n) is not int or n not in DEGREES.values():
                    raise UserError(f"n = {n!r}: permutations of {min(DEGREES.values())} to {max(DEGREES.values())}")
                return cls("composition", factorial(n))
            case other:
                raise UserError(f"task = {other}: give a net of task modular or permutation")

    @property
    def first(self) -> int:
        """The smallest b."""
        return 1 if self.operation == "division" else 0

    @property
    def shape(self) -> tuple[int, int]:
        return self.p, self.p - self.first

    @property
    def size(self) -> int:
        """How many inputs there are."""
        return self.p * (self.p - self.first)

    @property
    def name(self) -> str:
        if self.operation == "composition":
            return f"a o b in S{DEGREES[self.p]}"
        return f"({_NAMES[self.operation]}) mod {self.p}"

    @property
    def domain(self) -> str:
        """All inputs, in words."""
        if self.first:
            return f"a in 0..{self.p - 1}, b in {self.first}..{self.p - 1}"
        numbered = " (permutations in lexicographic order)" if self.operation == "composition" else ""
        return f"a, b in 0..{self.p - 1}{numbered}"

    def question(self, a: int, b: int) -> str:
        return EQUATIONS[self.operation].format(a=a, b=b)

    @property
    def within(self) -> str:
        """Where the equations hold."""
        return f"in S{DEGREES[self.p]}" if self.operation == "composition" else f"(mod {self.p})"

    @cached_property
    def table(self) -> NDArray[np.int64]:
        """The right answer to every input."""
        a = np.arange(self.p, dtype=np.int64)[:, None]
        b = np.arange(self.first, self.p, dtype=np.int64)[None]
        match self.operation:
            case "addition":
                answers = a + b
            case "subtraction":
                answers = a - b
            case "multiplication":
                answers = a * b
            case "division":
                answers = a * np.array([pow(v, -1, self.p) for v in b[0].tolist()], dtype=np.int64)
            case "quadratic_form":
                answers = a * a + a * b + b * b
            case _:
                answers = PermutationTask(DEGREES[self.p]).answers().reshape(self.shape)
        return answers % self.p

    def where(self, mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
        """The inputs that a mask over the domain picks, in order."""
        return [(a, b + self.first) for a, b in np.argwhere(mask).tolist()]

    def to_dict(self) -> dict[str, Any]:
        """As a certificate has it."""
        return {"kind": "pairs", "name": self.name, "operation": self.operation, "p": self.p}
