"""From gradients to new weights, for a stack of nets at once; a net alone is a stack of one.

transform of the gradients -> optimisers -> constraints
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pipeline.recipe_params import GrokfastParams, PerpendicularParams, RecipeParams
from train.constraints import constrain
from train.grokfast import Grokfast
from train.perpendicular import Perpendicular
from train.recipes import decays, make_optimizers


class Update:
    """The optimisers of a recipe, their rates at factor 1, and all else that the next update depends on.

    `groups` are the parameters by group. `stacked` says whether they run over nets in their first dimension already.
    """

    def __init__(self, groups: Mapping[str, Sequence[nn.Parameter]], recipe: RecipeParams, stacked: bool) -> None:
        self.recipe = recipe
        self.weights = [weight for weights in groups.values() for weight in weights]
        self.optimizers = make_optimizers(groups, recipe)
        self.rates = [optimizer.param_groups[0]["lr"] for optimizer in self.optimizers]
        self.decays = decays(recipe)
        self.transform = _transform(recipe)
        self.stack: Callable[[Tensor], Tensor] = (lambda t: t.detach()) if stacked else (lambda t: t.detach()[None])
        self.stacks = {name: [self.stack(weight) for weight in weights] for name, weights in groups.items()}

    def clear(self) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)

    def __call__(self, factor: float) -> dict[str, Tensor]:
        """Update once, at `factor` times the recipe's rates; returns measures of what is on, one number a net."""
        measured: dict[str, Tensor] = {}
        if self.transform is not None:
            moved = [weight for weight in self.weights if weight.grad is not None]
            gradients = [self.stack(weight.grad) for weight in moved if weight.grad is not None]
            measured["gradient"] = self.transform([self.stack(weight) for weight in moved], gradients)
        for optimizer, rate in zip(self.optimizers, self.rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
        if self.decays:
            measured["weight_decay"] = self._decay()
        for optimizer in self.optimizers:
            optimizer.step()
        if self.recipe.constraints:
            measured["constraints"] = constrain(self.stacks, self.recipe.constraints)
        return measured

    def _decay(self) -> Float[Tensor, " nets"]:
        """How far weight decay alone is about to move each net: the length of lr * weight_decay * w over all w."""
        moved = [
            (group["lr"] * group["weight_decay"]) ** 2 * self.stack(weight).flatten(1).square().sum(1)
            for optimizer in self.optimizers
            for group in optimizer.param_groups
            for weight in group["params"]
        ]
        return torch.stack(moved).sum(0).sqrt()

    def state_dict(self) -> dict[str, Any]:
        return {
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "transform": {} if self.transform is None else self.transform.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for optimizer, values in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(values)
        if self.transform is not None:
            self.transform.load_state_dict(state["transform"], self.weights[0].device)


def _transform(recipe: RecipeParams) -> Grokfast | Perpendicular | None:
    match recipe.gradient:
        case GrokfastParams() as params:
            return Grokfast(params)
        case PerpendicularParams() as params:
            return Perpendicular(params)
        case None:
            return None
