"""Is the answer carried by trigonometric features? Measures that accuracy alone cannot pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.forward import Evaluation
from interp.neurons import neuron_spectra, shuffled_localisation, single_frequency_logits

RESAMPLES = 2


@dataclass(frozen=True)
class Mechanism:
    """Mechanism measures of one snapshot; every one is a share between 0 and 1, over all pairs of the basis."""

    neuron_localisation: float
    neuron_localisation_null: float
    single_frequency_accuracy: float
    scrubbed_accuracy: float
    equivariance: float


UNKNOWN = Mechanism(*(float("nan"),) * 5)
"""Of an operation without a basis."""


def measure_mechanism(evaluation: Evaluation[Any]) -> Mechanism:
    """All mechanism measures of an evaluation in a basis (see `forward.in_basis`)."""
    p = evaluation.n
    spectra = neuron_spectra(evaluation.neurons, p)
    carried = single_frequency_logits(evaluation, spectra)
    remainder = evaluation.logits - carried
    return Mechanism(
        neuron_localisation=spectra.localisation,
        neuron_localisation_null=shuffled_localisation(evaluation.neurons, p),
        single_frequency_accuracy=share_right(carried + remainder.mean(0), evaluation.answers),
        scrubbed_accuracy=scrubbed_accuracy(carried, remainder, evaluation.answers),
        equivariance=equivariance(evaluation.logits.argmax(1), evaluation.answers, p),
    )


def share_right(logits: Float[Tensor, "pair p"], answers: Int[Tensor, " pair"]) -> float:
    """Share of the pairs whose largest logit is the answer, counted as integers; nan over no pairs."""
    return int((logits.argmax(1) == answers).sum()) / len(answers) if len(answers) else float("nan")


def scrubbed_accuracy(
    carried: Float[Tensor, "pair p"], remainder: Float[Tensor, "pair p"], answers: Int[Tensor, " pair"]
) -> float:
    """Accuracy when everything but the neurons' single frequencies is taken from another, random input.

    Causal scrubbing (Chan et al. 2022) of the hypothesis "the answer on (a, b) depends on the input only through
    each neuron's dominant frequency": logits = carried[a, b] + remainder[a', b'], (a', b') a random permutation of
    the domain. A net whose remainder is noise keeps its answers. A net that uses the remainder to get inputs right
    loses them, even where its mean logits look like a clock. Mean of `RESAMPLES` permutations with fixed seeds.
    """
    orders = scrub_orders(len(answers))
    right = sum(int(((carried + remainder[order]).argmax(1) == answers).sum()) for order in orders)
    return right / (len(orders) * len(answers))


def scrub_orders(n_pairs: int) -> list[Int[Tensor, " pair"]]:
    """The permutations by which the remainder is taken from other inputs."""
    return [torch.from_numpy(np.random.default_rng(seed).permutation(n_pairs)) for seed in range(RESAMPLES)]


def equivariance(given: Int[Tensor, " pair"], answers: Int[Tensor, " pair"], p: int) -> float:
    """How often the answer given moves by t when a moves by t, over all a, b and t = 1 .. p - 1.

    Exact and without p forward passes: the two answers move together just when their errors
    e = given - answer mod p agree, so per b it is the number of ordered pairs of a with equal error.
    1 also for a net that is wrong by a constant; about 1 / p for noise.
    """
    error = torch.remainder(given - answers, p).reshape(p, p)
    b = torch.arange(p).expand(p, p)
    counts = torch.zeros(p, p, dtype=torch.int64).index_put_((b, error), torch.tensor(1), accumulate=True)
    return int((counts * (counts - 1)).sum()) / (p * p * (p - 1))
