"""The certificate: what was claimed of which bytes, what closes it, what a solver was asked, and what came of it.

`CERTIFICATE.md` has the format, field by field. The formulas lie beside it as obligations/<name>.smt2, each pinned by
its hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from verify.claims import Verdict
from verify.results import Result
from verify.solver import SOLVER, solver_version
from verify.weights import read_weights

SCHEMA = "catapult-certificate-2"
OBLIGATIONS = "obligations"


@dataclass(frozen=True)
class Formula:
    """One SMT-LIB file; `result` is the solver's answer, or says how many of its obligations bounds closed."""

    name: str
    sentence: str
    text: str
    result: str

    @property
    def file(self) -> str:
        return f"{OBLIGATIONS}/{self.name}.smt2"

    def to_dict(self) -> dict[str, str]:
        return {
            "file": self.file,
            "name": self.name,
            "result": self.result,
            "sentence": self.sentence,
            "sha256": hashlib.sha256(self.text.encode()).hexdigest(),
        }


@dataclass(frozen=True)
class Entry:
    """A result, and the formulas that belong to it."""

    result: Result
    formulas: tuple[Formula, ...]

    @classmethod
    def of(cls, result: Result, more: Sequence[Formula] = ()) -> Entry:
        asked = [
            Formula(o.obligation.name, o.obligation.sentence, o.obligation.text, o.result) for o in result.outcomes
        ]
        return cls(result, (*asked, *more))

    def to_dict(self) -> dict[str, Any]:
        result = self.result
        proved = type(result.verdict).__name__ == "Proved"
        return {
            "claim": result.claim.to_dict(),
            "evidence": result.evidence if proved else {},
            "measured": result.measured,
            "obligations": [formula.to_dict() for formula in self.formulas],
            "sentence": result.claim.sentence,
            "verdict": result.verdict.to_dict(),
        }


@dataclass(frozen=True)
class Certificate:
    """`task` as data, SHA-256 and weights by subject, the claims, and the verdict on all of it."""

    task: Mapping[str, Any]
    files: Mapping[str, str]
    nets: Mapping[str, Mapping[str, Any]]
    entries: tuple[Entry, ...]
    verdict: Verdict

    def to_dict(self) -> dict[str, Any]:
        return {
            "claims": [entry.to_dict() for entry in self.entries],
            "files": {name: {"sha256": digest} for name, digest in self.files.items()},
            "nets": dict(self.nets),
            "schema": SCHEMA,
            "solvers": [{"name": SOLVER, "version": solver_version()}],
            "task": dict(self.task),
            "verdict": self.verdict.to_dict(),
        }

    def render(self) -> str:
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False) + "\n"

    def write(self, directory: Path) -> None:
        """certificate.json and obligations/*.smt2 in `directory`, which exists."""
        (directory / OBLIGATIONS).mkdir(exist_ok=True)
        for formula in (formula for entry in self.entries for formula in entry.formulas):
            (directory / formula.file).write_bytes(formula.text.encode())
        (directory / "certificate.json").write_bytes(self.render().encode())


def described(path: Path | str) -> dict[str, Any]:
    """The exact net in words: how many numbers its file stores, and what all of them are multiples of."""
    file = read_weights(path)
    values = [value for tensor in file.tensors.values() for value in np.unique(tensor).tolist()]
    k = max((Fraction(v).denominator.bit_length() - 1 for v in values), default=0)
    top = max((abs(Fraction(v)) for v in values), default=Fraction(0))
    return {
        "format": file.metadata["format"],
        "numbers": sum(int(tensor.size) for tensor in file.tensors.values()),
        "weights": f"multiples of 2^-{k} below 2^{_above(top)}",
    }


def _above(value: Fraction) -> int:
    """The least integer m with value < 2^m; 0 for 0."""
    if value == 0:
        return 0
    m = value.numerator.bit_length() - value.denominator.bit_length()
    return next(n for n in range(m - 1, m + 3) if value < Fraction(2) ** n)
