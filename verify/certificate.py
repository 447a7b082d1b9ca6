"""The certificate: what was claimed of which bytes, what the solver was asked, and what came of it.

JSON with a schema name and sorted keys; equal inputs give equal bytes, so there are no times, hosts or paths in it. The
formulas lie beside it as obligations/<name>.smt2, each pinned by its hash.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verify.claims import Verdict, task_name
from verify.prove import Result
from verify.solver import SOLVER, solver_version

SCHEMA = "catapult-certificate-1"
OBLIGATIONS = "obligations"


@dataclass(frozen=True)
class Certificate:
    """The results for one task, the SHA-256 of each file they speak about, and the verdict on the chain."""

    p: int
    sign: int
    files: dict[str, str]
    results: tuple[Result, ...]
    verdict: Verdict

    def to_dict(self) -> dict[str, Any]:
        return {
            "claims": [_claim(result) for result in self.results],
            "files": {name: {"sha256": digest} for name, digest in self.files.items()},
            "schema": SCHEMA,
            "solver": {"name": SOLVER, "version": solver_version()},
            "task": {
                "name": task_name(self.p, self.sign),
                "operation": "addition" if self.sign == 1 else "subtraction",
                "p": self.p,
            },
            "verdict": self.verdict.to_dict(),
        }

    def render(self) -> str:
        return json.dumps(self.to_dict(), sort_keys=True, indent=1, allow_nan=False) + "\n"

    def write(self, directory: Path) -> None:
        """certificate.json and obligations/*.smt2 in `directory`, which exists."""
        (directory / OBLIGATIONS).mkdir(exist_ok=True)
        for result in self.results:
            for outcome in result.outcomes:
                path = directory / OBLIGATIONS / f"{outcome.obligation.name}.smt2"
                path.write_bytes(outcome.obligation.text.encode())
        (directory / "certificate.json").write_bytes(self.render().encode())


def _claim(result: Result) -> dict[str, Any]:
    return {
        "claim": result.claim.to_dict(),
        "measured": result.measured,
        "obligations": [
            {
                "file": f"{OBLIGATIONS}/{outcome.obligation.name}.smt2",
                "name": outcome.obligation.name,
                "result": outcome.result,
                "sentence": outcome.obligation.sentence,
                "sha256": outcome.obligation.sha256,
            }
            for outcome in result.outcomes
        ],
        "sentence": result.claim.sentence,
        "verdict": result.verdict.to_dict(),
    }
