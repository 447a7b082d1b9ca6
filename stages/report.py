"""Make the report of some recipes' runs, modular and streaming: python -m stages.report RECIPE... -> report/.

Every certificate is checked first, against the nets of its run, by the independent checker: what is not accepted stops
the stage.
A recipe that `streaming.recipes` has too brings its recurrent net with it.
"""

import csv
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from pipeline import report
from pipeline.errors import UserError
from pipeline.files import snapshot_paths, write_atomically
from pipeline.params import load_params
from stages.command import run_stage
from verify.recheck import recheck


def body() -> None:
    params = load_params()
    keys = [params.run_key(recipe) for recipe in sys.argv[1:]]
    if not keys:
        raise UserError("usage: python -m stages.report RECIPE... (names under recipes in params.yaml)")
    streaming = params.streaming
    streams = []
    if streaming is not None:
        streams = [streaming.run_config(recipe).key for recipe in sys.argv[1:] if recipe in streaming.recipes]
    proofs = {Path("proofs") / key: [last(key), *students(key)] for key in keys}
    for key in streams:
        proofs |= {Path("proofs") / key / "last": [last(key)], **smaller(Path("compressed") / key)}
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for done in [pool.submit(checked, proof, nets) for proof, nets in proofs.items()]:
            done.result()
    out = Path("report")
    text = report.table(report.build(keys, Path(), out, streams))
    write_atomically(out / "summary.txt", text + "\n")


def last(key: str) -> Path:
    """The snapshot that a certificate of the run is about."""
    return snapshot_paths(Path("runs") / key)[-1]


def students(key: str) -> list[Path]:
    """The compressed nets that a certificate is about."""
    nets = (Path("compressed") / key / f"{name}.safetensors" for name in ("pruned", "student_float", "student"))
    return [net for net in nets if net.exists()]


def smaller(compressed: Path) -> dict[Path, list[Path]]:
    """The proofs of the nets that a recurrent net was compressed to, each with its net; of those that are proved."""
    table = compressed / "frontier.csv"
    rows = csv.DictReader(table.read_text().splitlines()) if table.is_file() else ()
    names = [f"units-{int(row['units']):02d}-bits-{row['bits']}" for row in rows if row["verdict"] == "Proved"]
    return {compressed / name: [compressed / f"{name}.safetensors"] for name in names}


def checked(proof: Path, nets: list[Path]) -> None:
    """No verdict goes into the report that the checker has not confirmed, of these very nets, in this run."""
    print(f"report: the checker evaluates what {proof} says", file=sys.stderr, flush=True)
    if doubts := recheck(proof, nets).doubts:
        raise UserError(f"{proof} = NOT CHECKED ({'; '.join(doubts)}): run the stage that writes it again")


if __name__ == "__main__":
    run_stage("report", body)
