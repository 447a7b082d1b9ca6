"""What TransformerLens has to know of a transformer of ours: its options, its tokens, its weights by their names.

Weights are in the property format of HookedTransformer, x W, so that one mapping serves the bridge and the export:

    embed.W_E  pos_embed.W_pos  blocks.i.{ln1.w, ln1.b, ln2.w, ln2.b}  blocks.i.attn.{W_Q, W_K, W_V, W_O, b_Q, ...}
    blocks.i.mlp.{W_in, b_in, W_out, b_out}  ln_final.{w, b}  unembed.{W_U, b_U}

W_Q is [head, d_model, d_head] and W_O [head, d_head, d_model]. A bias that a net of ours lacks is 0 there.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.errors import UserError
from pipeline.nets import DeepTransformer, DeepTransformerConfig, Net, Transformer

WithAttention: TypeAlias = Transformer | DeepTransformer
ACT_FN = {"relu": "relu", "gelu": "gelu", "gelu_tanh": "gelu_new"}
EPS = 1e-5


def options_of(net: Net) -> DeepTransformerConfig:
    """Every option of a net with attention; UserError where TransformerLens cannot express one.

    A `Transformer` computes its last position only. Its other positions are those of a causal mask, as Nanda et al.
    2023 trained it.
    """
    match net:
        case DeepTransformer():
            config = net.config
        case Transformer():
            old = net.config
            config = DeepTransformerConfig(
                old.p,
                old.p,
                old.p,
                n_layers=1,
                d_model=old.d_model,
                n_heads=old.n_heads,
                d_head=old.d_head,
                d_mlp=old.d_mlp,
                activation="relu",
                pre_norm=False,
                operator=False,
                attention_bias=False,
            )
        case _:
            raise UserError(f"net = {type(net).__name__}: has no attention to bridge; its own hook points do")
    if config.activation not in ACT_FN:
        raise UserError(f"activation = {config.activation}: TransformerBridge knows {', '.join(ACT_FN)}")
    for name in ("n_layers", "n_heads", "d_mlp"):
        if getattr(config, name) < 1:
            raise UserError(f"{name} = {getattr(config, name)}: TransformerBridge needs at least 1")
    return config


def token_rows(net: WithAttention, pairs: Int[Tensor, "batch 2"]) -> Int[Tensor, "batch pos"]:
    """The pairs as the bridge reads them: a, the operator, b, "="; those that the net has. The answer is at the end."""
    if isinstance(net, DeepTransformer):
        return net.tokens(pairs)
    return torch.cat([pairs, pairs.new_full((len(pairs), 1), net.config.p)], dim=1)


def lens_config(config: DeepTransformerConfig) -> dict[str, Any]:
    """The options as HookedTransformerConfig and TransformerBridgeConfig spell them, but for `softmax_share`."""
    symbols = config.n_left + config.n_right if config.own_symbols else max(config.n_left, config.n_right)
    return {
        "n_layers": config.n_layers,
        "d_model": config.d_model,
        "n_ctx": 2 + config.operator + config.equals,
        "d_head": config.d_head,
        "n_heads": config.n_heads,
        "d_mlp": config.d_mlp,
        "d_vocab": symbols + config.equals + config.operator,
        "d_vocab_out": config.n_answers,
        "act_fn": ACT_FN[config.activation],
        "normalization_type": "LN" if config.pre_norm else None,
        "attention_dir": "causal" if config.causal else "bidirectional",
        "eps": EPS,
    }


def property_state(net: WithAttention) -> dict[str, Tensor]:
    """Copies of the weights by the names of the property format."""
    config = options_of(net)
    ours = {name: value.detach().clone() for name, value in net.state_dict().items()}
    state = {"embed.W_E": ours["embed.weight"], "pos_embed.W_pos": ours["pos.weight"]}
    deep = isinstance(net, DeepTransformer)
    for i in range(config.n_layers):
        block, hidden = (f"blocks.{i}.", f"blocks.{i}.") if deep else ("", "mlp.")
        state |= _attention(ours, f"{block}attn", config, f"blocks.{i}.attn")
        for name in ("in", "out"):
            state[f"blocks.{i}.mlp.W_{name}"] = ours[f"{hidden}w_{name}.weight"].T
            state[f"blocks.{i}.mlp.b_{name}"] = ours[f"{hidden}w_{name}.bias"]
        if config.pre_norm:
            state |= _norm(ours, f"{block}norm_attn", f"blocks.{i}.ln1")
            state |= _norm(ours, f"{block}norm_mlp", f"blocks.{i}.ln2")
    if config.pre_norm:
        state |= _norm(ours, "norm", "ln_final")
    read_out = ours["unembed.weight"]
    state |= {"unembed.W_U": read_out.T, "unembed.b_U": read_out.new_zeros(config.n_answers)}
    return {name: value.contiguous() for name, value in state.items()}


def _attention(ours: dict[str, Tensor], name: str, config: DeepTransformerConfig, theirs: str) -> dict[str, Tensor]:
    """One layer's W_Q, W_K, W_V, W_O and their biases, a head at a time."""
    heads, state = (config.n_heads, config.d_head), {}
    zero = ours[f"{name}.q.weight"].new_zeros(config.n_heads * config.d_head)
    for letter in "qkv":
        weight: Float[Tensor, "head_and_d_head d_model"] = ours[f"{name}.{letter}.weight"]
        state[f"{theirs}.W_{letter.upper()}"] = weight.unflatten(0, heads).mT
        state[f"{theirs}.b_{letter.upper()}"] = ours.get(f"{name}.{letter}.bias", zero).unflatten(0, heads)
    state[f"{theirs}.W_O"] = ours[f"{name}.o.weight"].T.unflatten(0, heads)
    state[f"{theirs}.b_O"] = ours.get(f"{name}.o.bias", zero.new_zeros(config.d_model))
    return state


def _norm(ours: dict[str, Tensor], name: str, theirs: str) -> dict[str, Tensor]:
    """Our gain is 1 + g."""
    return {f"{theirs}.w": 1 + ours[f"{name}.gain"], f"{theirs}.b": ours[f"{name}.bias"]}
