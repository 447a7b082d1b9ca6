"""Frequencies of neurons, against waves that are known and against a plain two-dimensional Fourier transform."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from interp.forward import evaluate
from interp.neurons import neuron_spectra, shuffled_localisation, single_frequency_logits
from pipeline.nets import Transformer
from pipeline.tasks import ModularTask

P = 11


def grid() -> tuple[torch.Tensor, torch.Tensor]:
    pairs = torch.from_numpy(ModularTask(P).pairs())
    return pairs[:, 0], pairs[:, 1]


@pytest.mark.parametrize("sign", [1, -1])
def test_frequency_of_known_waves(sign: int) -> None:
    a, b = grid()
    w = 2 * math.pi * 4 / P
    wave = torch.cos(w * a + 0.5) + 2 * torch.cos(w * b - 1.0) + 0.7 * torch.cos(w * (a + sign * b) + 2.0) + 3
    spectra = neuron_spectra(wave[:, None], P)
    assert int(spectra.frequency[0]) == 4
    assert spectra.localisation == pytest.approx(1.0, abs=1e-5)


def test_shares_agree_with_the_fast_fourier_transform() -> None:
    neurons = torch.randn(P * P, 6, generator=torch.Generator().manual_seed(1))
    power = torch.fft.fft2(neurons.reshape(P, P, 6), dim=(0, 1)).abs().square()
    power[0, 0] = 0
    spectra = neuron_spectra(neurons, P)
    for k in range(1, (P + 1) // 2):
        own = {0, k, P - k}
        expected = sum(power[i, j] for i in own for j in own) / power.sum((0, 1))
        assert torch.allclose(spectra.share[k - 1], torch.as_tensor(expected), atol=1e-5)


def test_renaming_the_residues_destroys_a_wave() -> None:
    a, b = grid()
    waves = torch.stack([torch.cos(2 * math.pi * k * (a + b) / P) for k in (1, 2, 3)], dim=1)
    assert neuron_spectra(waves, P).localisation == pytest.approx(1.0, abs=1e-5)
    assert shuffled_localisation(waves, P) < 0.8


def test_dead_neurons_have_no_localisation() -> None:
    assert neuron_spectra(torch.zeros(P * P, 4), P).localisation == 0.0


def test_single_frequency_logits_are_the_neurons_projected_one_by_one(make_random: Callable[..., Transformer]) -> None:
    net = make_random(P, d_model=16, n_heads=2, d_head=8, d_mlp=12)
    evaluation = evaluate(net, ModularTask(P))
    spectra = neuron_spectra(evaluation.neurons, P)
    a, b = grid()
    kept = torch.zeros_like(evaluation.neurons)
    for i, k in enumerate(spectra.frequency.tolist()):
        w = 2 * math.pi * k / P
        of = [torch.stack([torch.ones(P * P), torch.cos(w * x), torch.sin(w * x)]) for x in (a, b)]
        products = (of[0][:, None] * of[1][None]).reshape(9, -1)
        products = products / products.norm(dim=1, keepdim=True)
        kept[:, i] = products.T @ (products @ evaluation.neurons[:, i])
    assert torch.allclose(single_frequency_logits(evaluation, spectra), kept @ evaluation.neuron_readout, atol=1e-5)
