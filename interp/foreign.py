"""Checkpoints that others trained become runs: a directory with params.json and one snapshot a checkpoint.

Which pairs a foreign net was trained on is not known, so its run counts every pair as shown (`train_fraction` 1): it
has no test pairs, and nothing is claimed about them. Our own snapshots keep their recipe, seed and split.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import torch

from interp.checkpoint_files import config_beside, in_order, read_config, steps_of
from interp.known_operations import other_operation
from interp.layouts.layout import Foreign, Settings, Tensors
from interp.layouts.mapped import from_map, read_map
from interp.layouts.property_format import from_property_format
from interp.stored_states import plain_names, read_stored
from pipeline.errors import UserError
from pipeline.files import check_writable, fresh_directory, to_json
from pipeline.nets import Net, NetConfig, TransformerConfig, build_net, describe
from pipeline.runs import Run, Snapshot, load_snapshot, save_snapshot
from pipeline.tasks import ModularTask
from pipeline.tasks.registry import describe_task

Layout = Literal["tl", "module", "catapult"]
Reader = Callable[[Path], "list[Read]"]
RECIPE = "imported"
MOST = 9999
BATCH = 4096


@dataclass(frozen=True)
class Read:
    """One net of a file; `step` where the file says it. `notes` say what was taken for granted or left out."""

    snapshot: Snapshot[Net]
    step: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Imported:
    """One checkpoint as a snapshot. `notes` say what was taken for granted or left out.

    `right` counts the pairs whose answer has the largest logit, `margin` is the least lead of it over all pairs,
    negative where one is wrong; both from logits in float64.
    """

    file: Path
    snapshot: Snapshot[Net]
    notes: tuple[str, ...]
    right: int
    margin: float


def import_checkpoints(source: Path, out: Path, read: Reader, layout: Layout) -> tuple[Run, list[Imported]]:
    """Turn a checkpoint, a file with a series of them, or a folder in training order into the run directory `out`.

    Raises UserError, with nothing written, where a file is refused by `read`, where the files are no one training, or
    where `out` holds something else than an imported run.
    """
    _check_free(out, source)
    check_writable(out)
    folder = source / "snapshots"
    files = in_order(folder if layout == "catapult" and folder.is_dir() else source)
    by_name = steps_of(files)
    found: list[Imported] = []
    for file, named in zip(files, by_name, strict=True):
        nets = read(file)
        if len(files) > 1 and len(nets) > 1:
            raise UserError(f"{file}: holds {len(nets)} checkpoints beside other files; import it alone")
        for i, one in enumerate(nets, len(found) + 1):
            step = named if len(nets) == 1 else i
            snapshot = replace(one.snapshot, cycle=i, step=step if one.step is None else one.step)
            if found and _training(snapshot) != _training(found[0].snapshot):
                raise UserError(
                    f"{file}: not of the training of {files[0].name} (shape, split or seed); import it alone"
                )
            found.append(Imported(file, snapshot, one.notes, *score(snapshot.net, snapshot.modular)))
    found[0] = replace(
        found[0], notes=(*found[0].notes, *other_operation(found[-1].snapshot.net, found[-1].snapshot.modular))
    )
    if len(found) > MOST:
        raise UserError(f"{source}: {len(found)} checkpoints; a run holds at most {MOST}: import every tenth")
    with fresh_directory(out) as directory:
        for imported in found:
            name = f"cycle-{imported.snapshot.cycle:04d}.safetensors"
            save_snapshot(directory / "snapshots" / name, imported.snapshot)
        (directory / "params.json").write_text(to_json(_params(out.resolve().name, layout, found)))
    return Run.open(out), found


def reader(
    layout: Layout,
    task: ModularTask,
    config: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    layout_map: Path | None = None,
) -> Reader:
    """How to read the checkpoints of a file in a layout as snapshots.

    `settings` go before the config file, that before the JSON file beside the checkpoint, and that before a config in
    the file itself. The reader raises UserError, which names the file, where one is no finite net for `task`.
    """
    said = read_config(config) if config is not None else None
    mapped = read_map(layout_map) if layout_map is not None else None

    def from_file(path: Path) -> list[Read]:
        if layout == "catapult":
            snapshot = _ours(path, task)
            return [Read(snapshot, snapshot.step)]
        stored = read_stored(path)
        beside = config_beside(path) if said is None else None
        values = {**stored.config, **(read_config(beside) if beside is not None else said or {}), **(settings or {})}
        read = []
        for state, step in zip(stored.states, stored.steps or [None] * len(stored.states), strict=True):
            if mapped is not None:
                net = from_map(mapped, state)
            else:
                net = from_property_format(Tensors(plain_names(state)), Settings(values), task)
            snapshot = Snapshot(_build(net, task), task, 1.0, RECIPE, 0, cycle=0, step=0)
            read.append(Read(snapshot, step, (*net.notes, *_precision(state))))
        return read

    def named(path: Path) -> list[Read]:
        try:
            return from_file(path)
        except UserError as error:
            raise UserError(str(error) if str(path.parent) in str(error) else f"{path}: {error}") from None

    return named


@torch.no_grad()
def score(net: Net, task: ModularTask) -> tuple[int, float]:
    """Right answers and least margin over all pairs; see `Imported`."""
    pairs, answers = torch.from_numpy(task.pairs()), torch.from_numpy(task.answers())[:, None]
    leads = []
    net.double()
    for some, answer in zip(pairs.split(BATCH), answers.split(BATCH), strict=True):
        logits = net(some)
        others = logits.scatter(1, answer, -torch.inf).amax(1)
        leads.append(logits.gather(1, answer)[:, 0] - others)
    net.float()
    lead = torch.cat(leads)
    return int((lead > 0).sum()), float(lead.min())


def _precision(state: Mapping[str, torch.Tensor]) -> list[str]:
    """A note where the net as stored computes in another precision."""
    kinds = sorted({str(value.dtype).removeprefix("torch.") for value in state.values() if value.is_floating_point()})
    notes = {"float64": "rounded to float32", "float16": "computed in float32", "bfloat16": "computed in float32"}
    return [f"{kind} weights {notes[kind]}" for kind in kinds if kind in notes]


def config_of(net: Net) -> NetConfig:
    """The config that rebuilds the net."""
    return cast(NetConfig, net.config)


def _ours(path: Path, task: ModularTask) -> Snapshot[Net]:
    snapshot = load_snapshot(path, Net)
    if snapshot.task != task:
        raise UserError(f"{path}: computes {snapshot.task}, not {task}; see --p and --operation")
    _check_sizes(config_of(snapshot.net), task)
    return snapshot


def _build(foreign: Foreign, task: ModularTask) -> Net:
    """The net itself; UserError where config, weights and task do not fit together."""
    _check_sizes(foreign.config, task)
    try:
        net = build_net(foreign.config)
        _check_names(net, foreign)
        net.load_state_dict(foreign.state)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"config and weights do not make a net ({' '.join(str(error).split())[:160]})") from None
    if not all(bool(torch.isfinite(value).all()) for value in net.state_dict().values()):
        raise UserError("weights = not finite: the file holds NaN or infinity")
    return net.eval()


def _check_names(net: Net, foreign: Foreign) -> None:
    """UserError with the names of the kind, where they are not those that were given."""
    names = set(net.state_dict())
    odd = sorted(names - set(foreign.state)) or sorted(set(foreign.state) - names)
    if odd:
        what, kind = "missing" if odd[0] in names else "unknown", foreign.config.KIND
        known = ", ".join(net.state_dict())
        raise UserError(f"config and weights do not make a net ({odd[0]} is {what}); kind {kind} has {known}")


def _check_sizes(config: NetConfig, task: ModularTask) -> None:
    described = describe(config)
    names = ("p",) if isinstance(config, TransformerConfig) else ("n_left", "n_right", "n_answers")
    sizes = [described.get(name) for name in names]
    if sizes != [task.p] * len(names):
        raise UserError(f"{', '.join(names)} = {sizes}: a net for that, not for --p {task.p}")


def _training(snapshot: Snapshot[Net]) -> tuple[NetConfig, float | None, str, int]:
    return config_of(snapshot.net), snapshot.train_fraction, snapshot.recipe, snapshot.seed


def _check_free(out: Path, source: Path) -> None:
    """Only an imported run is replaced, and not the one that `source` lies in."""
    if out.resolve() in (source.resolve(), *source.resolve().parents):
        raise UserError(f"--out = {out}: {source} lies in it and would be replaced; name another")
    if not out.exists():
        return
    try:
        old = json.loads((out / "params.json").read_text())
        ours = "imported" in old
    except (OSError, ValueError, TypeError):
        ours = False
    if not ours:
        raise UserError(f"--out = {out}: holds something else than an imported run; name a new one")


def _params(key: str, layout: Layout, found: list[Imported]) -> dict[str, Any]:
    """The manifest: what every run says of itself, and where each snapshot comes from."""
    first = found[0].snapshot
    hashes = {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in {one.file for one in found}}
    return {
        "name": key,
        "task": {**describe_task(first.task), "train_fraction": first.train_fraction},
        "net": describe(config_of(first.net)),
        "recipe": first.recipe,
        "train": {"seed": first.seed},
        "imported": {
            "layout": layout,
            "notes": list(found[0].notes),
            "checkpoints": [
                {
                    "cycle": one.snapshot.cycle,
                    "step": one.snapshot.step,
                    "file": one.file.name,
                    "sha256": hashes[one.file],
                    "right": one.right,
                    "smallest_margin": one.margin,
                }
                for one in found
            ],
        },
    }
