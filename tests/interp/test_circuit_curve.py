"""Circuits: the curve and its areas by hand, sizes, necessity, and a net whose circuit is known."""

from __future__ import annotations

from collections.abc import Callable

import networkx as nx
import numpy as np
import pytest
import torch

from interp.attribution import (
    activation_patching,
    attribution_patching,
    contrast,
    direct_logit_attribution,
    edge_patching,
    integrated_gradients,
)
from interp.attribution.stream import stream_of
from interp.circuits import Evaluator, changed_answers, curve, find, minimal, prune, ranking, smallest
from interp.circuits.curve import SHARES, areas, best, edge_scores
from interp.circuits.removal import Removal
from interp.circuits.spectra import frequency_shares, node_spectra
from pipeline.nets import DeepTransformer, DeepTransformerConfig, Mlp, MlpConfig, Net, Transformer
from pipeline.tasks import ModularTask

P = 11
TASK = ModularTask(P)
FREQUENCIES = (1, 2, 3, 5)


@pytest.fixture
def net(make_clock: Callable[..., Transformer]) -> Transformer:
    """The answer goes through 32 neurons; 4 more have an input and are not read."""
    return make_clock(P, FREQUENCIES, idle=4)


def evaluator(net: Transformer, neurons: bool = False) -> Evaluator:
    return Evaluator(net, *contrast(TASK, 60), neurons=neurons)


def test_areas_by_hand() -> None:
    assert areas((0.0, 0.5, 1.0), (0.0, 1.0, 1.0)) == (0.75, 0.25)
    assert areas((0.0, 0.5, 1.0), (0.0, 2.0, 1.0)) == (1.25, 0.75), "CMD counts what is above 1 too"
    assert areas(SHARES, [1.0] * 10) == pytest.approx((0.999, 0.0))


def test_faithfulness_is_0_for_nothing_and_1_for_the_net(net: Transformer) -> None:
    measured = evaluator(net)
    n = measured.stream.graph.n_edges
    nothing, whole = measured.points(np.array([[False] * n, [True] * n]))
    assert (nothing.edges, whole.edges) == (0, n)
    assert (nothing.faithfulness, whole.faithfulness) == pytest.approx((0.0, 1.0), abs=1e-5)
    assert (nothing.agreement, whole.agreement) == (0.0, 1.0)


def test_the_curve_follows_the_ranking(net: Transformer) -> None:
    measured = evaluator(net, neurons=True)
    order = ranking(edge_patching(net, *contrast(TASK, 60, seed=1), neurons=True))
    good, bad = curve(measured, order), curve(measured, order[::-1])
    sizes = [int(share * len(order)) for share in SHARES]
    assert [point.edges for point in good.points] == sizes
    assert good.points[-1].faithfulness == pytest.approx(1.0, abs=1e-5)
    assert good.cpr > bad.cpr + 0.1
    assert good.cmd < bad.cmd - 0.1


def test_a_method_of_nodes_ranks_the_edges_between_them(net: Transformer) -> None:
    for method in (activation_patching, direct_logit_attribution):
        found = method(net, *contrast(TASK, 60), neurons=True)
        scores = edge_scores(found)
        at = found.graph.edge_names.index(("neuron.0.3", "logits"))
        assert scores[at] == abs(found.node("neuron.0.3"))
        assert sorted(ranking(found)) == list(range(found.graph.n_edges))


def test_the_smallest_circuit_reaches_its_target_and_leaves_idle_neurons_out(net: Transformer) -> None:
    measured = evaluator(net, neurons=True)
    order = ranking(attribution_patching(net, *contrast(TASK, 60, seed=1), neurons=True))
    kept = smallest(measured, order, 0.99)
    size = int(kept.sum())
    assert measured.points(kept[None])[0].faithfulness >= 0.99
    assert measured.points(best(order, [size - 1]))[0].faithfulness < 0.99
    names = [measured.stream.graph.edge_names[i] for i in np.flatnonzero(prune(measured.stream.graph, kept))]
    assert not [ends for ends in names if "neuron.0.32" in ends]
    assert smallest(measured, order, 1e9).all(), "the whole net where no circuit reaches the target"


def test_pruning_changes_no_logit() -> None:
    torch.manual_seed(0)
    net = DeepTransformer(DeepTransformerConfig(P, P, P, 2, 8, 2, 4, 6)).eval()
    measured = Evaluator(net, *contrast(TASK, 30))
    draw = np.random.default_rng(0)
    graph, removed = measured.stream.graph, 0
    for _ in range(8):
        kept = draw.random(graph.n_edges) < 0.3
        pruned = prune(graph, kept)
        assert not (pruned & ~kept).any()
        before, after = measured.run(np.stack([kept, pruned]))
        assert torch.allclose(before, after, atol=1e-6)
        removed += int(kept.sum() - pruned.sum())
    assert removed > 0


def test_every_edge_of_a_minimal_circuit_is_necessary(net: Transformer) -> None:
    measured = evaluator(net, neurons=True)
    order = ranking(edge_patching(net, *contrast(TASK, 60, seed=1), neurons=True))
    whole = np.ones(len(order), dtype=bool)
    kept = minimal(measured, whole, order)
    changes = changed_answers(measured, kept)
    assert 0 < kept.sum() < len(order)
    assert torch.equal(measured.run(kept[None])[0].argmax(1), measured.answers)
    assert changes[kept].min() >= 1
    assert not changes[~kept].any()
    assert changed_answers(measured, whole).min() == 0, "the whole net has edges that it does not need"


@pytest.mark.parametrize("build", ["clock", "deep", "perceptron"])
def test_a_circuit_without_an_edge_is_a_run_without_it(net: Transformer, build: str) -> None:
    torch.manual_seed(1)
    others: dict[str, Net] = {
        "clock": net,
        "deep": DeepTransformer(DeepTransformerConfig(P, P, P, 2, 8, 2, 4, 6, pre_norm=False)).eval(),
        "perceptron": Mlp(MlpConfig(P, P, P, 4, (6, 5))).eval(),
    }
    measured = Evaluator(others[build], *contrast(TASK, 40), neurons=True)
    kept = np.random.default_rng(0).random(measured.stream.graph.n_edges) < 0.8
    circuit, edges = Removal(measured, kept), np.flatnonzero(kept)
    assert torch.allclose(circuit.logits, measured.run(kept[None])[0], atol=1e-6)
    trials = np.repeat(kept[None], len(edges), axis=0)
    trials[np.arange(len(edges)), edges] = False
    found = torch.stack([circuit.without(edge) for edge in edges.tolist()])
    assert torch.allclose(found, measured.run(trials), atol=1e-5)
    assert not torch.allclose(found, circuit.logits.expand_as(found), atol=1e-3)
    for edge in edges[::2].tolist():
        circuit.remove(edge)
    assert circuit.kept.sum() == len(edges) // 2
    assert torch.allclose(circuit.logits, measured.run(circuit.kept[None])[0], atol=1e-5)


def test_find_gives_a_graph_with_what_was_measured(net: Transformer) -> None:
    found = find(net, TASK, "integrated_gradients", neurons=True, inputs=60, necessary=True, steps=3)
    assert isinstance(found, nx.DiGraph)
    assert found.graph["config"] == {"steps": 3}
    assert found.graph["circuit"]["edges"] == sum(data["in_circuit"] for _, _, data in found.edges(data=True))
    assert found.graph["circuit"]["agreement"] == 1.0
    assert all((data["changes"] or 0) >= data["in_circuit"] for _, _, data in found.edges(data=True))
    kept = [name for name, data in found.nodes(data=True) if data["in_circuit"]]
    assert {"embed.a", "embed.b", "head.0.0", "logits"} < set(kept)
    assert {found.nodes[name]["frequency"] for name in kept if name.startswith("neuron")} <= set(FREQUENCIES)
    assert found.nodes["neuron.0.35"]["in_circuit"] is False
    assert nx.is_directed_acyclic_graph(found)


def test_a_circuit_is_measured_on_pairs_that_were_not_scored_and_has_no_dead_ends() -> None:
    removed = 0
    for seed in range(4):
        torch.manual_seed(seed)
        net = DeepTransformer(DeepTransformerConfig(P, P, P, 2, 8, 2, 4, 6, pre_norm=False)).eval()
        found = find(net, TASK, "integrated_gradients", neurons=True, inputs=40, seed=2, target=0.9)
        other = Evaluator(net, *contrast(TASK, 40, seed=2, skip=40), neurons=True)
        kept = np.array([found.edges[ends]["in_circuit"] for ends in other.stream.graph.edge_names])
        faithfulness = other.points(kept[None])[0].faithfulness
        assert found.graph["circuit"]["faithfulness"] == pytest.approx(faithfulness, abs=1e-5)
        assert np.array_equal(kept, prune(other.stream.graph, kept))
        order = ranking(integrated_gradients(net, *contrast(TASK, 40, seed=2), neurons=True))
        removed += int(smallest(other, order, 0.9).sum() - kept.sum())
    assert removed > 0, "the rankings' circuits have dead ends, of one net or another"


def test_spectra_of_waves_by_hand(net: Transformer) -> None:
    x = torch.arange(P, dtype=torch.float64)
    total = 2 * torch.pi * (x[:, None] + x) / P
    wave = (3 * total).cos() + 5
    assert frequency_shares(wave[..., None]).tolist() == pytest.approx([0, 0, 1, 0, 0], abs=1e-9)
    mixed = torch.stack([(total + 1).sin(), (2 * torch.pi * 2 * x / P).cos().expand(P, P)], dim=-1)
    assert frequency_shares(mixed).tolist() == pytest.approx([0.5, 0.5, 0, 0, 0], abs=1e-9)
    assert frequency_shares(torch.ones(P, P, 2)).tolist() == [0] * 5
    even = (torch.pi * torch.arange(4)).cos()[:, None, None].expand(4, 4, 1)
    assert frequency_shares(even).tolist() == pytest.approx([0, 1])


def test_spectra_of_a_clock_are_its_frequencies(net: Transformer) -> None:
    spectra = node_spectra(stream_of(net, True), TASK)
    assert spectra is not None
    graph = stream_of(net, True).graph
    assert spectra.shape == (len(graph.nodes), 5)
    own = {node.name: row for node, row in zip(graph.nodes, spectra, strict=True)}
    assert [own[f"neuron.0.{8 * i}"].argmax() + 1 for i in range(4)] == list(FREQUENCIES)
    assert own["embed.a"][[0, 1, 2, 4]] == pytest.approx([0.25] * 4, abs=1e-6)
    assert not own["embed.="].any()
    assert node_spectra(stream_of(net, True), ModularTask(P, "quadratic_form")) is None
