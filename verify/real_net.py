"""Nets over pairs of symbols as their stored weights say, exact dyadic rationals, for proofs in real arithmetic.

Reads a snapshot (format `catapult-snapshot-1`) of the kinds `transformer`, `deep_transformer` without LayerNorm, and
`mlp`, with ReLU or tanh-GELU. A one-layer transformer, whole or pruned, is a `Decoder` of one block. float64 holds
every stored float32 exactly. Torch is not needed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UserError
from verify.specification import Specification
from verify.weights import read_weights

FORMAT = "catapult-snapshot-1"
ACTIVATIONS = ("relu", "gelu_tanh")
LARGEST_SIZE = 1 << 12
_PAIRS = {"kind", "n_left", "n_right", "n_answers", "activation"}
_SIZES = {"d_model", "n_heads", "d_head", "d_mlp"}
_DEEP = {"n_layers", "pre_norm", "operator", "attention_bias", "equals", "causal", "softmax_share", "own_symbols"}
KEYS = {
    "transformer": _SIZES | {"kind", "p"},
    "deep_transformer": _PAIRS | _SIZES | _DEEP,
    "mlp": _PAIRS | {"d_embed", "widths", "combine", "bias"},
}
Reals = NDArray[np.float64]
Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Linear:
    """x -> weight x + bias."""

    weight: Reals
    bias: Reals


@dataclass(frozen=True, eq=False)
class Block:
    """x + o(attention of q, k, v), then that y + w_out(activation(w_in y)). `width` = 0: all heads were pruned."""

    q: Linear
    k: Linear
    v: Linear
    o: Linear
    w_in: Linear
    w_out: Linear

    @property
    def width(self) -> int:
        return len(self.q.weight)


@dataclass(frozen=True, eq=False)
class Decoder:
    """A transformer read at its last position; heads weigh by share * softmax(q k / sqrt(d_head)) + (1 - share)."""

    task: Specification
    sha256: str
    activation: str
    embed: Reals
    pos: Reals
    blocks: tuple[Block, ...]
    unembed: Reals
    n_heads: int
    d_head: int
    operator: bool
    equals: bool
    causal: bool
    share: float

    @property
    def p(self) -> int:
        return self.task.p

    def tokens(self, a: int) -> NDArray[np.int64]:
        """[p (b), position]: a, the operator, b, "="; those that the net has."""
        columns = [a, self.p + self.equals] if self.operator else [a]
        after = [self.p] if self.equals else []
        rows = np.empty((self.p, len(columns) + 1 + len(after)), dtype=np.int64)
        rows[:, : len(columns)], rows[:, len(columns)] = columns, np.arange(self.p)
        rows[:, len(columns) + 1 :] = after
        return rows


@dataclass(frozen=True, eq=False)
class Perceptron:
    """h_0 = [left a; right b], h_i = activation(W_i h_(i-1) + b_i), logits = unembed h_n.

    A net that adds its embeddings is the same with [W_1 W_1] for W_1, and 2 d + 1 summands in any order cover both ways
    to evaluate it: W_1 (left a + right b) + b_1, whose summands pass at most d + 2 roundings, and
    W_1 left a + W_1 right b + b_1.
    """

    task: Specification
    sha256: str
    activation: str
    left: Reals
    right: Reals
    layers: tuple[Linear, ...]
    unembed: Reals

    @property
    def p(self) -> int:
        return self.task.p


RealNet = Decoder | Perceptron


def load_real_net(path: Path | str) -> RealNet:
    """Raises UserError, one line, on anything that is not a well-formed snapshot of a net that is known here."""
    file = read_weights(path)
    if file.metadata.get("format") != FORMAT:
        raise UserError(f"{path}: format = {file.metadata.get('format')!r}: a snapshot has format {FORMAT!r}")
    try:
        net, task = json.loads(file.metadata["net"]), json.loads(file.metadata["task"])
        try:
            about = {"task": Specification.described(task), "sha256": file.sha256}
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
        build = {"transformer": _one_layer, "deep_transformer": _deep, "mlp": _perceptron}.get(net["kind"])
        if build is None:
            raise UserError(f"{path}: kind = {net['kind']!r}: transformer, deep_transformer or mlp")
        if unknown := set(net) - KEYS[net["kind"]]:
            raise UserError(f"{path}: net = {sorted(unknown)[0]!r} unknown: train the run again")
        return build(_Reader(str(path), file.tensors), net, about["task"].p, about)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise UserError(f"{path}: header = {type(error).__name__} {error}: train the run again") from None


@dataclass
class _Reader:
    """Takes tensors by name, each with the shape that the header promises."""

    path: str
    tensors: dict[str, NDArray[Any]]

    def size(self, net: dict[str, Any], key: str, least: int = 1) -> int:
        value = net[key]
        if type(value) is not int or not least <= value <= LARGEST_SIZE:
            raise UserError(f"{self.path}: {key} = {value!r}: an integer from {least} to {LARGEST_SIZE}")
        return value

    def tensor(self, name: str, *shape: int) -> Reals:
        tensor = self.tensors.pop(name, None)
        if tensor is None or tensor.dtype != np.float32 or tensor.shape != shape:
            found = "missing" if tensor is None else f"{tensor.dtype} {tensor.shape}"
            raise UserError(f"{self.path}: {name} = {found}: float32 {shape} is needed")
        if not np.isfinite(tensor).all():
            raise UserError(f"{self.path}: {name} = not finite: train the run again")
        return tensor.astype(np.float64)

    def linear(self, name: str, d_out: int, d_in: int, bias: bool) -> Linear:
        return Linear(
            self.tensor(f"{name}.weight", d_out, d_in),
            self.tensor(f"{name}.bias", d_out) if bias else np.zeros(d_out),
        )

    def finish(self) -> None:
        if self.tensors:
            raise UserError(f"{self.path}: tensors = {sorted(self.tensors)[:4]} unknown: train the run again")


def _choice(path: str, net: dict[str, Any], key: str, choices: tuple[Any, ...]) -> Any:
    if net[key] not in choices or type(net[key]) is not type(choices[0]):
        raise UserError(f"{path}: {key} = {net[key]!r}: the proofs know {', '.join(map(str, choices))} only")
    return net[key]


def _one_layer(read: _Reader, net: dict[str, Any], p: int, about: dict[str, Any]) -> Decoder:
    _choice(read.path, net, "p", (p,))
    settings = {"activation": "relu", "operator": False, "equals": True, "causal": True, "share": 1.0}
    return _decoder(read, net, p, about | settings, 1, False, lambda _: ("attn.", "mlp."))


def _deep(read: _Reader, net: dict[str, Any], p: int, about: dict[str, Any]) -> Decoder:
    net = {"equals": True, "causal": True, "softmax_share": 1.0, "own_symbols": False, **net}
    for key in ("n_left", "n_right", "n_answers"):
        _choice(read.path, net, key, (p,))
    for key in ("pre_norm", "own_symbols"):
        _choice(read.path, net, key, (False,))
    flags = {key: _choice(read.path, net, key, (True, False)) for key in ("operator", "equals", "causal")}
    bias = _choice(read.path, net, "attention_bias", (True, False))
    share = net["softmax_share"]
    if type(share) not in (int, float) or not 0 <= share <= 1:
        raise UserError(f"{read.path}: softmax_share = {share!r}: a number from 0 to 1")
    activation = _choice(read.path, net, "activation", ACTIVATIONS)
    settings = {"activation": activation, "share": float(share), **flags}
    depth = read.size(net, "n_layers")
    return _decoder(read, net, p, about | settings, depth, bias, lambda i: (f"blocks.{i}.attn.", f"blocks.{i}."))


def _decoder(
    read: _Reader, net: dict[str, Any], p: int, settings: dict[str, Any], depth: int, bias: bool, names: Any
) -> Decoder:
    d_model, n_heads, d_head = (read.size(net, "d_model"), read.size(net, "n_heads", 0), read.size(net, "d_head"))
    d_mlp, width = read.size(net, "d_mlp", 0), n_heads * d_head
    blocks = []
    for attn, mlp in map(names, range(depth)):
        q, k, v = (read.linear(attn + name, width, d_model, bias) for name in "qkv")
        o = read.linear(attn + "o", d_model, width, bias)
        w_in, w_out = read.linear(mlp + "w_in", d_mlp, d_model, True), read.linear(mlp + "w_out", d_model, d_mlp, True)
        live = _alive(w_in)
        w_out = Linear(w_out.weight[:, live], w_out.bias)
        blocks.append(Block(q, k, v, o, Linear(w_in.weight[live], w_in.bias[live]), w_out))
    equals, operator = settings["equals"], settings["operator"]
    decoder = Decoder(
        embed=read.tensor("embed.weight", p + equals + operator, d_model),
        pos=read.tensor("pos.weight", 2 + equals + operator, d_model),
        blocks=tuple(blocks),
        unembed=read.tensor("unembed.weight", p, d_model),
        n_heads=n_heads,
        d_head=d_head,
        **settings,
    )
    read.finish()
    return decoder


def _alive(layer: Linear) -> NDArray[np.bool_]:
    """Units that may differ from 0. The others add 0 to every sum, exactly, in float32 and in any order: left out."""
    return (layer.weight != 0).any(axis=1) | (layer.bias != 0)


def _perceptron(read: _Reader, net: dict[str, Any], p: int, about: dict[str, Any]) -> Perceptron:
    for key in ("n_left", "n_right", "n_answers"):
        _choice(read.path, net, key, (p,))
    d_embed, widths = read.size(net, "d_embed"), cast(list[int], net["widths"])
    side_by_side = _choice(read.path, net, "combine", ("concatenate", "sum")) == "concatenate"
    bias = _choice(read.path, net, "bias", (True, False))
    activation = _choice(read.path, net, "activation", ACTIVATIONS)
    if type(widths) is not list or not widths:
        raise UserError(f"{read.path}: widths = {widths!r}: at least one hidden layer")
    sizes = [d_embed * (1 + side_by_side), *(read.size({"widths": width}, "widths") for width in widths)]
    layers = [read.linear(f"layers.{i}.linear", sizes[i + 1], sizes[i], bias) for i in range(len(widths))]
    if not side_by_side:
        layers[0] = Linear(np.concatenate([layers[0].weight] * 2, axis=1), layers[0].bias)
    unembed, alive = read.tensor("unembed.weight", p, sizes[-1]), [_alive(layer) for layer in layers]
    read_by = [np.ones(layers[0].weight.shape[1], dtype=bool), *alive]
    perceptron = Perceptron(
        activation=activation,
        left=read.tensor("embed_left.weight", p, d_embed),
        right=read.tensor("embed_right.weight", p, d_embed),
        layers=tuple(
            Linear(layer.weight[live][:, before], layer.bias[live])
            for layer, live, before in zip(layers, alive, read_by, strict=False)
        ),
        unembed=unembed[:, alive[-1]],
        **about,
    )
    read.finish()
    return perceptron
