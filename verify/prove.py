"""The three proofs: program = arithmetic, student = program, trained net = student (and = arithmetic).

A right answer is proved by Z3 refuting the obligations of `encode`. A wrong one needs no solver: a pair that is
evaluated exactly and comes out wrong refutes the claim, and such a pair is looked for first.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verify.claims import Claim, Counterexample, Kind, Proved, Refuted, Unknown, Verdict
from verify.encode import covers, program_obligations, student_obligations
from verify.exact_net import NO_ANSWER, ExactNet
from verify.float_net import FloatNet
from verify.programs import Program
from verify.relax import by_pairs, relax
from verify.solver import Budget, Outcome, Progress, discharge

Z3 = "Z3: the negation is unsatisfiable"
EXHAUSTIVE = "exhaustive float32 evaluation"
SYMBOLIC_SHARE = 0.6  # of the time, before the proof by pairs is tried
MOST_PAIRS = 2000  # of a domain that is worth trying pair by pair after the symbolic proof ran out of time


@dataclass(frozen=True)
class Result:
    """A claim with its verdict, what the solver was asked, and what was measured on the way."""

    claim: Claim
    verdict: Verdict
    outcomes: tuple[Outcome, ...] = ()
    measured: dict[str, Any] = field(default_factory=dict)

    def doubted(self, reason: str) -> Result:
        """The same, but Unknown."""
        return replace(self, verdict=Unknown(reason))


def silent(_: str) -> None:
    """No progress lines."""


def prove_program(program: Program, budget: Budget, progress: Progress = silent) -> Result:
    """The program equals (a +- b) mod p on every input, exactly, by Z3."""
    claim = Claim(Kind.PROGRAM, program.p, program.sign)
    wrong = _first_difference(_truth(program.p, program.sign), program.answers, program.sign, "the program")
    if wrong:
        return Result(claim, Refuted(wrong))
    return _concluded(claim, discharge(program_obligations(program), budget, progress))


def prove_student(
    net: ExactNet, program: Program, proved: Result, budget: Budget, progress: Progress = silent
) -> Result:
    """The integer student equals the program on every input: both equal arithmetic, by Z3.

    `proved` is the result for this program; its obligations are part of this proof.
    """
    claim = Claim(Kind.STUDENT, net.p, net.sign)
    wrong = _first_difference(program.answers, net.answers, net.sign, "the student", "the program")
    if wrong:
        return Result(claim, Refuted(wrong))
    if not isinstance(proved.verdict, Proved):
        return Result(claim, Unknown("it agrees with the program, which is not proved to be arithmetic itself"))
    relaxation = relax(net, program)
    progress(f"margin ratio {relaxation.ratio:.2f}, {len(relaxation.exceptions)} pairs to evaluate one by one")
    measured = {"eps": list(relaxation.eps), "margin_ratio": _rounded(relaxation.ratio)}
    share = 1.0 if covers(net, relaxation) or len(net.domain) > MOST_PAIRS else SYMBOLIC_SHARE
    outcomes = discharge(student_obligations(net, relaxation), budget.share(share), progress)
    if share < 1 and any(o.result == "unknown" for o in outcomes) and not any(o.result == "sat" for o in outcomes):
        progress("the symbolic proof is open; trying the pairs one by one")
        relaxation, measured = by_pairs(net), {}
        outcomes = discharge(student_obligations(net, relaxation), budget, progress)
    measured["pairs_one_by_one"] = len(relaxation.exceptions)
    return _concluded(claim, [*proved.outcomes, *outcomes], measured)


def check_trained(trained: FloatNet, net: ExactNet | None) -> list[Result]:
    """The trained net in float32 against the student (if there is one) and against arithmetic, on every input."""
    answers, margin, _ = trained.evaluation
    p, sign, measured = trained.p, trained.sign, {"inputs": trained.p**2, "smallest_margin": _rounded(margin)}
    results = []
    if net is not None:
        wrong = _first_difference(net.answers, answers, sign, "the trained net", "the student")
        # Where neither has an answer they do not agree on one.
        differ = int(((net.answers != answers) | (answers == NO_ANSWER)).sum())
        verdict = _evaluated(wrong, trained, margin)
        results.append(
            Result(Claim(Kind.TRAINED_STUDENT, p, sign), verdict, measured={**measured, "disagreements": differ})
        )
    wrong = _first_difference(_truth(p, sign), answers, sign, "the trained net")
    verdict = _evaluated(wrong, trained, margin)
    errors = int((_truth(p, sign) != answers).sum())
    results.append(Result(Claim(Kind.TRAINED, p, sign), verdict, measured={**measured, "disagreements": errors}))
    return results


def _evaluated(wrong: Counterexample | None, trained: FloatNet, margin: float) -> Verdict:
    if wrong:
        return Refuted(wrong)
    if not trained.settled:
        return Unknown(f"right in numpy's order of summation, but the smallest margin, {margin:.2g}, is near rounding")
    return Proved(EXHAUSTIVE)


def overall(results: list[Result]) -> Verdict:
    """The chain is as good as its weakest link; no links, no proof.

    Of several refutations the one of "trained net equals arithmetic" speaks for all: it needs no explanation.
    """
    for kind in (Refuted, Unknown):
        for result in sorted(results, key=lambda result: result.claim.kind is not Kind.TRAINED):
            if isinstance(result.verdict, kind):
                return result.verdict
    if not results:
        return Unknown("nothing was claimed")
    links = ["arithmetic", "program", "student"]
    kinds = {result.claim.kind for result in results}
    if Kind.TRAINED_STUDENT in kinds:
        return Proved(" = ".join([*links, "trained net"]))
    return Proved(" = ".join(links) if Kind.STUDENT in kinds else "arithmetic = trained net")


def _truth(p: int, sign: int) -> NDArray[np.int64]:
    residues = np.arange(p, dtype=np.int64)
    return (residues[:, None] + sign * residues[None, :]) % p


def _first_difference(
    expected: NDArray[np.int64], got: NDArray[np.int64], sign: int, got_by: str, expected_by: str | None = None
) -> Counterexample | None:
    """The first pair, in the order of a then b, on which the two differ or there is no answer."""
    pairs = np.argwhere((expected != got) | (got == NO_ANSWER))
    if not len(pairs):
        return None
    a, b = (int(v) for v in pairs[0])
    values = [None if v == NO_ANSWER else v for v in (int(expected[a, b]), int(got[a, b]))]
    return Counterexample(a, b, len(expected), sign, values[0], values[1], got_by, expected_by)


def _concluded(claim: Claim, outcomes: list[Outcome], measured: dict[str, Any] | None = None) -> Result:
    verdict: Verdict = Proved(Z3)
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
    return Result(claim, verdict, tuple(outcomes), measured or {})


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")
