"""What the checker does not confirm is Unknown: that claim, with its reason, and no other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from verify import checker
from verify.claims import Unknown
from verify.results import Result
from verify.solver import Progress

Doubts = Mapping[str, checker.Finding]
"""By the name of a claim, what the checker says against it, or that its bounds are too coarse."""


def doubts(
    directory: Path, files: Sequence[Path], names: Collection[str], made: dict[Any, Any] | None = None
) -> Doubts:
    """Of the certificate in `directory`, and of all claims of these `names` where the checker rejects the whole.

    `made` keeps the checker's evaluations from one certificate of these files to the next.
    """
    try:
        found = checker.judge(directory / "certificate.json", files, made)
    except Exception as error:
        # Whatever goes wrong in there, nothing was confirmed.
        how = f"{type(error).__name__}: {error}"
        return {name: checker.Finding("", name, checker.REJECTED, how) for name in names}
    # What was not checked is not confirmed, either.
    confirmed = (checker.ACCEPTED, checker.OPEN)
    return {finding.name: finding for finding in found.findings if finding.state not in confirmed}


def doubted(result: Result, doubt: checker.Finding) -> Result:
    """The same claim, Unknown."""
    return result.doubted(f"the checker: {doubt.how}")


def standing(
    results: Sequence[Result],
    write: Callable[[Sequence[Result]], None],
    ask: Callable[[], Doubts],
    progress: Progress,
    mend: Callable[[Result, checker.Finding], Result] = doubted,
) -> list[Result]:
    """The results that the checker confirms, written and judged again until it has nothing against any.

    `write` writes their certificate, and `ask` lets the checker judge it. What it does not confirm the first time goes
    to `mend`, which may know another counterexample; what it does not confirm then is doubted.
    """
    standing, mends, said = list(results), mend, "it comes to the same verdicts"
    while True:
        write(standing)
        found = ask()
        open_ones = {r.claim.name for r in standing if r.claim.name in found and not isinstance(r.verdict, Unknown)}
        if not open_ones:
            progress(f"checker: {said}")
            return standing
        for name in sorted(open_ones):
            progress(f"checker: {name}: {found[name].how}")
        standing = [mends(r, found[r.claim.name]) if r.claim.name in open_ones else r for r in standing]
        mends, said = doubted, "it confirms the others"
