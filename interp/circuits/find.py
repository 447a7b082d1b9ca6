"""From a net to its circuit: attribute, rank, and keep the fewest edges that are faithful on other inputs."""

from __future__ import annotations

from typing import Any

import networkx as nx
from jaxtyping import Int
from torch import Tensor

from interp.attribution import METHODS
from interp.attribution.metric import contrast
from interp.attribution.stream import neurons_are_nodes
from interp.circuits.circuit import Findings, circuit_of
from interp.circuits.curve import Evaluator, curve, ranking, smallest
from interp.circuits.everywhere import everywhere
from interp.circuits.necessity import changed_answers, minimal, prune
from interp.circuits.spectra import node_spectra
from pipeline.nets import Net
from pipeline.tasks import Task

INPUTS = 256
FAITHFUL = 0.99
COUNTED = 5000
"""In circuits of more edges it takes minutes to remove each one, and is done only where necessity is asked for."""


def find(
    net: Net,
    task: Task,
    method: str,
    *,
    neurons: bool = False,
    inputs: int = INPUTS,
    seed: int = 0,
    target: float = FAITHFUL,
    necessary: bool = False,
    among: Int[Tensor, " pair"] | None = None,
    **options: Any,
) -> nx.DiGraph:
    """The circuit of a net by one of `METHODS`.

    Edges are scored on `inputs` random pairs of those numbered `among`, half of them at most (of all, where None), and
    circuits measured on as many others. The circuit is the smallest prefix of the ranking with faithfulness `target`,
    without its dead ends. With `necessary` it is cut down further, to edges that each have an input on which their
    removal changes the answer.
    """
    inputs = max(1, min(inputs, len(task.pairs() if among is None else among) // 2))
    attribution = METHODS[method](net, *contrast(task, inputs, seed, among=among), neurons=neurons, **options)
    evaluator = Evaluator(net, *contrast(task, inputs, seed, skip=inputs, among=among), neurons=neurons)
    order = ranking(attribution)
    kept = prune(attribution.graph, smallest(evaluator, order, target))
    if necessary:
        kept = minimal(evaluator, kept, order)
    changes = changed_answers(evaluator, kept) if necessary or kept.sum() <= COUNTED else None
    found = Findings(
        None if necessary else target,
        kept,
        evaluator.points(kept[None])[0],
        everywhere(evaluator.stream, task, kept, seed),
        curve(evaluator, order),
        changes,
        node_spectra(evaluator.stream, task),
    )
    return circuit_of(attribution, task, found)


def circuit_of_net(
    net: Net, task: Task, target: float, train: Int[Tensor, " train"] | None = None
) -> nx.DiGraph | None:
    """The circuit by EAP-IG, of neurons or, behind a LayerNorm, of whole MLPs; None for kinds not known there.

    Scored and measured on the training pairs, so that whoever prunes by it has used no other answers.
    """
    neurons = neurons_are_nodes(net)
    if neurons is None:
        return None
    return find(net, task, "integrated_gradients", neurons=neurons, target=target, among=train)
