"""The stopwatch of the benchmarks: variants in turns, so that what else the machine does falls on all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

WARM_UP = 2


@dataclass(frozen=True)
class Cost:
    """Seconds of one call: `cpu` of this process, added up over its threads, and `wall`."""

    cpu: float
    wall: float


def cost_of(work: Callable[[], object]) -> Cost:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return Cost(time.process_time() - cpu, time.perf_counter() - wall)


def take_turns(
    variants: Mapping[str, Callable[[], object]], repeats: int, done: Callable[[], None]
) -> dict[str, list[Cost]]:
    """`repeats` timed calls of each, one after the other in turn, after a warm-up."""
    costs: dict[str, list[Cost]] = {name: [] for name in variants}
    for turn in range(WARM_UP + repeats):
        for name, work in variants.items():
            cost = cost_of(work)
            if turn >= WARM_UP:
                costs[name].append(cost)
        done()
    return costs
