"""The four phases, and the rule that puts a snapshot into one. Thresholds: see the README of this room."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from interp.progress_measures import Measures
from pipeline.params import ThresholdParams

Phase = Literal["untrained", "memorising", "pseudo-arithmetic", "algorithm"]
PHASES: tuple[Phase, ...] = ("untrained", "memorising", "pseudo-arithmetic", "algorithm")


DEFAULT_THRESHOLDS = ThresholdParams()


@dataclass(frozen=True)
class Criterion:
    """One condition of the label `algorithm`: what was measured, what is asked, and whether it holds."""

    name: str
    value: float
    threshold: float
    at_least: bool

    @property
    def holds(self) -> bool:
        return self.value >= self.threshold if self.at_least else self.value <= self.threshold

    def __str__(self) -> str:
        return f"{self.name} {self.value:.4g} {'>=' if self.at_least else '<='} {self.threshold:.4g}"


def algorithm_criteria(m: Measures, p: int, limits: ThresholdParams = DEFAULT_THRESHOLDS) -> tuple[Criterion, ...]:
    """All of these must hold for `algorithm`; all but the first are about how the answer is reached.

    Scrubbing is done at the last hidden layer, where each neuron keeps one frequency. Where that fails, since neurons
    of several frequencies are no less an algorithm, the net is scrubbed at its embeddings instead, of which few circles
    must carry the answers to the same share of the pairs.
    """
    chance = math.log(p)
    scrubbed = Criterion("scrubbed_accuracy", m.scrubbed_accuracy, limits.scrubbed_accuracy, True)
    circles = Criterion("circle_scrubbed_accuracy", m.circle_scrubbed_accuracy, limits.scrubbed_accuracy, True)
    if not scrubbed.holds and circles.holds:
        scrubbed = circles
    return (
        Criterion("accuracy", m.accuracy, limits.accuracy, True),
        scrubbed,
        Criterion("explained", m.explained, limits.explained, True),
        Criterion(
            "neuron_localisation", m.neuron_localisation, limits.localisation_ratio * m.neuron_localisation_null, True
        ),
        Criterion("restricted_loss", m.restricted_loss, limits.restricted_loss * chance, False),
        Criterion("excluded_loss", m.excluded_loss, limits.excluded_loss * chance, True),
    )


def generalisation(m: Measures) -> float:
    """Accuracy on pairs that nothing but arithmetic could answer; without a test set, what the mechanism carries."""
    return m.scrubbed_accuracy if math.isnan(m.novel_accuracy) else m.novel_accuracy


def label(m: Measures, p: int, limits: ThresholdParams = DEFAULT_THRESHOLDS) -> Phase:
    """The phase of one snapshot.

    `algorithm`: right on nearly all pairs, and every mechanism criterion holds. `pseudo-arithmetic`: answers clearly
    above chance where memory cannot help, yet not all of that. `memorising`: fits its training pairs, without
    arithmetic. `untrained`: does not fit them either.
    """
    if all(criterion.holds for criterion in algorithm_criteria(m, p, limits)):
        return "algorithm"
    if generalisation(m) >= max(limits.generalising, 3 / p):
        return "pseudo-arithmetic"
    return "memorising" if m.train_accuracy >= max(limits.fitting, 3 / p) else "untrained"
