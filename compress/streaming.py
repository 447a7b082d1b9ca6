"""The fewest hidden units and the fewest bits with which a machine, read off a trained net, is learnt again.

    machine of the trained net -> crowd of students -> one unit less, retrained -> ... -> rounded to a grid -> frontier

A student sees the machine's transitions and nothing else; nothing of the task. Units go one at a time: every unit of
the best nets is tried, the best of those children are retrained, from few units on with cycles of a high rate. At every
number of units the weights are then rounded to ever fewer bits, trained through the rounding. A point of the frontier
is a net that is right from every corner of every region; whether it is so from every state is for the proof to say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from compress.crowd import Crowd, Grid, Lessons
from pipeline.kernels import settle
from pipeline.nets.recurrent import Recurrent
from pipeline.params import StreamCompressParams
from pipeline.runs import Snapshot, save_snapshot
from pipeline.tasks.machine import Machine
from pipeline.tasks.streaming import StreamTask

FLOAT_TOP = 127 / 8
FEW = 9
"""Up to so many units the students are retrained in cycles."""
PARENTS = 5
CYCLES = (0.1, 0.1, 0.05, 0.05, 0.03)
ROUNDED = (0.05, 0.01)
SCOUT = 40


@dataclass(frozen=True, eq=False)
class Point:
    """A student that closes at the corners: its weights are multiples of 2^-fraction with `bits` bits."""

    n_hidden: int
    bits: int
    fraction: int
    net: Recurrent


def frontier(machine: Machine, params: StreamCompressParams, say: Callable[[str], None]) -> list[Point]:
    """For each number of hidden units the students with the fewest bits, from many units to few; may be empty."""
    settle()
    generator = torch.Generator().manual_seed(params.seed)
    lessons = Lessons.of(machine)
    crowd = Crowd.random(lessons, params.first_hidden, params.students, generator)
    crowd = crowd.trained(params.first_steps, (0.03,), None, FLOAT_TOP)
    points: list[Point] = []
    for n_hidden in range(params.first_hidden - 1, params.last_hidden - 1, -1):
        parents = crowd.best(PARENTS)
        children = parents.without_one().trained(SCOUT, (0.01,), None, FLOAT_TOP).best(params.students)
        cycles = CYCLES if n_hidden <= FEW else (0.02,)
        crowd = children.trained(params.cycle_steps, cycles, None, FLOAT_TOP)
        closed = crowd.closed(None)
        say(f"{n_hidden} units: {int(closed.sum())} of {len(crowd)} students close")
        if n_hidden <= FEW and not closed.any():
            break
        if n_hidden <= params.rounded_from:
            points += _rounded(crowd, params, say)
    return points


def save_point(point: Point, task: StreamTask, directory: Path) -> Path:
    """The student as a snapshot, named by its units and bits."""
    path = directory / f"units-{point.n_hidden:02d}-bits-{point.bits}.safetensors"
    save_snapshot(path, Snapshot(point.net, task, None, "student", 0, 0, 0))
    return path


def _rounded(crowd: Crowd, params: StreamCompressParams, say: Callable[[str], None]) -> list[Point]:
    """The crowd on coarser and coarser grids, until no student of a number of bits closes."""
    points: list[Point] = []
    for bits in range(params.most_bits, 1, -1):
        found = None
        for fraction in (bits - 5, bits - 4, bits - 6):
            grid = Grid(bits, fraction)
            rounded = crowd.trained(params.round_steps, ROUNDED, grid, grid.top)
            closed = rounded.closed(grid)
            if closed.any():
                found = (rounded, grid, closed)
                break
        if found is None:
            break
        crowd, grid, closed = found
        lowest = torch.where(closed, crowd.losses(crowd.weights, grid).detach(), torch.inf).argmin()
        point = Point(crowd.n_hidden, grid.bits, grid.fraction, crowd.net(int(lowest), grid))
        say(f"{point.n_hidden} units, {bits} bits: {point.net.n_parameters} parameters, {int(closed.sum())} close")
        points.append(point)
    return points
