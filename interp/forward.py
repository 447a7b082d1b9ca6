"""One forward pass over the whole domain, with what the measures read from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.last_layer import last_layer
from pipeline.runs import AnyNet
from pipeline.tasks import ModularTask


@dataclass(frozen=True)
class Evaluation(Generic[AnyNet]):
    """A net on all p^2 pairs, in the order a * p + b."""

    net: AnyNet
    task: ModularTask
    logits: Float[Tensor, "pair p"]
    neurons: Float[Tensor, "pair d_mlp"]  # of the last hidden layer
    residual: Float[Tensor, "pair d_model"]  # before the read-out
    neuron_readout: Float[Tensor, "d_mlp p"]  # logits that a unit of each neuron adds
    embedding: Float[Tensor, "p d_embed"]

    @property
    def answers(self) -> Int[Tensor, " pair"]:
        """(a + b) mod p of each pair, or (a - b) mod p."""
        return torch.from_numpy(self.task.answers())


def evaluate(net: AnyNet, task: ModularTask) -> Evaluation[AnyNet]:
    """Run the net once over the domain through its TransformerLens hook points."""
    if net.readout.out_features != task.p:
        raise ValueError(f"the net is for p = {net.readout.out_features}, the task for p = {task.p}")
    layer = last_layer(net)
    kept = layer.hooks()
    with torch.no_grad():
        logits, cache = net.run_with_cache(torch.from_numpy(task.pairs()), names_filter=lambda name: name in kept)
    return Evaluation(
        net=net,
        task=task,
        logits=logits,
        neurons=layer.activations(cache),
        residual=cache[layer.residual],
        neuron_readout=layer.readout,
        embedding=layer.embedding[: task.p],
    )
