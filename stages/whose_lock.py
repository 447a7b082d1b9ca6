"""Whose dvc.lock is it? python -m stages.whose_lock: exit status 0 where this machine makes the bytes that it names.

Where it does not, status 1 and a line; `make repro` then tells git to leave dvc.lock, which DVC writes, alone.
"""

import os
import sys

from pipeline.instruction_set import SWITCH, has_instruction_set


def main() -> int:
    if os.environ.get(SWITCH, "same") == "same" and has_instruction_set():
        return 0
    print(
        "results have other bytes here than dvc.lock of the repository names: it is yours from here on, and git leaves it "
        "alone (until git update-index --no-skip-worktree dvc.lock)"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
