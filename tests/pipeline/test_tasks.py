"""The task: its domain, its exact reference, its split."""

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.tasks import ModularTask


def test_reference_by_hand() -> None:
    assert ModularTask(113).reference(37, 99) == 23
    assert ModularTask(113, "subtraction").reference(37, 99) == 51


@pytest.mark.parametrize("operation", ["addition", "subtraction"])
def test_answers_are_the_reference_in_row_order(operation) -> None:
    task = ModularTask(7, operation)
    assert task.answers().tolist() == [task.reference(a, b) for a in range(7) for b in range(7)]
    assert [tuple(pair) for pair in task.pairs()] == [(a, b) for a in range(7) for b in range(7)]


def test_split_is_a_partition_and_depends_on_the_seed_only() -> None:
    task = ModularTask(113)
    train, test = task.split(0.3, seed=0)
    assert len(train) == 3830
    assert np.array_equal(np.sort(np.concatenate([train, test])), np.arange(113**2))
    assert np.array_equal(train, task.split(0.3, seed=0)[0])
    assert not np.array_equal(train, task.split(0.3, seed=1)[0])


def test_a_composite_modulus_is_refused() -> None:
    with pytest.raises(UserError, match="p = 91: the modulus must be an odd prime"):
        ModularTask(91)
