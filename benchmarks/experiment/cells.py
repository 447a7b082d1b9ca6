"""The grid: a base cell, and cells that differ from it in one factor (and in the budget where that says so)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, cast

from pipeline.nets import MlpConfig
from pipeline.tasks import ModularTask, Operation, PermutationTask

P = 37
SMALLEST = 16
"""The smallest width that fits; `python -m benchmarks.catapult --smallest` finds it."""

EMBED_STD = 0.2
EVERY = 5
"""Steps between two looks at the held-out pairs."""


@dataclass(frozen=True)
class Cell:
    """`depth` hidden layers of `width` units, GELU, on two embeddings of that width; the whole training set a step.

    `operation` is one of the modular ones, mod P, or S5. `regulariser`: `penalty` is weight decay and the norm
    penalty, `decay` is weight decay alone.
    """

    name: str
    factor: str
    operation: str = "addition"
    fraction: float = 0.5
    depth: int = 2
    width: int = 48
    regulariser: Literal["penalty", "decay", "none"] = "penalty"
    optimizer: Literal["adamw", "muon"] = "adamw"
    steps: int = 250

    @property
    def task(self) -> ModularTask | PermutationTask:
        return PermutationTask(5) if self.operation == "S5" else ModularTask(P, cast(Operation, self.operation))

    @property
    def net(self) -> MlpConfig:
        task, width = self.task, self.width
        return MlpConfig(
            task.n_left, task.n_right, task.n_answers, d_embed=width, widths=(width,) * self.depth, activation="gelu"
        )


def parameters(net: MlpConfig) -> int:
    """Weights of the net; it has no biases."""
    sizes = [2 * net.d_embed, *net.widths, net.n_answers]
    return (net.n_left + net.n_right) * net.d_embed + sum(m * n for m, n in pairwise(sizes))


def width_of(times: float) -> int:
    """The width whose net has nearest to `times` the weights of the smallest that fits."""
    target = times * parameters(Cell("", "", width=SMALLEST).net)
    return min(range(SMALLEST, 1000), key=lambda width: abs(parameters(Cell("", "", width=width).net) - target))


BASE = Cell("base", "base")


def _cells() -> tuple[Cell, ...]:
    def cell(name: str, factor: str, **changes: object) -> Cell:
        return replace(BASE, name=name, factor=factor, **changes)  # pyright: ignore[reportArgumentType]

    return (
        BASE,
        *(cell(f"fraction {x}", "train fraction", fraction=x) for x in (0.4, 0.35, 0.25)),
        *(cell(f"depth {x}", "depth", depth=x) for x in (1, 4)),
        cell("width x1", "width", width=width_of(1)),
        cell("width x30", "width", width=width_of(30), steps=100),
        cell("width x100", "width", width=width_of(100), steps=80),
        cell("no norm penalty", "regularisation", regulariser="decay"),
        cell("no regulariser", "regularisation", regulariser="none"),
        cell("Muon", "optimiser", optimizer="muon"),
        cell("multiplication", "task", operation="multiplication"),
        cell("quadratic form", "task", operation="quadratic_form"),
        cell("S5", "task", operation="S5", steps=80),
    )


CELLS = {cell.name: cell for cell in _cells()}
