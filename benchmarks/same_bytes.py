"""python -m benchmarks.same_bytes: is a run the same, byte for byte, on every processor, and what does that cost?

Trains the default nets for some steps, each in a process of its own that is told other things of the processor, and
prints a digest of all weights and the time of a step. Rows that claim the same bytes:

    same         what every command of the project does by default (pipeline.instruction_set)
    N threads    the same, in a process to which N threads are given
    avx2, ...    the same, where variables of the outside ask for other kernels (benchmarks/emulation.py)
    qemu NAME    the same, on a processor that Debian's qemu-user makes of software; --qemu Haswell EPYC (of Intel, of
                 AMD) takes some twenty minutes for 20 steps

and rows that do not: `native`, the libraries' own choice, on one thread and on all of them, the last with torch's Muon,
whose Newton-Schulz is in bfloat16. Exit status 1 where two of the first kind differ.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.defaults import modular_experiment
from benchmarks.emulation import EMULATIONS
from pipeline.command_line import Parser
from pipeline.errors import UserError, reported
from pipeline.instruction_set import SWITCH, VARIABLES, has_instruction_set
from pipeline.params import load_params

RECIPES = ("standard", "catapult")


@dataclass(frozen=True)
class Row:
    """One process: how it is started, and whether it claims the same bytes as the others."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    claims: bool


def rows(qemu: list[str]) -> list[Row]:
    outside = {name: set_ for name, set_ in EMULATIONS.items() if name in ("avx2", "oldest")}
    same = [Row("same", (), {}, True)]
    same += [Row(f"{n} threads", (), {"OMP_NUM_THREADS": str(n)}, True) for n in (2, 3)]
    same += [
        Row(f"asked for {name}", (), {k: v for k, v in set_.items() if k != SWITCH}, True)
        for name, set_ in outside.items()
    ]
    same += [Row(f"qemu {model}", ("qemu-x86_64", "-cpu", model), {}, True) for model in qemu]
    cores = str(os.cpu_count() or 1)
    native = EMULATIONS["native"]
    others = [Row(f"native, {n} thread(s)", (), native | {"THREADS": n}, False) for n in sorted({"1", cores})]
    return [*same, *others, Row("native, bfloat16", (), native | {"THREADS": "1", "MUON": "torch"}, False)]


def digests(names: list[str], steps: int) -> dict[str, tuple[str, float]]:
    """In this process: by recipe, the digest of the weights after `steps` steps and the median milliseconds of one."""
    import torch

    from train import recipes
    from train.data import Batches, Data
    from train.environment import prepare
    from train.loop import Budget, train_steps
    from train.run import first_net
    from train.step import Trainer

    prepare()
    if os.environ.get("MUON") == "torch":
        recipes.Muon = torch.optim.Muon
    if "THREADS" in os.environ:
        torch.set_num_threads(int(os.environ["THREADS"]))
    params, found = load_params(), {}
    for name in names:
        experiment = modular_experiment(params, name)
        net, given = first_net(experiment), experiment.train
        trainer = Trainer(net, experiment.parts, given.seed, given.matmul_precision)
        batches = Batches(Data.of(experiment.task.split(given.seed)), given.batch_size, given.seed)
        budget = Budget(given.steps, given.cycle_steps, given.steps + 1)
        times = [time.perf_counter()]
        for _ in zip(range(steps), train_steps(trainer, batches, budget), strict=False):
            times.append(time.perf_counter())
        weights = b"".join(value.detach().numpy().tobytes() for value in net.state_dict().values())
        spent = sorted(after - before for before, after in pairwise(times))
        found[name] = hashlib.sha256(weights).hexdigest(), 1000 * spent[len(spent) // 2]
    return found


def measured(row: Row, names: list[str], steps: int) -> dict[str, tuple[str, float]]:
    """The same in a process of the row's kind."""
    environment = {name: value for name, value in os.environ.items() if name not in (SWITCH, *VARIABLES)}
    command = [*row.command, os.path.realpath(sys.executable), "-m", "benchmarks.same_bytes", "--here"]
    paths = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    given = [*command, "--steps", str(steps), "--recipes", *names]
    done = subprocess.run(given, env=environment | row.environment | paths, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"{row.name}: {' '.join(done.stderr.split())[-300:] or 'ended without a word'}")
    return json.loads(done.stdout)


def table(qemu: list[str], names: list[str], steps: int) -> Iterator[tuple[str, bool]]:
    """Lines to print, and whether each agrees with the first row."""
    first: dict[str, str] = {}
    yield "  ".join([f"{'':<20}", *(f"{name}, ms a step".ljust(22) for name in names)]), True
    for row in rows(qemu):
        found = measured(row, names, steps)
        first = first or {name: digest for name, (digest, _) in found.items()}
        agrees = first == {name: digest for name, (digest, _) in found.items()}
        cells = [f"{found[name][0][:12]} {found[name][1]:>9.1f}" for name in names]
        said = "" if not row.claims else "  the same bytes" if agrees else "  OTHER BYTES"
        yield f"{row.name:<20}  {'  '.join(cells)}{said}", agrees or not row.claims


def main() -> int:
    parser = Parser(prog="python -m benchmarks.same_bytes", description=__doc__)
    parser.add_argument("--steps", type=int, default=20, help="of training (default: 20)")
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES), help="default: both")
    parser.add_argument("--qemu", nargs="*", default=[], metavar="MODEL", help="processors of qemu-x86_64 -cpu help")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.steps < 1:
        raise UserError(f"--steps = {options.steps}: give a whole number, 1 or more")
    if options.here:
        print(json.dumps(digests(options.recipes, options.steps)))
        return 0
    if not has_instruction_set():
        raise UserError("this processor = one without x86-64-v3: nothing is held to it here")
    good = True
    for line, agrees in table(options.qemu, options.recipes, options.steps):
        print(line, flush=True)
        good = good and agrees
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(reported("python -m benchmarks.same_bytes", main))
