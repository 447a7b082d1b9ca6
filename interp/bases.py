"""The basis in which an operation is addition in a cyclic group Z_n.

Measures of circular algorithms speak of angles 2 pi k x / n. For a + b the angle of a symbol is its own residue. Other
operations need other names for the symbols (Power et al. 2022 list them; Nanda et al. 2023 treat a + b only):

    a - b    left x is a = x, right y is b = -y                      n = p
    a * b    left x is a = g^x, right y is b = g^y                    n = p - 1, g a primitive root mod p, 0 left out
    a / b    left x is a = g^x, right y is b = g^(-y)                 n = p - 1

a^2 + ab + b^2 has none: b and -a - b give the same answer, so a row does not take every answer once, as rows of a
group's table do. Composition in S_n, n > 2, has none: a o b and b o a differ, and the two
orders of a sum do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from pipeline.tasks import ModularTask, Task


@dataclass(frozen=True)
class Basis:
    """Names of the symbols in Z_n: task(left[x], right[y]) = answer[(x + y) mod n] for all x and y."""

    name: str
    left: Int[np.ndarray, " n"]
    right: Int[np.ndarray, " n"]
    answer: Int[np.ndarray, " n"]

    @property
    def n(self) -> int:
        """Order of the group."""
        return len(self.left)

    @property
    def pairs(self) -> Int[np.ndarray, "n*n 2"]:
        """The inputs (left[x], right[y]), row x * n + y."""
        return np.stack([np.repeat(self.left, self.n), np.tile(self.right, self.n)], axis=1)


def primitive_root(p: int) -> int:
    """The least g whose powers are all of 1 .. p - 1 mod the prime p."""
    return next(g for g in range(1, p) if len({pow(g, i, p) for i in range(p - 1)}) == p - 1)


def powers(p: int) -> Int[np.ndarray, " p-1"]:
    """g^0, g^1, ..., g^(p - 2) mod p: the residue of every discrete logarithm."""
    g = primitive_root(p)
    return np.array([pow(g, i, p) for i in range(p - 1)], dtype=np.int64)


def not_applicable(task: Task) -> dict[str, str]:
    """What cannot be measured of a task, and why; empty where everything can."""
    return {} if basis_of(task) else {"fourier measures": f"no basis in which {meant(task)} is a sum"}


def meant(task: Task) -> str:
    """The task in the words of a sentence: (a * b) mod 113, composition in S5."""
    return str(task).replace("a o b", task.operation)


def basis_of(task: Task) -> Basis | None:
    """The basis of the task's operation; None where there is no such group."""
    if not isinstance(task, ModularTask):
        return None
    x = np.arange(task.p, dtype=np.int64)
    match task.operation:
        case "addition":
            return Basis("residues", x, x, x)
        case "subtraction":
            return Basis("residues, b negated", x, -x % task.p, x)
        case "multiplication":
            by_log = powers(task.p)
            return Basis("discrete logarithms", by_log, by_log, by_log)
        case "division":
            by_log = powers(task.p)
            return Basis("discrete logarithms, that of b negated", by_log, np.roll(by_log[::-1], 1), by_log)
        case "quadratic_form":
            return None
