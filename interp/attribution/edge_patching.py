"""Path patching of every edge (Goldowsky-Dill et al. 2023; the edge test of Conmy et al. 2023).

effect(s -> r) = mean over x of M(x) - M(x; r reads x_r - (o_s(x) - o_s(x'))): receiver r alone sees what s writes on
the corrupted input; what follows r is computed anew. The score of a node is the effect of all its outgoing edges at
once, which is that of activation patching.

Edges into the logits, and into neurons of the last layer, change the last residual stream by a known vector, so they
need no further forward pass: only the read-out.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from interp.attribution.activation_patching import activation_patching
from interp.attribution.activations import Activations, activations, take_positions, written
from interp.attribution.edge_run import into_neurons, run_edges
from interp.attribution.last_stream import NUMBERS, without_activity, without_vectors
from interp.attribution.metric import Metric
from interp.attribution.result import Attribution, mean_metrics, result, unscored
from interp.attribution.stream import Stream, stream_of
from interp.graph import Link
from pipeline.nets import Net


def edge_patching(
    net: Net, clean: Int[Tensor, "batch 2"], corrupted: Int[Tensor, "batch 2"], metric: Metric, *, neurons: bool = False
) -> Attribution:
    """Exact effect of every edge, one at a time, and of every node."""
    stream = stream_of(net, neurons)
    graph = stream.graph
    with torch.no_grad():
        here, there = activations(stream, clean), activations(stream, corrupted)
        edges = unscored(graph.n_edges)
        for link in graph.links:
            edges[link.start : link.stop] = _effects(stream, link, clean, here, there, metric)
    edges += mean_metrics(metric, here.logits[None])
    nodes = activation_patching(net, clean, corrupted, metric, neurons=neurons).nodes
    return result("edge_patching", graph, metric, here.logits, there.logits, nodes, edges)


def _effects(
    stream: Stream, link: Link, clean: Tensor, here: Activations, there: Activations, metric: Metric
) -> NDArray[np.float64]:
    """Minus the mean metric with each edge of the link patched, in the order of the edge array."""
    sender, receiver = stream.graph.groups[link.sender], stream.graph.groups[link.receiver]
    if receiver.kind == "logits":
        sent = take_positions(written(stream, link.sender, here, there), True)[..., 0, :]
        if sender.kind == "neuron" and sender.at_last:
            return -without_activity(stream, here, sent, metric)
        if sender.kind == "neuron":
            sent = sent.T[:, :, None] * stream.blocks[sender.layer].w_out.T[:, None]
        return -without_vectors(stream, here, sent[link.first :], metric)
    if receiver.kind == "neuron" and receiver.at_last:
        found = [without_activity(stream, here, lost, metric) for lost in _lost(stream, link, here, there)]
        return -np.concatenate([np.zeros(0), *found])
    found = []
    for edges in torch.arange(link.start, link.stop).split(max(1, NUMBERS // stream.graph.n_edges)):
        mask = torch.ones(len(edges), stream.graph.n_edges, dtype=here.logits.dtype)
        mask[torch.arange(len(edges)), edges] = 0
        found.append(mean_metrics(metric, run_edges(stream, clean, there, mask)))
    return -np.concatenate([np.zeros(0), *found])


def _lost(stream: Stream, link: Link, here: Activations, there: Activations) -> Iterator[Tensor]:
    """For each sender, the activity that each neuron of the last layer loses without it, [batch, neuron]."""
    block = stream.blocks[-1]
    sent = written(stream, link.sender, here, there)[None]
    for one in torch.eye(link.senders, dtype=sent.dtype):
        part = one[None, :, None].expand(1, link.senders, link.receivers)
        pre = here.values[block.pre] - into_neurons(stream, link, part, sent)[0]
        yield (here.values[block.post] - stream.activate(pre))[:, 0]
