"""The teacher of the streaming recipes: the proof's own search for streams on which a net errs."""

from __future__ import annotations

from pipeline.nets.recurrent import Recurrent
from pipeline.tasks.streaming import Stream, StreamTask
from verify.reach import FastNet, breadth_first
from verify.recurrent_net import RecurrentNet

LONGEST = 16
FOUND = 16
"""Of so many times as many streams as are wanted, in the order in which they are found, every so-manieth is taught."""


def counterexamples(net: Recurrent, task: StreamTask, most: int) -> list[Stream]:
    """Up to `most` streams of at most LONGEST pairs that the net gets wrong."""
    weights = {name: weight.detach().cpu().numpy() for name, weight in net.state_dict().items()}
    _, wrong, _ = breadth_first(FastNet.of(RecurrentNet(task, weights, "")), task, FOUND * most)
    short = [stream for stream in wrong if len(stream) <= LONGEST]
    return short[:: max(1, len(short) // most)][:most] if most else []
