"""The one exception that is a user's doing rather than a defect, and how every command ends on it."""

from __future__ import annotations

import sys
from collections.abc import Callable

BAD_INPUT = 64
"""Exit status of every command for a user's mistake; EX_USAGE of sysexits.h. 1 and 2 are verdicts of `verify`."""


INTERRUPTED = 130
"""Exit status after Ctrl-C, that of shells: 128 + SIGINT."""


class UserError(Exception):
    """A mistake the user can mend: one line that names the thing, its value and the mend.

    Commands print it to stderr without a traceback and exit with BAD_INPUT, having written nothing.
    """


def reported(name: str, body: Callable[[], int]) -> int:
    """The exit status of `body`; a UserError or Ctrl-C is one line that begins with `name`."""
    try:
        return body()
    except UserError as error:
        print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return INTERRUPTED
