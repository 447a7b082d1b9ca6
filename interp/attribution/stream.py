"""Where a net's stream is written and read: names of its TransformerLens hook points, and weights.

In a transformer the stream at a position is the embedding plus what heads and MLPs write: head h writes z_h W_O,h, an
MLP post W_out (Elhage et al. 2021). Constants (biases) are no senders: they are the same in every run. A multilayer
perceptron has a stream a layer, which is the activity of the layer before it: W_out = 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.graph import Graph, graph_of
from pipeline.errors import UserError
from pipeline.nets import DeepTransformer, Mlp, Net, Transformer
from pipeline.nets.net import activation

NORM_EPSILON = 1e-5
"""That of torch's layer_norm."""


@dataclass(frozen=True)
class Sites:
    """Hook points of one block, and the weights by which its heads and neurons write and its neurons read.

    `mid` is the stream that its MLP reads, `out` the one that the next block reads; `z` is None without attention.
    """

    z: str | None
    mid: str
    pre: str
    post: str
    out: str
    w_o: Float[Tensor, "head d_head d_model"]
    w_in: Float[Tensor, "neuron d_model"]
    w_out: Float[Tensor, "d_model neuron"]


@dataclass(frozen=True)
class Stream:
    """A net with its graph. `positions` are the hook points whose values have that axis; the others lack it."""

    net: Transformer | DeepTransformer | Mlp
    graph: Graph
    blocks: tuple[Sites, ...]
    positions: frozenset[str]
    embed: str = "hook_embed"

    @property
    def hooks(self) -> tuple[str, ...]:
        """Every hook point that is read, in the order in which the net comes to them."""
        names = [name for b in self.blocks for name in (b.z, b.mid, b.pre, b.post, b.out) if name is not None]
        return tuple(dict.fromkeys([self.embed, *names]))

    def reads(self, layer: int) -> str:
        """The hook point of the stream that enters block `layer`; after the last one, the read-out."""
        return self.blocks[layer - 1].out if layer else self.embed

    def lift(self, name: str, value: Tensor) -> Tensor:
        """The value with an axis for positions after the batch."""
        return value if name in self.positions else value.unsqueeze(1)

    def lower(self, name: str, value: Tensor) -> Tensor:
        """The inverse of `lift`."""
        return value if name in self.positions else value.squeeze(1)

    def embeddings(
        self, embedding: Float[Tensor, "batch pos d_model"], pairs: Int[Tensor, "batch 2"]
    ) -> Float[Tensor, "sender batch pos d_model"]:
        """What each embedding writes: one position of the value, or one side of a perceptron's input."""
        if not isinstance(self.net, Mlp):
            return torch.einsum("bpd,sp->sbpd", embedding, torch.eye(embedding.shape[1], dtype=embedding.dtype))
        left, right = self.net.embed_left(pairs[:, :1]), self.net.embed_right(pairs[:, 1:])
        if self.net.config.combine == "sum":
            return torch.stack([left, right])
        nothing = torch.zeros_like(left)
        return torch.stack([torch.cat([left, nothing], dim=-1), torch.cat([nothing, right], dim=-1)])

    def read_out(self, stream: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows answers"]:
        """Logits of the last position's stream."""
        normed = self.net.norm(stream) if isinstance(self.net, DeepTransformer) else stream
        return self.net.unembed(normed)

    def read_out_pull(
        self, stream: Float[Tensor, "batch d_model"], pull: Float[Tensor, "batch answers"]
    ) -> Float[Tensor, "batch d_model"]:
        """`pull` on the logits as a direction in the stream, the final norm's scale frozen at `stream`."""
        direction = pull @ self.net.unembed.weight
        if not isinstance(self.net, DeepTransformer) or self.net.norm.gain is None:
            return direction
        scale = (stream.var(-1, keepdim=True, correction=0) + NORM_EPSILON).sqrt()
        direction = direction * (1 + self.net.norm.gain) / scale
        return direction - direction.mean(-1, keepdim=True)

    def activate(self, pre: Tensor) -> Tensor:
        """The MLPs' activation function."""
        return activation("relu" if isinstance(self.net, Transformer) else self.net.config.activation, pre)


def stream_of(net: Net, neurons: bool = False) -> Stream:
    """The stream of a net of kind `transformer`, `deep_transformer` or `mlp`; UserError for the others."""
    match net:
        case Transformer():
            names = ("attn.hook_z", "hook_resid_mid", "mlp.hook_pre", "mlp.hook_post", "hook_resid_post")
            sites, tokens = [_block(names, net.attn, net.mlp)], ["a", "b", "="]
            positions = {"hook_embed"}
        case DeepTransformer():
            names = ("attn.hook_z", "hook_resid_mid", "hook_pre", "hook_post", "hook_resid_post")
            own = [tuple(f"blocks.{i}.{name}" for name in names) for i in range(len(net.blocks))]
            blocks: list[Any] = list(net.blocks)
            sites = [_block(hooks, block.attn, block) for hooks, block in zip(own, blocks, strict=True)]
            tokens = ["a", *(["o"] if net.config.operator else []), "b", *(["="] if net.config.equals else [])]
            positions = {"hook_embed", *(name for hooks in own for name in hooks)}
            if neurons and net.config.pre_norm:
                raise UserError(
                    "neurons = True: behind a LayerNorm the inputs of neurons are not apart; attribute whole MLPs"
                )
        case Mlp():
            sites, tokens, positions = _layers(net), ["a", "b"], set()
        case _:
            raise UserError(f"net = {type(net).__name__}: attribution knows transformer, deep_transformer and mlp")
    widths = [len(block.w_in) for block in sites] if neurons else None
    graph = graph_of(tokens, [len(block.w_o) for block in sites], widths, residual=not isinstance(net, Mlp))
    return Stream(net, graph, tuple(sites), frozenset(positions))


def neurons_are_nodes(net: Net) -> bool | None:
    """The finest graph of a net: True down to neurons, False down to whole MLPs, None for kinds not known here."""
    for neurons in (True, False):
        try:
            stream_of(net, neurons)
        except UserError:
            continue
        return neurons
    return None


def _block(hooks: tuple[str, ...], attention: Any, mlp: Any) -> Sites:
    weight = attention.o.weight.detach()
    w_o = weight.T.reshape(attention.n_heads, attention.d_head, len(weight))
    return Sites(*hooks, w_o=w_o, w_in=mlp.w_in.weight.detach(), w_out=mlp.w_out.weight.detach())


def _layers(net: Mlp) -> list[Sites]:
    reads, found = "hook_embed", []
    layers: list[Any] = list(net.layers)
    for i, layer in enumerate(layers):
        pre, post, w_in = f"layers.{i}.hook_pre", f"layers.{i}.hook_post", layer.linear.weight.detach()
        found.append(
            Sites(
                None,
                reads,
                pre,
                post,
                post,
                w_in.new_zeros(0, 1, w_in.shape[1]),
                w_in,
                torch.eye(len(w_in), dtype=w_in.dtype),
            )
        )
        reads = post
    return found
