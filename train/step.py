"""One update of a net by a recipe, in the order that every method below shares.

noise on weights -> forward (noise and dropout on activations, noise on the state) -> loss + penalty -> backward ->
weights as they were -> transform of the gradients -> optimisers -> constraints
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from pipeline.nets import Net
from pipeline.params import GrokfastParams, PerpendicularParams, RecipeParams
from train.constraints import constrain
from train.grokfast import Grokfast
from train.losses import loss_and_accuracy, training_loss
from train.noise import add_noise, drop, noisy_weights, on_activations, on_state
from train.perpendicular import Perpendicular
from train.recipes import make_optimizers
from train.regularizers import norm_penalty

MEASURES = ("norm_penalty", "gradient", "constraints", "weight_noise", "activation_noise", "dropout", "state_noise")
"""Keys of a recipe that a step reports a number for, if the recipe names them; train.history says which number."""


class Trainer:
    """A net, a recipe, and all the state that carrying it out leaves between steps."""

    def __init__(self, net: Net, recipe: RecipeParams, seed: int) -> None:
        self.net, self.recipe = net, recipe
        self.weights = list(net.parameters())
        self.groups = net.parameter_groups()
        self.optimizers = make_optimizers(net, recipe)
        self.rates = [optimizer.param_groups[0]["lr"] for optimizer in self.optimizers]
        self.generator = torch.Generator().manual_seed(seed)
        self.transform = _transform(recipe)
        self.measures = tuple(name for name in MEASURES if getattr(recipe, name) not in (None, ()))

    def step(
        self, pairs: Int[Tensor, "batch 2"], answers: Int[Tensor, " batch"], factor: float
    ) -> tuple[float, float, dict[str, float]]:
        """Update once, at `factor` times the recipe's rates.

        Returns cross-entropy and accuracy of the forward pass it was computed from, and the measures of what is on.
        """
        recipe, measured = self.recipe, dict.fromkeys(self.measures, 0.0)
        with ExitStack() as noise:
            self._make_noise(noise, measured)
            residual = self.net.residual(pairs)
            logits = self.net.readout(residual)
            loss = training_loss(recipe.loss, recipe.temperature, logits, answers)
            if recipe.norm_penalty is not None:
                penalty = norm_penalty(residual, recipe.norm_penalty)
                measured["norm_penalty"] = penalty.item()
                loss = loss + penalty
            for optimizer in self.optimizers:
                optimizer.zero_grad(set_to_none=True)
            loss.backward()
        if self.transform is not None:
            measured["gradient"] = self.transform(self.weights)
        for optimizer, rate in zip(self.optimizers, self.rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
            optimizer.step()
        if recipe.constraints:
            measured["constraints"] = constrain(self.groups, recipe.constraints)
        return *loss_and_accuracy(logits.detach(), answers), measured

    def _make_noise(self, stack: ExitStack, measured: dict[str, float]) -> None:
        recipe = self.recipe
        if recipe.weight_noise is not None:
            length = stack.enter_context(noisy_weights(self.weights, recipe.weight_noise, self.generator))
            measured["weight_noise"] = length
        changes = []
        if recipe.activation_noise is not None:
            measured["activation_noise"] = recipe.activation_noise
            changes.append(partial(add_noise, std=recipe.activation_noise, generator=self.generator))
        if recipe.dropout is not None:
            measured["dropout"] = recipe.dropout
            changes.append(partial(drop, q=recipe.dropout, generator=self.generator))
        if changes:
            stack.enter_context(on_activations(self.net, changes))
        if recipe.state_noise is not None:
            measured["state_noise"] = recipe.state_noise
            stack.enter_context(on_state(self.net, recipe.state_noise, self.generator))

    def state_dict(self) -> dict[str, Any]:
        """Everything but the weights that the next step depends on."""
        return {
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "generator": self.generator.get_state(),
            "transform": {} if self.transform is None else self.transform.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for optimizer, values in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(values)
        self.generator.set_state(state["generator"])
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
