"""Evaluate every snapshot on every input: python -m stages.verdicts RECIPE -> verdicts/<key>.csv."""

import sys
from pathlib import Path

from pipeline.files import check_writable, write_atomically
from pipeline.params import load_params
from stages.command import one_argument, run_stage
from verify.verdicts import to_csv, verdicts


def body() -> None:
    key = load_params().run_key(one_argument("verdicts", "RECIPE"))
    out = Path("verdicts") / f"{key}.csv"
    check_writable(out)
    found = verdicts(Path("runs") / key, lambda text: print(f"verdicts {key}: {text}", file=sys.stderr, flush=True))
    write_atomically(out, to_csv(found))


if __name__ == "__main__":
    run_stage("verdicts", body)
