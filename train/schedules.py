"""Learning-rate multipliers as pure functions of the step."""

from __future__ import annotations

import math

from pipeline.recipe_params import ScheduleParams


def multiplier(params: ScheduleParams, step: int, cycle_steps: int, steps: int) -> float:
    """The factor on every learning rate at `step`, counted from 0, of a budget of `horizon` (or else `steps`) steps.

    With fall(x) = (1 + cos(pi x)) / 2, u = step / budget and t the share of the current cycle that is over:

    constant    1
    cosine      floor + (1 - floor) fall(u): half a cosine over the budget (Loshchilov and Hutter 2017, eq. 5)
    one_cycle   up from floor to peak over `rise` of the budget, then down to floor, both straight (Smith and Topin
                2017)
    cyclic      floor + (peak - floor) fall(t): warm restarts (SGDR, Loshchilov and Hutter 2017, eq. 5)
    triangular  up from floor to peak over `rise` of the cycle, then down, both straight (Smith 2017, section 3.1)
    catapult    peak for the first `hot` of the cycle, then floor + (1 - floor) fall over the rest: a peak above 1
                exceeds the edge that a constant rate must stay under (the catapult of Lewkowycz et al. 2020), and
                the rest is for settling where it lands

    Cycle i, from 0, is cycle_steps * growth^i long; at step 0 the share `shift` of the first is over. A linear
    warm-up multiplies all. Over the last `cooldown` of the budget what is above floor shrinks to 0 along half a cosine
    (of a constant rate, the cool-down of Haegele et al. 2024; cycles go on and become lower, as in Smith 2017,
    section 3.1); what came before counts as the whole budget for cosine and one_cycle. Past the budget, what falls once
    stays at floor and cycles go on, unless a cool-down has ended them.
    """
    steps = params.horizon or steps
    begin = steps - round(params.cooldown * steps)
    value = _base(params, step, cycle_steps, begin)
    if begin < steps and step >= begin:
        value = params.floor + (value - params.floor) * _fall((step - begin) / (steps - begin))
    warmup = min(1.0, (step + 1) / params.warmup_steps) if params.warmup_steps else 1.0
    return warmup * value


def cycle_share(step: int, cycle_steps: int, growth: int) -> float:
    """The share of its cycle that is over at `step`, where each cycle is `growth` times as long as the one before."""
    length = cycle_steps
    while step >= length and growth > 1:
        step -= length
        length *= growth
    return (step % length) / length


def _base(params: ScheduleParams, step: int, cycle_steps: int, steps: int) -> float:
    """Without warm-up and cool-down."""
    floor, peak = params.floor, params.peak
    t = cycle_share(step + round(params.shift * cycle_steps), cycle_steps, params.growth)
    match params.kind:
        case "constant":
            return 1.0
        case "cosine":
            return floor + (1 - floor) * _fall(step / steps)
        case "one_cycle":
            return floor + (peak - floor) * _triangle(min(1.0, step / steps), params.rise)
        case "cyclic":
            return floor + (peak - floor) * _fall(t)
        case "triangular":
            return floor + (peak - floor) * _triangle(t, params.rise)
        case "catapult":
            return peak if t < params.hot else floor + (1 - floor) * _fall((t - params.hot) / (1 - params.hot))


def _fall(x: float) -> float:
    """From 1 to 0 along half a cosine, and 0 from there on."""
    return (1 + math.cos(math.pi * min(1.0, x))) / 2


def _triangle(x: float, rise: float) -> float:
    """From 0 up to 1 at `rise` and down to 0 at 1."""
    return x / rise if x < rise else (1 - x) / (1 - rise)
