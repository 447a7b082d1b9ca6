"""Nets built by hand, whose mechanism is known."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from pipeline.nets import Transformer, TransformerConfig


def _blank(p: int, d_model: int, d_mlp: int) -> Transformer:
    """A net of zeros whose one head attends evenly and copies the stream three times: it adds up a, b and "="."""
    net = Transformer(TransformerConfig(p, d_model=d_model, n_heads=1, d_head=d_model, d_mlp=d_mlp)).eval()
    with torch.no_grad():
        for weight in net.parameters():
            weight.zero_()
        net.attn.v.weight.copy_(3 * torch.eye(d_model))
        net.attn.o.weight.copy_(torch.eye(d_model))
    return net


def clock(p: int, frequencies: tuple[int, ...], phases: int = 8, idle: int = 0) -> Transformer:
    """Neurons relu(cos(w_k a - f) + cos(w_k b - f)) with `phases` values of f per frequency, read at angle 2 f.

    The second harmonic of the ReLU makes their sum |cos(w_k (a - b) / 2)| cos(w_k (a + b) - w_k c): every
    frequency votes for c = a + b. `idle` neurons more have the same input as the first and are not read.
    """
    width, x = len(frequencies), torch.arange(p)
    net = _blank(p, 4 * width, width * phases + idle)
    with torch.no_grad():
        for i, k in enumerate(frequencies):
            angle = 2 * math.pi * k * x / p
            net.embed.weight[:p, 2 * i], net.embed.weight[:p, 2 * i + 1] = angle.cos(), angle.sin()
            out = 2 * width + 2 * i
            net.unembed.weight[:, out], net.unembed.weight[:, out + 1] = angle.cos(), angle.sin()
            for j in range(phases):
                f, n = 2 * math.pi * j / phases, i * phases + j
                net.mlp.w_in.weight[n, 2 * i], net.mlp.w_in.weight[n, 2 * i + 1] = math.cos(f), math.sin(f)
                net.mlp.w_out.weight[out, n], net.mlp.w_out.weight[out + 1, n] = (
                    4 * math.cos(2 * f),
                    4 * math.sin(2 * f),
                )
        net.mlp.w_in.weight[width * phases :] = net.mlp.w_in.weight[0]
    return net


def lookup(p: int, strength: float = 20.0) -> Transformer:
    """One neuron for every unordered pair {a, b}, which fires on it and pushes its answer: a table by heart.

    On (a, a) the neurons of all pairs with a fire too, each for another answer; the one for {a, a} pushes harder.
    """
    table = [(a, b) for a in range(p) for b in range(a, p)]
    net = _blank(p, 2 * p, len(table))
    with torch.no_grad():
        net.embed.weight[:p, :p] = torch.eye(p)
        net.unembed.weight[:, p:] = torch.eye(p)
        net.mlp.w_in.bias.fill_(-1.0)
        for n, (a, b) in enumerate(table):
            net.mlp.w_in.weight[n, [a, b]] = 1.0
            net.mlp.w_out.weight[p + (a + b) % p, n] = strength * (3 if a == b else 1)
    return net


@pytest.fixture
def make_clock() -> Callable[..., Transformer]:
    return clock


@pytest.fixture
def make_lookup() -> Callable[..., Transformer]:
    return lookup


@pytest.fixture
def make_random() -> Callable[..., Transformer]:
    """An untrained net at the usual initialisation."""

    def random(p: int, seed: int = 0, **shape: int) -> Transformer:
        torch.manual_seed(seed)
        return Transformer(TransformerConfig(p, **shape)).eval()

    return random
