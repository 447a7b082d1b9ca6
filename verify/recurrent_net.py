"""The recurrent net as exact integers, and the same net in float32: what the proof for all lengths is about.

    hidden = relu(left[a] + right[b] + W s)      logits = U hidden + u      next s = min(max(V hidden + v, 0), 1)

A stored float is a dyadic rational. Every weight is an integer over 2^bits, one `bits` for the whole net, so that sums
and products are exact: pre-activations of a state over 2^g are integers over 2^(bits + g), outputs over 2^(2 bits + g).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from operator import mul
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.tasks.machine import Pair
from pipeline.tasks.streaming import StreamTask, stream_task_from
from verify.exact_net import unique_argmax
from verify.weights import FORMAT, read_weights

Row = tuple[int, ...]
Rows = tuple[Row, ...]
MOST_BITS = 256
MOST_UNITS = 4096


@dataclass(frozen=True, eq=False)
class RecurrentNet:
    """Float32 tensors by their name in the snapshot, shapes checked, and the SHA-256 of the file."""

    task: StreamTask
    weights: dict[str, NDArray[np.float32]]
    sha256: str

    @property
    def n_state(self) -> int:
        return self.weights["state_in.weight"].shape[1]

    @property
    def n_hidden(self) -> int:
        return self.weights["state_in.weight"].shape[0]

    @property
    def n_answers(self) -> int:
        return self.weights["unembed.weight"].shape[0]

    @property
    def tied(self) -> bool:
        return self.weights["embed_right.weight"] is self.weights["embed_left.weight"]

    @property
    def n_parameters(self) -> int:
        """Stored numbers; a tied table counts once."""
        total = sum(weight.size for weight in self.weights.values())
        return total - (self.weights["embed_left.weight"].size if self.tied else 0)

    @cached_property
    def bits(self) -> int:
        """The smallest g such that every weight is an integer over 2^g."""
        fractions = (Fraction(value) for weight in self.weights.values() for value in weight.ravel().tolist())
        return max(fraction.denominator.bit_length() - 1 for fraction in fractions)

    @property
    def largest(self) -> int:
        """The largest |weight| in units of 2^-bits."""
        return max(abs(value) for name in self.weights for row in self.integers(name) for value in row)

    def integers(self, name: str) -> Rows:
        """A tensor times 2^bits; a vector is one row."""
        weight, one = self.weights[name], 1 << self.bits
        rows = weight if weight.ndim == 2 else weight[None]
        return tuple(tuple(int(Fraction(value) * one) for value in row) for row in rows.tolist())

    @cached_property
    def exact(self) -> ExactWeights:
        return ExactWeights(
            bits=self.bits,
            left=self.integers("embed_left.weight"),
            right=self.integers("embed_right.weight"),
            state_in=self.integers("state_in.weight"),
            state_out=self.integers("state_out.weight"),
            state_bias=self.integers("state_out.bias")[0],
            unembed=self.integers("unembed.weight"),
            unembed_bias=self.integers("unembed.bias")[0],
        )

    def run_float(self, stream: Sequence[Pair]) -> list[int | None]:
        """The answer at every step in float32, in numpy's order of summation; None where several share the top."""
        w = self.weights
        state = np.zeros(self.n_state, dtype=np.float32)
        answers: list[int | None] = []
        for a, b in stream:
            pre = w["embed_left.weight"][a] + w["embed_right.weight"][b] + w["state_in.weight"] @ state
            hidden = np.maximum(pre, np.float32(0))
            logits = w["unembed.weight"] @ hidden + w["unembed.bias"]
            answer = int(unique_argmax(logits[None])[0])
            answers.append(None if answer < 0 else answer)
            state = np.clip(w["state_out.weight"] @ hidden + w["state_out.bias"], np.float32(0), np.float32(1))
            assert state.dtype == logits.dtype == np.float32
        return answers


@dataclass(frozen=True)
class ExactWeights:
    """Every weight times 2^bits, as Python integers."""

    bits: int
    left: Rows
    right: Rows
    state_in: Rows
    state_out: Rows
    state_bias: Row
    unembed: Rows
    unembed_bias: Row

    @property
    def largest(self) -> int:
        """The largest |weight| of the output layers."""
        rows = (*self.unembed, *self.state_out, self.unembed_bias, self.state_bias)
        return max(abs(value) for row in rows for value in row)

    def run(self, stream: Sequence[Pair]) -> list[int | None]:
        """The answer at every step in exact arithmetic; None where several share the top."""
        one, k = 1 << self.bits, self.bits
        state, g = [0] * len(self.state_bias), 0  # over 2^g
        answers: list[int | None] = []
        for a, b in stream:
            hidden = [
                max(0, ((x + y) << g) + sum(map(mul, w, state)))
                for x, y, w in zip(self.left[a], self.right[b], self.state_in, strict=True)
            ]
            logits = _affine(self.unembed, hidden, self.unembed_bias, k + g)
            top = max(logits)
            answers.append(logits.index(top) if logits.count(top) == 1 else None)
            g += 2 * k
            raw = _affine(self.state_out, hidden, self.state_bias, g - k)
            state = [min(max(value, 0), one << (g - k)) for value in raw]
            state, g = _reduced(state, g)
        return answers


def _affine(rows: Rows, hidden: list[int], bias: Row, shift: int) -> list[int]:
    return [sum(map(mul, row, hidden)) + (v << shift) for row, v in zip(rows, bias, strict=True)]


def _reduced(state: list[int], g: int) -> tuple[list[int], int]:
    """The same state over the smallest power of two."""
    together = 0
    for value in state:
        together |= value
    spare = min(g, (together & -together).bit_length() - 1) if together else g
    return [value >> spare for value in state], g - spare


def load_recurrent(path: Path | str) -> RecurrentNet:
    """Reads and checks a recurrent snapshot. Raises UserError, one line, on anything else."""
    file = read_weights(path)
    header, tensors = file.metadata, file.tensors
    if header.get("format") != FORMAT:
        raise UserError(f"{path}: format = {header.get('format')!r}: a snapshot has format {FORMAT!r}")
    try:
        shape, described = json.loads(header["net"]), json.loads(header["task"])
        kind = shape["kind"]
        if kind != "recurrent":
            raise UserError(f"{path}: net = {kind!r}: a recurrent net with a clipped state is needed")
        task = stream_task_from(described)
        sizes = [shape[name] for name in ("n_left", "n_right", "n_answers", "n_state", "n_hidden")]
        tied = shape["tied"]
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise UserError(f"{path}: header = {type(error).__name__} {error}: train the run again") from None
    if any(type(size) is not int or not 0 < size <= MOST_UNITS for size in sizes) or type(tied) is not bool:
        raise UserError(f"{path}: net = {header['net']}: sizes from 1 to {MOST_UNITS} are needed")
    n_left, n_right, n_answers, n_state, n_hidden = sizes
    if n_answers < 2:
        raise UserError(f"{path}: n_answers = {n_answers}: at least two answers are needed")
    if (n_left, n_right, n_answers) != (task.n_left, task.n_right, task.n_answers):
        raise UserError(f"{path}: net = {header['net']}: its symbols are not those of {header['task']}")
    shapes: dict[str, tuple[int, ...]] = {
        "embed_left.weight": (n_left, n_hidden),
        "embed_right.weight": (n_right, n_hidden),
        "state_in.weight": (n_hidden, n_state),
        "state_out.weight": (n_state, n_hidden),
        "state_out.bias": (n_state,),
        "unembed.weight": (n_answers, n_hidden),
        "unembed.bias": (n_answers,),
    }
    if tied:
        if "embed_right.weight" in tensors or n_left != n_right:
            raise UserError(f"{path}: tied = true: one table for both symbols is needed")
        tensors = {**tensors, "embed_right.weight": tensors.get("embed_left.weight")}
    if set(tensors) != set(shapes) or any(tensor is None for tensor in tensors.values()):
        odd = sorted(set(tensors) ^ set(shapes))[:4]
        raise UserError(f"{path}: tensors = {odd} missing or unknown: train the run again")
    for name, expected in shapes.items():
        tensor = tensors[name]
        if tensor.dtype != np.float32 or tensor.shape != expected:
            raise UserError(f"{path}: {name} = {tensor.dtype} {tensor.shape}: float32 {expected} is needed")
        if not np.isfinite(tensor).all():
            raise UserError(f"{path}: {name} = not finite: train the run again")
    net = RecurrentNet(task, tensors, file.sha256)
    if net.bits > MOST_BITS:
        raise UserError(f"{path}: weights = multiples of 2^-{net.bits}: more than {MOST_BITS} bits, round them first")
    return net
