"""The student before its weights were rounded: float32 tables, evaluated exactly, and what float32 itself can lose.

    features_i = offset_i + sum_j mix[j, i] relu(left[a, j] + right[b, j])
    logits_c   = sum_i readout[i, c] features_i

A stored float is a dyadic rational: every weight is an integer over 2^k, one k for the file, and Python's integers
hold what comes of them. Float32 rounds left + right once, and a sum of n products by at most n 2^-23 sum |terms| in any
order (Higham 2002, section 3.1: n u / (1 - n u) <= n 2^-23 for u = 2^-24, n <= 2^22) and n 2^-149 for underflow.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UserError
from verify.exact_net import LARGEST_P, NO_ANSWER, Ints
from verify.weights import read_weights

FORMAT = "catapult-student-float-1"
MOST_BITS, MOST_UNITS = 256, 1 << 12
LARGEST = 1 << 40
"""No weight or intermediate value may reach it, far from float32's overflow."""
Objects = NDArray[np.object_]


@dataclass(frozen=True, eq=False)
class FloatStudent:
    """Weights as Python integers over 2^bits, in arrays of objects; `right` is `left` itself where they are tied."""

    p: int
    sign: int
    bits: int
    left: Objects
    right: Objects
    mix: Objects
    offset: Objects
    readout: Objects
    numbers: int
    sha256: str

    @property
    def operation(self) -> str:
        return "addition" if self.sign == 1 else "subtraction"

    @cached_property
    def _leads(self) -> tuple[Ints, Fraction]:
        """Answers [p, p], NO_ANSWER on a tie, and the smallest lead of a largest logit over the second."""
        answers = np.full((self.p, self.p), NO_ANSWER, dtype=np.int64)
        least: int | None = None
        for a in range(self.p):
            hidden = np.maximum(self.left[a] + self.right, 0)
            logits = (hidden @ self.mix + (self.offset << self.bits)) @ self.readout
            ordered = np.sort(logits, axis=1)
            leads = ordered[:, -1] - ordered[:, -2]
            answers[a] = np.where(leads > 0, logits.argmax(axis=1), NO_ANSWER)
            least = min([int(leads.min()), *([] if least is None else [least])])
        return answers, Fraction(least or 0, 1 << 3 * self.bits)

    @property
    def answers(self) -> Ints:
        return self._leads[0]

    @property
    def margin(self) -> Fraction:
        """The smallest lead, over every input."""
        return self._leads[1]

    @cached_property
    def bound(self) -> Fraction | None:
        """What float32 can change in the difference of any two logits of any input; None where it might overflow."""
        one, n, m = 1 << self.bits, len(self.mix), len(self.offset)
        reach = np.maximum.reduce(abs(self.left)) + np.maximum.reduce(abs(self.right))
        size = [Fraction(int(v), one) for v in reach]
        error = [v / (1 << 23) + Fraction(1, 1 << 149) for v in size]
        for rows, bias, terms in ((self.mix, self.offset, n + 1), (self.readout, None, m)):
            if max(size) >= LARGEST:
                return None
            most = [v + e for v, e in zip(size, error, strict=True)]
            sizes, errors = [], []
            for i in range(rows.shape[1]):
                weights = [abs(Fraction(int(w), one)) for w in rows[:, i]]
                start = abs(Fraction(int(bias[i]), one)) if bias is not None else Fraction(0)
                total = start + sum(w * v for w, v in zip(weights, most, strict=True))
                carried = sum(w * e for w, e in zip(weights, error, strict=True))
                sizes.append(total)
                errors.append(carried + terms * (total / (1 << 23) + Fraction(1, 1 << 149)))
            size, error = sizes, errors
        if max([*size, *(Fraction(int(abs(w).max()), one) for w in (self.mix, self.readout))]) >= LARGEST:
            return None
        return 2 * max(error)


def load_float_student(path: Path | str) -> FloatStudent:
    """Raises UserError, one line, on anything that is not a well-formed student in floats."""
    file = read_weights(path)
    meta, tensors = file.metadata, dict(file.tensors)
    if meta.get("format") != FORMAT:
        raise UserError(f"{path}: format = {meta.get('format')!r}: a student in floats has format {FORMAT!r}")
    stated, operation = str(meta.get("p")), meta.get("operation")
    if not re.fullmatch("[1-9][0-9]{0,8}", stated) or not 2 <= int(stated) <= LARGEST_P:
        raise UserError(f"{path}: p = {stated}: a modulus from 2 to {LARGEST_P}")
    if operation not in ("addition", "subtraction"):
        raise UserError(f"{path}: operation = {operation!r}: addition or subtraction")
    p = int(stated)
    numbers = sum(tensor.size for tensor in tensors.values())
    tensors.setdefault("right", tensors.get("left", np.zeros(0)))
    if set(tensors) != {"left", "right", "mix", "offset", "readout"} or tensors["mix"].ndim != 2:
        raise UserError(f"{path}: tensors = {sorted(tensors)}: left, right, mix, offset and readout are needed")
    n, m = tensors["mix"].shape
    shapes = {"left": (p, n), "right": (p, n), "mix": (n, m), "offset": (m,), "readout": (m, p)}
    for name, shape in shapes.items():
        tensor = tensors[name]
        if tensor.dtype != np.float32 or tensor.shape != shape or not 0 < max(n, m) <= MOST_UNITS or 0 in shape:
            raise UserError(f"{path}: {name} = {tensor.dtype} {tensor.shape}: float32 {shape} is needed")
        if not np.isfinite(tensor).all():
            raise UserError(f"{path}: {name} = not finite: make the student again")
    exact = {name: [Fraction(v) for v in tensor.ravel().tolist()] for name, tensor in tensors.items()}
    bits = max(v.denominator.bit_length() - 1 for values in exact.values() for v in values)
    if bits > MOST_BITS:
        raise UserError(f"{path}: weights = multiples of 2^-{bits}: more than {MOST_BITS} bits, round them first")
    integers = {}
    for name, values in exact.items():
        integers[name] = np.array([int(v * (1 << bits)) for v in values], dtype=object).reshape(shapes[name])
    return FloatStudent(p, 1 if operation == "addition" else -1, bits, **integers, numbers=numbers, sha256=file.sha256)
