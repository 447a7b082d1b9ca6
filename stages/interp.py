"""Analyse every snapshot of a run: python -m stages.interp NAME -> analysis/NAME/."""

from pathlib import Path

from pipeline.params import load_params
from stages.command import chosen, run_of, run_stage


def body() -> None:
    experiment, params = chosen("interp"), load_params().interp
    from interp.room import analyse

    print(analyse(run_of(experiment), Path("analysis") / experiment.name, params))


if __name__ == "__main__":
    run_stage("interp", body)
