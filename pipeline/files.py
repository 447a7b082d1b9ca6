"""Files that are there whole or not at all, with bytes that depend on their contents only."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import UserError

RUN_FILES = ("params.json", "history.csv", "accuracy.csv", "taught.json", "snapshots")
"""What a run directory holds, of either kind of task."""


def snapshot_paths(run: Path) -> tuple[Path, ...]:
    """The snapshots of a run directory in cycle order; raises UserError where there are none."""
    paths = tuple(sorted((run / "snapshots").glob("cycle-*.safetensors")))
    if not paths:
        raise UserError(f"{run}: holds no snapshots; train the run with `python -m train`")
    return paths


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write a file so that a reader, or a kill, sees the old file or the new one and nothing between.

    What a kill leaves beside it has a fixed name, so that the next write of the same file takes it away.
    """
    if path.is_dir():
        raise UserError(f"{path}: a directory; name a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UserError(f"{path}: lies under a file; name another") from None
    temporary = path.with_name(f".{path.name}.part")
    with open(temporary, "wb") as file:
        file.write(data.encode() if isinstance(data, str) else data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def only_replaces(out: Path, ours: Collection[str]) -> None:
    """UserError where `out` is no directory, or holds something else than files of these names."""
    if not out.exists():
        return
    others = sorted({path.name for path in out.iterdir()} - set(ours)) if out.is_dir() else [out.name]
    if others:
        raise UserError(f"--out = {out}: holds something else ({others[0]}) that would be lost; name a new directory")


@contextmanager
def fresh_directory(path: Path) -> Iterator[Path]:
    """A new directory to fill; it takes the place of `path` when the block ends well and vanishes when it does not."""
    temporary = path.with_name(f".{path.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        old = path.with_name(f".{path.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        if path.exists():
            os.replace(path, old)
        os.replace(temporary, path)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sorted_header(data: bytes) -> bytes:
    """The same safetensors file with its header's keys in order: the library writes metadata in a random one."""
    length = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + length]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[8 + length :]


def to_json(value: Any) -> str:
    """JSON with sorted keys and floats at 6 significant digits, so that equal results are equal bytes."""
    return json.dumps(_rounded(value), sort_keys=True, indent=1, allow_nan=False) + "\n"


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
