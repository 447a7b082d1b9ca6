"""cvc5 answers every kind of obligation as Z3 does, where it should close and where it should not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import z3

from benchmarks.by_hand import adder, hand_built, write_net
from pipeline.tasks.machine import Machine
from pipeline.tasks.streaming import stream_task
from verify.compact import Clock, find_clock, margin_obligation, measure
from verify.coupled import Question
from verify.encode import feature_obligation, pairs_obligation, program_obligations
from verify.encode import margin_obligation as student_margin
from verify.exact_net import ExactNet
from verify.invariant import ONE, Box, region_text, step_obligation, steps
from verify.machine_proof import addition_obligations, state_obligations
from verify.programs import Program, cosine_table, extract
from verify.recurrent_net import load_recurrent
from verify.relax import relax
from verify.second_solver import answers, main
from verify.subspace import PUSH_BITS, Subspace

SECONDS = 3.0


class Pair(NamedTuple):
    """Text that closes, and text about something wrong: one of its questions has a model."""

    right: str
    wrong: str


def by_z3(text: str) -> list[str]:
    """Z3 on the whole text: an answer for each (check-sat)."""
    context = z3.Context()
    return str(z3.Z3_eval_smtlib2_string(context.ref(), text)).split()


def student(p: int = 7, **changed: Any) -> ExactNet:
    tensors = {name: value.copy() for name, value in hand_built(p).items()} | changed
    return ExactNet(p, 1, right=tensors["left"], tied=True, sha256="", **tensors)


def program_turn(_: Path) -> Pair:
    """With the sum turned the other way, c is no longer taken back."""
    text = program_obligations(extract(student()))[0].text
    return Pair(text, text.replace("(mod (+ a b (- c)) 7)", "(mod (+ a b c) 7)"))


def program_votes(_: Path) -> Pair:
    right = Program(7, 1, (1, 2), (100, 90), cosine_table(7))
    swapped = list(right.cosine)
    swapped[0], swapped[3] = swapped[3], swapped[0]
    wrong = replace(right, cosine=tuple(swapped))
    return Pair(program_obligations(right)[-1].text, program_obligations(wrong)[-1].text)


def student_feature(_: Path) -> Pair:
    net = student(5)
    witness = relax(net, extract(net))
    assert witness.ratio > 1
    left = hand_built(5)["left"]
    left[1, 2] += 40
    return Pair(feature_obligation(net, witness, 0).text, feature_obligation(student(5, left=left), witness, 0).text)


def student_margins(_: Path) -> Pair:
    net = student(5)
    witness = relax(net, extract(net))
    readout = hand_built(5)["readout"][:, [1, 0, 2, 3, 4]]
    return Pair(student_margin(net, witness).text, student_margin(student(5, readout=readout), witness).text)


def student_pairs(_: Path) -> Pair:
    readout = hand_built(5)["readout"][:, [1, 0, 2, 3, 4]]
    chunk = student(5).domain
    return Pair(*(pairs_obligation(net, chunk, 0).text for net in (student(5), student(5, readout=readout))))


def adding(name: str, carry: tuple[int, ...] = (0, 1), change: Callable[[Machine], Machine] = lambda m: m) -> Pair:
    """The obligation of that name for the reference adder, and with another carry or machine."""
    machine = stream_task("addition", base=3).machine()
    assert machine is not None
    texts = []
    for of, carries in ((machine, (0, 1)), (change(machine), carry)):
        texts.append(next(o.text for o in addition_obligations(of, carries, 3) if o.name == name))
    return Pair(*texts)


def another(machine: Machine, table: str, value: int) -> Machine:
    """With one entry, that of state 1 and the pair (0, 0), changed."""
    rows = [[list(row) for row in rows] for rows in getattr(machine, table)]
    rows[1][0][0] = value
    return replace(machine, **{table: tuple(tuple(tuple(row) for row in rows) for rows in rows)})


def states(_: Path) -> Pair:
    machine = stream_task("parity").machine()
    assert machine is not None
    wrong = another(machine, "answers", 1 - machine.answers[1][0][0])
    return Pair(*(state_obligations(of, machine)[0].text for of in (machine, wrong)))


REGIONS = (Box((0,), (ONE // 16,)), Box((ONE - ONE // 16,), (ONE,)))


def induction(tmp_path: Path) -> tuple[Any, list[Any]]:
    task = stream_task("addition", base=3)
    net, machine = load_recurrent(write_net(tmp_path / "net.safetensors", adder(3), task)), task.machine()
    assert machine is not None
    return net.exact, steps(machine)


def induction_step(tmp_path: Path) -> Pair:
    net, all_steps = induction(tmp_path)
    wrong = replace(all_steps[4], following=1 - all_steps[4].following)
    return Pair(*(step_obligation(net, step, REGIONS).text for step in (all_steps[4], wrong)))


def induction_region(tmp_path: Path) -> Pair:
    """Nine questions in one file, one of them about a wrong answer."""
    net, all_steps = induction(tmp_path)
    right = all_steps[:9]
    wrong = [replace(right[0], answer=(right[0].answer + 1) % 3), *right[1:]]
    return Pair(region_text(net, right, REGIONS), region_text(net, wrong, REGIONS))


def compact(_: Path) -> Pair:
    net = student()
    clock = find_clock(net, extract(net))
    assert isinstance(clock, Clock)
    reach = measure(net, clock)
    assert reach is not None
    wide = replace(reach, rho=tuple(100 * rho for rho in reach.rho))
    return Pair(*(margin_obligation(net, clock, size).text for size in (reach, wide)))


def coupled(_: Path) -> Pair:
    """Logits 1 + relu(t) - relu(2 t) and their negatives: the lead is gone at t = 1."""
    nothing, mix, readout = np.zeros((2, 2), int), np.array([[1], [-1]]), np.array([[1, -1]])
    net = ExactNet(2, 1, nothing, nothing, mix, np.array([1]), readout, True, "")
    push = np.array([[1, 2]]) << (PUSH_BITS - 1)
    question = Question.of(net, Subspace(push, push), 0, 0)
    return Pair(*(question.obligation(bound, "radius").text for bound in ((1 << 16) - 1, 1 << 16)))


KINDS: dict[str, Callable[[Path], Pair]] = {
    "program-turn": program_turn,
    "program-votes": program_votes,
    "student-feature": student_feature,
    "student-margin": student_margins,
    "student-pairs": student_pairs,
    "sum-start": lambda _: adding("sum-start", (1, 1)),
    "sum-step": lambda _: adding("sum-step-1", change=lambda machine: another(machine, "answers", 2)),
    "sum-end": lambda _: adding("sum-end", change=lambda machine: another(machine, "following", 1)),
    "states": states,
    "induction-step": induction_step,
    "induction-region": induction_region,
    "compact-margin": compact,
    "coupled-radius": coupled,
}


@pytest.mark.parametrize("kind", KINDS)
def test_both_solvers_say_the_same(kind: str, tmp_path: Path) -> None:
    pair = KINDS[kind](tmp_path)
    asked = pair.right.count("(check-sat)") - pair.right.count("every (check-sat)")
    assert by_z3(pair.right) == ["unsat"] * asked
    assert sorted(by_z3(pair.wrong)) == ["sat"] + ["unsat"] * (asked - 1)
    undecided = definite = 0
    for text in (pair.right, pair.wrong):
        for one, other in zip(by_z3(text), answers(text, SECONDS), strict=True):
            assert other in (one, "unknown"), f"{kind}: Z3 says {one}, cvc5 says {other}"
            undecided, definite = undecided + (other == "unknown"), definite + (other != "unknown")
    assert definite, f"{kind}: cvc5 decides nothing of it in {SECONDS} s"
    if undecided:
        pytest.skip(f"{kind}: cvc5 leaves {undecided} of {undecided + definite} questions open")


def test_an_answer_that_takes_too_long_is_unknown_and_text_that_is_none_is_an_error() -> None:
    hard = "(set-logic QF_NIA)(declare-const x Int)(declare-const y Int)(declare-const z Int)"
    cubes = "(assert (= (+ (* x x x) (* y y y) (* z z z)) 114))(check-sat)"
    assert answers(hard + cubes, 0.2) == ["unknown"]
    for text in ("(set-logic QF_LIA)(assert (= x 1))(check-sat)", "(assert", "(check-sat"):
        with pytest.raises(ValueError, match="cvc5"):
            answers(text, 1)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pair = induction_region(tmp_path)
    paths = [tmp_path / "right.smt2", tmp_path / "wrong.smt2"]
    for path, text in zip(paths, pair, strict=False):
        path.write_text(text)
    assert main([str(paths[0])]) == 0
    assert capsys.readouterr().out.startswith("right.smt2: 9 unsat in ")
    assert main(list(map(str, paths))) == 1
    assert "wrong.smt2: 1 sat, 8 unsat in " in capsys.readouterr().out
    (tmp_path / "empty.smt2").write_text("(set-logic QF_LIA)")
    assert main([str(tmp_path / "empty.smt2")]) == 2
    assert main([str(tmp_path / "none.smt2")]) == main([]) == 64
