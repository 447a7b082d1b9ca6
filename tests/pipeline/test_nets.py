"""Each net against its equations in float64 numpy, its hooks against none, and its config against its description."""

import json
from collections.abc import Callable
from dataclasses import replace
from math import erf
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.nets import (
    DeepTransformer,
    DeepTransformerConfig,
    Mlp,
    MlpConfig,
    Net,
    NetConfig,
    Quadratic,
    QuadraticConfig,
    Transformer,
    TransformerConfig,
    build_net,
    closed_form,
    config_from,
    describe,
)
from pipeline.tasks import ModularTask

N_LEFT, N_RIGHT, N_ANSWERS = 5, 6, 7
ALPHABETS = (N_LEFT, N_RIGHT, N_ANSWERS)
MLP = MlpConfig(*ALPHABETS, d_embed=4, widths=(9, 8, 6), bias=True)
DEEP = DeepTransformerConfig(*ALPHABETS, n_layers=3, d_model=8, n_heads=2, d_head=3, d_mlp=10)
CONFIGS: list[NetConfig] = [
    MLP,
    replace(MLP, combine="sum", activation="relu", bias=False),
    replace(MLP, activation="gelu_tanh"),
    QuadraticConfig(*ALPHABETS, width=11),
    DEEP,
    replace(DEEP, pre_norm=False, operator=False, attention_bias=False, activation="relu", n_layers=1),
    replace(DEEP, equals=False, activation="gelu_tanh", causal=False, softmax_share=0.63),
    replace(DEEP, equals=False, operator=False, pre_norm=False, softmax_share=0.25, n_layers=2),
]
ids = [f"{i}-{config.KIND}" for i, config in enumerate(CONFIGS)]
Weights = dict[str, np.ndarray]

gelu = np.vectorize(lambda x: x * (1 + erf(x / 2**0.5)) / 2)
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": lambda x: np.maximum(x, 0),
    "gelu": gelu,
    "gelu_tanh": lambda x: x / 2 * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3))),
}


def random_net(config: NetConfig) -> Net:
    """Every parameter drawn, vectors too, so that none is the 0 it may start at."""
    net, generator = build_net(config).eval(), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in net.parameters():
            weight.normal_(0, 0.5, generator=generator)
    return net


def all_pairs() -> torch.Tensor:
    return torch.cartesian_prod(torch.arange(N_LEFT), torch.arange(N_RIGHT))


def linear(w: Weights, name: str, x: np.ndarray) -> np.ndarray:
    return x @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0.0)


def mlp(w: Weights, config: MlpConfig, a: int, b: int) -> np.ndarray:
    left, right = w["embed_left.weight"][a], w["embed_right.weight"][b]
    h = np.concatenate([left, right]) if config.combine == "concatenate" else left + right
    for i in range(len(config.widths)):
        h = ACTIVATIONS[config.activation](linear(w, f"layers.{i}.linear", h))
    return linear(w, "unembed", h)


def quadratic(w: Weights, config: QuadraticConfig, a: int, b: int) -> np.ndarray:
    left, right = (np.eye(n)[i] for n, i in ((config.n_left, a), (config.n_right, b)))
    return w["unembed.weight"] @ (w["left.weight"] @ left + w["right.weight"] @ right) ** 2


def norm(w: Weights, name: str, x: np.ndarray) -> np.ndarray:
    if f"{name}.gain" not in w:
        return x
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return scaled * (1 + w[f"{name}.gain"]) + w[f"{name}.bias"]


def deep(w: Weights, config: DeepTransformerConfig, a: int, b: int) -> np.ndarray:
    """Every position of every block, one head and one query at a time."""
    equals = max(config.n_left, config.n_right)
    tokens = [a, equals + config.equals, b] if config.operator else [a, b]
    x = w["embed.weight"][[*tokens, equals] if config.equals else tokens] + w["pos.weight"]
    for i in range(config.n_layers):
        block = f"blocks.{i}"
        y = norm(w, f"{block}.norm_attn", x)
        q, k, v = (linear(w, f"{block}.attn.{name}", y) for name in "qkv")
        z = np.zeros_like(q)
        for head in range(config.n_heads):
            own = slice(head * config.d_head, (head + 1) * config.d_head)
            for query in range(len(x)):
                seen = slice(query + 1) if config.causal else slice(None)
                scores = np.exp(k[seen, own] @ q[query, own] / config.d_head**0.5)
                share = config.softmax_share
                z[query, own] = (share * scores / scores.sum() + 1 - share) @ v[seen, own]
        x = x + linear(w, f"{block}.attn.o", z)
        hidden = ACTIVATIONS[config.activation](linear(w, f"{block}.w_in", norm(w, f"{block}.norm_mlp", x)))
        x = x + linear(w, f"{block}.w_out", hidden)
    return linear(w, "unembed", norm(w, "norm", x)[-1])


EQUATIONS: dict[str, Callable[..., np.ndarray]] = {"mlp": mlp, "quadratic": quadratic, "deep_transformer": deep}


@pytest.mark.parametrize("config", CONFIGS, ids=ids)
def test_logits_are_those_of_the_equations(config: NetConfig) -> None:
    net = random_net(config)
    weights = {name: value.double().numpy() for name, value in net.state_dict().items()}
    with torch.no_grad():
        logits = net(all_pairs()).numpy()
    by_hand = [EQUATIONS[config.KIND](weights, config, a, b) for a, b in all_pairs().tolist()]
    np.testing.assert_allclose(logits, by_hand, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("config", CONFIGS, ids=ids)
def test_hooked_equals_unhooked_in_values_and_gradients(config: NetConfig) -> None:
    net = random_net(config)
    weights = list(net.parameters())
    plain = net(all_pairs())
    logits, cache = net.run_with_cache(all_pairs())
    assert set(cache.keys()) == set(net.hook_dict)
    torch.testing.assert_close(logits, plain, atol=1e-5, rtol=1e-5)
    plain_gradients = torch.autograd.grad(plain.square().mean(), weights)
    with net.hooks(fwd_hooks=[(name, lambda value, hook: value) for name in net.hook_dict]):
        gradients = torch.autograd.grad(net(all_pairs()).square().mean(), weights)
    for one, other in zip(gradients, plain_gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("config", CONFIGS, ids=ids)
def test_a_hook_that_edits_changes_the_answer(config: NetConfig) -> None:
    net = random_net(config)
    with torch.no_grad():
        plain = net(all_pairs())
        for name in net.hook_dict:
            assert not torch.allclose(plain, net.run_with_hooks(all_pairs(), fwd_hooks=[(name, lambda x, hook: x * 0)]))


@pytest.mark.parametrize("config", [*CONFIGS, TransformerConfig(p=7, d_model=8, n_heads=2, d_head=4, d_mlp=12)])
def test_a_net_is_its_description_its_residual_and_its_groups(config: NetConfig) -> None:
    described = json.loads(json.dumps(describe(config)))
    assert config_from(described) == config
    net = random_net(config)
    pairs = all_pairs()
    assert torch.equal(net(pairs), net.readout(net.residual(pairs)))
    assert net.residual(pairs).shape == (len(pairs), net.readout.in_features)
    assert net(pairs).shape == (len(pairs), 7)
    groups = net.parameter_groups()
    assert sorted(id(w) for group in groups.values() for w in group) == sorted(id(w) for w in net.parameters())
    assert all(weight.ndim == 2 for weight in groups["matrices"])
    assert groups["readout"] == [net.readout.weight]


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(ValueError, match="net kind is 'lstm'; known: transformer, deep_transformer, mlp, quadratic"):
        config_from({"kind": "lstm"})
    with pytest.raises(ValueError, match="give at least one hidden layer"):
        MlpConfig(*ALPHABETS, widths=())


def test_one_plain_layer_is_the_transformer() -> None:
    shape: dict[str, Any] = {"d_model": 8, "n_heads": 2, "d_head": 4, "d_mlp": 12}
    shallow = random_net(TransformerConfig(p=7, **shape))
    config = DeepTransformerConfig(7, 7, 7, 1, **shape, activation="relu", pre_norm=False, operator=False,
                                   attention_bias=False)  # fmt: skip
    net = build_net(config)
    renamed = {f"blocks.0.{name}" if name.startswith("attn") else name.replace("mlp.", "blocks.0."): value
               for name, value in shallow.state_dict().items()}  # fmt: skip
    net.load_state_dict(renamed)
    pairs = torch.cartesian_prod(torch.arange(7), torch.arange(7))
    torch.testing.assert_close(net(pairs), shallow(pairs), atol=1e-5, rtol=1e-5)


def test_what_comes_after_a_position_does_not_change_it() -> None:
    """Causality: at depth, a at the first position must not see b."""
    net = random_net(DEEP)
    _, cache = net.run_with_cache(torch.tensor([[1, 2], [1, 5]]))
    values = cache["blocks.1.hook_resid_post"]
    torch.testing.assert_close(values[0, :2], values[1, :2])
    assert not torch.allclose(values[0, 2:], values[1, 2:])


def test_without_a_mask_what_comes_after_does_change_it_and_a_share_of_0_adds_up() -> None:
    net = random_net(replace(DEEP, causal=False, softmax_share=0.0))
    _, cache = net.run_with_cache(torch.tensor([[1, 2], [1, 5]]))
    values = cache["blocks.1.hook_resid_post"]
    assert not torch.allclose(values[0, :2], values[1, :2])
    assert torch.equal(cache["blocks.0.attn.hook_pattern"], torch.ones(2, 2, 4, 4))
    with pytest.raises(ValueError, match=r"softmax_share = 1\.5: give a share from 0 to 1"):
        replace(DEEP, softmax_share=1.5)


def test_the_shapes_of_the_published_races() -> None:
    prieto, decoder = Mlp(MlpConfig(113, 113, 113)), DeepTransformer(DeepTransformerConfig(97, 97, 97))
    assert [tuple(w.shape) for w in prieto.parameters()] == [(113, 113), (113, 113), (200, 226), (200, 200), (113, 200)]
    assert sum(w.numel() for w in decoder.parameters()) == 422_784 - 3 * 128  # no fifth position, no two more answers
    assert sum(w.numel() for w in Transformer(TransformerConfig(113)).parameters()) == 226_688


@pytest.mark.parametrize("operation", ["addition", "subtraction"])
@pytest.mark.parametrize(("p", "frequencies"), [(113, [17]), (113, [1, 5, 40]), (97, range(1, 49)), (5, [2])])
def test_the_closed_form_is_right_on_all_pairs_and_its_logits_are_cosines(operation, p, frequencies) -> None:
    task = ModularTask(p, operation)
    net = closed_form(p, list(frequencies), task.sign).double()
    pairs, answers = torch.from_numpy(task.pairs()), torch.from_numpy(task.answers())
    with torch.no_grad():
        logits = net(pairs)
        assert torch.equal(net.float()(pairs).argmax(dim=1), answers)
    difference = (answers[:, None] - torch.arange(p)).double()
    expected = torch.stack([3 * torch.cos(2 * torch.pi * k * difference / p) for k in frequencies]).sum(0)
    torch.testing.assert_close(logits, expected, atol=2e-5, rtol=0)


def test_the_closed_form_needs_its_phases() -> None:
    """The check can fail: with every phase 0 the terms beside a + b - c stay."""
    net = closed_form(23, [3])
    task = ModularTask(23)
    one = Quadratic(QuadraticConfig(23, 23, 23, 1))
    with torch.no_grad():
        for ours, theirs in zip(one.parameters(), net.parameters(), strict=True):
            ours.copy_(theirs[:1] if theirs.shape[0] == 6 else theirs[:, :1])
        wrong = one(torch.from_numpy(task.pairs())).argmax(dim=1).numpy() != task.answers()
    assert wrong.mean() > 0.5
