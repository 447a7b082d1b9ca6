"""The certificate of kind "invariant for all lengths": regions, machine, and how each obligation was closed.

JSON with a schema name and sorted keys; equal inputs give equal bytes, so there are no times, hosts or paths in it. The
formulas lie beside it as obligations/<name>.smt2, each pinned by its hash. `steps` has a row for each obligation of the
induction: region, a, b, how it was closed, and the split tree over whose leaves the checker's own bounds must close.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from verify.bounds import GRID_BITS
from verify.certificate import OBLIGATIONS
from verify.claims import Proved
from verify.invariant import BOUNDS, region_text
from verify.machine_proof import carries
from verify.solver import SOLVER, solver_version
from verify.stream_claims import StreamKind
from verify.stream_prove import StreamProof

SCHEMA = "catapult-invariant-1"


@dataclass(frozen=True)
class Formula:
    """One SMT-LIB file; `result` is the solver's answer, or says that bounds closed all that it states."""

    name: str
    sentence: str
    text: str
    result: str

    def to_dict(self) -> dict[str, str]:
        return {
            "file": f"{OBLIGATIONS}/{self.name}.smt2",
            "name": self.name,
            "result": self.result,
            "sentence": self.sentence,
            "sha256": hashlib.sha256(self.text.encode()).hexdigest(),
        }


def formulas(proof: StreamProof) -> list[Formula]:
    """Every obligation of both inductions."""
    listed = [
        Formula(outcome.obligation.name, outcome.obligation.sentence, outcome.obligation.text, outcome.result)
        for result in proof.results
        for outcome in result.outcomes
    ]
    invariant = proof.invariant
    if invariant is None:
        return listed
    by_name = {one.step.name: one for one in invariant.closed}
    for region, group in groupby(invariant.closed, key=lambda one: one.step.region):
        closed = list(group)
        text = region_text(proof.net.exact, [one.step for one in closed], invariant.regions)
        n_bounds = sum(one.how == BOUNDS for one in closed)
        sentence = f"from every state in region {region}, every pair gives the machine's answer and next region"
        listed.append(Formula(f"region-{region}", sentence, text, f"{n_bounds} of {len(closed)} closed by bounds"))
    for obligation in invariant.asked:
        result = "unsat" if by_name[obligation.name].how else "open"
        listed.append(Formula(obligation.name, obligation.sentence, obligation.text, result))
    return listed


def certificate(proof: StreamProof, files: dict[str, str]) -> dict[str, Any]:
    """`files` are SHA-256 by name: net, and program where there is one."""
    task, machine, invariant = proof.net.task, proof.machine, proof.invariant
    reference = task.machine()
    proved = any(r.kind is StreamKind.MACHINE and isinstance(r.verdict, Proved) for r in proof.results)
    carry = None
    if proved and task.name == "addition" and machine is not None and reference is not None:
        carry = list(carries(machine, reference, task))
    return {
        "carries": carry,
        "claims": [result.to_dict() for result in proof.results],
        "files": {name: {"sha256": digest} for name, digest in files.items()},
        "grid_bits": GRID_BITS,
        "machine": None if machine is None else machine.to_dict(),
        "net": {
            "hidden": proof.net.n_hidden,
            "parameters": proof.net.n_parameters,
            "state": proof.net.n_state,
            "weights": f"multiples of 2^-{proof.net.bits}, at most {proof.net.largest} of them",
        },
        "obligations": [formula.to_dict() for formula in formulas(proof)],
        "reference": None if reference is None else reference.to_dict(),
        "regions": [{"high": list(box.high), "low": list(box.low)} for box in invariant.regions] if invariant else [],
        "schema": SCHEMA,
        "solver": {"name": SOLVER, "version": solver_version()},
        "steps": [[one.step.region, *one.step.pair, one.how, one.tree] for one in invariant.closed]
        if invariant
        else [],
        "task": {
            **task.to_dict(),
            "key": task.key,
            "n_answers": task.n_answers,
            "n_left": task.n_left,
            "n_right": task.n_right,
        },
        "verdict": proof.verdict.to_dict(),
    }


def write_certificate(proof: StreamProof, files: dict[str, str], directory: Path) -> None:
    """certificate.json and obligations/*.smt2 in `directory`, which exists."""
    (directory / OBLIGATIONS).mkdir(exist_ok=True)
    for formula in formulas(proof):
        (directory / OBLIGATIONS / f"{formula.name}.smt2").write_bytes(formula.text.encode())
    text = json.dumps(certificate(proof, files), sort_keys=True, indent=None, separators=(",", ":"), allow_nan=False)
    (directory / "certificate.json").write_bytes((text + "\n").encode())
