"""Attention of a bridge that mixes softmax with constant attention, and the adapter that puts it in its place.

Zhong et al. 2023, section 2: a head weighs the positions it sees by c softmax(q k / sqrt(d_head)) + (1 - c). The
bridge's own attention has c = 1 only, and shows the pattern under `hook_attn_scores`. This one shows the scores before
the softmax there, lets a hook edit them, and offers `hook_result` (`bridge.set_use_attn_result(True)`).
"""

from __future__ import annotations

from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.config import TransformerBridgeConfig
from transformer_lens.model_bridge.generalized_components import AttentionBridge, LinearBridge, NormalizationBridge
from transformer_lens.model_bridge.supported_architectures.native import NativeArchitectureAdapter

from pipeline.errors import UserError

ARCHITECTURE = "CatapultTransformer"


class MixedConfig(TransformerBridgeConfig):
    """TransformerLens' config with `softmax_share`, the c above."""

    softmax_share: float = 1.0


class MixedAttentionBridge(AttentionBridge):
    """pattern = c softmax(scores) + (1 - c) where a position is seen, with the hook names of every AttentionBridge."""

    supports_attn_result = True

    def forward(
        self, hidden_states: Float[Tensor, "batch pos d_model"], attention_mask: Tensor | None = None, **_: Any
    ) -> tuple[Float[Tensor, "batch pos d_model"], Float[Tensor, "batch head query key"]]:
        if attention_mask is not None:
            raise UserError("attention_mask = given: rows of tokens are whole, no position is masked; leave it out")
        cfg = cast(MixedConfig, self.config)
        heads = (cfg.n_heads, cfg.d_head)
        x = self.hook_in(hidden_states)
        q, k, v = (project(x).unflatten(-1, heads) for project in (self.q, self.k, self.v))
        seen = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device)
        if cfg.attention_dir == "causal":
            seen = seen.tril()
        scores = self._scores(q, k) / cfg.d_head**0.5
        weights = self._softmax(self.hook_attn_scores(scores.masked_fill(~seen, -torch.inf)))
        if cfg.softmax_share != 1:
            weights = cfg.softmax_share * weights + (1 - cfg.softmax_share) * seen
        pattern = self.hook_pattern(weights)
        z = self._mix(pattern, v).flatten(2)
        if cfg.use_attn_result:
            out = self._compute_per_head_result(self.o.hook_in(z).unflatten(-1, heads), *heads)
        else:
            out = self.o(z)
        return self.hook_out(self.hook_hidden_states(out)), pattern

    def _scores(
        self, q: Float[Tensor, "batch query head d_head"], k: Float[Tensor, "batch key head d_head"]
    ) -> Float[Tensor, "batch head query key"]:
        return torch.einsum("bqhd,bkhd->bhqk", q, k)

    def _softmax(self, scores: Float[Tensor, "batch head query key"]) -> Float[Tensor, "batch head query key"]:
        return scores.softmax(dim=-1)

    def _mix(
        self, pattern: Float[Tensor, "batch head query key"], v: Float[Tensor, "batch key head d_head"]
    ) -> Float[Tensor, "batch query head d_head"]:
        return torch.einsum("bhqk,bkhd->bqhd", pattern, v)


class SummedAttentionBridge(MixedAttentionBridge):
    """The same, adding in the order of `pipeline.nets.transformer`, so that float32 rounds as it does there.

    Where logits are large, another order of addition moves them by more than 1e-5.
    """

    def _scores(
        self, q: Float[Tensor, "batch query head d_head"], k: Float[Tensor, "batch key head d_head"]
    ) -> Float[Tensor, "batch head query key"]:
        return (q.unsqueeze(2) * k.unsqueeze(1)).sum(-1).permute(0, 3, 1, 2)

    def _softmax(self, scores: Float[Tensor, "batch head query key"]) -> Float[Tensor, "batch head query key"]:
        return scores.permute(0, 2, 3, 1).contiguous().softmax(dim=2).permute(0, 3, 1, 2)

    def _mix(
        self, pattern: Float[Tensor, "batch head query key"], v: Float[Tensor, "batch key head d_head"]
    ) -> Float[Tensor, "batch query head d_head"]:
        return (pattern.permute(0, 2, 3, 1).unsqueeze(-1) * v.unsqueeze(1)).sum(2)


class TorchNormBridge(NormalizationBridge):
    """torch's own LayerNorm, which rounds as in the net, unless a hook looks at its scale or what it scales."""

    def _python_norm_forward(self, hidden_states: Float[Tensor, "batch pos d_model"]) -> Tensor:
        if self.hook_scale.has_hooks() or self.hook_normalized.has_hooks():
            return super()._python_norm_forward(hidden_states)
        assert self.original_component is not None
        return self.original_component(hidden_states)


class CatapultAdapter(NativeArchitectureAdapter):
    """TransformerLens' own small model with the components above.

    Rows are not text: there is no loss on next tokens, and nothing is generated.
    """

    supports_causal_loss = False
    supports_generation = False
    supports_kv_cache = False

    def __init__(self, cfg: MixedConfig, attention: type[MixedAttentionBridge]) -> None:
        super().__init__(cfg)
        self.softmax_share = cfg.softmax_share
        assert self.component_mapping is not None
        block = self.component_mapping["blocks"].submodules
        block["attn"] = attention(
            name="attn", config=cfg, submodules={name: LinearBridge(name=name) for name in "qkvo"}
        )
        if cfg.normalization_type is not None:
            block |= {name: TorchNormBridge(name=name, config=cfg) for name in ("ln1", "ln2")}
            self.component_mapping["ln_final"] = TorchNormBridge(name="ln_out", config=cfg)

    def preprocess_weights(self, state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
        """Folding value biases takes patterns for shares that sum to 1, which mixed attention's do not."""
        biases = [name for name in state_dict if name.endswith((".attn.v.bias", ".ln1.bias"))]
        if self.softmax_share != 1 and any(bool(state_dict[name].any()) for name in biases):
            share = self.softmax_share
            raise UserError(f"softmax_share = {share}: value biases cannot be folded; leave the weights as they are")
        return super().preprocess_weights(state_dict)
