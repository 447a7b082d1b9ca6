"""Run directories and snapshots: what training hands to everything after it.

A snapshot is a safetensors file whose header holds the net's shape and where it comes from. Reading one parses
numbers and JSON; nothing in the file is ever executed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, overload

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from typing_extensions import TypeVar

from pipeline.errors import UserError
from pipeline.files import snapshot_paths, sorted_header, write_atomically
from pipeline.nets import Net, Transformer, build_net, config_from, describe
from pipeline.tasks import ModularTask

SNAPSHOT_FORMAT = "catapult-snapshot-1"
AnyNet = TypeVar("AnyNet", bound=Net, default=Transformer)


@dataclass(frozen=True)
class Snapshot(Generic[AnyNet]):
    """A net at one moment of a run. `net` is in evaluation mode, on the CPU."""

    net: AnyNet
    task: ModularTask
    train_fraction: float
    recipe: str
    seed: int
    cycle: int
    step: int

    def with_net(self, net: AnyNet) -> Snapshot[AnyNet]:
        """The same provenance with another net, such as a pruned one."""
        return replace(self, net=net)

    def split(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The (train, test) pair numbers this net was trained and held out on."""
        return self.task.split(self.train_fraction, self.seed)


@dataclass(frozen=True)
class Run:
    """A directory named by what it is, with its resolved parameters, history and snapshots in cycle order."""

    key: str
    directory: Path
    task: ModularTask
    train_fraction: float
    recipe: str
    seed: int
    snapshots: tuple[Path, ...]

    @classmethod
    def open(cls, directory: Path) -> Run:
        """Read `directory`; raises UserError where it is not a run."""
        path = directory / "params.json"
        try:
            params = json.loads(path.read_text())
            if "p" not in params["task"]:
                raise UserError(f"{directory}: a run of {params['task']['name']}; give one of a task on pairs, mod p")
            task = ModularTask(params["task"]["p"], params["task"]["operation"])
            run = cls(
                key=params["key"],
                directory=directory,
                task=task,
                train_fraction=params["task"]["train_fraction"],
                recipe=params["recipe"]["name"],
                seed=params["seed"],
                snapshots=snapshot_paths(directory),
            )
        except FileNotFoundError:
            raise UserError(f"{directory}: not a run (no params.json); make one with `python -m train`") from None
        except (json.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
            raise UserError(f"{path}: damaged ({error}); train the run again") from None
        return run

    def split(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The (train, test) pair numbers of this run."""
        return self.task.split(self.train_fraction, self.seed)


def save_snapshot(path: Path, snapshot: Snapshot[Any]) -> None:
    """Write a snapshot so that it is there whole or not at all."""
    task = {
        "name": "modular",
        "operation": snapshot.task.operation,
        "p": snapshot.task.p,
        "train_fraction": snapshot.train_fraction,
    }
    header = {
        "format": SNAPSHOT_FORMAT,
        "net": json.dumps(describe(snapshot.net.config), sort_keys=True),
        "task": json.dumps(task, sort_keys=True),
        "recipe": snapshot.recipe,
        "seed": str(snapshot.seed),
        "cycle": str(snapshot.cycle),
        "step": str(snapshot.step),
    }
    tensors = {name: value.detach().cpu().contiguous() for name, value in snapshot.net.state_dict().items()}
    write_atomically(path, sorted_header(save(tensors, metadata=header)))


@overload
def load_snapshot(path: Path) -> Snapshot[Transformer]: ...
@overload
def load_snapshot(path: Path, kind: type[AnyNet]) -> Snapshot[AnyNet]: ...
def load_snapshot(path: Path, kind: type[Net] = Transformer) -> Snapshot[Any]:
    """Rebuild the net from the file alone; raises UserError where the file is not a whole, finite snapshot.

    `kind` is the class of net that the caller can work with; `Net` takes every one.
    """
    if path.is_dir():
        raise UserError(f"{path}: a directory; give one snapshot, such as its snapshots/cycle-0001.safetensors")
    try:
        with safe_open(path, framework="pt") as file:
            header: dict[str, str] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except FileNotFoundError:
        raise UserError(f"{path}: no such snapshot") from None
    except SafetensorError as error:
        raise UserError(f"{path}: not a readable safetensors file ({error}); give a snapshot of a run") from None
    if header.get("format") != SNAPSHOT_FORMAT:
        raise UserError(f"{path}: format is {header.get('format')!r}, not {SNAPSHOT_FORMAT}; train the run again")
    try:
        config = config_from(json.loads(header["net"]))
        net = build_net(config)
        if config.KIND == "recurrent":
            raise UserError(f"{path}: net kind is 'recurrent'; load it with pipeline.stream_runs.load_stream_snapshot")
        if not isinstance(net, kind):
            raise UserError(f"{path}: net kind is {config.KIND!r}; this needs a {kind.__name__}")
        net.load_state_dict(tensors)
        task = json.loads(header["task"])
        snapshot = Snapshot(
            net=net.eval(),
            task=ModularTask(task["p"], task["operation"]),
            train_fraction=task["train_fraction"],
            recipe=header["recipe"],
            seed=int(header["seed"]),
            cycle=int(header["cycle"]),
            step=int(header["step"]),
        )
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        problem = " ".join(str(error).split())[:160]
        raise UserError(f"{path}: header and tensors do not make a net ({problem}); train the run again") from None
    if not all(torch.isfinite(value).all() for value in tensors.values()):
        raise UserError(f"{path}: holds weights that are not finite; train the run again")
    return snapshot
