"""The last hidden layer of a net of any kind: the neurons that the measures are about, and what each reads out.

Logits are linear in these neurons, given the rest of the residual stream. Behind a final LayerNorm they are so once
each input's activations are divided by the standard deviation that it divides by; the neurons are then those quotients.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from pipeline.errors import UserError
from pipeline.nets import DeepTransformer, Mlp, Net, Quadratic, Transformer

EPSILON = 1e-5


@dataclass(frozen=True)
class LastLayer:
    """Names of hook points; `stream` is what a final norm gets, None without one."""

    neurons: str
    residual: str
    readout: Float[Tensor, "d_mlp p"]
    embedding: Float[Tensor, "token d_embed"]  # of the left symbols
    stream: str | None = None

    def hooks(self) -> set[str]:
        return {name for name in (self.neurons, self.residual, self.stream) if name is not None}

    def activations(self, cache: Mapping[str, Tensor]) -> Float[Tensor, "pair d_mlp"]:
        """The neurons at the position that is read."""
        neurons = cache[self.neurons].flatten(1)
        if self.stream is None:
            return neurons
        return neurons / (cache[self.stream].flatten(1).var(1, correction=0, keepdim=True) + EPSILON).sqrt()


def last_layer(net: Net) -> LastLayer:
    """UserError for the kinds that have no neurons behind an activation of their own."""
    unembed = net.unembed.weight.detach()
    match net:
        case Transformer():
            readout = (unembed @ net.mlp.w_out.weight.detach()).T
            embedding = net.embed.weight.detach()
            return LastLayer("mlp.hook_post", "hook_resid_post", readout, embedding)
        case Mlp():
            last = f"layers.{len(net.layers) - 1}.hook_post"
            return LastLayer(last, last, unembed.T, net.embed_left.weight.detach())
        case Quadratic():
            return LastLayer("hook_post", "hook_post", unembed.T, net.left.weight.detach().T)
        case DeepTransformer():
            block = f"blocks.{net.config.n_layers - 1}"
            written = net.state_dict()[f"{block}.w_out.weight"]
            stream = None
            if net.norm.gain is not None:
                written = (1 + net.norm.gain.detach())[:, None] * (written - written.mean(0))
                stream = f"{block}.hook_resid_post"
            embedding = net.embed.weight.detach()
            return LastLayer(f"{block}.hook_post", "hook_normalized", (unembed @ written).T, embedding, stream=stream)
        case _:
            raise UserError(
                f"net = {type(net).__name__}: the measures know Transformer, DeepTransformer, Mlp, Quadratic"
            )
