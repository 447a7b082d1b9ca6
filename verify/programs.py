"""The program read off a student: an object, and Python source that runs on its own.

    score(a, b, c) = sum_k A_k COS[(k (a +- b) - k c) mod p]      answer(a, b) = the c with the one largest score

Frequencies and amplitudes are measured: the student's logits, averaged over all pairs with the same difference
d = (a +- b) - c, make a profile over d whose cosine spectrum names the frequencies and their amplitudes. What is proved
about the object holds for the file, because `load_program` accepts a file only if it is the object's own rendering.
"""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pipeline.errors import UserError
from verify.exact_net import LARGEST_P, NO_ANSWER, ExactNet, unique_argmax

AMPLITUDE_UNIT = 100
KEY_SHARE = 0.1
_LARGEST_ENTRY = 10**9

_TEMPLATE = '''"""(a + SIGN * b) mod P as a vote of rotations, read off a neural network.

Each frequency k is a circle of P places. Rotating by k places for every unit of a, then of b (backwards if SIGN is
-1), adds the angles of a and b. A candidate c rotates back by k places for every unit of c, and the cosine of where
that ends is its vote, weighed by the amplitude of k. Only c = (a + SIGN * b) mod P brings every circle back to the
start, where the cosine is largest. The answer is the candidate with the most votes; there is none on a tie.

    python program.py 37 99
"""

import sys

# --- read off the network
{literals}# --- the algorithm


def score(a, b, c):
    total = 0
    for k, amplitude in zip(FREQUENCIES, AMPLITUDES):
        angle = k * (a + SIGN * b) % P
        total += amplitude * COSINE[(angle - k * c) % P]
    return total


def answer(a, b):
    scores = [score(a, b, c) for c in range(P)]
    best = max(scores)
    return scores.index(best) if scores.count(best) == 1 else None


def main(arguments):
    digits = [x for x in arguments if x.isascii() and x.isdigit() and len(x) < 10 and int(x) < P]
    if len(arguments) != 2 or len(digits) != 2:
        print(f"usage: python program.py A B, integers from 0 to {{P - 1}}", file=sys.stderr)
        return 2
    print(answer(*map(int, digits)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
'''


@dataclass(frozen=True)
class Program:
    """The algorithm with its integers. `cosine[x]` is round(scale cos(2 pi x / p)) when read off a student."""

    p: int
    sign: int
    frequencies: tuple[int, ...]
    amplitudes: tuple[int, ...]
    cosine: tuple[int, ...]

    def __post_init__(self) -> None:
        if not all(type(v) is tuple for v in (self.frequencies, self.amplitudes, self.cosine)):
            raise UserError("program = frequencies, amplitudes or cosine that are no tuple: extract the program again")
        integers = (self.p, self.sign, *self.frequencies, *self.amplitudes, *self.cosine)
        if not all(type(v) is int and abs(v) <= _LARGEST_ENTRY for v in integers):
            raise UserError(f"program = an entry that is no integer up to {_LARGEST_ENTRY}: extract the program again")
        if not 2 <= self.p <= LARGEST_P or self.sign not in (1, -1) or len(self.cosine) != self.p:
            raise UserError(
                f"P = {self.p}, SIGN = {self.sign}: P up to {LARGEST_P} cosines and SIGN 1 or -1 are needed"
            )
        if not 0 < len(self.frequencies) == len(self.amplitudes) <= self.p:
            raise UserError(f"FREQUENCIES = {self.frequencies}: at least one, each with its amplitude")
        if not all(0 < k < self.p for k in self.frequencies):
            raise UserError(f"FREQUENCIES = {self.frequencies}: integers from 1 to {self.p - 1}")

    @property
    def operation(self) -> str:
        return "addition" if self.sign == 1 else "subtraction"

    def score(self, a: int, b: int, c: int) -> int:
        return sum(
            amplitude * self.cosine[(k * (a + self.sign * b) % self.p - k * c) % self.p]
            for k, amplitude in zip(self.frequencies, self.amplitudes, strict=True)
        )

    @cached_property
    def answers(self) -> np.ndarray:
        """answer(a, b) for every pair, [p, p] int64; NO_ANSWER on a tie."""
        # The score depends on (a, b) through s = (a +- b) mod p alone: p rows are every case.
        rows = [[self.score(s, 0, c) for c in range(self.p)] for s in range(self.p)]
        by_sum = unique_argmax(np.array(rows, dtype=object)) if self.p else np.array([])
        residues = np.arange(self.p)
        return by_sum[(residues[:, None] + self.sign * residues[None, :]) % self.p]

    def answer(self, a: int, b: int) -> int | None:
        found = int(self.answers[a, b])
        return None if found == NO_ANSWER else found

    def render(self) -> str:
        """Standalone Python source, a function of the fields alone."""
        rows = [", ".join(map(str, self.cosine[i : i + 15])) for i in range(0, self.p, 15)]
        literals = (
            f"P = {self.p}\nSIGN = {self.sign}\nFREQUENCIES = {self.frequencies}\nAMPLITUDES = {self.amplitudes}\n"
            "COSINE = (\n" + "".join(f"    {row},\n" for row in rows) + ")\n"
        )
        return _TEMPLATE.format(literals=literals)


def cosine_table(p: int) -> tuple[int, ...]:
    """round(scale cos(2 pi x / p)), with a power of ten that tells neighbours of 0 apart."""
    scale = 10 ** (2 + math.ceil(math.log10(max(p * p / 20, 10))) - 1)
    return tuple(round(scale * math.cos(2 * math.pi * x / p)) for x in range(p))


def extract(net: ExactNet) -> Program:
    """Reads the program off the exact net: every frequency with at least a tenth of the largest amplitude."""
    p = net.p
    sums = net.sums()
    residues = np.arange(p)
    profile = np.zeros(p)
    for a, logits in enumerate(net.rows()):
        difference = (sums[a][:, None] - residues[None, :]) % p
        profile += np.bincount(difference.ravel(), weights=logits.ravel().astype(np.float64), minlength=p)
    waves = np.arange(1, p // 2 + 1)
    amplitude = np.cos(2 * np.pi * np.outer(waves, residues) / p) @ profile
    largest = np.abs(amplitude).max()
    key = np.flatnonzero(np.abs(amplitude) >= KEY_SHARE * largest) if largest > 0 else np.array([0])
    return Program(
        p=p,
        sign=net.sign,
        frequencies=tuple(int(k) for k in waves[key]),
        amplitudes=tuple(round(AMPLITUDE_UNIT * float(v) / (largest or 1.0)) for v in amplitude[key]),
        cosine=cosine_table(p),
    )


def load_program(path: Path | str) -> Program:
    """Reads a program file by its literals, without running it; only a file that `render` wrote is accepted."""
    try:
        source = Path(path).read_bytes().decode()
        tree = ast.parse(source)
        values = {
            node.targets[0].id: ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        program = Program(values["P"], values["SIGN"], values["FREQUENCIES"], values["AMPLITUDES"], values["COSINE"])
        same = program.render() == source
    except OSError as error:
        raise UserError(f"{path} = unreadable: {error.strerror}") from None
    except (ValueError, SyntaxError, KeyError, TypeError, RecursionError, MemoryError) as error:
        raise UserError(
            f"{path} = not a program: {type(error).__name__}; write it with python -m verify extract"
        ) from None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    if not same:
        raise UserError(f"{path} = changed by hand beyond its integers: write it with python -m verify extract")
    return program
