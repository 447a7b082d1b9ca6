"""What a recipe adds to the loss that depends on the weights alone, and what it takes away after the update.

Both are for a stack of nets; a net alone is a stack of one.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pipeline.nets import Net
from pipeline.params import RecipeParams
from train.group_penalty import group_penalty, keep_alive, live_units
from train.nuclear_norm import drop_directions, nuclear_norm
from train.strength import strength


class WeightPenalties:
    """The penalties of a recipe on nets like `net`. `share` is always the share of the budget that is over."""

    def __init__(self, net: Net, recipe: RecipeParams) -> None:
        self.nuclear, self.group = recipe.nuclear_norm, recipe.group_penalty
        names = {weight: name for name, weight in net.named_parameters()}
        self.groups = {group: [names[w] for w in weights] for group, weights in net.parameter_groups().items()}
        self.layers = net.hidden_units() if self.group is not None else []
        self.alive: list[Bool[Tensor, "nets unit"]] = []

    def look(self, stacks: Mapping[str, Tensor]) -> list[Bool[Tensor, "nets unit"]]:
        """Which units are not at 0 before the update, layer by layer; empty without a group penalty."""
        self.alive = live_units(stacks, self.layers)
        return self.alive

    def __call__(self, stacks: Mapping[str, Tensor], share: float) -> dict[str, Float[Tensor, " nets"]]:
        """What each adds to the loss, by its key in the recipe."""
        added: dict[str, Tensor] = {}
        some = next(iter(stacks.values()))
        if self.nuclear is not None:
            now = strength(self.nuclear.strength, share)
            added["nuclear_norm"] = now * nuclear_norm(self._penalised(stacks)) if now else some.new_zeros(len(some))
        if self.group is not None:
            now = strength(self.group.strength, share)
            added["group_penalty"] = now * group_penalty(stacks, self.layers) if now else some.new_zeros(len(some))
        return added

    def remove(self, stacks: Mapping[str, Tensor], share: float) -> dict[str, Float[Tensor, " nets"]]:
        """Set what is dead to 0 where its penalty acts; the number of live directions and units that are left.

        Units that were at 0 at the last `look` stay there, whatever an optimiser's momentum did to them.
        """
        left: dict[str, Tensor] = {}
        if self.nuclear is not None:
            dead = self.nuclear.dead if strength(self.nuclear.strength, share) else 0.0
            matrices = [stack for stack in self._penalised(stacks) if stack.ndim == 3]
            ranks = [drop_directions(stack, dead) if dead else _full_rank(stack) for stack in matrices]
            left["live_directions"] = torch.stack(ranks).sum(0)
        if self.group is not None:
            if strength(self.group.strength, share):
                now = live_units(stacks, self.layers, self.group.dead)
                self.alive = [live & before for live, before in zip(now, self.alive, strict=True)]
                keep_alive(stacks, self.layers, self.alive)
            left["live_units"] = torch.stack([live.sum(1) for live in self.alive]).sum(0).float()
        return left

    def _penalised(self, stacks: Mapping[str, Tensor]) -> list[Tensor]:
        """The stacks whose nuclear norm counts."""
        groups = self.nuclear.groups if self.nuclear is not None else ()
        return [stacks[name] for group in groups for name in self.groups[group]]


def _full_rank(stack: Float[Tensor, "nets rows columns"]) -> Float[Tensor, " nets"]:
    return stack.new_full((len(stack),), min(stack.shape[1:]))
