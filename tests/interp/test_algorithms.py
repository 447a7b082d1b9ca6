"""Labels of nets whose algorithm is known, and of nets that have none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from interp.algorithms import (
    AlgorithmLabel,
    AlgorithmMeasures,
    at_least,
    at_most,
    criteria,
    label_algorithm,
    measure_algorithm,
    name_algorithm,
)
from interp.bases import basis_of, primitive_root
from interp.evidence_table import algorithm_lines
from interp.hand_built import clock, lookup, pizza
from interp.known_operations import agreements
from interp.view import view
from pipeline.errors import UserError
from pipeline.nets import Mlp, MlpConfig, Net, Quadratic, QuadraticConfig, RecurrentConfig, build_net, closed_form
from pipeline.tasks import OPERATIONS, ModularTask

P = 31
TASK = ModularTask(P)
PAIRS, ANSWERS = torch.from_numpy(TASK.pairs()), torch.from_numpy(TASK.answers())


def memorise(labels: torch.Tensor, train: torch.Tensor) -> Mlp:
    """No regularisation, until every training pair is fitted."""
    torch.manual_seed(0)
    net = Mlp(MlpConfig(P, P, P, 32, (128,), "relu", "sum", True))
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01, weight_decay=0.0)
    for _ in range(200):
        loss = cross_entropy(net(PAIRS[train]), labels[train])
        if loss.item() < 0.005:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net


@pytest.mark.parametrize("operation", ["addition", "subtraction", "multiplication", "division"])
@pytest.mark.parametrize("p", [3, 5, 11, 23])
def test_a_basis_makes_the_operation_a_sum(p: int, operation: Any) -> None:
    task = ModularTask(p, operation)
    basis = basis_of(task)
    assert basis is not None
    for x in range(basis.n):
        for y in range(basis.n):
            expected = basis.answer[(x + y) % basis.n]
            assert task.reference(int(basis.left[x]), int(basis.right[y])) == expected
            assert basis.pairs[x * basis.n + y].tolist() == [basis.left[x], basis.right[y]]


def test_primitive_roots() -> None:
    assert [primitive_root(p) for p in (3, 5, 7, 23, 41, 113)] == [2, 2, 3, 5, 6, 3]


@pytest.mark.parametrize(
    ("net", "name", "also"),
    [
        (clock(P, (3, 7, 11)), "clock", ("crt-like",)),
        (pizza(P, (3, 7, 11)), "pizza", ("crt-like",)),
        (closed_form(P, (3, 7)), "clock", ("crt-like",)),
        (lookup(P), "lookup", ()),
    ],
    ids=["clock", "pizza", "closed form", "lookup"],
)
def test_nets_built_by_hand(net: Net, name: str, also: tuple[str, ...]) -> None:
    found = name_algorithm(net, TASK)
    assert (found.name, found.also) == (name, also)
    assert found.confidence > 0.8
    assert all(e.criterion.holds for e in found.evidence)
    assert found.lacking == ()
    assert str(found).startswith(f"{name} (confidence ")


def test_subtraction() -> None:
    assert name_algorithm(closed_form(P, (3, 7), -1), ModularTask(P, "subtraction")).name == "clock"
    assert name_algorithm(closed_form(P, (3, 7)), ModularTask(P, "subtraction")).name == "unknown"


def test_a_pizza_that_is_wrong_somewhere_is_unknown_and_says_why() -> None:
    net = pizza(P, (3, 7, 11))
    with torch.no_grad():
        net.unembed.weight[5] *= 0.1
    found = name_algorithm(net, TASK)
    assert found.name == "unknown"
    assert found.confidence == 0
    assert found.nearest == "pizza"
    assert "accuracy" in [criterion.name for criterion in found.lacking]
    assert str(found).startswith("unknown (nearest pizza, which asks accuracy 0.9")


def measured(net: Net) -> AlgorithmMeasures:
    measures = measure_algorithm(net, TASK)
    assert measures is not None
    return measures


def test_every_criterion_of_a_label_is_needed() -> None:
    m = measured(pizza(P, (3, 7, 11)))
    spoilt = [
        replace(m, accuracy=0.98),
        replace(m, circular=replace(m.circular, circle_count=6)),
        replace(m, circular=replace(m.circular, gradient_symmetricity=0.8)),
        replace(m, circular=replace(m.circular, distance_irrelevance=0.7)),
        replace(m, circular=replace(m.circular, circles=tuple(replace(c, pizza=0.7) for c in m.circular.circles))),
    ]
    assert len(criteria(m)["pizza"]) == 6
    for one in spoilt:
        assert label_algorithm(one).name in ("unknown", "crt-like")


@pytest.mark.parametrize("fraction", [0.3, 1.0])
@pytest.mark.parametrize("random_labels", [False, True])
def test_memorisers_are_no_algorithm(fraction: float, random_labels: bool) -> None:
    train = torch.from_numpy(TASK.split(fraction, 0)[0])
    labels = torch.randint(0, P, (P * P,), generator=torch.Generator().manual_seed(1)) if random_labels else ANSWERS
    net = memorise(labels, train)
    found = name_algorithm(net, TASK, train, labels)
    assert found.measures is not None
    assert found.measures.train_accuracy > 0.99
    assert found.name in ("lookup", "unknown")
    if fraction < 1 or random_labels:
        assert found.name == "lookup"


def test_a_memoriser_of_unknown_training_pairs_is_a_lookup() -> None:
    found = name_algorithm(memorise(ANSWERS, torch.from_numpy(TASK.split(0.3, 0)[0])), TASK)
    assert found.measures is not None
    assert found.measures.accuracy < 0.4
    assert found.name == "lookup"


def test_a_memoriser_of_labels_that_nobody_gives_is_a_lookup() -> None:
    labels = torch.randint(0, P, (P * P,), generator=torch.Generator().manual_seed(1))
    net = memorise(labels, torch.arange(P * P))
    found = name_algorithm(net, TASK)
    assert found.measures is not None
    assert found.measures.accuracy < 0.1
    assert found.name == "lookup"
    assert found.measures.sureness > 0.9


def test_a_net_of_another_operation_is_no_lookup() -> None:
    net = closed_form(P, (3, 7), -1)
    with torch.no_grad():
        net.unembed.weight *= 100
    found = name_algorithm(net, TASK)
    assert found.measures is not None
    assert found.measures.sureness > 0.9
    assert found.measures.known_operation == 1
    assert found.name == "unknown"


def test_agreements_with_known_operations() -> None:
    for operation in OPERATIONS:
        task = ModularTask(11, operation)
        found = agreements(torch.from_numpy(task.answers()), task)
        assert found.pop(operation) == 1
        assert max(found.values()) < 0.3
    assert agreements(torch.zeros(9, dtype=torch.long), ModularTask(3))["multiplication"] == 5 / 9


def test_lines_of_text() -> None:
    lines = algorithm_lines(name_algorithm(pizza(P, (3, 7, 11)), TASK))
    assert lines[0].startswith("algorithm: pizza, confidence ")
    assert lines[0].endswith("; also crt-like")
    assert len(lines) == 3 + len(criteria(measured(pizza(P, (3, 7, 11))))["pizza"])
    assert all(line.startswith("  yes") for line in lines[2:-1])
    assert lines[-1] == "the 5 strongest of 15 circles of the embeddings alone carry 100.00% of the answers"
    torch.manual_seed(0)
    unknown = algorithm_lines(name_algorithm(build_net(QuadraticConfig(P, P, P, 20)), TASK))
    assert unknown[0].startswith("algorithm: unknown (nearest: ")
    assert any(line.startswith("  no") for line in unknown)


def test_few_circles_of_single_waves_are_crt_like_when_neither_clock_nor_pizza() -> None:
    m = measured(pizza(P, (3, 7, 11)))
    between = replace(m, circular=replace(m.circular, gradient_symmetricity=0.8))
    assert label_algorithm(between).name == "crt-like"
    assert label_algorithm(replace(between, circle_scrubbed_accuracy=0.9)).name == "unknown"
    assert label_algorithm(replace(between, simple=replace(m.simple, fit=0.85))).name == "unknown"
    assert label_algorithm(replace(between, accuracy=0.97)).name == "unknown"


def test_an_untrained_net_is_unknown() -> None:
    torch.manual_seed(0)
    assert name_algorithm(build_net(QuadraticConfig(P, P, P, 20)), TASK).name == "unknown"


def test_an_operation_without_a_basis_is_unknown() -> None:
    task = ModularTask(7, "quadratic_form")
    net = Quadratic(QuadraticConfig(7, 7, 7, 4))
    assert basis_of(task) is None
    found = name_algorithm(net, task)
    assert found == AlgorithmLabel("unknown", 0.0, (), (), "unknown", None)
    assert "no basis" in str(found)
    with pytest.raises(UserError, match="quadratic_form"):
        view(net, task)


def test_a_net_of_another_kind_is_refused() -> None:
    with pytest.raises(UserError, match="the measures know"):
        view(build_net(RecurrentConfig(7, 7, 7)), ModularTask(7))


def test_margins() -> None:
    assert at_least("x", 0.95, 0.9, 1).margin == pytest.approx(0.5)
    assert at_least("x", 0.8, 0.9, 1).margin == 0
    assert at_most("x", 2, 10, 6).margin == 1
    assert at_most("x", 9, 10, 6).margin == pytest.approx(0.25)
    assert str(at_most("x", 5, 5, 6).margin) == "0.0"  # and not -0.0
