"""Structured pruning of the transformer with torch-pruning, led by a circuit: whole heads and whole MLP neurons go.

A component that goes leaves its mean behind: what it added to the residual stream on average over the training pairs is
folded into biases, so the pruned net equals the net with the same components mean-ablated, up to rounding. A circuit's
scores only say in which order to try: they are effects of what is carried on another input, not of the mean.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
import torch_pruning as tp
from jaxtyping import Float, Int, Int64
from torch import Tensor

from pipeline.nets import Transformer
from pipeline.tasks import Task

Criterion = Literal["answers", "train"]


@dataclass(frozen=True)
class Means:
    """Mean contribution of each head to the residual stream, and mean activation of each neuron."""

    heads: Float[Tensor, "head d_model"]
    neurons: Float[Tensor, " d_mlp"]


@dataclass(frozen=True)
class Pruned:
    """The smaller net, and the components of the given net that are left in it, ascending."""

    net: Transformer
    heads: tuple[int, ...]
    neurons: tuple[int, ...]


def component_means(net: Transformer, pairs: Int[Tensor, "batch 2"]) -> Means:
    """Means over `pairs`, read through the net's hook points."""
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        return lambda value, hook: seen.__setitem__(name, value.detach().double().mean(0).to(value.dtype))

    with torch.no_grad(), net.hooks([("attn.hook_result", keep("heads")), ("mlp.hook_post", keep("neurons"))]):
        net(pairs)
    return Means(seen["heads"], seen["neurons"])


def prune_to(net: Transformer, heads: Sequence[int], neurons: Sequence[int], means: Means) -> Transformer:
    """A new net that keeps `heads` and `neurons` (at least one of each); `net` itself is left alone.

    What goes is folded in as its mean: b_out += W_out[:, j] mean_j for neurons; for heads, the sum m of their mean
    results is added behind the attention, b_in += W_in m and b_out += m.
    """
    config = net.config
    gone_heads = sorted(set(range(config.n_heads)) - set(heads))
    gone_neurons = sorted(set(range(config.d_mlp)) - set(neurons))
    smaller = copy.deepcopy(net)
    attn, mlp = smaller.attn, smaller.mlp
    with torch.no_grad():
        shift = means.heads[gone_heads].sum(0)
        mlp.w_in.bias.add_(mlp.w_in.weight @ shift)
        mlp.w_out.bias.add_(shift + mlp.w_out.weight[:, gone_neurons] @ means.neurons[gone_neurons])
    if gone_neurons:
        with torch.enable_grad():  # the graph is traced through autograd
            example = torch.zeros(1, 2, dtype=torch.int64)
            graph = tp.DependencyGraph().build_dependency(smaller, example_inputs=example)
        graph.get_pruning_group(mlp.w_in, tp.prune_linear_out_channels, idxs=gone_neurons).prune()
    if gone_heads:
        # the dependency graph does not see that rows of q, k and v are grouped by head
        rows = [h * config.d_head + i for h in gone_heads for i in range(config.d_head)]
        for layer in (attn.q, attn.k, attn.v):
            tp.prune_linear_out_channels(layer, rows)
        tp.prune_linear_in_channels(attn.o, rows)
    kept = replace(config, n_heads=config.n_heads - len(gone_heads), d_mlp=config.d_mlp - len(gone_neurons))
    rebuilt = Transformer(kept).to(net.embed.weight.dtype)
    rebuilt.load_state_dict(smaller.state_dict())
    return rebuilt.eval()


def prune_net(
    net: Transformer,
    task: Task,
    train: Int64[np.ndarray, " n"],
    head_scores: Float[np.ndarray, " head"],
    neuron_scores: Float[np.ndarray, " d_mlp"],
    criterion: Criterion = "answers",
) -> Pruned:
    """The fewest heads, then the fewest neurons, kept by score, that pass the criterion.

    `answers`: no answer of the net changes on any input. The net is compared with itself; what is right is not asked,
    so a net that memorised is held to its wrong answers as well (and can hardly be pruned). `train`: no pair of the
    training set that the net has right becomes wrong; held-out pairs are not looked at.
    Heads go one at a time, lowest score first, while the criterion holds; neurons by bisection on the ranking, which
    assumes that the criterion is monotone; the net returned has itself passed it.
    """
    seen = np.arange(len(task.pairs())) if criterion == "answers" else np.asarray(train)
    pairs = torch.from_numpy(task.pairs())
    means = component_means(net, pairs[torch.from_numpy(np.asarray(train))])
    pairs = pairs[torch.from_numpy(seen)]
    given = _answers(net, pairs)
    wanted = torch.ones_like(given, dtype=torch.bool)
    if criterion == "train":
        wanted = given == torch.from_numpy(task.answers()[seen])

    def passes(candidate: Transformer) -> bool:
        return bool((_answers(candidate, pairs) == given)[wanted].all())

    neurons = tuple(range(net.config.d_mlp))
    heads = tuple(range(net.config.n_heads))
    smallest = net
    for head in np.argsort(head_scores, kind="stable").tolist():
        fewer = tuple(h for h in heads if h != head)
        if not fewer:
            break
        candidate = prune_to(net, fewer, neurons, means)
        if passes(candidate):
            heads, smallest = fewer, candidate
    order = np.argsort(-np.asarray(neuron_scores), kind="stable")
    low, high = 0, len(neurons)
    while high - low > 1:
        middle = (low + high) // 2
        candidate = prune_to(net, heads, order[:middle].tolist(), means)
        if passes(candidate):
            high, smallest = middle, candidate
            neurons = tuple(sorted(order[:middle].tolist()))
        else:
            low = middle
    return Pruned(smallest, heads, neurons)


def _answers(net: Transformer, pairs: Int[Tensor, "batch 2"]) -> Int[Tensor, " batch"]:
    with torch.no_grad():
        return net(pairs).argmax(1)
