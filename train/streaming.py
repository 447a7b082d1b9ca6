"""Training of a recurrent net on short streams: snapshots each cycle, resumable, with counterexamples fed back.

The net is shown `examples` random streams of at most four digits and, where the recipe teaches, what `counterexamples`
finds at the end of a cycle: streams that the net of that moment gets wrong. Every one is counted and listed in
`taught.json`, as the training data that it is; one that is found again counts again. Steps beyond the end of a stream
count for nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.files import RUN_FILES, copy_files, fresh_directory, only_replaces, to_json
from pipeline.nets.recurrent import PAST_END, Recurrent, RecurrentConfig
from pipeline.progress import Progress
from pipeline.stream_params import StreamRunConfig
from pipeline.stream_runs import StreamSnapshot, save_stream_snapshot
from pipeline.tasks.streaming import EvaluationSet, Stream, StreamTask, evaluation_sets
from train.environment import prepare
from train.history import Row, to_csv
from train.loop import Budget, train_step
from train.recipes import initialise
from train.state import KEPT, STATE_ROOT, ResumableState
from train.step import Trainer, measures_of

APART = 1_000_003
"""Between the seeds of two draws; the generator reads the low 32 bits of a seed only."""
PATIENCE = 3
"""Cycles in which a net has to learn its examples."""

Teacher = Callable[[dict[str, NDArray[np.float32]], StreamTask, int], Sequence[Stream]]
"""For weights by name: streams, at most so many, that the net gets wrong."""


def new_net(config: StreamRunConfig, draw: int = 0) -> Recurrent:
    """Initial weights of the recipe and the seed, of which a seed has any number of draws.

    The state's biases are 1/2, where the clip has a gradient.
    """
    task = config.stream_task()
    shape = RecurrentConfig(task.n_left, task.n_right, task.n_answers, **config.net.model_dump())
    net = Recurrent(shape)
    initialise(net, config.recipe.init, torch.Generator().manual_seed(config.train.seed + APART * draw))
    torch.nn.init.constant_(net.state_out.bias, 0.5)
    return net


def shown(task: StreamTask, examples: Sequence[Sequence[Any]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Streams of any lengths as a batch [n, longest, 2], PAST_END behind an end, and the answers of all their steps."""
    longest = max(len(stream) for stream in examples)
    pairs = np.full((len(examples), longest, 2), PAST_END, dtype=np.int64)
    for i, stream in enumerate(examples):
        pairs[i, : len(stream)] = stream
    answers = np.concatenate([task.reference(stream) for stream in examples])
    return torch.from_numpy(pairs), torch.from_numpy(answers)


@torch.no_grad()
def exact_match(net: Recurrent, sets: Sequence[EvaluationSet]) -> dict[str, float]:
    """The share of streams that are right at every step, by kind and length: {"random_40": 0.93, ...}."""
    shares = {}
    for tried in sets:
        got = net(torch.from_numpy(tried.streams)).argmax(dim=2).numpy()
        right = int((got == tried.answers).all(axis=1).sum())
        shares[f"{tried.kind}_{tried.length}"] = right / len(tried.answers)
    return shares


def train_stream_run(
    config: StreamRunConfig,
    out: Path,
    counterexamples: Teacher | None = None,
    state_root: Path = STATE_ROOT,
    after_cycle: Callable[[int], None] | None = None,
) -> Path:
    """Train one net and publish `out`: params.json, history.csv, accuracy.csv, taught.json, snapshots/.

    Interrupted at any moment, it goes on from the last finished cycle and ends in the same bytes. Raises UserError on
    divergence, and where the recipe teaches and there is no `counterexamples` to teach with.
    """
    if config.recipe.teach and counterexamples is None:
        raise UserError(f"recipe = {config.recipe_name}: it teaches with counterexamples; run it as `dvc repro` does")
    only_replaces(out, RUN_FILES)
    prepare()
    state = ResumableState(config, torch.device("cpu"), state_root)
    teacher = counterexamples if config.recipe.teach else None
    with state.locked():
        saved = _train(config, state, teacher, after_cycle)
        with fresh_directory(out, KEPT) as directory:
            copy_files(state.snapshots, directory / "snapshots")
            (directory / "history.csv").write_text(to_csv(saved["history"], measures_of(config.recipe)))
            (directory / "accuracy.csv").write_text(_table(saved["accuracy"]))
            (directory / "taught.json").write_text(to_json({"count": len(saved["taught"]), "streams": saved["taught"]}))
            (directory / "params.json").write_text(to_json({"key": config.key, **config.model_dump(mode="json")}))
        state.clear()
    return out


def _train(
    config: StreamRunConfig,
    state: ResumableState,
    teacher: Teacher | None,
    after_cycle: Callable[[int], None] | None,
) -> dict[str, Any]:
    params, task = config.train, config.stream_task()
    sets = evaluation_sets(task, params.lengths, params.evaluated, params.seed)
    first = task.training_set(params.examples, params.digits, params.seed).tolist()
    net = new_net(config)
    trainer = Trainer(net, config.recipe, params.seed)
    budget = Budget(params.steps, params.cycle_steps, params.cycle_steps)
    history: list[Row] = []
    accuracy: list[Row] = []
    taught: list[Any] = []
    draws: list[int] = [0]  # the cycle after which each draw of the weights began
    saved = state.load()
    if saved is None:
        shutil.rmtree(state.snapshots, ignore_errors=True)
        _snapshot(config, net, state, 0)
        accuracy.append({"cycle": 0, "taught": 0, "draws": 1, **exact_match(net, sets)})
    else:
        net.load_state_dict(saved["net"])
        trainer.load_state_dict(saved["trainer"])
        history, accuracy, taught, draws = (saved[name] for name in ("history", "accuracy", "taught", "draws"))
    pairs, answers = shown(task, first + taught)
    with Progress(f"train {config.key}", params.steps, len(history)) as progress:
        for step in range(len(history), params.steps):
            row = train_step(trainer, pairs, answers, budget, step)
            history.append(row)
            progress.advance(1)
            if row["step"] % params.cycle_steps:
                continue
            cycle, digits_right = row["cycle"], row["train_accuracy"]
            shares = exact_match(net, sets)
            row["test_accuracy"] = shares[f"random_{params.lengths[0]}"]
            accuracy.append({"cycle": cycle, "taught": len(taught), "draws": len(draws), **shares})
            progress.say(f"cycle {cycle}: digits {digits_right:.3f}, " + _line(shares))
            _snapshot(config, net, state, cycle)
            more = row["step"] < params.steps
            learnt = digits_right >= config.recipe.learnt
            if more and not learnt and cycle - draws[-1] >= PATIENCE:
                draws.append(cycle)
                net.load_state_dict(new_net(config, len(draws) - 1).state_dict())
                trainer = Trainer(net, config.recipe, params.seed)
            if teacher is not None and more and learnt:
                weights = {name: weight.detach().numpy().copy() for name, weight in net.state_dict().items()}
                taught.extend(_lists(teacher(weights, task, params.counterexamples)))
                pairs, answers = shown(task, first + taught)
            parts = {"net": net.state_dict(), "trainer": trainer.state_dict()}
            state.save({**parts, "history": history, "accuracy": accuracy, "taught": taught, "draws": draws})
            if after_cycle is not None:
                after_cycle(cycle)
    return {"history": history, "accuracy": accuracy, "taught": taught}


def _lists(streams: Sequence[Stream]) -> list[list[list[int]]]:
    return [[list(pair) for pair in stream] for stream in streams]


def _line(shares: dict[str, float]) -> str:
    return " ".join(f"{name} {share:.2f}" for name, share in shares.items())


def _table(rows: Sequence[Row]) -> str:
    columns = list(rows[0])
    lines = [columns, *([f"{row[column]:.6g}" for column in columns] for row in rows)]
    return "\n".join(",".join(line) for line in lines) + "\n"


def _snapshot(config: StreamRunConfig, net: Recurrent, state: ResumableState, cycle: int) -> None:
    step, seed = cycle * config.train.cycle_steps, config.train.seed
    snapshot = StreamSnapshot(net, config.stream_task(), config.recipe_name, seed, cycle, step)
    save_stream_snapshot(state.snapshots / f"cycle-{cycle:04d}.safetensors", snapshot)
