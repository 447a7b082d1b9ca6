"""Whether a circuit needs its edges: each kept edge has an input on which its removal changes the answer.

`prune` takes away what cannot matter (no path from an embedding to the logits); `minimal` takes edges away, weakest
first, as long as no answer changes on any of the inputs, until none can go: a set that is minimal by single edges (the
1-minimality of delta debugging, Zeller and Hildebrandt 2002). Nothing is said about inputs that were not tried.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from interp.circuits.curve import Evaluator
from interp.circuits.removal import Removal
from interp.graph import Graph


def prune(graph: Graph, kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The kept edges that lie on a kept path from an embedding to the logits. The circuit computes the same."""
    fed = np.array([node.kind == "embed" for node in graph.nodes])
    heard = np.zeros(len(graph.nodes), dtype=bool)
    heard[-1] = True
    ends = graph.ends[kept]
    for sender, receiver in ends[np.argsort(ends[:, 1], kind="stable")].tolist():
        fed[receiver] |= fed[sender]
    for sender, receiver in ends[np.argsort(-ends[:, 0], kind="stable")].tolist():
        heard[sender] |= heard[receiver]
    return kept & fed[graph.ends[:, 0]] & heard[graph.ends[:, 1]]


def changed_answers(evaluator: Evaluator, kept: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Per edge, on how many inputs the circuit's answer changes when that edge is removed; 0 for edges not in it."""
    circuit, changes = Removal(evaluator, kept), np.zeros(len(kept), dtype=np.int64)
    for edge in np.flatnonzero(kept).tolist():
        changes[edge] = int((circuit.without(edge).argmax(1) != circuit.answers).sum())
    return changes


def minimal(evaluator: Evaluator, kept: NDArray[np.bool_], order: NDArray[np.int64]) -> NDArray[np.bool_]:
    """A part of the circuit that gives its answers on every input and of which every edge is necessary.

    Edges are tried one by one, weakest first, and again until a whole round removes none. Each round starts from a run.
    """
    answers = Removal(evaluator, kept).answers
    while True:
        circuit = Removal(evaluator, prune(evaluator.stream.graph, kept))
        for edge in order[circuit.kept[order]][::-1].tolist():
            if bool((circuit.without(edge).argmax(1) == answers).all()):
                circuit.remove(edge)
        if circuit.kept.sum() == kept.sum():
            return kept
        kept = circuit.kept
