"""Initial weights, optimisers, losses, the norm penalty, gradients and constraints, by hand."""

import math

import pytest
import torch
from torch import nn

from pipeline.nets import Transformer, TransformerConfig
from pipeline.recipe_params import ConstraintParams, GrokfastParams, NormPenaltyParams, PerpendicularParams
from tests.train.small_runs import RECIPES
from train.constraints import cap_spectrum, clip_rows, constrain
from train.grokfast import Grokfast
from train.lion import Lion
from train.losses import accuracy, cross_entropy, log_stable, training_loss
from train.perpendicular import Perpendicular
from train.recipes import initialise, make_optimizers
from train.regularizers import norm_penalty
from train.update import Update


def parameter(values: list[float] | list[list[float]], gradient: list[float] | list[list[float]]) -> nn.Parameter:
    weight = nn.Parameter(torch.tensor(values))
    weight.grad = torch.tensor(gradient)
    return weight


def test_every_recipe_trains_every_parameter_once() -> None:
    net = Transformer(TransformerConfig(p=7, d_model=8, n_heads=2, d_head=4, d_mlp=12))
    for recipe in RECIPES.values():
        trained = [
            w
            for o in make_optimizers(net.parameter_groups(), recipe)
            for group in o.param_groups
            for w in group["params"]
        ]
        assert len(trained) == len(list(net.parameters()))
        assert {id(weight) for weight in trained} == {id(weight) for weight in net.parameters()}


def test_initial_weights_have_the_stated_scale_and_depend_on_the_seed() -> None:
    init = RECIPES["catapult"].init
    net = Transformer(TransformerConfig(p=113))
    initialise(net, init, torch.Generator().manual_seed(0))
    assert net.embed.weight.std().item() == pytest.approx(init.embed_std, rel=0.03)
    assert net.mlp.w_out.weight.std().item() == pytest.approx(init.hidden_gain / 512**0.5, rel=0.03)
    assert net.unembed.weight.std().item() == pytest.approx(init.readout_gain / 128**0.5, rel=0.03)
    assert not net.mlp.w_in.bias.any()
    before = net.embed.weight.clone()
    initialise(net, init, torch.Generator().manual_seed(1))
    assert not torch.equal(before, net.embed.weight)


def test_two_steps_of_lion_by_hand() -> None:
    """w = 2, lr .1, decay .5: 2 * .95 - .1 = 1.8 and m = .01 * 4; then c = .9 * .04 - .1 * .2 > 0 though g < 0."""
    weight = parameter([2.0, 0.0], [4.0, 0.0])
    lion = Lion([weight], lr=0.1, betas=(0.9, 0.99), weight_decay=0.5)
    lion.step()
    assert weight.tolist() == pytest.approx([1.8, 0.0])
    assert lion.state[weight]["momentum"].tolist() == pytest.approx([0.04, 0.0])
    weight.grad = torch.tensor([-0.2, -1.0])
    lion.step()
    assert weight.tolist() == pytest.approx([1.8 * 0.95 - 0.1, 0.1])
    assert lion.state[weight]["momentum"].tolist() == pytest.approx([0.04 * 0.99 - 0.002, -0.01])


def stacks(*weights: nn.Parameter) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Weights and gradients of one net as stacks of one."""
    return [weight.detach()[None] for weight in weights], [
        weight.grad[None] for weight in weights if weight.grad is not None
    ]


def test_grokfast_by_hand() -> None:
    """alpha .5, lamb 2: the mean is 1, then (1 + 3) / 2 = 2."""
    weight = parameter([0.0], [1.0])
    filtered = Grokfast(GrokfastParams(kind="grokfast", alpha=0.5, lamb=2.0))
    assert filtered(*stacks(weight)).item() == pytest.approx(3.0)
    assert weight.grad is not None
    assert weight.grad.item() == 3.0
    weight.grad = torch.tensor([3.0])
    assert filtered(*stacks(weight)).item() == pytest.approx(7 / 3)
    assert weight.grad.item() == 7.0


def test_grokfast_with_lambda_0_is_the_plain_gradient() -> None:
    weight = parameter([0.0, 0.0], [1.0, -2.0])
    filtered = Grokfast(GrokfastParams(kind="grokfast", lamb=0.0))
    assert filtered(*stacks(weight)).item() == 1.0
    assert weight.grad is not None
    assert weight.grad.tolist() == [1.0, -2.0]


def test_perpendicular_gradient_by_hand() -> None:
    """w = (3, 4), g = (1, 0): w.g / w.w = 3/25, so (16/25, -12/25), of length 4/5; 9/25 of the energy was radial."""
    weight = parameter([3.0, 4.0], [1.0, 0.0])
    radial = Perpendicular(PerpendicularParams(kind="perpendicular", rescale=False))(*stacks(weight)).item()
    assert radial == pytest.approx(9 / 25)
    assert weight.grad is not None
    assert weight.grad.tolist() == pytest.approx([0.64, -0.48])
    weight = parameter([3.0, 4.0], [1.0, 0.0])
    Perpendicular(PerpendicularParams(kind="perpendicular", rescale=True))(*stacks(weight))
    assert weight.grad is not None
    assert weight.grad.tolist() == pytest.approx([0.8, -0.6])


@pytest.mark.parametrize("rescale", [True, False])
def test_perpendicular_gradient_is_orthogonal_to_each_weight(rescale: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    weights = [nn.Parameter(torch.randn(5, 7, generator=generator)), nn.Parameter(torch.zeros(5))]
    for weight in weights:
        weight.grad = torch.randn(weight.shape, generator=generator)
    kept = [weight.grad.clone() for weight in weights if weight.grad is not None]
    Perpendicular(PerpendicularParams(kind="perpendicular", rescale=rescale))(*stacks(*weights))
    assert weights[0].grad is not None
    assert weights[1].grad is not None
    assert (weights[0] * weights[0].grad).sum().item() == pytest.approx(0, abs=1e-5)
    assert torch.equal(weights[1].grad, kept[1])
    if rescale:
        assert weights[0].grad.norm().item() == pytest.approx(kept[0].norm().item())


def test_clip_leaves_rows_within_the_norm_and_short_rows_alone() -> None:
    weight = nn.Parameter(torch.tensor([[3.0, 4.0], [0.6, 0.8], [0.0, 0.0], [0.0, 3.0]]))
    assert clip_rows(torch.stack([weight, weight / 10]), 2.0).tolist() == [0.5, 0.0]
    assert clip_rows(weight.detach()[None], 2.0).tolist() == [0.5]
    assert torch.allclose(weight, torch.tensor([[1.2, 1.6], [0.6, 0.8], [0.0, 0.0], [0.0, 2.0]]))


@pytest.mark.parametrize("shape", [(6, 9), (9, 6), (6, 6)])
def test_spectral_cap_is_the_clipped_singular_value_decomposition(shape: tuple[int, int]) -> None:
    weight = nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(1)))
    u, s, v = torch.linalg.svd(weight.detach(), full_matrices=False)
    expected = u @ torch.diag(s.clamp(max=2.0)) @ v
    assert cap_spectrum(weight.detach()[None], 2.0).item() == pytest.approx(int((s > 2).sum()) / 6)
    assert torch.allclose(weight, expected, atol=1e-5)
    kept = weight.detach().clone()
    assert cap_spectrum(weight.detach()[None], 2.01).item() == 0.0
    assert torch.equal(weight, kept)


def test_a_net_that_has_diverged_does_not_stop_the_cap_of_the_others() -> None:
    whole = torch.randn(6, 4, generator=torch.Generator().manual_seed(2))
    stack = torch.stack([torch.full((6, 4), torch.nan), whole])
    cap_spectrum(stack, 1.0)
    cap_spectrum(alone := whole[None].clone(), 1.0)
    assert torch.allclose(stack[1], alone[0], atol=1e-6)
    assert torch.linalg.matrix_norm(stack[1], 2) <= 1.0 + 1e-5


def test_constraints_hold_the_matrices_of_their_groups_alone() -> None:
    groups = {
        "matrices": [nn.Parameter(torch.full((2, 4), 3.0))],
        "embeddings": [nn.Parameter(torch.full((3, 4), 3.0)), nn.Parameter(torch.full((4,), 3.0))],
        "readout": [nn.Parameter(torch.full((2, 4), 3.0))],
    }
    rows = ConstraintParams(kind="rows", groups=("embeddings", "readout"), max_norm=1.0)
    views = {name: [weight.detach()[None] for weight in weights] for name, weights in groups.items()}
    assert constrain(views, (rows,)).tolist() == [1.0]
    assert groups["matrices"][0].eq(3.0).all()
    assert groups["embeddings"][0].eq(0.5).all()
    assert groups["embeddings"][1].eq(3.0).all()
    assert groups["readout"][0].eq(0.5).all()


def test_norm_penalty_by_hand() -> None:
    residual = torch.tensor([[3.0, 4.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
    at = [norm_penalty(residual, NormPenaltyParams(strength=0.5, radius=r)).item() for r in (3.0, 0.0, None)]
    assert at == pytest.approx([0.5 * (4 + 4) / 2, 0.5 * (25 + 1) / 2, 0.5 * (9 + 1) / 2])


def test_loss_and_accuracy_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3.0)], [0.0, 0.0]])
    answers = torch.tensor([1, 1])
    assert cross_entropy(logits, answers).item() == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)
    assert accuracy(logits, answers).item() == 0.5


def test_stablemax_by_hand_and_sums_to_1() -> None:
    """s(1) = 2, s(0) = 1, s(-1) = 1/2."""
    logits = torch.tensor([[1.0, 0.0, -1.0]])
    assert log_stable(logits).exp().tolist()[0] == pytest.approx([2.0, 1.0, 0.5])
    losses = [training_loss("stablemax", 1.0, logits, torch.tensor([i])).item() for i in range(3)]
    assert losses == pytest.approx([math.log(3.5 / 2), math.log(3.5), math.log(7.0)])
    assert sum(math.exp(-loss) for loss in losses) == pytest.approx(1)
    wide = 1e4 * torch.randn(1, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert log_stable(wide).softmax(dim=1).sum().item() == pytest.approx(1)


def test_stablemax_has_slope_1_at_0_where_its_halves_meet() -> None:
    x = torch.tensor([0.0, 1.0, -1.0], requires_grad=True)
    log_stable(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == pytest.approx([1.0, 0.5, 0.5])


def test_temperature_multiplies_the_logits() -> None:
    logits = torch.tensor([[0.0, 1.0]])
    loss = training_loss("cross_entropy", math.log(3.0), logits, torch.tensor([1]))
    assert loss.item() == pytest.approx(math.log(4 / 3))


def test_the_decay_that_is_reported_is_the_decay_that_is_done() -> None:
    """Without a gradient AdamW leaves nothing but lr * weight_decay * w, at half the rate half of it."""
    weight = nn.Parameter(torch.tensor([[3.0, 4.0]]))
    update = Update({"matrices": [weight]}, RECIPES["standard"], stacked=False)
    weight.grad = torch.zeros(1, 2)
    measured = update(0.5)
    assert measured["weight_decay"].tolist() == pytest.approx([0.5 * 0.001 * 5.0])
    assert (weight.detach() - torch.tensor([[3.0, 4.0]])).norm().item() == pytest.approx(0.0025, rel=1e-3)


@pytest.mark.parametrize("ahead", [-200.0, 0.0, 10.0, 30.0, 80.0])
def test_cross_entropy_and_its_gradient_are_those_of_float64_for_any_margin(ahead: float) -> None:
    """With the right logit 30 ahead torch's own float32 loss is 0; 80 ahead the loss is about 1e-33."""
    generator = torch.Generator().manual_seed(0)
    logits, answers = torch.randn(50, 9, generator=generator), torch.arange(50) % 9
    logits[torch.arange(50), answers] += ahead
    exact, ours = logits.double().requires_grad_(), logits.clone().requires_grad_()
    right = exact.gather(1, answers[:, None])
    wrong = torch.stack([exact[i, torch.arange(9) != answers[i]].logsumexp(0) for i in range(50)])
    reference = torch.log1p((wrong - right[:, 0]).exp()).mean()
    loss = cross_entropy(ours, answers)
    reference.backward()
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(reference.item(), rel=1e-5)
    assert exact.grad is not None
    assert ours.grad is not None
    assert torch.allclose(ours.grad.double(), exact.grad, rtol=1e-4, atol=0)
