"""The softmax-free student: two embedding tables, one ReLU layer, a fixed cosine read-out; in floats or in integers.

    features_i(a, b) = offset_i + sum_j mix[j, i] * relu(left[a, j] + right[b, j])     i = cos k_1, sin k_1, cos k_2 ...
    logits_c(a, b)   = sum_i readout[i, c] * features_i(a, b)

Evaluation is numpy: int64 for an integer student, so every number it gives is exact; float64 for a float student.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64, Shaped
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from pipeline.errors import UserError
from pipeline.files import sorted_header, write_atomically
from pipeline.tasks import ModularTask

INTEGER_FORMAT = "catapult-student-1"
FLOAT_FORMAT = "catapult-student-float-1"
NO_ANSWER = -1


@dataclass(frozen=True)
class Student:
    """`right` is None where both inputs share one table (tied, for addition); it is then stored and counted once."""

    task: ModularTask
    frequencies: tuple[int, ...]
    left: Shaped[np.ndarray, "p n"]
    right: Shaped[np.ndarray, "p n"] | None
    mix: Shaped[np.ndarray, "n m"]
    offset: Shaped[np.ndarray, " m"]
    readout: Shaped[np.ndarray, "m p"]

    @property
    def integer(self) -> bool:
        return self.left.dtype.kind == "i"

    @property
    def tensors(self) -> dict[str, NDArray]:
        """What is stored, at the stored width."""
        named = {"left": self.left, "right": self.right, "mix": self.mix, "offset": self.offset}
        return {name: value for name, value in named.items() if value is not None} | {"readout": self.readout}

    @property
    def parameters(self) -> int:
        """Every stored number, read-out table included."""
        return sum(value.size for value in self.tensors.values())

    @property
    def bytes(self) -> int:
        return sum(value.nbytes for value in self.tensors.values())

    def features(self) -> Shaped[np.ndarray, "pair m"]:
        """All inputs in the order of ModularTask.pairs; int64 and exact for an integer student."""
        wide = np.int64 if self.integer else np.float64
        left = self.left.astype(wide)
        right = left if self.right is None else self.right.astype(wide)
        hidden = np.maximum(left[:, None] + right[None], 0).reshape(-1, left.shape[1])
        return hidden @ self.mix.astype(wide) + self.offset.astype(wide)

    def logits(self) -> Shaped[np.ndarray, "pair p"]:
        features = self.features()
        return features @ self.readout.astype(features.dtype)

    def answers(self) -> Int64[np.ndarray, " pair"]:
        """argmax over c; NO_ANSWER where two candidates share the largest logit."""
        return unique_argmax(self.logits())

    def wrong(self) -> int:
        """Inputs, of all p^2, where the student does not name the task's answer; counted exactly."""
        return int((self.answers() != self.task.answers()).sum())


def unique_argmax(logits: Shaped[np.ndarray, "batch p"]) -> Int64[np.ndarray, " batch"]:
    """argmax over c; NO_ANSWER, which is never right, where two candidates share the largest logit."""
    tied = (logits == logits.max(1, keepdims=True)).sum(1) > 1
    return np.where(tied, NO_ANSWER, logits.argmax(1))


def cosine_readout(p: int, frequencies: tuple[int, ...]) -> Shaped[np.ndarray, "m p"]:
    """Rows cos, sin(2 pi k c / p) for each k, so that column s . column c = sum_k cos(2 pi k (s - c) / p)."""
    angle = 2 * np.pi * np.outer(frequencies, np.arange(p)) / p
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).reshape(-1, p)


def narrowest(values: NDArray[np.int64]) -> NDArray:
    """The same integers at the narrowest of int8, int16, int32, int64 that holds them."""
    low, high = int(values.min()), int(values.max())
    for width in (np.int8, np.int16, np.int32):
        if np.iinfo(width).min <= low and high <= np.iinfo(width).max:
            return values.astype(width)
    return values.astype(np.int64)


def save_student(path: Path, student: Student) -> None:
    """One safetensors file, whole or not at all; equal students are equal bytes."""
    header = {
        "format": INTEGER_FORMAT if student.integer else FLOAT_FORMAT,
        "p": str(student.task.p),
        "operation": student.task.operation,
        "frequencies": json.dumps(list(student.frequencies)),
    }
    tensors = {name: np.ascontiguousarray(value) for name, value in student.tensors.items()}
    write_atomically(path, sorted_header(save(tensors, metadata=header)))


def load_student(path: Path) -> Student:
    """Raises UserError where the file is not a student."""
    try:
        with safe_open(path, framework="numpy") as file:
            header: dict[str, str] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        if header.get("format") not in (INTEGER_FORMAT, FLOAT_FORMAT):
            raise UserError(f"{path}: format is {header.get('format')!r}, not {INTEGER_FORMAT}; compress the run again")
        return Student(
            ModularTask(int(header["p"]), header["operation"]),  # pyright: ignore[reportArgumentType] (it checks)
            tuple(json.loads(header["frequencies"])),
            tensors["left"],
            tensors.get("right"),
            tensors["mix"],
            tensors["offset"],
            tensors["readout"],
        )
    except FileNotFoundError:
        raise UserError(f"{path}: no such student; make one with `python -m compress`") from None
    except (SafetensorError, KeyError, ValueError) as error:
        raise UserError(f"{path}: not a readable student ({error}); compress the run again") from None
