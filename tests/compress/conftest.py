"""Teachers whose answers are known by construction."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from compress.teacher import Teacher
from pipeline.nets import Transformer, TransformerConfig
from pipeline.runs import Snapshot
from pipeline.tasks import ModularTask, Operation

FRACTION = 0.3


@pytest.fixture
def clock() -> Callable[..., Teacher]:
    """A teacher whose logits are sum_k amplitude_k cos(2 pi k (a +- b - c) / p)."""

    def make(p: int, operation: Operation = "addition", amplitudes: dict[int, float] | None = None) -> Teacher:
        task = ModularTask(p, operation)
        away = task.answers()[:, None] - np.arange(p)
        waves = amplitudes or {k: 1.0 for k in range(1, p // 2 + 1)}
        logits = np.sum([size * np.cos(2 * np.pi * k * away / p) for k, size in waves.items()], axis=0)
        transfer = np.zeros(p * p, dtype=bool)
        transfer[task.split(FRACTION, 0)[1]] = True
        return Teacher(task, logits, transfer)

    return make


@pytest.fixture
def memoriser() -> Callable[[int], Teacher]:
    """Right on the training pairs, random on all others."""

    def make(p: int) -> Teacher:
        task = ModularTask(p)
        train, held_out = task.split(FRACTION, 0)
        logits = np.random.default_rng(0).normal(size=(p * p, p))
        logits[train, task.answers()[train]] += 20
        transfer = np.zeros(p * p, dtype=bool)
        transfer[held_out] = True
        return Teacher(task, logits, transfer)

    return make


@pytest.fixture
def untrained() -> Snapshot:
    """A small transformer with seeded random weights, biases included."""
    torch.manual_seed(0)
    net = Transformer(TransformerConfig(11, d_model=16, n_heads=3, d_head=4, d_mlp=12)).eval()
    with torch.no_grad():
        for value in net.parameters():
            value.normal_(0, 0.8)
    return Snapshot(net, ModularTask(11), FRACTION, "untrained", 0, 0, 0)
