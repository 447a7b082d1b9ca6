"""How every stage script ends: a user's mistake is one line on stderr and exit status 64, with nothing written."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable

from pipeline.errors import BAD_INPUT, UserError


def run_stage(name: str, body: Callable[[], None]) -> None:
    """Run the body of a stage and exit with its status; with --help print what its module says of it."""
    if sys.argv[1:] in (["-h"], ["--help"]):
        print(inspect.getdoc(sys.modules[body.__module__]))
        sys.exit(0)
    try:
        body()
    except UserError as error:
        print(f"stages.{name}: {error}", file=sys.stderr)
        sys.exit(BAD_INPUT)


def one_argument(name: str, what: str) -> str:
    """The only command-line argument of a stage script."""
    if len(sys.argv) != 2:
        print(f"stages.{name}: usage: python -m stages.{name} {what}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    return sys.argv[1]
