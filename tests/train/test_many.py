"""Nets trained together go through what they go through one by one, for every recipe and kind of net."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pipeline.nets import (
    DeepTransformerConfig,
    MlpConfig,
    NetConfig,
    QuadraticConfig,
    TransformerConfig,
    build_net,
)
from pipeline.recipe_params import RecipeParams, StrengthParams
from pipeline.tasks import ModularTask
from tests.train.small_runs import RECIPES
from train.divergence import Diverged
from train.loop import Budget, fit
from train.many import Fitted, fit_many

TASK = ModularTask(7)
NETS: dict[str, NetConfig] = {
    "transformer": TransformerConfig(7, d_model=8, n_heads=2, d_head=4, d_mlp=12),
    # a bias of the keys has no gradient but rounding, which Adam would blow up to a step
    "deep_transformer": DeepTransformerConfig(7, 7, 7, d_model=8, n_heads=2, d_head=4, d_mlp=12, attention_bias=False),
    "mlp": MlpConfig(7, 7, 7, d_embed=6, widths=(9, 8)),
    "quadratic": QuadraticConfig(7, 7, 7, width=10),
}
SEEDS = (0, 3, 4)
BUDGET = Budget(steps=12, cycle_steps=4, evaluate_every=4)
TOLERANCE = 2e-4
"""Of every number in 12 steps, relative."""
MUON_TOLERANCE = 1e-2
"""The same under Muon, which gives directions with hardly any gradient, and so those of rounding, a full step."""


def together(config: NetConfig, recipe: RecipeParams, at_once: int | None = None) -> list[Fitted]:
    return fit_many(config, TASK, recipe, BUDGET, SEEDS, train_fraction=0.5, at_once=at_once)


def agree(config: NetConfig, recipe: RecipeParams, many: list[Fitted], batch_size: int | None = None) -> None:
    muon = recipe.optimizer.kind == "muon"
    tolerance = MUON_TOLERANCE if muon else TOLERANCE
    for fitted in many:
        net = build_net(config)
        alone = fit(net, TASK, recipe, BUDGET, fitted.seed, train_fraction=0.5, batch_size=batch_size)
        assert len(fitted.history) == len(alone) == 12
        for own, row in zip(fitted.history, alone, strict=True):
            assert {key: own[key] for key in ("step", "cycle", "lr")} == {k: row[k] for k in ("step", "cycle", "lr")}
            for key in set(own) - {"step", "cycle", "lr"}:
                assert own[key] == (None if row[key] is None else pytest.approx(row[key], rel=tolerance, abs=1e-6)), key
        for weight, other in zip(fitted.net.parameters(), net.parameters(), strict=True):
            assert muon or torch.allclose(weight, other, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_every_recipe_trains_alike(recipe: str) -> None:
    agree(NETS["transformer"], RECIPES[recipe], together(NETS["transformer"], RECIPES[recipe]))


@pytest.mark.parametrize("kind", sorted(NETS))
def test_every_net_trains_alike(kind: str) -> None:
    agree(NETS[kind], RECIPES["standard"], together(NETS[kind], RECIPES["standard"]))


def test_noise_and_dropout_are_each_nets_own() -> None:
    noise = {"weight_noise": StrengthParams(value=0.05, rise=0.5), "activation_noise": 0.1, "dropout": 0.2}
    recipe = RECIPES["standard"].model_copy(update=noise)
    many = together(NETS["mlp"], recipe)
    agree(NETS["mlp"], recipe, many)
    assert all(many[0].history[-1][name] > 0 for name in noise)


def test_minibatches_are_each_nets_own() -> None:
    recipe = RECIPES["standard"]
    many = fit_many(NETS["mlp"], TASK, recipe, BUDGET, SEEDS, train_fraction=0.5, batch_size=10)
    agree(NETS["mlp"], recipe, many, batch_size=10)


def test_seeds_differ_and_groups_do_not_matter() -> None:
    recipe = RECIPES["standard"]
    all_at_once, one_by_one = (together(NETS["mlp"], recipe, at_once) for at_once in (3, 1))
    losses = [fitted.history[-1]["train_loss"] for fitted in all_at_once]
    assert len(set(losses)) == 3
    assert losses == pytest.approx([fitted.history[-1]["train_loss"] for fitted in one_by_one], rel=TOLERANCE)


@pytest.mark.parametrize("recipe", ["standard", "muon_capped"])
def test_one_that_diverges_ends_and_the_others_go_on(recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from train import many

    real = many.initialise

    def poisoned(net: many.Net, params: object, generator: torch.Generator) -> None:
        real(net, params, generator)  # type: ignore[arg-type]
        if generator.initial_seed() == 3:
            nn.init.constant_(net.unembed.weight, float("inf"))

    monkeypatch.setattr(many, "initialise", poisoned)
    left, broken, right = together(NETS["mlp"], RECIPES[recipe])
    assert isinstance(broken.diverged, Diverged)
    assert (broken.diverged.step, broken.history) == (1, [])
    assert left.diverged is right.diverged is None
    monkeypatch.undo()
    agree(NETS["mlp"], RECIPES[recipe], [left, right])


def test_stop_when_sees_the_accuracies_and_ends_it() -> None:
    seen: list[tuple[int, int]] = []

    def stop(step: int, accuracies: torch.Tensor) -> bool:
        seen.append((step, len(accuracies)))
        return step == 8

    many = fit_many(
        NETS["mlp"], TASK, RECIPES["standard"], BUDGET, SEEDS, train_fraction=0.5, at_once=3, stop_when=stop
    )
    assert seen == [(4, 3), (8, 3)]
    assert all(len(fitted.history) == 8 for fitted in many)
