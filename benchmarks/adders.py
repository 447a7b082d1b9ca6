"""Adders for all lengths, `python -m benchmarks.adders --seeds 20`: how many are proved, how fast, with what lessons.

Each net is trained by a streaming recipe of params.yaml and its last snapshot is proved or refuted; seconds are of CPU
time in this process, from the first training step to the certificate, without the solver's own processes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from pipeline.errors import UserError
from pipeline.files import snapshot_paths
from pipeline.params import load_params
from pipeline.stream_params import StreamRunConfig
from train.streaming import train_stream_run
from verify.claims import Proved
from verify.stream_run import verify_stream
from verify.teacher import counterexamples


def one(config: StreamRunConfig, timeout: float) -> dict[str, Any]:
    """Train and prove one net; a row of the table."""
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        cpu, wall = time.process_time(), time.monotonic()
        run = train_stream_run(config, directory / "run", counterexamples, directory / "state")
        summary = verify_stream(snapshot_paths(run)[-1], directory / "proof", timeout)
        header, *_, last = (line.split(",") for line in (run / "accuracy.csv").read_text().splitlines())
        return {
            "task": config.stream_task().key,
            "recipe": config.recipe_name,
            "seed": config.train.seed,
            "verdict": type(summary.verdict).__name__,
            "float32": isinstance(summary.proof.results[-1].verdict, Proved),
            "said": str(summary.verdict),
            "taught": json.loads((run / "taught.json").read_text())["count"],
            "cpu_seconds": round(time.process_time() - cpu, 1),
            "wall_seconds": round(time.monotonic() - wall, 1),
            **{name: float(value) for name, value in zip(header, last, strict=True) if "_" in name},
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", nargs="+", default=["catapult"])
    parser.add_argument("--first", type=int, default=1, help="first seed; seed 0 is the one the recipes run with")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--task", type=json.loads, help='another task, such as {"name": "parity"}')
    options = parser.parse_args()
    streaming = load_params().streaming
    if streaming is None:
        raise UserError("params.yaml: streaming is missing: add it")
    torch.set_num_threads(1)
    for recipe in options.recipes:
        base = streaming.run_config(recipe)
        rows = []
        for seed in range(options.first, options.first + options.seeds):
            train = base.train.model_copy(update={"seed": seed})
            config = base.model_copy(update={"train": train, "task": options.task or base.task})
            rows.append(one(config, load_params().verify.timeout))
            print(json.dumps(rows[-1]), flush=True)
        proved = sum(row["verdict"] == "Proved" for row in rows)
        longest = max(row["wall_seconds"] for row in rows)
        lessons = sorted(row["taught"] for row in rows)
        print(f"{recipe}: {proved} of {len(rows)} proved, lessons {lessons}, at most {longest} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
