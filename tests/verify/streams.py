"""Recurrent nets built by hand, right for every length by construction, and files of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from pipeline.tasks.streaming import StreamTask, stream_task

Tensors = dict[str, np.ndarray]


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
    meta |= {"recipe": "standard", "seed": "0", "cycle": "1", "step": "1", **(header or {})}
    save_file({name: np.ascontiguousarray(t, dtype=np.float32) for name, t in tensors.items()}, path, metadata=meta)
    return path
