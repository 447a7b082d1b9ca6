"""A circuit as a networkx graph: every node and edge with its score, those that are kept, and how faithful they are."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from interp.attribution.result import Attribution
from interp.circuits.curve import Curve, Point
from interp.circuits.everywhere import Everywhere
from pipeline.errors import UserError
from pipeline.files import to_json, write_atomically
from pipeline.tasks import Task

SCHEMA = "catapult-circuit-2"


@dataclass(frozen=True)
class Findings:
    """What was measured of the circuit with the edges `kept`, which was to reach the faithfulness `target`, if any.

    `changes` counts, for each kept edge, the inputs on which its removal changes the circuit's answer.
    """

    target: float | None
    kept: NDArray[np.bool_]
    measured: Point
    everywhere: Everywhere
    curve: Curve
    changes: NDArray[np.int64] | None
    spectra: NDArray[np.float64] | None


def circuit_of(attribution: Attribution, task: Task, found: Findings) -> nx.DiGraph:
    """The graph of an attribution with the kept edges marked `in_circuit`, and the nodes that they join.

    Scores that a method does not give are None, as are the changes of other edges and the spectra of other nodes, and
    what was not measured. Heads alone have `attention`: the mean over all pairs from the last position to each.
    """
    kept = found.kept
    graph = nx.DiGraph(
        schema=SCHEMA,
        task=str(task),
        p=task.n_answers,
        operation=task.operation,
        method=attribution.method,
        config=attribution.config,
        n_inputs=attribution.n_inputs,
        metric={"clean": attribution.clean, "corrupted": attribution.corrupted},
        circuit={
            **asdict(found.measured),
            "share": found.measured.edges / len(kept),
            "target": found.target,
            "agreement_all": found.everywhere.agreement,
            "accuracy_all": found.everywhere.accuracy,
        },
        curve=[asdict(point) for point in found.curve.points],
        cpr=found.curve.cpr,
        cmd=found.curve.cmd,
    )
    joined = np.zeros(len(attribution.graph.nodes), dtype=bool)
    joined[attribution.graph.ends[kept]] = True
    for i, node in enumerate(attribution.graph.nodes):
        own = found.spectra[i] if found.spectra is not None and joined[i] else None
        graph.add_node(
            node.name,
            kind=node.kind,
            layer=node.layer,
            index=node.index,
            score=_number(attribution.nodes[i]),
            in_circuit=bool(joined[i]),
            frequency=int(own.argmax()) + 1 if own is not None and own.any() else None,
            spectrum=None if own is None else [round(share, 4) for share in own.tolist()],
        )
        if node.kind == "head":
            graph.nodes[node.name]["attention"] = found.everywhere.attention[node.layer][node.index].tolist()
    for i, (sender, receiver) in enumerate(attribution.graph.edge_names):
        graph.add_edge(
            sender,
            receiver,
            score=_number(attribution.edges[i]),
            in_circuit=bool(kept[i]),
            changes=int(found.changes[i]) if found.changes is not None and kept[i] else None,
        )
    return graph


def _number(score: np.float64) -> float | None:
    return None if np.isnan(score) else float(score)


def kept_part(circuit: nx.DiGraph) -> nx.DiGraph:
    """The circuit alone: its edges and the nodes that they join, in the order of the whole."""
    return circuit.edge_subgraph([(s, r) for s, r, data in circuit.edges(data=True) if data["in_circuit"]])


def circuit_to_json(circuit: nx.DiGraph) -> str:
    """Node-link data, the graph's attributes at the top level."""
    data: dict[str, Any] = nx.node_link_data(circuit, edges="edges")
    return to_json({**data.pop("graph"), **data})


def circuit_from_json(text: str) -> nx.DiGraph:
    """The inverse; UserError where the text is not a circuit of this schema."""
    try:
        data = json.loads(text)
        if data.get("schema") != SCHEMA:
            found = data.get("schema")
            raise UserError(f"circuit schema = {found!r}, not {SCHEMA}: make it with `python -m interp attribute`")
        parts = {key: data.pop(key) for key in ("nodes", "edges", "directed", "multigraph")}
        return nx.node_link_graph({**parts, "graph": data}, edges="edges")
    except (json.JSONDecodeError, AttributeError, KeyError) as error:
        raise UserError(f"circuit: not node-link JSON ({error}); make it with `python -m interp attribute`") from None


def save_circuit(circuit: nx.DiGraph, path: Path) -> None:
    write_atomically(path, circuit_to_json(circuit))


def load_circuit(path: Path) -> nx.DiGraph:
    """Read a circuit; UserError where it is missing or of another schema."""
    try:
        return circuit_from_json(path.read_text())
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such circuit; make it with `python -m interp attribute RUN --out {path}`"
        ) from None
