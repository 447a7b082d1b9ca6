"""Change points and labels on series of measures that are written by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from interp.labels import Phase, label
from interp.phases import change_points, find_phases
from interp.progress_measures import Measures

P = 113
NAN = float("nan")
BLANK = Measures(**{**dict.fromkeys(Measures.names(), 0.0), "key_frequencies": 0})  # type: ignore[arg-type]
UNTRAINED = replace(
    BLANK,
    train_accuracy=0.01,
    test_accuracy=0.01,
    novel_accuracy=0.01,
    accuracy=0.01,
    restricted_loss=4.7,
    excluded_loss=4.7,
    neuron_localisation=0.07,
    neuron_localisation_null=0.06,
    scrubbed_accuracy=0.01,
)
MEMORISING = replace(
    UNTRAINED,
    train_accuracy=1.0,
    test_accuracy=0.28,
    novel_accuracy=0.0,
    accuracy=0.48,
    restricted_loss=2.8,
    excluded_loss=0.7,
    explained=0.05,
)
PSEUDO = replace(
    MEMORISING,
    test_accuracy=0.7,
    novel_accuracy=0.6,
    accuracy=0.8,
    restricted_loss=1.0,
    excluded_loss=2.0,
    explained=0.4,
    neuron_localisation=0.15,
    single_frequency_accuracy=0.8,
    scrubbed_accuracy=0.5,
    equivariance=0.6,
)
ALGORITHM = replace(
    PSEUDO,
    test_accuracy=1.0,
    novel_accuracy=1.0,
    accuracy=1.0,
    restricted_loss=0.2,
    excluded_loss=3.6,
    explained=0.85,
    neuron_localisation=0.7,
    single_frequency_accuracy=1.0,
    scrubbed_accuracy=1.0,
    equivariance=1.0,
)


@pytest.mark.parametrize(
    ("measures", "expected"),
    [
        (UNTRAINED, "untrained"),
        (MEMORISING, "memorising"),
        (PSEUDO, "pseudo-arithmetic"),
        (ALGORITHM, "algorithm"),
        (replace(ALGORITHM, accuracy=0.97), "pseudo-arithmetic"),
        (replace(ALGORITHM, scrubbed_accuracy=0.9), "pseudo-arithmetic"),
        (replace(ALGORITHM, restricted_loss=2.0), "pseudo-arithmetic"),
        (replace(ALGORITHM, excluded_loss=0.1), "pseudo-arithmetic"),
        (replace(ALGORITHM, neuron_localisation=0.1), "pseudo-arithmetic"),
        (replace(ALGORITHM, novel_accuracy=NAN, test_accuracy=NAN), "algorithm"),
        (replace(ALGORITHM, novel_accuracy=NAN, scrubbed_accuracy=0.02), "memorising"),
    ],
)
def test_the_label_needs_right_answers_and_the_mechanism(measures: Measures, expected: Phase) -> None:
    assert label(measures, P) == expected


def test_a_catapult_like_run_goes_through_all_four() -> None:
    series = [UNTRAINED] * 3 + [MEMORISING] * 4 + [PSEUDO] * 3 + [ALGORITHM] * 8
    phases = find_phases(series, P)
    assert [(s.phase, s.first, s.last) for s in phases.segments] == [
        ("untrained", 0, 2),
        ("memorising", 3, 6),
        ("pseudo-arithmetic", 7, 9),
        ("algorithm", 10, 17),
    ]
    assert phases.change_points == (3, 7, 10)
    assert phases.transition == 10


def test_a_standard_like_run_has_no_transition() -> None:
    phases = find_phases([UNTRAINED] * 9 + [MEMORISING] * 12, P)
    assert (phases.final, phases.transition, phases.change_points) == ("memorising", None, (9,))


def test_a_run_that_falls_back_does_not_end_in_an_algorithm() -> None:
    phases = find_phases([UNTRAINED] * 3 + [ALGORITHM] * 8 + [PSEUDO] * 5, P)
    assert (phases.final, phases.transition) == ("pseudo-arithmetic", None)


def test_a_flicker_at_a_threshold_is_not_a_phase() -> None:
    almost = replace(ALGORITHM, accuracy=0.9899)
    series = [UNTRAINED] * 4 + [ALGORITHM] * 6 + [almost] + [ALGORITHM] * 6
    assert find_phases(series, P).transition == 4


def test_the_transition_is_not_dated_before_the_first_snapshot_that_qualifies() -> None:
    almost = replace(ALGORITHM, accuracy=0.9899)
    phases = find_phases([UNTRAINED] * 4 + [almost] * 2 + [ALGORITHM] * 8, P)
    assert phases.transition == 6


@pytest.mark.parametrize("n", [1, 2, 21])
def test_a_run_in_which_nothing_happens_is_one_segment(n: int) -> None:
    phases = find_phases([MEMORISING] * n, P)
    assert len(phases.segments) == 1
    assert phases.change_points == ()


def test_two_snapshots_can_differ() -> None:
    assert find_phases([UNTRAINED, ALGORITHM], P).per_snapshot == ("untrained", "algorithm")


def test_series_without_test_pairs_are_segmented_by_the_rest() -> None:
    series = [replace(m, novel_accuracy=NAN) for m in [UNTRAINED] * 5 + [ALGORITHM] * 5]
    assert find_phases(series, P).transition == 5


def test_change_points_in_noise_are_those_of_the_signal() -> None:
    noise = np.random.default_rng(0).normal(size=(40, 6)) * 0.3
    noise[25:] += 1.5
    assert change_points(noise) == [25]
