"""One forward pass over the whole domain, with what the measures read from it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.nets import Transformer
from pipeline.tasks import ModularTask


@dataclass(frozen=True)
class Evaluation:
    """A net on all p^2 pairs, in the order a * p + b."""

    net: Transformer
    task: ModularTask
    logits: Float[Tensor, "pair p"]
    neurons: Float[Tensor, "pair d_mlp"]  # after the ReLU
    residual: Float[Tensor, "pair d_model"]  # before the read-out
    pattern: Float[Tensor, "pair head 3"]  # attention of "=" to a, b, "="

    @property
    def answers(self) -> Int[Tensor, " pair"]:
        """(a + b) mod p of each pair, or (a - b) mod p."""
        return torch.from_numpy(self.task.answers())

    @property
    def neuron_readout(self) -> Float[Tensor, "d_mlp p"]:
        """Logits that a unit of each neuron adds: the read-out after the MLP's second layer."""
        return (self.net.unembed.weight @ self.net.mlp.w_out.weight).detach().T


def evaluate(net: Transformer, task: ModularTask) -> Evaluation:
    """Run the net once over the domain through its TransformerLens hook points."""
    if net.config.p != task.p:
        raise ValueError(f"the net is for p = {net.config.p}, the task for p = {task.p}")
    kept = {"mlp.hook_post", "attn.hook_pattern", "hook_resid_post"}
    with torch.no_grad():
        logits, cache = net.run_with_cache(torch.from_numpy(task.pairs()), names_filter=lambda name: name in kept)
    nothing = torch.zeros(task.p**2, 0, 3)
    return Evaluation(
        net=net,
        task=task,
        logits=logits,
        neurons=cache["mlp.hook_post"],
        residual=cache["hook_resid_post"],
        pattern=cache["attn.hook_pattern"] if net.config.n_heads else nothing,
    )
