"""A read-out bias, moved to where nets of ours have one."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import UserError

TOLERANCE = 1e-5


def without_read_out_bias(
    state: dict[str, Tensor], bias: Float[Tensor, " p"], n_layers: int, norm: bool
) -> tuple[dict[str, Tensor], str]:
    """The state with x added to the last bias of the residual stream, W_U x = b_U, and a note that says so.

    x is the least-squares one of least norm. Where in float32 it misses b_U by more than TOLERANCE, relatively, the
    stream gets one more component, which is 1 from the positions on and is read out as b_U; behind a LayerNorm that
    cannot be, and is a UserError.
    """
    weight, name = state["unembed.weight"], "norm.bias" if norm else f"blocks.{n_layers - 1}.w_out.bias"
    solution = np.linalg.lstsq(weight.double().numpy(), bias.double().numpy(), rcond=None)[0]
    x = torch.from_numpy(solution).float()
    miss = float((weight @ x - bias).abs().max() / bias.abs().max())
    if miss <= TOLERANCE:
        return {**state, name: state[name] + x}, f"unembed.b_U moved into {name}"
    if norm:
        raise UserError(f"unembed.b_U = outside the range of W_U by {miss:.2g}: nets here have no read-out bias")
    return widened(state, bias), "unembed.b_U moved into one more component of the residual stream"


def widened(state: dict[str, Tensor], bias: Float[Tensor, " p"]) -> dict[str, Tensor]:
    """The state with one more component of the stream: 1 at every position, read by nothing but the read-out."""
    wide = {}
    for name, value in state.items():
        if name == "unembed.weight":
            wide[name] = torch.cat([value, bias[:, None]], dim=1)
        elif name.endswith((".q.weight", ".k.weight", ".v.weight", ".w_in.weight", "embed.weight")):
            wide[name] = torch.nn.functional.pad(value, (0, 1))
        elif name == "pos.weight":
            wide[name] = torch.nn.functional.pad(value, (0, 1), value=1.0)
        elif name.endswith((".o.weight", ".w_out.weight")):
            wide[name] = torch.nn.functional.pad(value, (0, 0, 0, 1))
        elif name.endswith((".o.bias", ".w_out.bias")):
            wide[name] = torch.nn.functional.pad(value, (0, 1))
        else:
            wide[name] = value
    return wide
