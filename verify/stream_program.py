"""A machine as readable Python that runs on its own: for addition, two numerals of any length and their sum."""

from __future__ import annotations

from pipeline.tasks.machine import Machine, Table
from pipeline.tasks.streaming import StreamTask
from pipeline.tasks.streams import addition

_TABLES = '''"""{title}

Read off a trained net as a machine of {states} states; what the certificate beside it says is proved of these tables.
"""

import sys

{names}
FOLLOWING = {following}
ANSWERS = {answers}


def run(stream):
    """The answer at every step of a stream of pairs (a, b)."""
    state = 0
    for a, b in stream:
        yield ANSWERS[state][a][b]
        state = FOLLOWING[state][a][b]

'''
_ADDER = '''
def add(a, b):
    """The sum of two numerals, as a numeral. The least significant digits are read first."""
    if not a or not b or set(a + b) - set(DIGITS):
        raise ValueError(f"a, b = {a!r}, {b!r}: numerals with the digits {DIGITS} are needed")
    places = max(len(a), len(b)) + 1  # one more, where a last carry comes out
    left, right = ([DIGITS.index(digit) for digit in reversed(x.rjust(places, "0"))] for x in (a, b))
    digits = [DIGITS[answer] for answer in run(zip(left, right))]
    return "".join(reversed(digits)).lstrip("0") or "0"


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python program.py A B")
    try:
        print(add(*sys.argv[1:]))
    except ValueError as error:
        sys.exit(str(error))
'''
_OTHER = """
if __name__ == "__main__":
    # Symbols as arguments: one number a step, or two with a comma between them, such as 3,4.
    pairs = [tuple(map(int, f"{symbol},0".split(",")[:2])) for symbol in sys.argv[1:]]
    print(*run(pairs))
"""


def render(machine: Machine, task: StreamTask) -> str:
    """Source of the program; equal machines give equal bytes."""
    adds = isinstance(task, addition.Task)
    digits = "0123456789abcdef"[: task.n_left]
    tables = _TABLES.format(
        title=f"Adds numbers of any length in base {task.n_left}." if adds else f"The task {task.key}, for any length.",
        states=machine.n_states,
        names=f'DIGITS = "{digits}"' if adds else f"SYMBOLS = ({task.n_left}, {task.n_right})",
        following=_render(machine.following),
        answers=_render(machine.answers),
    )
    return tables + (_ADDER if adds else _OTHER)


def _render(table: Table) -> str:
    """Nested tuples, a line for each state and left symbol."""
    states = [",\n        ".join(_tuple(row) for row in rows) for rows in table]
    return "(\n" + "".join(f"    (\n        {rows},\n    ),\n" for rows in states) + ")"


def _tuple(row: tuple[int, ...]) -> str:
    return f"({row[0]},)" if len(row) == 1 else f"({', '.join(map(str, row))})"
