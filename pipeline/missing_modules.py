"""One line in place of a traceback where a command runs in a Python that lacks a module the project needs.

Every package that has commands imports this first, before anything that may be missing. It acts where `python -m` is
looking for one of them and leaves a program that imports the package alone.
"""

from __future__ import annotations

import sys
from types import TracebackType

from pipeline.errors import BAD_INPUT

OURS = ("pipeline", "train", "interp", "compress", "verify", "stages", "benchmarks")
MEND = "run `make .venv/ready`, and `. .venv/bin/activate` in every new shell"


def explained(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An excepthook: a missing module of others is one line and BAD_INPUT; anything else as it was."""
    if not isinstance(error, ModuleNotFoundError) or str(error.name).split(".")[0] in OURS:
        sys.__excepthook__(kind, error, trace)
        return
    command = sys.orig_argv[sys.orig_argv.index("-m") + 1]
    print(f"python -m {command}: the module {error.name} is missing: {MEND}", file=sys.stderr)
    sys.exit(BAD_INPUT)


if sys.argv[0] == "-m":  # what Python has there until it has found the module of the command
    sys.excepthook = explained
