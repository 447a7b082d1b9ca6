"""Fourier basis, spectra and Gini coefficients on vectors whose values are known."""

from __future__ import annotations

import math

import pytest
import torch

from interp.fourier import (
    answer_profile,
    fourier_basis,
    gini,
    key_frequencies,
    power_spectrum,
    project_on_answer,
)
from pipeline.tasks import ModularTask, Operation


def clock_logits(task: ModularTask, weights: dict[int, float]) -> torch.Tensor:
    """sum_k weight_k cos(w_k (s - c)), [p^2, p]."""
    s = torch.from_numpy(task.answers())
    d = (s[:, None] - torch.arange(task.p)) % task.p
    terms = [weight * torch.cos(2 * math.pi * k * d / task.p) for k, weight in weights.items()]
    return torch.stack(terms).sum(0)


@pytest.mark.parametrize("p", [5, 23, 113])
def test_the_basis_is_orthonormal(p: int) -> None:
    basis = fourier_basis(p, torch.float64)
    assert torch.allclose(basis @ basis.T, torch.eye(p, dtype=torch.float64), atol=1e-12)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1, 1, 1, 1], 0.0), ([0, 0, 0, 1], 0.75), ([3, 1, 2], 2 / 9), ([0, 0], 0.0)],
)
def test_gini_of_known_vectors(values: list[float], expected: float) -> None:
    assert gini(torch.tensor(values, dtype=torch.float64)) == pytest.approx(expected, abs=1e-12)


def test_a_wave_has_all_its_power_at_its_frequency() -> None:
    x = torch.arange(23)
    table = torch.stack([torch.cos(2 * math.pi * 4 * x / 23 + 0.3) + 7, 0.5 * torch.sin(2 * math.pi * 4 * x / 23)], 1)
    spectrum = power_spectrum(table)
    assert spectrum[3] == pytest.approx(1.0, abs=1e-6)
    assert spectrum.sum() == pytest.approx(1.0)


def test_key_frequencies_are_the_fewest_that_carry_the_share() -> None:
    spectrum = torch.tensor([0.1, 0.5, 0.0, 0.4], dtype=torch.float64)
    assert key_frequencies(spectrum, 0.5) == (2,)
    assert key_frequencies(spectrum, 0.9) == (2, 4)
    assert key_frequencies(spectrum, 0.95) == (1, 2, 4)


@pytest.mark.parametrize("operation", ["addition", "subtraction"])
def test_a_perfect_clock_is_explained_in_full(operation: Operation) -> None:
    task = ModularTask(23, operation)
    logits, answers = clock_logits(task, {3: 2.0, 7: 1.0}), torch.from_numpy(task.answers())
    profile, explained = answer_profile(logits, answers)
    assert explained == pytest.approx(1.0, abs=1e-6)
    assert key_frequencies(power_spectrum(profile[:, None]), 0.999) == (3, 7)
    assert torch.allclose(project_on_answer(logits, answers, (3, 7)), logits, atol=1e-5)
    assert project_on_answer(logits, answers, (1, 2, 4)).abs().max() < 1e-5


def test_a_table_of_random_answers_is_not_explained() -> None:
    task, generator = ModularTask(23), torch.Generator().manual_seed(0)
    labels = torch.randint(0, 23, (23 * 23,), generator=generator)
    logits = torch.nn.functional.one_hot(labels, 23).float()
    assert answer_profile(logits, torch.from_numpy(task.answers()))[1] < 0.01
