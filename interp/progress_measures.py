"""Progress measures of one snapshot: losses, accuracies, restricted and excluded loss, norms, mechanism."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.circle_scrubbing import carried_by_few
from interp.forward import Evaluation, evaluate, in_basis
from interp.fourier import answer_profile, gini, key_frequencies, power_spectrum, project_on_answer
from interp.mechanism import UNKNOWN, measure_mechanism, share_right
from interp.neurons import live_neurons
from interp.view import view
from pipeline.nets import Net
from pipeline.tasks import Task

KEY_POWER = 0.95


@dataclass(frozen=True)
class Measures:
    """One snapshot. Losses in nats; accuracies and mechanism measures as shares; nan where there are no such pairs.

    Losses without the word train or test, spectra and mechanism measures are taken on the pairs of the operation's
    basis (see `bases`: without 0 for products); nan, and no key frequencies, for an operation without one.

    `novel_accuracy` is over the test pairs (a, b) whose mirror image (b, a) was not trained on: attention that
    weighs a and b alike gives a memoriser the mirror images of its training pairs for nothing.
    `live_neurons` counts those of the last hidden layer that vary over the pairs.
    `circle_scrubbed_accuracy` (see `circle_scrubbing`): neurons may mix frequencies and still rest on few circles.
    """

    train_loss: float
    test_loss: float
    train_accuracy: float
    test_accuracy: float
    restricted_loss: float
    excluded_loss: float
    gini_embed: float
    gini_unembed: float
    weight_norm: float
    residual_norm: float
    accuracy: float
    novel_accuracy: float
    explained: float
    neuron_localisation: float
    neuron_localisation_null: float
    single_frequency_accuracy: float
    scrubbed_accuracy: float
    equivariance: float
    key_frequencies: int
    live_neurons: int
    circle_scrubbed_accuracy: float

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The measures in the order of the table's columns."""
        return tuple(field.name for field in fields(cls))


@dataclass(frozen=True)
class Spectra:
    """Power shares per frequency of embedding, read-out and the logits' (a + b - c) part, in the operation's basis.

    Empty for an operation without one.
    """

    embed: Float[Tensor, " frequency"]
    unembed: Float[Tensor, " frequency"]
    logits: Float[Tensor, " frequency"]


def spectra_of(evaluation: Evaluation[Any], profile: Float[Tensor, " p"] | None = None) -> Spectra:
    """The three spectra of a net; `profile` is its `answer_profile` in the basis where that is already there."""
    based = in_basis(evaluation)
    if based is None:
        return Spectra(torch.zeros(0), torch.zeros(0), torch.zeros(0))
    profile = answer_profile(based.logits, based.answers)[0] if profile is None else profile
    return Spectra(
        embed=power_spectrum(based.embedding),
        unembed=power_spectrum(based.unembedding),
        logits=power_spectrum(profile[:, None]),
    )


def mean_loss(logits: Float[Tensor, "pair p"], labels: Int[Tensor, " pair"]) -> float:
    """Cross-entropy in nats, log-softmax in float64; nan over no pairs."""
    if not len(labels):
        return float("nan")
    return float(torch.nn.functional.cross_entropy(logits.double(), labels))


def restricted_loss(evaluation: Evaluation[Any], frequencies: tuple[int, ...]) -> float:
    """Loss on all pairs of the mean logits plus their cos, sin(w_k (a + b)) parts, k key (Nanda et al. 2023, 4.2)."""
    kept = project_on_answer(evaluation.logits, evaluation.answers, frequencies)
    return mean_loss(kept + evaluation.logits.mean(0), evaluation.answers)


def excluded_loss(evaluation: Evaluation[Any], frequencies: tuple[int, ...], train: Int[Tensor, " train"]) -> float:
    """Loss on the training pairs with just those parts taken out (Nanda et al. 2023, section 4.2)."""
    left = evaluation.logits - project_on_answer(evaluation.logits, evaluation.answers, frequencies)
    return mean_loss(left[train], evaluation.answers[train])


def novel_pairs(train: Int[Tensor, " train"], task: Task) -> Int[Tensor, " novel"]:
    """Numbers of the pairs that are neither trained on nor the mirror image of one that is."""
    a, b = torch.from_numpy(task.pairs()).T
    seen = torch.zeros(task.n_left, task.n_right, dtype=torch.bool)
    seen[a[train], b[train]] = True
    return (~(seen[a, b] | seen[b, a])).nonzero()[:, 0]


def measure(
    net: Net,
    task: Task,
    train: Int[Tensor, " train"],
    frequencies: tuple[int, ...] | None = None,
    labels: Int[Tensor, " pair"] | None = None,
    key_power: float = KEY_POWER,
) -> Measures:
    """Every measure of one net, from one forward pass.

    `train` numbers the training pairs; the rest are test pairs (none where all were trained on). `frequencies` are
    the key frequencies to restrict to, the net's own (at `key_power`) where None. `labels` [pair] are what the net was
    trained on where that is not the task's answer (null controls): the train and test columns are against them, the
    rest is against the task.
    """
    evaluation = evaluate(net, task)
    return measure_evaluation(evaluation, train, frequencies, labels, key_power)


def measure_evaluation(
    evaluation: Evaluation[Any],
    train: Int[Tensor, " train"],
    frequencies: tuple[int, ...] | None = None,
    labels: Int[Tensor, " pair"] | None = None,
    key_power: float = KEY_POWER,
) -> Measures:
    """As `measure`, of an evaluation that is already there."""
    net, task, logits, answers = evaluation.net, evaluation.task, evaluation.logits, evaluation.answers
    based, nan = in_basis(evaluation), float("nan")
    profile, explained = (None, nan) if based is None else answer_profile(based.logits, based.answers)
    spectra = spectra_of(evaluation, profile)
    own = key_frequencies(spectra.logits, key_power)
    frequencies = own if frequencies is None else frequencies
    mechanism = UNKNOWN if based is None else measure_mechanism(based)
    labels = answers if labels is None else labels
    held_out = torch.ones(len(labels), dtype=torch.bool)
    held_out[train] = False
    novel = novel_pairs(train, task)
    shown = torch.arange(0) if based is None else (~held_out[based.rows]).nonzero()[:, 0]
    return Measures(
        train_loss=mean_loss(logits[train], labels[train]),
        test_loss=mean_loss(logits[held_out], labels[held_out]),
        train_accuracy=share_right(logits[train], labels[train]),
        test_accuracy=share_right(logits[held_out], labels[held_out]),
        novel_accuracy=share_right(logits[novel], labels[novel]),
        accuracy=share_right(logits, answers),
        restricted_loss=nan if based is None else restricted_loss(based, frequencies),
        excluded_loss=nan if based is None else excluded_loss(based, frequencies, shown),
        gini_embed=nan if based is None else gini(spectra.embed),
        gini_unembed=nan if based is None else gini(spectra.unembed),
        weight_norm=float(torch.stack([w.detach().double().square().sum() for w in net.parameters()]).sum().sqrt()),
        residual_norm=float(evaluation.residual.double().norm(dim=1).mean()),
        explained=explained,
        neuron_localisation=mechanism.neuron_localisation,
        neuron_localisation_null=mechanism.neuron_localisation_null,
        single_frequency_accuracy=mechanism.single_frequency_accuracy,
        scrubbed_accuracy=mechanism.scrubbed_accuracy,
        equivariance=mechanism.equivariance,
        key_frequencies=len(own),
        live_neurons=live_neurons(evaluation.neurons),
        circle_scrubbed_accuracy=nan if based is None else carried_by_few(view(net, task)),
    )
