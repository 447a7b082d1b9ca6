"""The units of a net and the edges between them, as names and positions in arrays: no weights, no torch.

Nodes are the embedding of each position, each head, each MLP (or each neuron) and the logits. An edge joins a sender
to a receiver where the sender's output is a term of the receiver's input (Elhage et al. 2021: the residual stream).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["embed", "head", "mlp", "neuron", "logits"]


@dataclass(frozen=True)
class Group:
    """Nodes of one kind and layer, `size` of them from `start` on; `at_last` where they live at the last position."""

    kind: Kind
    layer: int
    start: int
    size: int
    at_last: bool


@dataclass(frozen=True)
class Link:
    """The edges from the senders `first`... of one group to every receiver of another.

    They stand in the edge array from `start` on, as a matrix [senders, receivers] in row order.
    """

    sender: int
    receiver: int
    first: int
    senders: int
    receivers: int
    start: int

    @property
    def stop(self) -> int:
        return self.start + self.senders * self.receivers


@dataclass(frozen=True)
class Node:
    """One unit: `layer` counts from 0 (-1 for the embedding), `index` within its group."""

    name: str
    kind: Kind
    layer: int
    index: int


@dataclass(frozen=True)
class Graph:
    """Nodes in an order in which every edge goes forward."""

    nodes: tuple[Node, ...]
    groups: tuple[Group, ...]
    links: tuple[Link, ...]

    @property
    def n_edges(self) -> int:
        return self.links[-1].stop

    @property
    def n_senders(self) -> int:
        """Every node but the logits, which come last."""
        return len(self.nodes) - 1

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        """[edge, 2]: node numbers of sender and receiver."""
        parts = []
        for link in self.links:
            sender = self.groups[link.sender].start + link.first + np.arange(link.senders)
            receiver = self.groups[link.receiver].start + np.arange(link.receivers)
            parts.append(np.stack(np.meshgrid(sender, receiver, indexing="ij"), axis=-1).reshape(-1, 2))
        return np.concatenate(parts)

    @cached_property
    def edge_names(self) -> tuple[tuple[str, str], ...]:
        names = [node.name for node in self.nodes]
        return tuple((names[s], names[r]) for s, r in self.ends.tolist())

    def links_into(self, receiver: int) -> tuple[Link, ...]:
        """The links whose receivers are the group of that number."""
        return tuple(link for link in self.links if link.receiver == receiver)

    def sum_over_outgoing(self, edges: NDArray[np.float64]) -> NDArray[np.float64]:
        """Per node, the sum of its outgoing edges; NaN for the logits, which send nothing."""
        total = np.bincount(self.ends[:, 0], weights=edges, minlength=len(self.nodes)).astype(np.float64)
        total[-1] = np.nan
        return total


def graph_of(
    tokens: Sequence[str], heads: Sequence[int], neurons: Sequence[int] | None, residual: bool = True
) -> Graph:
    """The graph of a transformer with `heads[l]` heads in layer l; `neurons[l]` neurons there, or None for whole MLPs.

    The last layer is read at the last position only, so that no embedding but the last one reaches its MLP or the
    logits in one step. Without `residual` it is a multilayer perceptron: each layer reads the one before it, and there
    are no heads.
    """
    groups: list[Group] = []
    nodes: list[Node] = []

    def add(kind: Kind, layer: int, names: Sequence[str], at_last: bool) -> None:
        groups.append(Group(kind, layer, len(nodes), len(names), at_last))
        nodes.extend(Node(name, kind, layer, i) for i, name in enumerate(names))

    add("embed", -1, [f"embed.{token}" for token in tokens], False)
    for layer, n_heads in enumerate(heads):
        last = layer + 1 == len(heads)
        if residual:
            add("head", layer, [f"head.{layer}.{i}" for i in range(n_heads)], last)
        if neurons is None:
            add("mlp", layer, [f"mlp.{layer}"], last)
        else:
            add("neuron", layer, [f"neuron.{layer}.{i}" for i in range(neurons[layer])], last)
    add("logits", len(heads), ["logits"], True)
    return Graph(tuple(nodes), tuple(groups), _links(groups, len(tokens), residual))


def _links(groups: Sequence[Group], n_tokens: int, residual: bool) -> tuple[Link, ...]:
    links: list[Link] = []
    for r, receiver in enumerate(groups):
        reads_last = residual and receiver.at_last and receiver.kind != "head"
        for s, sender in enumerate(groups[:r]):
            if not residual and s + 1 < r:
                continue
            first = n_tokens - 1 if sender.kind == "embed" and reads_last else 0
            start = links[-1].stop if links else 0
            links.append(Link(s, r, first, sender.size - first, receiver.size, start))
    return tuple(links)


def describe(graph: Graph) -> dict[str, Any]:
    """The graph as JSON values, from which `graph_from` makes it again."""
    layers = graph.groups[-1].layer
    heads = [group.size for group in graph.groups if group.kind == "head"]
    neurons = [group.size for group in graph.groups if group.kind == "neuron"]
    tokens = [node.name.removeprefix("embed.") for node in graph.nodes if node.kind == "embed"]
    return {"tokens": tokens, "heads": heads or [0] * layers, "neurons": neurons or None, "residual": bool(heads)}


def graph_from(description: dict[str, Any]) -> Graph:
    """The inverse of `describe`."""
    return graph_of(**description)
