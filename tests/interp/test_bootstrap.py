"""The bootstrap: nothing resampled is the measures themselves; spread where inputs differ, none where they agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from interp.bootstrap import draws, replicate_measures, uncertainty
from interp.forward import evaluate
from interp.labels import DEFAULT_THRESHOLDS
from interp.progress_measures import Measures, measure_evaluation
from pipeline.nets import Transformer
from pipeline.tasks import ModularTask

P, KEYS = 23, (1, 2, 3)
TASK = ModularTask(P)
TRAIN = torch.from_numpy(TASK.split(0.4, 0)[0])


@pytest.fixture(params=["clock", "random", "lookup"])
def net(request: pytest.FixtureRequest) -> Transformer:
    make: Callable[..., Transformer] = request.getfixturevalue(f"make_{request.param}")
    return make(P, (1, 2, 3, 5)) if request.param == "clock" else make(P)


def test_every_pair_once_gives_the_measures_themselves(net: Transformer) -> None:
    evaluation = evaluate(net, TASK)
    measures = measure_evaluation(evaluation, TRAIN, KEYS)
    (found,) = replicate_measures(measures, evaluation, TRAIN, KEYS, torch.ones(1, P * P))
    for name in Measures.names():
        assert getattr(found, name) == pytest.approx(getattr(measures, name), rel=1e-4, abs=1e-5, nan_ok=True), name


def test_a_replicate_is_the_measure_of_the_pairs_drawn(make_random: Callable[..., Transformer]) -> None:
    """Accuracy by hand: pairs that are right, each as often as it was drawn."""
    evaluation, counts = evaluate(make_random(P), TASK), draws(P * P, 3, seed=5)
    measures = measure_evaluation(evaluation, TRAIN, KEYS)
    right = (evaluation.logits.argmax(1) == evaluation.answers).float()
    found = replicate_measures(measures, evaluation, TRAIN, KEYS, counts)
    for replicate, row in zip(found, counts, strict=True):
        assert replicate.accuracy == pytest.approx(float(row @ right) / P**2)
        assert replicate.train_accuracy == pytest.approx(float(row[TRAIN] @ right[TRAIN]) / float(row[TRAIN].sum()))
    assert len({replicate.restricted_loss for replicate in found}) == 3


def test_without_test_pairs_the_novel_accuracy_stays_undefined(make_random: Callable[..., Transformer]) -> None:
    evaluation, everything = evaluate(make_random(P), TASK), torch.arange(P * P)
    measures = measure_evaluation(evaluation, everything, KEYS)
    (found, _) = replicate_measures(measures, evaluation, everything, KEYS, draws(P * P, 2))
    assert measures.novel_accuracy != measures.novel_accuracy
    assert found.novel_accuracy != found.novel_accuracy


def test_draws_are_the_same_each_time_and_sum_to_the_pairs() -> None:
    assert torch.equal(draws(50, 4), draws(50, 4))
    assert draws(50, 4).sum(1).tolist() == [50] * 4


def made(accuracy: float) -> Measures:
    """An algorithm where accuracy is 1, else untrained."""
    blank = Measures(**{**dict.fromkeys(Measures.names(), 0.0), "key_frequencies": 0})  # type: ignore[arg-type]
    if accuracy < 1:
        return replace(blank, restricted_loss=3.0, excluded_loss=3.0)
    shares = dict.fromkeys(("train_accuracy", "novel_accuracy", "scrubbed_accuracy", "explained", "equivariance"), 1.0)
    return replace(blank, accuracy=1.0, neuron_localisation=1.0, excluded_loss=3.0, restricted_loss=0.1, **shares)


def test_uncertainty_counts_replicates() -> None:
    """Three replicates turn at snapshot 4, one at snapshot 5."""
    turns = [4, 4, 4, 5]
    series = [[made(1.0 if i >= turn else 0.0) for turn in turns] for i in range(10)]
    found = uncertainty(series, P, DEFAULT_THRESHOLDS)
    assert found.replicates == 4
    assert found.change == (0, 0, 0, 0, 0.75, 0.25, 0, 0, 0, 0)
    assert found.transition == found.change


def test_a_run_without_an_algorithm_has_no_transition() -> None:
    found = uncertainty([[made(0.0)] * 3] * 6, P, DEFAULT_THRESHOLDS)
    assert sum(found.transition) == 0
    assert sum(found.change) == 0
