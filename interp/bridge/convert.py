"""A transformer of ours as a `TransformerBridge`: the same function, at every position, under TransformerLens' names.

Hook names (`blocks.0.attn.hook_pattern`, `blocks.0.mlp.hook_post`, `blocks.0.hook_resid_mid`), weights (`W_E`, `W_Q`,
`W_out`, `W_U`), `run_with_cache`, `run_with_hooks` and `cfg` are the bridge's own. Weights are copies: editing the
bridge leaves the net as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Int
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.model_bridge.sources.native import NativeModel
from transformer_lens.utilities.tl_checkpoint_conversion import convert_tl_checkpoint

from interp.bridge.attention import (
    ARCHITECTURE,
    CatapultAdapter,
    MixedAttentionBridge,
    MixedConfig,
    SummedAttentionBridge,
)
from interp.bridge.shape import WithAttention, lens_config, options_of, property_state, token_rows
from pipeline.nets import Transformer, build_net

TOLERANCE = 1e-5
BATCH = 4096


def to_bridge(net: WithAttention) -> TransformerBridge:
    """The bridge of a `transformer` or `deep_transformer`, in evaluation mode; UserError for what it cannot express.

    bridge(token_rows(net, pairs))[:, -1] are the net's logits. Logits of earlier positions, which the net does not
    compute, are what the same weights give there.
    """
    options, weight = options_of(net), net.unembed.weight
    cfg = MixedConfig(
        **lens_config(options),
        architecture=ARCHITECTURE,
        model_name=net.config.KIND,
        default_prepend_bos=False,
        device=str(weight.device),
        dtype=weight.dtype,
    )
    cfg.softmax_share = options.softmax_share
    adapter = CatapultAdapter(cfg, SummedAttentionBridge if isinstance(net, Transformer) else MixedAttentionBridge)
    with torch.random.fork_rng(devices=[]):
        model = NativeModel(cfg).to(weight).eval()
    adapter.prepare_model(model)
    bridge = TransformerBridge(model, adapter, tokenizer=None)
    bridge.load_state_dict(convert_tl_checkpoint(property_state(net), cfg), strict=True)
    return bridge


@dataclass(frozen=True)
class Agreement:
    """Largest differences between the logits of a net and of its bridge, over all pairs.

    `float32` is rounding, which grows with the logits; `float64` tells whether both are one function.
    """

    pairs: int
    float32: float
    float64: float
    largest_logit: float

    @property
    def holds(self) -> bool:
        """1e-5 in float64; in float32 too, where the largest logit is above 1 a share of it."""
        return self.float64 <= TOLERANCE and self.float32 <= TOLERANCE * max(1.0, self.largest_logit)


def agreement(net: WithAttention) -> Agreement:
    """Compare the net, of float32, with its bridge."""
    options = options_of(net)
    pairs = torch.cartesian_prod(torch.arange(options.n_left), torch.arange(options.n_right))
    double = build_net(net.config)
    double.load_state_dict(net.state_dict())
    single, largest = _difference(net, pairs)
    return Agreement(len(pairs), single, _difference(cast(WithAttention, double.eval().double()), pairs)[0], largest)


@torch.no_grad()
def _difference(net: WithAttention, pairs: Int[Tensor, "batch 2"]) -> tuple[float, float]:
    """max |bridge - net| at the last position, and max |net|."""
    bridge, worst, largest = to_bridge(net), 0.0, 0.0
    for some in pairs.split(BATCH):
        logits = net(some)
        worst = max(worst, float((bridge(token_rows(net, some))[:, -1] - logits).abs().max()))
        largest = max(largest, float(logits.abs().max()))
    return worst, largest
