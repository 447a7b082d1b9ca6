"""From a config to its net and back, by kind, for the headers of snapshots. A new net is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.nets.deep_transformer import DeepTransformer, DeepTransformerConfig
from pipeline.nets.mlp import Mlp, MlpConfig
from pipeline.nets.net import Net, NetConfig
from pipeline.nets.quadratic import Quadratic, QuadraticConfig
from pipeline.nets.recurrent import Recurrent, RecurrentConfig
from pipeline.nets.transformer import Transformer, TransformerConfig

NETS: dict[str, tuple[type[Any], Callable[[Any], Net]]] = {
    TransformerConfig.KIND: (TransformerConfig, Transformer),
    DeepTransformerConfig.KIND: (DeepTransformerConfig, DeepTransformer),
    MlpConfig.KIND: (MlpConfig, Mlp),
    QuadraticConfig.KIND: (QuadraticConfig, Quadratic),
    RecurrentConfig.KIND: (RecurrentConfig, Recurrent),
}


def build_net(config: NetConfig) -> Net:
    """The net of a config, with torch's default initial weights."""
    return NETS[config.KIND][1](config)


def describe(config: NetConfig) -> dict[str, Any]:
    """The config as JSON values, with its kind: {"kind": "transformer", "p": 113, ...}."""
    return {"kind": config.KIND, **config.to_dict()}


def config_from(description: Mapping[str, Any]) -> NetConfig:
    """The inverse of `describe`; raises ValueError for an unknown kind, TypeError for keys that do not fit it."""
    values = dict(description)
    kind = values.pop("kind", None)
    if kind not in NETS:
        raise ValueError(f"net kind is {kind!r}; known: {', '.join(NETS)}")
    return NETS[kind][0](**values)
