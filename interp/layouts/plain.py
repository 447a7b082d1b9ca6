"""The one-layer decoder of Nanda et al. 2023 under its own name, which every later stage knows best."""

from __future__ import annotations

import dataclasses

from interp.layouts.layout import Foreign
from pipeline.nets import DeepTransformerConfig, TransformerConfig


def as_plain_transformer(net: Foreign) -> Foreign:
    """`net` as a `Transformer` where it computes what one computes; otherwise as it is.

    Attention biases that are all 0, as where training left them frozen, are left out either way.
    """
    config = net.config
    assert isinstance(config, DeepTransformerConfig)
    state = net.state
    biases = [name for name in state if ".attn." in name and name.endswith(".bias")]
    if biases and not any(bool(state[name].any()) for name in biases):
        config = dataclasses.replace(config, attention_bias=False)
        state = {name: value for name, value in state.items() if name not in biases}
    plain = (config.n_layers, config.activation, config.softmax_share, config.equals) == (1, "relu", 1.0, True)
    if not plain or config.pre_norm or config.operator or config.attention_bias or config.own_symbols:
        return dataclasses.replace(net, config=config, state=state)
    shape = TransformerConfig(config.n_answers, config.d_model, config.n_heads, config.d_head, config.d_mlp)
    names = {name: name.removeprefix("blocks.0.") for name in state}
    renamed = {f"mlp.{new}" if new.startswith("w_") else new: state[old] for old, new in names.items()}
    return dataclasses.replace(net, config=shape, state=renamed)
