"""The one training loop, and its two uses: a run directory with snapshots that survives SIGKILL, and a plain fit."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Int
from torch import Tensor

from pipeline.cycles import snapshot_cycles
from pipeline.errors import UserError
from pipeline.files import RUN_FILES, copy_files, fresh_directory, only_replaces, to_json
from pipeline.nets import Net, NetConfig, Transformer, TransformerConfig, describe
from pipeline.params import RecipeParams, RunConfig, StartParams, TaskParams, TrainParams
from pipeline.progress import Progress
from pipeline.runs import Run, Snapshot, load_snapshot, save_snapshot
from pipeline.tasks import Task
from pipeline.validation import checked
from train.data import Batches, Data
from train.divergence import Diverged, refuse_divergence
from train.environment import prepare
from train.history import Row, to_csv
from train.losses import evaluate
from train.recipes import initialise
from train.schedules import multiplier
from train.state import KEPT, STATE_ROOT, ResumableState
from train.step import Trainer


@dataclass(frozen=True)
class Budget:
    """How many steps there are, how many make a cycle, and how often the held-out pairs are looked at.

    Steps and cycles that a net had before, under another budget, are counted on in the history.
    """

    steps: int
    cycle_steps: int
    evaluate_every: int
    steps_before: int = 0
    cycles_before: int = 0

    def evaluated(self, step: int) -> bool:
        """Whether step number `step`, from 1, ends with an evaluation; the last of a cycle and of all always does."""
        return step % self.evaluate_every == 0 or step % self.cycle_steps == 0 or step == self.steps


def train_steps(trainer: Trainer, batches: Batches, budget: Budget, done: int = 0) -> Iterator[Row]:
    """The loop: update, and give the row of the history, until the budget is spent. Raises Diverged."""
    for step in range(done, budget.steps):
        row, data = train_step(trainer, *batches.next(), budget, step), batches.data
        if budget.evaluated(step + 1) and len(data.test_answers):
            row["test_loss"], row["test_accuracy"] = evaluate(trainer.net, data.test_pairs, data.test_answers)
        yield row


def train_step(trainer: Trainer, pairs: Int[Tensor, ...], answers: Int[Tensor, " n"], budget: Budget, step: int) -> Row:
    """Update number `step`, from 0, at its rate; the row of the history, not evaluated. Raises Diverged."""
    factor = multiplier(trainer.recipe.schedule, step, budget.cycle_steps, budget.steps)
    loss, accuracy, measured = trainer.step(pairs, answers, factor, step / budget.steps)
    rate = trainer.rates[0] * factor
    refuse_divergence(trainer.net, loss, budget.steps_before + step + 1, rate)
    return {
        "step": budget.steps_before + step + 1,
        "cycle": budget.cycles_before + step // budget.cycle_steps + 1,
        "lr": rate,
        "train_loss": loss,
        "train_accuracy": accuracy,
        "test_loss": None,
        "test_accuracy": None,
        **measured,
    }


def fit(
    net: Net,
    task: Task,
    recipe: RecipeParams,
    budget: Budget,
    seed: int,
    *,
    train_fraction: float,
    batch_size: int | None = None,
    stop_when: Callable[[Row], bool] | None = None,
    device: torch.device | str = "cpu",
    fresh: bool = True,
) -> list[Row]:
    """Train `net` in place, from initial weights that the recipe and the seed give it, and return its history.

    Where it is not `fresh` it goes on from the weights that it has. Nothing is written. The split of the task, the
    initial weights, the batches and the noise depend on `seed` alone.
    `stop_when` sees every row and ends the training by True. A row also has `samples`, the examples seen so far, and
    `cpu_seconds`, the process time of the updates without the evaluations. Raises Diverged (a UserError with `step`
    and `rate`) where the loss or a weight is not finite.
    """
    prepare()
    if fresh:
        initialise(net.to("cpu"), recipe.init, torch.Generator().manual_seed(seed))
    trainer = TimedTrainer(net.to(device), recipe, seed)
    batches = Batches(Data.of(task, train_fraction, seed, device), batch_size, seed)
    history: list[Row] = []
    for row in train_steps(trainer, batches, budget):
        history.append({**row, "samples": trainer.samples, "cpu_seconds": trainer.cpu_seconds})
        if stop_when is not None and stop_when(history[-1]):
            break
    return history


class TimedTrainer(Trainer):
    """Counts examples and the process time that updates take."""

    samples = 0
    cpu_seconds = 0.0

    def step(
        self, pairs: torch.Tensor, answers: torch.Tensor, factor: float, share: float = 0.0
    ) -> tuple[float, float, dict[str, float]]:
        start = time.process_time()
        result = super().step(pairs, answers, factor, share)
        self.cpu_seconds += time.process_time() - start
        self.samples += len(pairs)
        return result


def train_run(
    config: RunConfig,
    out: Path,
    state_root: Path = STATE_ROOT,
    after_cycle: Callable[[int], None] | None = None,
    start: Path | None = None,
) -> Run:
    """Train one net and publish the run directory `out`: params.json, history.csv, snapshots/cycle-NNNN.safetensors.

    `start` is the snapshot that config.start speaks of (see `continued`). Interrupted at any moment, it goes on from
    the last finished cycle and ends in the same bytes. `after_cycle` is called with the cycle's number once that cycle
    can be resumed from. Raises UserError on divergence.
    """
    device = pick_device(config.train.device)
    only_replaces(out, RUN_FILES)
    prepare()
    net = first_net(config) if start is None else load_snapshot(start, Net).net
    state = ResumableState(config, device, state_root)
    with state.locked():
        history, measures = _train(config, net, device, state, after_cycle)
        with fresh_directory(out, KEPT) as directory:
            copy_files(state.snapshots, directory / "snapshots")
            (directory / "history.csv").write_text(to_csv(history, measures))
            (directory / "params.json").write_text(to_json(_resolved(config)))
        state.clear()
    return Run.open(out)


def first_net(config: RunConfig) -> Transformer:
    """A transformer with the initial weights that the recipe and the seed give it."""
    if config.net is None:
        raise ValueError("the configuration has no shape of a net: it goes on from a snapshot")
    net = Transformer(TransformerConfig(config.task.p, **config.net.widths()))
    initialise(net, config.recipe.init, torch.Generator().manual_seed(config.train.seed))
    return net


def continued(
    start: Path, recipe_name: str, recipe: RecipeParams, train: TrainParams, fraction: float | None = None
) -> RunConfig:
    """The configuration of a run that goes on from a snapshot of any net, on its task, its data and its seed.

    `fraction` is another share of the pairs to show, no smaller than before: what was shown once is not held out. It
    has to be given where nobody knows which pairs the net was trained on, as in imported ones, whose snapshots say 1;
    "test" then means the pairs that are not shown from here on. Raises UserError on any other.
    """
    snapshot = load_snapshot(start, Net)
    if fraction is None and snapshot.train_fraction == 1:
        raise UserError(f"{start}: which pairs it was trained on is not known; give the share to show by --fraction")
    if fraction is not None and fraction < snapshot.train_fraction < 1:
        raise UserError(f"--fraction = {fraction}: {snapshot.train_fraction} of the pairs were shown; give no less")
    task = {**asdict(snapshot.task), "train_fraction": snapshot.train_fraction if fraction is None else fraction}
    where = {
        "sha256": hashlib.sha256(start.read_bytes()).hexdigest(),
        "net": describe(cast(NetConfig, snapshot.net.config)),
        "recipe": snapshot.recipe,
        "cycle": snapshot.cycle,
        "step": snapshot.step,
    }
    return RunConfig(
        task=checked(task, TaskParams, str(start) if fraction is None else "--fraction"),
        net=None,
        train=train.model_copy(update={"seed": snapshot.seed}),
        recipe_name=recipe_name,
        recipe=recipe,
        start=StartParams(**where),
    )


def pick_device(name: str) -> torch.device:
    """`auto` is the first CUDA device where there is one, else the CPU."""
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("train.device = cuda: torch sees no CUDA device here; use auto or cpu")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and torch.cuda.is_available()) else "cpu")


def _train(
    config: RunConfig,
    net: Net,
    device: torch.device,
    state: ResumableState,
    after_cycle: Callable[[int], None] | None,
) -> tuple[list[Row], tuple[str, ...]]:
    params = config.train
    steps, cycles = (config.start.step, config.start.cycle) if config.start is not None else (0, 0)
    budget = Budget(params.steps, params.cycle_steps, params.evaluate_every, steps, cycles)
    trainer = Trainer(net.to(device), config.recipe, params.seed, params.matmul_precision)
    data = Data.of(config.task.task(), config.task.train_fraction, params.seed, device)
    batches = Batches(data, params.batch_size, params.seed)
    history: list[Row] = []
    rule = params.snapshots
    kept = snapshot_cycles(params.steps // params.cycle_steps, cycles, rule.dense, rule.every)
    saved = state.load()
    if saved is None:
        shutil.rmtree(state.snapshots, ignore_errors=True)
        _snapshot(config, net, state, cycles)
    else:
        net.load_state_dict(saved["net"])
        trainer.load_state_dict(saved["trainer"])
        batches.load_state_dict(saved["batches"])
        history = saved["history"]
    with Progress(f"train {config.key}", params.steps, len(history)) as progress:
        if history:
            done = history[-1]["cycle"]
            progress.say(f"going on after cycle {done} of {cycles + params.steps // params.cycle_steps}")
        try:
            for row in train_steps(trainer, batches, budget, done=len(history)):
                history.append(row)
                cycle, last = row["cycle"], len(history) % params.cycle_steps == 0
                text = (
                    f"cycle {cycle}: train {row['train_accuracy']:.3f} test {row['test_accuracy']:.3f}" if last else ""
                )
                progress.advance(1, text)
                if not last:
                    continue
                if cycle in kept:
                    _snapshot(config, net, state, cycle)
                parts = {"net": net, "trainer": trainer, "batches": batches}
                state.save({**{name: part.state_dict() for name, part in parts.items()}, "history": history})
                if after_cycle is not None:
                    after_cycle(cycle)
        except Diverged as error:
            good = max(cycle for cycle in kept if cycle <= cycles + len(history) // params.cycle_steps)
            raise UserError(
                f"{config.key}: {error} of recipes.{config.recipe_name} "
                f"(cycle {good}, the last good one, is kept in {state.snapshots})"
            ) from None
    return history, trainer.measures


def _snapshot(config: RunConfig, net: Net, state: ResumableState, cycle: int) -> None:
    steps, cycles = (config.start.step, config.start.cycle) if config.start is not None else (0, 0)
    snapshot = Snapshot(
        net=net,
        task=config.task.task(),
        train_fraction=config.task.train_fraction,
        recipe=config.name,
        seed=config.train.seed,
        cycle=cycle,
        step=steps + (cycle - cycles) * config.train.cycle_steps,
    )
    save_snapshot(state.snapshots / f"cycle-{cycle:04d}.safetensors", snapshot)


def _resolved(config: RunConfig) -> dict[str, Any]:
    values = config.model_dump(mode="json")
    train = values["train"]
    return {
        "key": config.key,
        "task": {"name": "modular", **values["task"]},
        "net": values["net"] if config.start is None else config.start.net,
        "recipe": {"name": config.name, **values["recipe"]},
        "seed": train["seed"],
        "steps": train["steps"] + (config.start.step if config.start is not None else 0),
        "cycle_steps": train["cycle_steps"],
        "snapshots": train["snapshots"],
        "start": values["start"],
    }
