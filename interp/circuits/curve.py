"""Faithfulness of circuits by size: the MIB benchmark's curve and its two areas (Mueller et al. 2025, section 3).

A circuit C is a set of edges; every other edge carries what it carries on the corrupted input. With M the mean metric,

    f(C) = (M(C) - M(nothing)) / (M(net) - M(nothing)),

and C_k keeps the share k of the edges with the greatest |score|. CPR is the area under f(C_k), and higher is better;
CMD is the area between f(C_k) and 1, and 0 is best. Both by trapezoids over the shares of `SHARES`, as in their code.
Their graphs have a receiver each for q, k and v of a head, ours one: areas do not compare with their tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from interp.attribution.activations import activations
from interp.attribution.edge_run import run_edges
from interp.attribution.metric import Metric
from interp.attribution.result import Attribution, mean_metric
from interp.attribution.stream import stream_of
from pipeline.nets import Net

SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True)
class Point:
    """A circuit of so many edges; `agreement` is the share of inputs on which it gives the net's own answer."""

    edges: int
    faithfulness: float
    agreement: float


@dataclass(frozen=True)
class Curve:
    points: tuple[Point, ...]
    cpr: float
    cmd: float


class Evaluator:
    """Runs circuits of one net on fixed inputs. Both ends of the scale of f are measured once."""

    def __init__(
        self,
        net: Net,
        clean: Int[Tensor, "batch 2"],
        corrupted: Int[Tensor, "batch 2"],
        metric: Metric,
        *,
        neurons: bool = False,
    ) -> None:
        self.stream, self.clean, self.metric = stream_of(net, neurons), clean, metric
        with torch.no_grad():
            self.there, self.logits = activations(self.stream, corrupted), net(clean)
        self.answers = self.logits.argmax(1)
        self.floor = mean_metric(metric, self.there.logits)
        self.range = mean_metric(metric, self.logits) - self.floor

    def run(self, kept: NDArray[np.bool_]) -> Tensor:
        """[circuit, batch, answers] for circuits [circuit, edge]."""
        with torch.no_grad():
            return run_edges(self.stream, self.clean, self.there, torch.from_numpy(kept).to(self.logits.dtype))

    def points(self, kept: NDArray[np.bool_]) -> list[Point]:
        found = []
        for circuit, logits in zip(kept, self.run(kept), strict=True):
            f = (mean_metric(self.metric, logits) - self.floor) / self.range if self.range else 0.0
            same = int((logits.argmax(1) == self.answers).sum()) / len(self.answers)
            found.append(Point(int(circuit.sum()), f, same))
        return found


def edge_scores(attribution: Attribution) -> NDArray[np.float64]:
    """|score| of every edge; where a method scores nodes only, that of the lesser of its two ends."""
    edges = np.abs(attribution.edges)
    if not np.isnan(edges).any():
        return edges
    nodes = np.abs(attribution.nodes)
    nodes[-1] = np.inf
    return nodes[attribution.graph.ends].min(1)


def ranking(attribution: Attribution) -> NDArray[np.int64]:
    """Edge numbers, greatest |score| first; equal ones in the order of the graph."""
    return np.argsort(-edge_scores(attribution), kind="stable")


def best(order: NDArray[np.int64], sizes: Sequence[int]) -> NDArray[np.bool_]:
    """[size, edge]: the first `size` edges of the ranking."""
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return place[None] < np.array(sizes, dtype=np.int64)[:, None]


def curve(evaluator: Evaluator, order: NDArray[np.int64]) -> Curve:
    """The circuits of `SHARES`, int(share * edges) edges each."""
    sizes = [int(share * len(order)) for share in SHARES]
    points = evaluator.points(best(order, sizes))
    return Curve(tuple(points), *areas(SHARES, [point.faithfulness for point in points]))


def areas(shares: Sequence[float], faithfulness: Sequence[float]) -> tuple[float, float]:
    """(CPR, CMD): trapezoids under f, and under |1 - f|."""
    f = np.array(faithfulness)
    return float(np.trapezoid(f, shares)), float(np.trapezoid(np.abs(1 - f), shares))


def smallest(evaluator: Evaluator, order: NDArray[np.int64], target: float = 0.99) -> NDArray[np.bool_]:
    """The smallest C_k, as [edge], from which on f >= `target` as far as a grid of sizes and a bisection see.

    The last size of the grid that misses the target and the next one bracket it. The returned circuit has itself been
    measured; the whole net reaches every target up to 1.
    """
    n = len(order)
    sizes = sorted({0, n, *(round(n * share) for share in SHARES), *(round(n * i / 16) for i in range(17))})
    reached = [point.faithfulness >= target for point in evaluator.points(best(order, sizes))]
    low = max((size for size, holds in zip(sizes, reached, strict=True) if not holds), default=-1)
    high = min((size for size in sizes if size > low), default=n)
    while high - low > 1:
        middle = (low + high) // 2
        holds = evaluator.points(best(order, [middle]))[0].faithfulness >= target
        low, high = (low, middle) if holds else (middle, high)
    return best(order, [high])[0]
