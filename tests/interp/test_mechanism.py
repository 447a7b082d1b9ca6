"""Clocks and lookup tables built by hand, both right on every input, are told apart."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from interp.labels import algorithm_criteria, label
from interp.mechanism import equivariance, scrubbed_accuracy, share_right
from interp.progress_measures import mean_loss, measure, novel_pairs
from pipeline.nets import Transformer
from pipeline.tasks import ModularTask

P = 23
EVERYTHING = torch.arange(P * P)
KEYS = (1, 2, 3, 5, 7, 10)


def test_a_clock_is_an_algorithm(make_clock: Callable[..., Transformer]) -> None:
    m = measure(make_clock(P, KEYS), ModularTask(P), EVERYTHING)
    assert m.accuracy == 1.0
    assert m.key_frequencies == len(KEYS)
    assert m.restricted_loss < 0.01 < math.log(P) < m.excluded_loss
    assert m.neuron_localisation > 0.95
    assert m.neuron_localisation_null < 0.3
    assert m.scrubbed_accuracy > 0.99
    assert label(m, P) == "algorithm"


def test_a_lookup_table_is_memory_however_right_it_is(make_lookup: Callable[..., Transformer]) -> None:
    """Its logits look like a clock's from outside: only what the neurons do tells them apart."""
    m = measure(make_lookup(P), ModularTask(P), EVERYTHING)
    assert m.accuracy == 1.0
    assert m.explained > 0.9
    assert m.restricted_loss < 0.1
    assert m.scrubbed_accuracy < 0.15
    assert m.neuron_localisation < 0.1
    assert label(m, P) == "memorising"
    broken = {criterion.name for criterion in algorithm_criteria(m, P) if not criterion.holds}
    assert broken == {"scrubbed_accuracy", "neuron_localisation"}


def test_an_untrained_net_is_untrained(make_random: Callable[..., Transformer]) -> None:
    task = ModularTask(P)
    for seed in range(3):
        m = measure(make_random(P, seed, d_model=32, n_heads=2, d_head=16, d_mlp=64), task, EVERYTHING[::3])
        assert label(m, P) == "untrained"


def test_measures_without_test_pairs_are_nan(make_clock: Callable[..., Transformer]) -> None:
    m = measure(make_clock(P, KEYS), ModularTask(P), EVERYTHING)
    assert all(math.isnan(x) for x in (m.test_loss, m.test_accuracy, m.novel_accuracy))


def test_a_uniform_guess_loses_ln_p() -> None:
    assert mean_loss(torch.zeros(5, P), torch.arange(5)) == pytest.approx(math.log(P))


def test_novel_pairs_are_neither_trained_on_nor_mirrored() -> None:
    novel = set(novel_pairs(torch.tensor([1, 4]), ModularTask(3)).tolist())  # trained on (0, 1) and (1, 1)
    assert novel == {0, 2, 5, 6, 7, 8}


def test_equivariance_is_what_shifting_the_input_finds() -> None:
    p, generator = 7, torch.Generator().manual_seed(0)
    answers = torch.from_numpy(ModularTask(p).answers())
    given = torch.where(torch.rand(p * p, generator=generator) < 0.6, answers, (answers + 3) % p)
    table, hits = given.reshape(p, p), 0
    for a in range(p):
        for b in range(p):
            hits += sum(int(table[(a + t) % p, b] == (table[a, b] + t) % p) for t in range(1, p))
    assert equivariance(given, answers, p) == pytest.approx(hits / (p * p * (p - 1)))
    assert equivariance((answers + 2) % p, answers, p) == 1.0


def test_scrubbing_nothing_is_the_net_itself_and_scrubbing_everything_is_chance() -> None:
    answers = torch.from_numpy(ModularTask(P).answers())
    logits = torch.nn.functional.one_hot(answers, P).float()
    nothing = torch.zeros_like(logits)
    assert scrubbed_accuracy(logits, nothing, answers) == share_right(logits, answers) == 1.0
    assert scrubbed_accuracy(nothing, logits, answers) < 0.1
