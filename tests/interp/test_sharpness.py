"""Curvature, against dense Hessians, closed forms, and the rescalings that must not change it."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from interp.sharpness import (
    Product,
    hessian_product,
    inverse_temperature,
    noise_rise,
    relative_scales,
    top_eigenvalue,
)
from pipeline.nets import MlpConfig, build_net
from pipeline.nets.net import Net
from pipeline.tasks import ModularTask

TASK = ModularTask(5)
PAIRS, ANSWERS = torch.from_numpy(TASK.pairs()), torch.from_numpy(TASK.answers())


def tiny(activation: str = "gelu") -> Net:
    net = build_net(MlpConfig(5, 5, 5, d_embed=3, widths=(4,), activation=activation)).double()  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in net.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator))
    return net


def loss_of(net: Net) -> Callable[[], Tensor]:
    return lambda: F.cross_entropy(net(PAIRS), ANSWERS)


def dense(net: Net) -> Tensor:
    """The Hessian over all weights in their order, by differentiating twice, entry by entry."""
    names, weights = zip(*net.named_parameters(), strict=True)
    sizes, shapes = [w.numel() for w in weights], [w.shape for w in weights]

    def loss(flat: Tensor) -> Tensor:
        parts = dict(zip(names, (p.view(s) for p, s in zip(flat.split(sizes), shapes, strict=True)), strict=True))
        return F.cross_entropy(torch.func.functional_call(net, parts, (PAIRS,)), ANSWERS)

    hessian = torch.autograd.functional.hessian(loss, torch.cat([w.detach().flatten() for w in weights]))
    assert isinstance(hessian, Tensor)
    return hessian


def as_product(matrix: Tensor) -> Product:
    return lambda v: matrix @ v


def flat_scales(net: Net) -> Tensor:
    weights = list(net.parameters())
    pairs = zip(relative_scales(weights), weights, strict=True)
    return torch.cat([torch.full((w.numel(),), scale).double() for scale, w in pairs])


def rescaled(net: Net, factor: float) -> Net:
    """The same function: with ReLU and no bias a factor on one layer is undone by the next."""
    with torch.no_grad():
        dict(net.named_parameters())["layers.0.linear.weight"].mul_(factor)
        net.readout.weight.div_(factor)
    return net


def test_products_and_the_top_eigenvalue_are_those_of_the_dense_hessian() -> None:
    net = tiny()
    weights = list(net.parameters())
    expected = dense(net)
    product = hessian_product(loss_of(net)(), weights)
    columns = torch.stack([product(row) for row in torch.eye(len(expected)).double()])
    torch.testing.assert_close(columns, expected)
    top = top_eigenvalue(product, len(expected), steps=30, tolerance=1e-8)
    assert top.value == pytest.approx(torch.linalg.eigvalsh(expected)[-1].item(), rel=1e-8)
    assert top.steps < 30


def test_relative_coordinates_scale_rows_and_columns_by_the_rms() -> None:
    net = tiny()
    weights, d = list(net.parameters()), flat_scales(net)
    expected = d[:, None] * dense(net) * d
    product = hessian_product(loss_of(net)(), weights, relative_scales(weights))
    columns = torch.stack([product(row) for row in torch.eye(len(expected)).double()])
    torch.testing.assert_close(columns, expected)


def test_the_top_is_the_greatest_and_not_the_one_of_greatest_size() -> None:
    rotation = torch.linalg.qr(torch.randn(30, 30, generator=torch.Generator().manual_seed(2)).double()).Q
    values = torch.cat([torch.tensor([-100.0, 7.0]), torch.linspace(-1, 1, 28)]).double()
    matrix = rotation @ torch.diag(values) @ rotation.T
    assert top_eigenvalue(as_product(matrix), 30, 30, 1e-10).value == pytest.approx(7.0, rel=1e-8)


def test_an_early_end_says_how_far_off_it_may_be() -> None:
    matrix = torch.diag(torch.linspace(0, 1, 200).double())
    found = top_eigenvalue(as_product(matrix), 200, steps=4, tolerance=0.0)
    assert found.steps == 4
    assert found.error > 1e-3
    assert (matrix.diagonal() - found.value).abs().min() <= found.error


def test_a_matrix_of_one_eigenvalue_ends_at_once() -> None:
    found = top_eigenvalue(as_product(3 * torch.eye(6).double()), 6, 30, 1e-6)
    assert (found.value, found.steps) == (pytest.approx(3.0), 1)


def test_rescaling_the_weights_changes_only_the_raw_measure() -> None:
    measured = []
    for factor in (1.0, 4.0):
        net = rescaled(tiny("relu"), factor)
        weights, size = list(net.parameters()), sum(w.numel() for w in net.parameters())
        raw = top_eigenvalue(hessian_product(loss_of(net)(), weights), size, 40, 1e-8).value
        product = hessian_product(loss_of(net)(), weights, relative_scales(weights))
        relative = top_eigenvalue(product, size, 40, 1e-8).value
        measured.append((raw, relative, noise_rise(loss_of(net), weights, 0.1, draws=3)))
    assert measured[0][1:] == pytest.approx(measured[1][1:], rel=1e-5)
    assert measured[1][0] > 2 * measured[0][0]


def test_noise_sees_the_curvature_and_not_the_slope_and_leaves_the_weights() -> None:
    weight = torch.nn.Parameter(torch.full((4000,), 2.0).double())
    before = weight.detach().clone()
    diagonal = torch.linspace(0, 3, 4000).double()

    def loss() -> Tensor:
        return (diagonal * weight.square()).sum() / 2 + 1000 * weight.sum()

    expected = (0.1 * 2.0) ** 2 / 2 * diagonal.sum().item()
    assert noise_rise(loss, [weight], 0.1, draws=4) == pytest.approx(expected, rel=0.05)
    assert torch.equal(weight, before)


def test_small_noise_raises_the_loss_by_half_the_relative_trace() -> None:
    net = tiny()
    d = flat_scales(net)
    trace = (d.square() * dense(net).diagonal()).sum().item()
    rise = noise_rise(loss_of(net), list(net.parameters()), 1e-3, draws=2000)
    assert rise == pytest.approx(1e-6 / 2 * trace, rel=0.1)


def test_the_inverse_temperature_has_a_closed_form_for_two_answers() -> None:
    logits = torch.tensor([[3.0, 0.0], [0.0, 3.0]])
    answers = torch.tensor([0, 1])
    expected = -math.log(math.exp(0.1) - 1) / 3
    assert inverse_temperature(logits, answers, 0.1) == pytest.approx(expected, rel=1e-9)
    assert inverse_temperature(100 * logits, answers, 0.1) == pytest.approx(expected / 100, rel=1e-9)


def test_there_is_no_inverse_temperature_where_the_loss_cannot_get_there() -> None:
    logits = torch.tensor([[3.0, 0.0], [3.0, 0.0], [3.0, 0.0]])
    assert inverse_temperature(logits, torch.tensor([0, 0, 1]), 0.1) is None  # one of three is wrong
    assert inverse_temperature(logits, torch.tensor([1, 1, 1]), 0.6) is None  # all wrong
    assert inverse_temperature(logits, torch.tensor([0, 0, 0]), 0.7) is None  # above ln 2, the loss at scale 0
    assert inverse_temperature(0 * logits, torch.tensor([0, 0, 0]), 0.1) is None
