"""Which nets keep their answers when only a few circles of the embeddings keep their symbol."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from interp.circle_scrubbing import carried_by_few, circle_scrubbed_accuracy, few, moved, strongest
from interp.first_layer import shifted_embeddings
from interp.hand_built import clock, lookup, pizza
from interp.labels import algorithm_criteria, label
from interp.progress_measures import measure
from interp.view import view
from pipeline.nets import (
    DeepTransformerConfig,
    Mlp,
    MlpConfig,
    NetConfig,
    QuadraticConfig,
    TransformerConfig,
    build_net,
    closed_form,
)
from pipeline.tasks import ModularTask

P = 31
TASK = ModularTask(P)
ALL = tuple(range(1, P // 2 + 1))
KINDS: list[NetConfig] = [
    TransformerConfig(P, d_model=8, n_heads=2, d_head=4, d_mlp=16),
    DeepTransformerConfig(P, P, P, 2, 8, 2, 4, 16),
    MlpConfig(P, P, P, 6, (9, 5)),
    MlpConfig(P, P, P, 6, (9,), "relu", "sum", True),
    QuadraticConfig(P, P, P, 5),
]


def two_layers(first: Mlp) -> Mlp:
    """A net of two hidden layers whose second one mixes all neurons of the first by a rotation and undoes it later.

    Rows of Q and -Q, Q orthogonal: relu(Q h) - relu(-Q h) = Q h.
    """
    width = first.config.widths[0]
    net = Mlp(MlpConfig(P, P, P, first.config.d_embed, (width, 2 * width), "relu", "sum", True)).eval()
    turn = torch.linalg.qr(torch.randn(width, width, generator=torch.Generator().manual_seed(0)))[0]
    state = first.state_dict()
    state["layers.1.linear.weight"] = torch.cat([turn, -turn])
    state["layers.1.linear.bias"] = torch.zeros(2 * width)
    state["unembed.weight"] = torch.cat([state["unembed.weight"] @ turn.T, -state["unembed.weight"] @ turn.T], dim=1)
    net.load_state_dict(state)
    return net


def pizza_mlp(frequencies: tuple[int, ...], phases: int = 16) -> Mlp:
    """relu(cos(w a - f) + cos(w b - f)) read at the angle 2 f: a pizza without attention."""
    angle = 2 * math.pi / P * torch.outer(torch.arange(P), torch.tensor(frequencies)).float()
    circles = torch.stack([angle.cos(), angle.sin()], dim=2)  # [symbol, circle, 2]
    f = 2 * math.pi / phases * torch.arange(phases)
    n = len(frequencies)
    net = Mlp(MlpConfig(P, P, P, 2 * n, (n * phases,), "relu", "sum", True)).eval()
    state = {name: torch.zeros_like(value) for name, value in net.state_dict().items()}
    state["embed_left.weight"] = state["embed_right.weight"] = circles.flatten(1)
    for i in range(n):
        rows = slice(i * phases, (i + 1) * phases)
        state["layers.0.linear.weight"][rows, 2 * i : 2 * i + 2] = torch.stack([f.cos(), f.sin()], dim=1)
        state["unembed.weight"][:, rows] = circles[:, i] @ torch.stack([(2 * f).cos(), (2 * f).sin()])
    net.load_state_dict(state)
    return net


def test_few() -> None:
    assert [few(n) for n in (3, 13, 31, 59, 113)] == [1, 2, 5, 9, 13]
    assert strongest(torch.tensor([0.1, 0.5, 0.0, 0.4]), 2) == (2, 4)


@pytest.mark.parametrize("config", KINDS, ids=["transformer", "deep", "mlp", "mlp sum", "quadratic"])
def test_keeping_every_circle_changes_nothing(config: NetConfig) -> None:
    torch.manual_seed(0)
    seen = view(build_net(config), TASK)
    assert circle_scrubbed_accuracy(seen, ALL) == pytest.approx(seen.accuracy, abs=3 / P**2)


@pytest.mark.parametrize("config", KINDS, ids=["transformer", "deep", "mlp", "mlp sum", "quadratic"])
def test_moving_to_another_symbol_is_that_symbol(config: NetConfig) -> None:
    """With nothing kept but the mean, scrubbing by pair (a, b) -> (a', b') gives the logits of (a', b')."""
    torch.manual_seed(0)
    net = build_net(config)
    seen, own, other = view(net, TASK), torch.arange(P), torch.arange(P).flip(0)
    pairs = torch.stack([own, own], dim=1)
    left, right = (moved(table, (), own, other).float() for table in (seen.left, seen.right))
    with torch.no_grad():
        expected = net(torch.stack([other, other], dim=1))
    torch.testing.assert_close(shifted_embeddings(net, pairs, left, right), expected, atol=1e-5, rtol=1e-4)


def test_circles_carry_clocks_and_pizzas_but_no_table() -> None:
    frequencies = (3, 7, 11)
    for net in (clock(P, frequencies), pizza(P, frequencies), closed_form(P, (3, 7))):
        assert carried_by_few(view(net, TASK)) == 1
    assert circle_scrubbed_accuracy(view(clock(P, frequencies), TASK), (3, 7)) < 0.9
    assert carried_by_few(view(lookup(P), TASK)) < 0.2


def test_a_second_layer_that_mixes_frequencies_hides_no_algorithm() -> None:
    net, train = two_layers(pizza_mlp((3, 7, 11))), torch.arange(P * P)
    m = measure(net, TASK, train)
    assert m.accuracy == 1
    assert m.scrubbed_accuracy < 0.98
    assert m.circle_scrubbed_accuracy == 1
    assert label(m, P) == "algorithm"
    assert "circle_scrubbed_accuracy" in [criterion.name for criterion in algorithm_criteria(m, P)]


def test_a_second_layer_makes_no_algorithm_of_a_table() -> None:
    m = measure(two_layers(lookup(P)), TASK, torch.arange(P * P))
    assert m.accuracy == 1
    assert m.circle_scrubbed_accuracy < 0.2
    assert label(m, P) in ("memorising", "pseudo-arithmetic")


def test_neurons_of_one_frequency_are_asked_at_their_layer() -> None:
    m = measure(clock(P, (3, 7, 11)), TASK, torch.arange(P * P))
    assert label(m, P) == "algorithm"
    assert "circle_scrubbed_accuracy" not in [criterion.name for criterion in algorithm_criteria(m, P)]


def test_neurons_of_several_frequencies_are_asked_at_the_embeddings() -> None:
    m = measure(clock(P, (3, 7, 11)), TASK, torch.arange(P * P))
    mixed = replace(m, scrubbed_accuracy=0.6)
    assert m.circle_scrubbed_accuracy == 1
    assert label(mixed, P) == "algorithm"
    assert label(replace(mixed, circle_scrubbed_accuracy=0.97), P) == "pseudo-arithmetic"
