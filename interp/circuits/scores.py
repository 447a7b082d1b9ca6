"""The scores of a circuit's components as tensors: in which order pruning may take them."""

from __future__ import annotations

import networkx as nx
import torch
from jaxtyping import Float
from torch import Tensor


def component_scores(circuit: nx.DiGraph) -> tuple[Float[Tensor, " head"], Float[Tensor, " neuron"]]:
    """Scores of the heads and of the neurons, layer by layer in the net's order; 0 where the method gives none.

    A circuit of whole MLPs has no neurons.
    """
    return _of(circuit, "head"), _of(circuit, "neuron")


def _of(circuit: nx.DiGraph, kind: str) -> Float[Tensor, " component"]:
    nodes = [node for node in circuit.nodes.values() if node["kind"] == kind]
    nodes.sort(key=lambda node: (node["layer"], node["index"]))
    return torch.tensor([node["score"] or 0.0 for node in nodes], dtype=torch.float64)
