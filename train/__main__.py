"""python -m train: train one net by a recipe of params.yaml."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pipeline.errors import UserError
from pipeline.params import load_params

DESCRIPTION = """\
Train one net by a recipe of params.yaml and write its run directory:
params.json, history.csv and one snapshot a cycle (safetensors).

A run that was interrupted, even by SIGKILL, goes on from its last finished cycle
when the same command is given again, and ends in the same bytes.

example:
  python -m train catapult --out runs/modular-catapult-s0
"""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m train", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", help="a name under `recipes` in params.yaml, such as standard or catapult")
    parser.add_argument("--out", type=Path, help="run directory to write (default: runs/<key>)")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="parameter file")
    options = parser.parse_args(arguments)
    try:
        config = load_params(options.params).run_config(options.recipe)
        from train.loop import train_run  # torch takes seconds to import: not before the parameters are known good

        train_run(config, options.out or Path("runs") / config.key)
    except UserError as error:
        print(f"python -m train: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
