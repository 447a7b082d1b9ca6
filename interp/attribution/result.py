"""What every method gives: a score a node and a score an edge, on the graph of the net."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from interp.attribution.metric import Metric
from interp.graph import Graph, describe, graph_from
from pipeline.errors import UserError
from pipeline.files import to_json, write_atomically

SCHEMA = "catapult-attribution-1"


@dataclass(frozen=True)
class Attribution:
    """Scores in the order of `graph.nodes` and `graph.edge_names`; NaN where the method gives none.

    An effect is what the metric loses, in the mean over the inputs, when the node or the edge carries what it carries
    on the corrupted input: positive for what supports the answer. `clean` and `corrupted` are the metric's means.
    """

    method: str
    graph: Graph
    nodes: NDArray[np.float64]
    edges: NDArray[np.float64]
    clean: float
    corrupted: float
    n_inputs: int
    config: dict[str, Any] = field(default_factory=dict)

    def node(self, name: str) -> float:
        return float(self.nodes[[node.name for node in self.graph.nodes].index(name)])

    def edge(self, sender: str, receiver: str) -> float:
        return float(self.edges[self.graph.edge_names.index((sender, receiver))])

    def to_json(self) -> str:
        """Sorted JSON, with null where there is no score."""
        names = [node.name for node in self.graph.nodes]
        return to_json(
            {
                "schema": SCHEMA,
                "method": self.method,
                "config": self.config,
                "graph": describe(self.graph),
                "clean": self.clean,
                "corrupted": self.corrupted,
                "n_inputs": self.n_inputs,
                "nodes": [[name, score] for name, score in zip(names, self.nodes.tolist(), strict=True)],
                "edges": [
                    [*ends, score] for ends, score in zip(self.graph.edge_names, self.edges.tolist(), strict=True)
                ],
            }
        )

    def save(self, path: Path) -> None:
        write_atomically(path, self.to_json())

    @classmethod
    def from_json(cls, text: str) -> Attribution:
        """The inverse of `to_json`; UserError where the text is something else."""
        try:
            data = json.loads(text)
            if data["schema"] != SCHEMA:
                raise UserError(f"attribution schema = {data['schema']!r}, not {SCHEMA}: attribute the net again")
            graph = graph_from(data["graph"])
            if [tuple(row[:2]) for row in data["edges"]] != list(graph.edge_names):
                raise ValueError("edges are not those of the graph")
            nodes = np.array([row[1] for row in data["nodes"]], dtype=np.float64)
            edges = np.array([row[2] for row in data["edges"]], dtype=np.float64)
            rest = {key: data[key] for key in ("method", "clean", "corrupted", "n_inputs", "config")}
        except (json.JSONDecodeError, KeyError, TypeError, ValueError, IndexError) as error:
            raise UserError(f"attribution: not a file of this kind ({error}); attribute the net again") from None
        return cls(graph=graph, nodes=nodes, edges=edges, **rest)


def result(
    method: str,
    graph: Graph,
    metric: Metric,
    clean: Tensor,
    corrupted: Tensor,
    nodes: NDArray[np.float64],
    edges: NDArray[np.float64],
    **config: Any,
) -> Attribution:
    """An Attribution from the logits of both runs; what is left of `nodes` and `edges` is filled with NaN."""
    means = mean_metric(metric, clean), mean_metric(metric, corrupted)
    return Attribution(method, graph, nodes, edges, *means, len(clean), config)


def mean_metric(metric: Metric, logits: Tensor) -> float:
    with torch.no_grad():
        return float(metric(logits).double().mean())


def mean_metrics(metric: Metric, logits: Tensor) -> NDArray[np.float64]:
    """The metric's mean for each of several runs, from logits [run, batch, answers]."""
    return np.array([mean_metric(metric, one) for one in logits])


def unscored(n: int) -> NDArray[np.float64]:
    return np.full(n, np.nan)
