"""Learned edge masks (edge pruning, Bhaskar et al. 2024; Cao et al. 2021).

Every edge has a gate m_e in [0, 1], drawn from a hard-concrete distribution (Louizos et al. 2018): with u uniform and
t_e learnt, s = sigmoid((log u - log(1 - u) + t_e) / b), m = clip(s (z - g) + g, 0, 1), b = 2/3, g = -0.1, z = 1.1. Adam
minimises

    mean (M(x; m) - M(x))^2 / mean (M(x) - M(x'))^2 + sparsity * mean over e of P(m_e > 0),

where a closed edge carries what it carries on the corrupted input. A score is sigmoid(t_e / b): above 1/2 for an edge
that is rather kept, and never clipped, so that edges that are surely kept are still ranked. It is no effect. The score
of a node is that of its widest outgoing edge.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.attribution.activations import activations
from interp.attribution.edge_run import run_edges
from interp.attribution.metric import Metric
from interp.attribution.result import Attribution, result
from interp.attribution.stream import stream_of
from pipeline.nets import Net

TEMPERATURE, LOW, HIGH = 2 / 3, -0.1, 1.1
START = 2.0
RATE = 0.1
STEPS = 75
SPARSITY = 0.1


def edge_masks(
    net: Net,
    clean: Int[Tensor, "batch 2"],
    corrupted: Int[Tensor, "batch 2"],
    metric: Metric,
    *,
    neurons: bool = False,
    steps: int = STEPS,
    sparsity: float = SPARSITY,
    seed: int = 0,
) -> Attribution:
    """Gates of all edges, learnt together on the given inputs."""
    stream = stream_of(net, neurons)
    with torch.no_grad():
        here, there = activations(stream, clean), activations(stream, corrupted)
        wanted = metric(here.logits)
        spread = (wanted - metric(there.logits)).square().mean()
    draw = torch.Generator().manual_seed(seed)
    level = torch.full((stream.graph.n_edges,), START, dtype=here.logits.dtype, requires_grad=True)
    optimizer = torch.optim.Adam([level], lr=RATE)
    for _ in range(steps):
        noise = torch.rand(level.shape, generator=draw).clamp(1e-6, 1 - 1e-6).logit()
        missed = (metric(run_edges(stream, clean, there, _gate(level + noise)[None])[0]) - wanted).square().mean()
        loss = missed / spread + sparsity * _open(level).mean()
        (level.grad,) = torch.autograd.grad(loss, level)
        optimizer.step()
    edges = (level.detach().double() / TEMPERATURE).sigmoid().numpy()
    nodes = np.zeros(len(stream.graph.nodes))
    np.maximum.at(nodes, stream.graph.ends[:, 0], edges)
    nodes[-1] = np.nan
    given = {"steps": steps, "sparsity": sparsity, "seed": seed}
    return result("edge_masks", stream.graph, metric, here.logits, there.logits, nodes, edges, **given)


def _gate(level: Float[Tensor, " edge"]) -> Float[Tensor, " edge"]:
    return ((level / TEMPERATURE).sigmoid() * (HIGH - LOW) + LOW).clamp(0, 1)


def _open(level: Float[Tensor, " edge"]) -> Float[Tensor, " edge"]:
    """P(m > 0)."""
    return (level - TEMPERATURE * math.log(-LOW / HIGH)).sigmoid()
