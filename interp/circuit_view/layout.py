"""Where every node of a circuit stands in the drawing: a band a group, neurons as a block ordered by frequency.

The bands follow the layers from left to right on a wide page, and from top to bottom on a phone.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import networkx as nx

STEP = 15.0
"""Distance of neurons."""
APART = 3.2
"""Distance of other nodes in steps, where there is room."""
MARGIN = 3
"""Of a band beside its nodes, in steps."""
TITLES = {"embed": "embed", "head": "heads", "mlp": "MLP", "neuron": "neurons", "logits": "logits"}


@dataclass(frozen=True)
class Frame:
    """A page: `fill` neurons side by side in a band, or heads as close as `closest` steps.

    All bands together are `length` long at least; `before` and `after` are the room beside them.
    """

    upright: bool
    fill: int
    closest: float
    length: float
    before: float
    after: float


WIDE = Frame(upright=False, fill=32, closest=2.0, length=720.0, before=40.0, after=16.0)
NARROW = Frame(upright=True, fill=19, closest=1.6, length=420.0, before=64.0, after=8.0)


@dataclass(frozen=True)
class Place:
    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Band:
    """A group of nodes; its title stands at (x, y)."""

    title: str
    names: tuple[str, ...]
    x: float
    y: float


@dataclass(frozen=True)
class Layout:
    frame: Frame
    width: float
    height: float
    bands: tuple[Band, ...]
    places: dict[str, Place]


def layout(circuit: nx.DiGraph, frame: Frame) -> Layout:
    """The bands side by side in the order of the layers, each centred."""
    groups: dict[tuple[int, str], list[str]] = defaultdict(list)
    for name, data in circuit.nodes(data=True):
        groups[data["layer"], data["kind"]].append(name)
    deep = max(layer for layer, _ in groups) > 1
    ranks = {key: -(-len(names) // frame.fill) if key[1] == "neuron" else 1 for key, names in groups.items()}
    least = frame.fill if frame.upright else 0
    span = max([least * STEP, *(len(n) / ranks[key] * _step(key[1], len(n), frame) for key, n in groups.items())])
    unit = max(STEP, frame.length / sum(n + MARGIN for n in ranks.values()))
    bands, places, end = [], {}, 0.0
    for (layer, kind), names in groups.items():
        if kind == "neuron":
            names = sorted(names, key=lambda name: _order(circuit, name))
        room = (ranks[layer, kind] + MARGIN) * unit
        middle, end = end + room / 2, end + room
        title = f"{TITLES[kind]} {layer}" if deep and kind not in ("embed", "logits") else TITLES[kind]
        bands.append(Band(title, tuple(names), *((0.0, middle + 5) if frame.upright else (middle, 18.0))))
        centre = frame.before + span / 2
        for name, along, across in _block(names, ranks[layer, kind], _step(kind, len(names), frame)):
            at = (centre + across, middle + along) if frame.upright else (middle + along, centre + across)
            places[name] = Place(*at, (0.36 if kind == "neuron" else 0.6) * STEP)
    whole = frame.before + span + frame.after
    return Layout(frame, *((whole, end) if frame.upright else (end, whole)), tuple(bands), places)


def _step(kind: str, n: int, frame: Frame) -> float:
    """Distance of nodes beside each other; many heads move closer together."""
    return STEP if kind == "neuron" else min(APART * STEP, max(frame.closest * STEP, frame.fill * STEP / n))


def _order(circuit: nx.DiGraph, name: str) -> tuple[bool, int, float]:
    """In the circuit first, by frequency, and by score within one."""
    data = circuit.nodes[name]
    return not data["in_circuit"], data["frequency"] or 0, -(data["score"] or 0.0)


def _block(names: list[str], ranks: int, step: float) -> list[tuple[str, float, float]]:
    """(name, along, across) from the middle of a band whose nodes fill it rank by rank."""
    across = -(-len(names) // ranks)
    return [
        (name, (i // across - (ranks - 1) / 2) * STEP, (i % across - (across - 1) / 2) * step)
        for i, name in enumerate(names)
    ]
