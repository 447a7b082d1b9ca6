"""Clock and pizza measures: brute force, nets in closed form, published figures."""

from __future__ import annotations

import itertools
import math
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from interp.__main__ import main
from interp.clock_pizza import (
    circle_count,
    circle_power,
    circularity,
    correct_logits,
    distance_irrelevance,
    gradient_symmetricity,
    keep_frequency,
    measure_clock_pizza,
    runner_up_logits,
)
from interp.first_layer import embeddings, logits_with_embeddings
from interp.formulas import circle_fit, profile, shares
from interp.hand_built import clock, lookup, pizza
from interp.simple_neurons import fit_neurons, measure_simple_neurons
from interp.view import View, in_basis, view
from pipeline.nets import Net, Quadratic, QuadraticConfig, closed_form
from pipeline.runs import Run, load_snapshot
from pipeline.tasks import ModularTask

P = 31
TASK = ModularTask(P)
PIZZA = Path(__file__).parents[3] / "shared" / "foreign" / "pizza"


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("n", [6, 7])
def test_irrelevance_is_that_of_the_definition(n: int) -> None:
    logits = noise(n, n)
    rows = [[float(logits[x, y]) for x in range(n) for y in range(n) if (x - y) % n == d] for d in range(n)]
    expected = np.mean([np.std(row) for row in rows]) / np.std(logits.numpy())
    assert distance_irrelevance(logits) == pytest.approx(expected)


@pytest.mark.parametrize(("n", "k"), [(7, 2), (7, 3), (6, 2), (6, 1)])
def test_the_formulas_are_the_published_ones(n: int, k: int) -> None:
    """|E_a + E_b| projected on the half angle of c, and the sum of two circles that turn at twice the frequency."""
    logits, w = noise(n, n, n), 2 * math.pi * k / n
    half = w / 2 if k % 2 == 0 else math.pi * (k + n) / n
    found: dict[str, list[float]] = {"clock": [], "pizza": [], "accompanying": []}
    for a, b, c in itertools.product(range(n), repeat=3):
        x, y = math.cos(w * a) + math.cos(w * b), math.sin(w * a) + math.sin(w * b)
        co, si = math.cos(w * c / 2), math.sin(w * c / 2)
        found["clock"].append(math.cos(w * (a + b - c)))
        found["pizza"].append(abs(co * x + si * y) - abs(-si * x + co * y))
        found["accompanying"].append(-math.cos(half * c) * x - math.sin(half * c) * y)
    expected = [2 * np.corrcoef(logits.flatten().numpy(), values)[0, 1] - 1 for values in found.values()]
    fits = circle_fit(profile(logits), k)
    assert fits[:2] == pytest.approx(expected[:2])
    assert math.isnan(fits[2]) if n % 2 == 0 and k % 2 else fits[2] == pytest.approx(expected[2])


def test_shares_are_those_of_least_squares() -> None:
    n = 7
    logits = noise(n, n, n)
    centred = (logits - logits.mean(2, keepdim=True)).flatten().numpy()
    x, y, z = np.meshgrid(*[np.arange(n)] * 3, indexing="ij")
    e, d = (x + y - z).flatten(), (x - y).flatten()
    clocks = [np.cos(2 * np.pi * k * e / n) for k in (1, 2, 3)]
    pizzas = [np.abs(np.cos(np.pi * k * d / n)) * wave for k, wave in zip((1, 2, 3), clocks, strict=True)]
    companions = [np.cos(2 * np.pi * k * d / n) * wave for k, wave in zip((1, 2, 3), clocks, strict=True)]
    found = shares(profile(logits))
    for basis, share in ((clocks, found.clock), (pizzas, found.pizza), (pizzas + companions, found.accompanied)):
        design = np.stack(basis, axis=1)
        fitted = design @ np.linalg.lstsq(design, centred, rcond=None)[0]
        assert share == pytest.approx((fitted**2).sum() / (centred**2).sum())
    assert found.clock < found.structured < 1


def test_an_exact_clock() -> None:
    """Logits 3 sum_k cos(w_k (a + b - c)): its gradients are at the angle w (a - b) to each other."""
    m = measure_clock_pizza(view(closed_form(P, (3,)), TASK))
    assert m.gradient_symmetricity == pytest.approx(0, abs=1e-6)
    assert m.distance_irrelevance == m.runner_up_irrelevance == 1
    assert m.circularity == pytest.approx(1)
    assert m.circle_count == 1
    assert m.explained("clock") == pytest.approx(1)
    assert m.explained("pizza") < 0.8
    assert m.shares.clock == pytest.approx(1)


def test_subtraction_is_the_same_with_b_negated() -> None:
    task, net = ModularTask(P, "subtraction"), closed_form(P, (3, 7), -1)
    m = measure_clock_pizza(view(net, task))
    assert m.gradient_symmetricity == pytest.approx(0, abs=1e-6)
    assert m.explained("clock") == pytest.approx(1)
    assert m.shares.clock == pytest.approx(1)


@pytest.mark.parametrize("operation", ["multiplication", "division"])
def test_products_are_clocks_of_discrete_logarithms(operation: str) -> None:
    task = ModularTask(11, operation)  # pyright: ignore[reportArgumentType]
    small = closed_form(10, (1, 3))
    net = Quadratic(QuadraticConfig(11, 11, 11, small.config.width)).requires_grad_(False)
    seen = view(net, task)
    for big, little, names in ((net.left.weight.T, small.left.weight.T, seen.basis.left),
                               (net.right.weight.T, small.right.weight.T, seen.basis.right),
                               (net.unembed.weight, small.unembed.weight, seen.basis.answer)):  # fmt: skip
        big.zero_()
        big[torch.from_numpy(names)] = little.detach()
    seen = view(net, task)
    m = measure_clock_pizza(seen)
    assert seen.accuracy == 1
    assert m.shares.clock == pytest.approx(1)
    assert m.explained("clock") == pytest.approx(1)
    assert m.gradient_symmetricity == pytest.approx(0, abs=1e-6)
    assert measure_simple_neurons(seen).frequencies == (1, 3)
    assert measure_clock_pizza(view(net, ModularTask(11))).shares.clock < 0.5


def test_a_pizza() -> None:
    seen = view(pizza(P, (3, 7, 11)), TASK)
    m = measure_clock_pizza(seen)
    assert m.gradient_symmetricity == pytest.approx(1)
    assert m.distance_irrelevance < 0.05
    assert m.circularity == pytest.approx(1)
    assert m.circle_count == 3
    assert m.explained("pizza") > 0.98
    assert m.explained("clock") < 0.82
    assert m.shares.pizza > 0.999
    assert m.shares.clock < 0.82


def test_a_clock_of_relu_neurons() -> None:
    m = measure_clock_pizza(view(clock(P, (3, 7, 11)), TASK))
    assert abs(m.gradient_symmetricity) < 0.05
    assert m.distance_irrelevance > 0.9
    assert m.circularity == pytest.approx(1)
    assert m.explained("clock") > 0.999
    assert m.shares.clock > 0.999
    assert m.shares.pizza < 0.82


def test_symmetricity_and_irrelevance_alone_take_a_table_for_a_pizza() -> None:
    m = measure_clock_pizza(view(lookup(P), TASK))
    assert m.gradient_symmetricity == pytest.approx(1)
    assert m.distance_irrelevance == pytest.approx(0)
    assert m.explained("pizza") == -1


def test_circularity() -> None:
    x = torch.arange(P).double()
    waves = [torch.stack([torch.cos(2 * math.pi * k * x / P), torch.sin(2 * math.pi * k * x / P)], 1) for k in (2, 5)]
    assert circularity(torch.cat([waves[0], waves[1] / 2], 1)) == pytest.approx(1)
    assert circularity(noise(P, 20)) < 0.5
    assert circularity(torch.ones(P, 3)) == 0


def test_circle_counts() -> None:
    assert circle_count(torch.tensor([0.05, 0.6, 0.35])) == 2
    assert circle_count(circle_power(noise(P, 200))) > 10
    assert circle_power(noise(6, 4)).sum() == pytest.approx(1)


def test_one_frequency_is_kept_and_the_mean() -> None:
    table, rows = noise(12, 3), torch.tensor([3, 1, 4, 0, 5, 9, 2])
    kept = keep_frequency(table, rows, 2)
    others = [i for i in range(12) if i not in rows.tolist()]
    assert torch.equal(kept[others], table[others])
    torch.testing.assert_close(kept[rows].mean(0), table[rows].mean(0))
    assert circle_power(kept[rows])[1] == pytest.approx(1)


def test_the_fit_of_a_simple_neuron() -> None:
    n = 7
    x = 2 * math.pi * torch.arange(n).double() / n
    simple = 1 + torch.cos(2 * x + 0.3)[:, None] + 3 * torch.cos(2 * x - 1)
    product = torch.cos(2 * x)[:, None] * torch.cos(2 * x)
    half = simple + torch.cos(3 * x)[:, None] * math.sqrt(10)
    dead = torch.full((n, n), 5.0)
    fit = fit_neurons(torch.stack([simple, product, half, dead], -1).reshape(n * n, 4), n)
    assert fit.r2[:3].tolist() == pytest.approx([1, 0, 0.5])
    assert int(fit.frequency[0]) == 2
    assert fit.live.tolist() == [True, True, True, False]


def test_correct_and_runner_up() -> None:
    seen = view(closed_form(5, (1,)), ModularTask(5))
    correct, other = correct_logits(seen), runner_up_logits(seen)
    assert float(correct[2, 4]) == float(seen.logits[2, 4, 1])
    assert float(other[2, 4]) == max(float(v) for z, v in enumerate(seen.logits[2, 4]) if z != 1)


FIGURES = [
    ("p99zdpze5l", 0.9936651682353859, 0.17173645661473538, None, 0.9978184479185687),
    ("2fsoiei4o2", 0.846877734, None, 0.814215705, 0.811915878),
]


def published(name: str, out: Path) -> View:
    given = [str(PIZZA / f"model_{name}.pt"), "--layout", "tl", "--task", "modular", "--p", "59", "--out", str(out)]
    assert main(["import", *given]) == 0
    return view(load_snapshot(Run.open(out).snapshots[-1], Net).net, ModularTask(59))


@pytest.mark.skipif(not PIZZA.is_dir(), reason="the models of Zhong et al. 2023 are not at ../shared/foreign/pizza")
@pytest.mark.parametrize(("name", "symmetricity", "correct", "runner_up", "circular"), FIGURES)
def test_the_published_figures(
    tmp_path: Path, name: str, symmetricity: float, correct: float | None, runner_up: float | None, circular: float
) -> None:
    """Of the authors' notebook, and of their table of runs, in which irrelevance is that of the runner-up."""
    seen = published(name, tmp_path / "run")
    triples = list(itertools.product(range(59), repeat=3))
    random.Random(42).shuffle(triples)
    assert gradient_symmetricity(seen, torch.tensor(triples[:100])) == pytest.approx(symmetricity, abs=1e-6)
    assert circularity(seen.left) == pytest.approx(circular, abs=1e-6)
    if correct is not None:
        assert distance_irrelevance(correct_logits(seen)) == pytest.approx(correct, abs=1e-6)
    if runner_up is not None:
        assert distance_irrelevance(runner_up_logits(seen)) == pytest.approx(runner_up, abs=1e-6)


@pytest.mark.skipif(not PIZZA.is_dir(), reason="the models of Zhong et al. 2023 are not at ../shared/foreign/pizza")
def test_the_published_explained_variances(tmp_path: Path) -> None:
    """In per cent, of the notebook's circles, pairs of principal components: three pizzas and their companions."""
    seen = published("p99zdpze5l", tmp_path / "run")
    table, mean = embeddings(seen.net)[0], seen.left.mean(0)
    left, sizes, right = torch.linalg.svd(seen.left - mean, full_matrices=False)
    found = []
    for i, k in enumerate((17, 3, 15, 25, 6, 29)):
        pair, alone = slice(2 * i, 2 * i + 2), table.clone()
        alone[:59] = (mean + left[:, pair] * sizes[pair] @ right[pair]).float()
        logits = in_basis(logits_with_embeddings(seen.net, seen.pairs, alone, alone), seen.basis)
        found.append([round(100 * fit, 2) for fit in circle_fit(profile(logits), k)])
    assert [fits[0] for fits in found[:3]] == [75.41, 75.62, 75.38]
    assert [fits[1] for fits in found[:3]] == [98.31, 98.31, 98.41]
    assert [fits[2] for fits in found[3:]] == [97.56, 97.23, 97.69]
