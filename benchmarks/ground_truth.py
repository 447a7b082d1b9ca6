"""python -m benchmarks.ground_truth: do the attribution methods find circuits that are known by construction?

Every method scores the nodes and edges of the nets of `interp.hand_built_circuits`: on all inputs as clean ones, each
with a corrupted one of another answer, the metric being the difference between the two answers' logits. Printed for
nodes (logits left out) and for edges: precision and recall of what has an absolute score above `SHARE` of the greatest
(of the learnt masks: gates rather open than closed), the area under the precision-recall curve (average precision), and
how many are true.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from interp.attribution import METHODS, Attribution, logit_difference
from interp.hand_built_circuits import KnownCircuit, known_circuits
from pipeline.command_line import Parser
from pipeline.errors import reported

SHARE = 1e-3
OPEN = 0.5


@dataclass(frozen=True)
class Recovery:
    """How well scores find a set. `n_true` of `n` names are in it."""

    precision: float
    recall: float
    average_precision: float
    n_true: int
    n: int


def recovery(
    names: Sequence[Hashable], scores: NDArray[np.float64], truth: frozenset[Hashable], above: float | None = None
) -> Recovery | None:
    """None where the method gives no scores. What has no score is not found; ties are broken against truth.

    Found is what is `above` in absolute value, `SHARE` of the greatest where None.
    """
    if np.isnan(scores).all():
        return None
    size = np.abs(np.nan_to_num(scores))
    true = np.array([name in truth for name in names])
    found = size > (SHARE * size.max() if above is None else above)
    order = np.lexsort((true, -size))
    hits = true[order]
    precision_at = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    both = int((found & true).sum())
    return Recovery(
        precision=both / max(1, int(found.sum())),
        recall=both / int(true.sum()),
        average_precision=float(precision_at[hits].mean()),
        n_true=int(true.sum()),
        n=len(names),
    )


def corrupted(known: KnownCircuit, seed: int) -> Int[Tensor, " pair"]:
    """For every input the number of another one with another answer, drawn at random."""
    draw = torch.Generator().manual_seed(seed)
    other = torch.randint(len(known.pairs), (len(known.pairs),), generator=draw)
    while bool((same := known.answers[other] == known.answers).any()):
        other[same] = torch.randint(len(known.pairs), (int(same.sum()),), generator=draw)
    return other


def attribute(known: KnownCircuit, method: Callable[..., Attribution], seed: int = 0) -> Attribution:
    """One method on the whole domain of a known circuit."""
    other = corrupted(known, seed)
    metric = logit_difference(known.answers, known.answers[other])
    return method(known.net, known.pairs, known.pairs[other], metric, neurons=True)


def compare(known: KnownCircuit, found: Attribution) -> tuple[Recovery | None, Recovery | None]:
    """Recovery of the nodes and of the edges."""
    names = [node.name for node in found.graph.nodes][:-1]
    above = OPEN if found.method == "edge_masks" else None
    nodes = recovery(names, found.nodes[:-1], frozenset(known.nodes - {"logits"}), above)
    return nodes, recovery(found.graph.edge_names, found.edges, frozenset(known.edges), above)


def main(arguments: list[str] | None = None) -> int:
    options = Parser(prog="python -m benchmarks.ground_truth", description=__doc__)
    options.add_argument("--seed", type=int, default=0, help="of the corrupted inputs (default: 0)")
    seed = options.parse_args(arguments).seed
    print("| net | method | of | precision | recall | average precision | true |\n|---|---|---|---|---|---|---|")
    for known in known_circuits():
        for name, method in METHODS.items():
            for what, row in zip(("nodes", "edges"), compare(known, attribute(known, method, seed)), strict=True):
                if row is not None:
                    figures = f"{row.precision:.3f} | {row.recall:.3f} | {row.average_precision:.3f}"
                    print(f"| {known.name} | {name} | {what} | {figures} | {row.n_true} of {row.n} |")
    return 0


if __name__ == "__main__":
    sys.exit(reported("python -m benchmarks.ground_truth", main))
