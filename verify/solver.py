"""Sends obligations to Z3, several at a time, against one deadline.

Only `unsat` closes an obligation. Whatever else happens (`unknown`, a timeout, a crash, unreadable output) is reported
as it is and never as unsat.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from verify.smt import Obligation

SOLVER = "z3"
Progress = Callable[[str], None]
_WORKER = Path(__file__).with_name("z3_worker.py")
_GRACE = 2.0  # a timeout of Z3's own tells more than a kill


def silent(_: str) -> None:
    """No progress lines."""


@dataclass(frozen=True)
class Budget:
    """Wall-clock seconds, counted from `start`, shared by all obligations of a proof."""

    seconds: float
    start: float

    @classmethod
    def of(cls, seconds: float) -> Budget:
        return cls(seconds, time.monotonic())

    @property
    def left(self) -> float:
        return self.start + self.seconds - time.monotonic()

    def share(self, part: float) -> Budget:
        """A budget of `part` of what is left, counted from now."""
        return replace(self.of(max(0.0, self.left) * part))


@dataclass(frozen=True)
class Outcome:
    """What the solver said of an obligation: `unsat`, `sat`, or `unknown` with its reason."""

    obligation: Obligation
    result: str
    reason: str = ""

    @property
    def closed(self) -> bool:
        return self.result == "unsat"


def solver_version() -> str:
    """Version of the z3-solver package."""
    return version("z3-solver")


def discharge(obligations: Sequence[Obligation], budget: Budget, progress: Progress, jobs: int = 0) -> list[Outcome]:
    """Decides every obligation, in order; after the first that is not closed, the rest are left undecided."""
    jobs = jobs or max(1, min(4, os.cpu_count() or 1))
    failed: list[str] = []

    def one(obligation: Obligation) -> Outcome:
        if failed:
            return Outcome(obligation, "unknown", f"not tried, {failed[0]} is open")
        began = time.monotonic()
        outcome = _decide(obligation, budget.left)
        if not outcome.closed:
            failed.append(obligation.name)
        progress(f"{obligation.name}: {outcome.result} in {time.monotonic() - began:.1f} s  {obligation.sentence}")
        return outcome

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, obligations))


def _decide(obligation: Obligation, seconds: float) -> Outcome:
    if seconds < 0.01:
        return Outcome(obligation, "unknown", "out of time")
    try:
        done = subprocess.run(
            [sys.executable, "-P", str(_WORKER), str(int(1000 * seconds) + 1)],
            input=obligation.text,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds + _GRACE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Outcome(obligation, "unknown", "out of time")
    except OSError as error:
        return Outcome(obligation, "unknown", f"the solver did not start: {error.strerror}")
    lines = done.stderr.strip().splitlines()
    if done.returncode != 0:
        return Outcome(obligation, "unknown", f"the solver failed: {lines[-1] if lines else done.returncode}")
    try:
        answer = json.loads(done.stdout)
        result, reason = answer["result"], str(answer["reason"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return Outcome(obligation, "unknown", "the solver's answer is unreadable")
    if result not in ("sat", "unsat"):
        return Outcome(obligation, "unknown", "out of time" if reason in ("timeout", "canceled") else reason)
    return Outcome(obligation, result)
