"""Foreign files read without running them: state dicts, the config beside them, and a folder's training order."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from pipeline.errors import UserError

SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".safetensors")
WRAPPERS = ("state_dict", "model_state_dict", "model")
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


def read_state(path: Path) -> dict[str, Tensor]:
    """A state dict, also one under a key such as `state_dict`. UserError for a pickle that needs more than tensors."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        value = torch.load(path, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        found = re.search(r"(?:GLOBAL|Unsupported (?:global|class|operand)):? ?(\S+)", str(error))
        what = f" ({found[1].rstrip('.,')})" if found else ""
        raise UserError(f"{path}: a pickle of more than tensors{what}; it is not run: save net.state_dict()") from None
    except (SafetensorError, RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise UserError(f"{path}: not a readable checkpoint ({' '.join(str(error).split())[:120]})") from None
    if isinstance(value, Mapping):
        inner = [value[key] for key in WRAPPERS if isinstance(value.get(key), Mapping)]
        value = inner[0] if len(inner) == 1 else value
        if value and all(isinstance(key, str) and isinstance(item, Tensor) for key, item in value.items()):
            return dict(value)
    raise UserError(f"{path}: holds no state dict (names to tensors); save net.state_dict()")


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
