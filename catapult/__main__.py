"""catapult ROOM ...: the command line of a room, as `python -m ROOM ...` in the repository."""

from __future__ import annotations

import runpy
import sys

from pipeline.errors import UserError, reported

COMMANDS = {
    "train": "train an experiment of params.yaml, go on from a net, find how high rates may go",
    "interp": "measures, phases and circuits of a run; checkpoints of others in, circuits out",
    "compress": "from a trained net to a small integer net",
    "verify": "prove what nets compute, check certificates",
}


def main() -> int:
    return reported("catapult", run)


def run() -> int:
    """Run the room that the first argument names, with the others; its exit status."""
    given = sys.argv[1:]
    if not given or given[0] in ("-h", "--help"):
        print("usage: catapult ROOM ...      (catapult ROOM --help says more)\n")
        print("\n".join(f"  {name:<10}{text}" for name, text in COMMANDS.items()))
        return 0
    room, *arguments = given
    if room not in COMMANDS:
        raise UserError(f"{room}: no such command; choose one of {', '.join(COMMANDS)}")
    sys.argv = [f"catapult {room}", *arguments]
    try:
        runpy.run_module(room, run_name="__main__", alter_sys=False)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
