"""Run directories and snapshots: what training hands to everything after it.

A snapshot is a safetensors file whose header holds the net's shape, its task and where it comes from. Reading one
parses numbers and JSON; nothing in the file is ever executed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, cast, overload

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from typing_extensions import TypeVar

from pipeline.errors import UserError
from pipeline.files import snapshot_paths, sorted_header, write_atomically
from pipeline.nets import Net, NetConfig, Transformer, build_net, config_from, describe
from pipeline.run_params import run_params, run_task
from pipeline.tasks import ModularTask
from pipeline.tasks.registry import AnyTask, PairTask, describe_task, task_from
from pipeline.tasks.streaming import StreamTask

SNAPSHOT_FORMAT = "catapult-snapshot-1"
AnyNet = TypeVar("AnyNet", bound=Net, default=Transformer)


@dataclass(frozen=True)
class Snapshot(Generic[AnyNet]):
    """A net at one moment of a run. `net` is in evaluation mode, on the CPU.

    `train_fraction` is the share of all pairs that was shown, None where the task has no finite domain. `experiment` is
    the digest of what the net was trained by, empty where it was not trained here.
    """

    net: AnyNet
    task: AnyTask
    train_fraction: float | None
    recipe: str
    seed: int
    cycle: int
    step: int
    experiment: str = ""

    def with_net(self, net: AnyNet) -> Snapshot[AnyNet]:
        """The same provenance with another net, such as a pruned one."""
        return replace(self, net=net)

    @property
    def pair_task(self) -> PairTask:
        """Its task, where that is of pairs; UserError where it is of streams."""
        return needs_pairs(self.task, "this snapshot")

    @property
    def modular(self) -> ModularTask:
        """Its task, where that is arithmetic mod p; UserError where it is another."""
        return needs_modular(self.task, "this snapshot")

    def split(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The (train, test) pair numbers this net was trained and held out on."""
        if self.train_fraction is None:
            raise UserError("this snapshot is of a task without a finite domain, which has no split")
        return self.pair_task.split(self.train_fraction, self.seed)


def needs_pairs(task: AnyTask, what: str) -> PairTask:
    """The task itself; UserError where it is not on pairs."""
    if isinstance(task, StreamTask):
        raise UserError(f"{what} is of {describe_task(task)['name']}; give one of a task on pairs")
    return task


def needs_modular(task: AnyTask, what: str) -> ModularTask:
    """The task itself; UserError where it is not arithmetic mod p."""
    if not isinstance(task, ModularTask):
        raise UserError(f"{what} is of {describe_task(task)['name']}; give one of a task on pairs, mod p")
    return task


@dataclass(frozen=True)
class Run:
    """A directory of one experiment, with its resolved parameters, history and snapshots in cycle order."""

    key: str
    directory: Path
    task: PairTask
    train_fraction: float
    recipe: str
    seed: int
    snapshots: tuple[Path, ...]

    @classmethod
    def open(cls, directory: Path) -> Run:
        """Read `directory`; raises UserError where it is not a run on pairs."""
        params = run_params(directory)
        try:
            return cls(
                key=params["name"],
                directory=directory,
                task=needs_pairs(run_task(directory), f"{directory}: the run"),
                train_fraction=params["task"]["train_fraction"],
                recipe=params["recipe"],
                seed=params["train"]["seed"],
                snapshots=snapshot_paths(directory),
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise UserError(f"{directory / 'params.json'}: damaged ({error}); train the run again") from None

    def split(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The (train, test) pair numbers of this run."""
        return self.task.split(self.train_fraction, self.seed)


def save_snapshot(path: Path, snapshot: Snapshot[Any]) -> None:
    """Write a snapshot so that it is there whole or not at all."""
    task = describe_task(snapshot.task)
    if snapshot.train_fraction is not None:
        task["train_fraction"] = snapshot.train_fraction
    header = {
        "format": SNAPSHOT_FORMAT,
        "net": json.dumps(describe(snapshot.net.config), sort_keys=True),
        "task": json.dumps(task, sort_keys=True),
        "recipe": snapshot.recipe,
        "seed": str(snapshot.seed),
        "cycle": str(snapshot.cycle),
        "step": str(snapshot.step),
        "experiment": snapshot.experiment,
    }
    tensors = {name: value.detach().cpu().contiguous() for name, value in snapshot.net.named_parameters()}
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
        net = _rebuilt(config, tensors)
        if not isinstance(net, kind):
            raise UserError(f"{path}: net kind is {config.KIND!r}; this needs a {kind.__name__}")
        task = json.loads(header["task"])
        fraction = task.pop("train_fraction", None)
        snapshot = Snapshot(
            net=net.eval(),
            task=task_from(task),
            train_fraction=fraction,
            recipe=header["recipe"],
            seed=int(header["seed"]),
            cycle=int(header["cycle"]),
            step=int(header["step"]),
            experiment=header.get("experiment", ""),
        )
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        problem = " ".join(str(error).split())[:160]
        raise UserError(f"{path}: header and tensors do not make a net ({problem}); train the run again") from None
    if not all(torch.isfinite(value).all() for value in tensors.values()):
        raise UserError(f"{path}: holds weights that are not finite; train the run again")
    return snapshot


def _rebuilt(config: NetConfig, tensors: dict[str, torch.Tensor]) -> Net:
    """The net with these weights; a table that two places share is stored once. ValueError where they do not fit."""
    net = build_net(config)
    odd = sorted(set(tensors) ^ {name for name, _ in net.named_parameters()})
    if odd:
        raise ValueError(f"tensors {', '.join(odd[:4])} are missing or not the net's")
    net.load_state_dict(tensors, strict=False)
    return cast(Net, net)
