"""Multilayer perceptrons of Zhong et al. 2023 (arXiv 2306.17844), as `pipeline.nets.Mlp`.

Models A, B, C, D and X hold `embed` (X: `embed1`, `embed2`), `l1`, perhaps `l2`, and `unembed`:

    A, X   relu(l1(E a + F b)) U          B   relu(l2(relu(l1(E a + E b)))) U
    D      relu(l1([E a; E b])) U         C   relu(l2(relu(l1(E a) + l1(E b)))) U, so l1's bias counts twice

The linear models of the same paper hold `embed.W_E`, `blocks.i.W_in` and `unembed.W_U`: D, with any number of layers.
"""

from __future__ import annotations

import torch
from torch import Tensor

from interp.layouts.layout import Foreign, Settings, Tensors
from interp.layouts.words import ACTIVATIONS
from pipeline.errors import UserError
from pipeline.nets import MlpConfig
from pipeline.tasks import ModularTask

TYPES = {"A": "A", "B": "B", "C": "C", "D": "D", "X": "X"}


def from_mlp(tensors: Tensors, settings: Settings, task: ModularTask) -> Foreign:
    """Models A, B, C, D and X; the shapes tell all of them apart but B from C, which the config must."""
    two = "embed1.weight" in tensors
    names = ("embed1.weight", "embed2.weight") if two else ("embed.weight",)
    rows, width = _matrix(tensors, names[0])
    if rows != task.p:
        raise UserError(f"{names[0]} = {rows} symbols: a net for that modulus, not for --p {task.p}")
    embeddings = [tensors.take(name, (rows, width)) for name in names]
    hidden, fed = _matrix(tensors, "l1.weight")
    settings.agree(n_vocab=rows, d_hidden=hidden)
    weights, biases = [tensors.take("l1.weight", (hidden, width), (hidden, 2 * width))], [_bias(tensors, "l1", hidden)]
    deep = "l2.weight" in tensors
    if deep:
        second = _matrix(tensors, "l2.weight")[0]
        weights.append(tensors.take("l2.weight", (second, hidden)))
        biases.append(_bias(tensors, "l2", second))
    said, adds = settings.choice("model_type", TYPES), fed == width
    fits = {(False, False, True): "A", (True, False, True): "BC", (False, False, False): "D", (False, True, True): "X"}
    possible = fits.get((deep, two, adds), "")
    if said is not None and said not in possible:
        raise UserError(f"model_type = {said}: the tensors are of type {possible or 'none of A, B, C, D, X'}")
    if possible == "BC" and said is None:
        raise UserError("model_type = not said: l1 of a sum (B) or a sum of l1 (C)? add --set model_type=B or =C")
    if said == "C":
        biases[0] = 2 * biases[0]
    read_out = tensors.take("unembed.weight", (task.p, len(biases[-1])))
    activation = settings.choice("act_fn", ACTIVATIONS) or "relu"
    return _mlp(tensors, task, (embeddings[0], embeddings[-1]), weights, biases, read_out, activation, adds)


def from_linear(tensors: Tensors, settings: Settings, task: ModularTask) -> Foreign:
    """The linear models: W_E [d_model / 2, p], W_in [d_model, d_model], W_U [d_model, p]; an odd d_model is padded."""
    half, rows = _matrix(tensors, "embed.W_E")
    if rows != task.p:
        raise UserError(f"embed.W_E = {rows} symbols: a net for two symbols of that modulus, not for --p {task.p}")
    d_model = _matrix(tensors, "unembed.W_U")[0]
    settings.agree(d_model=d_model)
    embedding = tensors.take("embed.W_E", (d_model // 2, rows)).T
    weights, biases = [], []
    while f"blocks.{len(weights)}.W_in" in tensors:
        name = f"blocks.{len(weights)}"
        weight = tensors.take(f"{name}.W_in", (d_model, d_model))
        biases.append(tensors.take(f"{name}.b_in", (d_model,)))
        weights.append(weight if weights else weight[:, : 2 * half])
    settings.agree(n_layers=len(weights))
    read_out = tensors.take("unembed.W_U", (d_model, task.p)).T
    activation, notes = settings.choice("act_fn", ACTIVATIONS), ()
    if activation is None:
        activation, notes = "relu", ("act_fn = relu, taken for granted",)
    return _mlp(tensors, task, (embedding, embedding), weights, biases, read_out, activation, False, notes)


def _matrix(tensors: Tensors, name: str) -> tuple[int, int]:
    shape = tensors.shape(name)
    if len(shape) != 2:
        raise UserError(f"{name} = {list(shape)}: a matrix is needed")
    return shape[0], shape[1]


def _bias(tensors: Tensors, name: str, width: int) -> Tensor:
    return tensors.take(f"{name}.bias", (width,)) if f"{name}.bias" in tensors else torch.zeros(width)


def _mlp(
    tensors: Tensors,
    task: ModularTask,
    embeddings: tuple[Tensor, Tensor],
    weights: list[Tensor],
    biases: list[Tensor],
    read_out: Tensor,
    activation: str,
    adds: bool,
    notes: tuple[str, ...] = (),
) -> Foreign:
    tensors.finish()
    config = MlpConfig(
        task.p,
        task.p,
        task.p,
        d_embed=embeddings[0].shape[1],
        widths=tuple(len(bias) for bias in biases),
        activation=activation,  # type: ignore[arg-type]
        combine="sum" if adds else "concatenate",
        bias=True,
    )
    state = {"embed_left.weight": embeddings[0], "embed_right.weight": embeddings[1], "unembed.weight": read_out}
    for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        state |= {f"layers.{i}.linear.weight": weight, f"layers.{i}.linear.bias": bias}
    return Foreign(config, state, notes)
