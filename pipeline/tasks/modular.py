"""Arithmetic mod p on pairs of residues: the binary operations of Power et al. 2022, appendix A.1.

Plain Python and numpy, so that the proofs can use it without torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.tasks.task import split_pairs

Operation = Literal["addition", "subtraction", "multiplication", "division", "quadratic_form"]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)
SIGNED: tuple[Operation, ...] = ("addition", "subtraction")
"""The operations that are a signed sum: those of which a small student is taught and a program is read off."""

SYMBOLS: dict[Operation, str] = {
    "addition": "a + b",
    "subtraction": "a - b",
    "multiplication": "a * b",
    "division": "a / b",
    "quadratic_form": "a^2 + ab + b^2",
}


def is_prime(n: int) -> bool:
    """Trial division; the primes of this project are small."""
    return n > 1 and all(n % d for d in range(2, int(n**0.5) + 1))


@dataclass(frozen=True)
class ModularTask:
    """a + b, a - b, a * b, a / b or a^2 + ab + b^2, mod p; the domain is every pair of residues, p^2 of them.

    A pair is numbered a * p + b, so that arrays over the domain reshape to [p, p] with a down and b across. Division
    leaves b = 0 out: p (p - 1) pairs, numbered a * (p - 1) + b - 1.
    """

    p: int
    operation: Operation = "addition"

    def __post_init__(self) -> None:
        if self.operation not in OPERATIONS:
            raise UserError(f"operation = {self.operation!r}: choose one of {', '.join(OPERATIONS)}")
        if self.p < 3 or not is_prime(self.p):
            raise UserError(f"p = {self.p}: the modulus must be an odd prime, such as 59, 97 or 113")

    @property
    def n_left(self) -> int:
        return self.p

    @property
    def n_right(self) -> int:
        return self.p

    @property
    def n_answers(self) -> int:
        return self.p

    @property
    def sign(self) -> int:
        """+1 for addition, -1 for subtraction; UserError for the others, which are no signed sum."""
        if self.operation not in SIGNED:
            raise UserError(f"operation = {self.operation!r}: analysis and proof know {' and '.join(SIGNED)} only")
        return 1 if self.operation == "addition" else -1

    def reference(self, a: int, b: int) -> int:
        """The exact answer, by Python integers; ValueError for division by 0."""
        match self.operation:
            case "addition":
                return (a + b) % self.p
            case "subtraction":
                return (a - b) % self.p
            case "multiplication":
                return a * b % self.p
            case "division":
                return a * pow(b, -1, self.p) % self.p
            case "quadratic_form":
                return (a * a + a * b + b * b) % self.p

    def pairs(self) -> NDArray[np.int64]:
        """Every input, [p * p, 2], row a * p + b; for division those with b > 0."""
        first = 1 if self.operation == "division" else 0
        a, b = np.divmod(np.arange(self.p * (self.p - first), dtype=np.int64), self.p - first)
        return np.stack([a, b + first], axis=1)

    def answers(self) -> NDArray[np.int64]:
        """The answer to every input, [p * p], in the order of `pairs`."""
        a, b = self.pairs().T
        match self.operation:
            case "addition":
                return (a + b) % self.p
            case "subtraction":
                return (a - b) % self.p
            case "multiplication":
                return a * b % self.p
            case "division":
                inverse = [0, *(pow(x, -1, self.p) for x in range(1, self.p))]
                return a * np.array(inverse, dtype=np.int64)[b] % self.p
            case "quadratic_form":
                return (a * a + a * b + b * b) % self.p

    def split(self, fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Disjoint (train, test) pair numbers, sorted; int(fraction * p^2) of them train, as Nanda et al. 2023."""
        return split_pairs(self.p * (self.p - (self.operation == "division")), fraction, seed)

    def __str__(self) -> str:
        operation = SYMBOLS[self.operation]
        return f"({operation}) mod {self.p}"
