"""EAP with integrated gradients (Hanna et al. 2024, section 3; Sundararajan et al. 2017).

score(s -> r) = mean over x of (o_s(x) - o_s(x')) . 1/n sum over k = 1..n of dM/dx_r at z' + k/n (z - z'), z and z' the
embeddings of the clean and of the corrupted input. With one step it is EAP.
"""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from interp.attribution.activations import activations
from interp.attribution.attribution_patching import gradients, scores, sent_in
from interp.attribution.metric import Metric
from interp.attribution.result import Attribution, result
from interp.attribution.stream import stream_of
from pipeline.nets import Net

STEPS = 5


def integrated_gradients(
    net: Net,
    clean: Int[Tensor, "batch 2"],
    corrupted: Int[Tensor, "batch 2"],
    metric: Metric,
    *,
    neurons: bool = False,
    steps: int = STEPS,
) -> Attribution:
    """EAP-IG with `steps` points on the way from the corrupted embedding to the clean one."""
    stream = stream_of(net, neurons)
    with torch.no_grad():
        here, there = activations(stream, clean), activations(stream, corrupted)
    start, end = there.values[stream.embed], here.values[stream.embed]
    total: list[Tensor] = []
    for k in range(1, steps + 1):
        embedding = end if k == steps else start + k / steps * (end - start)
        at = gradients(stream, activations(stream, clean, embedding, graph=True), metric)
        total = [a + b for a, b in zip(total, at, strict=True)] if total else at
    edges = scores(stream, [gradient / steps for gradient in total], sent_in(stream, here, there))
    nodes = stream.graph.sum_over_outgoing(edges)
    return result("integrated_gradients", stream.graph, metric, here.logits, there.logits, nodes, edges, steps=steps)
