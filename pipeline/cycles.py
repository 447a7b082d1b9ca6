"""Which cycles of a run end with a snapshot. Plain Python: the provers ask it too."""

from __future__ import annotations


def snapshot_cycles(cycles: int, first: int, dense: int, every: int) -> tuple[int, ...]:
    """The numbers of the cycles that have a snapshot, of a training of `cycles` cycles that began after cycle `first`.

    The state it began with, each of its first `dense` cycles, then every `every`th of its own, and its last one.
    """
    own = (cycle for cycle in range(cycles + 1) if cycle <= dense or cycle % every == 0 or cycle == cycles)
    return tuple(first + cycle for cycle in own)
