"""Direct logit attribution (Elhage et al. 2021; Wang et al. 2022, section 3.1).

score(s -> logits) = mean over x of dM/dlogits . W_U N(o_s(x) - o_s(x')): what s writes into the last stream, seen
through the read-out alone. N is the final norm with its scale frozen at the clean input, or nothing where the net
has none. Where M is linear in the logits and there is no norm it is the exact effect of that edge. Paths through other
nodes are not in it, and edges between other nodes get no score.
"""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from interp.attribution.activations import activations, take_positions, written
from interp.attribution.metric import Metric
from interp.attribution.result import Attribution, result, unscored
from interp.attribution.stream import stream_of
from pipeline.nets import Net


def direct_logit_attribution(
    net: Net, clean: Int[Tensor, "batch 2"], corrupted: Int[Tensor, "batch 2"], metric: Metric, *, neurons: bool = False
) -> Attribution:
    """The direct part of every sender; 0 for the embeddings that the logits do not read."""
    stream = stream_of(net, neurons)
    graph = stream.graph
    with torch.no_grad():
        here, there = activations(stream, clean), activations(stream, corrupted)
    logits = here.logits.requires_grad_()
    (pull,) = torch.autograd.grad(metric(logits).sum(), logits)
    nodes, edges = unscored(len(graph.nodes)), unscored(graph.n_edges)
    nodes[: graph.n_senders] = 0
    with torch.no_grad():
        direction = stream.read_out_pull(here.values[stream.reads(len(stream.blocks))][:, -1], pull)
        for link in graph.links_into(len(graph.groups) - 1):
            sender = graph.groups[link.sender]
            sent = take_positions(written(stream, link.sender, here, there), True)[..., 0, :]
            if sender.kind == "neuron":
                found = torch.einsum("bj,bj->j", sent, direction @ stream.blocks[sender.layer].w_out)
            else:
                found = torch.einsum("sbd,bd->s", sent[link.first :], direction)
            edges[link.start : link.stop] = (found.double() / len(clean)).numpy()
            start = sender.start + link.first
            nodes[start : start + link.senders] = edges[link.start : link.stop]
    return result("direct_logit_attribution", graph, metric, here.logits.detach(), there.logits, nodes, edges)
