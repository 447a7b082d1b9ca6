"""How alike two circuits are: weighted Jaccard similarity of the scores of their edges.

With s and t the scores, each divided by the sum of its magnitudes,

    J(s, t) = sum_e min(|s_e|, |t_e|) / sum_e max(|s_e|, |t_e|),

where the signs differ the minimum is 0 and the maximum |s_e| + |t_e|. 1 for equal scores, 0 for circuits without a
common edge. Tigges et al. 2024 follow circuits over training by the Jaccard similarity of their edges; with weights no
size of a circuit has to be chosen. The floor is the similarity that is left when the second net's neurons and heads are
renamed at random: circuits of the same make that share no part.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from interp.graph import Graph

FLOOR_DRAWS = 5


def similarity(s: NDArray[np.float64], t: NDArray[np.float64]) -> float:
    """J of two arrays of edge scores; nan where one of them is 0 throughout or not finite."""
    sizes = np.abs(s).sum(), np.abs(t).sum()
    if not all(np.isfinite(size) and size > 0 for size in sizes):
        return float("nan")
    s, t = s / sizes[0], t / sizes[1]
    least = np.where(s * t > 0, np.minimum(np.abs(s), np.abs(t)), 0.0)
    return float(least.sum() / (2 - least.sum()))


def similarity_floor(graph: Graph, s: NDArray[np.float64], t: NDArray[np.float64], seed: int = 0) -> float:
    """Mean J over `FLOOR_DRAWS` random renamings of t's heads and neurons, each within its layer."""
    rng = np.random.default_rng(seed)
    return float(np.mean([similarity(s, renamed(graph, t, rng)) for _ in range(FLOOR_DRAWS)]))


def renamed(graph: Graph, edges: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """The scores of the same net with its heads and neurons in another order."""
    orders = [
        rng.permutation(group.size) if group.kind in ("head", "neuron") else np.arange(group.size)
        for group in graph.groups
    ]
    found = np.empty_like(edges)
    for link in graph.links:
        part = edges[link.start : link.stop].reshape(link.senders, link.receivers)
        senders = orders[link.sender] if link.first == 0 else np.arange(link.senders)
        found[link.start : link.stop] = part[senders][:, orders[link.receiver]].ravel()
    return found
