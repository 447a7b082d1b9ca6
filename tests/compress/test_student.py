"""The integer student: exact evaluation, counting, files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compress.closing import measure_closing
from compress.student import NO_ANSWER, Student, cosine_readout, load_student, narrowest, save_student, unique_argmax
from pipeline.errors import UserError
from pipeline.tasks import ModularTask


def random_student(p: int, tied: bool) -> Student:
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.integers(-60, 60, shape).astype(np.int8)  # noqa: E731
    task = ModularTask(p, "addition" if tied else "subtraction")
    return Student(task, (1, 3), draw(p, 5), None if tied else draw(p, 5), draw(5, 4), draw(4), draw(4, p))


def ruler(p: int) -> Student:
    """Exactly cos and sin of a + b, from units relu(2 (a + b - t)): piecewise linear, a knot at every integer."""
    table = np.rint(1000 * cosine_readout(p, (1, 2)).T[np.arange(2 * p - 1) % p]).astype(np.int64)
    mix = np.diff(np.diff(table, axis=0), axis=0, prepend=0)
    left = 2 * np.arange(p)[:, None] - np.arange(2 * p - 2)
    readout = np.rint(1000 * cosine_readout(p, (1, 2))).astype(np.int64)
    return Student(ModularTask(p), (1, 2), left, None, mix, 2 * table[0], readout)


@pytest.mark.parametrize("tied", [True, False])
def test_features_and_answers_equal_python_integers(tied: bool) -> None:
    p = 7
    student = random_student(p, tied)
    left = student.left.tolist()
    right = left if student.right is None else student.right.tolist()
    mix, offset, readout = student.mix.tolist(), student.offset.tolist(), student.readout.tolist()
    features, answers = student.features(), student.answers()
    for a in range(p):
        for b in range(p):
            hidden = [max(left[a][j] + right[b][j], 0) for j in range(5)]
            wanted = [offset[i] + sum(mix[j][i] * hidden[j] for j in range(5)) for i in range(4)]
            assert features[a * p + b].tolist() == wanted
            logits = [sum(wanted[i] * readout[i][c] for i in range(4)) for c in range(p)]
            best = [c for c in range(p) if logits[c] == max(logits)]
            assert answers[a * p + b] == (best[0] if len(best) == 1 else NO_ANSWER)


def test_a_tie_is_no_answer() -> None:
    assert unique_argmax(np.array([[1, 3, 3], [1, 2, 3]])).tolist() == [NO_ANSWER, 2]


def test_tied_tables_are_counted_once() -> None:
    assert random_student(7, tied=True).parameters == 7 * 5 + 5 * 4 + 4 + 4 * 7
    assert random_student(7, tied=False).parameters == 2 * 7 * 5 + 5 * 4 + 4 + 4 * 7
    assert random_student(7, tied=True).bytes == random_student(7, tied=True).parameters


def test_narrowest_keeps_the_values() -> None:
    for values, width in (([-128, 127], np.int8), ([128], np.int16), ([40000], np.int32), ([2**40], np.int64)):
        small = narrowest(np.array(values))
        assert small.dtype == width
        assert small.tolist() == values


def test_the_exact_ruler_closes_with_nothing_used_up() -> None:
    student = ruler(11)
    assert student.wrong() == 0
    found = measure_closing(student, student.task.answers())
    assert found.ratio < 0.01
    assert found.scale == 2000


def test_a_broken_weight_shows_in_the_closing_ratio_and_the_count() -> None:
    student = ruler(11)
    left = student.left.copy()
    left[4, 5] += 500
    broken = Student(student.task, student.frequencies, left, None, student.mix, student.offset, student.readout)
    assert broken.wrong() > 0
    assert measure_closing(broken, student.task.answers()).ratio > 1


def test_closing_implies_right() -> None:
    """The inequality forces the argmax: noise on the read-out's side never gives a wrong answer below ratio 1."""
    student, rng = ruler(13), np.random.default_rng(1)
    for size in range(0, 1500, 100):
        offset = student.offset + rng.integers(-size, size + 1, student.offset.shape)
        noisy = Student(student.task, (1, 2), student.left, None, student.mix, offset, student.readout)
        if measure_closing(noisy, student.task.answers()).ratio < 1:
            assert noisy.wrong() == 0


@pytest.mark.parametrize("tied", [True, False])
def test_files_give_the_student_back_and_are_the_same_bytes_again(tied: bool, tmp_path: Path) -> None:
    student = random_student(7, tied)
    save_student(tmp_path / "one.safetensors", student)
    save_student(tmp_path / "two.safetensors", student)
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()
    loaded = load_student(tmp_path / "one.safetensors")
    assert (loaded.task, loaded.frequencies) == (student.task, student.frequencies)
    assert loaded.tensors.keys() == student.tensors.keys()
    for name, value in student.tensors.items():
        assert loaded.tensors[name].dtype == value.dtype
        assert (loaded.tensors[name] == value).all()


def test_a_damaged_or_missing_file_is_a_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such student"):
        load_student(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"not a student")
    with pytest.raises(UserError, match="compress the run again"):
        load_student(tmp_path / "bad.safetensors")
