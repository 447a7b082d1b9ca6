"""A training run: a directory with snapshots that survives SIGKILL, the same for every task, net and recipe.

The loop of train/loop.py, once for each phase of the recipe; at the end of every cycle the callbacks act, and then the
state is saved from which an interrupted run goes on.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import cast

import torch

from pipeline.errors import UserError
from pipeline.experiment import Experiment, ModularParams, PermutationParams, Phase, StartParams, TrainParams
from pipeline.files import RUN_FILES, copy_files, fresh_directory, only_replaces
from pipeline.nets import Net, NetConfig, build_net, config_for, describe
from pipeline.progress import Progress
from pipeline.recipe_params import RecipeParams
from pipeline.runs import load_snapshot
from pipeline.tasks.registry import describe_task
from pipeline.validation import checked
from train.callbacks import Callback, Evaluation, Snapshots, Training
from train.data import Data
from train.divergence import Diverged
from train.environment import prepare
from train.history import to_csv
from train.loop import Budget, train_steps
from train.recipes import initialise
from train.state import KEPT, STATE_ROOT, ResumableState
from train.step import measures_of
from train.teaching import Teaching

APART = 1_000_003
"""Between the seeds of two draws of the initial weights; the generator reads the low 32 bits of a seed only."""


def train_run(
    experiment: Experiment,
    out: Path,
    state_root: Path = STATE_ROOT,
    after_cycle: Callable[[int], None] | None = None,
    start: Path | None = None,
) -> Path:
    """Train one net and publish the run directory `out`.

    params.json, history.csv, accuracy.csv, snapshots/cycle-NNNN.safetensors, and taught.json where a recipe teaches.
    `start` is the snapshot that experiment.start speaks of (see `continued`). Interrupted at any moment, it goes on
    from the last finished cycle and ends in the same bytes. `after_cycle` is called with the cycle's number once that
    cycle can be resumed from. Raises UserError on divergence, and where `out` holds the run of another experiment.
    """
    device = pick_device(experiment.train.device)
    only_replaces(out, RUN_FILES)
    refuse_another(out, experiment)
    prepare()
    net = first_net(experiment) if start is None else start_net(experiment, start)
    state = ResumableState(experiment, device, state_root)
    with state.locked():
        training = Training(experiment, net.to(device), Data.of(experiment.task.split(experiment.train.seed), device))
        callbacks = _train(training, device, state, after_cycle)
        with fresh_directory(out, KEPT) as directory:
            copy_files(state.snapshots, directory / "snapshots")
            measures = dict.fromkeys(name for phase in experiment.phases for name in measures_of(phase.parts))
            (directory / "history.csv").write_text(to_csv(training.history, tuple(measures)))
            for name, text in (item for callback in callbacks for item in callback.files().items()):
                (directory / name).write_text(text)
            (directory / "params.json").write_text(experiment.to_json())
        state.clear()
    return out


def refuse_another(out: Path, experiment: Experiment) -> None:
    """UserError where `out` holds a run of an experiment of another identity, or an imported one: it would be lost."""
    try:
        values = json.loads((out / "params.json").read_bytes())
    except (OSError, ValueError):
        return  # no run, or one that was cut short
    digest = str(values.get("digest", "none: it was imported")) if isinstance(values, dict) else ""
    if digest != experiment.digest:
        raise UserError(
            f"--out = {out}: holds experiment {digest[:12]}, this one is {experiment.digest[:12]}; "
            f"name another directory, or remove that one"
        )


def start_net(experiment: Experiment, start: Path) -> Net:
    """The net of the snapshot that the experiment goes on from; UserError where `start` is another one."""
    if experiment.start is None or hashlib.sha256(start.read_bytes()).hexdigest() != experiment.start.sha256:
        raise UserError(f"{start}: not the snapshot that {experiment.name} goes on from; give that one")
    return load_snapshot(start, Net).net


def first_net(experiment: Experiment, draw: int = 0) -> Net:
    """A net with the initial weights that the recipe and the seed give it, of which a seed has any number of draws."""
    if experiment.net is None:
        raise ValueError("the experiment has no shape of a net: it goes on from a snapshot")
    net = build_net(config_for(experiment.net, experiment.task.task()))
    generator = torch.Generator().manual_seed(experiment.train.seed + APART * draw)
    initialise(net, experiment.parts.init, generator)
    return net


def continued(
    start: Path, recipe_name: str, recipe: RecipeParams, train: TrainParams, fraction: float | None = None
) -> Experiment:
    """The experiment that goes on from a snapshot of any net on pairs, on its task, its data and its seed.

    `fraction` is another share of the pairs to show, no smaller than before: what was shown once is not held out. It
    has to be given where nobody knows which pairs the net was trained on, as in imported ones, whose snapshots say 1;
    "test" then means the pairs that are not shown from here on. Raises UserError on any other.
    """
    snapshot = load_snapshot(start, Net)
    shown = snapshot.train_fraction
    if shown is None:
        raise UserError(f"{start}: {describe_task(snapshot.task)['name']} has no share of pairs; give a net on pairs")
    if fraction is None and shown == 1:
        raise UserError(f"{start}: which pairs it was trained on is not known; give the share to show by --fraction")
    if fraction is not None and fraction < shown < 1:
        raise UserError(f"--fraction = {fraction}: {shown} of the pairs were shown; give no less")
    task = {**describe_task(snapshot.task), "train_fraction": shown if fraction is None else fraction}
    where = StartParams(
        sha256=hashlib.sha256(start.read_bytes()).hexdigest(),
        net=describe(cast(NetConfig, snapshot.net.config)),
        recipe=snapshot.recipe,
        cycle=snapshot.cycle,
        step=snapshot.step,
    )
    name = f"{snapshot.recipe}_then_{recipe_name}"
    kind = ModularParams if task["name"] == "modular" else PermutationParams
    phase = Phase(recipe=recipe_name, last_cycle=train.steps // train.cycle_steps, parts=recipe)
    values = {
        "name": f"{task['name']}-{name}",
        "task": checked(task, kind, str(start) if fraction is None else "--fraction").model_dump(mode="json"),
        "net": None,
        "recipe": name,
        "phases": [phase.model_dump(mode="json")],
        "train": train.model_copy(update={"seed": snapshot.seed}).model_dump(mode="json"),
        "start": where.model_dump(mode="json"),
    }
    return checked(values, Experiment, str(start))


def pick_device(name: str) -> torch.device:
    """`auto` is the first CUDA device where there is one, else the CPU."""
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("train.device = cuda: torch sees no CUDA device here; use auto or cpu")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and torch.cuda.is_available()) else "cpu")


def _train(
    training: Training, device: torch.device, state: ResumableState, after_cycle: Callable[[int], None] | None
) -> Sequence[Callback]:
    experiment, params = training.experiment, training.experiment.train
    callbacks: list[Callback] = [Evaluation(training), Snapshots(experiment, state.snapshots)]
    if any(phase.parts.teach for phase in experiment.phases):
        callbacks.append(Teaching(training, first_net))
    saved = state.load()
    if saved is None:
        shutil.rmtree(state.snapshots, ignore_errors=True)
        for callback in callbacks:
            callback.before(training)
    else:
        training.net.load_state_dict(saved["net"])
        training.history = saved["history"]
        for callback, kept in zip(callbacks, saved["callbacks"], strict=True):
            callback.load_state_dict(kept)
    with Progress(f"train {experiment.name}", params.steps, len(training.history)) as progress:
        if training.history:
            cycles = training.cycles_before + params.steps // params.cycle_steps
            progress.say(f"going on after cycle {training.cycle} of {cycles}")
        try:
            for phase, budget in budgets(experiment):
                done = len(training.history) - (budget.steps_before - training.steps_before)
                if done >= budget.last:
                    continue
                training.begin(phase.parts)
                if saved is not None and done:
                    training.load_state_dict(saved["training"])
                while done < budget.last:  # a lesson may put another trainer or other data in the place of the old
                    for row in train_steps(training.trainer, training.batches, budget, done):
                        training.history.append(row)
                        done += 1
                        if done % params.cycle_steps:
                            progress.advance()
                            continue
                        progress.advance(1, f"cycle {row['cycle']}: {said(row)}")
                        replaced = [callback.after_cycle(training, row) for callback in callbacks]
                        parts = {"net": training.net.state_dict(), "training": training.state_dict()}
                        kept = [callback.state_dict() for callback in callbacks]
                        state.save({**parts, "history": training.history, "callbacks": kept})
                        if after_cycle is not None:
                            after_cycle(row["cycle"])
                        if any(replaced):
                            break
        except Diverged as error:
            good = max(int(path.stem.removeprefix("cycle-")) for path in state.snapshots.iterdir())
            raise UserError(
                f"{experiment.name}: {error} of recipe {training.recipe_name} "
                f"(cycle {good}, the last good one, is kept in {state.snapshots})"
            ) from None
    return callbacks


def said(row: dict[str, float]) -> str:
    return f"train {row['train_accuracy']:.3f} test {row['test_accuracy']:.3f}"


def budgets(experiment: Experiment) -> Iterator[tuple[Phase, Budget]]:
    """Each phase with its steps. Its schedule is over all that are left when it begins, also where it ends sooner."""
    params, start = experiment.train, experiment.start
    steps, cycles = (start.step, start.cycle) if start is not None else (0, 0)
    first = 0
    for phase in experiment.phases:
        last = phase.last_cycle * params.cycle_steps
        yield (
            phase,
            Budget(
                steps=params.steps - first,
                cycle_steps=params.cycle_steps,
                evaluate_every=params.evaluate_every,
                steps_before=steps + first,
                cycles_before=cycles + first // params.cycle_steps,
                stop=last - first,
            ),
        )
        first = last
