"""From reached states to a finite machine, and from its states to boxes that may be invariant. Nothing is trusted here.

Reached states are clustered by distance (single linkage) at finer and finer gaps. Where every cluster, read with every
pair, gives one answer and leads into one cluster, the clusters are a transducer; a net that memorised gives none.
Around each cluster a box is grown, in float64, until every image lies inside; `invariant` then proves the result
exactly, or not. A finer transducer has smaller boxes, which may close where those of a coarser one do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.tasks.machine import Machine, explore
from verify.bounds import GRID_BITS, Box
from verify.reach import Doubles, FastNet

GAPS = tuple(2.0**-i for i in range(1, 8))
INFLATIONS = (*(2.0**-i for i in range(2, 13)), 2.0**-18)
CELLS = (1, 2, 4, 8)
MOST_CELLS = 64
MOST_CLUSTERS, MOST_POINTS, GROWTHS = 24, 300, 30
ONE = 1 << GRID_BITS


@dataclass(frozen=True, eq=False)
class Abstraction:
    """Clusters of reached states as a transducer: `member[i]` is the machine's state of point i."""

    machine: Machine
    points: Doubles
    member: NDArray[np.int64]


def abstractions(net: FastNet, states: Doubles) -> Iterator[Abstraction]:
    """The transducers at every gap at which the clusters determine answers and successors, each finer than the last."""
    n_states = 0
    for gap in GAPS:
        # The grid thins the points out; those that are kept are states that were reached, not rounded ones.
        _, first = np.unique(np.rint(states / (gap / 8)), axis=0, return_index=True)
        if len(first) > MOST_POINTS:
            return
        points = states[first]
        cluster = _components(points, gap)
        if cluster.max() >= MOST_CLUSTERS:
            continue
        found = _determined(net, points, cluster, gap)
        if found is not None and found.machine.n_states > n_states:
            n_states = found.machine.n_states
            yield found


def _components(points: Doubles, gap: float) -> NDArray[np.int64]:
    """Single linkage: points closer than `gap` in every coordinate share a cluster; the initial state's is 0."""
    near = np.abs(points[:, None] - points[None]).max(axis=2) < gap
    cluster = np.full(len(points), -1)
    start = int(np.abs(points).max(axis=1).argmin())
    number = 0
    for i in [start, *range(len(points))]:
        if cluster[i] >= 0:
            continue
        members = np.zeros(len(points), dtype=bool)
        members[i] = True
        while True:
            wider = near[members].any(axis=0)
            if (wider == members).all():
                break
            members = wider
        cluster[members] = number
        number += 1
    return cluster


def _determined(net: FastNet, points: Doubles, cluster: NDArray[np.int64], gap: float) -> Abstraction | None:
    n_left, n_right, n = len(net.left), len(net.right), int(cluster.max()) + 1
    after, answers = net.step(net.tables[None], points[:, None])
    if not _agree(answers, cluster):
        return None
    nearest = []
    for states in after:
        distance = np.abs(states[:, None] - points[None]).max(axis=2)
        nearest.append(distance.argmin(axis=1))
        if (distance.min(axis=1) >= gap).any():
            return None
    following = cluster[np.array(nearest)]
    if not _agree(following, cluster):
        return None
    tables = []
    for table in (following, answers):
        first = [int(np.argmax(cluster == q)) for q in range(n)]
        tables.append(table[first].reshape(n, n_left, n_right).tolist())
    found = explore(0, lambda q, a, b: (tables[0][q][a][b], tables[1][q][a][b]), n_left, n_right, n)
    assert found is not None
    machine, order = found
    number = np.full(n, -1)
    number[order] = np.arange(len(order))
    member = number[cluster]
    return Abstraction(machine, points[member >= 0], member[member >= 0])


def _agree(table: NDArray[np.int64], cluster: NDArray[np.int64]) -> bool:
    """Whether all points of a cluster have the same row, without a -1 in it."""
    return bool((table >= 0).all()) and all(
        (table[cluster == q] == table[cluster == q][0]).all() for q in range(int(cluster.max()) + 1)
    )


def candidates(net: FastNet, found: Abstraction) -> Iterator[tuple[Box, ...]]:
    """Boxes, one for each state of the machine, that are invariant in float64; the roomiest first.

    Bounds are those of boxes cut into CELLS parts a side: the coarser ones are the easier to prove.
    """
    n = found.machine.n_states
    low = np.stack([found.points[found.member == q].min(axis=0) for q in range(n)])
    high = np.stack([found.points[found.member == q].max(axis=0) for q in range(n)])
    following = np.array(found.machine.following).reshape(n, -1)
    answers = np.array(found.machine.answers).reshape(n, -1)
    for cells in CELLS:
        if cells ** low.shape[1] > MOST_CELLS:
            return
        for inflation in INFLATIONS:
            boxes = _grown(net, following, answers, low - inflation, high + inflation, cells, inflation)
            if boxes is not None:
                yield boxes
                break


def _grown(
    net: FastNet,
    following: NDArray[np.int64],
    answers: NDArray[np.int64],
    low: Doubles,
    high: Doubles,
    cells: int,
    inflation: float,
) -> tuple[Box, ...] | None:
    """Boxes grown until their images lie within; None where the answers stop being certain or it does not end."""
    n = len(low)
    for _ in range(GROWTHS):
        low, high = np.floor(np.clip(low, 0, 1) * ONE) / ONE, np.ceil(np.clip(high, 0, 1) * ONE) / ONE
        wider_low, wider_high = low.copy(), high.copy()
        for q in range(n):
            least, most, certain = image(net, low[q], high[q], answers[q], cells)
            if not certain:
                return None
            for target in range(n):
                led = following[q] == target
                if led.any():
                    wider_low[target] = np.minimum(wider_low[target], least[led].min(axis=0))
                    wider_high[target] = np.maximum(wider_high[target], most[led].max(axis=0))
        if (wider_low >= low).all() and (wider_high <= high).all():
            return tuple(
                Box(tuple(map(int, np.rint(low[q] * ONE))), tuple(map(int, np.rint(high[q] * ONE)))) for q in range(n)
            )
        low = np.where(wider_low < low, wider_low - inflation / 8, low)
        high = np.where(wider_high > high, wider_high + inflation / 8, high)
    return None


def image(
    net: FastNet, low: Doubles, high: Doubles, answers: NDArray[np.int64], cells: int
) -> tuple[Doubles, Doubles, bool]:
    """Least and largest next states [pairs, state] over a box, and whether each answer leads by more than 0.

    The bounds are those of `verify.bounds`, over every one of the cells.
    """
    corners = np.stack(np.meshgrid(*([np.arange(cells)] * len(low)), indexing="ij"), axis=-1).reshape(-1, len(low))
    side = (high - low) / cells
    cell = _Cells(net, low + corners * side, low + (corners + 1) * side)
    least = cell.lower(net.state_out, net.state_bias).min(axis=1)
    most = -cell.lower(-net.state_out, -net.state_bias).min(axis=1)
    ahead = net.unembed[answers][:, None] - net.unembed[None]
    margins = cell.lower(ahead[:, None], (net.unembed_bias[answers][:, None] - net.unembed_bias)[:, None]).min(axis=1)
    margins[np.arange(len(answers)), answers] = np.inf
    return np.clip(least, 0, 1), np.clip(most, 0, 1), bool((margins > 0).all())


class _Cells:
    """The hidden layer over boxes [cells, state], for every pair: [pairs, cells, hidden]."""

    def __init__(self, net: FastNet, low: Doubles, high: Doubles) -> None:
        positive, negative = np.maximum(net.state_in, 0), np.minimum(net.state_in, 0)
        self.net, self.low, self.high = net, low, high
        self.tables = net.tables[:, None]
        self.least = self.tables + low @ positive.T + high @ negative.T
        self.most = self.tables + high @ positive.T + low @ negative.T

    def lower(self, weights: Doubles, bias: Doubles) -> Doubles:
        """Lower bounds of bias + weights . hidden, [pairs, cells, outputs]; weights [(pairs, 1,) outputs, hidden]."""
        on = (self.least >= 0)[:, :, None]
        rising = ((self.most > -self.least) & (self.most > 0))[:, :, None]
        linear = np.where(on | (rising & (weights > 0)), weights, 0.0)
        slopes = linear @ self.net.state_in
        ends = np.where(slopes > 0, self.low[:, None], self.high[:, None])
        capped = np.where(~on & (weights < 0), weights, 0.0) * np.maximum(self.most, 0)[:, :, None]
        return bias + (linear * self.tables[:, :, None]).sum(-1) + (slopes * ends).sum(-1) + capped.sum(-1)
