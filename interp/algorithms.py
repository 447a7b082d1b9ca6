"""Which algorithm a net is: a label with evidence and a confidence, `unknown` where the evidence does not carry one.

    pizza       right; embeddings of few circles; the gradient does not tell a from b; each circle alone gives the pizza
                formula better than the clock's; the correct logit depends on a - b
    clock       right; embeddings of few circles; the gradient does tell a from b; the logits are those of the clock;
                each circle gives the clock formula at least as well as the pizza's; the correct logit does not depend
                on a - b
    crt-like    right; nearly all first neurons are simple, with few frequencies, and what is simple in them carries the
                answers (McCracken et al. 2025). Clocks and pizzas may be that too: see `also`
    lookup      right, and sure of it, on a good part of what it was trained on, with first neurons that fit waves
                hardly better than after the names are mixed up, and answers that the waves do not carry
    unknown     none of these, or an operation without a known basis

Every criterion is a measure, a threshold and the value of the perfect net of that kind (`hand_built`). A label needs
all of its criteria. The confidence is the least, over them, of how far the value is on the way from the threshold to
the perfect net: 0 at the threshold, 1 there or beyond. Few circles are at most a third of all. `unknown` has confidence
0, and its evidence is that of the label that comes closest. Thresholds between pizza and clock lie between the means
that Zhong et al. 2023 publish for attention coefficients below .1 and of .9 or more: gradient symmetricity .982 and
.455, distance irrelevance .335 and .820.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from interp.bases import basis_of
from interp.clock_pizza import ClockPizza, measure_clock_pizza
from interp.labels import Criterion
from interp.simple_neurons import SimpleNeurons, measure_simple_neurons
from interp.view import view
from pipeline.nets import Net
from pipeline.tasks import ModularTask

Algorithm = Literal["clock", "pizza", "crt-like", "lookup", "unknown"]
ALGORITHMS: tuple[Algorithm, ...] = ("clock", "pizza", "crt-like", "lookup", "unknown")

RIGHT = 0.99
SYMMETRIC = 0.9
ASYMMETRIC = 0.72  # the middle of .982 and .455
IRRELEVANT = 0.58  # the middle of .335 and .820
FORMULA = 0.9


@dataclass(frozen=True)
class AlgorithmMeasures:
    """What the labels are about. Accuracies over all pairs of the task and over those it was trained on.

    `certainty`: mean probability of the label over the training pairs that the net gets right; 0 where there is none.
    """

    n: int
    accuracy: float
    train_accuracy: float
    certainty: float
    circular: ClockPizza
    simple: SimpleNeurons


@dataclass(frozen=True)
class Evidence:
    """One criterion, and the value that the perfect net of the kind has."""

    criterion: Criterion
    perfect: float

    @property
    def margin(self) -> float:
        """Where the value is between the threshold, 0, and the perfect net, 1; cut off at 0 and 1."""
        start, way = self.criterion.threshold, self.perfect - self.criterion.threshold
        if not self.criterion.holds:
            return 0.0
        return min(1.0, (self.criterion.value - start) / way) if way else 1.0


@dataclass(frozen=True)
class AlgorithmLabel:
    """`evidence` is that of `name`, of `nearest` where it is unknown. `also`: other labels whose criteria all hold."""

    name: Algorithm
    confidence: float
    evidence: tuple[Evidence, ...]
    also: tuple[Algorithm, ...]
    nearest: Algorithm
    measures: AlgorithmMeasures | None

    @property
    def lacking(self) -> tuple[Criterion, ...]:
        """The criteria of `nearest` that do not hold."""
        return tuple(e.criterion for e in self.evidence if not e.criterion.holds)

    def __str__(self) -> str:
        if self.name != "unknown":
            also = f", also {', '.join(self.also)}" if self.also else ""
            return f"{self.name} (confidence {self.confidence:.2f}){also}"
        if self.measures is None:
            return "unknown (no basis is known for the operation)"
        return f"unknown (nearest {self.nearest}, which asks {' and '.join(map(str, self.lacking))})"


def name_algorithm(
    net: Net, task: ModularTask, train: Int[Tensor, " train"] | None = None, labels: Int[Tensor, " pair"] | None = None
) -> AlgorithmLabel:
    """The label of one net.

    `train` numbers the pairs it was trained on, all where None, as for nets of others; `labels` [pair] are what it was
    trained on where that is not the task's answer.
    """
    measures = measure_algorithm(net, task, train, labels)
    return AlgorithmLabel("unknown", 0.0, (), (), "unknown", None) if measures is None else label_algorithm(measures)


def measure_algorithm(
    net: Net, task: ModularTask, train: Int[Tensor, " train"] | None = None, labels: Int[Tensor, " pair"] | None = None
) -> AlgorithmMeasures | None:
    """All measures of one net; None where no basis is known for the operation."""
    if basis_of(task) is None:
        return None
    answers = torch.from_numpy(task.answers())
    train, labels = torch.arange(len(answers)) if train is None else train, answers if labels is None else labels
    with torch.no_grad():
        logits = net(torch.from_numpy(task.pairs()))
    given = logits.argmax(1)
    known = train[given[train] == labels[train]]
    sure = logits[known].double().softmax(1).gather(1, labels[known, None])
    seen = view(net, task)
    return AlgorithmMeasures(
        n=seen.n,
        accuracy=int((given == answers).sum()) / len(answers),
        train_accuracy=len(known) / max(1, len(train)),
        certainty=float(sure.mean()) if len(known) else 0.0,
        circular=measure_clock_pizza(seen),
        simple=measure_simple_neurons(seen),
    )


def label_algorithm(m: AlgorithmMeasures) -> AlgorithmLabel:
    """The first of pizza, clock, crt-like and lookup whose criteria all hold."""
    found = criteria(m)
    holding: list[Algorithm] = [name for name, evidence in found.items() if all(e.criterion.holds for e in evidence)]
    if holding:
        name, *also = holding
        return AlgorithmLabel(name, min(e.margin for e in found[name]), found[name], tuple(also), name, m)
    nearest = max(found, key=lambda name: sum(e.criterion.holds for e in found[name]) / len(found[name]))
    return AlgorithmLabel("unknown", 0.0, found[nearest], (), nearest, m)


def criteria(m: AlgorithmMeasures) -> dict[Algorithm, tuple[Evidence, ...]]:
    """Everything that each label asks, in the order in which the labels are tried."""
    c, s = m.circular, m.simple
    clock, pizza = c.explained("clock"), c.explained("pizza")
    right = at_least("accuracy", m.accuracy, RIGHT, 1)
    few = at_most("circle_count", c.circle_count, (m.n - 1) / 6, math.log2(m.n))
    return {
        "pizza": (
            right,
            few,
            at_least("gradient_symmetricity", c.gradient_symmetricity, SYMMETRIC, 1),
            at_most("distance_irrelevance", c.distance_irrelevance, IRRELEVANT, 0),
            at_least("pizza_explained", pizza, FORMULA, 1),
            at_least("pizza_over_clock", pizza - clock, 0.1, 0.2),
        ),
        "clock": (
            right,
            few,
            at_most("gradient_symmetricity", c.gradient_symmetricity, ASYMMETRIC, 0),
            at_least("distance_irrelevance", c.distance_irrelevance, IRRELEVANT, 1),
            at_least("clock_share", c.shares.clock, FORMULA, 1),
            at_least("clock_over_pizza", clock - pizza, 0, 0.2),
        ),
        "crt-like": (
            right,
            at_least("simple_share", s.share, 0.9, 1),
            at_most("frequencies", len(s.frequencies), 2 * math.log2(m.n), math.log2(m.n)),
            at_least("simple_scrubbed_accuracy", s.scrubbed_accuracy, 0.95, 1),
        ),
        "lookup": (
            at_least("train_accuracy", m.train_accuracy, 0.2, 1),
            at_least("certainty", m.certainty, 0.9, 1),
            at_most("median_fit", s.median_fit, 1.5 * s.null_fit, s.null_fit),
            at_most("simple_scrubbed_accuracy", s.scrubbed_accuracy, 0.25, 1 / m.n),
        ),
    }


def at_least(name: str, value: float, threshold: float, perfect: float) -> Evidence:
    return Evidence(Criterion(name, value, threshold, True), perfect)


def at_most(name: str, value: float, threshold: float, perfect: float) -> Evidence:
    return Evidence(Criterion(name, value, threshold, False), perfect)
