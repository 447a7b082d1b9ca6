"""Snapshots of recurrent nets: safetensors files whose header holds net, task and provenance.

The examples that a net was taught as counterexamples are part of its run: `taught.json` beside the snapshots.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from pipeline.errors import UserError
from pipeline.files import sorted_header, write_atomically
from pipeline.nets.recurrent import Recurrent
from pipeline.nets.registry import build_net, config_from, describe
from pipeline.runs import SNAPSHOT_FORMAT
from pipeline.tasks.streaming import StreamTask, stream_task_from


@dataclass(frozen=True)
class StreamSnapshot:
    """A recurrent net at one moment of a run. `net` is in evaluation mode, on the CPU."""

    net: Recurrent
    task: StreamTask
    recipe: str
    seed: int
    cycle: int
    step: int


def save_stream_snapshot(path: Path, snapshot: StreamSnapshot) -> None:
    """Write a snapshot so that it is there whole or not at all."""
    header = {
        "format": SNAPSHOT_FORMAT,
        "net": json.dumps(describe(snapshot.net.config), sort_keys=True),
        "task": json.dumps(snapshot.task.to_dict(), sort_keys=True),
        "recipe": snapshot.recipe,
        "seed": str(snapshot.seed),
        "cycle": str(snapshot.cycle),
        "step": str(snapshot.step),
    }
    tensors = {name: value.detach().cpu().contiguous() for name, value in snapshot.net.named_parameters()}
    write_atomically(path, sorted_header(save(tensors, metadata=header)))


def load_stream_snapshot(path: Path) -> StreamSnapshot:
    """Rebuild the net from the file alone; raises UserError where the file is no whole, finite recurrent net."""
    try:
        with safe_open(path, framework="pt") as file:
            header: dict[str, str] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except FileNotFoundError:
        raise UserError(f"{path}: no such snapshot") from None
    except SafetensorError as error:
        raise UserError(f"{path}: not a readable safetensors file ({error}); train the run again") from None
    if header.get("format") != SNAPSHOT_FORMAT:
        raise UserError(f"{path}: format is {header.get('format')!r}, not {SNAPSHOT_FORMAT}; train the run again")
    try:
        config = config_from(json.loads(header["net"]))
        if config.KIND != "recurrent":
            raise UserError(f"{path}: net kind is {config.KIND!r}; a recurrent net is needed")
        net = cast(Recurrent, build_net(config))
        missing, unexpected = net.load_state_dict(tensors, strict=False)
        tied = {"embed_right.weight"} if net.config.tied else set()
        if set(missing) - tied or unexpected:
            raise ValueError(f"tensors {sorted((set(missing) - tied) | set(unexpected))}")
        snapshot = StreamSnapshot(
            net=cast(Recurrent, net.eval()),
            task=stream_task_from(json.loads(header["task"])),
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
