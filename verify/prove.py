"""Program = arithmetic and integer student = program, by Z3.

A right answer is proved by Z3 refuting the obligations of `encode`. A wrong one needs no solver: a pair that is
evaluated exactly and comes out wrong refutes the claim, and such a pair is looked for first.
"""

from __future__ import annotations

from typing import Any

from verify.claims import Claim, Proved, Subject, Unknown, Verdict, equals
from verify.encode import covers, program_obligations, student_obligations
from verify.exact_net import ExactNet
from verify.links import EXHAUSTIVE, Answers, refuted
from verify.programs import Program
from verify.relax import by_pairs, relax
from verify.results import Result, rounded
from verify.solver import Budget, Outcome, Progress, discharge, silent
from verify.specification import Specification

BY = {"by": "exhaustive"}
SYMBOLIC_SHARE = 0.6  # of the time, before the proof by pairs is tried
MOST_PAIRS = 2000  # of a domain that is worth trying pair by pair after the symbolic proof ran out of time


def prove_program(program: Program, budget: Budget, progress: Progress = silent) -> Result:
    """The program equals (a +- b) mod p on every input, exactly, by Z3."""
    claim = equals(Subject.PROGRAM, Subject.ARITHMETIC, Specification.of(program))
    wrong = refuted(Answers.of(program), Answers.arithmetic(Specification.of(program)))
    if wrong is not None:
        return Result(claim, wrong)
    return _concluded(claim, discharge(program_obligations(program), budget, progress))


def prove_student(
    net: ExactNet, program: Program, proved: Result, budget: Budget, progress: Progress = silent
) -> Result:
    """The integer student equals the program on every input: both equal arithmetic, by Z3.

    `proved` is the result for this program; its obligations are part of this proof.
    """
    claim = equals(Subject.INTEGER, Subject.PROGRAM, Specification.of(net))
    wrong = refuted(Answers.of(net), Answers.of(program))
    if wrong is not None:
        return Result(claim, wrong)
    if not isinstance(proved.verdict, Proved):
        return Result(claim, Unknown("it agrees with the program, which is not proved to be arithmetic itself"))
    relaxation = relax(net, program)
    progress(f"margin ratio {relaxation.ratio:.2f}, {len(relaxation.exceptions)} pairs to evaluate one by one")
    measured = {"eps": list(relaxation.eps), "margin_ratio": rounded(relaxation.ratio)}
    share = 1.0 if covers(net, relaxation) or len(net.domain) > MOST_PAIRS else SYMBOLIC_SHARE
    outcomes = discharge(student_obligations(net, relaxation), budget.share(share), progress)
    if share < 1 and any(o.result == "unknown" for o in outcomes) and not any(o.result == "sat" for o in outcomes):
        progress("the symbolic proof is open; trying the pairs one by one")
        relaxation, measured = by_pairs(net), {}
        outcomes = discharge(student_obligations(net, relaxation), budget, progress)
    measured["pairs_one_by_one"] = len(relaxation.exceptions)
    return _concluded(claim, [*proved.outcomes, *outcomes], measured)


def _concluded(claim: Claim, outcomes: list[Outcome], measured: dict[str, Any] | None = None) -> Result:
    verdict: Verdict = Proved(f"solver and {EXHAUSTIVE}")
    for outcome in outcomes:
        if outcome.result == "sat":
            # The exact evaluation found no wrong answer, so a model is a defect of the encoding: say so, prove nothing.
            reason = f"{outcome.obligation.name}: Z3 found a model although exact evaluation finds no wrong answer"
            verdict = Unknown(reason)
            break
        if not outcome.closed and not isinstance(verdict, Unknown):
            verdict = Unknown(f"{outcome.obligation.name}: {outcome.reason or 'the solver gave up'}")
    if not outcomes:
        verdict = Unknown("no obligation was stated")
    return Result(claim, verdict, tuple(outcomes), BY, measured or {})
