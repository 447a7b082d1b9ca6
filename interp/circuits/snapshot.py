"""The snapshot of a run that a user names."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import UserError
from pipeline.runs import Run


def choose_snapshot(run: Run, which: str) -> Path:
    """That of cycle `which`, or the `last` one; UserError where there is none."""
    named = {str(int(path.stem.removeprefix("cycle-"))): path for path in run.snapshots}
    path = run.snapshots[-1] if which == "last" else named.get(which.lstrip("0") or "0")
    if path is None:
        raise UserError(f"--snapshot = {which}: no such cycle; {run.directory} has {', '.join(named)}, or say last")
    return path
