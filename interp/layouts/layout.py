"""What every layout reads from, a checked state dict and the settings beside it, and what it makes of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from pipeline.errors import UserError
from pipeline.nets import NetConfig
from pipeline.tasks import ModularTask

T = TypeVar("T")
OPERATORS = {"+": "addition", "-": "subtraction", "*": "multiplication"}


@dataclass(frozen=True)
class Foreign:
    """A net of ours as config and weights. `notes`: what was taken for granted, and what the file holds beyond it."""

    config: NetConfig
    state: dict[str, Tensor]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """What a config file and the command line say of a checkpoint; what its tensors cannot say themselves."""

    values: Mapping[str, Any]

    def __contains__(self, key: str) -> bool:
        return self.values.get(key) is not None

    def choice(self, key: str, known: Mapping[str, T]) -> T | None:
        """What the word under `key` stands for; None where nothing is said, UserError for an unknown word."""
        if key not in self:
            return None
        word = str(self.values[key])
        if word not in known:
            raise UserError(f"{key} = {word}: not known here; choose one of {', '.join(known)}")
        return known[word]

    def share(self, key: str) -> float | None:
        """A number from 0 to 1."""
        if key not in self:
            return None
        value = self.values[key]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise UserError(f"{key} = {value}: give a number from 0 to 1")
        return float(value)

    def agree(self, **found: int) -> None:
        """UserError where a number said differs from the one found in the tensors."""
        for key, number in found.items():
            if key in self and self.values[key] != number:
                raise UserError(f"{key} = {self.values[key]}: the tensors say {number}; give the config of this file")

    def check_fixed(self, fixed: Mapping[str, object]) -> None:
        """UserError where the config asks for something else than the one thing that nets here do."""
        for key, value in fixed.items():
            if key in self and self.values[key] != value:
                raise UserError(f"{key} = {self.values[key]}: nets here have {key} = {value} only")

    def check_task(self, task: ModularTask) -> None:
        """UserError where the config is of another modulus or operation than `task`."""
        for key in ("C", "p"):
            if key in self and self.values[key] != task.p:
                raise UserError(f"{key} = {self.values[key]}: a net for that modulus, not for --p {task.p}")
        said = re.search(r"x\[0\]\s*([-+*])\s*x\[1\]\s*\)\s*%", str(self.values.get("funcs")))
        if said and OPERATORS[said[1]] != task.operation:
            raise UserError(f"funcs = {self.values['funcs']}: {OPERATORS[said[1]]}, not --operation {task.operation}")


class Tensors:
    """A state dict whose every tensor is to be taken once, or named as one that is no weight."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        self._left = dict(state)

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def shape(self, name: str) -> tuple[int, ...]:
        """Of a tensor not taken yet; UserError where there is none."""
        if name not in self._left:
            there = ", ".join(list(self._left)[:4]) or "nothing more"
            raise UserError(
                f"{name} = missing: this layout needs it; the file has {there}: "
                "use --layout module --map FILE for other names"
            )
        return tuple(self._left[name].shape)

    def take(self, name: str, *shapes: Sequence[int]) -> Tensor:
        """The tensor in float32; UserError where it is missing, of none of `shapes`, or not finite."""
        shape = self.shape(name)
        if shape not in [tuple(wanted) for wanted in shapes]:
            raise UserError(f"{name} = {list(shape)}: {' or '.join(str(list(s)) for s in shapes)} is needed")
        value = self._left.pop(name)
        if not value.is_floating_point() or value.layout != torch.strided or value.device.type != "cpu":
            raise UserError(f"{name} = {value.dtype} on {value.device}: a plain tensor of floats is needed")
        value = value.detach().float()
        if not bool(torch.isfinite(value).all()):
            raise UserError(f"{name} = not finite: the file holds NaN or infinity")
        return value

    def drop(self, pattern: str) -> None:
        """Leave out the tensors whose whole name matches: buffers such as masks."""
        self._left = {name: value for name, value in self._left.items() if not re.fullmatch(pattern, name)}

    def finish(self) -> None:
        """UserError where a tensor is left that no layout has a place for."""
        if self._left:
            names = ", ".join(sorted(self._left)[:4])
            raise UserError(
                f"{names} = unknown: {len(self._left)} tensors that the layout has no place for; "
                "use --layout module --map FILE"
            )
