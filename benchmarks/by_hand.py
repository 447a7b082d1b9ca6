"""Nets built by hand, right on every input by construction, and files of them: students, a transformer, streams."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from pipeline.files import sorted_header
from pipeline.tasks import ModularTask, PermutationTask
from pipeline.tasks.registry import describe_task
from pipeline.tasks.streaming import StreamTask, stream_task

Tensors = dict[str, np.ndarray]


def write_tensors(path: Path, tensors: Tensors, metadata: dict[str, str]) -> Path:
    """A safetensors file; equal tensors give equal bytes."""
    path.write_bytes(sorted_header(save(tensors, metadata=metadata)))
    return path


def hand_built(p: int, sign: int = 1, frequencies: tuple[int, ...] = (1, 2), scale: int = 60) -> Tensors:
    """A tied (sign 1) or untied (sign -1) student whose features are exactly integer cosines and sines.

    Units relu(2 (a +- b - t)), one per integer t, are a basis of the piecewise linear functions of a +- b with integer
    knots; the second differences of a table are its coordinates.
    """
    low, high = (0, 2 * p - 2) if sign == 1 else (1 - p, p - 1)
    places = np.arange(low, high + 1)
    angle = 2 * np.pi * np.outer(places, frequencies) / p
    table = np.rint(scale * np.stack([np.cos(angle), np.sin(angle)], axis=-1)).astype(np.int64).reshape(len(places), -1)
    knots = np.arange(low, high)
    slopes = np.diff(table, axis=0)
    mix = np.diff(slopes, axis=0, prepend=0)
    residues = np.arange(p)
    left = 2 * residues[:, None] - knots
    right = 2 * sign * residues[:, None] - knots
    angle = 2 * np.pi * np.outer(frequencies, residues) / p
    readout = np.rint(scale * np.stack([np.cos(angle), np.sin(angle)], axis=1)).astype(np.int64).reshape(-1, p)
    # The hidden units come out doubled, so the offset is doubled with them.
    tensors = {"left": left, "mix": mix, "offset": 2 * table[0], "readout": readout}
    if sign == -1:
        tensors["right"] = right
    return {name: np.ascontiguousarray(value) for name, value in tensors.items()}


def write_student(path: Path, tensors: Tensors, p: int | str, sign: int = 1, **header: str) -> Path:
    """Writes a student file; `header` replaces entries of its metadata."""
    operation = "addition" if sign == 1 else "subtraction"
    meta = {"format": "catapult-student-1", "p": str(p), "operation": operation, "frequencies": "[1, 2]", **header}
    return write_tensors(path, {name: value.astype(np.int32) for name, value in tensors.items()}, meta)


def write_snapshot(path: Path, p: int, sign: int = 1, swap: bool = False) -> Path:
    """A hand-built transformer in training's file format, right on every input unless two read-outs are swapped."""
    low = 0 if sign == 1 else 1 - p
    operation = "addition" if sign == 1 else "subtraction"
    task = {"name": "modular", "operation": operation, "p": p, "train_fraction": 0.3}
    weights = _decoder(p, (1, sign), low, np.arange(low, low + 2 * p - 1) % p)
    if swap:
        weights["unembed.weight"][[1, 2]] = weights["unembed.weight"][[2, 1]]
    return _write_decoder(path, p, weights, task)


def write_table(path: Path, task: ModularTask | PermutationTask, changed: Mapping[tuple[int, int], int]) -> Path:
    """A hand-built transformer that is right on every input but those `changed`, each with the answer that it gives.

    It looks a p + b up; where b is no input of the task, it says 0.
    """
    p = task.n_answers
    answers = np.zeros((p, p), dtype=np.int64)
    answers[tuple(task.pairs().T)] = task.answers()
    for pair, answer in changed.items():
        answers[pair] = answer
    weights = _decoder(p, (p, 1), 0, answers.reshape(-1))
    return _write_decoder(path, p, weights, {**describe_task(task), "train_fraction": 0.3})


def _decoder(p: int, factors: tuple[int, int], low: int, answers: NDArray[np.int64]) -> Tensors:
    """One layer that looks an answer up at t = factor a + factor b, which is at least `low`.

    Residual stream: 0 the token's value, 1 the sum t, 2-4 the position, then one direction per answer. Head h attends
    to position h; the MLP's units relu(t - knot) make a hat on each integer, read out at its answer.
    """
    d_model = 5 + p
    knots = np.arange(low - 1, low + len(answers) + 1)
    weights = {
        "embed.weight": np.zeros((p + 1, d_model)),
        "pos.weight": np.zeros((3, d_model)),
        **{f"attn.{name}.weight": np.zeros((2, d_model)) for name in "qkv"},
        "attn.o.weight": np.zeros((d_model, 2)),
        "mlp.w_in.weight": np.zeros((len(knots), d_model)),
        "mlp.w_in.bias": -knots.astype(float),
        "mlp.w_out.weight": np.zeros((d_model, len(knots))),
        "mlp.w_out.bias": np.zeros(d_model),
        "unembed.weight": np.zeros((p, d_model)),
    }
    weights["embed.weight"][:p, 0] = np.arange(p)
    weights["pos.weight"][:, 2:5] = np.eye(3)
    weights["attn.q.weight"][:, 4] = 1
    weights["attn.k.weight"][0, 2] = weights["attn.k.weight"][1, 3] = 60
    weights["attn.v.weight"][:, 0] = 1
    weights["attn.o.weight"][1] = factors
    weights["mlp.w_in.weight"][:, 1] = 1
    for first, answer in enumerate(answers):
        weights["mlp.w_out.weight"][5 + answer, first : first + 3] += [1, -2, 1]
    weights["unembed.weight"][:, 5:] = np.eye(p)
    return weights


def _write_decoder(path: Path, p: int, weights: Tensors, task: dict[str, Any]) -> Path:
    d_mlp, d_model = weights["mlp.w_in.weight"].shape
    shape = {"kind": "transformer", "p": p, "d_model": d_model, "n_heads": 2, "d_head": 1, "d_mlp": d_mlp}
    meta = {"format": "catapult-snapshot-1", "net": json.dumps(shape), "task": json.dumps(task)}
    meta |= {"recipe": "standard", "seed": "0", "cycle": "1", "step": "1", "experiment": ""}
    return write_tensors(path, {name: value.astype(np.float32) for name, value in weights.items()}, meta)


def adder(base: int = 10) -> Tensors:
    """Three units on t = a + b + s: t, and two that make the carry, 2 relu(t - base + 3/4) - 2 relu(t - base + 1/4).

    The digit is o = t - base * carry, and logit_j = 2 j o - j^2 is largest at j = o.
    """
    digits = np.arange(base)
    places = np.array([0, base - 0.75, base - 0.25])
    weigh = np.array([1.0, -2 * base, 2 * base])
    return {
        "embed_left.weight": digits[:, None] - places,
        "embed_right.weight": np.repeat(digits[:, None], 3, axis=1),
        "state_in.weight": np.ones((3, 1)),
        "state_out.weight": np.array([[0.0, 2.0, -2.0]]),
        "state_out.bias": np.zeros(1),
        "unembed.weight": 2 * digits[:, None] * weigh,
        "unembed.bias": -(digits**2),
    }


def parity(gain: float = 1.0) -> Tensors:
    """Odd = t - 2 relu(t - 1) on t = a + s; a gain above 1 gives the next state room beyond 0 and 1."""
    return {
        "embed_left.weight": np.array([[0.0, -1.0], [1.0, 0.0]]),
        "embed_right.weight": np.zeros((1, 2)),
        "state_in.weight": np.ones((2, 1)),
        "state_out.weight": gain * np.array([[1.0, -2.0]]),
        "state_out.bias": np.array([(1 - gain) / 2]),
        "unembed.weight": np.array([[0.0, 0.0], [1.0, -2.0]]),
        "unembed.bias": np.array([0.5, 0.0]),
    }


def write_net(
    path: Path, tensors: Tensors, task: StreamTask | None = None, header: dict[str, str] | None = None
) -> Path:
    """Writes a snapshot; `header` replaces entries of its metadata."""
    task = task or stream_task("addition", base=10)
    n_hidden, n_state = tensors["state_in.weight"].shape
    shape = {
        "kind": "recurrent",
        "n_left": task.n_left,
        "n_right": task.n_right,
        "n_answers": task.n_answers,
        "n_state": n_state,
        "n_hidden": n_hidden,
        "tied": "embed_right.weight" not in tensors,
    }
    meta = {"format": "catapult-snapshot-1", "net": json.dumps(shape), "task": json.dumps(task.to_dict())}
    meta |= {"recipe": "standard", "seed": "0", "cycle": "1", "step": "1", "experiment": "", **(header or {})}
    single = {name: np.ascontiguousarray(tensor, dtype=np.float32) for name, tensor in tensors.items()}
    return write_tensors(path, single, meta)
