"""The one exception that is a user's doing rather than a defect, and how every command ends on it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

BAD_INPUT = 64
"""Exit status of every command for a user's mistake; EX_USAGE of sysexits.h. 1 and 2 are verdicts of `verify`."""
INTERRUPTED = 130
"""Exit status after Ctrl-C, that of shells: 128 + SIGINT."""
CLOSED = 141
"""Exit status where nobody reads what is printed any more, as in `| head`; that of shells: 128 + SIGPIPE."""


class UserError(Exception):
    """A mistake the user can mend: one line that names the thing, its value and the mend.

    Commands print it to stderr without a traceback and exit with BAD_INPUT, having written nothing.
    """


def one_line(text: str) -> str:
    """Text for a terminal: on one line, and with whatever is not printable escaped."""
    joined = " ".join(text.split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in joined)


def reported(name: str, body: Callable[[], int]) -> int:
    """The exit status of `body`; a UserError, a file the system refuses, or Ctrl-C is one line that begins with `name`.

    What `body` printed is flushed here, so that a full disk or a closed pipe behind stdout is found here too.
    """
    try:
        status = body()
        sys.stdout.flush()
        return status
    except UserError as error:
        return _ended(name, str(error), BAD_INPUT)
    except KeyboardInterrupt:
        return _ended(name, "interrupted", INTERRUPTED)
    except BrokenPipeError:
        _discard_stdout()
        return CLOSED
    except OSError as error:
        if error.filename is None:
            _discard_stdout()
        return _ended(name, f"{error.filename or 'output'}: {error.strerror or error}; name another file", BAD_INPUT)


def _ended(name: str, text: str, status: int) -> int:
    print(f"{name}: {one_line(text)}", file=sys.stderr)
    return status


def _discard_stdout() -> None:
    """What is still in the buffer goes nowhere, so that Python does not fail on it a second time when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
