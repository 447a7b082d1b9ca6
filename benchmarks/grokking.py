"""python -m benchmarks.grokking: the race out of memorisation, all recipes on the same data and seeds, in one run.

A seed draws the split, the initial weights and the order of the batches, the same for every recipe. Steps, samples and
CPU seconds (of this process, evaluations not counted) run to the first evaluation at 95, 99 and 100% test accuracy.
Medians and ranges are over all seeds: a run that does not get there within the budget, or diverges before, is a
failure and counts as infinitely far.

With --hold, a run that reaches 100% at step s goes on under its own schedule to step 10 s, and has held where it is
at 100% there; `lowest` is the worst accuracy on the way, over all seeds, looked at every tenth step.

With --out every run is appended to a file when it ends, and a run that is there already is not run again: a race can
be stopped at any moment, gone on with, and split over several commands. --table prints what is in such a file.

  python -m benchmarks.grokking --protocol P1 --recipes muon_radial,adamw_tuned --seeds 8 --hold --out race.jsonl
  python -m benchmarks.grokking --table race.jsonl
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.lines import append, read
from benchmarks.outcome import LEVELS, Outcome, Point, digest_of, first_reaching, held, latest, tables
from benchmarks.protocols import PROTOCOLS, Protocol, choose
from pipeline.command_line import Parser, output_file
from pipeline.errors import UserError, reported
from pipeline.nets import build_net
from pipeline.progress import Progress
from pipeline.recipe_params import RecipeParams
from train.data import Batches, Data
from train.divergence import Diverged, refuse_divergence
from train.environment import prepare
from train.loop import TimedTrainer
from train.losses import evaluate
from train.recipes import initialise
from train.schedules import multiplier

HOLD = 10
"""A hold lasts until this many times the steps to 100%."""


def run(protocol: Protocol, recipe: RecipeParams, seed: int) -> Iterator[Point]:
    """Train one net, without end, and give each evaluation. Raises Diverged.

    Every `evaluate_every` steps until the first 100%, and every tenth step after it.
    """
    prepare()
    net = build_net(protocol.net)
    initialise(net, recipe.init, torch.Generator().manual_seed(seed))
    trainer = TimedTrainer(net, recipe, seed)
    data = Data.of_pairs(protocol.task, protocol.fraction, seed)
    batches = Batches(data, protocol.batch, seed)
    every = protocol.evaluate_every
    for step in itertools.count():
        factor = multiplier(recipe.schedule, step, protocol.cycle_steps, protocol.steps)
        loss, _, _ = trainer.step(batches.next(), factor)
        refuse_divergence(net, loss, step + 1, trainer.rates[0] * factor)
        if (step + 1) % every == 0:
            _, accuracy = evaluate(net, data.tried["test"])
            every = HOLD if accuracy == 1.0 else every
            yield Point(step + 1, trainer.samples, trainer.cpu_seconds, accuracy)


def race(
    protocol: Protocol, name: str, recipe: RecipeParams, seed: int, hold: bool, points: Iterator[Point] | None = None
) -> Outcome:
    """One recipe on one seed: until 100% (with `hold`, to ten times that step) or the end of the budget."""
    history: list[Point] = []
    diverged, end = False, protocol.steps
    try:
        for point in points or run(protocol, recipe, seed):
            if point.test_accuracy == 1.0 and all(before.test_accuracy < 1.0 for before in history):
                end = HOLD * point.step if hold else point.step
            if point.step > end:
                break
            history.append(point)
            if point.step >= end:
                break
    except Diverged:
        diverged = True
    after = held(history) if hold else None
    return Outcome(
        protocol=str(protocol),
        recipe=name,
        digest=digest_of(recipe),
        seed=seed,
        steps=history[-1].step if history else 0,
        best=max((point.test_accuracy for point in history), default=0.0),
        reached=tuple(first_reaching(history, level) for level in LEVELS),
        hold=replace(after, lowest=0.0, last=0.0) if after is not None and diverged else after,
        diverged=diverged,
    )


def race_all(
    protocol: Protocol, recipes: dict[str, RecipeParams], seeds: Sequence[int], hold: bool, out: Path | None
) -> list[Outcome]:
    """Every recipe on every seed, but for those that `out` has already."""
    outcomes: list[Outcome] = []
    known = {o.key: o for o in latest(Outcome.of(record) for record in read(out))} if out is not None else {}
    with Progress("race", len(seeds) * len(recipes), unit="run") as progress:
        for seed in seeds:
            for name, recipe in recipes.items():
                outcome = known.get((str(protocol), name, digest_of(recipe), seed))
                if outcome is None or (hold and not outcome.says_whether_it_held):
                    outcome = race(protocol, name, recipe, seed, hold)
                    if out is not None:
                        append(out, outcome.record())
                outcomes.append(outcome)
                progress.advance(1, str(outcome))
    return outcomes


def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser(prog="python -m benchmarks.grokking", description=__doc__)
    parser.add_argument("--protocol", choices=PROTOCOLS, help="which race")
    parser.add_argument("--file", type=Path, help="a file of recipes (default: the protocol's own)")
    parser.add_argument("--recipes", default="all", help="all, or names separated by commas (default: all)")
    parser.add_argument("--seeds", type=int, default=8, help="how many seeds, from --first (default: 8)")
    parser.add_argument("--first", type=int, default=0, help="first seed; tuning uses 10000 and above (default: 0)")
    parser.add_argument("--hold", action="store_true", help="go on to ten times the steps to 100%%")
    parser.add_argument("--fraction", type=float, help="another share of the pairs to train on")
    parser.add_argument("--steps", type=int, help="another budget than the protocol's")
    parser.add_argument("--p", type=int, help="another prime: the task and the net of the protocol, mod p")
    parser.add_argument("--operation", help="another operation, such as subtraction")
    parser.add_argument(
        "--out", type=output_file, help="append every outcome here, as JSON lines, and go on from what is there"
    )
    parser.add_argument("--table", type=Path, help="run nothing: print the table of such a file")
    options = parser.parse_args(arguments)
    if options.table is not None:
        if not options.table.exists():
            raise UserError(f"--table = {options.table}: no such file; give one that --out wrote")
        print(tables(latest(Outcome.of(record) for record in read(options.table))))
        return 0
    if options.protocol is None:
        raise UserError(f"--protocol is missing: choose one of {', '.join(PROTOCOLS)}, or give --table")
    if options.seeds < 1 or options.first < 0:
        raise UserError(f"--seeds = {options.seeds}, --first = {options.first}: give 1 or more, and 0 or more")
    protocol = PROTOCOLS[options.protocol].changed(options.fraction, options.steps, options.p, options.operation)
    protocol = replace(protocol, recipes_file=options.file or protocol.recipes_file)
    seeds = range(options.first, options.first + options.seeds)
    outcomes = race_all(protocol, choose(protocol.recipes(), options.recipes), seeds, options.hold, options.out)
    print(f"{tables(outcomes)}\n\npublished, not run here:")
    print("\n".join(f"  {line}" for line in protocol.published))
    return 0


if __name__ == "__main__":
    sys.exit(reported("python -m benchmarks.grokking", main))
