"""Modular addition and subtraction on all pairs of residues.

Plain Python and numpy, so that the proofs can use it without torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UserError

Operation = Literal["addition", "subtraction"]
OPERATIONS: tuple[Operation, ...] = ("addition", "subtraction")


def is_prime(n: int) -> bool:
    """Trial division; the primes of this project are small."""
    return n > 1 and all(n % d for d in range(2, int(n**0.5) + 1))


@dataclass(frozen=True)
class ModularTask:
    """(a + b) mod p or (a - b) mod p; the domain is every pair of residues, p^2 of them.

    A pair is numbered a * p + b, so that arrays over the domain reshape to [p, p] with a down and b across.
    """

    p: int
    operation: Operation = "addition"

    def __post_init__(self) -> None:
        if self.operation not in OPERATIONS:
            raise UserError(f"operation = {self.operation!r}: choose one of {', '.join(OPERATIONS)}")
        if self.p < 3 or not is_prime(self.p):
            raise UserError(f"p = {self.p}: the modulus must be an odd prime, such as 59, 97 or 113")

    @property
    def sign(self) -> int:
        """+1 for addition, -1 for subtraction."""
        return 1 if self.operation == "addition" else -1

    def reference(self, a: int, b: int) -> int:
        """The exact answer, by Python integers."""
        return (a + self.sign * b) % self.p

    def pairs(self) -> NDArray[np.int64]:
        """Every input, [p * p, 2], row a * p + b."""
        a, b = np.divmod(np.arange(self.p * self.p, dtype=np.int64), self.p)
        return np.stack([a, b], axis=1)

    def answers(self) -> NDArray[np.int64]:
        """The answer to every input, [p * p], in the order of `pairs`."""
        pairs = self.pairs()
        return (pairs[:, 0] + self.sign * pairs[:, 1]) % self.p

    def split(self, fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Disjoint (train, test) pair numbers, sorted; int(fraction * p^2) of them train, as Nanda et al. 2023."""
        order = np.random.default_rng(seed).permutation(self.p * self.p)
        n_train = int(fraction * self.p * self.p)
        return np.sort(order[:n_train]), np.sort(order[n_train:])

    def __str__(self) -> str:
        return f"(a {'+' if self.sign > 0 else '-'} b) mod {self.p}"
