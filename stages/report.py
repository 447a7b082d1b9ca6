"""Make the report of every run in params.yaml: python -m stages.report -> report/."""

from pathlib import Path

from pipeline import report
from pipeline.files import write_atomically
from pipeline.params import load_params
from stages.command import run_stage


def body() -> None:
    params = load_params()
    keys = [params.run_config(recipe).key for recipe in params.recipes]
    out = Path("report")
    text = report.table(report.build(keys, Path(), out))
    write_atomically(out / "summary.txt", text + "\n")


if __name__ == "__main__":
    run_stage("report", body)
