"""Compress the last snapshot of a run: python -m stages.compress NAME -> compressed/NAME/."""

from pathlib import Path

from pipeline.params import load_params
from stages.command import chosen, logger, run_of, run_stage


def body() -> None:
    experiment, params = chosen("compress"), load_params()
    from compress.room import compress

    analysis, out = (Path(folder) / experiment.name for folder in ("analysis", "compressed"))
    print(compress(run_of(experiment), analysis, out, params.compress, params.verify, logger("compress", experiment)))


if __name__ == "__main__":
    run_stage("compress", body)
