"""Learning-rate multipliers as functions of the step."""

from __future__ import annotations

import math

from pipeline.params import ScheduleParams


def multiplier(params: ScheduleParams, step: int, cycle_steps: int) -> float:
    """The factor on every learning rate at `step`, counted from 0.

    constant: 1. cyclic: floor + (1 - floor) (1 + cos(pi t)) / 2 with t = (step mod cycle_steps) / cycle_steps, the
    warm restarts of Loshchilov and Hutter 2017, eq. 5, without growth. A linear warm-up multiplies either.
    """
    warmup = min(1.0, (step + 1) / params.warmup_steps) if params.warmup_steps else 1.0
    if params.kind == "constant":
        return warmup
    phase = (step % cycle_steps) / cycle_steps
    return warmup * (params.floor + (1 - params.floor) * (1 + math.cos(math.pi * phase)) / 2)
