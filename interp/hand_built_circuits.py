"""Nets whose circuit is known by construction, with the list of its nodes and edges.

Names are those of `interp.graph` with neurons: embed.a, embed.b, embed.=, head.<layer>.<i>, neuron.<layer>.<i>, logits.
A node is in the circuit where the logits depend on what it carries on some input, and an edge (sender, receiver) where
they depend on what goes along it: patching anything else from another input changes nothing. What is constant over all
inputs, such as the embedding of "=", is not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import torch
from jaxtyping import Int
from torch import Tensor

from interp.hand_built import clock, zeroed
from pipeline.nets import DeepTransformer, DeepTransformerConfig, Transformer
from pipeline.tasks import ModularTask

Edge = tuple[str, str]


@dataclass(frozen=True)
class KnownCircuit:
    """A net, its whole domain with the right answers, and the circuit."""

    name: str
    net: Transformer | DeepTransformer
    pairs: Int[Tensor, "pair 2"]
    answers: Int[Tensor, " pair"]
    nodes: frozenset[str]
    edges: frozenset[Edge]


def known_circuits() -> tuple[KnownCircuit, ...]:
    """One small net of each kind."""
    return two_frequencies(7, (1, 2)), carry(3)


def of_edges(edges: list[Edge]) -> tuple[frozenset[str], frozenset[Edge]]:
    """The nodes and the edges of a circuit."""
    return frozenset(name for edge in edges for name in edge), frozenset(edges)


def two_frequencies(p: int, frequencies: tuple[int, int], phases: int = 5, idle: int = 10) -> KnownCircuit:
    """The clock of `hand_built` with two frequencies, a distractor head and idle neurons.

    embed.a -> head.0.0 and embed.b -> head.0.1, both -> every neuron but the idle ones -> logits. Head 2 looks at a and
    b by what they are and writes where nothing reads; the idle neurons are as lively as the others and write nothing.
    """
    task, used = ModularTask(p), [f"neuron.0.{i}" for i in range(2 * phases * phases)]
    edges = [
        ("embed.a", "head.0.0"),
        ("embed.b", "head.0.1"),
        *product(("head.0.0", "head.0.1"), used),
        *product(used, ("logits",)),
    ]
    net = clock(p, frequencies, phases, idle)
    pairs, answers = torch.from_numpy(task.pairs()), torch.from_numpy(task.answers())
    return KnownCircuit("clock with two frequencies", net, pairs, answers, *of_edges(edges))


LOW, HIGH, EQUALS, LOW_SUM, HIGH_SUM, CARRY, DIGIT, JUNK = range(8)


@torch.no_grad()
def carry(base: int) -> KnownCircuit:
    """Two-digit addition, two layers: the second digit of a + b, for which the carry of the first is needed.

    Symbols are 0 .. base^2 - 1. Heads 0 and 1 of layer 0 add up the low and the high digits; its neurons 0 and 1 are
    relu(low - (base - 1)) and relu(low - base), whose difference is the carry. Neurons 0, 1 and 2 of layer 1 are
    relu(x), relu(x - (base - 1)) and relu(x - base), x = high + carry, and the digit is x mod base = n0 - base (n1 -
    n2); logit c is 2 c digit - c^2. Distractors: head 2 of layer 0 and head 0 of layer 1 write what nothing reads;
    neuron 2 of layer 0 is lively and writes nothing, neuron 3 there and in layer 1 write what nothing reads.
    """
    if base < 3:
        raise ValueError(f"base = {base}: give 3 or more; with base 2 the second neuron of the carry is never needed")
    n = base * base
    config = DeepTransformerConfig(n, n, base, 2, 8, 3, 1, 4, "relu", False, False, False)
    net = DeepTransformer(config).eval()
    zeroed(net)
    w = dict(net.named_parameters())
    symbol, c = torch.arange(n), torch.arange(base).float()
    w["embed.weight"][:n, LOW], w["embed.weight"][:n, HIGH] = (symbol % base).float(), (symbol // base).float()
    w["embed.weight"][n, EQUALS] = 1
    for layer, head, read, write in (
        (0, 0, LOW, LOW_SUM),
        (0, 1, HIGH, HIGH_SUM),
        (0, 2, LOW, JUNK),
        (1, 0, CARRY, JUNK),
    ):
        w[f"blocks.{layer}.attn.v.weight"][head, read] = 3  # attention is even over three positions
        w[f"blocks.{layer}.attn.o.weight"][write, head] = 1
    for layer, neuron, reads, bias, write, weight in (
        (0, 0, (LOW_SUM,), 1 - base, CARRY, 1),
        (0, 1, (LOW_SUM,), -base, CARRY, -1),
        (0, 2, (HIGH_SUM,), 0, JUNK, 0),
        (0, 3, (LOW_SUM,), 0, JUNK, 1),
        (1, 0, (HIGH_SUM, CARRY), 0, DIGIT, 1),
        (1, 1, (HIGH_SUM, CARRY), 1 - base, DIGIT, -base),
        (1, 2, (HIGH_SUM, CARRY), -base, DIGIT, base),
        (1, 3, (CARRY,), 0, JUNK, 1),
    ):
        w[f"blocks.{layer}.w_in.weight"][neuron, list(reads)] = 1
        w[f"blocks.{layer}.w_in.bias"][neuron] = bias
        w[f"blocks.{layer}.w_out.weight"][write, neuron] = weight
    w["unembed.weight"][:, DIGIT], w["unembed.weight"][:, EQUALS] = 2 * c, -c * c
    digits = [f"neuron.1.{i}" for i in range(3)]
    edges = [
        *product(("embed.a", "embed.b"), ("head.0.0", "head.0.1")),
        *product(("head.0.0",), ("neuron.0.0", "neuron.0.1")),
        *product(("head.0.1", "neuron.0.0", "neuron.0.1"), digits),
        *product(digits, ("logits",)),
    ]
    pairs = torch.cartesian_prod(symbol, symbol)
    answers = pairs.sum(1) // base % base
    return KnownCircuit("two-digit carry", net, pairs, answers, *of_edges(edges))
