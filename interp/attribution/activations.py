"""One forward pass through the hook points, and what every sender wrote in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.attribution.stream import Stream


@dataclass(frozen=True)
class Activations:
    """`values` by hook point, each with an axis for positions after the batch."""

    pairs: Int[Tensor, "batch 2"]
    logits: Float[Tensor, "batch answers"]
    values: dict[str, Tensor]


def activations(
    stream: Stream, pairs: Int[Tensor, "batch 2"], embedding: Tensor | None = None, graph: bool = False
) -> Activations:
    """Run the net, on `embedding` in the place of the pairs' own where it is given.

    With `graph` the values stay in the autograd graph, which starts at the embedding.
    """
    kept: dict[str, Tensor] = {}

    def keep(value: Tensor, hook: Any) -> Tensor:
        if hook.name == stream.embed:
            value = value if embedding is None else stream.lower(stream.embed, embedding)
            value = value.detach().requires_grad_(graph)
        kept[hook.name] = stream.lift(hook.name, value)
        return stream.lower(hook.name, kept[hook.name])

    with torch.set_grad_enabled(graph):
        logits = stream.net.run_with_hooks(pairs, fwd_hooks=[(name, keep) for name in stream.hooks])
    return Activations(pairs, logits, kept)


def written(stream: Stream, group: int, here: Activations, there: Activations | None = None) -> Tensor:
    """What a group of senders writes `here`, less what it writes `there`.

    Embeddings, heads and whole MLPs: [sender, batch, pos, d_model] in the stream. Neurons: their activations,
    [batch, pos, neuron], which `Sites.w_out` would write.
    """
    of = stream.graph.groups[group]
    if of.kind == "embed":
        found = stream.embeddings(here.values[stream.embed], here.pairs)
        return found if there is None else found - stream.embeddings(there.values[stream.embed], there.pairs)
    block = stream.blocks[of.layer]
    name = block.z if of.kind == "head" and block.z is not None else block.post
    change = here.values[name] if there is None else here.values[name] - there.values[name]
    if of.kind == "head":
        return torch.einsum("bphe,hed->hbpd", change, block.w_o)
    return change if of.kind == "neuron" else (change @ block.w_out.T)[None]


def take_positions(sent: Tensor, at_last: bool) -> Tensor:
    """All positions, or the last one alone; positions are the last axis but one."""
    return sent[..., -1:, :] if at_last else sent
