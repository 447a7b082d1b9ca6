"""Activation patching (Vig et al. 2020; Meng et al. 2022; Heimersheim and Nanda 2024).

effect(n) = mean over x of M(x) - M(x; n := n(x')): the node, and it alone, takes the value it has on the corrupted
input, and all that follows is computed anew. Nodes only; for edges see `edge_patching`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from interp.attribution.activations import Activations, activations, written
from interp.attribution.last_stream import without_activity
from interp.attribution.metric import Metric
from interp.attribution.result import Attribution, mean_metrics, result, unscored
from interp.attribution.stream import Stream, stream_of
from interp.graph import Group
from pipeline.nets import Net

ROWS = 1 << 14
"""Inputs a forward pass takes in at most; several patched copies of the batch go side by side."""


def activation_patching(
    net: Net, clean: Int[Tensor, "batch 2"], corrupted: Int[Tensor, "batch 2"], metric: Metric, *, neurons: bool = False
) -> Attribution:
    """Exact effect of every node but the logits."""
    stream = stream_of(net, neurons)
    with torch.no_grad():
        here, there = activations(stream, clean), activations(stream, corrupted)
        nodes = unscored(len(stream.graph.nodes))
        for group in stream.graph.groups[:-1]:
            nodes[group.start : group.start + group.size] = -_metrics(stream, group, clean, here, there, metric)
    nodes[:-1] += mean_metrics(metric, here.logits[None])
    edges = unscored(stream.graph.n_edges)
    return result("activation_patching", stream.graph, metric, here.logits, there.logits, nodes, edges)


def _metrics(
    stream: Stream, group: Group, clean: Tensor, here: Activations, there: Activations, metric: Metric
) -> NDArray[np.float64]:
    """The mean metric with each node of the group patched; neurons of the last layer by the read-out alone."""
    if group.kind == "neuron" and group.at_last:
        lost = written(stream, stream.graph.groups.index(group), here, there)[:, 0]
        return without_activity(stream, here, lost, metric)
    parts = torch.arange(group.size).split(max(1, ROWS // len(clean))) if group.size else ()
    return np.concatenate(
        [np.zeros(0), *(mean_metrics(metric, patched(stream, group, p, clean, there)) for p in parts)]
    )


def patched(stream: Stream, group: Group, nodes: Tensor, clean: Tensor, corrupted: Activations) -> Tensor:
    """[node, batch, answers]: logits with each of `nodes`, numbered within their group, patched on its own."""
    block = stream.blocks[max(0, group.layer)]
    name = {"embed": stream.embed, "head": block.z}.get(group.kind, block.post)
    axis = -2 if group.kind == "head" else -1

    def put(value: Tensor, hook: Any) -> Tensor:
        copies = value.unflatten(0, (len(nodes), len(clean)))
        if group.kind == "embed":
            change = stream.embeddings(stream.lift(name, copies[0]), clean)
            change = (change - stream.embeddings(corrupted.values[name], corrupted.pairs))[nodes]
            return (copies - torch.stack([stream.lower(name, one) for one in change])).flatten(0, 1)
        new = stream.lower(name, corrupted.values[name]).expand_as(copies)
        if group.kind == "mlp":
            return new.flatten(0, 1)
        chosen = torch.nn.functional.one_hot(nodes, value.shape[axis]).bool()
        shape = [len(nodes)] + [1] * (copies.ndim - 1)
        shape[axis] = value.shape[axis]
        return torch.where(chosen.reshape(shape), new, copies).flatten(0, 1)

    logits = stream.net.run_with_hooks(clean.repeat(len(nodes), 1), fwd_hooks=[(name, put)])
    return logits.unflatten(0, (len(nodes), len(clean)))
