"""python -m benchmarks.grokking: the race out of memorisation, all recipes on the same data and seeds, in one run.

A seed draws the split, the initial weights and the order of the batches, the same for every recipe. Steps, samples and
CPU seconds (of this process, evaluations not counted) run to the first evaluation at 95, 99 and 100% test accuracy.
Medians and ranges are over all seeds: a run that does not get there within the budget, or diverges, is a failure and
counts as infinitely far.

With --hold, a run that reaches 100% at step s goes on under its own schedule to step 10 s, and has held where it is
at 100% there; `lowest` is the worst accuracy on the way, over all seeds.

  python -m benchmarks.grokking --protocol P1 --recipes muon_radial,adamw_tuned --seeds 8 --hold
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.outcome import LEVELS, Outcome, Point, first_reaching, held, table
from benchmarks.protocols import PROTOCOLS, Contender, Protocol
from pipeline.errors import UserError
from pipeline.nets import build_net
from pipeline.progress import Progress
from train.data import Batches, Data
from train.divergence import Diverged, refuse_divergence
from train.loop import TimedTrainer
from train.losses import evaluate
from train.recipes import initialise

HOLD = 10
"""A hold lasts until this many times the steps to 100%."""


def run(protocol: Protocol, contender: Contender, seed: int) -> Iterator[Point]:
    """Train one net, without end, and give each evaluation. Raises Diverged.

    Every `evaluate_every` steps until the first 100%, and every tenth step after it.
    """
    net = build_net(protocol.net)
    initialise(net, contender.recipe.init, torch.Generator().manual_seed(seed))
    trainer = TimedTrainer(net, contender.recipe, seed)
    data = Data.of(protocol.task, protocol.fraction, seed)
    batches = Batches(data, protocol.batch, seed)
    every = protocol.evaluate_every
    for step in itertools.count():
        factor = contender.factor(step)
        loss, _, _ = trainer.step(*batches.next(), factor)
        refuse_divergence(net, loss, step + 1, trainer.rates[0] * factor)
        if (step + 1) % every == 0:
            _, accuracy = evaluate(net, data.test_pairs, data.test_answers)
            every = HOLD if accuracy == 1.0 else every
            yield Point(step + 1, trainer.samples, trainer.cpu_seconds, accuracy)


def race(protocol: Protocol, recipe: str, seed: int, hold: bool, points: Iterator[Point] | None = None) -> Outcome:
    """One recipe on one seed: until 100% (with `hold`, to ten times that step) or the end of the budget."""
    history: list[Point] = []
    diverged, end = False, protocol.steps
    try:
        for point in points or run(protocol, protocol.contenders[recipe], seed):
            if point.test_accuracy == 1.0 and all(before.test_accuracy < 1.0 for before in history):
                end = HOLD * point.step if hold else point.step
            history.append(point)
            if point.step >= end:
                break
    except Diverged:
        diverged = True
    after = held(history) if hold else None
    return Outcome(
        protocol=protocol.name,
        recipe=recipe,
        seed=seed,
        steps=history[-1].step if history else 0,
        best=max((point.test_accuracy for point in history), default=0.0),
        reached=tuple(first_reaching(history, level) for level in LEVELS),
        hold=replace(after, lowest=0.0, last=0.0) if after is not None and diverged else after,
        diverged=diverged,
    )


def choose(protocol: Protocol, names: str) -> list[str]:
    """The recipes of a comma-separated list, or all."""
    chosen = list(protocol.contenders) if names == "all" else names.split(",")
    for name in chosen:
        if name not in protocol.contenders:
            raise UserError(f"--recipes = {name}: choose all or some of {', '.join(protocol.contenders)}")
    return chosen


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.grokking", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--protocol", required=True, choices=PROTOCOLS, help="which race")
    parser.add_argument("--recipes", default="all", help="all, or names separated by commas (default: all)")
    parser.add_argument("--seeds", type=int, default=8, help="how many seeds, from --first (default: 8)")
    parser.add_argument("--first", type=int, default=0, help="first seed; tuning used 1000 and above (default: 0)")
    parser.add_argument("--hold", action="store_true", help="go on to ten times the steps to 100%%")
    parser.add_argument("--fraction", type=float, help="another share of the pairs to train on")
    parser.add_argument("--steps", type=int, help="another budget than the protocol's")
    parser.add_argument("--p", type=int, help="another prime: the task and the net of the protocol, mod p")
    parser.add_argument("--operation", help="another operation, such as subtraction")
    parser.add_argument("--out", type=Path, help="also append every outcome to this file, as JSON lines")
    options = parser.parse_args(arguments)
    if options.seeds < 1:
        raise UserError(f"--seeds = {options.seeds}: give a whole number, 1 or more")
    protocol = PROTOCOLS[options.protocol].changed(options.fraction, options.steps, options.p, options.operation)
    names = choose(protocol, options.recipes)
    outcomes: list[Outcome] = []
    with Progress("race", options.seeds * len(names), unit="run") as progress:
        for seed in range(options.first, options.first + options.seeds):
            for name in names:
                outcome = race(protocol, name, seed, options.hold)
                outcomes.append(outcome)
                progress.advance(1, str(outcome))
                if options.out is not None:
                    with options.out.open("a") as file:
                        file.write(f"{outcome.to_json()}\n")
    seeds = f"seeds {options.first} to {options.first + options.seeds - 1} (n = {options.seeds})"
    print(f"{protocol}\n{seeds}, {torch.get_num_threads()} threads: median (least..greatest)")
    print(f"\n{table(outcomes, options.hold)}\n\npublished, not run here:")
    print("\n".join(f"  {line}" for line in protocol.published))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        print(f"python -m benchmarks.grokking: {error}", file=sys.stderr)
        sys.exit(2)
