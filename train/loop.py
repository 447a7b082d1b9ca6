"""The one training loop: full-batch steps in cycles, a snapshot and a resumable state after each."""

from __future__ import annotations

import csv
import io
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.optim import Optimizer

from pipeline.errors import UserError
from pipeline.files import fresh_directory, to_json
from pipeline.nets import Transformer, TransformerConfig
from pipeline.params import RunConfig
from pipeline.progress import Progress
from pipeline.runs import Run, Snapshot, save_snapshot
from train.recipes import initialise, make_optimizers
from train.regularizers import norm_penalty
from train.schedules import multiplier
from train.state import STATE_ROOT, ResumableState

HISTORY = ("step", "cycle", "lr", "train_loss", "train_accuracy", "test_loss", "test_accuracy")


@dataclass(frozen=True)
class Data:
    """Pairs and answers of the two halves of the domain, on the training device."""

    train_pairs: Int[Tensor, "train 2"]
    train_answers: Int[Tensor, " train"]
    test_pairs: Int[Tensor, "test 2"]
    test_answers: Int[Tensor, " test"]

    @classmethod
    def of(cls, config: RunConfig, device: torch.device) -> Data:
        task = config.task.task()
        train, test = task.split(config.task.train_fraction, config.train.seed)
        pairs, answers = torch.from_numpy(task.pairs()), torch.from_numpy(task.answers())
        return cls(*(x.to(device) for x in (pairs[train], answers[train], pairs[test], answers[test])))


def train_run(
    config: RunConfig,
    out: Path,
    state_root: Path = STATE_ROOT,
    after_cycle: Callable[[int], None] | None = None,
) -> Run:
    """Train one net and publish the run directory `out`: params.json, history.csv, snapshots/cycle-NNNN.safetensors.

    Interrupted at any moment, it goes on from the last finished cycle and ends in the same bytes. `after_cycle` is
    called with the cycle's number once that cycle can be resumed from. Raises UserError on divergence.
    """
    device = pick_device(config.train.device)
    torch.use_deterministic_algorithms(True)
    state = ResumableState(config, device, state_root)
    with state.locked():
        history = _train(config, device, state, after_cycle)
        with fresh_directory(out) as directory:
            shutil.copytree(state.snapshots, directory / "snapshots")
            (directory / "history.csv").write_text(_to_csv(history))
            (directory / "params.json").write_text(to_json(_resolved(config)))
        state.clear()
    return Run.open(out)


def pick_device(name: str) -> torch.device:
    """`auto` is the first CUDA device where there is one, else the CPU."""
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("train.device = cuda: torch sees no CUDA device here; use auto or cpu")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and torch.cuda.is_available()) else "cpu")


def _train(
    config: RunConfig, device: torch.device, state: ResumableState, after_cycle: Callable[[int], None] | None
) -> list[list[Any]]:
    params = config.train
    data = Data.of(config, device)
    net = Transformer(TransformerConfig(config.task.p, **config.net.widths()))
    initialise(net, config.recipe.init, torch.Generator().manual_seed(params.seed))
    net.to(device)
    optimizers = make_optimizers(net, config.recipe)
    peaks = [optimizer.param_groups[0]["lr"] for optimizer in optimizers]
    history: list[list[Any]] = []
    finished = 0
    saved = state.load()
    if saved is None:
        shutil.rmtree(state.snapshots, ignore_errors=True)
        _snapshot(config, net, state, cycle=0)
    else:
        net.load_state_dict(saved["net"])
        for optimizer, values in zip(optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(values)
        history, finished = saved["history"], saved["cycle"]
    cycles = params.steps // params.cycle_steps
    with Progress(f"train {config.key}", params.steps, finished * params.cycle_steps) as progress:
        if finished:
            progress.say(f"going on after cycle {finished} of {cycles}")
        for cycle in range(finished + 1, cycles + 1):
            for step in range((cycle - 1) * params.cycle_steps, cycle * params.cycle_steps):
                factor = multiplier(config.recipe.schedule, step, params.cycle_steps)
                for optimizer, peak in zip(optimizers, peaks, strict=True):
                    for group in optimizer.param_groups:
                        group["lr"] = peak * factor
                loss, accuracy = train_step(net, optimizers, data, config)
                _refuse_divergence(config, state, step + 1, cycle, peaks[0] * factor, loss)
                row: list[Any] = [step + 1, cycle, peaks[0] * factor, loss, accuracy, "", ""]
                last = step + 1 == cycle * params.cycle_steps
                if last or (step + 1) % params.evaluate_every == 0:
                    row[5:] = evaluate(net, data.test_pairs, data.test_answers)
                history.append(row)
                progress.advance(1, f"cycle {cycle}: train {accuracy:.3f} test {row[6]:.3f}" if last else "")
            _snapshot(config, net, state, cycle)
            state.save(
                {
                    "net": net.state_dict(),
                    "optimizers": [optimizer.state_dict() for optimizer in optimizers],
                    "history": history,
                    "cycle": cycle,
                }
            )
            if after_cycle is not None:
                after_cycle(cycle)
    return history


def _refuse_divergence(config: RunConfig, state: ResumableState, step: int, cycle: int, lr: float, loss: float) -> None:
    if not math.isfinite(loss):
        raise UserError(
            f"{config.key}: the loss is {loss} at step {step} with lr {lr:.4g}; lower the rates of "
            f"recipes.{config.recipe_name} (cycle {cycle - 1}, the last good one, is kept in {state.snapshots})"
        )


def train_step(net: Transformer, optimizers: list[Optimizer], data: Data, config: RunConfig) -> tuple[float, float]:
    """One full-batch update; returns the cross-entropy and accuracy of the forward pass it was computed from.

    The log-softmax is taken in float64: in float32 it loses the gradient of a fitted net (Prieto et al. 2025).
    """
    residual = net.residual(data.train_pairs)
    logits = net.unembed(residual)
    loss = F.cross_entropy(logits.double() * config.recipe.temperature, data.train_answers)
    if config.recipe.norm_penalty is not None:
        loss = loss + norm_penalty(residual, config.recipe.norm_penalty)
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    loss.backward()
    for optimizer in optimizers:
        optimizer.step()
    return loss_and_accuracy(logits.detach(), data.train_answers)


@torch.no_grad()
def evaluate(net: Transformer, pairs: Int[Tensor, "n 2"], answers: Int[Tensor, " n"]) -> tuple[float, float]:
    """Cross-entropy (float64, nats) and accuracy of a net."""
    return loss_and_accuracy(net(pairs), answers)


def loss_and_accuracy(logits: Float[Tensor, "n p"], answers: Int[Tensor, " n"]) -> tuple[float, float]:
    """Mean cross-entropy in nats, by float64 log-softmax, and the share of right answers, counted as integers."""
    loss = F.cross_entropy(logits.double(), answers).item()
    return loss, int((logits.argmax(dim=1) == answers).sum()) / len(answers)


def _snapshot(config: RunConfig, net: Transformer, state: ResumableState, cycle: int) -> None:
    snapshot = Snapshot(
        net=net,
        task=config.task.task(),
        train_fraction=config.task.train_fraction,
        recipe=config.recipe_name,
        seed=config.train.seed,
        cycle=cycle,
        step=cycle * config.train.cycle_steps,
    )
    save_snapshot(state.snapshots / f"cycle-{cycle:04d}.safetensors", snapshot)


def _resolved(config: RunConfig) -> dict[str, Any]:
    values = config.model_dump(mode="json")
    train = values["train"]
    return {
        "key": config.key,
        "task": {"name": "modular", **values["task"]},
        "net": values["net"],
        "recipe": {"name": config.recipe_name, **values["recipe"]},
        "seed": train["seed"],
        "steps": train["steps"],
        "cycle_steps": train["cycle_steps"],
    }


def _to_csv(history: list[list[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HISTORY)
    writer.writerows([f"{value:.6g}" if isinstance(value, float) else value for value in row] for row in history)
    return text.getvalue()
