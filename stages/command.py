"""How every stage script reads its arguments and ends: a user's mistake is one line and exit status 64."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path

from pipeline.errors import UserError, reported
from pipeline.experiment import Experiment
from pipeline.params import load_params
from pipeline.run_params import run_params

RESOLVED = Path("resolved")
"""Where stages.params leaves every experiment with everything that it names."""


def run_stage(name: str, body: Callable[[], None]) -> None:
    """Run the body of a stage and exit with its status; with --help print what its module says of it."""
    if sys.argv[1:] in (["-h"], ["--help"]):
        print(inspect.getdoc(sys.modules[body.__module__]))
        sys.exit(0)

    def to_its_end() -> int:
        body()
        return 0

    sys.exit(reported(f"stages.{name}", to_its_end))


def one_argument(name: str, what: str) -> str:
    """The only command-line argument of a stage script."""
    if len(sys.argv) != 2:
        raise UserError(f"usage: python -m stages.{name} {what}")
    return sys.argv[1]


def no_argument(name: str) -> None:
    """For a stage script that takes none."""
    if len(sys.argv) != 1:
        raise UserError(f"usage: python -m stages.{name}")


def chosen(name: str) -> Experiment:
    """The experiment that a stage script is asked for, as stages.params resolved it."""
    wanted = one_argument(name, "NAME")
    now = load_params().experiment(wanted)
    path = RESOLVED / f"{wanted}.json"
    if not path.is_file() or path.read_text() != now.to_json():
        raise UserError(f"{path}: not what params.yaml and train/recipes say now; run `python -m stages.params` first")
    return now


def run_of(experiment: Experiment) -> Path:
    """The run of an experiment; UserError where what lies there was trained by another one."""
    run = Path("runs") / experiment.name
    found = run_params(run).get("digest")
    if found != experiment.digest:
        raise UserError(
            f"{run}: of experiment {str(found)[:12]}, and params.yaml says {experiment.digest[:12]}; "
            f"run `python -m stages.train {experiment.name}` again"
        )
    return run


def logger(stage: str, experiment: Experiment) -> Callable[[str], None]:
    """Prints what a stage reports while it works, to stderr."""
    return lambda text: print(f"{stage} {experiment.name}: {text}", file=sys.stderr, flush=True)
