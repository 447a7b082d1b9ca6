"""What a circuit says of the whole domain, of its heads and of its components; and which nets get one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from interp.attribution import contrast
from interp.attribution.stream import stream_of
from interp.circuits import Evaluator, circuit_of_net, component_scores, find
from interp.circuits.circuit import circuit_from_json, circuit_to_json
from interp.circuits.everywhere import everywhere
from interp.circuits.spectra import frequency_shares
from pipeline.errors import UserError
from pipeline.nets import (
    DeepTransformer,
    DeepTransformerConfig,
    Mlp,
    MlpConfig,
    Quadratic,
    QuadraticConfig,
    Transformer,
)
from pipeline.tasks import ModularTask

P = 11
TASK = ModularTask(P)


@pytest.fixture
def net(make_clock: Callable[..., Transformer]) -> Transformer:
    return make_clock(P, (1, 2, 3, 5), idle=2)


def deep(norm: bool = False) -> DeepTransformer:
    torch.manual_seed(0)
    net = DeepTransformer(DeepTransformerConfig(P, P, P, 2, 8, 2, 4, 6, pre_norm=norm)).eval()
    with torch.no_grad():
        for weights in net.parameters():
            weights.normal_(0, 0.8)
    return net


def test_on_all_pairs_everything_kept_is_the_net_and_nothing_kept_is_never_right(net: Transformer) -> None:
    stream = stream_of(net, True)
    whole = everywhere(stream, TASK, np.ones(stream.graph.n_edges, dtype=bool))
    nothing = everywhere(stream, TASK, np.zeros(stream.graph.n_edges, dtype=bool))
    assert (whole.agreement, whole.accuracy) == (1.0, 1.0)
    assert (nothing.agreement, nothing.accuracy) == (0.0, 0.0)


@pytest.mark.parametrize("operation", ["addition", "division"])
def test_in_parts_as_in_one(operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    task, net = ModularTask(P, operation), deep()  # pyright: ignore[reportArgumentType]
    clean, corrupted, metric = contrast(task, P * P, seed=3)
    assert len(clean) == len(task.pairs())
    measured = Evaluator(net, clean, corrupted, metric, neurons=True)
    kept = np.random.default_rng(0).random(measured.stream.graph.n_edges) < 0.7
    monkeypatch.setattr("interp.circuits.everywhere.ROWS", 50)
    found = everywhere(measured.stream, task, kept, seed=3)
    assert found.agreement == measured.points(kept[None])[0].agreement
    table = {tuple(pair): int(answer) for pair, answer in zip(task.pairs().tolist(), task.answers(), strict=True)}
    right = torch.tensor([table[tuple(pair)] for pair in clean.tolist()])
    assert found.accuracy == float((measured.run(kept[None])[0].argmax(1) == right).double().mean())
    assert 0 < found.agreement < 1


def test_heads_say_where_the_last_position_looks(net: Transformer) -> None:
    found = find(net, TASK, "attribution_patching", neurons=True, inputs=40)
    assert found.nodes["head.0.0"]["attention"] == pytest.approx([1 / 3] * 3)
    assert "attention" not in found.nodes["neuron.0.0"]
    other = deep()
    with torch.no_grad():
        cache = other.run_with_cache(torch.from_numpy(TASK.pairs()))[1]
    found = find(other, TASK, "attribution_patching", neurons=True, inputs=40)
    for layer in (0, 1):
        looks = cache[f"blocks.{layer}.attn.hook_pattern"][:, 1, -1].mean(0)
        assert found.nodes[f"head.{layer}.1"]["attention"] == pytest.approx(looks.tolist(), abs=1e-6)


def test_component_scores_are_in_the_nets_order_and_never_missing(net: Transformer) -> None:
    found = find(net, TASK, "integrated_gradients", neurons=True, inputs=40)
    heads, neurons = component_scores(circuit_from_json(circuit_to_json(found)))
    assert (heads.shape, neurons.shape) == ((1,), (34,))
    expected = [found.nodes[f"neuron.0.{i}"]["score"] for i in range(34)]
    assert neurons.tolist() == pytest.approx(expected, rel=1e-5)
    assert neurons[32:].abs().max() < 1e-6 < neurons[:32].abs().min(), "idle neurons are worth nothing"
    found.nodes["neuron.0.3"]["score"] = None
    assert component_scores(found)[1][3] == 0
    whole = find(net, TASK, "integrated_gradients", inputs=40)
    assert [scores.shape for scores in component_scores(whole)] == [(1,), (0,)]


def test_an_analysis_finds_circuits_of_the_kinds_that_attribution_knows(net: Transformer) -> None:
    def kinds(circuit_net: Transformer | DeepTransformer | Mlp) -> set[str]:
        found = circuit_of_net(circuit_net, TASK, 0.9)
        assert found is not None
        assert found.graph["circuit"]["target"] == 0.9
        return {str(node["kind"]) for node in found.nodes.values()}

    assert kinds(net) == kinds(deep()) == {"embed", "head", "neuron", "logits"}
    assert kinds(deep(norm=True)) == {"embed", "head", "mlp", "logits"}
    assert kinds(Mlp(MlpConfig(P, P, P, 4, (6,))).eval()) == {"embed", "neuron", "logits"}
    assert circuit_of_net(Quadratic(QuadraticConfig(P, P, P, 6)).eval(), TASK, 0.9) is None


def test_a_circuit_of_the_older_schema_says_how_to_make_a_new_one() -> None:
    with pytest.raises(UserError, match="not catapult-circuit-2: make it with `python -m interp attribute`"):
        circuit_from_json('{"schema": "catapult-circuit-1", "nodes": [], "edges": []}')


@pytest.mark.parametrize("n", [7, 8])
def test_frequency_shares_are_those_of_the_whole_transform(n: int) -> None:
    table = torch.randn(n, n, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 4
    power = torch.fft.fft2(table, dim=(0, 1)).abs().square().sum(2)
    expected = []
    for k in range(1, n // 2 + 1):
        lines = {(f % n, g % n) for f in (0, k, -k) for g in (0, k, -k)} - {(0, 0)}
        expected.append(sum(float(power[line]) for line in lines) / float(power.sum() - power[0, 0]))
    assert frequency_shares(table).tolist() == pytest.approx(expected)
