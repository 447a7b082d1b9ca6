"""State dicts in a foreign file, read without running it: one, or a whole training's series.

    names to tensors                              as torch.save(net.state_dict()) or safetensors write it
    {"model": state dict, "config": {...}, ...}   also under state_dict, model_state_dict; the rest is not read
    {"checkpoints": [state dict, ...],            a series, also under state_dicts, model_checkpoints, snapshots;
     "checkpoint_epochs": [0, 100, ...]}          its steps also under epochs, steps. A "model" that differs from the
                                                  last of them comes after it, one step later
    [state dict, ...], {step: state dict, ...}    a series, by itself or in the place of the list above

Prefixes that wrappers of nets put before every name (`module.`, `_orig_mod.`, `model.`) are not part of a name.
"""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from pipeline.errors import UserError

WRAPPERS = ("state_dict", "model_state_dict", "model")
SERIES = ("checkpoints", "state_dicts", "model_checkpoints", "snapshots")
STEPS = ("checkpoint_epochs", "checkpoint_steps", "epochs", "steps")
CONFIGS = ("config", "cfg", "model_config")
PREFIXES = ("module.", "_orig_mod.", "model.")
State = dict[str, Tensor]


@dataclass(frozen=True)
class Stored:
    """What one file holds. `steps` of a series where it says them; `config`: the settings that lie in it."""

    states: tuple[State, ...]
    steps: tuple[int, ...] | None = None
    config: Mapping[str, Any] = field(default_factory=dict)


def read_stored(path: Path) -> Stored:
    """UserError for a pickle that needs more than tensors and plain values, and for a file without a state dict."""
    try:
        if path.suffix == ".safetensors":
            return Stored((load_file(path),))
        with warnings.catch_warnings():  # of pickles that torch did not write
            warnings.simplefilter("ignore")
            value = torch.load(path, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        found = re.search(r"(?:GLOBAL|Unsupported (?:class|operand):?) ?(\S+)", str(error))
        what = f" ({found[1].rstrip('.,')})" if found and not found[1].rstrip(".,").isdigit() else ""
        raise UserError(f"{path}: a pickle of more than tensors{what}; it is not run: save net.state_dict()") from None
    except (SafetensorError, RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        what = " ".join(str(error).split())[:120] or "it ends too early"
        raise UserError(f"{path}: not a readable checkpoint ({what})") from None
    stored = _stored(value)
    if stored is None:
        raise UserError(f"{path}: holds no state dict (names to tensors); save net.state_dict()")
    return stored


def plain_names(state: State) -> State:
    """The state dict without the prefixes that all of its names have."""
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in state):
            return plain_names({name.removeprefix(prefix): value for name, value in state.items()})
    return state


def _stored(value: object) -> Stored | None:
    series = _series(value)
    if series is not None or not isinstance(value, Mapping):
        return series
    config = next((value[key] for key in CONFIGS if isinstance(value.get(key), Mapping)), {})
    last = [state for key in WRAPPERS if (state := _state(value.get(key))) is not None]
    for key in SERIES:
        series = _series(value.get(key))
        if series is not None:
            steps = series.steps or _rising(next((value[name] for name in STEPS if name in value), None), series.states)
            return _with_last(Stored(series.states, steps, config), last)
    if len(last) == 1:
        return Stored((last[0],), None, config)
    state = _state(value)
    return None if state is None else Stored((state,), None, config)


def _series(value: object) -> Stored | None:
    """A list of state dicts, or state dicts by their step."""
    if isinstance(value, Mapping) and value and all(isinstance(key, int) for key in value):
        steps = tuple(sorted(value))
        states = [_state(value[step]) for step in steps]
    elif isinstance(value, (list, tuple)) and value:
        steps, states = None, [_state(state) for state in value]
    else:
        return None
    found = tuple(state for state in states if state is not None)
    return Stored(found, steps) if len(found) == len(states) else None


def _state(value: object) -> State | None:
    """Names to tensors; numbers and words among them (an epoch, a loss) are left out."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        return None
    state = {key: item for key, item in value.items() if isinstance(item, Tensor)}
    others = [item for item in value.values() if not isinstance(item, Tensor)]
    plain = all(item is None or isinstance(item, (int, float, str)) for item in others)
    return state if state and plain else None


def _rising(value: object, states: tuple[State, ...]) -> tuple[int, ...] | None:
    """The steps, where there is one whole number a state and they rise."""
    if not isinstance(value, (list, tuple, range)) or len(value) != len(states):
        return None
    steps = tuple(step for step in value if isinstance(step, int) and step >= 0)
    return steps if len(steps) == len(states) and all(a < b for a, b in pairwise(steps)) else None


def _with_last(series: Stored, last: list[State]) -> Stored:
    """The series and the final net behind it, one step later, where that is not the end of the series itself."""
    if len(last) != 1 or _same(series.states[-1], last[0]):
        return series
    steps = None if series.steps is None else (*series.steps, series.steps[-1] + 1)
    return Stored((*series.states, last[0]), steps, series.config)


def _same(one: State, other: State) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
