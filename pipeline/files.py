"""Files that are there whole or not at all, with bytes that depend on their contents only."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from errno import EDQUOT, ENOSPC
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from pipeline.cycles import snapshot_cycles
from pipeline.errors import UserError

RUN_FILES = ("params.json", "history.csv", "accuracy.csv", "lessons.csv", "taught.json", "snapshots")
"""What a run directory holds; the two of lessons only where a recipe teaches."""
MOST_HEADER = 1 << 20
"""Bytes of a snapshot's header that are read for its digest."""
PROBE = 1 << 16
"""Bytes that must find room where something is to be written."""


def snapshot_paths(run: Path) -> tuple[Path, ...]:
    """The snapshots of a run directory in cycle order.

    Raises UserError where there are none, and where one is missing: where params.json says which cycles have one they
    are those, and else they are consecutive. Raises it as well for a snapshot of another experiment than params.json.
    """
    paths = {}
    for path in (run / "snapshots").glob("cycle-*.safetensors"):
        digits = path.stem.removeprefix("cycle-")
        if not (digits.isascii() and digits.isdigit()) or int(digits) in paths:
            raise UserError(f"{path}: is not the one snapshot of a cycle, such as cycle-0012.safetensors; remove it")
        paths[int(digits)] = path
    if not paths:
        raise UserError(f"{run}: holds no snapshots; train the run with `python -m train`")
    values = _values(run / "params.json")
    for cycle in _expected(values) or range(min(paths), max(paths) + 1):
        if cycle not in paths:
            raise UserError(f"{run}: the snapshot of cycle {cycle} is missing; train the run again")
    for path in paths.values():
        if "digest" in values and (found := experiment_of(path)) not in ("", values["digest"]):
            said = f"of experiment {found[:12]}, and its run of {str(values['digest'])[:12]}"
            raise UserError(f"{path}: {said}; train the run again")
    return tuple(paths[cycle] for cycle in sorted(paths))


def experiment_of(snapshot: Path) -> str:
    """The digest in a snapshot's header; empty where there is none, or no header, which whoever loads it says."""
    try:
        with open(snapshot, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, MOST_HEADER)))
        return str(header["__metadata__"].get("experiment", ""))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""


def _values(params: Path) -> dict[str, Any]:
    try:
        values = json.loads(params.read_bytes())
    except (OSError, ValueError):
        return {}  # imported, or damaged, which whoever reads params.json says
    return values if isinstance(values, dict) else {}


def _expected(values: dict[str, Any]) -> tuple[int, ...]:
    """The cycles of a finished training that have a snapshot; none where params.json does not say it."""
    try:
        budget, start = values["train"], values["start"] or {"cycle": 0}
        cycles, rule = budget["steps"] // budget["cycle_steps"], budget["snapshots"]
        return snapshot_cycles(cycles, start["cycle"], rule["dense"], rule["every"])
    except (ValueError, AttributeError, KeyError, TypeError, ZeroDivisionError):
        return ()


def check_writable(path: Path) -> None:
    """UserError where a file or directory `path` cannot be written; for before the work that would then be lost.

    Writes PROBE bytes, under no name, to the nearest directory above it that is there; creates nothing.
    """
    with _written(path):
        target = path.resolve()
        if target == Path.cwd() or target in Path.cwd().parents:
            raise UserError(f"{path}: the working directory lies in it; name another")
        if target.is_mount():
            raise UserError(f"{path}: a mount point, which cannot be replaced; name a directory in it")
        above = target.parent
        while not above.exists():
            above = above.parent
        with TemporaryFile(dir=above) as file:
            file.write(bytes(PROBE))
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def _written(path: Path, within: Path | None = None, kept: str = "") -> Iterator[None]:
    """What the system refuses about files below `within`, or about none by name, is a UserError that names `path`."""
    try:
        yield
    except OSError as error:
        named = [Path(str(name)) for name in (error.filename, error.filename2) if name is not None]
        elsewhere = within is not None and named and not any(within in each.parents for each in named)
        if elsewhere or isinstance(error, BrokenPipeError):
            raise  # about a file that a block which fills a directory reads, or about what it prints
        if isinstance(error, NotADirectoryError | FileExistsError):
            raise UserError(f"{path}: lies under a file; name another") from None
        mend = "make room on its disk" if error.errno in (ENOSPC, EDQUOT) else "name another"
        raise UserError(f"{path}: cannot be written: {error.strerror}; {mend}{kept and f' ({kept})'}") from None


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write a file so that a reader, or a kill, sees the old file or the new one and nothing between.

    What a kill leaves beside it has a fixed name, so that the next write of the same file takes it away. Raises
    UserError where it cannot be written, with nothing left beside it.
    """
    if path.is_dir():
        raise UserError(f"{path}: a directory; name a file")
    temporary = path.with_name(f".{path.name}.part")
    with _written(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "wb") as file:
                file.write(data.encode() if isinstance(data, str) else data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise


def only_replaces(out: Path, ours: Collection[str]) -> None:
    """UserError where `out` cannot be written, is no directory, or holds something else than files of these names."""
    check_writable(out)
    if not out.exists():
        return
    others = sorted({path.name for path in out.iterdir()} - set(ours)) if out.is_dir() else [out.name]
    if others:
        raise UserError(f"--out = {out}: holds something else ({others[0]}) that would be lost; name a new directory")


@contextmanager
def fresh_directory(path: Path, kept: str = "") -> Iterator[Path]:
    """A new directory to fill; it takes the place of `path` when the block ends well and vanishes when it does not.

    Raises UserError where it cannot be written, at once or later; that says what is `kept`. Between the two renames at
    the end, and there only, a kill leaves nothing at `path`: the old directory is then beside it, as `.<name>.old`.
    """
    check_writable(path)
    temporary = path.with_name(f".{path.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with _written(path, path.parent, kept):
            temporary.mkdir(parents=True)
            yield temporary
            old = path.with_name(f".{path.name}.old")
            shutil.rmtree(old, ignore_errors=True)
            if path.exists():
                os.replace(path, old)
            os.replace(temporary, path)
            shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def copy_files(source: Path, target: Path) -> None:
    """A new directory `target` with copies of the files of `source`; OSError, with the system's reason, where not."""
    target.mkdir()
    for path in sorted(source.iterdir()):
        shutil.copyfile(path, target / path.name)


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
