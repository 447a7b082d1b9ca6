"""What came of a claim."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

from verify.claims import Claim, Unknown, Verdict
from verify.solver import Outcome


@dataclass(frozen=True)
class Result:
    """A claim with its verdict, what the solver was asked, what closes it, and what was measured on the way."""

    claim: Claim
    verdict: Verdict
    outcomes: tuple[Outcome, ...] = ()
    evidence: dict[str, Any] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)

    def doubted(self, reason: str) -> Result:
        """The same, but Unknown."""
        return replace(self, verdict=Unknown(reason))


def rounded(value: float) -> float | None:
    """Three digits, for readers; None for what is no number."""
    return float(f"{value:.3g}") if math.isfinite(value) else None
