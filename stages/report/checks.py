"""Every certificate of the experiments, by the independent checker, before the report says what it proves."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from pipeline.errors import UserError
from pipeline.files import snapshot_paths
from verify.recheck import recheck


def check_all(keys: Sequence[str]) -> None:
    """UserError for the first proof of an experiment, or of a net that it was compressed to, that is not accepted."""
    proofs = {Path("proofs") / key: [snapshot_paths(Path("runs") / key)[-1], *students(key)] for key in keys}
    for key in keys:
        proofs |= points(Path("compressed") / key)
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for done in [pool.submit(checked, proof, nets) for proof, nets in proofs.items()]:
            done.result()


def students(key: str) -> list[Path]:
    """The compressed nets that a certificate is about."""
    nets = (Path("compressed") / key / f"{name}.safetensors" for name in ("pruned", "student_float", "student"))
    return [net for net in nets if net.exists()]


def points(compressed: Path) -> dict[Path, list[Path]]:
    """The proofs of the nets of a frontier, each with its net; of those that are proved."""
    frontier = compressed / "frontier.csv"
    rows = csv.DictReader(frontier.read_text().splitlines()) if frontier.is_file() else ()
    names = [f"units-{int(row['units']):02d}-bits-{row['bits']}" for row in rows if row["verdict"] == "Proved"]
    return {compressed / name: [compressed / f"{name}.safetensors"] for name in names}


def checked(proof: Path, nets: list[Path]) -> None:
    """No verdict goes into the report that the checker has not confirmed, of these very nets, in this run."""
    print(f"report: the checker evaluates what {proof} says", file=sys.stderr, flush=True)
    if doubts := recheck(proof, nets).doubts:
        raise UserError(f"{proof} = NOT CHECKED ({'; '.join(doubts)}): run the stage that writes it again")
