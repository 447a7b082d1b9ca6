"""Proof status beside accuracy, cycle by cycle: what a net does, told apart by behaviour and by proof.

    proved      for streams of every length
    every       right on every stream that was tried, of every length and kind, and not proved
    heuristic   right on random streams of some length, not on the hard ones of that length
    memorised   right at the shortest length tried, which is that of training, and not at a longer one
    none        not right at any length on random streams

"Right" is at least RIGHT of the streams whole. Reads what training wrote: snapshots/, accuracy.csv, and lessons.csv
where the recipe teaches.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UserError
from pipeline.files import snapshot_paths
from verify.claims import Proved, Verdict
from verify.exact_net import file_sha256
from verify.solver import Progress
from verify.stream_run import verify_stream

RIGHT = 0.98
COLUMNS = ("cycle", "label", "verdict", "machine_states", "taught", "sha256")


@dataclass(frozen=True)
class Moment:
    """A snapshot, its file by hash: shares of right streams, by kind and length, and what can be proved of it."""

    sha256: str
    cycle: int
    taught: int
    shares: Mapping[str, float]
    verdict: Verdict
    machine_states: int | None

    @property
    def label(self) -> str:
        return "proved" if isinstance(self.verdict, Proved) else behaviour(self.shares)


def behaviour(shares: Mapping[str, float]) -> str:
    """`every`, `heuristic`, `memorised` or `none`, from shares named random_4, hard_4, random_40, ..."""
    if all(share == 1 for share in shares.values()):
        return "every"
    lengths = sorted(int(name.split("_")[1]) for name in shares if name.startswith("random"))
    on_random = [shares[f"random_{n}"] >= RIGHT for n in lengths]
    if not any(on_random):
        return "none"
    if any(right and shares[f"hard_{n}"] < RIGHT for right, n in zip(on_random, lengths, strict=True)):
        return "heuristic"
    return "memorised" if not all(on_random) else "heuristic"


def timeline(run: Path, timeout: float, progress: Progress) -> list[Moment]:
    """Every snapshot of a run with its verdict."""
    rows = table(run / "accuracy.csv")
    lessons = table(run / "lessons.csv") if (run / "lessons.csv").exists() else {}
    moments = []
    for path in snapshot_paths(run):
        cycle = int(path.stem.removeprefix("cycle-"))
        if cycle not in rows or (lessons and cycle not in lessons):
            raise UserError(f"{run}: accuracy.csv or lessons.csv has no row of cycle {cycle}; train the run again")
        proof = verify_stream(path, None, timeout).proof
        shares = {name: share for name, share in rows[cycle].items() if "_" in name}
        taught = int(lessons[cycle]["taught"]) if lessons else 0
        states = None if proof.machine is None else proof.machine.minimised().n_states
        moments.append(Moment(file_sha256(path), cycle, taught, shares, proof.verdict, states))
        progress(f"cycle {moments[-1].cycle}: behaviour {moments[-1].label}: {proof.verdict}")
    return moments


def table(path: Path) -> dict[int, dict[str, float]]:
    """The rows of a CSV file of numbers, by their cycle."""
    try:
        with open(path, newline="") as file:
            rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
        return {int(row["cycle"]): row for row in rows}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path}: cannot be read ({error}); train the run again") from None


def to_csv(moments: Sequence[Moment]) -> str:
    """One row a snapshot."""
    kinds = list(moments[0].shares)
    lines = [",".join([*COLUMNS, *kinds])]
    for moment in moments:
        states = "" if moment.machine_states is None else str(moment.machine_states)
        said = [
            str(moment.cycle),
            moment.label,
            type(moment.verdict).__name__,
            states,
            str(moment.taught),
            moment.sha256,
        ]
        lines.append(",".join([*said, *(f"{moment.shares[kind]:.6g}" for kind in kinds)]))
    return "\n".join(lines) + "\n"
