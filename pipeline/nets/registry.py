"""From a config to its net and back, by kind, for the headers of snapshots. A new net is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.errors import UserError
from pipeline.experiment import NetParams
from pipeline.nets.deep_transformer import DeepTransformer, DeepTransformerConfig
from pipeline.nets.mlp import Mlp, MlpConfig
from pipeline.nets.net import Net, NetConfig
from pipeline.nets.quadratic import Quadratic, QuadraticConfig
from pipeline.nets.recurrent import Recurrent, RecurrentConfig
from pipeline.nets.transformer import Transformer, TransformerConfig
from pipeline.tasks import ModularTask, PermutationTask
from pipeline.tasks.registry import AnyTask

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


def config_for(params: NetParams, task: AnyTask) -> NetConfig:
    """The config of a net of these widths for a task; raises UserError where the kind does not read such inputs."""
    match params.kind:
        case "transformer":
            if not isinstance(task, ModularTask | PermutationTask):
                raise UserError(f"net.kind = transformer: it reads pairs of one set of symbols; {task.name} has others")
            return TransformerConfig(task.n_answers, **params.widths())
        case "recurrent":
            shape = params.model_dump(exclude={"kind"})
            return RecurrentConfig(task.n_left, task.n_right, task.n_answers, **shape)


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
