"""Any other module, by a map that its owner writes: a Python file with one function.

    def layout(state):          # a dict of names to torch tensors
        ...
        return config, weights  # a config of pipeline.nets, and the state dict of its net

The file is run: give one that you wrote or read. The checkpoint itself is never run.
"""

from __future__ import annotations

import runpy
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from interp.layouts.layout import Foreign
from pipeline.errors import UserError
from pipeline.nets import RecurrentConfig
from pipeline.nets.registry import NETS

OF_PAIRS = tuple(config for name, (config, _) in NETS.items() if name != RecurrentConfig.KIND)
Map = Callable[[Mapping[str, Tensor]], Any]


def read_map(path: Path) -> Map:
    """The function `layout` of a Python file; its errors, and those of the file, are UserErrors in one line."""

    def run(action: Callable[[], Any]) -> Any:
        try:
            return action()
        except FileNotFoundError:
            raise UserError(f"--map = {path}: no such file") from None
        except Exception as error:
            raise UserError(f"--map = {path}: {_where(error, path)}") from None

    layout = run(lambda: runpy.run_path(str(path))).get("layout")
    if not callable(layout):
        raise UserError(f"--map = {path}: defines no function layout(state)")
    return lambda state: run(lambda: layout(dict(state)))


def from_map(layout: Map, state: Mapping[str, Tensor]) -> Foreign:
    """What `layout` makes of the state dict, with its types checked; config and weights meet when the net is built."""
    made = layout(state)
    if not isinstance(made, tuple) or len(made) != 2 or not isinstance(made[1], Mapping):
        raise UserError(f"--map = a layout that gave {type(made).__name__}: give (config, state dict)")
    config, weights = made
    if not isinstance(config, OF_PAIRS):
        names = ", ".join(kind.__name__ for kind in OF_PAIRS)
        raise UserError(f"--map = a config of {type(config).__name__}: give one of {names}")
    if not all(isinstance(value, Tensor) for value in weights.values()):
        raise UserError("--map = a state dict of other things than tensors: give names and tensors")
    return Foreign(config, {name: value.detach().float() for name, value in weights.items()})


def _where(error: Exception, path: Path) -> str:
    """What went wrong, and the line of the file it went wrong at."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    if isinstance(error, SyntaxError):
        return f"SyntaxError {error.msg} at line {error.lineno}"
    place = f" at line {lines[-1]}" if lines else ""
    return f"{type(error).__name__} {' '.join(str(error).split())[:120]}{place}"
