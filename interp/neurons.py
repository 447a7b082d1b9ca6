"""The frequency of every neuron, and the answers that its single frequency carries.

A neuron of the learnt algorithm is a wave of one frequency in a and b: over the p x p inputs its activation lies in
the nine products of {1, cos w_k a, sin w_k a} with {1, cos w_k b, sin w_k b} (Nanda et al. 2023, section 4.1; they
hold cos and sin of w_k (a + b) and of w_k (a - b)). A neuron of a lookup table lies in all p^2 products alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.forward import Evaluation
from interp.fourier import fourier_basis, n_frequencies

NULL_NEURONS = 128
LIVE = 1e-6  # a neuron with less than this share of the liveliest one's variance is dead: it has no frequency


@dataclass(frozen=True)
class NeuronSpectra:
    """Two-dimensional Fourier analysis of the neurons over all pairs."""

    share: Float[Tensor, "frequency d_mlp"]  # of the neuron's variance, at each frequency
    variance: Float[Tensor, " d_mlp"]  # summed over the p^2 pairs
    coefficients: Float[Tensor, "frequency 3 3 d_mlp"]  # on {1, cos, sin} of a x {1, cos, sin} of b, orthonormal

    @property
    def frequency(self) -> Int[Tensor, " d_mlp"]:
        """The dominant frequency of each neuron, from 1."""
        return self.share.argmax(0) + 1

    @property
    def dominant_share(self) -> Float[Tensor, " d_mlp"]:
        """Share of the neuron's variance at its dominant frequency."""
        return self.share.max(0).values

    @property
    def live(self) -> Tensor:
        """bool [d_mlp]: neurons that vary at all."""
        return self.variance > LIVE * self.variance.max().clamp_min(1e-30)

    @property
    def localisation(self) -> float:
        """Median over the live neurons of the dominant share."""
        return float(self.dominant_share[self.live].median()) if bool(self.live.any()) else 0.0


def live_neurons(neurons: Float[Tensor, "pair d_mlp"]) -> int:
    """How many have more than LIVE of the liveliest one's variance."""
    variance = neurons.double().var(0, correction=0)
    return int((variance > LIVE * variance.max().clamp_min(1e-30)).sum())


def neuron_spectra(
    neurons: Float[Tensor, "pair d_mlp"], p: int, renamed: Int[np.ndarray, " p"] | None = None
) -> NeuronSpectra:
    """Coefficients of each neuron on the single-frequency products; only those, so one matrix product dominates.

    `renamed`, a permutation of the residues, analyses the neurons as if residue x were called renamed[x].
    """
    width = neurons.shape[1]
    basis = fourier_basis(p, neurons.dtype)
    if renamed is not None:
        basis = basis[:, torch.from_numpy(renamed)]
    of_a = (basis @ neurons.reshape(p, p * width)).reshape(-1, p, width)
    waves = basis[1:].reshape(-1, 2, p)
    constant = basis[0].expand(len(waves), 1, p)
    ladder = torch.cat([constant, waves], dim=1)  # [frequency, 3, p]: {1, cos, sin}
    with_wave = ladder[:, None] @ of_a[1:].reshape(-1, 2, p, width)  # [frequency, 2, 3, d_mlp]
    without = (basis @ of_a[0])[None, 1:].reshape(-1, 2, width)
    mean = (basis[0] @ of_a[0]).expand(len(waves), 1, width)
    coefficients = torch.cat([torch.cat([mean, without], dim=1)[:, None], with_wave], dim=1)
    power = coefficients.square().sum((1, 2)) - mean[:, 0].square()
    variance = (neurons - neurons.mean(0)).square().sum(0)
    return NeuronSpectra(power / variance.clamp_min(1e-30), variance, coefficients)


def shuffled_localisation(neurons: Float[Tensor, "pair d_mlp"], p: int, seed: int = 0) -> float:
    """The localisation that is left when the residues are renamed by a random permutation.

    Renaming keeps every distribution of the activations and destroys only the group structure, so this is what
    picking the best of (p - 1) / 2 frequencies finds in a net that has none. A median over at most about
    `NULL_NEURONS` of them, evenly spaced, is enough.
    """
    some = neurons[:, :: max(1, neurons.shape[1] // NULL_NEURONS)].contiguous()
    return neuron_spectra(some, p, np.random.default_rng(seed).permutation(p)).localisation


def single_frequency_logits(evaluation: Evaluation[Any], spectra: NeuronSpectra) -> Float[Tensor, "pair p"]:
    """Logits that the neurons give when each keeps only its mean and its own dominant frequency.

    The path around the MLP and the output bias are not in it. The sum over neurons is taken before the waves are
    drawn: [frequency, 3, 3, p] is all that is needed of them.
    """
    p = evaluation.n
    index = torch.arange(spectra.share.shape[1])
    own = spectra.coefficients[spectra.frequency - 1, :, :, index].reshape(-1, 9)
    pushed = own[:, :, None] * evaluation.neuron_readout[:, None, :]  # [d_mlp, 9, p]
    table = torch.zeros(n_frequencies(p), 9, p).index_add_(0, spectra.frequency - 1, pushed).reshape(-1, 3, 3, p)
    basis = fourier_basis(p)
    ladder = torch.cat([basis[0].expand(n_frequencies(p), 1, p), basis[1:].reshape(-1, 2, p)], dim=1)
    over_b = torch.einsum("kvb,kuvc->kubc", ladder, table).reshape(-1, p * p)
    return (ladder.reshape(-1, p).T @ over_b).reshape(p * p, p)
