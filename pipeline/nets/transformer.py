"""The one-layer transformer of Nanda et al. 2023, computing only what the answer position needs.

The input is "a b =" and the answer is read at "=". With one layer and no mask to respect there, the only query that
matters is the one at "=", the MLP runs on one position instead of three, and keys and values are computed once a token.
The numbers are those of a general implementation; `python -m benchmarks.speed` says how much faster.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformer_lens.hook_points import HookPoint

from pipeline.nets.net import Net, Units


@dataclass(frozen=True)
class TransformerConfig:
    """Everything that rebuilds the net's shape. `d_head` is per head; pruned nets have fewer heads or neurons."""

    KIND: ClassVar[str] = "transformer"

    p: int
    d_model: int = 128
    n_heads: int = 4
    d_head: int = 32
    d_mlp: int = 512

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Attention(nn.Module):
    """Softmax attention whose only query is the last position."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.n_heads * config.d_head
        self.n_heads, self.d_head = config.n_heads, config.d_head
        self.q = nn.Linear(config.d_model, width, bias=False)
        self.k = nn.Linear(config.d_model, width, bias=False)
        self.v = nn.Linear(config.d_model, width, bias=False)
        self.o = nn.Linear(width, config.d_model, bias=False)
        self.hook_pattern = HookPoint()
        self.hook_z = HookPoint()
        self.hook_result = HookPoint()

    def scores_and_values(
        self, x: Float[Tensor, "*rows 3 d_model"], last: Float[Tensor, "*rows d_model"]
    ) -> tuple[Float[Tensor, "*rows 3 head"], Float[Tensor, "*rows 3 head d_head"]]:
        """q . k / sqrt(d_head) of the last position's query with every key, and every value."""
        heads = (self.n_heads, self.d_head)
        q, k, v = (f(y).unflatten(-1, heads) for f, y in ((self.q, last), (self.k, x), (self.v, x)))
        return (q.unsqueeze(-3) * k).sum(-1) / self.d_head**0.5, v

    def mix(
        self, scores: Float[Tensor, "batch 3 head"], v: Float[Tensor, "batch 3 head d_head"]
    ) -> Float[Tensor, "batch d_model"]:
        """Softmax over positions, weighted sum of values, output projection."""
        pattern = self.hook_pattern(scores.softmax(dim=1).transpose(1, 2))
        z = self.hook_z((pattern.transpose(1, 2).unsqueeze(-1) * v).sum(1))
        if not self.hook_result.has_hooks():
            return self.o(z.flatten(1))
        per_head = self.o.weight.view(-1, self.n_heads, self.d_head)
        return self.hook_result(torch.einsum("bhd,mhd->bhm", z, per_head)).sum(1)


class Mlp(nn.Module):
    """One ReLU layer."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.w_in = nn.Linear(config.d_model, config.d_mlp)
        self.w_out = nn.Linear(config.d_mlp, config.d_model)
        self.hook_pre = HookPoint()
        self.hook_post = HookPoint()
        self.live: Int[Tensor, " unit"] | None = None

    def forward(self, x: Float[Tensor, "batch d_model"]) -> Float[Tensor, "batch d_model"]:
        if self.live is not None and not (self.hook_pre.has_hooks() or self.hook_post.has_hooks()):
            w_in, bias, w_out = self.w_in.weight[self.live], self.w_in.bias[self.live], self.w_out.weight[:, self.live]
            hidden = torch.relu(nn.functional.linear(x, w_in, bias))
            return nn.functional.linear(hidden, w_out, self.w_out.bias)
        return self.w_out(self.hook_post(torch.relu(self.hook_pre(self.w_in(x)))))


class Transformer(Net):
    """logits[c] for the answer to "a b =", with TransformerLens hook points on every intermediate value."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.p + 1, config.d_model)
        self.pos = nn.Embedding(3, config.d_model)
        self.attn = Attention(config)
        self.mlp = Mlp(config)
        self.unembed = nn.Linear(config.d_model, config.p, bias=False)
        self.hook_embed = HookPoint()
        self.hook_resid_mid = HookPoint()
        self.hook_resid_post = HookPoint()
        self.setup()

    def hidden_units(self) -> list[Units]:
        return [Units({"mlp.w_in.weight": 0, "mlp.w_in.bias": 0}, {"mlp.w_out.weight": 1})]

    @contextmanager
    def without_dead(self, alive: Sequence[Bool[Tensor, " unit"]]) -> Iterator[None]:
        """Leaves them out where they are more than a tenth of all."""
        if alive and float(alive[0].float().mean()) < 0.9:
            self.mlp.live = alive[0].nonzero()[:, 0]
        try:
            yield
        finally:
            self.mlp.live = None

    def residual(self, inputs: Int[Tensor, "batch 2"]) -> Float[Tensor, "batch d_model"]:
        """The residual stream at "=" just before the read-out."""
        if self.hook_embed.has_hooks():
            equals = inputs.new_full((len(inputs), 1), self.config.p)
            x = self.hook_embed(self.embed(torch.cat([inputs, equals], dim=1)) + self.pos.weight)
            last = x[:, -1]
            scores, values = self.attn.scores_and_values(x, last)
        else:
            scores, values, last = self._look_up(inputs)
        mid = self.hook_resid_mid(last + self.attn.mix(scores, values))
        return self.hook_resid_post(mid + self.mlp(mid))

    def _look_up(
        self, pairs: Int[Tensor, "batch 2"]
    ) -> tuple[Float[Tensor, "batch 3 head"], Float[Tensor, "batch 3 head d_head"], Float[Tensor, " d_model"]]:
        """Scores, values and the last position's input, each computed once a token and then looked up by pair.

        Before attention nothing has mixed, so keys and values depend on (token, position) only: 3 (p + 1) rows
        instead of three a pair.
        """
        equals = self.config.p
        tokens = self.embed.weight.unsqueeze(1) + self.pos.weight
        last = tokens[equals, 2]
        scores, values = self.attn.scores_and_values(tokens, last.expand(len(tokens), -1))

        def of_pairs(table: Tensor) -> Tensor:
            third = table[equals, 2].expand(len(pairs), *table.shape[2:])
            return torch.stack([table[:, 0][pairs[:, 0]], table[:, 1][pairs[:, 1]], third], dim=1)

        return of_pairs(scores), of_pairs(values), last
