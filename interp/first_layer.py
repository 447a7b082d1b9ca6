"""The first layer of a net of any kind: the symbols' embeddings, and the preactivations of the first neurons."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.errors import UserError
from pipeline.nets import DeepTransformer, Mlp, Net, Quadratic, Transformer


@dataclass(frozen=True)
class FirstLayer:
    """Where it is. `left`, `right`: the parameters with the embeddings, a row a symbol (a column in `Quadratic`).

    `neurons` is the hook point of the preactivations (at the answer position where it has positions), `tokens` the
    positions of a and b in the hook point `hook_embed`; None where the embeddings stand side by side or are added.
    """

    neurons: str
    left: str
    right: str
    tokens: tuple[int, int] | None = None


def first_layer(net: Net) -> FirstLayer:
    """UserError for the kinds that have no neurons of their own behind two embedded symbols."""
    match net:
        case Transformer():
            return FirstLayer("mlp.hook_pre", "embed.weight", "embed.weight", (0, 1))
        case DeepTransformer():
            return FirstLayer("blocks.0.hook_pre", "embed.weight", "embed.weight", (0, 1 + net.config.operator))
        case Mlp():
            return FirstLayer("layers.0.hook_pre", "embed_left.weight", "embed_right.weight")
        case Quadratic():
            return FirstLayer("hook_pre", "left.weight", "right.weight")
        case _:
            raise UserError(
                f"net = {type(net).__name__}: the measures know Transformer, DeepTransformer, Mlp, Quadratic"
            )


def embeddings(net: Net) -> tuple[Float[Tensor, "symbol d_embed"], Float[Tensor, "symbol d_embed"]]:
    """The rows of the symbols on the left and on the right; "=" and the operator, if any, come after them."""
    layer, weights = first_layer(net), net.state_dict()
    left, right = weights[layer.left], weights[layer.right]
    if isinstance(net, DeepTransformer) and net.config.own_symbols:
        return left[: net.first_right], right[net.first_right : net.n_symbols]
    return (left.T, right.T) if isinstance(net, Quadratic) else (left, right)


def logits_with_embeddings(
    net: Net,
    pairs: Int[Tensor, "pair 2"],
    left: Float[Tensor, "symbol d_embed"],
    right: Float[Tensor, "symbol d_embed"],
) -> Float[Tensor, "pair p"]:
    """The logits with other embeddings, equal ones where both sides share a table; the net itself stays as it is."""
    layer = first_layer(net)
    tables = (left.T, right.T) if isinstance(net, Quadratic) else (left, right)
    if isinstance(net, DeepTransformer) and net.config.own_symbols:
        whole = torch.cat([left, right, net.embed.weight.detach()[net.n_symbols :]])
        tables = (whole, whole)
    weights = dict(zip((layer.left, layer.right), tables, strict=True))
    with torch.no_grad():
        return torch.func.functional_call(net, weights, (pairs,))


def embedding_gradients(
    net: Net, pairs: Int[Tensor, "pair 2"], outputs: Int[Tensor, " pair"]
) -> tuple[Float[Tensor, "pair d_embed"], Float[Tensor, "pair d_embed"]]:
    """d logit[outputs[i]] / d (embedding of a_i) and the same for b_i, one row a pair."""
    layer, leaves = first_layer(net), []
    name = "hook_pre" if isinstance(net, Quadratic) else "hook_embed"  # L e_a + R e_b is the sum of the embeddings

    def leaf(x: Tensor, hook: object) -> Tensor:
        leaves.append(x.detach().requires_grad_())
        return leaves[0]

    with torch.enable_grad():
        logits = net.run_with_hooks(pairs, fwd_hooks=[(name, leaf)])
        (slope,) = torch.autograd.grad(logits.gather(1, outputs[:, None]).sum(), leaves)
    if layer.tokens is not None:
        return slope[:, layer.tokens[0]], slope[:, layer.tokens[1]]
    if isinstance(net, Mlp) and net.config.combine == "concatenate":
        left, right = slope.chunk(2, dim=1)
        return left, right
    return slope, slope


def shifted_embeddings(
    net: Net, pairs: Int[Tensor, "pair 2"], left: Float[Tensor, "pair d_embed"], right: Float[Tensor, "pair d_embed"]
) -> Float[Tensor, "pair p"]:
    """The logits when `left` and `right` are added to the embeddings of a and of b, pair by pair."""
    layer = first_layer(net)

    def shift(x: Tensor, hook: object) -> Tensor:
        if layer.tokens is not None:
            changed = x.clone()
            changed[:, layer.tokens[0]] += left
            changed[:, layer.tokens[1]] += right
            return changed
        if isinstance(net, Mlp) and net.config.combine == "concatenate":
            return x + torch.cat([left, right], dim=1)
        return x + left + right

    name = "hook_pre" if isinstance(net, Quadratic) else "hook_embed"  # L e_a + R e_b is the sum of the embeddings
    with torch.no_grad():
        return net.run_with_hooks(pairs, fwd_hooks=[(name, shift)])
