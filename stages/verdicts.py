"""Judge every snapshot of a run: python -m stages.verdicts NAME -> verdicts/NAME.csv.

Of a net on pairs it is evaluated on every input, of a net on streams it is proved or refuted for every length.
"""

from pathlib import Path

from pipeline.params import load_params
from stages.command import chosen, logger, run_of, run_stage
from verify.room import judge_snapshots


def body() -> None:
    experiment, params = chosen("verdicts"), load_params().verify
    out = Path("verdicts") / f"{experiment.name}.csv"
    judge_snapshots(run_of(experiment), out, params.timeout, logger("verdicts", experiment))


if __name__ == "__main__":
    run_stage("verdicts", body)
