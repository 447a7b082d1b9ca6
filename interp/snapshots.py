"""What is measured of every snapshot of a run: phase measures and their replicates, algorithm, learning coefficient.

Snapshots are independent, so that as many are measured at a time as there are cores, each in a thread of its own on
one core. Numbers do not depend on how many that is.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from interp.algorithms import AlgorithmLabel, name_algorithm
from interp.attribution import contrast, integrated_gradients
from interp.attribution.stream import neurons_are_nodes
from interp.bootstrap import draws, replicate_measures
from interp.circuits import circuit_of_net
from interp.forward import Evaluation, evaluate
from interp.graph import Graph
from interp.llc import LearningCoefficient, Sampler, learning_coefficient
from interp.progress_measures import Measures, measure_evaluation
from pipeline.errors import UserError
from pipeline.kernels import settle
from pipeline.nets import Net
from pipeline.params import InterpParams
from pipeline.progress import Progress
from pipeline.runs import Run, Snapshot, load_snapshot
from pipeline.tasks import Task

ATTRIBUTED = 256
"""Pairs on which the circuits that are compared between snapshots are scored."""


@dataclass(frozen=True)
class Moment:
    """One snapshot, its file by hash.

    `edges` are the scores of EAP-IG on `graph`; None where the kind of net has no such graph.
    """

    cycle: int
    step: int
    sha256: str
    measures: Measures
    replicates: tuple[Measures, ...]
    algorithm: AlgorithmLabel
    learning_coefficient: LearningCoefficient
    graph: Graph | None
    edges: NDArray[np.float64] | None


def examine(
    run: Run, frequencies: tuple[int, ...], params: InterpParams, progress: Progress
) -> tuple[list[Moment], nx.DiGraph | None]:
    """Every snapshot, in cycle order, and the circuit of the last one (see `circuit_of_net`).

    `frequencies` are the key frequencies of the measures.
    """
    settle()
    train = torch.from_numpy(run.split()[0])
    counts = draws(len(run.task.pairs()), params.replicates)

    def one(path: Path) -> Moment:
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        return _examine(sha256, *evaluate_snapshot(run, path), train, frequencies, counts, params)

    found = []
    last = load_snapshot(run.snapshots[-1], Net).net
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        circuit = pool.submit(circuit_of_net, last, run.task, params.faithfulness, train)
        for moment in pool.map(one, run.snapshots):
            found.append(moment)
            progress.advance()
        return found, circuit.result()


def evaluate_snapshot(run: Run, path: Path) -> tuple[Snapshot[Net], Evaluation[Any]]:
    """Load one snapshot of the run and run it on the whole domain."""
    snapshot = load_snapshot(path, Net)
    if snapshot.task != run.task:
        raise UserError(f"{path}: computes {snapshot.task}, its run {run.task}; train the run again")
    return snapshot, evaluate(snapshot.net, snapshot.pair_task)


def _examine(
    sha256: str,
    snapshot: Snapshot[Net],
    evaluation: Evaluation[Any],
    train: Int[Tensor, " train"],
    frequencies: tuple[int, ...],
    counts: Float[Tensor, "replicate pair"],
    params: InterpParams,
) -> Moment:
    net, task = snapshot.net, snapshot.pair_task
    measures = measure_evaluation(evaluation, train, frequencies, key_power=params.key_power)
    pairs, answers = torch.from_numpy(task.pairs())[train], evaluation.answers[train]
    graph, edges = _edges(net, task)
    return Moment(
        cycle=snapshot.cycle,
        step=snapshot.step,
        sha256=sha256,
        measures=measures,
        replicates=replicate_measures(measures, evaluation, train, frequencies, counts),
        algorithm=name_algorithm(net, task, train),
        learning_coefficient=learning_coefficient(net, pairs, answers, Sampler(**params.sampler.model_dump())),
        graph=graph,
        edges=edges,
    )


def _edges(net: Net, task: Task) -> tuple[Graph | None, NDArray[np.float64] | None]:
    """Scores of every edge of the finest graph; None where attribution does not know the kind."""
    neurons = neurons_are_nodes(net)
    if neurons is None:
        return None, None
    found = integrated_gradients(net, *contrast(task, ATTRIBUTED), neurons=neurons)
    return found.graph, found.edges
