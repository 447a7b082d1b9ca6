"""Analyse every snapshot of a run: python -m stages.interp RECIPE -> analysis/<key>/."""

from pathlib import Path

from pipeline.params import load_params
from stages.command import one_argument, run_stage


def body() -> None:
    params = load_params()
    key = params.run_key(one_argument("interp", "RECIPE"))
    from interp.analyse import analyse_run

    analyse_run(Path("runs") / key, Path("analysis") / key, params.interp)


if __name__ == "__main__":
    run_stage("interp", body)
