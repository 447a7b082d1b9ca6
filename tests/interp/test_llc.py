"""The learning coefficient against what is known: regular, degenerate and quadratic models."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from interp.llc import Sampler, learning_coefficient, quadratic_coefficient, sampled
from pipeline.nets import Quadratic, QuadraticConfig, Transformer, TransformerConfig
from pipeline.tasks import ModularTask

N = 10**6
HEAT = N / math.log(N)
SEED = 1
"""Of weights whose curvatures are within a factor of 100, so that a chain gets about in every direction."""


def zeros(*shape: int) -> Tensor:
    return torch.zeros(*shape, dtype=torch.float64, requires_grad=True)


def test_a_regular_minimum_has_half_its_dimension() -> None:
    """L = sum_i c_i w_i^2 / 2; steps of finite size widen each direction by 1 / (1 - eps n beta c_i / 4), exactly."""
    c = torch.linspace(0.5, 2, 600, dtype=torch.float64)
    step = 0.2 / HEAT
    found = sampled(
        lambda w, _: (c * w[0] ** 2).sum() / 2, [zeros(600)], 0.0, N,
        Sampler(step=step, pull=0, chains=4, burn_in=100, draws=200),
    )  # fmt: skip
    expected = float((0.5 / (1 - step * HEAT * c / 4)).sum())
    assert found.value == pytest.approx(expected, rel=0.04)
    assert expected == pytest.approx(300, rel=0.1)
    assert found.error < 0.02 * found.value


def test_a_quartic_minimum_has_a_quarter() -> None:
    """exp(-n beta w^4) has n beta E[w^4] = 1 / 4."""
    found = sampled(
        lambda w, _: (w[0] ** 4).sum(), [zeros(1000)], 0.0, N,
        Sampler(step=0.005 / math.sqrt(HEAT), pull=0, chains=2, burn_in=1000, draws=1000),
    )  # fmt: skip
    assert found.value / 1000 == pytest.approx(0.25, rel=0.08)


def test_the_singular_model_ab() -> None:
    """L = (a b)^2 / 2: lambda = 1 / 2 of two parameters, and below it at finite n; the mean is known by quadrature."""
    n, pull = 1000, 10.0
    heat = n / math.log(n)
    found = sampled(
        lambda w, _: (w[0].prod(1) ** 2).sum() / 2, [zeros(500, 2)], 0.0, n,
        Sampler(step=0.002, pull=pull, chains=2, burn_in=500, draws=500),
    )  # fmt: skip
    a = np.logspace(-9, 1, 4001)
    narrow = heat * a**2 + pull
    weight = np.exp(-pull * a**2 / 2) / np.sqrt(narrow)
    expected = np.trapezoid(weight * heat * a**2 / (2 * narrow), a) / np.trapezoid(weight, a)
    assert found.value / 500 == pytest.approx(expected, rel=0.1)
    assert expected < 0.5


def quadratic(p: int, width: int) -> tuple[Quadratic, Tensor, Tensor]:
    """A net of generic weights in float64, its inputs, and the curvatures of its mean squared error that are not 0."""
    draw = np.random.default_rng(SEED)  # torch draws other numbers with other kernels
    net = Quadratic(QuadraticConfig(p, p, p, width)).double()
    with torch.no_grad():
        for weight in net.parameters():
            weight.copy_(torch.from_numpy(draw.normal(size=tuple(weight.shape))))
    pairs = torch.from_numpy(ModularTask(p).pairs())
    names, weights = zip(*net.named_parameters(), strict=True)

    def logits(*values: Tensor) -> Tensor:
        return torch.func.functional_call(net, dict(zip(names, values, strict=True)), (pairs,)).flatten()

    parts = torch.autograd.functional.jacobian(logits, weights)
    curvatures = torch.linalg.svdvals(torch.cat([part.flatten(1) for part in parts], 1)).square() / len(pairs)
    rank = int((curvatures > 1e-10 * curvatures[0]).sum())
    assert rank == 2 * quadratic_coefficient(p, width)
    return net, pairs, curvatures[:rank]


@pytest.mark.parametrize(
    ("p", "width", "expected"), [(3, 2, 7), (5, 2, 13), (5, 5, 32.5), (3, 24, 13.5), (5, 30, 62.5)]
)
def test_quadratic_nets_have_the_rank_of_the_closed_form(p: int, width: int, expected: float) -> None:
    quadratic(p, width)
    assert quadratic_coefficient(p, width) == expected


@pytest.mark.parametrize(("p", "width"), [(3, 2), (3, 24)])
def test_quadratic_nets_have_the_coefficient_of_the_closed_form(p: int, width: int) -> None:
    """Up to the widening by finite steps, as in the regular case."""
    net, pairs, curvatures = quadratic(p, width)
    step = 0.2 / (HEAT * float(curvatures[0]))
    target = net(pairs).detach()
    found = sampled(
        lambda _, __: (net(pairs) - target).square().sum(1).mean() / 2, list(net.parameters()), 0.0, N,
        Sampler(step=step, pull=0, chains=4, burn_in=500, draws=700),
    )  # fmt: skip
    expected = float((0.5 / (1 - step * HEAT * curvatures / 4)).sum())
    assert expected == pytest.approx(quadratic_coefficient(p, width), rel=0.02)
    # the flattest directions mix slowly, and the error of four chains is a rough guess; half the dimension is 9 and 108
    assert found.value == pytest.approx(expected, rel=0.2)
    assert torch.equal(net(pairs), target)


def tiny() -> tuple[Transformer, Tensor, Tensor]:
    torch.manual_seed(0)
    task = ModularTask(5)
    net = Transformer(TransformerConfig(5, d_model=8, n_heads=1, d_head=4, d_mlp=6))
    return net, torch.from_numpy(task.pairs()), torch.from_numpy(task.answers())


def test_the_net_is_left_as_it_is_and_seeds_repeat() -> None:
    net, pairs, answers = tiny()
    before = {name: weight.clone() for name, weight in net.state_dict().items()}
    sampler = Sampler(chains=3, burn_in=2, draws=3, batch=10)
    found = learning_coefficient(net, pairs, answers, sampler)
    assert all(torch.equal(weight, before[name]) for name, weight in net.state_dict().items())
    assert found == learning_coefficient(net, pairs, answers, sampler)
    assert found != learning_coefficient(net, pairs, answers, replace(sampler, seed=9))
    assert len(set(found.chains)) == 3
    assert found.value == pytest.approx(np.mean(found.chains))
    assert found.error == pytest.approx(np.std(found.chains, ddof=1) / math.sqrt(3))


def test_one_chain_has_no_error() -> None:
    net, pairs, answers = tiny()
    assert math.isnan(learning_coefficient(net, pairs, answers, Sampler(chains=1, burn_in=1, draws=1)).error)


def test_weights_come_back_after_a_failure() -> None:
    weight = zeros(3)

    def fails(weights: object, draw: torch.Generator) -> Tensor:
        if float(weight.detach().abs().sum()):
            raise RuntimeError("stop")
        return weight.sum()

    with pytest.raises(RuntimeError, match="stop"):
        sampled(fails, [weight], 0.0, 100, Sampler())
    assert not bool(weight.detach().any())
