"""A transformer of any depth on "a b =" or, as Power et al. 2022, on "a o b =", read at the last position.

Without "=" it reads "a b" or "a o b" and answers at b. The last block computes its query and its MLP at the last
position only; every earlier block computes every position.
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
class DeepTransformerConfig:
    """With one layer, no norm, ReLU, no operator and no attention biases it computes what `Transformer` computes.

    `softmax_share` is the attention coefficient c of Zhong et al. 2023, section 2: a head weighs the positions it sees
    by c softmax(q k / sqrt(d_head)) + (1 - c), so that c = 0 adds them up. With `own_symbols` b has embeddings of its
    own, as the nets with `diff_vocab` of that paper.
    """

    KIND: ClassVar[str] = "deep_transformer"

    n_left: int
    n_right: int
    n_answers: int
    n_layers: int = 2
    d_model: int = 128
    n_heads: int = 4
    d_head: int = 32
    d_mlp: int = 512
    activation: Literal["relu", "gelu", "gelu_tanh"] = "gelu"
    pre_norm: bool = True
    operator: bool = True
    attention_bias: bool = True
    equals: bool = True
    causal: bool = True
    softmax_share: float = 1.0
    own_symbols: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.softmax_share <= 1:
            raise ValueError(f"softmax_share = {self.softmax_share}: give a share from 0 to 1")

    def to_dict(self) -> dict[str, Any]:
        """Without `own_symbols` where it is off, so that a net without them is described as it always was."""
        return {key: value for key, value in asdict(self).items() if key != "own_symbols" or value}


class Norm(nn.Module):
    """LayerNorm with gain 1 + g and bias b, so that 0 is where g and b start and what weight decay draws them to."""

    def __init__(self, d_model: int, on: bool) -> None:
        super().__init__()
        self.d_model = d_model
        self.gain = nn.Parameter(torch.zeros(d_model)) if on else None
        self.bias = nn.Parameter(torch.zeros(d_model)) if on else None

    def forward(self, x: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows d_model"]:
        return x if self.gain is None else nn.functional.layer_norm(x, (self.d_model,), 1 + self.gain, self.bias)


class Attention(nn.Module):
    """Attention of the last `n_queries` positions over those up to their own or, where it is not causal, over all."""

    def __init__(self, config: DeepTransformerConfig) -> None:
        super().__init__()
        width, bias = config.n_heads * config.d_head, config.attention_bias
        self.n_heads, self.d_head = config.n_heads, config.d_head
        self.causal, self.share = config.causal, config.softmax_share
        self.q = nn.Linear(config.d_model, width, bias=bias)
        self.k = nn.Linear(config.d_model, width, bias=bias)
        self.v = nn.Linear(config.d_model, width, bias=bias)
        self.o = nn.Linear(width, config.d_model, bias=bias)
        self.hook_pattern = HookPoint()
        self.hook_z = HookPoint()

    def forward(self, x: Float[Tensor, "batch pos d_model"], n_queries: int) -> Float[Tensor, "batch query d_model"]:
        n, heads = x.shape[1], (self.n_heads, self.d_head)
        last = x[:, n - n_queries :]
        q, k, v = (f(y).unflatten(-1, heads) for f, y in ((self.q, last), (self.k, x), (self.v, x)))
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / self.d_head**0.5
        seen = torch.ones(n_queries, n, dtype=torch.bool, device=x.device)
        if self.causal:
            seen = seen.tril(n - n_queries)
        weights = scores.masked_fill(~seen, -torch.inf).softmax(dim=-1)
        if self.share != 1:
            weights = self.share * weights + (1 - self.share) * seen
        pattern = self.hook_pattern(weights)
        return self.o(self.hook_z(torch.einsum("bhqk,bkhd->bqhd", pattern, v)).flatten(2))


class Block(nn.Module):
    """x + attention(norm x), then x + MLP(norm x)."""

    def __init__(self, config: DeepTransformerConfig) -> None:
        super().__init__()
        self.activation = config.activation
        self.norm_attn = Norm(config.d_model, config.pre_norm)
        self.attn = Attention(config)
        self.norm_mlp = Norm(config.d_model, config.pre_norm)
        self.w_in = nn.Linear(config.d_model, config.d_mlp)
        self.w_out = nn.Linear(config.d_mlp, config.d_model)
        self.hook_resid_mid = HookPoint()
        self.hook_pre = HookPoint()
        self.hook_post = HookPoint()
        self.hook_resid_post = HookPoint()

    def forward(self, x: Float[Tensor, "batch pos d_model"], n_queries: int) -> Float[Tensor, "batch query d_model"]:
        mid = self.hook_resid_mid(x[:, x.shape[1] - n_queries :] + self.attn(self.norm_attn(x), n_queries))
        hidden = self.hook_post(activation(self.activation, self.hook_pre(self.w_in(self.norm_mlp(mid)))))
        return self.hook_resid_post(mid + self.w_out(hidden))


class DeepTransformer(Net):
    """Tokens are the symbols, those of b after those of a where it has its own, then "=" and the operator."""

    def __init__(self, config: DeepTransformerConfig) -> None:
        super().__init__()
        self.config = config
        shared = max(config.n_left, config.n_right)
        self.first_right = config.n_left if config.own_symbols else 0
        self.n_symbols = config.n_left + config.n_right if config.own_symbols else shared
        self.length = 2 + config.operator + config.equals
        self.embed = nn.Embedding(self.n_symbols + config.equals + config.operator, config.d_model)
        self.pos = nn.Embedding(self.length, config.d_model)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.norm = Norm(config.d_model, config.pre_norm)
        self.unembed = nn.Linear(config.d_model, config.n_answers, bias=False)
        self.hook_embed = HookPoint()
        self.hook_normalized = HookPoint()
        self.setup()

    def hidden_units(self) -> list[Units]:
        blocks = [f"blocks.{i}" for i in range(self.config.n_layers)]
        return [Units({f"{b}.w_in.weight": 0, f"{b}.w_in.bias": 0}, {f"{b}.w_out.weight": 1}) for b in blocks]

    def tokens(self, pairs: Int[Tensor, "batch 2"]) -> Int[Tensor, "batch pos"]:
        """a, the operator, b, "="; those that the config has."""
        a, b = pairs[:, 0], pairs[:, 1] + self.first_right
        equals = torch.full_like(a, self.n_symbols)
        operator = equals + self.config.equals
        tokens = [a, operator, b] if self.config.operator else [a, b]
        return torch.stack([*tokens, equals] if self.config.equals else tokens, dim=1)

    def residual(self, inputs: Int[Tensor, "batch 2"]) -> Float[Tensor, "batch d_model"]:
        """The (normalised) residual stream at the last position just before the read-out."""
        x = self.hook_embed(self.embed(self.tokens(inputs)) + self.pos.weight)
        for i, block in enumerate(self.blocks):
            x = block(x, 1 if i + 1 == len(self.blocks) else self.length)
        return self.hook_normalized(self.norm(x[:, -1]))
