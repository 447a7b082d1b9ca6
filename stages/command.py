"""How every stage script reads its arguments and ends: a user's mistake is one line and exit status 64."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path

from pipeline.errors import UserError, reported
from pipeline.experiment import Experiment, StreamParams
from pipeline.validation import checked

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
    wanted = one_argument(name, "EXPERIMENT")
    path = RESOLVED / f"{wanted}.json"
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError:
        known = ", ".join(sorted(each.stem for each in RESOLVED.glob("*.json"))) or "none; run python -m stages.params"
        raise UserError(f"experiment = {wanted!r}: not among those of params.yaml; known: {known}") from None
    return checked({key: value for key, value in values.items() if key != "digest"}, Experiment, str(path))


def reads_streams(experiment: Experiment) -> bool:
    """Whether its net reads streams of any length, and not single pairs."""
    return isinstance(experiment.task, StreamParams)


def logger(stage: str, experiment: Experiment) -> Callable[[str], None]:
    """Prints what a stage reports while it works, to stderr."""
    return lambda text: print(f"{stage} {experiment.name}: {text}", file=sys.stderr, flush=True)
