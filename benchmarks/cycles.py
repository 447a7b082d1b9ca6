"""python -m benchmarks.cycles: is it the cycles? The catapult recipe against itself at constant rates, paired by seed.

Everything but the schedule is the same: data, initial weights, optimisers, regularisers, budget. `peak` holds the rate
that each cycle starts at, `mean` the mean rate over a cycle. This checks the default recipe; it is no search for the
best rate of each schedule, which would have to spend the same number of trials on all three.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
from pathlib import Path
from statistics import median

from pipeline.errors import UserError
from pipeline.params import RunConfig, load_params
from train.loop import train_run
from train.schedules import multiplier

LEVELS = (0.95, 0.99, 1.0)


def variants(config: RunConfig) -> dict[str, RunConfig]:
    """The recipe as it is, and with its rates held at the peak and at the mean of a cycle."""
    steps = config.train.cycle_steps
    mean = sum(multiplier(config.recipe.schedule, step, steps, steps) for step in range(steps)) / steps
    return {"cyclic": config, "constant, peak": constant(config, 1.0), "constant, mean": constant(config, mean)}


def constant(config: RunConfig, factor: float) -> RunConfig:
    """The same run with every rate held at `factor` of its peak."""
    values = config.model_dump(mode="json")
    recipe = values["recipe"]
    recipe["schedule"] = {"kind": "constant"}
    for group in ("optimizer", "embeddings", "readout"):
        if recipe[group] is not None:
            recipe[group]["lr"] *= factor
    return RunConfig.model_validate_json(json.dumps(values))


def steps_to(history: Path) -> list[int | None]:
    """First evaluated step at which test accuracy is at least each of LEVELS; None where it never is."""
    rows = [row for row in csv.DictReader(history.read_text().splitlines()) if row["test_accuracy"]]
    return [next((int(row["step"]) for row in rows if float(row["test_accuracy"]) >= level), None) for level in LEVELS]


def summary(reached: list[int | None]) -> str:
    """Median (least to greatest) of the runs that got there, and how many of all did."""
    there = sorted(step for step in reached if step is not None)
    if not there:
        return f"never (0/{len(reached)})"
    return f"{median(there):g} ({there[0]} to {there[-1]}; {len(there)}/{len(reached)})"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cycles", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=8, help="how many seeds, from --first (default: 8)")
    parser.add_argument("--first", type=int, default=0, help="first seed (default: 0)")
    options = parser.parse_args()
    config = load_params().run_config("catapult")
    reached: dict[str, list[list[int | None]]] = {}
    for seed in range(options.first, options.first + options.seeds):
        seeded = config.model_copy(update={"train": config.train.model_copy(update={"seed": seed})})
        for name, variant in variants(seeded).items():
            with tempfile.TemporaryDirectory() as directory:
                run = train_run(variant, Path(directory) / "run", Path(directory) / "state")
                reached.setdefault(name, []).append(steps_to(run.directory / "history.csv"))
    titles = [f"steps to {level:.0%}" for level in LEVELS]
    print(f"{config.task.task()}, {options.seeds} seeds, {config.train.steps} steps, evaluated every "
          f"{config.train.evaluate_every}: median (least to greatest; runs that got there)")  # fmt: skip
    print("  ".join([f"{'schedule':<16}", *(f"{title:<24}" for title in titles)]).rstrip())
    for name, runs in reached.items():
        cells = [summary([run[i] for run in runs]) for i in range(len(LEVELS))]
        print("  ".join([f"{name:<16}", *(f"{cell:<24}" for cell in cells)]).rstrip())
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        print(f"python -m benchmarks.cycles: {error}", file=sys.stderr)
        sys.exit(2)
