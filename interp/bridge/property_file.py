"""One file that HookedTransformer of TransformerLens before 4 loads: its config and its state dict.

    file = torch.load("net.pt", weights_only=True)
    model = HookedTransformer(HookedTransformerConfig(**file["config"]))
    model.load_state_dict(file["state_dict"])

TransformerLens 4 reads it with `convert_tl_checkpoint`, and `python -m interp import --layout tl` reads it back.
"""

from __future__ import annotations

import io
from pathlib import Path

import torch

from interp.bridge.shape import WithAttention, lens_config, options_of, property_state
from pipeline.errors import UserError
from pipeline.files import write_atomically


def save_property_file(net: WithAttention, path: Path) -> None:
    """Write the net's config and weights; UserError where HookedTransformer cannot compute it.

    The buffers of its attention, a mask and a value for what is masked, are stored too, since a strict load wants them.
    """
    config = options_of(net)
    if config.softmax_share != 1:
        raise UserError(f"softmax_share = {config.softmax_share}: HookedTransformer has softmax alone; use the bridge")
    described, state = lens_config(config), property_state(net)
    n = described["n_ctx"]
    seen = torch.ones(n, n, dtype=torch.bool)
    for i in range(config.n_layers):
        state[f"blocks.{i}.attn.mask"] = seen.tril() if config.causal else seen
        state[f"blocks.{i}.attn.IGNORE"] = torch.tensor(-torch.inf)
    data = io.BytesIO()
    torch.save({"config": described, "state_dict": state}, data)
    write_atomically(path, data.getvalue())
