"""When test accuracy jumps, in cycles that begin at different phases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.experiment.cells import Cell
from benchmarks.experiment.search import LEVEL, Knobs, recipe
from train.loop import Budget
from train.many import fit_many

SEEDS = 8
SHIFTS = 8
"""How many shifts there are, spread over the cycle; fewer where it has fewer steps."""

HALF = 0.5
OVER = 5
"""Steps over which a rise is taken."""

TIMED = ("base", "fraction 0.4")
"""The cells whose jumps are timed."""

OTHER = 40
"""A second length of cycles, in steps, in case the search has chosen short ones."""


@dataclass(frozen=True)
class Jump:
    """Steps of one run, counted from 0: `half` the first at HALF test accuracy, `rise` the middle of the steepest rise.

    The rise is the largest over OVER steps until LEVEL is first reached. Both None where HALF is never reached.
    """

    half: int | None
    rise: int | None


def jump(accuracies: Sequence[float]) -> Jump:
    """From the accuracies after each step."""
    half = next((i for i, accuracy in enumerate(accuracies) if accuracy >= HALF), None)
    if half is None:
        return Jump(None, None)
    end = next((i for i, accuracy in enumerate(accuracies) if accuracy >= LEVEL), len(accuracies) - 1)
    padded = [accuracies[0]] * OVER + list(accuracies[: end + 1])
    rise = max(range(end + 1), key=lambda i: padded[i + OVER] - padded[i])
    return Jump(half, max(0, rise - OVER // 2))


def shifts(cycle: int) -> list[int]:
    """Different first steps of a cycle, evenly spread, in whole steps."""
    return sorted({i * cycle // SHIFTS for i in range(SHIFTS)})


def jumps(cell: Cell, knobs: Knobs, shift: int, seeds: Sequence[int]) -> list[Jump]:
    """One net a seed, `shift` steps into the first cycle at the start.

    Test accuracy is looked at after every step, so that no phase is favoured.
    """
    fits = fit_many(
        cell.net,
        cell.task,
        recipe(cell, knobs, shift / knobs["cycle"]),
        Budget(cell.steps, knobs["cycle"], 1),
        seeds,
        train_fraction=cell.fraction,
        stop_when=lambda _, accuracy: bool((accuracy >= LEVEL).all()),
    )
    return [jump([row["test_accuracy"] for row in fit.history]) for fit in fits]


def cycles_timed(knobs: Knobs) -> list[int]:
    return list(dict.fromkeys((knobs["cycle"], OTHER)))
