"""Schedules, initial weights, optimisers and the norm penalty, by hand."""

import itertools
import math
from pathlib import Path

import pytest
import torch

from pipeline.nets import Transformer, TransformerConfig
from pipeline.params import NormPenaltyParams, ScheduleParams, load_params
from train.loop import loss_and_accuracy
from train.recipes import initialise, make_optimizers, parameter_groups
from train.regularizers import norm_penalty
from train.schedules import multiplier

PARAMS = Path(__file__).parents[2] / "params.yaml"


def test_cyclic_schedule_restarts_at_the_peak_of_every_cycle() -> None:
    schedule = ScheduleParams(kind="cyclic", floor=0.02)
    values = [multiplier(schedule, step, cycle_steps=10) for step in range(30)]
    assert values[0] == values[10] == values[20] == 1.0
    assert values[5] == pytest.approx(0.51)
    assert all(later < earlier for earlier, later in itertools.pairwise(values[:10]))
    assert min(values) == pytest.approx(0.02 + 0.98 * (1 + math.cos(0.9 * math.pi)) / 2)


def test_constant_schedule_warms_up_linearly() -> None:
    schedule = ScheduleParams(kind="constant", warmup_steps=4)
    assert [multiplier(schedule, step, 10) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_norm_penalty_by_hand() -> None:
    residual = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    assert norm_penalty(residual, NormPenaltyParams(strength=0.5, radius=2.0)).item() == pytest.approx(
        0.5 * (9 + 1) / 2
    )


def test_every_parameter_is_in_one_group_and_every_recipe_makes_optimisers() -> None:
    net = Transformer(TransformerConfig(p=7, d_model=8, n_heads=2, d_head=4, d_mlp=12))
    grouped = [weight for group in parameter_groups(net).values() for weight in group]
    assert {id(weight) for weight in grouped} == {id(weight) for weight in net.parameters()}
    assert len(grouped) == len(list(net.parameters()))
    for recipe in load_params(PARAMS).recipes.values():
        trained = [w for o in make_optimizers(net, recipe) for group in o.param_groups for w in group["params"]]
        assert len(trained) == len(grouped)


def test_initial_weights_have_the_stated_scale_and_depend_on_the_seed() -> None:
    init = load_params(PARAMS).recipes["catapult"].init
    net = Transformer(TransformerConfig(p=113))
    initialise(net, init, torch.Generator().manual_seed(0))
    assert net.embed.weight.std().item() == pytest.approx(init.embed_std, rel=0.03)
    assert net.mlp.w_out.weight.std().item() == pytest.approx(init.hidden_gain / 512**0.5, rel=0.03)
    assert net.unembed.weight.std().item() == pytest.approx(init.readout_gain / 128**0.5, rel=0.03)
    assert not net.mlp.w_in.bias.any()
    before = net.embed.weight.clone()
    initialise(net, init, torch.Generator().manual_seed(1))
    assert not torch.equal(before, net.embed.weight)


def test_loss_and_accuracy_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3.0)], [0.0, 0.0]])
    loss, accuracy = loss_and_accuracy(logits, torch.tensor([1, 1]))
    assert loss == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)
    assert accuracy == 0.5
