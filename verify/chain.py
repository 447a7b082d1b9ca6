"""The chain: arithmetic = program = integer student = student = pruned net = trained net, as good as its weakest link.

`links` says which claims a chain of given files has, `overall` what they come to, and `describe` prints the chain of a
certificate, link by link, with what each rests on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from verify.claims import NAMES, Proved, Refuted, Subject, Unknown, Verdict
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


def describe(directory: Path | str) -> tuple[list[str], str]:
    """The lines of a certificate's chain, and the verdict's word. Raises UserError where there is no certificate."""
    path = Path(directory)
    path = path / "certificate.json" if path.is_dir() else path
    try:
        text = json.loads(path.read_text())
        claims = [(entry["claim"], entry["verdict"], entry["measured"]) for entry in text["claims"]]
        rows = [(_name(claim), _said(verdict) + _margin(measured)) for claim, verdict, measured in claims]
        rows += [("weakest link", _weakest(claims)), ("verdict", _said(text["verdict"]))]
        wide = max(len(name) for name, _ in rows)
        return [f"{name:<{wide}}  {said}" for name, said in rows], str(text["verdict"]["verdict"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"{type(error).__name__} {error}"
        raise UserError(f"{path} = no certificate ({what}): write one with python -m verify prove") from None


def _name(claim: dict[str, Any]) -> str:
    return NAMES[claim["kind"]].format(**claim)


def _said(verdict: dict[str, Any]) -> str:
    if verdict["verdict"] == "Refuted":
        return f"Refuted: {verdict['counterexample']['equation']}"
    return f"{verdict['verdict']} ({verdict.get('method') or verdict['reason']})"


def _margin(measured: dict[str, Any]) -> str:
    over = measured.get("margin_over_bound")
    return f", margin over bound {over['smallest']}" if isinstance(over, dict) else ""


def _weakest(claims: Sequence[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]) -> str:
    """Refuted before Unknown before Proved; among proved ones that with the least margin over its bound."""

    def strength(entry: tuple[dict[str, Any], dict[str, Any], dict[str, Any]]) -> tuple[int, float]:
        _, verdict, measured = entry
        over = measured.get("margin_over_bound")
        smallest = over.get("smallest") if isinstance(over, dict) else None
        return ("Refuted", "Unknown", "Proved").index(verdict["verdict"]), smallest or float("inf")

    links = [entry for entry in claims if entry[0]["kind"] not in ("compact", "radius")]
    claim, verdict, measured = min(links, key=strength)
    return f"{_name(claim)}: {verdict['verdict']}{_margin(measured)}"
