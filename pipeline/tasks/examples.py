"""Examples of a task as arrays, and which of them training is shown. Plain numpy, for rooms that do without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Examples:
    """`inputs` [n, ..., 2] are pairs of symbols, `targets` [n, ...] the answers; `mask` says where a target counts."""

    inputs: NDArray[np.int64]
    targets: NDArray[np.int64]
    mask: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Split:
    """What training is `shown`, and the evaluation sets by name; the first is the test set of the history."""

    shown: Examples
    tried: Mapping[str, Examples]


def padded(streams: Sequence[Sequence[Any]], answers: Sequence[NDArray[np.int64]]) -> Examples:
    """Streams of any lengths, each with its answers, as one array: behind an end are zeros that the mask leaves out."""
    longest = max(len(stream) for stream in streams)
    inputs = np.zeros((len(streams), longest, 2), dtype=np.int64)
    targets = np.zeros((len(streams), longest), dtype=np.int64)
    mask = np.arange(longest) < np.array([[len(stream)] for stream in streams])
    for i, stream in enumerate(streams):
        inputs[i, : len(stream)] = stream
        targets[i, : len(stream)] = answers[i]
    return Examples(inputs, targets, None if mask.all() else mask)
