"""Teacher to integer student: right teachers give right, closing students; wrong teachers give wrong ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch

from compress.blocks import starting_blocks
from compress.closing import measure_closing
from compress.distill import DistillOptions, assemble, distill_student
from compress.quantize import QuantizeOptions, quantize_student
from compress.teacher import Teacher, headroom, key_frequencies, spectrum
from pipeline.tasks import Operation

OPTIONS = DistillOptions(units=8, restarts=3, steps=400)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_spectrum_reads_the_amplitudes_of_a_clock(clock: Callable[..., Teacher]) -> None:
    found = spectrum(clock(23, amplitudes={2: 1.5, 7: 0.5}))
    wanted = np.zeros(11)
    wanted[[1, 6]] = 1.5, 0.5
    assert found == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("operation", ["addition", "subtraction"])
def test_strong_frequencies_are_chosen_first(clock: Callable[..., Teacher], operation: Operation) -> None:
    teacher = clock(23, operation, {2: 1.5, 7: 0.5, 9: 1.4})
    assert key_frequencies(teacher, 2) == (2, 9)
    assert key_frequencies(teacher, 3) == (2, 7, 9)


def test_of_equally_strong_frequencies_the_roomiest_are_chosen(clock: Callable[..., Teacher]) -> None:
    best = max(headroom(23, chosen) for chosen in combinations(range(1, 12), 3))
    assert headroom(23, key_frequencies(clock(23), 3)) == pytest.approx(best)


def test_there_are_never_more_frequencies_than_the_modulus_has(clock: Callable[..., Teacher]) -> None:
    assert key_frequencies(clock(5), 4) == (1, 2)


@pytest.mark.parametrize(
    ("p", "operation"), [(11, "addition"), (23, "addition"), (13, "subtraction"), (23, "subtraction")]
)
def test_a_right_teacher_gives_a_right_student_that_closes(
    clock: Callable[..., Teacher], p: int, operation: Operation
) -> None:
    teacher = clock(p, operation)
    distilled = distill_student(teacher, key_frequencies(teacher, 3), OPTIONS)
    assert distilled.explained
    assert distilled.outliers == 0
    integer = quantize_student(distilled, QuantizeOptions())
    assert integer.integer
    assert (integer.right is None) == (operation == "addition")
    assert (distilled.student().wrong(), integer.wrong()) == (0, 0)
    assert measure_closing(integer, teacher.task.answers()).ratio < 0.8
    assert abs(integer.left).max() <= 63
    assert abs(integer.mix).max() <= 63


def test_a_memorising_teacher_is_not_repaired(memoriser: Callable[[int], Teacher]) -> None:
    teacher = memoriser(23)
    distilled = distill_student(teacher, key_frequencies(teacher, 3), OPTIONS)
    assert not distilled.explained
    integer = quantize_student(distilled, QuantizeOptions())
    right = teacher.task.p**2 - integer.wrong()
    assert right < 0.2 * teacher.task.p**2
    assert measure_closing(integer, teacher.task.answers()).ratio > 1


def test_a_teacher_without_any_signal_goes_through(clock: Callable[..., Teacher]) -> None:
    right = clock(11)
    for logits in (np.zeros_like(right.logits), np.random.default_rng(0).normal(size=right.logits.shape)):
        teacher = replace(right, logits=logits)
        distilled = distill_student(teacher, key_frequencies(teacher, 3), OPTIONS)
        assert quantize_student(distilled, QuantizeOptions()).wrong() > 60


def test_a_few_slips_of_the_teacher_are_outliers(clock: Callable[..., Teacher]) -> None:
    teacher = clock(23)
    slips = [7, 100, 333]
    logits = teacher.logits.copy()
    logits[slips] = np.roll(logits[slips], 5, axis=1)
    slipping = replace(teacher, logits=logits)
    distilled = distill_student(slipping, key_frequencies(teacher, 3), OPTIONS)
    assert np.flatnonzero(~distilled.kept).tolist() == slips
    assert quantize_student(distilled, QuantizeOptions()).wrong() == 0


def test_only_the_teachers_answers_reach_the_student(clock: Callable[..., Teacher]) -> None:
    """A teacher of another function, (a + b + 1) mod p, gives a student of that function."""
    teacher = clock(13)
    shifted = replace(teacher, logits=np.roll(teacher.logits, 1, axis=1))
    student = quantize_student(distill_student(shifted, (1, 3, 4), OPTIONS), QuantizeOptions())
    assert (student.answers() == (teacher.task.answers() + 1) % 13).all()
    assert student.wrong() == 13 * 13


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(clock: Callable[..., Teacher]) -> None:
    teacher = clock(11)
    one, again, other = (
        quantize_student(distill_student(teacher, (1, 2), replace(OPTIONS, seed=seed)), QuantizeOptions()).tensors
        for seed in (0, 0, 1)
    )
    assert all((one[name] == again[name]).all() for name in one)
    assert any((one[name] != other[name]).any() for name in one)


def test_a_student_is_its_blocks_side_by_side(clock: Callable[..., Teacher]) -> None:
    teacher = clock(11)
    blocks = starting_blocks(11, 1, [1, 3], 4, torch.Generator().manual_seed(0))
    student = assemble(teacher, (1, 3), blocks)
    wanted = blocks.features().permute(1, 2, 0, 3).reshape(121, 4).numpy()
    assert student.features() == pytest.approx(wanted, abs=1e-5)
