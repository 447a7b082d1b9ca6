"""python -m benchmarks.catapult: do cyclic learning rates beat the best constant and the best decayed rate?

Every cell of the grid gives each arm the same random search: --trials trials on the same tuning seeds with the same
budget of steps, the three best of them again on --confirming-seeds more. What is best over both runs on --seeds fresh
seeds, the same for all arms, and is compared by seed. Every trial and run goes to --out as a JSON line; the same
command goes on where it was interrupted. --table computes the table, the sentences and the picture from such a file.

  python -m benchmarks.catapult --out benchmarks/results/catapult.jsonl
  python -m benchmarks.catapult --table benchmarks/results/catapult.jsonl --picture docs/catapult.svg
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.experiment.cells import CELLS, Cell
from benchmarks.experiment.forest import forest
from benchmarks.experiment.raw import Raw, design
from benchmarks.experiment.report import report
from benchmarks.experiment.search import ARMS, Knobs, choose_best, draw, finalists, flat, run
from benchmarks.experiment.smallest import find_smallest
from benchmarks.experiment.timing import SEEDS, TIMED, cycles_timed, jumps, shifts
from pipeline.command_line import Parser, output_file
from pipeline.errors import UserError, reported
from pipeline.files import write_atomically
from pipeline.progress import Progress

TUNING = 10_000
"""First tuning seed; the fresh seeds are those from 0."""


def experiment(raw: Raw, cells: Sequence[Cell]) -> None:
    """Run what is not in `raw` yet."""
    steps = len(cells) * (len(ARMS) * (raw.design["trials"] + 1) + 1)
    with Progress("catapult", steps, unit="trial") as progress:
        for cell in cells:
            for arm in ARMS:
                chosen = search(raw, cell, arm, progress)
                final(raw, cell, arm, chosen, progress)
                if arm == "cyclic":
                    final(raw, cell, "flat", flat(chosen), progress)
            if cell.name in TIMED:
                time_jumps(raw, cell, progress)


def search(raw: Raw, cell: Cell, arm: str, progress: Progress) -> Knobs:
    """All trials of an arm, and its finalists again on more seeds; returns the knobs of the best."""
    seeds, more = raw.design["tuning_seeds"], raw.design["confirming_seeds"]
    for number in range(raw.design["trials"]):
        if raw.get("trial", cell.name, arm, number) is None:
            knobs = draw(cell, arm, number)
            found = run(cell, knobs, range(TUNING, TUNING + seeds), stop=True)
            record = {"kind": "trial", "cell": cell.name, "arm": arm, "number": number, "knobs": knobs}
            raw.add({**record, "steps": found.steps, "accuracy": found.accuracy})
        progress.advance()
    trials = raw.of("trial", cell=cell.name, arm=arm)
    for trial in finalists(trials, cell.steps):
        if raw.get("confirm", cell.name, arm, trial["number"]) is None:
            found = run(cell, trial["knobs"], range(TUNING + seeds, TUNING + seeds + more), stop=True)
            record = {"kind": "confirm", "cell": cell.name, "arm": arm, "number": trial["number"]}
            raw.add({**record, "steps": found.steps, "accuracy": found.accuracy})
    return choose_best(trials, raw.of("confirm", cell=cell.name, arm=arm), cell.steps)["knobs"]


def final(raw: Raw, cell: Cell, arm: str, knobs: Knobs, progress: Progress) -> None:
    """The chosen knobs on the fresh seeds, to the end of the budget."""
    record = raw.get("run", cell.name, arm)
    if record is None or record["knobs"] != knobs:
        found = run(cell, knobs, range(raw.design["seeds"]))
        outcome = {"steps": found.steps, "accuracy": found.accuracy, "diverged": found.diverged}
        record = raw.add({"kind": "run", "cell": cell.name, "arm": arm, "knobs": knobs, **outcome})
    reached = sum(step is not None for step in record["steps"])
    progress.advance(1, f"{cell.name}, {arm}: {reached}/{len(record['steps'])} reached 95%")


def time_jumps(raw: Raw, cell: Cell, progress: Progress) -> None:
    """The chosen cycles of a cell, and cycles of another length, each begun at every shift."""
    chosen = raw.records["run", cell.name, "cyclic"]["knobs"]
    for cycle in cycles_timed(chosen):
        knobs = {**chosen, "cycle": cycle}
        for shift in shifts(cycle):
            record = raw.get("jump", cell.name, cycle, shift)
            if record is None or record["knobs"] != knobs:
                found = jumps(cell, knobs, shift, range(SEEDS))
                at = {"half": [jump.half for jump in found], "rise": [jump.rise for jump in found]}
                raw.add({"kind": "jump", "cell": cell.name, "cycle": cycle, "shift": shift, "knobs": knobs, **at})
        progress.say(f"{cell.name}: timed cycles of {cycle} steps")


def choose(names: str) -> list[Cell]:
    """The cells of a comma-separated list, or all; in the order of the grid."""
    chosen = list(CELLS) if names == "all" else [name.strip() for name in names.split(",")]
    for name in chosen:
        if name not in CELLS:
            raise UserError(f"--cells = {name}: choose all or some of {', '.join(CELLS)}")
    return [cell for name, cell in CELLS.items() if name in chosen]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser(prog="python -m benchmarks.catapult", description=__doc__)
    parser.add_argument("--out", type=output_file, help="run the experiment and keep its raw results in this file")
    parser.add_argument("--table", type=Path, help="only compute the table from this file of raw results")
    parser.add_argument("--picture", type=output_file, help="also draw the picture to this SVG file")
    parser.add_argument("--smallest", action="store_true", help="find the smallest width that fits, and nothing else")
    parser.add_argument("--cells", default="all", help="all, or names separated by commas (default: all)")
    parser.add_argument("--trials", type=int, default=12, help="trials of each arm's search (default: 12)")
    parser.add_argument("--tuning-seeds", type=int, default=2, help="seeds of a trial, from 10000 (default: 2)")
    parser.add_argument("--confirming-seeds", type=int, default=6, help="seeds of a finalist, after those (default: 6)")
    parser.add_argument("--seeds", type=int, default=16, help="fresh seeds, from 0 (default: 16)")
    options = parser.parse_args(arguments)
    if (options.out is None) == (options.table is None):
        raise UserError("give --out FILE to run the experiment, or --table FILE to read one that was run")
    if options.smallest and options.out is None:
        raise UserError("--smallest trains nets: give --out FILE with it")
    numbers = (options.trials, options.tuning_seeds, options.confirming_seeds, options.seeds)
    if min(numbers) < 1:
        raise UserError("--trials, --tuning-seeds, --confirming-seeds, --seeds: give whole numbers, 1 or more")
    if options.table is not None:
        raw = Raw.load(options.table)
    else:
        raw = Raw.resume(options.out, design(*numbers))
        if options.smallest:
            print(find_smallest(raw))
            return 0
        experiment(raw, choose(options.cells))
    print(report(raw))
    if options.picture is not None:
        write_atomically(options.picture, forest(raw))
    return 0


if __name__ == "__main__":
    sys.exit(reported("python -m benchmarks.catapult", main))
