"""Nets whose algorithm is known because their weights were written down: a clock, a pizza, a table learnt by heart.

Each is an ordinary net of `pipeline.nets` for (a + b) mod p. With w_k = 2 pi k / p, symbols are embedded as circles of
radius r_k, r falling from 1 so that principal components do not mix circles. What every measure of `clock_pizza` says
of them in exact arithmetic:

    net      gradient symmetricity   distance irrelevance   circularity   formula          simple neurons
    clock    0                       1                      1             clock, 1         all, one frequency each
    pizza    1                       0                      1             pizza, near 1    all, one frequency each
    lookup   1                       0                      -             none             none

Finitely many phases leave small terms of higher frequency in clock and pizza; the table is symmetric in a and b.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pipeline.nets import DeepTransformer, DeepTransformerConfig, Mlp, MlpConfig, Transformer, TransformerConfig

HARD = 60.0
"""A score that softmax turns into all of the attention."""


def radius(i: int) -> float:
    """Of the i-th circle."""
    return 1 / (1 + i / 4)


def circle(p: int, k: int, turn: float = 0.0) -> Float[Tensor, "p 2"]:
    """Rows (cos, sin) of w_k x + turn."""
    angle = 2 * math.pi / p * torch.remainder(k * torch.arange(p), p).double() + turn
    return torch.stack([angle.cos(), angle.sin()], dim=1).float()


def zeroed(net: nn.Module) -> None:
    for weight in net.parameters():
        weight.zero_()


@torch.no_grad()
def clock(p: int, frequencies: Sequence[int], phases: int = 9, idle: int = 0, strength: float = 20.0) -> Transformer:
    """Logits close to strength * sum_k cos(w_k (a + b - c)).

    Head 0 attends to a only and head 1 to b only, by position. Neurons relu(cos(w_k a - f) + cos(w_k b - g)), f and g
    on a grid of `phases` values each, are read at the angle f + g. The sum over the grid keeps the harmonic (1, 1) of
    relu(cos u + cos v), which is cos(w_k (a + b - c)) whatever a - b is. Head 2 is a distractor: where it looks depends
    on a and b, and it writes where nothing reads. `idle` neurons more have the input of the first ones and write
    nothing.
    """
    n, grid = len(frequencies), phases * phases
    free = 8 * n  # circles of a symbol; of a and of b at "="; what is read; then junk, positions, "="
    net = Transformer(TransformerConfig(p, free + 6, n_heads=3, d_head=2 * n, d_mlp=n * grid + idle)).eval()
    zeroed(net)
    junk, places, equals = slice(free, free + 2), (free + 2, free + 3), free + 4
    heads = [slice(h * 2 * n, (h + 1) * 2 * n) for h in range(3)]
    net.embed.weight[p, equals] = 1
    score = HARD * math.sqrt(2 * n)
    for position, place in enumerate(places):
        net.pos.weight[position, place] = 1
        net.attn.q.weight[heads[position].start, equals] = score
        net.attn.k.weight[heads[position].start, place] = 1
        at = slice((1 + position) * 2 * n, (2 + position) * 2 * n)
        net.attn.v.weight[heads[position], : 2 * n] = torch.eye(2 * n)
        net.attn.o.weight[at, heads[position]] = torch.eye(2 * n)
    net.attn.q.weight[heads[2].start, equals] = 3
    net.attn.k.weight[heads[2].start, 0] = 1
    net.attn.v.weight[heads[2].start : heads[2].start + 2, :2] = torch.eye(2)
    net.attn.o.weight[junk, heads[2].start : heads[2].start + 2] = torch.eye(2)
    turns = 2 * math.pi / phases * torch.arange(phases)
    f, g = torch.meshgrid(turns, turns, indexing="ij")
    for i, k in enumerate(frequencies):
        own, a, b, out = (slice(part * 2 * n + 2 * i, part * 2 * n + 2 * i + 2) for part in range(4))
        neurons = slice(i * grid, (i + 1) * grid)
        net.embed.weight[:p, own] = radius(i) * circle(p, k)
        net.unembed.weight[:, out] = circle(p, k)
        net.mlp.w_in.weight[neurons, a] = torch.stack([f.cos(), f.sin()], dim=-1).reshape(-1, 2) / radius(i)
        net.mlp.w_in.weight[neurons, b] = torch.stack([g.cos(), g.sin()], dim=-1).reshape(-1, 2) / radius(i)
        read = torch.stack([(f + g).cos(), (f + g).sin()]).reshape(2, -1)
        net.mlp.w_out.weight[out, neurons] = strength / (grid * HARMONIC) * read
    net.mlp.w_in.weight[n * grid :] = net.mlp.w_in.weight[:idle]
    return net


def harmonic(points: int = 512) -> float:
    """Mean over u and v of relu(cos u + cos v) cos u cos v, times 2: the grid's factor of cos(u + v)."""
    u = 2 * math.pi / points * torch.arange(points, dtype=torch.float64)
    both = u.cos()[:, None] + u.cos()
    return float((both.relu() * u.cos()[:, None] * u.cos()).mean())


HARMONIC = harmonic()


@torch.no_grad()
def pizza(p: int, frequencies: Sequence[int], phases: int = 16, strength: float = 20.0) -> DeepTransformer:
    """Logits close to strength * sum_k |cos(w_k (a - b) / 2)| cos(w_k (a + b - c)).

    The head adds up both symbols (attention coefficient 0). The sum of two points of a circle has the length
    2 |cos(w_k (a - b) / 2)| and the angle w_k (a + b) / 2; neurons relu(sum . (cos f, sin f)) are read at the angle 2
    f.
    """
    n = len(frequencies)
    config = DeepTransformerConfig(
        p, p, p, 1, 6 * n, 1, 2 * n, n * phases, "relu", False, False, False, softmax_share=0.0
    )
    net = DeepTransformer(config).eval()
    zeroed(net)
    weights = dict(net.named_parameters())
    weights["blocks.0.attn.v.weight"][:, : 2 * n] = torch.eye(2 * n)
    weights["blocks.0.attn.o.weight"][2 * n : 4 * n] = torch.eye(2 * n)
    f = 2 * math.pi / phases * torch.arange(phases)
    for i, k in enumerate(frequencies):
        own, added, out = (slice(part * 2 * n + 2 * i, part * 2 * n + 2 * i + 2) for part in range(3))
        neurons = slice(i * phases, (i + 1) * phases)
        weights["embed.weight"][:p, own] = radius(i) * circle(p, k)
        weights["unembed.weight"][:, out] = circle(p, k)
        weights["blocks.0.w_in.weight"][neurons, added] = torch.stack([f.cos(), f.sin()], dim=1) / (2 * radius(i))
        # the second harmonic of relu(cos t) is 2 / (3 pi) cos(2 t), of which the sum over f keeps half
        read = torch.stack([(2 * f).cos(), (2 * f).sin()]) * 3 * math.pi / phases
        weights["blocks.0.w_out.weight"][out, neurons] = strength * read
    return net


@torch.no_grad()
def lookup(p: int, strength: float = 20.0) -> Mlp:
    """One neuron for every unordered pair {a, b}, which fires on it and pushes its answer: a table by heart.

    On (a, a) the neurons of all pairs with a fire too, each for another answer; the one for {a, a} pushes harder.
    """
    table = [(a, b) for a in range(p) for b in range(a, p)]
    net = Mlp(MlpConfig(p, p, p, p, (len(table),), "relu", "sum", True)).eval()
    zeroed(net)
    weights = dict(net.named_parameters())
    weights["embed_left.weight"].copy_(torch.eye(p))
    weights["embed_right.weight"].copy_(torch.eye(p))
    weights["layers.0.linear.bias"].fill_(-1)
    for n, (a, b) in enumerate(table):
        weights["layers.0.linear.weight"][n, [a, b]] = 1
        weights["unembed.weight"][(a + b) % p, n] = strength * (3 if a == b else 1)
    return net
