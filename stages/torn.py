"""Files of DVC's own that a kill can leave half-written, on which DVC would then refuse to run.

DVC writes them in place. They hold nothing that it cannot find again: without dvc.lock it takes the results of finished
stages from its cache of runs, and .dvc/tmp/rwlock says who is running.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError


def remove_torn_files(root: Path) -> None:
    """Remove those that were cut short in the repository `root`, and say so on stderr."""
    for path, is_whole in ((root / "dvc.lock", whole_lock), (root / ".dvc" / "tmp" / "rwlock", whole_rwlock)):
        if path.is_file() and not is_whole(path.read_text(errors="replace")):
            path.unlink()
            print(f"{path}: was cut short by a kill; removed, so that DVC makes it again", file=sys.stderr)


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
