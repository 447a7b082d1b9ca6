"""Nets proved for all lengths, `python -m benchmarks.adders --seeds 20`: how many, how fast, with what lessons.

Each net is trained by a recipe for streams of train/recipes, its last snapshot is proved or refuted, and its float32
answers to 40 pairs of operands of 1,000 places are compared with Python's. Seconds are of CPU time in this process,
from the first training step to the certificate, without the solver's own processes. `--ablate` takes one part after
another out of the recipe `addition_catapult` and puts one after another into `addition_standard`, all else equal:
which part does it?
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.defaults import stream_task
from pipeline.command_line import Parser
from pipeline.errors import reported
from pipeline.experiment import Experiment
from pipeline.files import snapshot_paths
from pipeline.params import PipelineParams, load_params
from pipeline.tasks.streaming import stream_task_from
from pipeline.validation import checked
from train.run import train_run
from verify.claims import Proved
from verify.recurrent_net import load_recurrent
from verify.stream_run import verify_stream

LONG, REPLAYED = 1000, 40
CONSTANT = {"schedule": {"kind": "constant"}}
TEACHING = {"teach": {"counterexamples": 16, "learnt": 0.9}}
OPTIMIZER = {"kind": "adamw", "lr": 0.03, "weight_decay": 0.0, "betas": (0.9, 0.995)}
ARMS: dict[str, tuple[str, dict[str, Any]]] = {
    "catapult": ("catapult", {}),
    "catapult, no lessons": ("catapult", {"teach": {"counterexamples": 0, "learnt": 0.9}}),
    "catapult, no noise": ("catapult", {"state_noise": None}),
    "catapult, constant rate": ("catapult", CONSTANT),
    "catapult, decayed rate": ("catapult", {"schedule": {"kind": "cosine", "floor": 0.05}}),
    "catapult, nothing drawn anew": ("catapult", {"teach": {"counterexamples": 16, "learnt": 0.0}}),
    "standard": ("standard", {}),
    "standard, decayed rate": ("standard", {"schedule": {"kind": "cosine", "floor": 0.05}}),
    "standard, the catapult's optimiser": ("standard", {"optimizer": OPTIMIZER}),
    "standard, lessons": ("standard", TEACHING),
    "standard, noise": ("standard", {"state_noise": 0.2}),
    "standard, lessons and noise": ("standard", {**TEACHING, "state_noise": 0.2}),
}
"""A recipe, after `addition_`, and what of it is another way."""


def arm(params: PipelineParams, name: str) -> Experiment:
    """The experiment of an arm, checked as params.yaml is."""
    recipe, changes = ARMS[name]
    values = params.experiment(f"addition-{recipe}").model_dump(mode="json")
    values["phases"][0]["parts"] |= changes
    return checked(values, Experiment, f"--arms {name}")


def on_task(experiment: Experiment, task: dict[str, Any]) -> Experiment:
    """The same on another task for streams, such as {"name": "addition", "base": 3}."""
    options = {name: value for name, value in stream_task_from(task).to_dict().items() if name != "name"}
    values = experiment.model_dump(mode="json")
    values["task"] |= {"name": task["name"], "options": options}
    return checked(values, Experiment, "--task")


def one(experiment: Experiment, timeout: float) -> dict[str, Any]:
    """Train and prove one net; a row of the table."""
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        cpu, wall = time.process_time(), time.monotonic()
        run = train_run(experiment, directory / "run", directory / "state")
        last = snapshot_paths(run)[-1]
        summary = verify_stream(last, directory / "proof", timeout)
        cpu, wall = time.process_time() - cpu, time.monotonic() - wall
        header, *_, row = (line.split(",") for line in (run / "accuracy.csv").read_text().splitlines())
        return {
            "task": stream_task(experiment).task().key,
            "seed": experiment.train.seed,
            "verdict": type(summary.verdict).__name__,
            "float32": isinstance(summary.proof.results[-1].verdict, Proved),
            "said": str(summary.verdict),
            "taught": taught_in(run),
            "long_right": long_right(last),
            "cpu_seconds": round(cpu, 1),
            "wall_seconds": round(wall, 1),
            **{name: float(value) for name, value in zip(header, row, strict=True) if "_" in name},
        }


def taught_in(run: Path) -> int:
    """How many lessons the net of a run was given."""
    taught = run / "taught.json"
    return json.loads(taught.read_text())["count"] if taught.exists() else 0


def long_right(snapshot: Path) -> int:
    """How many of REPLAYED streams of LONG places, half of them hard, the float32 net answers rightly throughout."""
    net, rng = load_recurrent(snapshot), np.random.default_rng(LONG)
    batches = [draw(REPLAYED // 2, LONG, rng) for draw in (net.task.random, net.task.hard)]
    streams = [stream for batch in batches for stream in net.task.flushed(batch).tolist()]
    return sum(net.run_float(stream) == net.task.reference(stream) for stream in streams)


def said(name: str, rows: list[dict[str, Any]]) -> str:
    """An arm in a line."""
    proved, n = sum(row["verdict"] == "Proved" for row in rows), len(rows)
    refuted = sum(row["verdict"] == "Refuted" for row in rows)
    long = sum(row["long_right"] == REPLAYED for row in rows)
    seconds = sorted(row["cpu_seconds"] for row in rows)
    lessons = sorted(row["taught"] for row in rows)
    return (
        f"{name}: {proved} of {n} proved, {refuted} refuted; {long} right on all {REPLAYED} streams of {LONG} places; "
        f"lessons {lessons[0]} to {lessons[-1]}; CPU {seconds[0]} to {seconds[-1]} s"
    )


def main() -> int:
    parser = Parser(prog="python -m benchmarks.adders", description=__doc__)
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--arms", nargs="+", default=["catapult"], choices=ARMS, metavar="ARM", help=", ".join(ARMS))
    chosen.add_argument("--ablate", action="store_true", help="every arm")
    parser.add_argument("--first", type=int, default=1, help="first seed; seed 0 is the one the recipes run with")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--task", type=json.loads, help='another task, such as {"name": "parity"}')
    options = parser.parse_args()
    params = load_params()
    torch.set_num_threads(1)
    lines = []
    for name in ARMS if options.ablate else options.arms:
        base = arm(params, name)
        base = base if options.task is None else on_task(base, options.task)
        rows = []
        for seed in range(options.first, options.first + options.seeds):
            train = base.train.model_copy(update={"seed": seed})
            rows.append(one(base.model_copy(update={"train": train}), params.verify.timeout))
            print(json.dumps({"arm": name, **rows[-1]}), flush=True)
        lines.append(said(name, rows))
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(reported("python -m benchmarks.adders", main))
