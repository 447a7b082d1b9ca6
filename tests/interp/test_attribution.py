"""Attribution methods against each other, against plain hooks, and on nets whose effects are known."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from interp.attribution import (
    METHODS,
    Attribution,
    activation_patching,
    attribution_patching,
    centred_logit,
    contrast,
    direct_logit_attribution,
    edge_masks,
    edge_patching,
    integrated_gradients,
    log_probability,
    logit_difference,
)
from interp.attribution.activations import activations
from interp.attribution.attribution_patching import gradients, scores, sent_in
from interp.attribution.edge_run import run_edges
from interp.attribution.stream import stream_of
from interp.graph import describe, graph_from, graph_of
from pipeline.errors import UserError
from pipeline.nets import (
    DeepTransformer,
    DeepTransformerConfig,
    Mlp,
    MlpConfig,
    Net,
    Quadratic,
    QuadraticConfig,
    Transformer,
    TransformerConfig,
)
from pipeline.tasks import ModularTask

P = 7
TASK = ModularTask(P)
CLEAN, CORRUPTED, METRIC = contrast(TASK, 20, seed=1)


def deep(**changes: Any) -> DeepTransformer:
    torch.manual_seed(3)
    shape: dict[str, Any] = {"n_layers": 2, "d_model": 8, "n_heads": 2, "d_head": 4, "d_mlp": 6, **changes}
    return DeepTransformer(DeepTransformerConfig(P, P, P, **shape)).eval()


def one_layer() -> Transformer:
    torch.manual_seed(4)
    config = {"d_model": 8, "n_heads": 2, "d_head": 4, "d_mlp": 12}
    return Transformer(TransformerConfig(P, **config)).eval()


def mlp(combine: Literal["concatenate", "sum"], widths: tuple[int, ...]) -> Mlp:
    torch.manual_seed(5)
    net = Mlp(MlpConfig(P, P, P, 4, widths, "gelu", combine, True)).eval()
    with torch.no_grad():
        for weight in net.parameters():
            weight.mul_(2)  # else so little comes out of the last layer that nothing differs
    return net


def linear() -> Transformer:
    """Even attention and neurons far above 0: the logits are linear in the embeddings."""
    net = one_layer()
    with torch.no_grad():
        net.attn.q.weight.zero_()
        net.mlp.w_in.bias.fill_(20.0)
    return net


NETS: dict[str, tuple[Callable[[], Net], bool]] = {
    "one layer": (one_layer, False),
    "one layer, neurons": (one_layer, True),
    "two layers with norms": (deep, False),
    "three layers": (lambda: deep(n_layers=3, pre_norm=False, operator=False, softmax_share=0.5), False),
    "perceptron": (lambda: mlp("concatenate", (6, 5)), False),
    "perceptron, neurons": (lambda: mlp("concatenate", (6, 5)), True),
    "perceptron of a sum, neurons": (lambda: mlp("sum", (6, 5, 4)), True),
    "two layers, neurons": (lambda: deep(pre_norm=False, causal=False, equals=False), True),
}


@pytest.fixture(params=NETS)
def case(request: pytest.FixtureRequest) -> tuple[Any, bool]:
    build, neurons = NETS[request.param]
    return build(), neurons


def test_all_edges_open_is_the_net_and_all_closed_is_the_corrupted_run(case: tuple[Any, bool]) -> None:
    net, neurons = case
    stream = stream_of(net, neurons)
    with torch.no_grad():
        there, plain = activations(stream, CORRUPTED), net(CLEAN)
        mask = torch.stack([torch.ones(stream.graph.n_edges), torch.zeros(stream.graph.n_edges)])
        whole, nothing = run_edges(stream, CLEAN, there, mask)
        assert torch.allclose(activations(stream, CLEAN).logits, plain, atol=1e-5), "hooked equals unhooked"
        assert torch.allclose(whole, plain, atol=1e-4)
        assert torch.allclose(nothing, net(CORRUPTED), atol=1e-4)
        assert not torch.allclose(whole, nothing, atol=1e-2)
        assert torch.equal(net(CLEAN), plain), "no hook is left behind"


def test_a_node_is_all_its_outgoing_edges(case: tuple[Any, bool]) -> None:
    net, neurons = case
    stream = stream_of(net, neurons)
    nodes = activation_patching(net, CLEAN, CORRUPTED, METRIC, neurons=neurons).nodes
    with torch.no_grad():
        there, intact = activations(stream, CORRUPTED), METRIC(net(CLEAN)).mean()
        senders = torch.from_numpy(stream.graph.ends[:, 0])
        mask = (senders[None] != torch.arange(stream.graph.n_senders)[:, None]).float()
        effects = [float(intact - METRIC(logits).mean()) for logits in run_edges(stream, CLEAN, there, mask)]
    assert nodes[:-1] == pytest.approx(effects, abs=1e-5)
    assert np.isnan(nodes[-1])


def test_an_edge_patched_in_closed_form_is_the_edge_patched_in_a_run(case: tuple[Any, bool]) -> None:
    net, neurons = case
    stream = stream_of(net, neurons)
    found = edge_patching(net, CLEAN, CORRUPTED, METRIC, neurons=neurons)
    with torch.no_grad():
        there, intact = activations(stream, CORRUPTED), METRIC(net(CLEAN)).mean()
        mask = 1 - torch.eye(stream.graph.n_edges)
        effects = [float(intact - METRIC(logits).mean()) for logits in run_edges(stream, CLEAN, there, mask)]
    assert found.edges == pytest.approx(effects, abs=1e-5)
    assert np.abs(found.edges).max() > 1e-3


def test_an_edge_into_a_head_is_a_path_patch_by_plain_hooks() -> None:
    """Corrupt what block 0 reads at a position, keep head 1 of that run, and put that head alone into the clean run."""
    net = deep()
    kept: dict[str, torch.Tensor] = {}

    def corrupt(value: torch.Tensor, hook: Any) -> torch.Tensor:
        value = value.clone()
        value[:, 2] = (net.embed(net.tokens(CORRUPTED)) + net.pos.weight)[:, 2]
        return value

    def keep(value: torch.Tensor, hook: Any) -> None:
        kept["z"] = value

    def put(value: torch.Tensor, hook: Any) -> torch.Tensor:
        value = value.clone()
        value[:, :, 1] = kept["z"][:, :, 1]
        return value

    name = "blocks.0.attn.hook_z"
    with torch.no_grad():
        net.run_with_hooks(CLEAN, fwd_hooks=[("hook_embed", corrupt), (name, keep)])
        patched = net.run_with_hooks(CLEAN, fwd_hooks=[(name, put)])
        effect = float((METRIC(net(CLEAN)) - METRIC(patched)).mean())
    found = edge_patching(net, CLEAN, CORRUPTED, METRIC)
    assert found.edge("embed.b", "head.0.1") == pytest.approx(effect, abs=1e-6)
    assert abs(effect) > 1e-4


def test_eap_is_the_gradient_of_the_edges(case: tuple[Any, bool]) -> None:
    net, neurons = case
    stream = stream_of(net, neurons)
    there = activations(stream, CORRUPTED)
    mask = torch.ones(1, stream.graph.n_edges, requires_grad=True)
    METRIC(run_edges(stream, CLEAN, there, mask)[0]).mean().backward()
    found = attribution_patching(net, CLEAN, CORRUPTED, METRIC, neurons=neurons)
    assert mask.grad is not None
    assert found.edges == pytest.approx(mask.grad[0].numpy(), abs=1e-6)


def test_eap_ig_with_one_step_is_eap(case: tuple[Any, bool]) -> None:
    net, neurons = case
    one = integrated_gradients(net, CLEAN, CORRUPTED, METRIC, neurons=neurons, steps=1)
    eap = attribution_patching(net, CLEAN, CORRUPTED, METRIC, neurons=neurons)
    assert np.array_equal(one.edges, eap.edges)
    five = integrated_gradients(net, CLEAN, CORRUPTED, METRIC, neurons=neurons, steps=5)
    assert not np.allclose(five.edges, eap.edges, atol=1e-6)


def test_the_points_of_integrated_gradients_are_evenly_spaced_up_to_the_clean_input(case: tuple[Any, bool]) -> None:
    """Two steps: the mean of EAP's gradients half way and at the end."""
    net, neurons = case
    stream = stream_of(net, neurons)
    here, there = activations(stream, CLEAN), activations(stream, CORRUPTED)
    half = (here.values[stream.embed] + there.values[stream.embed]) / 2
    gradient = [
        (a + b) / 2
        for a, b in zip(
            *(gradients(stream, activations(stream, CLEAN, x, graph=True), METRIC) for x in (half, None)), strict=True
        )
    ]
    found = integrated_gradients(net, CLEAN, CORRUPTED, METRIC, neurons=neurons, steps=2)
    assert found.edges == pytest.approx(scores(stream, gradient, sent_in(stream, here, there)), abs=1e-6)


def test_integrated_gradients_of_the_embeddings_add_up_to_the_whole_effect() -> None:
    """The completeness of Sundararajan et al. 2017, in the limit of many steps."""
    found = integrated_gradients(deep(), CLEAN, CORRUPTED, METRIC, steps=400)
    assert found.nodes[:4].sum() == pytest.approx(found.clean - found.corrupted, rel=0.03)


@pytest.mark.parametrize("method", [edge_patching, attribution_patching, integrated_gradients])
@pytest.mark.parametrize("neurons", [False, True])
def test_on_a_linear_net_every_method_gives_the_exact_effect(method: Callable[..., Attribution], neurons: bool) -> None:
    net = linear()
    exact = activation_patching(net, CLEAN, CORRUPTED, METRIC, neurons=neurons)
    found = method(net, CLEAN, CORRUPTED, METRIC, neurons=neurons)
    edges = edge_patching(net, CLEAN, CORRUPTED, METRIC, neurons=neurons).edges
    assert found.nodes[:-1] == pytest.approx(exact.nodes[:-1], abs=1e-5)
    assert found.edges == pytest.approx(edges, abs=1e-5)
    assert found.graph.sum_over_outgoing(edges)[:-1] == pytest.approx(exact.nodes[:-1], abs=1e-5)
    assert exact.nodes[:3].sum() == pytest.approx(exact.clean - exact.corrupted, abs=1e-5)


def test_direct_attribution_is_the_exact_effect_of_the_edges_into_the_logits() -> None:
    for build, neurons in (NETS["one layer, neurons"], NETS["two layers, neurons"]):
        net = build()
        direct = direct_logit_attribution(net, CLEAN, CORRUPTED, METRIC, neurons=neurons)
        exact = edge_patching(net, CLEAN, CORRUPTED, METRIC, neurons=neurons)
        scored = ~np.isnan(direct.edges)
        assert scored.tolist() == [receiver == "logits" for _, receiver in direct.graph.edge_names]
        assert direct.edges[scored] == pytest.approx(exact.edges[scored], abs=1e-5)
        assert direct.node("embed.a") == 0


def test_direct_attribution_freezes_the_scale_of_the_norm() -> None:
    """Its parts add up to what the frozen norm makes of the whole change of the stream."""
    net = deep()
    assert net.norm.gain is not None
    with torch.no_grad():
        net.norm.gain.copy_(torch.linspace(-0.5, 1, 8))
    found = direct_logit_attribution(net, CLEAN, CORRUPTED, METRIC)
    with torch.no_grad():
        here, there = (
            activations(stream_of(net), pairs).values["blocks.1.hook_resid_post"] for pairs in (CLEAN, CORRUPTED)
        )
        change = (here - there)[:, 0]
        scale = (here[:, 0].var(1, correction=0, keepdim=True) + 1e-5).sqrt()
        logits = net.unembed((change - change.mean(1, keepdim=True)) / scale * (1 + net.norm.gain))
    assert np.nansum(found.edges) == pytest.approx(float(METRIC(logits).mean()), abs=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_a_net_in_float64_gives_the_same(method: str, case: tuple[Any, bool]) -> None:
    net, neurons = case
    options = {"steps": 3} if method == "edge_masks" else {}
    single = METHODS[method](net, CLEAN, CORRUPTED, METRIC, neurons=neurons, **options)
    double = METHODS[method](net.double(), CLEAN, CORRUPTED, METRIC, neurons=neurons, **options)
    assert double.nodes == pytest.approx(single.nodes, abs=1e-4, nan_ok=True)
    assert double.edges == pytest.approx(single.edges, abs=1e-4, nan_ok=True)


def test_edges_are_patched_in_parts_as_at_once(case: tuple[Any, bool], monkeypatch: pytest.MonkeyPatch) -> None:
    net, neurons = case
    whole = edge_patching(net, CLEAN, CORRUPTED, METRIC, neurons=neurons).edges
    monkeypatch.setattr(import_module("interp.attribution.edge_patching"), "NUMBERS", 300)
    assert edge_patching(net, CLEAN, CORRUPTED, METRIC, neurons=neurons).edges == pytest.approx(whole, abs=1e-5)


def test_learnt_masks_keep_what_carries_the_answer_and_close_the_rest() -> None:
    net = one_layer()
    with torch.no_grad():
        net.attn.o.weight[:, 4:] = 0  # head 1 writes nothing
    found = edge_masks(net, CLEAN, CORRUPTED, METRIC, steps=150, sparsity=0.02)
    exact = edge_patching(net, CLEAN, CORRUPTED, METRIC)
    useless = [abs(effect) < 1e-7 for effect in exact.edges]
    assert sum(useless) > 3
    assert found.edges[useless].max() < 0.01
    assert found.edges[int(np.abs(exact.edges).argmax())] > 0.9
    assert ((found.edges >= 0) & (found.edges <= 1)).all()
    again = edge_masks(net, CLEAN, CORRUPTED, METRIC, steps=150, sparsity=0.02)
    assert np.array_equal(found.edges, again.edges), "the seed fixes the noise"


def test_an_idle_neuron_has_no_effect(make_clock: Callable[..., Transformer]) -> None:
    net, task = make_clock(11, (1, 2, 3), idle=4), ModularTask(11)
    for method in (activation_patching, edge_patching, attribution_patching, integrated_gradients):
        found = method(net, *contrast(task, 40), neurons=True)
        assert [found.node(f"neuron.0.{i}") for i in range(24, 28)] == pytest.approx([0] * 4, abs=1e-7)
        assert 0.2 < found.node("head.0.0") / (found.clean - found.corrupted) < 2, "half by gradients, all by patching"


@pytest.mark.parametrize("method", METHODS)
def test_a_result_reads_back(method: str, tmp_path: Path) -> None:
    found = METHODS[method](one_layer(), CLEAN, CORRUPTED, METRIC)
    found.save(tmp_path / "attribution.json")
    again = Attribution.from_json((tmp_path / "attribution.json").read_text())
    assert (again.method, again.n_inputs, again.graph) == (method, 20, found.graph)
    assert again.edges == pytest.approx(found.edges, rel=1e-5, nan_ok=True)
    assert again.nodes == pytest.approx(found.nodes, rel=1e-5, nan_ok=True)
    assert found.clean == pytest.approx(METRIC(one_layer()(CLEAN)).mean().item(), abs=1e-5)


@pytest.mark.parametrize("text", ["[]", "{}", "nothing", '{"schema": "other"}', '{"schema": "catapult-attribution-1"}'])
def test_another_file_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UserError) as error:
        Attribution.from_json(text)
    assert "\n" not in str(error.value)


def test_nets_without_a_stream_are_refused() -> None:
    with pytest.raises(UserError, match="Quadratic"):
        attribution_patching(Quadratic(QuadraticConfig(P, P, P, 6)), CLEAN, CORRUPTED, METRIC)
    with pytest.raises(UserError, match="LayerNorm"):
        attribution_patching(deep(), CLEAN, CORRUPTED, METRIC, neurons=True)


def test_the_graph_joins_senders_to_what_reads_them() -> None:
    graph = graph_of(["a", "b"], [1, 1], None)
    assert [node.name for node in graph.nodes] == [
        "embed.a", "embed.b", "head.0.0", "mlp.0", "head.1.0", "mlp.1", "logits",
    ]  # fmt: skip
    edges = set(graph.edge_names)
    assert ("embed.a", "head.1.0") in edges
    assert ("embed.a", "mlp.0") in edges, "not the last layer: read at every position"
    assert ("embed.a", "mlp.1") not in edges
    assert ("embed.a", "logits") not in edges
    assert ("embed.b", "logits") in edges
    assert len(edges) == graph.n_edges == 2 + 3 + 4 + 4 + 5
    assert graph_from(describe(graph)) == graph


def test_metrics() -> None:
    logits = torch.tensor([[1.0, 2.0, 6.0], [0.0, 0.0, 0.0]])
    right, wrong = torch.tensor([2, 0]), torch.tensor([0, 1])
    assert logit_difference(right, wrong)(logits).tolist() == [5.0, 0.0]
    assert centred_logit(right)(logits).tolist() == [3.0, 0.0]
    assert log_probability(right)(logits)[1].item() == pytest.approx(-np.log(3))


def test_contrasts_differ_in_their_answer() -> None:
    clean, corrupted, metric = contrast(TASK, 1000)
    assert len(clean) == len({tuple(pair) for pair in clean.tolist()}) == 49
    assert not bool(((clean.sum(1) - corrupted.sum(1)) % P == 0).any())
    logits = torch.nn.functional.one_hot(clean.sum(1) % P, P).float()
    assert metric(logits).tolist() == [1.0] * 49
    later = contrast(TASK, 1000, skip=20)[0]
    assert torch.equal(later, clean[20:])


def test_contrasts_of_some_pairs_stay_among_them() -> None:
    some = torch.tensor([3, 8, 9, 20, 33])
    own = {tuple(pair) for pair in TASK.pairs()[some].tolist()}
    clean, corrupted, _ = contrast(TASK, 10, among=some)
    assert {tuple(pair) for pair in clean.tolist()} == own >= {tuple(pair) for pair in corrupted.tolist()}
    with pytest.raises(UserError, match="pairs = 2, of one answer"):
        contrast(TASK, 10, among=torch.tensor([1, P]))
