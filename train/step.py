"""One update of a net by a recipe, in the order that every method shares.

penalties on the weights -> noise on weights -> forward (noise and dropout on activations, noise on the state) -> loss
-> backward -> weights as they were -> train.update -> dead units and directions removed
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from pipeline.batch import Batch
from pipeline.nets import Net
from pipeline.recipe_params import RecipeParams
from train.environment import matmul_precision
from train.losses import accuracy, cross_entropy, is_plain, training_loss
from train.noise import ON_ACTIVATIONS, ActivationNoise, noise_generators, noisy_weights
from train.recipes import decays
from train.regularizers import norm_penalty
from train.strength import strength
from train.update import Update
from train.weight_penalties import WeightPenalties

MEASURES = ("norm_penalty", "nuclear_norm", "group_penalty", "gradient", "constraints", "weight_noise", *ON_ACTIVATIONS)
"""Keys of a recipe that a step reports a number for, if the recipe names them; train.history says which number."""


def measures_of(recipe: RecipeParams) -> tuple[str, ...]:
    """The measures that a step of the recipe reports, in their order."""
    named = tuple(name for name in MEASURES if getattr(recipe, name) not in (None, ()))
    counted = {"nuclear_norm": "live_directions", "group_penalty": "live_units"}
    left = (name for penalty, name in counted.items() if penalty in named)
    return (*(("weight_decay",) if decays(recipe) else ()), *named, *left)


class Trainer:
    """A net, a recipe, and all the state that carrying it out leaves between steps.

    `matmul` is how exact the products of forward and backward are: train.environment.matmul_precision.
    """

    def __init__(self, net: Net, recipe: RecipeParams, seed: int, matmul: str = "highest") -> None:
        self.net, self.recipe, self.matmul = net, recipe, matmul
        self.update = Update(net.parameter_groups(), recipe, stacked=False)
        self.rates = self.update.rates
        (self.generator,) = noise_generators([seed])
        self.noise = ActivationNoise(net, recipe)
        self.penalties = WeightPenalties(net, recipe)
        self.measures = measures_of(recipe)

    def step(self, batch: Batch, factor: float, share: float = 0.0) -> tuple[float, float, dict[str, float]]:
        """Update once, at `factor` times the recipe's rates, when `share` of the budget is over.

        Returns cross-entropy and accuracy, over all targets, of the forward pass it was computed from, and the measures
        of what is on.
        """
        recipe, measured = self.recipe, dict.fromkeys(self.measures, 0.0)
        with ExitStack() as around:
            around.enter_context(matmul_precision(self.matmul))
            stacks = {name: weight[None] for name, weight in self.net.named_parameters()}
            around.enter_context(self.net.without_dead([live[0] for live in self.penalties.look(stacks)]))
            self.update.clear()
            added = self.penalties.backward(stacks, share)
            measured |= {name: value.item() for name, value in added.items()}
            self._make_noise(around, measured, batch.targets.numel(), share)
            residual, answers = batch.at_targets(self.net.residual(batch.inputs)), batch.answers
            logits = self.net.readout(residual)
            loss = entropy = training_loss(recipe.loss, recipe.temperature, logits, answers)
            if recipe.norm_penalty is not None:
                penalty = norm_penalty(residual, recipe.norm_penalty)
                measured["norm_penalty"] = penalty.item()
                loss = loss + penalty
            loss.backward()
        after = self.update(factor) | self.penalties.remove({n: w.detach() for n, w in stacks.items()}, share)
        measured |= {name: value.item() for name, value in after.items()}
        logits = logits.detach()
        measured_already = is_plain(recipe.loss, recipe.temperature)
        nats = entropy.item() if measured_already else cross_entropy(logits, answers).item()
        return nats, accuracy(logits, answers).item(), measured

    def _make_noise(self, stack: ExitStack, measured: dict[str, float], batch: int, share: float) -> None:
        recipe, generators = self.recipe, [self.generator]
        if recipe.weight_noise is not None:
            weights = [weight.detach()[None] for weight in self.net.parameters()]
            std = strength(recipe.weight_noise, share)
            lengths = stack.enter_context(noisy_weights(weights, std, generators))
            measured["weight_noise"] = lengths.item()
        if not self.noise.shapes:
            return
        measured |= {n: getattr(recipe, n) for n in ON_ACTIVATIONS if n in self.measures}
        draws = self.noise.draws(batch, generators, next(self.net.parameters()).device)
        normal, uniform = ({name: value[0] for name, value in part.items()} for part in draws)
        stack.enter_context(self.noise.on(self.net, (normal, uniform)))

    def state_dict(self) -> dict[str, Any]:
        """Everything but the weights that the next step depends on."""
        parts = {"update": self.update.state_dict(), "penalties": self.penalties.state_dict()}
        return {**parts, "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.update.load_state_dict(state["update"])
        self.penalties.load_state_dict(state["penalties"], self.update.weights[0].device)
        self.generator.set_state(state["generator"])
