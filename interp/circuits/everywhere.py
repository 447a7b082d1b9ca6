"""What is measured on every pair of the task: a circuit's answers against the net's own, and where heads look.

Each pair has a random corrupted pair of another answer, as in `contrast`; all edges outside the circuit carry that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from interp.attribution.activations import activations
from interp.attribution.edge_run import run_edges
from interp.attribution.metric import contrast
from interp.attribution.stream import Stream
from pipeline.tasks import Task

ROWS = 512
"""Pairs at a time."""


@dataclass(frozen=True)
class Everywhere:
    """Shares of all pairs, and by layer the heads' mean attention from the last position to every position.

    `agreement`: the circuit gives the net's own answer; `accuracy`: it gives the right one.
    """

    agreement: float
    accuracy: float
    attention: dict[int, Float[Tensor, "head pos"]]


@torch.no_grad()
def everywhere(stream: Stream, task: Task, kept: NDArray[Any], seed: int = 0) -> Everywhere:
    """Run the net and its circuit `kept`, one bool an edge, on the whole domain."""
    pairs, answers = torch.from_numpy(task.pairs()), torch.zeros(task.n_left, task.n_right, dtype=torch.int64)
    answers[pairs[:, 0], pairs[:, 1]] = torch.from_numpy(task.answers())
    clean, corrupted, _ = contrast(task, len(pairs), seed)
    mask = torch.from_numpy(kept[None]).to(stream.net.unembed.weight.dtype)
    same, right = 0, 0
    looks = _Looks(stream)
    for here, there in zip(clean.split(ROWS), corrupted.split(ROWS), strict=True):
        own = stream.net.run_with_hooks(here, fwd_hooks=looks.hooks()).argmax(1)
        found = run_edges(stream, here, activations(stream, there), mask)[0].argmax(1)
        same += int((found == own).sum())
        right += int((found == answers[here[:, 0], here[:, 1]]).sum())
    n = len(clean)
    return Everywhere(same / n, right / n, {layer: total / n for layer, total in looks.total.items()})


class _Looks:
    """Attention from the last position, summed over the pairs that were run."""

    def __init__(self, stream: Stream) -> None:
        self.total: dict[int, Tensor] = {}
        self.names = {
            layer: f"{block.z.removesuffix('hook_z')}hook_pattern"
            for layer, block in enumerate(stream.blocks)
            if block.z is not None and len(block.w_o)
        }

    def hooks(self) -> list[Any]:
        return [(name, self._keep(layer)) for layer, name in self.names.items()]

    def _keep(self, layer: int) -> Any:
        def add(pattern: Tensor, hook: Any) -> Tensor:
            last = pattern if pattern.ndim == 3 else pattern[:, :, -1]
            self.total[layer] = self.total.get(layer, 0) + last.double().sum(0)
            return pattern

        return add
