"""Decides one SMT-LIB text with Z3 in a process of its own: `python -P z3_worker.py MILLISECONDS < obligation.smt2`.

A process can be ended on time whatever the solver is doing. Prints one line of JSON: result and reason.
"""

from __future__ import annotations

import ctypes
import json
import re
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent() -> None:
    """Ask Linux to kill this process when the one that waits for its answer is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main(milliseconds: int) -> None:
    import z3

    die_with_parent()
    text = sys.stdin.read()
    logic = re.search(r"\(set-logic (\w+)\)", text)
    solver = z3.SolverFor(logic.group(1)) if logic else z3.Solver()
    solver.set("timeout", milliseconds)
    solver.from_string(text)
    if not solver.assertions():
        raise ValueError("no assertion was read")
    result = solver.check()
    reason = solver.reason_unknown() if result == z3.unknown else ""
    print(json.dumps({"result": str(result), "reason": reason}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
