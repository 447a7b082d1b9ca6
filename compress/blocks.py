"""The student in training: one block of hidden units per key frequency, several blocks side by side as one tensor.

A block turns (a, b) into the two features of its frequency, or a single one into those of all of them,

    N(a, b) = offset + sum_j mix[j] relu(left[a, j] + right[b, j]),        N ~ (cos, sin)(2 pi k answer / p),

and shares nothing with the other blocks. That keeps the regressions apart (each is small, and the best of several
starts is chosen per frequency) and the proof short: a feature depends on units_per_frequency hidden units, not on all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Blocks:
    """Leaf tensors of `block` independent blocks; `right` is `left` itself where the tables are tied."""

    left: Float[Tensor, "block p n"]
    right: Float[Tensor, "block p n"]
    mix: Float[Tensor, "block n feature"]
    offset: Float[Tensor, "block 1 1 feature"]

    @property
    def tied(self) -> bool:
        return self.right is self.left

    def parameters(self) -> list[Tensor]:
        return [self.left, self.mix, self.offset] + ([] if self.tied else [self.right])

    def features(self, rows: Int[Tensor, " row"] | None = None) -> Float[Tensor, "block row p feature"]:
        """N(a, b) for a in `rows` (all where None) and every b."""
        left = self.left if rows is None else self.left[:, rows]
        hidden = torch.relu(left[:, :, None] + self.right[:, None])
        mixed = hidden.flatten(1, 2) @ self.mix
        return mixed.view(len(left), left.shape[1], -1, self.mix.shape[2]) + self.offset

    def select(self, index: list[int]) -> Blocks:
        """A detached copy of some of the blocks."""
        left = self.left.detach()[index].clone()
        right = left if self.tied else self.right.detach()[index].clone()
        return Blocks(left, right, self.mix.detach()[index].clone(), self.offset.detach()[index].clone())

    def leaves(self) -> Blocks:
        """The same blocks, ready to be trained."""
        left = self.left.detach().clone().requires_grad_()
        right = left if self.tied else self.right.detach().clone().requires_grad_()
        return replace(
            self,
            left=left,
            right=right,
            mix=self.mix.detach().clone().requires_grad_(),
            offset=self.offset.detach().clone().requires_grad_(),
        )


def starting_blocks(
    p: int, sign: int, frequencies: list[int], units: int, generator: torch.Generator, noise: float = 0.1
) -> Blocks:
    """One block per entry of `frequencies` (which may repeat): waves of that frequency at evenly spread phases.

    left[a, j] = cos(2 pi k a / p + phi_j) + noise, right[b, j] = cos(2 pi sign k b / p + phi_j) + noise; tied for
    addition. The mix starts at random, so that nothing but the frequency is known beforehand.
    """
    count = len(frequencies)
    angle = 2 * math.pi * torch.tensor(frequencies)[:, None, None] * torch.arange(p)[None, :, None] / p
    phase = 2 * math.pi * (torch.arange(units) / units + torch.rand(count, 1, 1, generator=generator))
    phase = phase + 0.2 * torch.randn(count, 1, units, generator=generator)
    left = torch.cos(angle + phase) + noise * torch.randn(count, p, units, generator=generator)
    right = left
    if sign < 0:
        right = torch.cos(-angle + phase) + noise * torch.randn(count, p, units, generator=generator)
    mix = torch.randn(count, units, 2, generator=generator) / math.sqrt(units)
    return Blocks(left, right, mix, torch.zeros(count, 1, 1, 2))


def targets(answers: Int[Tensor, "p p"], p: int, frequencies: list[int]) -> Float[Tensor, "block p p 2"]:
    """(cos, sin)(2 pi k answer / p) for each k in `frequencies`."""
    angle = 2 * math.pi * torch.tensor(frequencies)[:, None, None] * answers / p
    return torch.stack([angle.cos(), angle.sin()], dim=-1).float()


def targets_together(answers: Int[Tensor, "p p"], p: int, frequencies: list[int]) -> Float[Tensor, "1 p p feature"]:
    """The same for one block that has the features of all frequencies."""
    return targets(answers, p, frequencies).permute(1, 2, 0, 3).flatten(2)[None]


def power_loss(
    error: Float[Tensor, "block row p feature"], weight: Float[Tensor, "row p"], power: int
) -> Float[Tensor, ""]:
    """Sum over blocks and features of the L^power norm of the error, over the pairs of weight 1; squared for L2."""
    total = (error.square() * weight[None, :, :, None]).pow(power / 2).sum((1, 2)) / weight.sum().clamp(min=1)
    return total.sum() if power == 2 else (total + 1e-12).pow(1 / power).sum()


def largest_error(
    features: Float[Tensor, "block p p feature"], wanted: Float[Tensor, "block p p feature"], pairs: Bool[Tensor, "p p"]
) -> Float[Tensor, " block"]:
    """max over `pairs` of |N - target| of each feature, summed over the block's features."""
    return ((features - wanted).abs() * pairs[None, :, :, None]).amax((1, 2)).sum(1)
