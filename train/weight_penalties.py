"""What a recipe adds to the loss that depends on the weights alone, and what it takes away after the update.

Both are for a stack of nets; a net alone is a stack of one. A recipe's noise is not on the weights that are penalised:
it would fill every direction that a penalty has emptied.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pipeline.errors import UserError
from pipeline.nets import Net
from pipeline.recipe_params import RecipeParams
from train.group_penalty import group_penalty, keep_alive, live_units
from train.nuclear_norm import drop_directions, nuclear_norm
from train.strength import strength


class WeightPenalties:
    """The penalties of a recipe on nets like `net`. `share` is always the share of the budget that is over.

    Raises UserError where the groups under the nuclear norm have no matrix.
    """

    def __init__(self, net: Net, recipe: RecipeParams) -> None:
        self.nuclear, self.group = recipe.nuclear_norm, recipe.group_penalty
        names, groups = {weight: name for name, weight in net.named_parameters()}, net.parameter_groups()
        penalised = (weight for group in (self.nuclear.groups if self.nuclear else ()) for weight in groups[group])
        self.matrices = [names[weight] for weight in penalised if weight.ndim == 2]  # a vector has no nuclear norm
        if self.nuclear is not None and not self.matrices:
            named = ", ".join(self.nuclear.groups)
            raise UserError(
                f"nuclear_norm.groups = {named}: {type(net).__name__} has no matrix there; name another group"
            )
        self.layers = net.hidden_units() if self.group is not None else []
        of_units = {name for layer in self.layers for name in (*layer.into, *layer.out)}
        self.shared = not of_units.isdisjoint(self.matrices)
        self.alive: list[Bool[Tensor, "nets unit"]] = []
        self.factors: list[Float[Tensor, "nets rows columns"]] | None = None

    def look(self, stacks: Mapping[str, Tensor]) -> list[Bool[Tensor, "nets unit"]]:
        """Which units are not at 0 before the update, layer by layer; empty without a group penalty."""
        self.alive = live_units(stacks, self.layers)
        return self.alive

    def backward(self, stacks: Mapping[str, Tensor], share: float) -> dict[str, Float[Tensor, " nets"]]:
        """Add the gradient of each to those of the weights; what each adds to the loss, by its key in the recipe."""
        added: dict[str, Tensor] = {}
        some = next(iter(stacks.values()))
        if self.nuclear is not None:
            now = strength(self.nuclear.strength, share)
            matrices = [stacks[name] for name in self.matrices]
            added["nuclear_norm"] = now * nuclear_norm(matrices, self.factors) if now else some.new_zeros(len(some))
        if self.group is not None:
            now = strength(self.group.strength, share)
            added["group_penalty"] = now * group_penalty(stacks, self.layers) if now else some.new_zeros(len(some))
        acting = [value.sum() for value in added.values() if value.requires_grad]
        if acting:
            torch.stack(acting).sum().backward()
        return {name: value.detach() for name, value in added.items()}

    def remove(self, stacks: Mapping[str, Tensor], share: float) -> dict[str, Float[Tensor, " nets"]]:
        """Set what is dead to 0 where its penalty acts; the number of live directions and units that are left.

        Units that were at 0 at the last `look` stay there, whatever an optimiser's momentum did to them.
        """
        left: dict[str, Tensor] = {}
        if self.nuclear is not None:
            dead = self.nuclear.dead if strength(self.nuclear.strength, share) else 0.0
            self.factors, matrices = None, [stacks[name] for name in self.matrices]
            ranks = [_full_rank(stack) for stack in matrices]
            if dead:
                dropped = [drop_directions(stack, dead) for stack in matrices]
                ranks, self.factors = [rank for rank, _ in dropped], [factor for _, factor in dropped]
            left["live_directions"] = torch.stack(ranks).sum(0)
        if self.group is not None:
            if strength(self.group.strength, share):
                now = live_units(stacks, self.layers, self.group.dead)
                self.alive = [live & before for live, before in zip(now, self.alive, strict=True)]
                keep_alive(stacks, self.layers, self.alive)
                if self.shared:
                    self.factors = None
            left["live_units"] = torch.stack([live.sum(1) for live in self.alive]).sum(0).float()
        return left

    def state_dict(self) -> dict[str, Any]:
        """What the next step depends on: the factors of the weights as they are."""
        return {"factors": self.factors}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        factors = state["factors"]
        self.factors = None if factors is None else [factor.to(device) for factor in factors]


def _full_rank(stack: Float[Tensor, "nets rows columns"]) -> Float[Tensor, " nets"]:
    return stack.new_full((len(stack),), min(stack.shape[1:]))
