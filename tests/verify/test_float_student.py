"""The student in floats: exact answers, and a bound that float32 in any order keeps to, or none."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from benchmarks.by_hand import hand_built
from pipeline.errors import UserError
from verify import checker
from verify.claims import Proved, Unknown
from verify.exact_net import NO_ANSWER
from verify.float_student import FORMAT, load_float_student
from verify.links import unchanged_student

P = 7
Tensors = dict[str, np.ndarray]


def write(path: Path, tensors: Tensors, **header: str) -> Path:
    meta = {"format": FORMAT, "p": str(P), "operation": "addition", "frequencies": "[1, 2]", **header}
    save_file({name: np.ascontiguousarray(t, dtype=np.float32) for name, t in tensors.items()}, path, metadata=meta)
    return path


def loose(seed: int) -> Tensors:
    """A right student with weights that no longer are integers."""
    rng = np.random.default_rng(seed)
    return {name: t + 0.01 * rng.normal(size=t.shape) for name, t in hand_built(P).items()}


def by_checker(path: Path) -> checker.Student:
    return checker.read_student(checker.Weights(path.read_bytes()), P, 1, floats=True)


@pytest.mark.parametrize("seed", range(4))
def test_answers_are_those_of_fractions_and_the_checkers(tmp_path: Path, seed: int) -> None:
    path = write(tmp_path / "s.safetensors", loose(seed))
    student = load_float_student(path)
    w = {name: t.astype(np.float32).astype(float) for name, t in loose(seed).items()}
    exact = {name: np.vectorize(Fraction, otypes=[object])(t) for name, t in w.items()}
    leads = []
    for a in range(P):
        for b in range(P):
            hidden = np.array([max(h, Fraction(0)) for h in exact["left"][a] + exact["left"][b]], dtype=object)
            logits = ((hidden @ exact["mix"] + exact["offset"]) @ exact["readout"]).tolist()
            assert student.answers[a, b] == max(range(P), key=logits.__getitem__)
            first, second = sorted(logits)[:-3:-1]
            leads.append(first - second)
    assert student.margin == min(leads)
    assert by_checker(path).answers == student.answers.tolist()


@pytest.mark.parametrize("seed", range(4))
def test_float32_in_any_order_keeps_to_the_bound(tmp_path: Path, seed: int) -> None:
    student = load_float_student(write(tmp_path / "s.safetensors", loose(seed)))
    w = {name: t.astype(np.float32) for name, t in loose(seed).items()}
    rng, worst = np.random.default_rng(seed), 0.0
    double = {name: t.astype(np.float64) for name, t in w.items()}
    for _ in range(20):
        units, features = rng.permutation(len(w["mix"])), rng.permutation(len(w["offset"]))
        for a in range(P):
            hidden = np.maximum(w["left"][a] + w["left"], 0)
            got = (hidden[:, units] @ w["mix"][units] + w["offset"])[:, features] @ w["readout"][features]
            known = np.maximum(double["left"][a] + double["left"], 0) @ double["mix"] + double["offset"]
            error = got - known @ double["readout"]
            worst = max(worst, float((error.max(axis=1) - error.min(axis=1)).max()))
    assert student.bound is not None
    assert 0 < worst < student.bound


def test_a_lead_within_rounding_is_unknown_and_one_above_is_proved(tmp_path: Path) -> None:
    path = write(tmp_path / "s.safetensors", loose(0))
    assert isinstance(unchanged_student(load_float_student(path)).verdict, Proved)
    by_checker(path).unchanged()
    tensors = loose(0)
    tensors["readout"][:, 1] = tensors["readout"][:, 2] * (1 + 2.0**-22)
    path = write(tmp_path / "close.safetensors", tensors)
    assert isinstance(unchanged_student(load_float_student(path)).verdict, Unknown)
    with pytest.raises(checker.Coarse, match="float32 may change an answer"):
        by_checker(path).unchanged()


@pytest.mark.parametrize("scale", [2.0**40, 2.0**121])
def test_hidden_values_near_overflow_are_not_proved(tmp_path: Path, scale: float) -> None:
    """Right in exact arithmetic, and NaN in float32 where left + right is infinite."""
    tensors = hand_built(P)
    tensors |= {"left": tensors["left"] * scale, "mix": tensors["mix"] / scale}
    path = write(tmp_path / "s.safetensors", tensors)
    student = load_float_student(path)
    assert (student.answers != NO_ANSWER).all()
    assert student.bound is None
    assert isinstance(unchanged_student(student).verdict, Unknown)
    with pytest.raises(checker.Coarse, match="values near float32's largest"):
        by_checker(path).unchanged()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": "other"}, "format = 'other'"),
        ({"p": "0x7"}, "p = 0x7"),
        ({"p": "8"}, "float32"),
        ({"operation": "product"}, "operation = 'product'"),
    ],
)
def test_a_bad_header_is_one_line(tmp_path: Path, change: dict[str, str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        load_float_student(write(tmp_path / "s.safetensors", loose(0), **change))


def test_bad_tensors_are_one_line(tmp_path: Path) -> None:
    for name, value, says in (("offset", np.nan, "not finite"), ("mix", 2.0**-149, None)):
        tensors = loose(0)
        tensors[name].flat[0] = value
        path = write(tmp_path / "s.safetensors", tensors)
        if says is None:
            assert load_float_student(path).bits == 149
            continue
        with pytest.raises(UserError, match=says):
            load_float_student(path)
    with pytest.raises(UserError, match="left, right, mix, offset and readout"):
        load_float_student(write(tmp_path / "s.safetensors", {"left": np.zeros((P, 2))}))
