"""python -m train: train one net by a recipe of params.yaml, or find how high its rates may go."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pipeline.command_line import Parser, output_file
from pipeline.errors import UserError, reported
from pipeline.fields import MOST
from pipeline.params import RunConfig, TrainParams, load_params
from pipeline.validation import checked

DESCRIPTION = """\
Train one net by a recipe of params.yaml and write its run directory:
params.json, history.csv and one snapshot a cycle (safetensors).

A run that was interrupted, even by SIGKILL, goes on from its last finished cycle
when the same command is given again, and ends in the same bytes.

example:
  python -m train catapult --out runs/modular-catapult-s0

With --from it goes on from a snapshot of any net instead: on its task, its data and
its seed, for train.steps steps or --steps. Of a net that was imported nobody knows the
training pairs: give --fraction for the share of the pairs to show it, and --out.

  python -m train consolidation --from runs/modular-standard-s0/snapshots/cycle-0010.safetensors

`python -m train range RECIPE` sweeps the learning rate instead and says where the
loss turns; see python -m train range --help.
"""

RANGE = """\
Learning-rate range test (Smith 2017): one training in which all rates of the recipe
grow exponentially, whatever its schedule. Prints the edge: the first multiplier on
the recipe's rates at which the smoothed training loss lies RISE * ln(answers) above
the lowest it has been, or at which something is no longer finite.

example:
  python -m train range muon --from 0.01 --to 100 --steps 100
"""


def main(arguments: list[str] | None = None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    return reported("python -m train", lambda: _range(given[1:]) if given[:1] == ["range"] else _train(given))


def _parser(command: str, description: str) -> Parser:
    parser = Parser(prog=command, description=description)
    parser.add_argument("recipe", help="a name under `recipes` in params.yaml, such as standard or catapult")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="parameter file")
    return parser


def _train(arguments: list[str]) -> int:
    parser = _parser("python -m train", DESCRIPTION)
    parser.add_argument("--out", type=Path, help="run directory to write (default: runs/<key>)")
    parser.add_argument("--from", dest="start", type=Path, metavar="SNAPSHOT", help="go on from this snapshot")
    parser.add_argument("--steps", type=int, help="with --from: how many steps (default: train.steps)")
    parser.add_argument("--cycle-steps", type=int, help="with --from: steps from snapshot to snapshot")
    parser.add_argument("--fraction", type=float, help="with --from: share of the pairs to show (default: as before)")
    options = parser.parse_args(arguments)
    own = {"steps": "train.steps", "cycle_steps": "train.cycle_steps", "fraction": "task.train_fraction"}
    if options.start is None and any(getattr(options, name) is not None for name in own):
        raise UserError(
            f"--steps, --cycle-steps and --fraction go with --from; set {', '.join(own.values())} in params.yaml"
        )
    params = load_params(options.params)
    config = params.run_config(options.recipe)
    # torch takes seconds to import: not before the parameters are known good
    from train.loop import continued, train_run

    if options.start is not None:
        given = {"steps": options.steps, "cycle_steps": options.cycle_steps}
        values = params.train.model_dump(mode="json") | {name: n for name, n in given.items() if n is not None}
        train = checked(values, TrainParams, "--steps, --cycle-steps")
        if options.fraction is not None and options.out is None:
            raise UserError("--fraction: the name of a run does not say which share it was shown; give --out as well")
        config = continued(options.start, options.recipe, config.recipe, train, options.fraction)
    train_run(config, options.out or Path("runs") / config.key, start=options.start)
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
    config = load_params(options.params).run_config(options.recipe)
    print(_sweep(config, options))
    return 0


def _sweep(config: RunConfig, options: argparse.Namespace) -> str:
    from pipeline.files import write_atomically
    from train.loop import first_net
    from train.range_test import range_test, sweep

    net = first_net(config)
    factors = sweep(options.low, options.high, options.steps)
    task, fraction, seed = config.task.task(), config.task.train_fraction, config.train.seed
    result = range_test(net, task, config.recipe, seed, fraction, factors, options.rise)
    rate = config.recipe.optimizer.lr
    if options.table is not None:
        rows = zip(result.factors, result.losses, strict=True)
        lines = [f"{factor:.6g},{rate * factor:.6g},{loss:.6g}" for factor, loss in rows]
        write_atomically(options.table, "\n".join(["multiplier,lr,train_loss", *lines]) + "\n")
    swept = f"{options.steps} steps from {options.low:g} to {options.high:g} times the rates of {config.recipe_name}"
    if result.edge is None:
        return f"no edge in {swept}: the loss never rose by {options.rise:g} ln(answers)"
    return f"edge at {result.edge:.3g} times the rates (lr {rate * result.edge:.3g}), in {swept}"


if __name__ == "__main__":
    sys.exit(main())
