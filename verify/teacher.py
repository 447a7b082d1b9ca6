"""The teacher of the streaming recipes: the proof's own search for streams on which a net errs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.tasks.streaming import Stream, StreamTask
from verify.reach import FastNet, breadth_first
from verify.recurrent_net import RecurrentNet

LONGEST = 16
FOUND = 16
"""Of so many times as many streams as are wanted, in the order in which they are found, every so-manieth is taught."""


def counterexamples(weights: dict[str, NDArray[np.float32]], task: StreamTask, most: int) -> list[Stream]:
    """For weights by their names: up to `most` streams of at most LONGEST pairs that the net gets wrong."""
    _, wrong, _ = breadth_first(FastNet.of(RecurrentNet(task, weights, "")), task, FOUND * most)
    short = [stream for stream in wrong if len(stream) <= LONGEST]
    return short[:: max(1, len(short) // most)][:most] if most else []
