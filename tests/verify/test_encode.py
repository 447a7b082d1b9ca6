"""The encodings against brute force: an obligation is satisfiable exactly when the thing it excludes exists."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import z3

from benchmarks.by_hand import hand_built, write_student
from verify import ExactNet, Program, extract, load_exact_net
from verify.encode import (
    feature_obligation,
    margin_obligation,
    pairs_obligation,
    program_obligations,
    student_obligations,
)
from verify.programs import cosine_table
from verify.relax import Relaxation, by_pairs, closes, relax
from verify.smt import Obligation, bits, table, width


def decide(obligation: Obligation) -> str:
    solver = z3.Solver()
    solver.from_string(obligation.text)
    return str(solver.check())


def random_net(rng: np.random.Generator, p: int, units: int, features: int, size: int) -> ExactNet:
    """Random integers; tied, untied, subtracting, with all-negative or all-positive tables now and then."""
    tied, sign = bool(rng.integers(2)), int(rng.choice([1, -1]))
    shift = int(rng.choice([0, -2 * size, 2 * size]))
    left = rng.integers(-size, size + 1, (p, units)) + shift
    right = left if tied else rng.integers(-size, size + 1, (p, units)) + shift
    mix = rng.integers(-3, 4, (units, features))
    offset = rng.integers(-size, size + 1, features)
    return ExactNet(p, sign, left, right, mix, offset, rng.integers(-3, 4, (features, p)), tied, "")


@pytest.mark.parametrize("seed", range(30))
def test_feature_obligation_is_satisfiable_iff_a_pair_is_outside(seed: int) -> None:
    rng = np.random.default_rng(seed)
    net = random_net(rng, int(rng.choice([2, 3, 5, 8])), 3, 1, int(rng.choice([1, 4, 50])))
    features = np.stack([net.features(a)[:, 0] for a in range(net.p)])
    shift = int(rng.choice([-9, 0, 9]))
    targets = np.array([int(features[net.sums() == s].mean()) + shift for s in range(net.p)])
    worst = int(np.abs(features - targets[net.sums()]).max())
    rows = tuple((int(t),) for t in targets)
    for eps, expected in ((worst, "unsat"), (worst - 1, "sat")):
        if eps >= 0:
            assert decide(feature_obligation(net, Relaxation(rows, (eps,), (), 0.0), 0)) == expected
    if worst > 0:
        outside = [pair for pair in net.domain if abs(features[pair] - targets[net.sums()[pair]]) == worst]
        excepted = Relaxation(rows, (worst - 1,), tuple(outside), 0.0)
        assert decide(feature_obligation(net, excepted, 0)) == "unsat"
        if len(outside) > 1:
            assert decide(feature_obligation(net, replace(excepted, exceptions=tuple(outside[1:])), 0)) == "sat"


@pytest.mark.parametrize("seed", range(30))
def test_pairs_obligation_is_satisfiable_iff_an_answer_is_wrong_or_tied(seed: int) -> None:
    rng = np.random.default_rng(seed)
    net = random_net(rng, int(rng.choice([2, 3])), 4, 2, 5)
    right = net.answers == net.sums()
    for a in range(net.p):
        pairs = [(a, b) for b in range(net.p)]
        assert decide(pairs_obligation(net, pairs, 0)) == ("unsat" if right[a].all() else "sat")
        for pair in pairs:
            assert decide(pairs_obligation(net, [pair], 0)) == ("unsat" if right[pair] else "sat")


@pytest.mark.parametrize("seed", range(10))
def test_margin_obligation_is_satisfiable_iff_a_corner_of_the_box_is_wrong(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = 5
    angle = 2 * np.pi * np.arange(p) / p
    circle = np.rint(20 * np.stack([np.cos(angle), np.sin(angle)])).astype(np.int64)
    net = replace(random_net(rng, p, 1, 2, 3), readout=circle)
    rows = tuple((int(x), int(y)) for x, y in circle.T)
    eps = tuple(int(v) for v in rng.integers(0, 14, 2))
    corners = [np.array([x, y]) for x in (-eps[0], eps[0]) for y in (-eps[1], eps[1])]
    bad = False
    for s in range(p):
        for corner in corners:
            logits = (circle[:, s] + corner) @ circle
            bad |= bool((np.delete(logits, s) >= logits[s]).any())
    assert decide(margin_obligation(net, Relaxation(rows, eps, (), 0.0))) == ("sat" if bad else "unsat")


@pytest.mark.parametrize(
    ("p", "sign", "frequencies"), [(7, 1, (1, 2)), (7, -1, (3,)), (13, 1, (2, 5, 6)), (11, -1, (1, 4))]
)
def test_right_students_and_programs_close(tmp_path: Path, p: int, sign: int, frequencies: tuple[int, ...]) -> None:
    net = load_exact_net(write_student(tmp_path / "s", hand_built(p, sign, frequencies), p, sign))
    program = extract(net)
    relaxation = relax(net, program)
    assert closes(net) == relaxation.ratio > 1
    assert relaxation.exceptions == ()
    assert {decide(o) for o in [*program_obligations(program), *student_obligations(net, relaxation)]} == {"unsat"}
    assert {decide(o) for o in student_obligations(net, by_pairs(net))} == {"unsat"}


@pytest.mark.parametrize("seed", range(40))
def test_no_witness_closes_a_wrong_student(tmp_path: Path, seed: int) -> None:
    """The prover looks for wrong answers first; here it does not, and the obligations alone must hold."""
    rng = np.random.default_rng(seed)
    tensors = hand_built(7)
    right = load_exact_net(write_student(tmp_path / "s", tensors, 7))
    name = str(rng.choice(["left", "mix", "offset", "readout"]))
    where = tuple(rng.integers(0, n) for n in tensors[name].shape)
    tensors[name][where] += int(rng.choice([-1, 1])) * int(rng.choice([1, 3, 30, 300]))
    net = load_exact_net(write_student(tmp_path / "s", tensors, 7))
    wrong = bool((net.answers != net.sums()).any())
    program = extract(net)
    for relaxation in (relax(right, extract(right)), relax(net, program), by_pairs(net)):
        results = {decide(o) for o in student_obligations(net, relaxation)}
        assert not (wrong and results == {"unsat"})
    assert wrong or results == {"unsat"}


@pytest.mark.parametrize("seed", range(20))
def test_program_obligations_are_satisfiable_iff_the_program_is_wrong(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, sign = int(rng.choice([5, 7, 8])), int(rng.choice([1, -1]))
    k = tuple(int(v) for v in rng.choice(np.arange(1, p), 2, replace=False))
    cosine = list(cosine_table(p))
    cosine[int(rng.integers(p))] += int(rng.choice([0, 1000, -9000, 30000]))
    program = Program(p, sign, k, (int(rng.integers(-5, 20)), int(rng.integers(0, 20))), tuple(cosine))
    residues = np.arange(p)
    wrong = bool((program.answers != (residues[:, None] + sign * residues) % p).any())
    assert ("sat" in {decide(o) for o in program_obligations(program)}) == wrong


def test_a_witness_that_would_make_an_obligation_vacuous_is_refused() -> None:
    net = random_net(np.random.default_rng(0), 3, 2, 1, 4)
    for rows, eps in ((((0,),) * 2, (1,)), (((0,),) * 3, (-1,)), (((0,),) * 3, ()), (((0, 0),) * 3, (1,))):
        with pytest.raises(ValueError, match="not a witness"):
            student_obligations(net, Relaxation(rows, eps, (), 2.0))


def test_text_refuses_what_would_overflow() -> None:
    assert [width(v) for v in (0, 1, 2, 255, 256)] == [1, 1, 2, 8, 9]
    with pytest.raises(ValueError, match="does not fit"):
        bits(8, 3)
    with pytest.raises(ValueError, match="fit an index"):
        table("t", [0, 1, 2], 1, 2)
    with pytest.raises(ValueError, match="non-negative"):
        width(-1)
