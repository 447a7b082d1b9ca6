"""Which algorithm a net is: a label with evidence and a confidence, `unknown` where the evidence does not carry one.

    pizza       right; embeddings of few circles; the gradient does not tell a from b; each circle alone gives the pizza
                formula better than the clock's; the correct logit depends on a - b
    clock       right; embeddings of few circles; the gradient does tell a from b; the logits are those of the clock;
                each circle gives the clock formula at least as well as the pizza's; the correct logit does not depend
                on a - b
    crt-like    right; the first neurons are single waves, and few circles of the embeddings carry the answers, however
                many layers read them (McCracken et al. 2025). Clocks and pizzas are mostly that too: see `also`
    lookup      right, and sure of it, on a good part of what it was trained on, with first neurons that fit waves
                hardly better than after the names are mixed up, and answers that the circles do not carry. Where it is
                right by chance only, as on random labels that nobody gives: sure of every answer, answers of no
                operation that is known here, no waves, and embeddings that use most of their dimensions
    unknown     none of these, or an operation without a known basis

Every criterion is a measure, a threshold and the value of a plain case of that kind (`hand_built`). A label needs
all of its criteria. The confidence is the least, over them, of how far the value is on the way from the threshold to
the plain case: 0 at the threshold, 1 there or beyond; it is no probability. Few circles are at most a third of all.
`unknown` has confidence 0, and its evidence is that of the label that comes closest. Thresholds between pizza and clock
lie between the means that Zhong et al. 2023 publish for attention coefficients below .1 and of .9 or more: gradient
symmetricity .982 and .455, distance irrelevance .335 and .820. The others are explained in the README of this room.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from interp.bases import basis_of
from interp.circle_scrubbing import carried_by_few
from interp.clock_pizza import ClockPizza, measure_clock_pizza
from interp.known_operations import agreements
from interp.labels import Criterion
from interp.simple_neurons import SimpleNeurons, measure_simple_neurons
from interp.view import view
from pipeline.nets import Net
from pipeline.tasks import ModularTask, Task

Algorithm = Literal["clock", "pizza", "crt-like", "lookup", "unknown"]
ALGORITHMS: tuple[Algorithm, ...] = ("clock", "pizza", "crt-like", "lookup", "unknown")

RIGHT = 0.99
SYMMETRIC = 0.9
ASYMMETRIC = 0.72  # the middle of .982 and .455
IRRELEVANT = 0.58  # the middle of .335 and .820
FORMULA = 0.9
WAVES = 0.9
CARRIED = 0.95
NO_WAVES = 0.2
NOT_CARRIED = 0.2
SURE = 0.9


@dataclass(frozen=True)
class AlgorithmMeasures:
    """What the labels are about. Accuracies over all pairs of the task and over those it was trained on.

    `certainty`: mean probability of the label over the training pairs that the net gets right; 0 where there is none.
    `sureness`: mean probability of the net's own answer over all pairs. `known_operation`: the greatest share of its
    answers that are those of one of the operations of `pipeline.tasks`. `embedding_rank`: (sum v)^2 / sum v^2 over n,
    v the variances of the left embeddings' principal components: 2 circles of equal size give 4 / n, a table about 1.
    `circle_scrubbed_accuracy`: see `circle_scrubbing`, with the `few(n)` strongest circles.
    """

    n: int
    accuracy: float
    train_accuracy: float
    certainty: float
    sureness: float
    known_operation: float
    embedding_rank: float
    circle_scrubbed_accuracy: float
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
        return min(1.0, max(0.0, (self.criterion.value - start) / way)) if way else 1.0


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
    net: Net, task: Task, train: Int[Tensor, " train"] | None = None, labels: Int[Tensor, " pair"] | None = None
) -> AlgorithmLabel:
    """The label of one net.

    `train` numbers the pairs it was trained on, all where None, as for nets of others; `labels` [pair] are what it was
    trained on where that is not the task's answer.
    """
    measures = measure_algorithm(net, task, train, labels)
    return AlgorithmLabel("unknown", 0.0, (), (), "unknown", None) if measures is None else label_algorithm(measures)


def measure_algorithm(
    net: Net, task: Task, train: Int[Tensor, " train"] | None = None, labels: Int[Tensor, " pair"] | None = None
) -> AlgorithmMeasures | None:
    """All measures of one net; None where no basis is known for the operation."""
    if basis_of(task) is None:
        return None
    assert isinstance(task, ModularTask), "no other task has a basis"
    answers = torch.from_numpy(task.answers())
    train, labels = torch.arange(len(answers)) if train is None else train, answers if labels is None else labels
    with torch.no_grad():
        logits = net(torch.from_numpy(task.pairs()))
    given, shares = logits.argmax(1), logits.double().softmax(1)
    known = train[given[train] == labels[train]]
    sure = shares[known].gather(1, labels[known, None])
    seen = view(net, task)
    spread = torch.linalg.svdvals(seen.left - seen.left.mean(0)).square()
    return AlgorithmMeasures(
        n=seen.n,
        accuracy=int((given == answers).sum()) / len(answers),
        train_accuracy=len(known) / max(1, len(train)),
        certainty=float(sure.mean()) if len(known) else 0.0,
        sureness=float(shares.amax(1).mean()),
        known_operation=max(agreements(given, task).values()),
        embedding_rank=float(spread.sum().square() / spread.square().sum().clamp_min(1e-300)) / seen.n,
        circle_scrubbed_accuracy=carried_by_few(seen),
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
    third = (m.n - 1) / 6
    circles = at_most("circle_count", c.circle_count, third, min(math.log2(m.n), 0.6 * third))
    return {
        "pizza": (
            right,
            circles,
            at_least("gradient_symmetricity", c.gradient_symmetricity, SYMMETRIC, 1),
            at_most("distance_irrelevance", c.distance_irrelevance, IRRELEVANT, 0),
            at_least("pizza_explained", pizza, FORMULA, 1),
            at_least("pizza_over_clock", pizza - clock, 0.1, 0.2),
        ),
        "clock": (
            right,
            circles,
            at_most("gradient_symmetricity", c.gradient_symmetricity, ASYMMETRIC, 0),
            at_least("distance_irrelevance", c.distance_irrelevance, IRRELEVANT, 1),
            at_least("clock_share", c.shares.clock, FORMULA, 1),
            at_least("clock_over_pizza", clock - pizza, 0, 0.2),
        ),
        "crt-like": (
            right,
            at_least("wave_fit", s.fit, WAVES, 1),
            at_least("circle_scrubbed_accuracy", m.circle_scrubbed_accuracy, CARRIED, 1),
        ),
        "lookup": lookup_criteria(m),
    }


def lookup_criteria(m: AlgorithmMeasures) -> tuple[Evidence, ...]:
    """What `lookup` asks of a net that fits the labels, or of one that is right by chance only."""
    chance = max(0.1, 5 / m.n)
    no_waves = at_most("wave_excess", m.simple.excess, NO_WAVES, 0)
    if m.train_accuracy >= chance:
        return (
            at_least("train_accuracy", m.train_accuracy, chance, chance + 0.15),
            at_least("certainty", m.certainty, 0.6, SURE),
            no_waves,
            at_most("circle_scrubbed_accuracy", m.circle_scrubbed_accuracy, NOT_CARRIED, 1 / m.n),
        )
    return (
        at_least("sureness", m.sureness, SURE, 1),
        at_most("known_operation", m.known_operation, chance, 1 / m.n),
        no_waves,
        at_least("embedding_rank", m.embedding_rank, 0.5, 0.65),
    )


def at_least(name: str, value: float, threshold: float, perfect: float) -> Evidence:
    return Evidence(Criterion(name, value, threshold, True), perfect)


def at_most(name: str, value: float, threshold: float, perfect: float) -> Evidence:
    return Evidence(Criterion(name, value, threshold, False), perfect)
