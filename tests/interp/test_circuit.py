"""Ablations against plain hooks, and circuits of nets whose circuit is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
import torch

from interp.ablation import answer_logit, baseline, edge_effects, head_effects, neuron_effects, run_kept
from interp.circuit import circuit_from_json, circuit_scores, circuit_to_json, find_circuit, load_circuit, save_circuit
from interp.forward import evaluate
from pipeline.errors import UserError
from pipeline.nets import Transformer
from pipeline.tasks import ModularTask

P = 11
TASK = ModularTask(P)
PAIRS, ANSWERS = torch.from_numpy(TASK.pairs()), torch.from_numpy(TASK.answers())
TRAIN = torch.from_numpy(TASK.split(0.5, 0)[0])


@pytest.fixture
def net(make_random: Callable[..., Transformer]) -> Transformer:
    return make_random(P, d_model=16, n_heads=2, d_head=8, d_mlp=20)


@pytest.fixture
def clock_circuit(make_clock: Callable[..., Transformer]) -> nx.DiGraph:
    return find_circuit(evaluate(make_clock(P, (1, 2, 3, 5), idle=6), TASK), TRAIN)


def test_hooked_equals_unhooked(net: Transformer) -> None:
    with torch.no_grad():
        plain = net(PAIRS)
    base = baseline(net, PAIRS, ANSWERS)
    assert torch.allclose(base.logits, plain, atol=1e-6)
    assert torch.allclose(evaluate(net, TASK).logits, plain, atol=1e-6)
    kept = run_kept(net, PAIRS, base, torch.ones(2, dtype=torch.bool), torch.ones(20, dtype=torch.bool))
    assert torch.equal(kept, plain)
    assert torch.equal(net(PAIRS), plain), "the hooks were left behind"


def test_with_everything_ablated_all_inputs_look_alike(net: Transformer) -> None:
    base = baseline(net, PAIRS, ANSWERS)
    logits = run_kept(net, PAIRS, base, torch.zeros(2, dtype=torch.bool), torch.zeros(20, dtype=torch.bool))
    assert torch.allclose(logits, logits[:1].expand_as(logits), atol=1e-6)


def test_the_closed_form_of_a_neuron_is_its_ablation(net: Transformer) -> None:
    base = baseline(net, PAIRS[TRAIN], ANSWERS[TRAIN])
    intact, heads = answer_logit(base.logits, base.answers), torch.ones(2, dtype=torch.bool)
    for i, effect in enumerate(neuron_effects(net, base).tolist()):
        ablated = answer_logit(run_kept(net, base.pairs, base, heads, torch.arange(20) != i), base.answers)
        assert intact - ablated == pytest.approx(effect, abs=1e-6)


def test_the_closed_form_of_an_edge_is_its_path_patch(net: Transformer) -> None:
    base = baseline(net, PAIRS, ANSWERS)
    edges, head, neuron = edge_effects(net, base), 1, 7
    moved = (base.results - base.mean_results)[:, head]

    def to_one_neuron(value: torch.Tensor, hook: Any) -> torch.Tensor:
        value = value.clone()
        value[:, neuron] -= moved @ net.mlp.w_in.weight[neuron]
        return value

    with torch.no_grad():
        to_neuron = net.run_with_hooks(PAIRS, fwd_hooks=[("mlp.hook_pre", to_one_neuron)])
        to_readout = net.run_with_hooks(PAIRS, fwd_hooks=[("hook_resid_post", lambda value, hook: value - moved)])
    intact = answer_logit(base.logits, ANSWERS)
    assert intact - answer_logit(to_neuron, ANSWERS) == pytest.approx(
        float(edges.head_to_neuron[head, neuron]), abs=1e-6
    )
    assert intact - answer_logit(to_readout, ANSWERS) == pytest.approx(float(edges.head_to_readout[head]), abs=1e-6)


def test_the_edges_of_a_head_in_full_are_its_ablation(net: Transformer) -> None:
    base = baseline(net, PAIRS, ANSWERS)
    edges = edge_effects(net, base)
    together = edges.head_to_neuron.sum(1) + edges.head_to_readout
    assert torch.allclose(head_effects(net, base), together, atol=1e-6)


def test_a_circuit_holds_the_neurons_that_are_read_and_no_others(clock_circuit: nx.DiGraph) -> None:
    nodes = clock_circuit.nodes
    assert nodes["head.0"]["in_circuit"]
    assert nodes["head.0"]["score"] > 0.9, "there is no way around the only head"
    idle = [nodes[f"mlp.{i}"] for i in range(32, 38)]
    assert all(node["score"] == pytest.approx(0, abs=1e-9) and not node["in_circuit"] for node in idle)
    assert {nodes[f"mlp.{i}"]["frequency"] for i in range(32)} == {1, 2, 3, 5}
    assert sum(nodes[f"mlp.{i}"]["score"] for i in range(32)) == pytest.approx(1.0, abs=0.05)


def test_faithfulness_goes_from_chance_to_one(clock_circuit: nx.DiGraph) -> None:
    found = clock_circuit.graph["faithfulness"]
    first, last = found["curve"][0], found["curve"][-1]
    assert (first["kept"], last["kept"]) == (0, 39)
    assert first["agreement"] < 0.25
    assert first["answer_logit"] == 0.0
    assert last["agreement"] == 1.0
    assert last["answer_logit"] == pytest.approx(1.0)
    assert found["agreement_train"] >= found["target"] == 0.99
    assert found["kept"] == found["kept_heads"] + found["kept_neurons"] <= 33


def test_neurons_are_grouped_by_frequency(clock_circuit: nx.DiGraph) -> None:
    groups = clock_circuit.graph["groups"]
    assert sum(group["score"] for group in groups) == pytest.approx(1.0, abs=0.05)
    assert sum(group["in_circuit"] for group in groups) == clock_circuit.graph["faithfulness"]["kept_neurons"]


def test_json_gives_the_graph_back(clock_circuit: nx.DiGraph, tmp_path: Path) -> None:
    path = tmp_path / "circuit.json"
    save_circuit(clock_circuit, path)
    again = load_circuit(path)
    assert circuit_to_json(again) == path.read_text() == circuit_to_json(clock_circuit)
    assert set(again.edges) == set(clock_circuit.edges)
    heads, neurons = circuit_scores(again)
    assert (heads.shape, neurons.shape) == ((1,), (38,))
    assert neurons[3] == pytest.approx(clock_circuit.nodes["mlp.3"]["score"], rel=1e-5)


@pytest.mark.parametrize("text", ["[]", "{}", '{"schema": "other"}', "not json", '{"schema": "catapult-circuit-1"}'])
def test_another_file_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UserError) as error:
        circuit_from_json(text)
    assert "\n" not in str(error.value)
