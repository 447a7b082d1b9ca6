"""measures: one snapshot as a table."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "measures",
        help="the measures of one snapshot, its phase, its algorithm and the evidence for both",
        description="Print the measures of one snapshot, its phase and which algorithm it is, with each criterion.",
    )
    parser.add_argument("snapshot", type=Path, metavar="SNAPSHOT", help="a .safetensors file of a run")


def run(options: argparse.Namespace) -> None:
    import torch

    from interp.algorithms import name_algorithm
    from interp.evidence_table import algorithm_lines
    from interp.labels import algorithm_criteria, label
    from interp.progress_measures import Measures, measure
    from pipeline.kernels import settle
    from pipeline.nets import Net
    from pipeline.runs import load_snapshot

    settle()
    snapshot = load_snapshot(options.snapshot, Net)
    train = torch.from_numpy(snapshot.split()[0])
    task = snapshot.pair_task
    found = measure(snapshot.net, task, train)
    print(f"{task}, {snapshot.recipe}, seed {snapshot.seed}, cycle {snapshot.cycle}, step {snapshot.step}\n")
    for name in Measures.names():
        print(f"  {name:<28}{getattr(found, name):>12.5g}")
    print(f"\nphase: {label(found, task.n_answers)}\ncriteria of `algorithm`:")
    for criterion in algorithm_criteria(found, task.n_answers):
        print(f"  {'yes' if criterion.holds else 'no ':<4} {criterion}")
    print("\n" + "\n".join(algorithm_lines(name_algorithm(snapshot.net, task, train))))
