"""The tasks: their domains, their exact references against brute force, their splits."""

import itertools

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.tasks import OPERATIONS, ModularTask, PermutationTask, Task

EVERY: list[Task] = [*(ModularTask(7, operation) for operation in OPERATIONS), PermutationTask(3)]


def test_reference_by_hand() -> None:
    assert ModularTask(113).reference(37, 99) == 23
    assert ModularTask(113, "subtraction").reference(37, 99) == 51
    assert ModularTask(97, "multiplication").reference(50, 2) == 3
    assert ModularTask(7, "division").reference(1, 3) == 5
    assert ModularTask(7, "quadratic_form").reference(2, 3) == 5


@pytest.mark.parametrize("task", EVERY, ids=str)
def test_answers_are_the_reference_in_the_order_of_the_pairs(task: Task) -> None:
    assert task.answers().tolist() == [task.reference(a, b) for a, b in task.pairs().tolist()]
    first = 1 if "/" in str(task) else 0
    everything = itertools.product(range(task.n_left), range(first, task.n_right))
    assert [tuple(pair) for pair in task.pairs().tolist()] == list(everything)
    assert task.pairs().dtype == task.answers().dtype == np.int64
    assert set(task.answers().tolist()) <= set(range(task.n_answers))


def test_division_undoes_multiplication() -> None:
    task = ModularTask(97, "division")
    a, b = task.pairs().T
    assert np.array_equal(task.answers() * b % 97, a)
    with pytest.raises(ValueError, match="not invertible"):
        task.reference(3, 0)


@pytest.mark.parametrize("task", [*EVERY, ModularTask(113), PermutationTask(5)], ids=str)
def test_split_is_a_partition_and_depends_on_the_seed_only(task: Task) -> None:
    train, test = task.split(0.3, seed=0)
    assert len(train) == int(0.3 * len(task.pairs()))
    assert np.array_equal(np.sort(np.concatenate([train, test])), np.arange(len(task.pairs())))
    assert np.array_equal(train, task.split(0.3, seed=0)[0])
    assert not np.array_equal(train, task.split(0.3, seed=1)[0])


def test_s5_is_a_group_and_does_not_commute() -> None:
    task = PermutationTask(5)
    table = task.answers().reshape(120, 120)
    everything = np.arange(120)
    assert np.array_equal(table[0], everything)
    assert np.array_equal(table[:, 0], everything)
    assert np.array_equal(np.sort(table, axis=0), np.broadcast_to(everything[:, None], table.shape))
    assert np.array_equal(np.sort(table, axis=1), np.broadcast_to(everything, table.shape))
    assert np.array_equal(table[table], table[:, table])  # (a o b) o c = a o (b o c)
    assert not np.array_equal(table, table.T)


def test_composition_applies_the_right_one_first() -> None:
    elements = list(itertools.permutations(range(3)))
    task = PermutationTask(3)
    swap, turn = elements.index((1, 0, 2)), elements.index((1, 2, 0))
    assert elements[task.reference(swap, turn)] == (0, 2, 1)


def test_only_signed_sums_have_a_sign() -> None:
    assert (ModularTask(7).sign, ModularTask(7, "subtraction").sign) == (1, -1)
    with pytest.raises(UserError, match="operation = 'division': analysis and proof know addition and subtraction"):
        _ = ModularTask(7, "division").sign


def test_what_is_no_task_is_refused() -> None:
    with pytest.raises(UserError, match="p = 91: the modulus must be an odd prime"):
        ModularTask(91)
    with pytest.raises(UserError, match="n = 7: give a number from 2 to 6"):
        PermutationTask(7)
