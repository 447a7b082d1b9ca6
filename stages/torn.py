"""Files of DVC's own that a kill can leave behind, on which DVC would then refuse to run.

DVC writes them in place, so that they can be cut short. They hold nothing that it cannot find again: without dvc.lock
it takes the results of finished stages from its cache of runs, and .dvc/tmp/rwlock says who is running. DVC takes a
holder of that lock for a running one as long as its number exists: also where it was killed and nobody has reaped it,
as in containers whose first process does not, and where the number has gone to another program.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError


def remove_torn_files(root: Path) -> None:
    """Remove those that were cut short in the repository `root`, or that dead processes hold, and say so on stderr."""
    rwlock = root / ".dvc" / "tmp" / "rwlock"
    for path, is_whole in ((root / "dvc.lock", whole_lock), (rwlock, whole_rwlock)):
        if path.is_file() and not is_whole(path.read_text(errors="replace")):
            path.unlink()
            print(f"{path}: was cut short by a kill; removed, so that DVC makes it again", file=sys.stderr)
    held_by = holders(rwlock.read_text()) if rwlock.is_file() else set[int]()
    if held_by and PROCESSES.is_dir() and not any(map(runs_dvc, held_by)):
        rwlock.unlink()
        print(f"{rwlock}: was left behind by a kill; removed, so that DVC makes it again", file=sys.stderr)


PROCESSES = Path("/proc")


def holders(rwlock: str) -> set[int]:
    """The numbers of the processes that DVC's lock file names."""
    held = json.loads(rwlock)
    readers = [info for infos in held.get("read", {}).values() for info in infos]
    return {int(info["pid"]) for info in [*held.get("write", {}).values(), *readers]}


def runs_dvc(number: int) -> bool:
    """Whether a process of this number is there, has not ended, and is DVC."""
    process = PROCESSES / str(number)
    try:
        state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        return state not in "ZX" and b"dvc" in (process / "cmdline").read_bytes()
    except OSError:
        return False


def whole_lock(text: str) -> bool:
    """Whether DVC reads it. What is cut within a line, or behind a key, is torn; cut elsewhere it lacks some stages."""
    if not text.endswith("\n") or text.rstrip().endswith(":"):
        return False
    try:
        return isinstance(YAML(typ="safe").load(text), dict)
    except YAMLError:
        return False


def whole_rwlock(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
