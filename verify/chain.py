"""The chain: arithmetic = program = integer student = student = pruned net = trained net, as good as its weakest link.

`links` says which claims a chain of given files has, `overall` what they come to; `recheck` prints the chain of a
certificate, link by link, with what each rests on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from verify.claims import Proved, Refuted, Subject, Unknown, Verdict
from verify.results import Result

ORDER = tuple(Subject)


def overall(results: Sequence[Result]) -> Verdict:
    """A refuted link refutes, that with arithmetic itself first; then the first open one; else the chain is proved.

    The trained net's claim about rounding is a link too; what is said of other radii and roundings stands beside it.
    """
    chain = [result for result in results if result.claim.kind == "equals"]
    first = sorted(chain, key=lambda result: not _is_last(result))
    for result in first:
        if isinstance(result.verdict, Refuted):
            return result.verdict
    trained = [r for r in results if r.claim.kind == "rounding" and r.claim["net"] == Subject.TRAINED.value]
    for result in [*first, *trained]:
        if isinstance(result.verdict, Unknown):
            return result.verdict
    if not chain:
        return Unknown("nothing was claimed")
    return Proved(method(subject for result in chain for subject in (result.claim["left"], result.claim["right"])))


def method(subjects: Iterable[str | int]) -> str:
    """The chain in a line."""
    there = set(subjects)
    return " = ".join(subject.value for subject in ORDER if subject.value in there)


def _is_last(result: Result) -> bool:
    claim = result.claim
    return (claim["left"], claim["right"]) == (Subject.TRAINED.value, Subject.ARITHMETIC.value)
