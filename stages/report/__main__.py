"""Make the report of all experiments of params.yaml: python -m stages.report -> report/.

Every certificate is checked first, against the nets of its run, by the independent checker: what is not accepted stops
the stage.
"""

from pathlib import Path

from pipeline.files import write_atomically
from pipeline.params import load_params
from stages.command import no_argument, run_of, run_stage
from stages.report import build, table
from stages.report.checks import check_all


def body() -> None:
    no_argument("report")
    params = load_params()
    keys = list(params.experiments)
    for key in keys:
        run_of(params.experiment(key))
    check_all(keys)
    out = Path("report")
    write_atomically(out / "summary.txt", table(build(keys, Path(), out)) + "\n")


if __name__ == "__main__":
    run_stage("report", body)
