"""A machine as readable Python that runs on its own: for addition, two numerals of any length and their sum."""

from __future__ import annotations

from pipeline.tasks.machine import Machine, Table
from pipeline.tasks.streaming import StreamTask
from pipeline.tasks.streams import addition

_TABLES = '''"""{title}

Read off a trained net as a machine of {states}; what the certificate beside it says is proved of these tables.
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
        raise ValueError(f"a, b = {a!r}, {b!r}: give numerals with the digits {DIGITS}")
    places = max(len(a), len(b)) + 1  # one more, where a last carry comes out
    left, right = ([DIGITS.index(digit) for digit in reversed(x.rjust(places, "0"))] for x in (a, b))
    digits = [DIGITS[answer] for answer in run(zip(left, right))]
    return "".join(reversed(digits)).lstrip("0") or "0"


def main(words):
    """What is printed of two numerals."""
    return add(*words) if len(words) == 2 else None
'''
_OTHER = '''
def pair(word):
    """The pair (a, b) that an argument stands for."""
    sides = word.split(",") if SYMBOLS[1] > 1 else [word, "0"]
    if len(sides) != 2 or any(side not in map(str, range(n)) for side, n in zip(sides, SYMBOLS)):
        raise ValueError(f"symbol = {word!r}: give {GIVE}")
    return tuple(map(int, sides))


def main(words):
    """What is printed of a stream: the answer at every step."""
    return " ".join(map(str, run([pair(word) for word in words]))) if words else None
'''
_END = """

if __name__ == "__main__":
    if sys.argv[1:] == ["--help"]:
        print(USAGE)
        sys.exit(0)
    try:
        said = main(sys.argv[1:])
    except ValueError as error:
        print(error, file=sys.stderr)
        sys.exit(64)
    if said is None:
        print(USAGE, file=sys.stderr)
        sys.exit(64)
    print(said)
"""


def render(machine: Machine, task: StreamTask) -> str:
    """Source of the program; equal machines give equal bytes."""
    adds = isinstance(task, addition.Task)
    tables = _TABLES.format(
        title=f"Adds numbers of any length in base {task.n_left}." if adds else _title(task),
        states=f"{machine.n_states} state{'s' if machine.n_states != 1 else ''}",
        names=_numerals(task) if adds else _symbols(task),
        following=_render(machine.following),
        answers=_render(machine.answers),
    )
    return tables + (_ADDER if adds else _OTHER) + _END


def _title(task: StreamTask) -> str:
    """The task and its options in a sentence that a docstring can hold."""
    options = ", ".join(f"{key} = {value}" for key, value in task.to_dict().items() if key != "name")
    title = f"The task {task.name}{f' ({options})' if options else ''}, step by step."
    return title.replace("\\", "\\\\").replace('"', '\\"')


def _numerals(task: StreamTask) -> str:
    digits = "0123456789abcdef"[: task.n_left]
    return f'DIGITS = "{digits}"\nUSAGE = "usage: python program.py A B (numerals with the digits {digits})"'


def _symbols(task: StreamTask) -> str:
    """What an argument may be: one number where there is one right symbol, else two."""
    left, right = f"from 0 to {task.n_left - 1}", f"from 0 to {task.n_right - 1}"
    give, form = (f"a,b with a {left} and b {right}", "a,b") if task.n_right > 1 else (f"a number {left}", "a")
    usage = f"usage: python program.py {form} {form} ... (for every step {give})"
    return f'SYMBOLS = ({task.n_left}, {task.n_right})\nGIVE = "{give}"\nUSAGE = "{usage}"'


def _render(table: Table) -> str:
    """Nested tuples, a line for each state and left symbol."""
    states = [",\n        ".join(_tuple(row) for row in rows) for rows in table]
    return "(\n" + "".join(f"    (\n        {rows},\n    ),\n" for rows in states) + ")"


def _tuple(row: tuple[int, ...]) -> str:
    return f"({row[0]},)" if len(row) == 1 else f"({', '.join(map(str, row))})"
