"""What of a transformer does nothing on any input is cut out: no answer changes, and no logit by more than rounding.

Four things go. A neuron that is active on no input, or constant, which is then part of the bias. Of a head's query
and keys all but one dimension: there is one query, that of "=", so a score is one linear function of the token. Of a
head's values the dimensions beyond the rank of the map from tokens to what reads them. And the directions of the
residual stream that nothing writes or nothing reads: with readers R and writers W stacked and R W = A S B^T of rank r,
the stream becomes S^-1/2 A^T R x, of r numbers, which all readers read as before and all writers write as before.

On a net without dead units and directions nothing of this finds much. After training under a group penalty and a
nuclear norm (`train/`), most of the net is dead.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from pipeline.nets import Transformer, TransformerConfig

RANK = 1e-6
"""Singular values below this share of the greatest are rounding: weights are float32, of relative precision 6e-8."""


@dataclass(frozen=True)
class Cut:
    """The smaller net, the neurons of the given one that are left, and by how much a logit differs at the most."""

    net: Transformer
    neurons: tuple[int, ...]
    difference: float


@torch.no_grad()
def cut(net: Transformer) -> Cut:
    """The same function over all pairs of symbols, computed by less. `net` itself is left alone."""
    config = net.config
    pairs = torch.cartesian_prod(torch.arange(config.p), torch.arange(config.p))
    state = {name: value.detach().double() for name, value in net.state_dict().items()}
    logits, cache = net.run_with_cache(pairs, names_filter="mlp.hook_post")
    hidden: Tensor = cache["mlp.hook_post"].double()
    varies = hidden.amax(0) > hidden.amin(0)
    neurons = varies.nonzero()[:, 0]
    if not len(neurons):
        neurons = torch.zeros(1, dtype=torch.int64)  # a layer has one neuron at least
    constant = torch.ones_like(varies)
    constant[neurons] = False
    w_in, b_in = state["mlp.w_in.weight"][neurons], state["mlp.w_in.bias"][neurons]
    w_out = state["mlp.w_out.weight"][:, neurons]
    b_out = state["mlp.w_out.bias"] + state["mlp.w_out.weight"][:, constant] @ hidden[0, constant]
    embed, pos, unembed = state["embed.weight"], state["pos.weight"], state["unembed.weight"]

    symbols = (embed[:-1, None] + pos[:2]).flatten(0, 1)
    last = embed[-1] + pos[2]
    tokens = torch.cat([symbols, last[None]])
    behind = torch.cat([w_in, unembed])  # what reads the stream after attention
    keys, values, outputs = _heads(state, config, tokens, last, behind)

    # Position and symbol are added before anything reads them, so that each is a writer of its own.
    writers = torch.cat([embed.T, pos.T, *outputs, w_out, b_out[:, None]], dim=1)
    readers = torch.cat([*(key[None] for key in keys), *values, behind])
    if (readers @ last).norm() < RANK * readers.norm() * last.norm():
        readers = torch.cat([readers, last[None]])  # "=" is read by the query alone, which needs it
    left, sizes, right = _truncated(readers @ writers)
    into = (left / sizes.sqrt()).T @ readers  # the new stream from the old one
    back = writers @ (right / sizes.sqrt())  # and such an old one for every new one

    d_head = max(value.shape[0] for value in values)
    smaller = Transformer(TransformerConfig(config.p, len(sizes), config.n_heads, d_head, len(neurons)))
    now = into @ last
    query = d_head**0.5 * now / now.square().sum().clamp(min=1e-300)  # 0 where "=" has no part in what is read
    parts: dict[str, list[Tensor]] = {"q": [], "k": [], "v": [], "o": []}
    for key, value, output in zip(keys, values, outputs, strict=True):
        parts["q"].append(_padded(query[None], d_head))
        parts["k"].append(_padded((key @ back)[None], d_head))
        parts["v"].append(_padded(value @ back, d_head))
        parts["o"].append(_padded((into @ output).T, d_head))
    smaller.load_state_dict(
        {
            "embed.weight": embed @ into.T,
            "pos.weight": pos @ into.T,
            "attn.q.weight": torch.cat(parts["q"]),
            "attn.k.weight": torch.cat(parts["k"]),
            "attn.v.weight": torch.cat(parts["v"]),
            "attn.o.weight": torch.cat(parts["o"]).T,
            "mlp.w_in.weight": w_in @ back,
            "mlp.w_in.bias": b_in,
            "mlp.w_out.weight": into @ w_out,
            "mlp.w_out.bias": into @ b_out,
            "unembed.weight": unembed @ back,
        }
    )
    difference = float((smaller.eval()(pairs) - logits).abs().max())
    return Cut(smaller, tuple(neurons.tolist()), difference)


def _heads(
    state: dict[str, Tensor],
    config: TransformerConfig,
    tokens: Float64[Tensor, "token d_model"],
    last: Float64[Tensor, " d_model"],
    behind: Float64[Tensor, "reader d_model"],
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """For each head what turns a token into its score, into its values, and values into what the head writes.

    The last two are the factors of the best approximation of O V, seen from the tokens and from `behind`, of the rank
    that it has: P_R O V P_T = (P_R U sqrt S)(sqrt S V^T P_T).
    """
    q, k, v, o = (state[f"attn.{name}.weight"] for name in "qkvo")
    from_tokens, to_readers = _projector(tokens), _projector(behind)
    keys, values, outputs = [], [], []
    for head in range(config.n_heads):
        rows = slice(head * config.d_head, (head + 1) * config.d_head)
        keys.append(from_tokens @ (k[rows].T @ (q[rows] @ last)) / config.d_head**0.5)
        left, sizes, right = _truncated(to_readers @ o[:, rows] @ v[rows] @ from_tokens)
        outputs.append(left * sizes.sqrt())
        values.append((right * sizes.sqrt()).T)
    return keys, values, outputs


def _projector(rows: Float64[Tensor, "n d"]) -> Float64[Tensor, "d d"]:
    """Onto the span of the rows."""
    _, _, right = _truncated(rows)
    return right @ right.T


def _truncated(
    matrix: Float64[Tensor, "m n"],
) -> tuple[Float[Tensor, "m r"], Float[Tensor, " r"], Float[Tensor, "n r"]]:
    """Its singular value decomposition, without what is rounding; of rank 1 at least."""
    left, sizes, right = torch.linalg.svd(matrix, full_matrices=False)
    rank = max(1, int((sizes > RANK * sizes[0]).sum()))
    return left[:, :rank], sizes[:rank].clamp(min=torch.finfo(torch.float64).tiny), right[:rank].T


def _padded(rows: Float64[Tensor, "r n"], count: int) -> Float64[Tensor, "count n"]:
    return torch.cat([rows, rows.new_zeros(count - len(rows), rows.shape[1])])
