"""The penalties on weights by hand, their strength over the budget, and what they remove."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from transformer_lens.hook_points import HookPoint

from pipeline.batch import Batch
from pipeline.errors import UserError
from pipeline.nets import (
    DeepTransformerConfig,
    MlpConfig,
    Net,
    NetConfig,
    QuadraticConfig,
    RecurrentConfig,
    Transformer,
    TransformerConfig,
    build_net,
)
from pipeline.recipe_files import load_recipe
from pipeline.recipe_params import GroupPenaltyParams, NuclearNormParams, RecipeParams, StrengthParams
from pipeline.tasks import ModularTask
from train.group_penalty import group_penalty, keep_alive, live_units
from train.loop import Budget, fit
from train.noise import noise_generators, noisy_weights
from train.nuclear_norm import drop_directions, nuclear_norm, polar_factor
from train.recipes import initialise
from train.step import Trainer
from train.strength import strength

RECIPE = load_recipe("consolidation")
TASK = ModularTask(7)
KINDS: tuple[NetConfig, ...] = (
    TransformerConfig(7, d_model=8, n_heads=2, d_head=4, d_mlp=12),
    DeepTransformerConfig(7, 7, 7, d_model=8, n_heads=2, d_head=4, d_mlp=12),
    MlpConfig(7, 7, 7, d_embed=6, widths=(9, 8), bias=True),
    QuadraticConfig(7, 7, 7, width=10),
    RecurrentConfig(7, 7, 7),
    RecurrentConfig(7, 7, 7, tied=True),
)


def identity(tensor: Tensor, *, hook: HookPoint) -> Tensor:
    return tensor


def whole_domain() -> Batch:
    """Every pair of the task with its answer."""
    return Batch(torch.from_numpy(TASK.pairs()), torch.from_numpy(TASK.answers()))


def stacks_of(net: nn.Module) -> dict[str, Tensor]:
    return {name: weight.detach()[None] for name, weight in net.named_parameters()}


def drawn(config: NetConfig, seed: int = 0) -> Net:
    net = build_net(config)
    initialise(net, RECIPE.init, torch.Generator().manual_seed(seed))
    return net


def test_strength_begins_rises_holds_and_anneals() -> None:
    params = StrengthParams(value=2.0, begin=0.2, rise=0.2, anneal=0.25, end=0.1)
    shares = (0, 0.19, 0.2, 0.3, 0.4, 0.74, 0.75, 1)
    expected = (0, 0, 0, 1.0, 2.0, 2.0, 0.2, 0.2)
    assert [strength(params, share) for share in shares] == pytest.approx(expected, abs=1e-9)
    assert strength(StrengthParams(value=2.0), 0) == 2


def test_a_strength_that_never_holds_is_refused() -> None:
    with pytest.raises(ValueError, match="so that it never holds"):
        StrengthParams(value=1.0, begin=0.5, rise=0.3, anneal=0.2)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4)])
def test_the_nuclear_norm_and_its_gradient_are_those_of_the_singular_values(shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    stack = torch.randn(2, *shape, generator=generator, dtype=torch.float64).requires_grad_()
    norms = nuclear_norm([stack])
    torch.testing.assert_close(norms, torch.linalg.svdvals(stack.detach()).sum(1))
    (gradient,) = torch.autograd.grad(norms.sum(), stack)
    left, _, right = torch.linalg.svd(stack.detach(), full_matrices=False)
    torch.testing.assert_close(gradient, left @ right, atol=1e-6, rtol=1e-6)


def test_null_directions_have_no_part_in_the_gradient() -> None:
    stack = torch.zeros(1, 4, 3)
    stack[0, 0, 0] = 5.0
    expected = torch.zeros(1, 4, 3)
    expected[0, 0, 0] = 1.0
    torch.testing.assert_close(polar_factor(stack), expected)
    assert not polar_factor(torch.zeros(1, 4, 3)).any()


@pytest.mark.parametrize("shape", [(6, 4), (4, 6)])
def test_weak_directions_go_and_strong_ones_stay(shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(1)
    left, _, right = torch.linalg.svd(torch.randn(1, *shape, generator=generator), full_matrices=False)
    sizes = torch.tensor([3.0, 2.0, 0.05, 0.01])
    stack = (left * sizes) @ right
    left_over, factor = drop_directions(stack, 0.02)
    assert left_over.tolist() == [2]
    torch.testing.assert_close(factor, left[..., :2] @ right[:, :2], atol=1e-6, rtol=0)
    torch.testing.assert_close(torch.linalg.svdvals(stack)[0], torch.tensor([3.0, 2.0, 0.0, 0.0]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("config", KINDS, ids=lambda config: config.KIND)
def test_a_unit_of_every_net_that_is_set_to_0_takes_no_part(config: NetConfig) -> None:
    net = drawn(config)
    stacks, layers = stacks_of(net), net.hidden_units()
    alive = live_units(stacks, layers)
    assert all(live.all() for live in alive)
    assert group_penalty(stacks, layers) > 0
    for live in alive:
        live[0, 1:] = False
    keep_alive(stacks, layers, alive)
    one = (1, 3, 2) if config.KIND == "recurrent" else (1, 2)
    _, cache = net.run_with_cache(torch.zeros(one, dtype=torch.int64))
    hidden = [value for name, value in cache.items() if name.endswith("hook_post") and value.shape[-1] > 7]
    assert len(hidden) >= len(layers)
    for values in hidden:
        assert not values[..., 1:].any()
    expected = sum(int(live.sum()) for live in live_units(stacks, layers))
    assert expected == len(layers)


def test_the_group_penalty_is_the_length_of_all_weights_of_a_unit() -> None:
    net = drawn(KINDS[0])
    assert isinstance(net, Transformer)
    with torch.no_grad():
        net.mlp.w_in.bias.fill_(0.5)
        columns = torch.cat([net.mlp.w_in.weight, net.mlp.w_in.bias[:, None], net.mlp.w_out.weight.T], dim=1)
    expected = columns.norm(dim=1).sum().detach()
    torch.testing.assert_close(group_penalty(stacks_of(net), net.hidden_units())[0], expected)


def pressed(**changes: object) -> RecipeParams:
    return RecipeParams.model_validate(RECIPE.model_dump() | changes)


def test_a_dead_unit_stays_dead_although_the_optimiser_has_momentum() -> None:
    group = GroupPenaltyParams(strength=StrengthParams(value=0.05), dead=0.3)
    net, recipe = drawn(KINDS[0]), pressed(group_penalty=group.model_dump(), nuclear_norm=None)
    batch = whole_domain()
    trainer, before = Trainer(net, recipe, 0), 12.0
    for step in range(60):
        _, _, measured = trainer.step(batch, 1.0, step / 60)
        assert measured["live_units"] <= before
        before = measured["live_units"]
        live = live_units(stacks_of(net), net.hidden_units())[0]
        assert int(live.sum()) == before
    assert 0 < before < 12


@pytest.mark.parametrize("hooked", [False, True])
def test_leaving_dead_units_out_changes_nothing(hooked: bool) -> None:
    """The forward pass within a step skips them; one with hooks on the neurons does not."""
    net = drawn(KINDS[0])
    assert isinstance(net, Transformer)
    stacks, layers = stacks_of(net), net.hidden_units()
    live = torch.zeros(1, 12, dtype=torch.bool)
    live[0, [2, 5]] = True
    keep_alive(stacks, layers, [live])
    pairs = torch.from_numpy(TASK.pairs())
    whole = net(pairs)
    if hooked:
        net.mlp.hook_post.add_hook(identity)
    with net.without_dead([live[0]]):
        fewer = net(pairs)
    torch.testing.assert_close(fewer, whole, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(net(pairs), whole)


def test_the_penalties_are_columns_of_the_history_and_simplify() -> None:
    net = build_net(KINDS[0])
    rows = fit(net, TASK, RECIPE, Budget(80, 20, 20), 0, train_fraction=0.9)
    assert {"nuclear_norm", "group_penalty", "live_directions", "live_units", "weight_noise"} <= rows[0].keys()
    assert rows[-1]["live_units"] <= rows[0]["live_units"] == 12
    assert rows[-1]["live_directions"] < rows[0]["live_directions"]
    assert rows[0]["nuclear_norm"] > 0
    assert rows[0]["group_penalty"] == 0  # it rises
    singular = torch.linalg.svdvals(net.get_parameter("unembed.weight").detach())
    nuclear = RECIPE.nuclear_norm
    assert isinstance(nuclear, NuclearNormParams)
    assert (singular[singular > 1e-5 * singular[0]] > 0.9 * nuclear.dead * singular[0]).all()


def test_a_penalty_is_of_the_weights_without_their_noise() -> None:
    """So its value is the same whatever the noise is, while the loss is not."""
    net = drawn(KINDS[0])
    batch = whole_domain()
    measured = {}
    for noise in (0.0, 5.0):
        trainer = Trainer(copy.deepcopy(net), pressed(weight_noise={"value": noise}), 0)
        loss, _, measured[noise] = trainer.step(batch, 0.0, 0.5)
        measured[noise]["loss"] = loss
    for name in ("nuclear_norm", "group_penalty"):
        assert measured[0.0][name] == measured[5.0][name] > 0
    assert measured[0.0]["loss"] != measured[5.0]["loss"]


def test_the_gradient_of_a_step_is_that_of_the_noisy_loss_and_of_the_penalties_once() -> None:
    net = drawn(KINDS[0])
    batch = whole_domain()
    share = 0.3
    other = copy.deepcopy(net)
    assert RECIPE.weight_noise is not None
    assert RECIPE.nuclear_norm is not None
    assert RECIPE.group_penalty is not None
    Trainer(net, RECIPE, 0).step(batch, 0.0, share)
    weights = dict(other.named_parameters())
    stacks = {name: weight[None] for name, weight in weights.items()}
    norms = [
        torch.linalg.matrix_norm(weights[name], "nuc") for name in ("embed.weight", "pos.weight", "unembed.weight")
    ]
    penalty = strength(RECIPE.nuclear_norm.strength, share) * torch.stack(norms).sum()
    penalty = penalty + strength(RECIPE.group_penalty.strength, share) * group_penalty(stacks, other.hidden_units())[0]
    penalty.backward()
    std = strength(RECIPE.weight_noise, share)
    with noisy_weights([weight.detach()[None] for weight in other.parameters()], std, noise_generators([0])):
        torch.nn.functional.cross_entropy(other(batch.inputs).double(), batch.targets).backward()
    for name, weight in net.named_parameters():
        torch.testing.assert_close(weight.grad, weights[name].grad, atol=1e-5, rtol=1e-4)


def test_the_factors_are_those_of_the_weights_as_they_are() -> None:
    """Where dead units have weights in a penalised matrix they are made anew, and where nothing is dropped as well."""
    batch = whole_domain()
    shared = Trainer(drawn(QuadraticConfig(7, 7, 7, width=10)), RECIPE, 0)
    apart = Trainer(drawn(KINDS[0]), RECIPE, 0)
    for trainer in (shared, apart):
        trainer.step(batch, 1.0, 0.3)
    assert shared.penalties.factors is None
    assert apart.penalties.factors is not None
    ended = NuclearNormParams(groups=("readout",), strength=StrengthParams(value=0.1, anneal=0.5), dead=0.02)
    trainer = Trainer(drawn(KINDS[0]), pressed(nuclear_norm=ended.model_dump()), 0)
    trainer.step(batch, 1.0, 0.4)
    assert trainer.penalties.factors is not None
    trainer.step(batch, 1.0, 0.6)
    assert trainer.penalties.factors is None


def test_a_net_that_is_not_finite_stays_so_and_does_not_stop_the_others() -> None:
    stack = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    stack[0, 1, 1] = torch.inf
    left_over, _ = drop_directions(stack, 0.02)
    assert left_over[1] == 4
    assert not stack[0].isfinite().all()
    assert stack[1].isfinite().all()


def test_noise_on_weights_follows_its_schedule() -> None:
    rows = fit(build_net(KINDS[0]), TASK, RECIPE, Budget(20, 10, 20), 0, train_fraction=0.9)
    assert rows[0]["weight_noise"] == 0
    assert 0 < rows[2]["weight_noise"] < rows[8]["weight_noise"]


def test_a_trainer_that_is_loaded_takes_the_step_that_the_other_would() -> None:
    """To the bit, although the decomposition of the weights is one that the step before has made."""
    batch = whole_domain()
    trainer = Trainer(drawn(KINDS[0]), RECIPE, 0)
    for step in range(12):
        trainer.step(batch, 1.0, step / 24)
    other = Trainer(copy.deepcopy(trainer.net), RECIPE, 0)
    other.load_state_dict(copy.deepcopy(trainer.state_dict()))
    kept = trainer.penalties.factors
    assert kept is not None
    anew = [polar_factor(trainer.net.get_parameter(n).detach()[None]) for n in ("embed.weight", "pos.weight")]
    assert not all(
        torch.equal(one, two) for one, two in zip(anew, kept, strict=False)
    )  # so it matters that they are kept
    for one in (trainer, other):
        one.step(batch, 1.0, 0.5)
    for name, weight in trainer.net.named_parameters():
        assert torch.equal(weight, other.net.get_parameter(name))


def test_weight_noise_leaves_dead_weights_at_0() -> None:
    stack = torch.ones(1, 3, 4)
    stack[0, 1] = 0
    with noisy_weights([stack], 0.5, noise_generators([0])):
        assert not stack[0, 1].any()
        assert (stack[0, 0] != 1).all()
    assert (stack[0, [0, 2]] == 1).all()


def test_a_nuclear_norm_of_no_matrix_is_refused() -> None:
    penalty = RECIPE.nuclear_norm
    assert penalty is not None
    recipe = RECIPE.model_copy(update={"nuclear_norm": penalty.model_copy(update={"groups": ("embeddings",)})})
    with pytest.raises(UserError, match=r"nuclear_norm\.groups = embeddings: Quadratic has no matrix there"):
        Trainer(drawn(QuadraticConfig(7, 7, 7, width=10)), recipe, 0)
