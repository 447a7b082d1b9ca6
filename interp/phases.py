"""Phases of a run: change points over its progress measures, and a label for every segment between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import ruptures
from jaxtyping import Float

from interp.labels import DEFAULT_THRESHOLDS, PHASES, Phase, algorithm_criteria, label
from interp.progress_measures import Measures
from pipeline.params import ThresholdParams

# What the change points are sought in. All are bounded shares, or losses in units of ln p.
SIGNALS = (
    "train_accuracy",
    "novel_accuracy",
    "explained",
    "neuron_localisation",
    "single_frequency_accuracy",
    "scrubbed_accuracy",
    "equivariance",
    "restricted_loss",
    "excluded_loss",
)
NOISE_FLOOR = 0.1  # in standard deviations of the series: below this a series is called smooth, not noiseless
SHORT = 8
SCALE_FLOOR = 0.02  # a share that varies less than this over the whole run carries no phase


@dataclass(frozen=True)
class Segment:
    """Neighbouring snapshots of one phase, both ends included, as positions in the series."""

    phase: Phase
    first: int
    last: int


@dataclass(frozen=True)
class Phases:
    """The phases of a series of snapshots. `change_points` are the positions where a new level begins."""

    per_snapshot: tuple[Phase, ...]
    change_points: tuple[int, ...]
    segments: tuple[Segment, ...]

    @property
    def final(self) -> Phase:
        return self.segments[-1].phase

    @property
    def transition(self) -> int | None:
        """Position of the first snapshot of the final `algorithm` segment.

        None where the run does not end in one, and where its first snapshot is one already: when it became so cannot
        be seen.
        """
        return (self.segments[-1].first or None) if self.final == "algorithm" else None


def find_phases(series: Sequence[Measures], p: int, limits: ThresholdParams = DEFAULT_THRESHOLDS) -> Phases:
    """Change points of the measures, then the label of each segment; neighbours of equal label are one segment.

    A segment takes the label of the majority of its snapshots. A snapshot that is labelled `algorithm` by itself but
    sits in a segment of another phase does not count; nor does one at either end of an `algorithm` segment that does
    not meet the criteria itself: it keeps its own label, so that the transition is never dated too early.
    """
    own: list[Phase] = [label(m, p, limits) for m in series]
    starts = change_points(signals(series, p))
    bounds = [0, *starts, len(series)]
    assigned: list[Phase] = []
    for first, last in pairwise(bounds):
        assigned += _label_segment(own[first:last])
    segments: list[Segment] = []
    for i, phase in enumerate(assigned):
        if segments and segments[-1].phase == phase:
            segments[-1] = Segment(phase, segments[-1].first, i)
        else:
            segments.append(Segment(phase, i, i))
    return Phases(tuple(assigned), tuple(starts), tuple(segments))


def _label_segment(own: Sequence[Phase]) -> list[Phase]:
    """Labels of one segment's snapshots: its majority, with unqualified ends of an `algorithm` segment cut off.

    At a tie `algorithm` wins, since the cut keeps it from claiming too much, else the humbler phase.
    """

    def votes(phase: Phase) -> tuple[int, bool, int]:
        return own.count(phase), phase == "algorithm", -PHASES.index(phase)

    majority: Phase = max(PHASES, key=votes)
    assigned: list[Phase] = [majority for _ in own]
    if majority == "algorithm":
        first = own.index("algorithm")
        end = len(own) - list(reversed(own)).index("algorithm")
        assigned[:first], assigned[end:] = own[:first], own[end:]
    return assigned


def signals(series: Sequence[Measures], p: int) -> Float[np.ndarray, "snapshot signal"]:
    """The series to segment, standardised: each about its mean, in its standard deviations (at least `SCALE_FLOOR`).

    Series that are not defined (no test pairs) are left out.
    """
    columns = []
    for name in SIGNALS:
        column = np.array([getattr(m, name) for m in series], dtype=np.float64)
        if name.endswith("loss"):
            column = np.clip(column / math.log(p), 0, 2)
        if not np.isnan(column).any():
            columns.append((column - column.mean()) / max(float(column.std()), SCALE_FLOOR))
    return np.stack(columns, axis=1)


def change_points(x: Float[np.ndarray, "snapshot signal"]) -> list[int]:
    """Positions where the mean of the d series shifts: exact optimum by PELT (Killick et al. 2012), squared error.

    Gaussian BIC: a segment must lower the squared error by sigma^2 (d + 1) ln n, for its d means and its place.
    sigma is the noise between neighbours, median |x_t+1 - x_t| / (.6745 sqrt 2), which a few jumps do not move;
    in fewer than `SHORT` snapshots jumps are not few, and the floor stands in for it.
    """
    n, d = x.shape
    if n < 2 or d == 0:
        return []
    noise = np.median(np.abs(np.diff(x, axis=0)), axis=0) / (0.6745 * math.sqrt(2)) if n >= SHORT else np.zeros(d)
    variance = float(np.mean(np.maximum(noise, NOISE_FLOOR) ** 2))
    penalty = variance * (d + 1) * math.log(n)
    found = ruptures.Pelt(model="l2", min_size=1, jump=1).fit(x).predict(pen=penalty)
    return [int(i) for i in found[:-1]]


def evidence(m: Measures, p: int, limits: ThresholdParams = DEFAULT_THRESHOLDS) -> dict[str, Any]:
    """The criteria of `algorithm` with their values and verdicts, for phases.json."""
    return {
        c.name: {"value": c.value, "threshold": c.threshold, "at_least": c.at_least, "holds": c.holds}
        for c in algorithm_criteria(m, p, limits)
    }
