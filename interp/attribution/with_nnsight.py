"""Attribution patching a second time, on activations that nnsight traced instead of TransformerLens hooks.

nnsight wraps the same module and traces it; the sites are the same submodules, read in the order in which they run
(another order raises OutOfOrderError). Gradients in that trace and scores are those of `attribution_patching`.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Int
from nnsight import NNsight, save
from torch import Tensor

from interp.attribution.activations import Activations
from interp.attribution.attribution_patching import gradients, scores, sent_in
from interp.attribution.metric import Metric
from interp.attribution.result import Attribution, result
from interp.attribution.stream import Stream, stream_of
from pipeline.nets import Net


def attribution_patching(
    net: Net, clean: Int[Tensor, "batch 2"], corrupted: Int[Tensor, "batch 2"], metric: Metric, *, neurons: bool = False
) -> Attribution:
    """The numbers of `attribution_patching.attribution_patching`, by nnsight traces."""
    stream = stream_of(net, neurons)
    here, there = _traced(stream, clean), _traced(stream, corrupted)
    edges = scores(stream, gradients(stream, here, metric), sent_in(stream, here, there))
    nodes = stream.graph.sum_over_outgoing(edges)
    return result("attribution_patching", stream.graph, metric, here.logits, there.logits, nodes, edges, by="nnsight")


def _traced(stream: Stream, pairs: Tensor) -> Activations:
    """The activations of one traced run, in the autograd graph.

    The one-layer net leaves its embedding hook out when nobody listens there; an idle TransformerLens hook makes it
    compute that value, which nnsight then reads.
    """
    model: Any = NNsight(stream.net)
    kept: dict[str, Any] = {}
    logits = torch.empty(0)
    with stream.net.hooks(fwd_hooks=[(stream.embed, _idle)]), model.trace(pairs):
        for name in stream.hooks:
            kept[name] = save(stream.lift(name, model.get(name).output))
            model.get(name).output = stream.lower(name, kept[name])
        logits = save(model.output)
    return Activations(pairs, logits, kept)


def _idle(value: Tensor, hook: Any) -> None:
    """Listens."""
