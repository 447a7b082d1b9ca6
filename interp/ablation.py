"""Mean ablation of heads and neurons, through hooks and in closed form.

Mean ablation replaces a component's output at "=" by its mean over the training pairs. The measure of its effect is
the answer's logit above the mean logit over all outputs, averaged over pairs: the centred answer logit. It is linear
in the residual stream before the read-out, so for neurons, whose way there is linear, the effect has a closed form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pipeline.nets import Transformer


@dataclass(frozen=True)
class Baseline:
    """What heads and neurons write on the given pairs, and their means there."""

    pairs: Int[Tensor, "pair 2"]
    answers: Int[Tensor, " pair"]
    logits: Float[Tensor, "pair p"]
    results: Float[Tensor, "pair head d_model"]
    pre: Float[Tensor, "pair d_mlp"]
    post: Float[Tensor, "pair d_mlp"]

    @property
    def mean_results(self) -> Float[Tensor, "head d_model"]:
        return self.results.mean(0)

    @property
    def mean_post(self) -> Float[Tensor, " d_mlp"]:
        return self.post.mean(0)


def baseline(net: Transformer, pairs: Int[Tensor, "pair 2"], answers: Int[Tensor, " pair"]) -> Baseline:
    """Run the intact net on `pairs` once."""
    kept: dict[str, Tensor] = {}

    def keep(value: Tensor, hook: Any) -> None:
        kept[hook.name] = value

    names = ["mlp.hook_pre", "mlp.hook_post"] + (["attn.hook_result"] if net.config.n_heads else [])
    with torch.no_grad():
        logits = net.run_with_hooks(pairs, fwd_hooks=[(name, keep) for name in names])
    results = kept.get("attn.hook_result", torch.zeros(len(pairs), 0, net.config.d_model))
    return Baseline(pairs, answers, logits, results, kept["mlp.hook_pre"], kept["mlp.hook_post"])


def run_kept(
    net: Transformer,
    pairs: Int[Tensor, "pair 2"],
    means: Baseline,
    heads: Bool[Tensor, " head"],
    neurons: Bool[Tensor, " d_mlp"],
) -> Float[Tensor, "pair p"]:
    """Logits with every head and neuron outside the masks at its mean in `means`. Full masks give the net itself."""

    def patch(mask: Tensor, mean: Tensor) -> Callable[[Tensor, Any], Tensor]:
        wide = mask.reshape(-1, *[1] * (mean.ndim - 1))
        return lambda value, hook: torch.where(wide, value, mean)

    hooks: list[tuple[str | Callable[..., Any], Callable[..., Any]]] = []
    if not bool(neurons.all()):
        hooks.append(("mlp.hook_post", patch(neurons, means.mean_post)))
    if not bool(heads.all()):
        hooks.append(("attn.hook_result", patch(heads, means.mean_results)))
    with torch.no_grad():
        return net.run_with_hooks(pairs, fwd_hooks=hooks)


def answer_logit(logits: Float[Tensor, "pair p"], answers: Int[Tensor, " pair"]) -> float:
    """Mean over pairs of the answer's logit above the mean logit."""
    own = logits.gather(1, answers[:, None])[:, 0]
    return float((own - logits.mean(1)).double().mean())


def answer_directions(net: Transformer, answers: Int[Tensor, " pair"]) -> Float[Tensor, "pair d_model"]:
    """Row r_x such that r_x . residual(x) is the centred answer logit on pair x."""
    rows = net.unembed.weight.detach()
    return (rows - rows.mean(0))[answers]


def neuron_effects(net: Transformer, base: Baseline) -> Float[Tensor, " d_mlp"]:
    """Loss of centred answer logit when one neuron is mean-ablated, for every neuron at once; exact.

    effect_i = mean over x of (post_i(x) - mean post_i) (r_x . w_out_i), r_x the answer direction.
    """
    written = answer_directions(net, base.answers) @ net.mlp.w_out.weight.detach()
    return ((base.post - base.mean_post) * written).mean(0)


def head_effects(net: Transformer, base: Baseline) -> Float[Tensor, " head"]:
    """Loss of centred answer logit when one head is mean-ablated: one hooked forward pass each."""
    n_heads, everything = net.config.n_heads, torch.ones(net.config.d_mlp, dtype=torch.bool)
    intact = answer_logit(base.logits, base.answers)
    effects = []
    for head in range(n_heads):
        kept = torch.arange(n_heads) != head
        effects.append(intact - answer_logit(run_kept(net, base.pairs, base, kept, everything), base.answers))
    return torch.tensor(effects)


@dataclass(frozen=True)
class EdgeEffects:
    """Loss of centred answer logit when one edge alone carries its mean."""

    head_to_neuron: Float[Tensor, "head d_mlp"]
    head_to_readout: Float[Tensor, " head"]


def edge_effects(net: Transformer, base: Baseline) -> EdgeEffects:
    """Path patching of every edge out of a head; exact, since neurons act on the answer side by side.

    head h -> neuron i: only i sees the mean of h,
    effect = mean over x of (post_i - relu(pre_i - (out_h - mean out_h) . w_in_i)) (r_x . w_out_i).
    head h -> read-out: only the direct way, effect = mean over x of r_x . (out_h - mean out_h).
    """
    directions = answer_directions(net, base.answers)
    written = directions @ net.mlp.w_out.weight.detach()
    moved = base.results - base.mean_results
    to_neuron = [
        ((base.post - torch.relu(base.pre - moved[:, head] @ net.mlp.w_in.weight.detach().T)) * written).mean(0)
        for head in range(net.config.n_heads)
    ]
    direct = torch.einsum("xhm,xm->h", moved, directions) / len(base.pairs)
    empty = torch.zeros(0, net.config.d_mlp)
    return EdgeEffects(torch.stack(to_neuron) if to_neuron else empty, direct)
