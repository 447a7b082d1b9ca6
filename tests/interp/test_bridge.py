"""Nets in TransformerLens: same logits, same values under its names, same effect of an edit; or a refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from interp.bridge import agreement, to_bridge, token_rows
from pipeline.errors import UserError
from pipeline.nets import DeepTransformer, DeepTransformerConfig, Mlp, MlpConfig, Net, Transformer, TransformerConfig

P = 5
PAIRS = torch.cartesian_prod(torch.arange(P), torch.arange(P))
ADDED = [f"blocks.{i}.hook_{part}_out" for i in (0, 1) for part in ("attn", "mlp")]
PLAIN: dict[str, Any] = {"activation": "relu", "pre_norm": False, "operator": False, "attention_bias": False}
OPTIONS: dict[str, dict[str, Any]] = {
    "all on": {},
    "exact gelu": {"activation": "gelu"},
    "gelu tanh": {"activation": "gelu_tanh"},
    "relu": {"activation": "relu"},
    "no norm": {"pre_norm": False},
    "no operator": {"operator": False},
    "no attention biases": {"attention_bias": False},
    "no equals": {"equals": False},
    "no mask": {"causal": False},
    "share 0": {"softmax_share": 0.0, "causal": False},
    "share .3": {"softmax_share": 0.3},
    "one layer": {"n_layers": 1},
    "three layers, no mask": {"n_layers": 3, "causal": False},
    "pizza": {**PLAIN, "equals": False, "causal": False, "softmax_share": 0.3},
    "one square head": {"n_heads": 1, "d_head": 8},
    "heads wider than d_model": {"d_head": 9, "d_mlp": 3},
    "more left symbols": {"n_left": 7},
    "more answers": {"n_answers": 9, "n_right": 6},
}


def drawn(net: Net) -> Any:
    """Every weight random, so that none is at a value that hides it."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in net.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) / 3)
    return net.eval()


def deep(**options: Any) -> DeepTransformer:
    shape: dict[str, Any] = {"n_left": P, "n_right": P, "n_answers": P, "d_model": 8, "n_heads": 2, "d_head": 4}
    return drawn(DeepTransformer(DeepTransformerConfig(**{**shape, "d_mlp": 12, **options})))


def plain(**shape: int) -> Transformer:
    return drawn(Transformer(TransformerConfig(P, **{"d_model": 8, "n_heads": 2, "d_head": 4, "d_mlp": 12, **shape})))


def same(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=0)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_every_option_has_the_same_logits_and_values(options: dict[str, Any]) -> None:
    net = deep(**options)
    found, config = agreement(net), net.config
    assert found.holds
    assert found.float64 < 1e-12
    assert found.pairs == config.n_left * config.n_right
    bridge = to_bridge(net)
    ours_logits, ours = net.run_with_cache(PAIRS)
    logits, theirs = bridge.run_with_cache(token_rows(net, PAIRS))
    assert logits.shape == (len(PAIRS), net.length, config.n_answers)
    same(ours_logits, logits[:, -1])
    same(ours["hook_embed"], theirs["hook_embed"] + theirs["hook_pos_embed"])
    for i in range(config.n_layers):
        block = f"blocks.{i}"
        n = ours[f"{block}.hook_pre"].shape[1]
        assert n == (1 if i + 1 == config.n_layers else net.length)
        same(ours[f"{block}.attn.hook_pattern"], theirs[f"{block}.attn.hook_pattern"][:, :, -n:])
        same(ours[f"{block}.attn.hook_z"], theirs[f"{block}.attn.hook_z"][:, -n:])
        same(ours[f"{block}.hook_resid_mid"], theirs[f"{block}.hook_resid_mid"][:, -n:])
        same(ours[f"{block}.hook_pre"], theirs[f"{block}.mlp.hook_pre"][:, -n:])
        same(ours[f"{block}.hook_post"], theirs[f"{block}.mlp.hook_post"][:, -n:])
        same(ours[f"{block}.hook_resid_post"], theirs[f"{block}.hook_resid_post"][:, -n:])
    same(ours["hook_normalized"], theirs["unembed.hook_in"][:, -1])


@pytest.mark.parametrize("shape", [{}, {"n_heads": 1, "d_head": 8}, {"d_head": 3, "d_mlp": 1}])
def test_the_one_layer_transformer(shape: dict[str, int]) -> None:
    net = plain(**shape)
    assert agreement(net).holds
    rows = token_rows(net, PAIRS)
    assert rows[7].tolist() == [1, 2, P]
    ours_logits, ours = net.run_with_cache(PAIRS)
    logits, theirs = to_bridge(net).run_with_cache(rows)
    same(ours_logits, logits[:, -1])
    same(ours["attn.hook_pattern"], theirs["blocks.0.attn.hook_pattern"][:, :, -1])
    same(ours["attn.hook_z"], theirs["blocks.0.attn.hook_z"][:, -1])
    same(ours["mlp.hook_post"], theirs["blocks.0.mlp.hook_post"][:, -1])
    same(ours["hook_resid_post"], theirs["blocks.0.hook_resid_post"][:, -1])


def test_weights_have_their_names_in_their_orientation() -> None:
    net = deep()
    bridge = to_bridge(net)
    block = net.blocks[1]
    assert (bridge.cfg.n_layers, bridge.cfg.d_vocab, bridge.cfg.d_vocab_out, bridge.cfg.n_ctx) == (2, P + 2, P, 4)
    assert (bridge.cfg.act_fn, bridge.cfg.normalization_type, bridge.cfg.attention_dir) == ("gelu", "LN", "causal")
    torch.testing.assert_close(bridge.W_E, net.embed.weight)
    torch.testing.assert_close(bridge.W_pos, net.pos.weight)
    torch.testing.assert_close(bridge.W_U, net.unembed.weight.T)
    for head in range(2):
        rows = slice(4 * head, 4 * head + 4)
        torch.testing.assert_close(bridge.W_Q[1, head].T, block.get_parameter("attn.q.weight")[rows])
        torch.testing.assert_close(bridge.W_O[1, head].T, block.get_parameter("attn.o.weight")[:, rows])
        torch.testing.assert_close(bridge.b_V[1, head], block.get_parameter("attn.v.bias")[rows])
    torch.testing.assert_close(bridge.W_in[1].T, block.get_parameter("w_in.weight"))
    torch.testing.assert_close(bridge.W_out[1].T, block.get_parameter("w_out.weight"))


def test_hooked_is_unhooked_and_the_residual_stream_adds_up() -> None:
    bridge = to_bridge(deep(softmax_share=0.3))
    rows = token_rows(deep(), PAIRS)
    unhooked, cache = bridge.run_with_cache(rows)
    assert {"blocks.0.ln1.hook_scale", "ln_final.hook_normalized"} <= set(cache)
    same(bridge(rows), unhooked)
    hooked = bridge.run_with_hooks(rows, fwd_hooks=[(name, lambda x, hook: x.clone()) for name in cache])
    same(unhooked, hooked)
    parts = torch.stack([cache[name] for name in ("hook_embed", "hook_pos_embed", *ADDED)])
    same(cache["blocks.1.hook_resid_post"], parts.sum(0))
    bridge.set_use_attn_result(True)
    per_head, cache = bridge.run_with_cache(rows)
    same(unhooked, per_head)
    bias = bridge.blocks[1].attn.o.bias
    same(cache["blocks.1.hook_attn_out"], cache["blocks.1.attn.hook_result"].sum(2) + bias)


def without_head(head: int) -> Callable[..., Tensor]:
    def ablate(z: Tensor, hook: Any) -> Tensor:
        z = z.clone()
        z[..., head, :] = 0
        return z

    return ablate


@pytest.mark.parametrize("net", [plain(), deep(softmax_share=0.3)], ids=["plain", "deep"])
def test_gradients_are_those_of_the_net(net: Any) -> None:
    bridge = to_bridge(net)
    bridge(token_rows(net, PAIRS))[:, -1].square().sum().backward()
    net(PAIRS).square().sum().backward()
    torch.testing.assert_close(bridge.W_E.grad, net.embed.weight.grad, atol=1e-4, rtol=1e-4)
    assert net.embed.weight.grad.abs().max() > 1


@pytest.mark.parametrize("layer", [0, 1])
def test_ablating_a_head_does_in_the_bridge_what_it_does_in_the_net(layer: int) -> None:
    net = deep(softmax_share=0.3, causal=False)
    name = f"blocks.{layer}.attn.hook_z"
    ours = net.run_with_hooks(PAIRS, fwd_hooks=[(name, without_head(1))])
    theirs = to_bridge(net).run_with_hooks(token_rows(net, PAIRS), fwd_hooks=[(name, without_head(1))])
    same(ours, theirs[:, -1])
    assert (ours - net(PAIRS)).abs().max() > 0.01


def test_ablating_a_head_of_the_one_layer_transformer() -> None:
    net = plain()
    ours = net.run_with_hooks(PAIRS, fwd_hooks=[("attn.hook_z", without_head(0))])
    bridge = to_bridge(net)
    theirs = bridge.run_with_hooks(token_rows(net, PAIRS), fwd_hooks=[("blocks.0.attn.hook_z", without_head(0))])
    same(ours, theirs[:, -1])
    assert (ours - net(PAIRS)).abs().max() > 0.01


def test_scores_are_those_before_the_softmax_and_can_be_edited() -> None:
    net = deep(softmax_share=0.3)
    bridge, rows, seen = to_bridge(net), token_rows(net, PAIRS), torch.ones(4, 4).tril()
    cache = bridge.run_with_cache(rows)[1]
    scores = cache["blocks.0.attn.hook_attn_scores"]
    same(0.3 * scores.softmax(-1) + 0.7 * seen, cache["blocks.0.attn.hook_pattern"])
    kept: list[Tensor] = []
    edits = [
        ("blocks.0.attn.hook_attn_scores", lambda x, hook: x.masked_fill(x > -torch.inf, 0.0)),
        ("blocks.0.attn.hook_pattern", lambda x, hook: kept.append(x)),
    ]
    bridge.run_with_hooks(rows, fwd_hooks=edits)
    same((0.3 * seen / seen.sum(1, keepdim=True) + 0.7 * seen).expand_as(kept[0]), kept[0])


def test_the_bridge_is_a_copy_and_draws_no_random_numbers() -> None:
    net = plain()
    before, state = net(PAIRS), torch.random.get_rng_state()
    bridge = to_bridge(net)
    assert torch.equal(torch.random.get_rng_state(), state)
    with torch.no_grad():
        for weight in bridge.parameters():
            weight.zero_()
    assert torch.equal(net(PAIRS), before)
    assert bridge(token_rows(net, PAIRS)).abs().max() == 0
    assert not bridge.training


@pytest.mark.parametrize("options", [{}, {"pre_norm": False}, {"n_heads": 1, "d_head": 8}])
def test_compatibility_mode_keeps_the_function(options: dict[str, Any]) -> None:
    """It folds and centres weights, which moves all logits of an input alike."""
    net = deep(**options)
    bridge = to_bridge(net)
    bridge.enable_compatibility_mode()
    theirs = bridge(token_rows(net, PAIRS))[:, -1]
    same(net(PAIRS).log_softmax(-1), theirs.log_softmax(-1))


def test_what_the_bridge_cannot_do_is_refused() -> None:
    square: Any = "square"
    with pytest.raises(UserError, match="activation = square: TransformerBridge knows relu, gelu, gelu_tanh"):
        to_bridge(deep(activation=square))
    with pytest.raises(UserError, match="n_layers = 0: "):
        to_bridge(deep(n_layers=0))
    other: Any = Mlp(MlpConfig(P, P, P))
    with pytest.raises(UserError, match="net = Mlp: has no attention"):
        to_bridge(other)
    net = deep(softmax_share=0.3)
    bridge, rows = to_bridge(net), token_rows(net, PAIRS)
    with pytest.raises(UserError, match="attention_mask = given: "):
        bridge(rows, attention_mask=torch.ones_like(rows))
    with pytest.raises(NotImplementedError, match="loss"):
        bridge(rows, return_type="loss")
    with pytest.raises(UserError, match=r"softmax_share = 0\.3: value biases cannot be folded"):
        bridge.enable_compatibility_mode()
