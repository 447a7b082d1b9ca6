"""Nets built by hand: they compute what they say, and their circuits are the true ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from benchmarks.ground_truth import attribute, compare, corrupted, recovery
from interp.attribution import activation_patching, edge_patching
from interp.attribution.stream import stream_of
from interp.hand_built import clock, lookup, pizza
from interp.hand_built_circuits import KnownCircuit, carry, known_circuits, two_frequencies
from interp.view import view
from pipeline.nets import build_net, config_from, describe
from pipeline.tasks import ModularTask

P = 23
FREQUENCIES = (2, 5, 9)
TASK = ModularTask(P)
KNOWN = known_circuits()


def waves(d_matters: bool) -> torch.Tensor:
    x = torch.arange(P).double()
    u, d = x[:, None, None] + x[:, None] - x, (x[:, None] - x)[..., None]
    total = torch.zeros(P, P, P, dtype=torch.float64)
    for k in FREQUENCIES:
        bow = (math.pi * k * d / P).cos().abs() if d_matters else 1
        total += 20 * bow * torch.cos(2 * math.pi * k / P * u)
    return total


def test_the_clock_gives_the_clock_formula() -> None:
    seen = view(clock(P, FREQUENCIES, phases=15), TASK)
    assert seen.accuracy == 1
    assert (seen.logits - waves(False)).abs().max() < 1


def test_the_pizza_gives_the_pizza_formula() -> None:
    seen = view(pizza(P, FREQUENCIES, phases=32), TASK)
    assert seen.accuracy == 1
    assert (seen.logits - waves(True)).abs().max() < 1


def test_the_table_gives_its_answers_and_nothing_else() -> None:
    seen = view(lookup(7), ModularTask(7))
    assert seen.accuracy == 1
    assert (seen.logits > 0).sum(2)[0, 1] == 1


def test_the_distractor_looks_here_and_there() -> None:
    net = clock(P, FREQUENCIES)
    _, cache = net.run_with_cache(torch.from_numpy(TASK.pairs()))
    pattern = cache["attn.hook_pattern"]
    assert pattern[:, 0, 0].min() > 0.999
    assert pattern[:, 1, 1].min() > 0.999
    assert pattern[:, 2, 0].std() > 0.1


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.name)
def test_known_circuits_are_right_everywhere(known: KnownCircuit) -> None:
    with torch.no_grad():
        assert torch.equal(known.net(known.pairs).argmax(1), known.answers)


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.name)
def test_known_circuits_are_ordinary_nets(known: KnownCircuit) -> None:
    build_net(config_from(describe(known.net.config))).load_state_dict(known.net.state_dict())
    graph = stream_of(known.net, neurons=True).graph
    assert known.nodes < {node.name for node in graph.nodes}
    assert known.edges < set(graph.edge_names)


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.name)
def test_what_is_in_the_circuit_matters_and_nothing_else_does(known: KnownCircuit) -> None:
    """Exact effects: 0 for each node and edge outside; not 0 for each inside."""
    nodes, edges = (attribute(known, method) for method in (activation_patching, edge_patching))
    for name, effect in zip([node.name for node in nodes.graph.nodes][:-1], nodes.nodes[:-1], strict=True):
        assert (abs(effect) > 1e-4) == (name in known.nodes), name
    for name, effect in zip(edges.graph.edge_names, edges.edges, strict=True):
        assert (abs(effect) > 1e-4) == (name in known.edges), name


def test_a_carry_needs_its_neurons() -> None:
    known = carry(4)
    with torch.no_grad():
        assert torch.equal(known.net(known.pairs).argmax(1), known.answers)
        known.net.get_parameter("blocks.0.w_out.weight")[:, 0] = 0
        wrong = known.net(known.pairs).argmax(1) != known.answers
    assert torch.equal(wrong, known.pairs.remainder(4).sum(1) >= 4)
    with pytest.raises(ValueError, match="base = 2"):
        carry(2)


def test_corrupted_inputs_have_other_answers() -> None:
    known = two_frequencies(5, (1, 2))
    assert bool((known.answers[corrupted(known, 3)] != known.answers).all())


def test_recovery_by_hand() -> None:
    found = recovery(["a", "b", "c", "d"], np.array([4.0, -2.0, 0.001, np.nan]), frozenset({"a", "c"}))
    assert found is not None
    assert (found.precision, found.recall) == (0.5, 0.5)
    assert found.average_precision == pytest.approx((1 + 2 / 3) / 2)
    assert (found.n_true, found.n) == (2, 4)
    assert recovery(["a"], np.array([np.nan]), frozenset({"a"})) is None


def test_ties_do_not_help() -> None:
    found = recovery(["a", "b"], np.array([1.0, 1.0]), frozenset({"a"}))
    assert found is not None
    assert found.average_precision == 0.5


def test_exact_patching_finds_the_carry() -> None:
    _, edges = compare(KNOWN[1], attribute(KNOWN[1], edge_patching))
    assert edges is not None
    assert (edges.precision, edges.recall, edges.average_precision) == (1, 1, 1)
