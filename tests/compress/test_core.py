"""A small net as its own student: tables, read-out and frequencies are the net's, or there is no core."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from compress.closing import measure_closing
from compress.core import Core, CoreOptions, core_of, key_frequencies, own_tables
from compress.quantize import QuantizeOptions, quantize_student
from compress.teacher import observe
from interp.hand_built import clock
from pipeline.nets import Transformer, TransformerConfig
from pipeline.tasks import ModularTask

P, FREQUENCIES = 13, (2, 3, 5)
TASK = ModularTask(P)


@pytest.fixture(scope="module")
def core() -> Core:
    net = clock(P, FREQUENCIES, phases=5)
    return core_of(net, observe(net, TASK, np.arange(0)), CoreOptions(steps=100))


def test_the_frequencies_are_those_of_the_net(core: Core) -> None:
    assert core.distilled.frequencies == FREQUENCIES


def test_a_clock_whose_neurons_add_is_its_own_student(core: Core) -> None:
    """Its neurons are relu(cos(w a - f) + cos(w b - g)): the sums of the tables are the preactivations, exactly."""
    assert core.additive == pytest.approx(1, abs=1e-6)
    assert core.wrong_before == 0
    assert core.distilled.explained
    assert core.distilled.outliers == 0


def test_the_integer_core_is_right_closes_and_is_the_nets_own(core: Core) -> None:
    integer = quantize_student(core.distilled, QuantizeOptions(8, 8, steps=60))
    assert integer.integer
    assert integer.wrong() == 0
    assert measure_closing(integer, TASK.answers()).ratio < 1
    assert core.own(integer) > 0.95
    shuffled = np.random.default_rng(0).permutation(P)
    assert core.own(type(integer)(**{**vars(integer), "left": integer.left[shuffled]})) < 0.7


def test_a_net_that_does_not_add_has_no_core() -> None:
    torch.manual_seed(0)
    net = Transformer(TransformerConfig(P, d_model=16, n_heads=2, d_head=8, d_mlp=20)).eval()
    found = core_of(net, observe(net, TASK, np.arange(0)), CoreOptions(steps=40))
    assert not found.distilled.explained
    assert found.wrong_before > 0.5 * P * P


def test_the_core_knows_the_nets_answers_and_not_the_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    net = clock(P, FREQUENCIES, phases=5)
    teacher = observe(net, TASK, np.arange(0))
    before, _ = own_tables(net, teacher, key_frequencies(teacher))
    monkeypatch.setattr(ModularTask, "answers", lambda self: np.zeros(P * P, dtype=np.int64))
    after, _ = own_tables(net, observe(net, TASK, np.arange(0)), key_frequencies(teacher))
    for one, two in zip(before.parameters(), after.parameters(), strict=True):
        assert torch.equal(one, two)
