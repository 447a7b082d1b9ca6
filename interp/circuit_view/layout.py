"""Where every node of a circuit stands in the drawing: a column a group, neurons as a block ordered by frequency."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import networkx as nx

WIDTH, TOP, BOTTOM = 720.0, 58.0, 24.0
ROWS = 32
"""Nodes above each other in a block of neurons."""
STEP = 15.0
"""Distance of neurons; of other nodes, `APART` of it."""
APART = 3.2
MARGIN = 3
"""Width of a column beside its nodes, in nodes."""


@dataclass(frozen=True)
class Place:
    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Column:
    """A group of nodes, `names` in the order in which they stand; `x` is the middle."""

    title: str
    names: tuple[str, ...]
    across: int
    x: float


@dataclass(frozen=True)
class Layout:
    width: float
    height: float
    columns: tuple[Column, ...]
    places: dict[str, Place]


TITLES = {"embed": "embed", "head": "heads", "mlp": "MLP", "neuron": "neurons", "logits": "logits"}


def layout(circuit: nx.DiGraph) -> Layout:
    """The columns side by side in the order of the layers, each centred on the same height."""
    groups: dict[tuple[int, str], list[str]] = defaultdict(list)
    for name, data in circuit.nodes(data=True):
        groups[data["layer"], data["kind"]].append(name)
    deep = max(layer for layer, _ in groups) > 1
    across = {key: -(-len(names) // ROWS) if key[1] == "neuron" else 1 for key, names in groups.items()}
    tall = max(len(names) / across[key] * _step(key[1], len(names)) for key, names in groups.items())
    height = TOP + tall + BOTTOM
    unit = max(STEP, WIDTH / sum(n + MARGIN for n in across.values()))
    columns, places, left = [], {}, 0.0
    for (layer, kind), names in groups.items():
        wide = across[layer, kind]
        if kind == "neuron":
            names = sorted(names, key=lambda name: _order(circuit, name))
        middle = left + (wide + MARGIN) * unit / 2
        title = f"{TITLES[kind]} {layer}" if deep and kind not in ("embed", "logits") else TITLES[kind]
        columns.append(Column(title, tuple(names), wide, middle))
        places.update(_places(names, wide, middle, (TOP + height - BOTTOM) / 2, kind))
        left = middle + (wide + MARGIN) * unit / 2
    return Layout(left, height, tuple(columns), places)


def _step(kind: str, n: int) -> float:
    """Distance of nodes above each other; many heads move closer together."""
    return STEP if kind == "neuron" else min(APART * STEP, max(2 * STEP, ROWS * STEP / n))


def _order(circuit: nx.DiGraph, name: str) -> tuple[bool, int, float]:
    """In the circuit first, by frequency, and by score within one."""
    data = circuit.nodes[name]
    return not data["in_circuit"], data["frequency"] or 0, -(data["score"] or 0.0)


def _places(names: list[str], across: int, x: float, y: float, kind: str) -> dict[str, Place]:
    """Nodes fill a block column by column."""
    rows, step = -(-len(names) // across), _step(kind, len(names))
    radius = 0.36 * STEP if kind == "neuron" else 0.6 * STEP
    return {
        name: Place(x + (i // rows - (across - 1) / 2) * STEP, y + (i % rows - (rows - 1) / 2) * step, radius)
        for i, name in enumerate(names)
    }
