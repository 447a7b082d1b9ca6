"""Multilayer perceptrons of any width and depth on two embedded symbols.

With the defaults of `MlpConfig` at p = 113 it is the net of Prieto et al. 2025 in the shape that their forks race:
two embeddings of width 113 side by side, two hidden layers of 200 with GELU, no biases.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformer_lens.hook_points import HookPoint

from pipeline.nets.net import Net, Units, activation


@dataclass(frozen=True)
class MlpConfig:
    """`widths` are those of the hidden layers, in order; `combine` puts the embeddings side by side or adds them."""

    KIND: ClassVar[str] = "mlp"

    n_left: int
    n_right: int
    n_answers: int
    d_embed: int = 113
    widths: tuple[int, ...] = (200, 200)
    activation: Literal["relu", "gelu", "gelu_tanh", "square"] = "gelu"
    combine: Literal["concatenate", "sum"] = "concatenate"
    bias: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))  # JSON gives a list
        if not self.widths:
            raise ValueError("widths = []: give at least one hidden layer")

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "widths": list(self.widths)}


class Layer(nn.Module):
    """activation(W x + b)."""

    def __init__(self, d_in: int, d_out: int, config: MlpConfig) -> None:
        super().__init__()
        self.activation = config.activation
        self.linear = nn.Linear(d_in, d_out, bias=config.bias)
        self.hook_pre = HookPoint()
        self.hook_post = HookPoint()

    def forward(self, x: Float[Tensor, "batch d_in"]) -> Float[Tensor, "batch d_out"]:
        return self.activate(self.linear(x))

    def activate(self, pre: Float[Tensor, "batch d_out"]) -> Float[Tensor, "batch d_out"]:
        return self.hook_post(activation(self.activation, self.hook_pre(pre)))


class Mlp(Net):
    """h_0 = [E a; F b] (or E a + F b), h_i = activation(W_i h_(i-1) + b_i), logits = U h_n."""

    def __init__(self, config: MlpConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_left = nn.Embedding(config.n_left, config.d_embed)
        self.embed_right = nn.Embedding(config.n_right, config.d_embed)
        first = config.d_embed * (2 if config.combine == "concatenate" else 1)
        sizes = [first, *config.widths]
        self.layers = nn.ModuleList(Layer(sizes[i], sizes[i + 1], config) for i in range(len(config.widths)))
        self.unembed = nn.Linear(sizes[-1], config.n_answers, bias=False)
        self.hook_embed = HookPoint()
        self.setup()

    def hidden_units(self) -> list[Units]:
        n, biases = len(self.layers), ["bias"] if self.config.bias else []
        into = [{f"layers.{i}.linear.{name}": 0 for name in ["weight", *biases]} for i in range(n)]
        out = [f"layers.{i}.linear.weight" for i in range(1, n)] + ["unembed.weight"]
        return [Units(before, {after: 1}) for before, after in zip(into, out, strict=True)]

    def residual(self, inputs: Int[Tensor, "batch 2"]) -> Float[Tensor, "batch width"]:
        """The activations of the last hidden layer."""
        first, *others = self.layers
        assert isinstance(first, Layer)
        h = first.activate(self._embed(inputs, first.linear))
        for layer in others:
            h = layer(h)
        return h

    def _embed(self, pairs: Int[Tensor, "batch 2"], linear: nn.Linear) -> Float[Tensor, "batch width"]:
        """W [E a; F b] + c = (W' E a + c) + W" F b: each computed once a symbol, and then looked up by pair.

        That is n_left + n_right rows instead of one a pair. With a hook on the embedding it goes pair by pair.
        """
        a, b = pairs.unbind(1)
        side_by_side = self.config.combine == "concatenate"
        if self.hook_embed.has_hooks():
            left, right = self.embed_left(a), self.embed_right(b)
            return linear(self.hook_embed(torch.cat([left, right], dim=1) if side_by_side else left + right))
        to_left, to_right = linear.weight.chunk(2, dim=1) if side_by_side else (linear.weight, linear.weight)
        left = nn.functional.linear(self.embed_left.weight, to_left, linear.bias)
        right = nn.functional.linear(self.embed_right.weight, to_right)
        return nn.functional.embedding(a, left) + nn.functional.embedding(b, right)
