"""Results as JSON lines: one record a line, appended whole, so that a killed command loses at most its last record."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from pipeline.errors import UserError


def append(path: Path, record: dict[str, Any]) -> None:
    """Add one record, on disk when this returns. A torn last line, of a command that was killed, is cut off first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        file.seek(0)
        written = file.read()
        file.truncate(written.rfind(b"\n") + 1)
        file.write(json.dumps(record, sort_keys=True).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> list[dict[str, Any]]:
    """All records, none where there is no file. A torn last line is left out, with a note on stderr."""
    if not path.exists():
        return []
    *lines, torn = path.read_text().split("\n")
    if torn:
        print(f"{path}: the last line is torn and left out", file=sys.stderr)
    try:
        return [json.loads(line) for line in lines]
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: not JSON lines ({error}); give a file that this command wrote") from None
