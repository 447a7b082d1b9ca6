"""Make the report of some recipes' runs, modular and streaming: python -m stages.report RECIPE... -> report/.

A recipe that `streaming.recipes` has too brings its recurrent net with it.
"""

import sys
from pathlib import Path

from pipeline import report
from pipeline.errors import UserError
from pipeline.files import write_atomically
from pipeline.params import load_params
from stages.command import run_stage


def body() -> None:
    params = load_params()
    keys = [params.run_config(recipe).key for recipe in sys.argv[1:]]
    if not keys:
        raise UserError("usage: python -m stages.report RECIPE... (names under recipes in params.yaml)")
    streaming = params.streaming
    streams = []
    if streaming is not None:
        streams = [streaming.run_config(recipe).key for recipe in sys.argv[1:] if recipe in streaming.recipes]
    out = Path("report")
    text = report.table(report.build(keys, Path(), out, streams))
    write_atomically(out / "summary.txt", text + "\n")


if __name__ == "__main__":
    run_stage("report", body)
