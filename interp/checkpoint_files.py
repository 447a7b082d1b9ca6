"""Where foreign checkpoints lie: a folder's training order, and the config beside a file."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

from pipeline.errors import UserError

SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".safetensors")
STEP = re.compile(r"(?:^|[^a-z0-9]|step|epoch|checkpoint|ckpt|cycle)(\d+)$", re.IGNORECASE)


def in_order(path: Path) -> list[Path]:
    """The checkpoint itself, or those of a folder in natural order: step_20 before step_100."""
    if not path.exists():
        raise UserError(f"{path}: no such checkpoint")
    if path.is_file():
        return [path]
    found = [file for file in path.iterdir() if file.suffix in SUFFIXES and not file.name.startswith(".")]
    if not found:
        raise UserError(f"{path}: holds no checkpoints ({', '.join(SUFFIXES)})")
    return sorted(found, key=natural)


def natural(path: Path) -> list[tuple[int, str]]:
    """The name with its numbers as numbers."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def steps_of(files: list[Path]) -> list[int]:
    """The number that every name ends in, where they rise; otherwise 1, 2, 3, ..."""
    ends = [STEP.search(file.stem) for file in files]
    steps = [int(end[1]) for end in ends if end]
    rising = len(steps) == len(files) and all(a < b for a, b in pairwise(steps))
    return steps if rising else list(range(1, len(files) + 1))


def config_beside(path: Path) -> Path | None:
    """config_X.json of model_X.pt, X.json of X.pt, or config.json in the same folder; the first that is there."""
    names = [f"config_{path.stem.removeprefix('model_')}.json", f"{path.stem}.json", "config.json"]
    return next((path.with_name(name) for name in names if path.with_name(name).is_file()), None)


def read_config(path: Path) -> dict[str, Any]:
    """A JSON object; UserError otherwise."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable JSON file ({' '.join(str(error).split())[:120]})") from None
    if not isinstance(value, dict):
        raise UserError(f'{path}: a JSON object is needed, such as {{"act_fn": "relu"}}')
    return value
