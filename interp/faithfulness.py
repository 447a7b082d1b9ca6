"""How much of the net's behaviour a set of heads and neurons keeps when all others are mean-ablated."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from interp.ablation import Baseline, answer_logit, run_kept
from pipeline.nets import Transformer

CURVE = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True)
class Point:
    """One kept set. `agreement` is the share of pairs with the net's own answer: the faithfulness.

    `answer_logit` is the centred answer logit, 0 where everything is ablated and 1 for the whole net.
    """

    kept: int
    kept_fraction: float
    agreement: float
    accuracy: float
    answer_logit: float


@dataclass(frozen=True)
class Ranking:
    """Heads and neurons, best first. Component i < n_heads is head i, the others are neurons."""

    order: tuple[int, ...]
    n_heads: int

    def masks(self, kept: int) -> tuple[Bool[Tensor, " head"], Bool[Tensor, " d_mlp"]]:
        """The heads and neurons among the best `kept`."""
        mask = torch.zeros(len(self.order), dtype=torch.bool)
        mask[torch.tensor(self.order[:kept], dtype=torch.long)] = True
        return mask[: self.n_heads], mask[self.n_heads :]


class Faithfulness:
    """Measures kept sets on given pairs, on the real net, through hooks; each size once."""

    def __init__(
        self,
        net: Transformer,
        means: Baseline,
        ranking: Ranking,
        pairs: Int[Tensor, "pair 2"],
        answers: Int[Tensor, " pair"],
    ) -> None:
        self.net, self.means, self.ranking, self.pairs, self.answers = net, means, ranking, pairs, answers
        self._points: dict[int, Point] = {}
        size = len(ranking.order)
        whole, nothing = self._logits(size), self._logits(0)
        self._given = whole.argmax(1)
        self._floor = answer_logit(nothing, answers)
        self._range = answer_logit(whole, answers) - self._floor

    def _logits(self, kept: int) -> Tensor:
        return run_kept(self.net, self.pairs, self.means, *self.ranking.masks(kept))

    def at(self, kept: int) -> Point:
        """The best `kept` components."""
        if kept not in self._points:
            logits, n = self._logits(kept), len(self.pairs)
            answer = logits.argmax(1)
            strength = (answer_logit(logits, self.answers) - self._floor) / self._range if self._range else 0.0
            self._points[kept] = Point(
                kept=kept,
                kept_fraction=kept / len(self.ranking.order),
                agreement=int((answer == self._given).sum()) / n,
                accuracy=int((answer == self.answers).sum()) / n,
                answer_logit=strength,
            )
        return self._points[kept]

    def curve(self) -> list[Point]:
        """From nothing kept to everything, at the fractions of `CURVE`."""
        size = len(self.ranking.order)
        return [self.at(kept) for kept in sorted({round(fraction * size) for fraction in CURVE})]

    def smallest(self, target: float) -> Point:
        """The smallest kept set, added by score, from which on the curve and a bisection see `target` reached.

        The last size of the curve that misses the target and the next one bracket it; bisection between them assumes
        that the agreement rises there, and the size returned has itself been measured to reach the target.
        """
        points = self.curve()
        low = max((point.kept for point in points if point.agreement < target), default=-1)
        high = min(point.kept for point in points if point.kept > low)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.at(middle).agreement >= target else (middle, high)
        return self.at(high)
