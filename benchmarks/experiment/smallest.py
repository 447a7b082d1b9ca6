"""The smallest net that fits, by a stated search: what the widths of the grid are multiples of.

A width fits where one of TRIALS constant rates, drawn as for the base cell, without regularisers ends with FIT of its
training pairs right on every one of the tuning seeds, in STEPS steps. Widths go down through LADDER until one does not.
"""

from __future__ import annotations

import random
from dataclasses import replace

from benchmarks.experiment.cells import BASE, P, parameters
from benchmarks.experiment.raw import Raw
from benchmarks.experiment.search import RATE, log_uniform, recipe
from train.loop import Budget
from train.many import fit_many

LADDER = (32, 24, 20, 18, 16, 14, 12, 10, 8)
TRIALS = 8
STEPS = 1000
FIT = 0.99
FIRST = 10_000


def find_smallest(raw: Raw) -> str:
    """The table of widths, best trial each, down to the first that does not fit."""
    lines = ["width  weights  least share of training pairs right, best of the trials"]
    smallest = None
    for width in LADDER:
        best = 0.0
        for number in range(TRIALS):
            record = raw.get("width", width, number) or raw.add(_try(width, number, raw.design["tuning_seeds"]))
            best = max(best, record["fitted"])
            if best >= FIT:
                break
        weights = parameters(replace(BASE, width=width).net)
        lines.append(f"{width:>5}  {weights:>7,}  {best:.3f}")
        if best < FIT:
            break
        smallest = width
    lines.append(f"smallest width that fits (a + b) mod {P}, {BASE.fraction} of the pairs: {smallest}")
    return "\n".join(lines)


def _try(width: int, number: int, seeds: int) -> dict[str, object]:
    cell = replace(BASE, width=width, regulariser="none", steps=STEPS)
    knobs = {"rate": log_uniform(random.Random(f"width {width}/constant/{number}"), *RATE[cell.optimizer])}
    fits = fit_many(
        cell.net, cell.task, recipe(cell, knobs), Budget(STEPS, STEPS, STEPS), range(FIRST, FIRST + seeds),
        train_fraction=cell.fraction,
    )  # fmt: skip
    fitted = min(0.0 if fit.diverged else fit.history[-1]["train_accuracy"] for fit in fits)
    return {"kind": "width", "width": width, "number": number, "knobs": knobs, "fitted": round(fitted, 4)}
