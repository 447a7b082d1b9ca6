"""The links that need no solver: two subjects on every input, and a float net against its own exact arithmetic.

Every subject of a chain answers every input of the task; a link holds where two tables of answers are the same. Program
and students are evaluated exactly. Of a trained or pruned net `rounding` gives the answers that are certain, and how
much float32 can change: a pair without a certain answer leaves a link open, and is neither right nor wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verify.claims import Counterexample, Proved, Refuted, Subject, Unknown, equals, on_pairs
from verify.exact_net import NO_ANSWER, ExactNet, Ints
from verify.float_student import FloatStudent
from verify.programs import Program
from verify.results import Result, rounded
from verify.rounding import RoundingReport
from verify.specification import Specification

EXHAUSTIVE = "exhaustive evaluation"
ROUNDING = "a bound on every rounding error"
LISTED = 200
"""Wrong inputs that a certificate lists."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What a subject answers to every input; NO_ANSWER on a tie, and where `open` says that nothing is certain.

    Arrays are over the domain of the task. `robust` are the inputs on which float32 gives the same, whatever the order
    of summation; `reasons` says of an input why it is open, where more is known than that its lead is too small.
    """

    subject: Subject
    task: Specification
    table: Ints
    open: NDArray[np.bool_]
    robust: NDArray[np.bool_]
    reasons: Mapping[tuple[int, int], str] = field(default_factory=dict)

    @classmethod
    def exact(cls, subject: Subject, task: Specification, table: Ints) -> Answers:
        nowhere = np.zeros(table.shape, dtype=bool)
        return cls(subject, task, table, nowhere, ~nowhere)

    @classmethod
    def arithmetic(cls, task: Specification) -> Answers:
        return cls.exact(Subject.ARITHMETIC, task, task.table)

    @classmethod
    def of(cls, evaluated: Program | ExactNet | FloatStudent) -> Answers:
        subjects = {Program: Subject.PROGRAM, ExactNet: Subject.INTEGER, FloatStudent: Subject.STUDENT}
        return cls.exact(subjects[type(evaluated)], Specification.of(evaluated), evaluated.answers)

    @classmethod
    def enclosed(cls, subject: Subject, report: RoundingReport) -> Answers:
        unsure = report.answers == NO_ANSWER
        return cls(subject, report.task, report.answers, unsure, report.margins > report.bounds, report.reasons)

    def at(self, a: int, b: int) -> int | None:
        answer = int(self.table[a, b - self.task.first])
        return None if answer == NO_ANSWER else answer


def refuted(left: Answers, right: Answers, at: Sequence[tuple[int, int]] = ()) -> Refuted | None:
    """The first pair on which the two certainly differ or have no answer; one that float32 shares, if there is any.

    Where `at` is given, the first of these pairs on which they do.
    """
    differ, task = _differ(left, right), left.task
    shared = task.where(differ & left.robust & right.robust)
    pairs = task.where(differ)
    known = set(pairs)
    wanted = [pair for pair in at if pair in known] if at else shared or pairs
    if not wanted:
        return None
    a, b = wanted[0]
    unsure = int((left.open | right.open).sum())
    counted = f"wrong on {int(differ.sum())} of {differ.size} inputs" + (f", {unsure} open" if unsure else "")
    expected, got = right.at(a, b), left.at(a, b)
    by = None if right.subject is Subject.ARITHMETIC else f"the {right.subject.value}"
    found = Counterexample(a, b, task, expected, got, f"the {left.subject.value}", by)
    return Refuted(found, counted, (a, b) in shared)


def _differ(left: Answers, right: Answers) -> NDArray[np.bool_]:
    """Where the two certainly differ, or certainly have no answer."""
    return ((left.table != right.table) | (left.table == NO_ANSWER)) & ~left.open & ~right.open


def agree(left: Answers, right: Answers) -> Result:
    """On every input both have one answer, and it is the same."""
    task = left.task
    claim = equals(left.subject, right.subject, task)
    doubt, differ = task.where(left.open | right.open), task.where(_differ(left, right))
    measured: dict[str, Any] = {"disagreements": len(differ), "inputs": task.size, "open": len(doubt)}
    wrong = refuted(left, right)
    if wrong is not None:
        listed = [[a, b, right.at(a, b), left.at(a, b)] for a, b in differ[:LISTED]]
        return Result(claim, wrong, measured={**measured, "wrong": listed})
    if len(doubt):
        reason = (
            f"no answer is certain on {len(doubt)} of {task.size} inputs, {_first(doubt, left.reasons, right.reasons)}"
        )
        return Result(claim, Unknown(reason), (), {}, measured)
    return Result(claim, Proved(EXHAUSTIVE), (), {"by": "exhaustive"}, measured)


def unchanged(subject: Subject, report: RoundingReport) -> Result:
    """Float32, in any order of summation, gives the answer of exact arithmetic on every input."""
    claim = on_pairs("rounding", report.task, net=subject.value)
    measured = {
        "margin": rounded(float(report.margins.min())),
        "margin_over_bound": {"median": rounded(report.median), "smallest": rounded(report.smallest)},
    }
    if report.holds:
        return Result(claim, Proved(ROUNDING), (), {"by": "running error"}, measured)
    close = report.task.where(~(report.margins > report.bounds))
    first = _first(close, report.reasons)
    reason = f"on {len(close)} inputs the margin is within what float32 can lose, {first}"
    return Result(claim, Unknown(reason), (), {}, measured)


def _first(pairs: Sequence[tuple[int, int]], *reasons: Mapping[tuple[int, int], str]) -> str:
    """The first of the pairs, and on how many and why the bounds themselves fail."""
    told = [(a, b, known[a, b]) for a, b in pairs for known in reasons if (a, b) in known]
    failed = (
        f"; on {len(told)} there is no bound, first a, b = {told[0][0]}, {told[0][1]}: {told[0][2]}" if told else ""
    )
    return f"first a, b = {pairs[0][0]}, {pairs[0][1]}{failed}"


def unchanged_student(student: FloatStudent) -> Result:
    """The same of the student in floats, by one bound for all inputs."""
    claim = on_pairs("rounding", Specification.of(student), net=Subject.STUDENT.value)
    bound, margin = student.bound, student.margin
    if bound is None:
        return Result(claim, Unknown("its values come near float32's largest"))
    measured = {
        "margin": rounded(float(margin)),
        "margin_over_bound": {"median": None, "smallest": rounded(float(margin / bound))},
    }
    if margin > bound:
        return Result(claim, Proved(ROUNDING), (), {"by": "running error"}, measured)
    return Result(claim, Unknown("the smallest margin is within what float32 can lose"), (), {}, measured)


def chain(answers: Sequence[Answers]) -> list[Result]:
    """Each subject against the one before it."""
    return [agree(left, right) for right, left in pairwise(answers)]
