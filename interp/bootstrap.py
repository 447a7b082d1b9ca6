"""How far the measures, the change points and the transition hang on the inputs: a bootstrap over pairs (Efron 1979).

Each of these measures is a ratio of two sums over the pairs (a, b), m = sum_x u_x / sum_x v_x. A replicate draws p^2
pairs with repetition, counts each, and takes m again with the counts as weights: nothing is run again. Every snapshot
sees the same draws, so that a replicate is a whole series, whose change points are sought as those of the run itself.
Frequencies, projections and means are those of all pairs; the null of the localisation, norms and the accuracy of
scrubbed circles stay as they are.
The spread says nothing of other seeds, of which a run has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from interp.forward import Evaluation, in_basis
from interp.fourier import by_difference, fourier_basis, n_frequencies, project_on_answer
from interp.mechanism import scrub_orders
from interp.neurons import NeuronSpectra, neuron_spectra, single_frequency_logits
from interp.phases import find_phases
from interp.progress_measures import Measures, novel_pairs
from pipeline.params import ThresholdParams


@dataclass(frozen=True)
class Uncertainty:
    """Shares of the replicates, by snapshot: a new level begins there; the transition is there.

    The shares of the transition sum to less than 1 where some replicates have none.
    """

    replicates: int
    change: tuple[float, ...]
    transition: tuple[float, ...]


def draws(n_pairs: int, replicates: int, seed: int = 0) -> Float[Tensor, "replicate pair"]:
    """How often each pair is drawn; every row sums to `n_pairs`."""
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(n_pairs, np.full(n_pairs, 1 / n_pairs), size=replicates)
    return torch.from_numpy(counts.astype(np.float32))


def replicate_measures(
    measures: Measures,
    evaluation: Evaluation[Any],
    train: Int[Tensor, " train"],
    frequencies: tuple[int, ...],
    counts: Float[Tensor, "replicate pair"],
) -> tuple[Measures, ...]:
    """The measures of one snapshot, once for every row of `counts`; a row of ones gives `measures` itself."""
    columns = means(accuracies(evaluation, train), counts)
    based = in_basis(evaluation)
    if based is not None:
        trained = torch.zeros(len(evaluation.rows))
        trained[train] = 1
        drawn, p = counts[:, based.rows], based.n
        spectra = neuron_spectra(based.neurons, p)
        columns |= means(mechanism(based, trained[based.rows], frequencies, spectra), drawn)
        columns["explained"] = explained(based, drawn)
        columns["neuron_localisation"] = localisation(based, spectra, drawn)
    values = {name: column.double().tolist() for name, column in columns.items()}
    return tuple(replace(measures, **{name: column[i] for name, column in values.items()}) for i in range(len(counts)))


Sums = dict[str, tuple[Float[Tensor, " pair"], Float[Tensor, " pair"]]]
"""u and v by the name of the measure."""


def means(sums: Sums, counts: Float[Tensor, "replicate pair"]) -> dict[str, Float[Tensor, " replicate"]]:
    return {name: counts @ up / (counts @ down) for name, (up, down) in sums.items()}


def accuracies(evaluation: Evaluation[Any], train: Int[Tensor, " train"]) -> Sums:
    """What is measured over the pairs of the task."""
    answers = evaluation.answers
    trained, novel = torch.zeros(len(answers)), torch.zeros(len(answers))
    trained[train], novel[novel_pairs(train, evaluation.task)] = 1, 1
    right = (evaluation.logits.argmax(1) == answers).float()
    return {
        "accuracy": (right, torch.ones(len(answers))),
        "train_accuracy": (right * trained, trained),
        "novel_accuracy": (right * novel, novel),
    }


def mechanism(
    based: Evaluation[Any], trained: Float[Tensor, " pair"], frequencies: tuple[int, ...], spectra: NeuronSpectra
) -> Sums:
    """What is measured over the pairs of the operation's basis."""
    logits, answers = based.logits, based.answers
    everywhere = torch.ones(len(answers))
    projected = project_on_answer(logits, answers, frequencies)
    of_waves = single_frequency_logits(based, spectra)
    rest = logits - of_waves
    alone = ((of_waves + rest.mean(0)).argmax(1) == answers).float()
    orders = scrub_orders(len(answers))
    scrubbed = sum(((of_waves + rest[order]).argmax(1) == answers).float() for order in orders) / len(orders)
    return {
        "equivariance": (moved_along(logits.argmax(1), answers, based.n), everywhere),
        "restricted_loss": (losses(projected + logits.mean(0), answers), everywhere),
        "excluded_loss": (losses(logits - projected, answers) * trained, trained),
        "single_frequency_accuracy": (alone, everywhere),
        "scrubbed_accuracy": (torch.as_tensor(scrubbed), everywhere),
    }


def losses(logits: Float[Tensor, "pair p"], answers: Int[Tensor, " pair"]) -> Float[Tensor, " pair"]:
    return torch.nn.functional.cross_entropy(logits.double(), answers, reduction="none").float()


def moved_along(given: Int[Tensor, " pair"], answers: Int[Tensor, " pair"], p: int) -> Float[Tensor, " pair"]:
    """Of the other p - 1 inputs (a', b), the share whose answer is off by as much as that of (a, b)."""
    error = torch.remainder(given - answers, p).reshape(p, p)
    same = torch.nn.functional.one_hot(error, p).sum(0).gather(1, error.T).T - 1
    return same.flatten() / (p - 1)


def explained(evaluation: Evaluation[Any], counts: Float[Tensor, "replicate pair"]) -> Float[Tensor, " replicate"]:
    """sum_x w_x <l_x, f> / sum_x w_x |l_x|^2, l the centred logits by difference and f their mean over all pairs."""
    rows = by_difference(evaluation.logits, evaluation.answers)
    return counts @ (rows @ rows.mean(0)) / (counts @ rows.square().sum(1)).clamp_min(1e-30)


def localisation(
    evaluation: Evaluation[Any], spectra: NeuronSpectra, counts: Float[Tensor, "replicate pair"]
) -> Float[Tensor, " replicate"]:
    """Median over the live neurons of sum_x w_x g_x h_x / sum_x w_x h_x^2, g the part of h at its best frequency."""
    p, live = evaluation.n, spectra.live
    if not bool(live.any()):
        return torch.zeros(len(counts))
    centred = (evaluation.neurons - evaluation.neurons.mean(0))[:, live].T
    best = spectra.frequency[live] - 1
    own = spectra.coefficients[best, :, :, live.nonzero()[:, 0]].clone()
    own[:, 0, 0] = 0
    basis = fourier_basis(p)
    waves = torch.cat([basis[0].expand(n_frequencies(p), 1, p), basis[1:].reshape(-1, 2, p)], dim=1)[best]
    wave = (waves.transpose(1, 2) @ (own @ waves)).flatten(1)
    shares = counts @ (wave * centred).T / (counts @ centred.square().T).clamp_min(1e-30)
    return shares.median(1).values


def uncertainty(series: Sequence[Sequence[Measures]], p: int, limits: ThresholdParams) -> Uncertainty:
    """From the replicates of every snapshot, [snapshot][replicate]."""
    n, replicates = len(series), len(series[0])
    change, transition = np.zeros(n), np.zeros(n)
    for one in zip(*series, strict=True):
        phases = find_phases(one, p, limits)
        change[list(phases.change_points)] += 1
        if phases.transition is not None:
            transition[phases.transition] += 1
    return Uncertainty(replicates, shares(change, replicates), shares(transition, replicates))


def shares(counted: NDArray[np.float64], replicates: int) -> tuple[float, ...]:
    return tuple((counted / replicates).tolist())
