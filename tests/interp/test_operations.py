"""Measures of products, quotients and a quadratic form: in the basis of the operation, or not at all."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from interp.algorithms import name_algorithm
from interp.evidence_table import algorithm_lines
from interp.forward import evaluate, in_basis
from interp.fourier import fourier_basis, key_frequencies, power_spectrum
from interp.labels import label
from interp.progress_measures import measure, novel_pairs, spectra_of
from interp.view import view
from pipeline.nets import Quadratic, QuadraticConfig, closed_form
from pipeline.tasks import ModularTask

P = 23


def product_net(task: ModularTask) -> Quadratic:
    """A clock of Z_(p - 1) with the symbols and answers under their names in the task's basis; 0 is embedded as 0."""
    small = closed_form(P - 1, (1, 3, 7))
    net = Quadratic(QuadraticConfig(P, P, P, small.config.width)).requires_grad_(False)
    basis = view(net, task).basis
    for big, little, names in ((net.left.weight.T, small.left.weight.T, basis.left),
                               (net.right.weight.T, small.right.weight.T, basis.right),
                               (net.unembed.weight, small.unembed.weight, basis.answer)):  # fmt: skip
        big.zero_()
        big[torch.from_numpy(names)] = little.detach()
    return net


@pytest.mark.parametrize("n", [6, 7, 22])
def test_the_basis_holds_every_function(n: int) -> None:
    basis = fourier_basis(n, torch.float64)
    live = basis[basis.norm(dim=1) > 0]
    torch.testing.assert_close(live @ live.T, torch.eye(n, dtype=torch.float64))
    alternating = torch.tensor([(-1.0) ** x for x in range(22)])[:, None]
    assert key_frequencies(power_spectrum(alternating), 0.95) == (11,)


@pytest.mark.parametrize("operation", ["multiplication", "division"])
def test_a_clock_of_discrete_logarithms_is_an_algorithm(operation: Any) -> None:
    task = ModularTask(P, operation)
    net = product_net(task)
    train = torch.from_numpy(task.split(0.5, 0)[0])
    m = measure(net, task, train)
    assert m.accuracy >= 1 - 2 / P
    assert m.key_frequencies == 3
    assert m.explained == pytest.approx(1)
    assert m.scrubbed_accuracy == 1
    assert m.neuron_localisation == pytest.approx(0.8)  # (cos u + cos v)^2 has cos 2u and cos 2v too
    assert m.equivariance == 1
    assert m.restricted_loss < 0.2 * math.log(P) < m.excluded_loss
    assert name_algorithm(net, task, train).measures is not None
    assert measure(net, ModularTask(P), torch.arange(P * P)).explained < 0.3


def test_pairs_in_the_basis_are_the_same_pairs() -> None:
    task = ModularTask(P, "division")
    whole = evaluate(product_net(task), task)
    based = in_basis(whole)
    assert based is not None
    pairs = torch.from_numpy(task.pairs())[based.rows]
    assert torch.equal(pairs, torch.from_numpy(view(whole.net, task).basis.pairs))
    assert based.logits.shape == ((P - 1) ** 2, P - 1)
    assert based.n == P - 1
    assert torch.equal(based.logits.argmax(1), based.answers)


def test_sums_are_their_own_basis() -> None:
    for operation in ("addition", "subtraction"):
        whole = evaluate(closed_form(P, (1, 3)), ModularTask(P, operation))
        assert in_basis(whole) is whole


def test_new_pairs_of_a_quotient() -> None:
    task = ModularTask(3, "division")  # (0, 1) (0, 2) (1, 1) (1, 2) (2, 1) (2, 2)
    assert novel_pairs(torch.tensor([3]), task).tolist() == [0, 1, 2, 5]


def test_an_operation_without_a_basis_has_no_mechanism_and_no_algorithm() -> None:
    task = ModularTask(7, "quadratic_form")
    torch.manual_seed(0)
    net = Quadratic(QuadraticConfig(7, 7, 7, 4))
    evaluation = evaluate(net, task)
    assert in_basis(evaluation) is None
    assert len(spectra_of(evaluation).logits) == 0
    m = measure(net, task, torch.arange(0, 49, 2))
    unknown = (m.restricted_loss, m.excluded_loss, m.explained, m.scrubbed_accuracy, m.neuron_localisation)
    assert all(math.isnan(value) for value in (*unknown, m.equivariance, m.gini_embed, m.circle_scrubbed_accuracy))
    assert m.key_frequencies == 0
    assert m.train_loss > 0
    assert label(m, 7) != "algorithm"
    lines = algorithm_lines(name_algorithm(net, task))
    assert lines[0] == "algorithm: unknown"
    assert "no basis is known" in lines[1]
