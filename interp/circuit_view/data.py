"""What the script of the page works on, kept small: scores of three digits, spectra as integers, the circuit's edges.

Of very many edges the page has the strongest, and the strongest of each node.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import networkx as nx

from interp.circuits.circuit import kept_part

HELD = 15000
"""How many edges, the strongest, are on the page; of others only those among the `LISTED` strongest of a node."""
LISTED = 8
PARTS = 10000
"""Spectra are integers, in these parts of 1."""


def page_data(circuit: nx.DiGraph, held: int = HELD) -> dict[str, Any]:
    """Tokens, nodes, and edges [sender, receiver, score, changes] by number of node."""
    index = {name: i for i, name in enumerate(circuit.nodes)}
    part = kept_part(circuit)
    nodes = []
    for name, data in circuit.nodes(data=True):
        degree = [part.out_degree(name), part.in_degree(name)] if name in part else [0, 0]
        node = {"name": name, "score": _short(data["score"]), "in": data["in_circuit"], "degree": degree}
        if data["spectrum"] is not None:
            node["spectrum"] = [round(PARTS * share) for share in data["spectrum"]]
        if data["kind"] == "neuron":
            node["frequency"] = data["frequency"]
        if data.get("attention") is not None:
            node["attention"] = [_short(float(share)) for share in data["attention"]]
        nodes.append(node)
    edges = [[index[s], index[r], _short(score), *_known(changes)] for s, r, score, changes in _held(part, held)]
    tokens = [name.removeprefix("embed.") for name, kind in circuit.nodes(data="kind") if kind == "embed"]
    fixed = {"inputs": circuit.graph["n_inputs"], "parts": PARTS, "listed": LISTED}
    return {"tokens": tokens, "nodes": nodes, "edges": edges, **fixed}


def _held(part: nx.DiGraph, most: int) -> list[tuple[str, str, float | None, int | None]]:
    """The edges of the page, strongest first."""
    edges = [(s, r, data["score"], data["changes"]) for s, r, data in part.edges(data=True)]
    edges.sort(key=lambda edge: -abs(edge[2] or 0.0))
    seen: dict[tuple[str, int], int] = defaultdict(int)
    held = []
    for i, edge in enumerate(edges):
        ends = [(edge[0], 0), (edge[1], 1)]
        if i < most or any(seen[end] < LISTED for end in ends):
            held.append(edge)
        for end in ends:
            seen[end] += 1
    return held


def _known(changes: int | None) -> list[int]:
    return [] if changes is None else [changes]


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.3g}")
