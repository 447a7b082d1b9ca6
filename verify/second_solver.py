"""The same formulas, given to cvc5 as they stand: `python -m verify.second_solver proof/obligations/*.smt2`.

No verdict rests on it: `Proved` needs Z3 and the checker. It is here for a reader who does not take one solver's word,
and prints each file's name, its answers and seconds. Where an answer is `sat`, something is wrong with the proof. The
exit status is 0 if every answer is `unsat`, 1 if one is `sat`, 2 otherwise, 64 on bad usage.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from verify.checker import plain

SECONDS = 300.0


def answers(text: str, seconds: float = SECONDS) -> list[str]:
    """What cvc5 says to each (check-sat) of an obligation's text: `sat`, `unsat` or `unknown`; `seconds` for each.

    Raises ValueError where cvc5 cannot read the text.
    """
    return [answer for question in questions(text) for answer in _ask(question, seconds)]


def questions(text: str) -> list[str]:
    """A file with a question in each (push 1) ... (pop 1), as one text for each: cvc5 is slow at push and pop."""
    start, *parts = text.split("(push 1)")
    return [start + part.replace("(pop 1)", "") for part in parts] or [text]


def _ask(text: str, seconds: float) -> list[str]:
    import cvc5

    api: Any = cvc5  # its wheel has no type stubs
    terms = api.TermManager()
    solver = api.Solver(terms)
    solver.setOption("tlimit-per", str(int(1000 * seconds) + 1))
    if "(set-logic QF_BV)" in text:
        solver.setOption("bitblast", "eager")
    symbols = api.SymbolManager(terms)
    parser = api.InputParser(solver, symbols)
    parser.setStringInput(api.InputLanguage.SMT_LIB_2_6, text, "obligation")
    said: list[str] = []
    try:
        while not (command := parser.nextCommand()).isNull():
            name, out = command.getCommandName(), str(command.invoke(solver, symbols)).strip()
            if name == "check-sat":
                said.append(out if out in ("sat", "unsat") else "unknown")
            elif out:
                raise ValueError(f"cvc5: {out.splitlines()[0]}")
    except RuntimeError as error:
        raise ValueError(f"cvc5: {str(error).splitlines()[0]}") from None
    return said


def main(paths: list[str]) -> int:
    if not paths:
        print("usage: python -m verify.second_solver FILE.smt2 ...", file=sys.stderr)
        return 64
    found: set[str] = set()
    for path in map(Path, paths):
        began = time.monotonic()
        try:
            said = answers(path.read_text())
        except (OSError, ValueError) as error:
            print(plain(f"{path}: {error}"), file=sys.stderr)
            return 64
        counts = ", ".join(f"{said.count(answer)} {answer}" for answer in sorted(set(said))) or "no question"
        print(f"{path.name}: {counts} in {time.monotonic() - began:.1f} s", flush=True)
        found |= set(said) or {"unknown"}
    return 0 if found == {"unsat"} else 1 if "sat" in found else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
