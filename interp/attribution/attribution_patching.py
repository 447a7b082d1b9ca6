"""Edge attribution patching, EAP (Syed et al. 2023; Nanda 2023): a first-order estimate of every edge's effect at once.

score(s -> r) = mean over x of (o_s(x) - o_s(x')) . dM/dx_r at the clean input, x_r the input of receiver r alone. It
has the sign of the effects of `edge_patching`, the opposite of theirs. The score of a node is the sum over its outgoing
edges: (o_s(x) - o_s(x')) . dM/do_s.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from interp.attribution.activations import Activations, activations, take_positions, written
from interp.attribution.metric import Metric
from interp.attribution.result import Attribution, result
from interp.attribution.stream import Stream, stream_of
from interp.graph import Link
from pipeline.nets import Net


def attribution_patching(
    net: Net, clean: Int[Tensor, "batch 2"], corrupted: Int[Tensor, "batch 2"], metric: Metric, *, neurons: bool = False
) -> Attribution:
    """Two forward passes and one backward pass for all nodes and edges."""
    stream = stream_of(net, neurons)
    here, there = activations(stream, clean, graph=True), activations(stream, corrupted)
    edges = scores(stream, gradients(stream, here, metric), sent_in(stream, here, there))
    nodes = stream.graph.sum_over_outgoing(edges)
    return result("attribution_patching", stream.graph, metric, here.logits, there.logits, nodes, edges)


def sent_in(stream: Stream, here: Activations, there: Activations) -> list[Tensor]:
    """o_s(x) - o_s(x') of every group of senders."""
    with torch.no_grad():
        return [written(stream, i, here, there) for i in range(len(stream.graph.groups) - 1)]


def gradients(stream: Stream, at: Activations, metric: Metric) -> list[Tensor]:
    """dM/dx_r for every group of receivers, at a run that is in the autograd graph.

    Heads, MLPs, logits: [receiver, batch, pos, d_model]. Neurons: dM/dpre, [batch, pos, neuron], as neuron i reads
    x only by W_in,i. The gradient by way of one head alone is the product of dM/dz_h with the Jacobian of z_h.
    """
    total = metric(at.logits).sum()
    asked = [name for block in stream.blocks for name in (block.z, block.pre) if name is not None]
    ends = [at.values[name] for name in (*asked, stream.blocks[-1].out)]
    *inner, at_logits = torch.autograd.grad(total, ends, retain_graph=True, allow_unused=True, materialize_grads=True)
    by_name = dict(zip(asked, inner, strict=True))
    found = []
    for group in stream.graph.groups[1:]:
        if group.kind == "logits":
            found.append(at_logits[None])
            continue
        block, reads = stream.blocks[group.layer], stream.reads(group.layer)
        if block.z is not None and group.kind == "head":
            one_head = torch.eye(group.size)[:, None, None, :, None] * by_name[block.z]
            found.append(_pulled_back(at.values[block.z], at.values[reads], list(one_head)))
        elif group.kind == "mlp":
            found.append(_pulled_back(at.values[block.pre], at.values[block.mid], [by_name[block.pre]]))
        else:
            found.append(by_name[block.pre])
    return [gradient.detach() for gradient in found]


def _pulled_back(output: Tensor, source: Tensor, outer: list[Tensor]) -> Tensor:
    """Products of each outer gradient with the Jacobian of `output` in `source`, [outer, *source.shape]."""
    if not outer:
        return source.new_zeros(0, *source.shape)
    return torch.stack([torch.autograd.grad(output, source, one, retain_graph=True)[0] for one in outer])


def scores(stream: Stream, gradient: list[Tensor], sent: list[Tensor]) -> NDArray[np.float64]:
    """Mean over the inputs of (o_s - o'_s) . dM/dx_r, for every edge."""
    edges = np.zeros(stream.graph.n_edges)
    for link in stream.graph.links:
        edges[link.start : link.stop] = _products(stream, link, gradient[link.receiver - 1], sent[link.sender])
    return edges


def _products(stream: Stream, link: Link, gradient: Tensor, sent: Tensor) -> NDArray[np.float64]:
    sender, receiver = stream.graph.groups[link.sender], stream.graph.groups[link.receiver]
    sent = take_positions(sent, receiver.at_last and receiver.kind != "head")
    if sender.kind == "neuron":
        w_out, batch = stream.blocks[sender.layer].w_out, len(sent)
        if receiver.kind == "neuron":
            ways = (stream.blocks[receiver.layer].w_in @ w_out).T
            found = torch.einsum("bpj,bpi->ji", sent, gradient) * ways
        else:
            found = torch.einsum("bpj,rbpj->jr", sent, gradient @ w_out)
    else:
        sent, batch = sent[link.first :], sent.shape[1]
        if receiver.kind == "neuron":
            found = torch.einsum("sbpi,bpi->si", sent @ stream.blocks[receiver.layer].w_in.T, gradient)
        else:
            found = torch.einsum("sbpd,rbpd->sr", sent, gradient)
    return (found.double() / batch).flatten().numpy()
