"""A penalty under which whole hidden units die: the group lasso (Yuan and Lin 2006; for units, Scardapane et al. 2017).

sum over units j of sqrt(|weights into j, bias included|^2 + |weights out of j|^2)

A unit shrinks by the same length whatever its own length is, so that those that do not pay for themselves vanish.
One whose |in| |out| is next to nothing against its layer's greatest is set to 0, where its gradients are 0 as well, and
stays there: it is out of the net, exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pipeline.nets.net import Units


def group_penalty(stacks: Mapping[str, Tensor], layers: Sequence[Units]) -> Float[Tensor, " nets"]:
    """The sum over all units of all layers of each net. `stacks` are the parameters by name, [nets, ...]."""
    lengths = [torch.cat([*_weights(stacks, layer.into), *_weights(stacks, layer.out)], dim=2) for layer in layers]
    return torch.stack([torch.linalg.vector_norm(length, dim=2).sum(1) for length in lengths]).sum(0)


@torch.no_grad()
def live_units(
    stacks: Mapping[str, Tensor], layers: Sequence[Units], dead: float = 0.0
) -> list[Bool[Tensor, "nets unit"]]:
    """For each layer which units are alive: |in| |out| > dead * the greatest of the layer."""
    return [size > dead * size.amax(1, keepdim=True) for size in unit_sizes(stacks, layers)]


@torch.no_grad()
def unit_sizes(stacks: Mapping[str, Tensor], layers: Sequence[Units]) -> list[Float[Tensor, "nets unit"]]:
    """|in| |out| of the units of each layer."""
    return [_length(_weights(stacks, layer.into)) * _length(_weights(stacks, layer.out)) for layer in layers]


@torch.no_grad()
def keep_alive(
    stacks: Mapping[str, Tensor], layers: Sequence[Units], alive: Sequence[Bool[Tensor, "nets unit"]]
) -> None:
    """Set all other units to 0, in place."""
    for layer, live in zip(layers, alive, strict=True):
        for part in (*_weights(stacks, layer.into), *_weights(stacks, layer.out)):
            part.mul_(live[:, :, None])


def _weights(stacks: Mapping[str, Tensor], dimensions: Mapping[str, int]) -> list[Float[Tensor, "nets unit rest"]]:
    """Views of the stacks named in which the units are dimension 1 and the rest of a unit's weights dimension 2."""
    return [
        stacks[name].movedim(1 + dimension, 1) if stacks[name].ndim == 3 else stacks[name][..., None]
        for name, dimension in dimensions.items()
    ]


def _length(parts: Sequence[Float[Tensor, "nets unit rest"]]) -> Float[Tensor, "nets unit"]:
    return torch.stack([part.square().sum(2) for part in parts]).sum(0).sqrt()
