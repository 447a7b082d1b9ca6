"""python -m benchmarks.phases: do the phase labels tell an algorithm from right answers?

Trains nets whose mechanism is known from how they were trained, on seeds of its own, and prints the table of
interp/README.md: for every group the least and the greatest of each criterion over the last snapshots, and the
labels. The thresholds were drawn on seeds 0 to 9; any other first seed is a held-out check.
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

import pipeline.nets
from benchmarks.defaults import modular_experiment, modular_task
from interp.labels import Phase, label
from interp.progress_measures import Measures, measure
from pipeline.batch import Batch
from pipeline.command_line import Parser
from pipeline.errors import UserError, reported
from pipeline.experiment import Experiment
from pipeline.files import snapshot_paths
from pipeline.params import PipelineParams, ThresholdParams, load_params
from pipeline.progress import Progress
from pipeline.recipe_files import load_recipe
from pipeline.runs import load_snapshot
from pipeline.validation import checked
from train.data import Batches, Data
from train.loop import Budget, train_steps
from train.run import first_net, train_run
from train.step import Trainer

ALGORITHM: tuple[Phase, ...] = ("algorithm",)
MEMORISING: tuple[Phase, ...] = ("memorising",)
NO_ALGORITHM: tuple[Phase, ...] = ("memorising", "pseudo-arithmetic")


@dataclass(frozen=True)
class Group:
    """Nets trained alike. Net i has prime `primes[i % len(primes)]` and seed `first seed + i`."""

    name: str
    recipe: str
    expected: tuple[Phase, ...]
    primes: tuple[int, ...] = (59, 97, 113)
    steps: int = 200
    cycle_steps: int = 10
    all_pairs: bool = False
    random_labels: bool = False
    operation: str = "addition"

    @property
    def own_loop(self) -> bool:
        """Whether train_run, which knows only true labels on a share of the pairs, cannot train it."""
        return self.all_pairs or self.random_labels or not self.steps


RIGHT_BUT = "all pairs, no regularisation, "
GROUPS = (
    *(Group(f"catapult, p = {p}", "catapult", ALGORITHM, (p,)) for p in (59, 97, 113)),
    Group("catapult, subtraction", "catapult", ALGORITHM, operation="subtraction"),
    Group("grokked by AdamW lr .01 wd 1, 1000 steps", "grokked", ALGORITHM, (59, 113), 1000, 100),
    Group(RIGHT_BUT + "AdamW lr .001", "adamw_slow", NO_ALGORITHM, steps=200, cycle_steps=20, all_pairs=True),
    Group(RIGHT_BUT + "AdamW lr .01", "adamw_fast", NO_ALGORITHM, steps=150, all_pairs=True),
    Group(RIGHT_BUT + "AdamW lr .01, 1200 steps", "adamw_fast", NO_ALGORITHM, (59,), 1200, 25, all_pairs=True),
    Group(RIGHT_BUT + "Muon lr .02", "muon_bare", NO_ALGORITHM, steps=150, all_pairs=True),
    Group("random labels, 30%", "adamw_slow", MEMORISING, random_labels=True),
    Group("random labels, all pairs", "adamw_slow", MEMORISING, (59,), 300, all_pairs=True, random_labels=True),
    Group("standard, 200 steps", "standard", MEMORISING, (113,)),
    Group("untrained", "standard", ("untrained",), steps=0),
    Group("catapult, p = 31", "catapult", ("algorithm", "pseudo-arithmetic"), (31,)),
)


@dataclass(frozen=True)
class Net:
    """What came of one net: its measures at every snapshot and the label of each."""

    p: int
    seed: int
    measures: tuple[Measures, ...]
    labels: tuple[Phase, ...]


def recipes() -> dict[str, dict[str, Any]]:
    """The values of every recipe that a group may name."""
    plain, catapult = (load_recipe(name).model_dump(mode="json") for name in ("standard", "catapult"))
    bare = {"kind": "adamw", "betas": plain["optimizer"]["betas"], "weight_decay": 0.0}
    muon = {"kind": "muon", "lr": 0.02, "weight_decay": 0.0, "momentum": 0.8, "nesterov": True}
    others = bare | {"lr": 0.02, "betas": catapult["embeddings"]["betas"]}
    return {
        "standard": plain,
        "catapult": catapult,
        "grokked": plain | {"optimizer": bare | {"lr": 0.01, "weight_decay": 1.0}},
        "adamw_slow": plain | {"optimizer": bare | {"lr": 0.001}},
        "adamw_fast": plain | {"optimizer": bare | {"lr": 0.01}},
        "muon_bare": plain | {"init": catapult["init"], "optimizer": muon, "embeddings": others, "readout": others},
    }


def configure(params: PipelineParams, group: Group, p: int, seed: int) -> Experiment:
    """The experiment of one net: modular-standard of params.yaml with the group's task, budget and recipe."""
    values = modular_experiment(params, "standard").model_dump(mode="json")
    steps, every = max(group.steps, group.cycle_steps), group.cycle_steps
    phase = {"recipe": group.recipe, "last_cycle": steps // every, "parts": recipes()[group.recipe]}
    values |= {"name": f"modular-{group.recipe}", "recipe": group.recipe, "phases": [phase]}
    values["task"] |= {"p": p, "operation": group.operation}
    values["train"] |= {"seed": seed, "steps": steps, "cycle_steps": every, "evaluate_every": every, "device": "cpu"}
    return checked(values, Experiment, f"{group.name}, seed {seed}")


def random_labels(p: int, seed: int) -> Int[Tensor, " pair"]:
    """A uniform residue for every pair, drawn apart from the split."""
    return torch.from_numpy(np.random.default_rng([seed, 1]).integers(0, p, p * p))


def fit(experiment: Experiment, data: Data, steps: int) -> Iterator[pipeline.nets.Net]:
    """The net at the start and after every cycle, on data that a run cannot describe; the same steps as a run's."""
    net, seed = first_net(experiment), experiment.train.seed
    trainer = Trainer(net, experiment.parts, seed)
    batches = Batches(data, experiment.train.batch_size, seed)
    budget = Budget(steps, experiment.train.cycle_steps, evaluate_every=steps + 1)
    yield net
    for row in train_steps(trainer, batches, budget):
        if row["step"] % budget.cycle_steps == 0:
            yield net


def train_net(params: PipelineParams, group: Group, p: int, seed: int) -> Net:
    """Train one net of the group and measure its snapshots."""
    experiment = configure(params, group, p, seed)
    given, key_power = modular_task(experiment), params.interp.key_power
    task = given.task()
    pairs, answers = torch.from_numpy(task.pairs()), torch.from_numpy(task.answers())
    chosen = np.arange(p * p) if group.all_pairs else task.split(given.train_fraction, seed)[0]
    train = torch.from_numpy(chosen)
    if group.own_loop:
        labels = random_labels(p, seed) if group.random_labels else answers
        nets = fit(experiment, Data(Batch(pairs[train], labels[train]), {}), group.steps)
        measures = [measure(net, task, train, None, labels, key_power) for net in nets]
    else:
        with tempfile.TemporaryDirectory() as directory:
            run = train_run(experiment, Path(directory) / "run", Path(directory) / "state")
            nets = (load_snapshot(path).net for path in snapshot_paths(run))
            measures = [measure(net, task, train, None, None, key_power) for net in nets]
    labelled: list[Phase] = [label(m, p, params.interp.thresholds) for m in measures]
    return Net(p, seed, tuple(measures), tuple(labelled))


def number(value: float, digits: int) -> str:
    """.98 rather than 0.98; a plain 1 is exact, 1.000 is rounded."""
    text = f"{value:.0f}" if value == 1 else f"{value:.{digits}f}"
    return text.removeprefix("0") if "." in text else text


def span(values: Sequence[float], digits: int) -> str:
    """The least to the greatest, or one number where they print alike."""
    ends = [number(min(values), digits), number(max(values), digits)]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


COLUMNS = (
    "| nets | n | accuracy | scrubbed | circles scrubbed | explained | localisation / null | restricted | excluded "
    "| labels |"
)


def row(name: str, nets: Sequence[Net]) -> str:
    """One line of the table: the criteria of the last snapshots (losses in ln p) and their labels."""
    last = [(net.measures[-1], math.log(net.p)) for net in nets]
    cells = [
        span([m.accuracy for m, _ in last], 3),
        span([m.scrubbed_accuracy for m, _ in last], 3),
        span([m.circle_scrubbed_accuracy for m, _ in last], 3),
        span([m.explained for m, _ in last], 2),
        span([m.neuron_localisation / m.neuron_localisation_null for m, _ in last], 1),
        span([m.restricted_loss / chance for m, chance in last], 2),
        span([m.excluded_loss / chance for m, chance in last], 2),
        ", ".join(f"{count} {phase}" for phase, count in Counter(net.labels[-1] for net in nets).most_common()),
    ]
    return f"| {name} | {len(nets)} | {' | '.join(cells)} |"


def threshold_row(t: ThresholdParams) -> str:
    asked = (
        f">= {number(t.accuracy, 2)}",
        f">= {number(t.scrubbed_accuracy, 2)}",
        "or this",
        f">= {number(t.explained, 2)}",
    )
    losses = f"<= {number(t.restricted_loss, 2)} | >= {number(t.excluded_loss, 2)}"
    return f"| **asked of `algorithm`** | | {' | '.join(asked)} | >= {t.localisation_ratio:.1f} | {losses} | |"


def summary(results: Sequence[tuple[Group, Sequence[Net]]]) -> list[str]:
    """What the sentences around the table say: unexpected labels, and how near the controls ever came."""
    total, odd = sum(len(nets) for _, nets in results), []
    for group, nets in results:
        for net in nets:
            if net.labels[-1] not in group.expected:
                last = net.measures[-1]
                reached = f"accuracy {number(last.accuracy, 3)}, scrubbed {number(last.scrubbed_accuracy, 3)}"
                odd.append(f"{group.name}: p = {net.p}, seed {net.seed} ends in {net.labels[-1]} ({reached})")
    lines = [f"Labels as expected: {total - len(odd)} of {total} nets.", *(f"NOT AS EXPECTED: {text}." for text in odd)]
    controls = [net for group, nets in results if "algorithm" not in group.expected for net in nets]
    snapshots = [given for net in controls for given in net.labels]
    lines.append(f"Snapshots of the controls labelled algorithm: {snapshots.count('algorithm')} of {len(snapshots)}.")
    right = [m for group, nets in results if group.name.startswith(RIGHT_BUT) for net in nets for m in net.measures]
    if right:
        worst, circles = (
            number(max(getattr(m, name) for m in right), 3)
            for name in ("scrubbed_accuracy", "circle_scrubbed_accuracy")
        )
        lines.append(
            f"Greatest scrubbed accuracy of any of the {len(right)} unregularised snapshots: {worst}, "
            f"with circles scrubbed {circles}."
        )
    return lines


def main(arguments: list[str] | None = None) -> int:
    parser = Parser(prog="python -m benchmarks.phases", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="nets a group (default: 3)")
    parser.add_argument("--first-seed", type=int, default=100, help="seed of the first net (default: 100)")
    parser.add_argument("--only", default="", help="only the groups whose name contains this")
    options = parser.parse_args(arguments)
    groups = [group for group in GROUPS if options.only in group.name]
    if not groups or options.seeds < 1:
        raise UserError(f"--seeds = {options.seeds}, --only = {options.only!r}: leaves nothing to train")
    params = load_params()
    print(f"{COLUMNS}\n|{'---|' * COLUMNS.count(' |')}\n{threshold_row(params.interp.thresholds)}", flush=True)
    results: list[tuple[Group, list[Net]]] = []
    with Progress("phases", len(groups) * options.seeds, unit="net") as progress:
        for group in groups:
            nets: list[Net] = []
            for i in range(options.seeds):
                p, seed = group.primes[i % len(group.primes)], options.first_seed + i
                nets.append(train_net(params, group, p, seed))
                progress.advance(1, f"{group.name}: p = {p}, seed {seed} ends in {nets[-1].labels[-1]}")
            results.append((group, nets))
            print(row(group.name, nets), flush=True)
    print("\n" + "\n".join(summary(results)))
    return 0


if __name__ == "__main__":
    sys.exit(reported("python -m benchmarks.phases", main))
