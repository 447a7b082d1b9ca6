"""A read-out bias, moved to where nets of ours have one."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import UserError

TOLERANCE = 1e-5


def without_read_out_bias(
    state: dict[str, Tensor], bias: Float[Tensor, " p"], n_layers: int, norm: bool
) -> tuple[dict[str, Tensor], str]:
    """The state with x added to the last bias of the residual stream, W_U x = b_U, and a note that says so.

    The least-squares x of least norm; UserError where in float32 it misses b_U by more than TOLERANCE, relatively.
    """
    weight, name = state["unembed.weight"], "norm.bias" if norm else f"blocks.{n_layers - 1}.w_out.bias"
    x = torch.linalg.lstsq(weight.double(), bias.double()[:, None], driver="gelsd").solution[:, 0].float()
    miss = float((weight @ x - bias).abs().max() / bias.abs().max())
    if miss > TOLERANCE:
        raise UserError(f"unembed.b_U = outside the range of W_U by {miss:.2g}: nets here have no read-out bias")
    return {**state, name: state[name] + x}, f"unembed.b_U moved into {name}"
