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
from train.nuclear_norm import nuclear_norm
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
            weights = [stacks[name] for group in self.nuclear.groups for name in self.groups[group]]
            added["nuclear_norm"] = now * nuclear_norm(weights) if now else some.new_zeros(len(some))
        if self.group is not None:
            now = strength(self.group.strength, share)
            added["group_penalty"] = now * group_penalty(stacks, self.layers) if now else some.new_zeros(len(some))
        return added

    def remove(self, stacks: Mapping[str, Tensor], share: float) -> dict[str, Float[Tensor, " nets"]]:
        """Set dead units to 0 where the group penalty acts; the number of live units where there is one.

        Units that were at 0 at the last `look` stay there, whatever an optimiser's momentum did to them.
        """
        if self.group is None:
            return {}
        if strength(self.group.strength, share):
            now = live_units(stacks, self.layers, self.group.dead)
            self.alive = [live & before for live, before in zip(now, self.alive, strict=True)]
            keep_alive(stacks, self.layers, self.alive)
        return {"live_units": sum((live.sum(1) for live in self.alive), torch.zeros(())).float()}
