"""How every stage script reads its arguments and ends: a user's mistake is one line and exit status 64."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable

from pipeline.errors import UserError, reported


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
