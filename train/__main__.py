"""python -m train: train an experiment of params.yaml, go on from a net, or find how high rates may go."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pipeline.command_line import Parser, output_file
from pipeline.errors import UserError, reported
from pipeline.experiment import Experiment, ModularParams, TrainParams
from pipeline.fields import MOST
from pipeline.params import load_params
from pipeline.recipe_files import load_recipe
from pipeline.validation import checked

DESCRIPTION = """\
Train one experiment of params.yaml and write its run directory: params.json, history.csv,
accuracy.csv and snapshots (safetensors). `dvc repro` does the same, and the same bytes.

A run that was interrupted, even by SIGKILL, goes on from its last finished cycle
when the same command is given again, and ends in the same bytes.

example:
  python -m train modular-catapult

`python -m train continue RECIPE --from SNAPSHOT` goes on from a snapshot of any net on pairs;
`python -m train range EXPERIMENT` sweeps the learning rate and says where the loss turns.
Each has its own --help.
"""

CONTINUE = """\
Go on from a snapshot of any net on pairs by a recipe of train/recipes: on its task, its
data and its seed. Of a net that was imported nobody knows the training pairs: give
--fraction for the share of the pairs to show it, and --out.

example:
  python -m train continue consolidation --from runs/modular-standard/snapshots/cycle-0010.safetensors
"""

RANGE = """\
Learning-rate range test (Smith 2017): one training in which all rates of the recipe
grow exponentially, whatever its schedule. Prints the edge: the first multiplier on
the recipe's rates at which the smoothed training loss lies RISE * ln(answers) above
the lowest it has been, or at which something is no longer finite.

example:
  python -m train range modular-catapult --from 0.01 --to 100 --steps 100
"""


def main(arguments: list[str] | None = None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    commands = {"range": _range, "continue": _continue}
    command = commands.get(given[0]) if given else None
    return reported("python -m train", lambda: _train(given) if command is None else command(given[1:]))


def _parser(command: str, description: str) -> Parser:
    parser = Parser(prog=command, description=description)
    parser.add_argument("experiment", help="a name under `experiments` in params.yaml, such as modular-catapult")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="parameter file")
    return parser


def _train(arguments: list[str]) -> int:
    parser = _parser("python -m train", DESCRIPTION)
    parser.add_argument("--out", type=Path, help="run directory to write (default: runs/EXPERIMENT)")
    options = parser.parse_args(arguments)
    experiment = load_params(options.params).experiment(options.experiment)
    from train.run import train_run  # torch takes seconds to import: not before the parameters are known good

    train_run(experiment, options.out or Path("runs") / experiment.name)
    return 0


def _continue(arguments: list[str]) -> int:
    parser = Parser(prog="python -m train continue", description=CONTINUE)
    parser.add_argument("recipe", help="a file of train/recipes, such as consolidation")
    parser.add_argument(
        "--from", dest="start", type=Path, metavar="SNAPSHOT", required=True, help="where to go on from"
    )
    parser.add_argument("--steps", type=int, default=440, help="how many steps (default: 440)")
    parser.add_argument("--cycle-steps", type=int, default=10, help="steps of a cycle (default: 10)")
    parser.add_argument("--every", type=int, default=5, help="cycles from snapshot to snapshot (default: 5)")
    parser.add_argument("--fraction", type=float, help="share of the pairs to show (default: as before)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")
    parser.add_argument("--out", type=Path, help="run directory to write (default: runs/ and the two recipes' names)")
    options = parser.parse_args(arguments)
    recipe = load_recipe(options.recipe)
    if options.fraction is not None and options.out is None:
        raise UserError("--fraction: the name of a run does not say which share it was shown; give --out as well")
    budget = {"steps": options.steps, "cycle_steps": options.cycle_steps, "device": options.device}
    values = {**budget, "snapshots": {"dense": 0, "every": options.every}}
    train = checked(values, TrainParams, "--steps, --cycle-steps, --every, --device")
    from train.run import continued, train_run  # torch takes seconds to import

    experiment = continued(options.start, options.recipe, recipe, train, options.fraction)
    train_run(experiment, options.out or Path("runs") / experiment.name, start=options.start)
    return 0


def _range(arguments: list[str]) -> int:
    parser = _parser("python -m train range", RANGE)
    parser.add_argument("--from", dest="low", type=float, default=0.01, help="first multiplier (default: 0.01)")
    parser.add_argument("--to", dest="high", type=float, default=100.0, help="last multiplier (default: 100)")
    parser.add_argument("--steps", type=int, default=100, help="steps of the sweep (default: 100)")
    parser.add_argument("--rise", type=float, default=0.2, help="in units of ln(answers) (default: 0.2)")
    parser.add_argument(
        "--table", type=output_file, help="also write multiplier,lr,train_loss of every step to this CSV file"
    )
    options = parser.parse_args(arguments)
    if not (0 < options.low < options.high < float("inf") and 2 <= options.steps <= MOST and options.rise > 0):
        raise UserError(f"range: give 0 < --from < --to, --steps from 2 to {MOST}, and --rise above 0")
    print(_sweep(load_params(options.params).experiment(options.experiment), options))
    return 0


def _sweep(experiment: Experiment, options: argparse.Namespace) -> str:
    if not isinstance(experiment.task, ModularParams):
        raise UserError(f"range: {experiment.name} is of {experiment.task.name}; it takes arithmetic mod p")
    from pipeline.files import write_atomically
    from train.range_test import range_test, sweep
    from train.run import first_net

    net = first_net(experiment)
    factors = sweep(options.low, options.high, options.steps)
    task, fraction, seed = experiment.task.task(), experiment.task.train_fraction, experiment.train.seed
    result = range_test(net, task, experiment.parts, seed, fraction, factors, options.rise)
    rate, swept_recipe = experiment.parts.optimizer.lr, experiment.phases[0].recipe
    if options.table is not None:
        rows = zip(result.factors, result.losses, strict=True)
        lines = [f"{factor:.6g},{rate * factor:.6g},{loss:.6g}" for factor, loss in rows]
        write_atomically(options.table, "\n".join(["multiplier,lr,train_loss", *lines]) + "\n")
    swept = f"{options.steps} steps from {options.low:g} to {options.high:g} times the rates of {swept_recipe}"
    if result.edge is None:
        return f"no edge in {swept}: the loss never rose by {options.rise:g} ln(answers)"
    return f"edge at {result.edge:.3g} times the rates (lr {rate * result.edge:.3g}), in {swept}"


if __name__ == "__main__":
    sys.exit(main())
