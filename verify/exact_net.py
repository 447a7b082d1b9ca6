"""The integer student as exact integers: what the proof is about.

    features_i(a, b) = offset_i + sum_j mix[j, i] * relu(left[a, j] + right[b, j])
    logits_c(a, b)   = sum_i readout[i, c] * features_i(a, b)
    answer(a, b)     = the c whose logit is larger than every other; none on a tie

Weights are read from a safetensors file (format `catapult-student-1`) into int64. Loading bounds every intermediate
value by interval arithmetic in Python integers, so that no evaluation can overflow.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UserError
from verify.weights import read_weights

FORMAT = "catapult-student-1"
NO_ANSWER = -1
LARGEST_P = 1024
_LIMIT = 1 << 62
_TENSORS = ("left", "right", "mix", "offset", "readout")
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ExactNet:
    """A one-layer integer net over pairs of residues. `right` is `left` itself where the tables are tied."""

    p: int
    sign: int
    left: Ints
    right: Ints
    mix: Ints
    offset: Ints
    readout: Ints
    tied: bool
    sha256: str

    def __post_init__(self) -> None:
        p, n, m = self.p, self.left.shape[-1], self.offset.shape[-1]
        if not 2 <= p <= LARGEST_P:
            raise UserError(f"p = {p}: a modulus between 2 and {LARGEST_P}")
        if self.sign not in (1, -1):
            raise UserError(f"sign = {self.sign}: 1 (addition) or -1 (subtraction)")
        shapes = {"left": (p, n), "right": (p, n), "mix": (n, m), "offset": (m,), "readout": (m, p)}
        for name, shape in shapes.items():
            tensor = getattr(self, name)
            if tensor.shape != shape or 0 in shape:
                raise UserError(f"{name} = shape {tensor.shape}: give it shape {shape}, none of them 0")
            # Entries near 2^63 would overflow already in left + right, before any bound could be taken.
            if max(abs(int(tensor.min())), abs(int(tensor.max()))) >= 1 << 31:
                raise UserError(f"{name} = entries beyond 31 bits: use smaller weights")
            tensor.setflags(write=False)
        bound = [abs(int(v)) for v in self.offset]
        for j in range(n):
            hidden = max(0, int(self.left[:, j].max()) + int(self.right[:, j].max()))
            bound = [b + hidden * abs(int(w)) for b, w in zip(bound, self.mix[j], strict=True)]
        largest = max(int(abs(int(w))) * b for row, b in zip(self.readout, bound, strict=True) for w in row) * m
        if max(largest, *bound) >= _LIMIT:
            raise UserError(
                f"{FORMAT} = logits up to {largest}: too large for exact 64-bit integers, use smaller weights"
            )

    @property
    def parameters(self) -> int:
        """Stored integers, the read-out included; tied tables count once."""
        tables = self.left.size if self.tied else self.left.size + self.right.size
        return int(tables + self.mix.size + self.offset.size + self.readout.size)

    @property
    def operation(self) -> str:
        return "addition" if self.sign == 1 else "subtraction"

    @cached_property
    def symmetric(self) -> bool:
        """Swapping a and b changes neither the net nor the sum, so that a <= b is the whole domain."""
        return self.sign == 1 and bool(np.array_equal(self.left, self.right))

    @cached_property
    def domain(self) -> tuple[tuple[int, int], ...]:
        """Every pair, or every pair with a <= b where the net is symmetric."""
        return tuple((a, b) for a in range(self.p) for b in range(a if self.symmetric else 0, self.p))

    def sums(self) -> Ints:
        """(a + sign * b) mod p for every pair, [p, p]."""
        residues = np.arange(self.p, dtype=np.int64)
        return (residues[:, None] + self.sign * residues[None, :]) % self.p

    def features(self, a: int) -> Ints:
        """features(a, b) for every b, [p, m]."""
        return np.maximum(self.left[a] + self.right, 0) @ self.mix + self.offset

    def rows(self) -> Iterator[Ints]:
        """The logits of one a after another, each [p (b), p (c)]."""
        for a in range(self.p):
            yield self.features(a) @ self.readout

    @cached_property
    def answers(self) -> Ints:
        """answer(a, b) for every pair, [p, p]; NO_ANSWER where the largest logit is not unique."""
        return np.stack([unique_argmax(row) for row in self.rows()])


def unique_argmax(scores: NDArray[np.generic]) -> Ints:
    """The index of the strictly largest entry along the last axis, NO_ANSWER where it is shared."""
    top = scores.max(axis=-1, keepdims=True)
    answers = scores.argmax(axis=-1).astype(np.int64)
    answers[(scores == top).sum(axis=-1) != 1] = NO_ANSWER
    return answers


def file_sha256(path: Path | str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"{path} = unreadable: {error.strerror}") from None


def load_exact_net(path: Path | str) -> ExactNet:
    """Reads and checks a student file. Raises UserError, one line, on anything that is not a well-formed student."""
    file = read_weights(path)
    header, tensors = file.metadata, file.tensors
    if header.get("format") != FORMAT:
        raise UserError(f"{path}: format = {header.get('format')!r}: a student has format {FORMAT!r}")
    operation = header.get("operation")
    if operation not in ("addition", "subtraction"):
        raise UserError(f"{path}: operation = {operation!r}: 'addition' or 'subtraction'")
    if not re.fullmatch("[1-9][0-9]{0,8}", str(header.get("p"))):
        raise UserError(f"{path}: p = {header.get('p')!r}: an integer modulus")
    p = int(header["p"])
    unknown, missing = set(tensors) - set(_TENSORS), set(_TENSORS) - {"right"} - set(tensors)
    if unknown or missing:
        raise UserError(f"{path}: tensors = {sorted(tensors)}: a student has {list(_TENSORS)}, right only when untied")
    for name, tensor in tensors.items():
        if tensor.dtype.kind not in "iu" or tensor.dtype == np.uint64:
            raise UserError(f"{path}: {name} = {tensor.dtype}: store signed integers")
        if tensor.ndim != (1 if name == "offset" else 2):
            raise UserError(f"{path}: {name} = {tensor.ndim} axes: {1 if name == 'offset' else 2} are needed")
    ints = {name: tensor.astype(np.int64) for name, tensor in tensors.items()}
    try:
        return ExactNet(
            p=p,
            sign=1 if operation == "addition" else -1,
            left=ints["left"],
            right=ints.get("right", ints["left"]),
            mix=ints["mix"],
            offset=ints["offset"],
            readout=ints["readout"],
            tied="right" not in ints,
            sha256=file.sha256,
        )
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
