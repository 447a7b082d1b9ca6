"""The circuit of a snapshot: a graph embed -> heads -> neurons -> read-out with scores and a measured faithfulness."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.ablation import answer_logit, baseline, edge_effects, head_effects, neuron_effects
from interp.faithfulness import Faithfulness, Ranking
from interp.forward import Evaluation
from interp.neurons import neuron_spectra
from pipeline.errors import UserError
from pipeline.files import to_json, write_atomically

CIRCUIT_SCHEMA = "catapult-circuit-1"
FAITHFUL = 0.99


def find_circuit(evaluation: Evaluation, train: Int[Tensor, " train"], target: float = FAITHFUL) -> nx.DiGraph:
    """Score every head and neuron on the training pairs, and keep the best until `target` of the answers are kept.

    Scores are shares of the net's centred answer logit lost to mean ablation (see `ablation`). The circuit is the
    smallest set, added by score, in which everything else is mean-ablated and `target` of the training pairs still
    get the net's own answer. The graph's `faithfulness` reports it on the training pairs and on all pairs.
    """
    net, task = evaluation.net, evaluation.task
    pairs = torch.from_numpy(task.pairs())
    base = baseline(net, pairs[train], evaluation.answers[train])
    total = answer_logit(base.logits, base.answers)
    scale = 1 / abs(total) if total else 0.0
    heads, neurons = head_effects(net, base) * scale, neuron_effects(net, base) * scale
    edges = edge_effects(net, base)
    scores = torch.cat([heads, neurons])
    ranking = Ranking(tuple(int(i) for i in torch.argsort(scores, descending=True, stable=True)), len(heads))
    on_train = Faithfulness(net, base, ranking, base.pairs, base.answers)
    chosen = on_train.smallest(target)
    on_all = Faithfulness(net, base, ranking, pairs, evaluation.answers).at(chosen.kept)
    head_mask, neuron_mask = ranking.masks(chosen.kept)

    graph = nx.DiGraph(schema=CIRCUIT_SCHEMA, task=str(task), p=task.p, operation=task.operation)
    graph.add_node("embed", kind="embed", score=1.0, in_circuit=True)
    graph.add_node("readout", kind="readout", score=1.0, in_circuit=True)
    attention = evaluation.pattern.mean(0)
    for i, score in enumerate(heads.tolist()):
        kept = bool(head_mask[i])
        graph.add_node(f"head.{i}", kind="head", score=score, in_circuit=kept, attention=attention[i].tolist())
        graph.add_edge("embed", f"head.{i}", score=score)
        graph.add_edge(f"head.{i}", "readout", score=float(edges.head_to_readout[i]) * scale)
    spectra = neuron_spectra(evaluation.neurons, task.p)
    phases = [phase.tolist() for phase in spectra.phases(task.sign)]
    for i, score in enumerate(neurons.tolist()):
        graph.add_node(
            f"mlp.{i}",
            kind="neuron",
            score=score,
            in_circuit=bool(neuron_mask[i]),
            frequency=int(spectra.frequency[i]) if bool(spectra.live[i]) else None,
            frequency_share=float(spectra.dominant_share[i]),
            phase_a=phases[0][i],
            phase_b=phases[1][i],
            phase_answer=phases[2][i],
        )
        graph.add_edge(f"mlp.{i}", "readout", score=score)
    for h, row in enumerate((edges.head_to_neuron * scale).tolist()):
        graph.add_edges_from((f"head.{h}", f"mlp.{i}", {"score": score}) for i, score in enumerate(row))
    graph.graph["faithfulness"] = {
        "target": target,
        "components": len(ranking.order),
        "kept": chosen.kept,
        "kept_heads": int(head_mask.sum()),
        "kept_neurons": int(neuron_mask.sum()),
        "agreement_train": chosen.agreement,
        "accuracy_train": chosen.accuracy,
        "agreement_all": on_all.agreement,
        "accuracy_all": on_all.accuracy,
        "answer_logit": chosen.answer_logit,
        "centred_answer_logit": total,
        "curve": [asdict(point) for point in on_train.curve()],
    }
    graph.graph["groups"] = by_frequency(graph)
    return graph


def by_frequency(circuit: nx.DiGraph) -> list[dict[str, Any]]:
    """The neurons gathered by frequency, strongest first: what a picture can show of them.

    Each with its number of neurons, how many are in the circuit, their summed score, and the summed score of the
    edges into them from every head.
    """
    groups: dict[int, dict[str, Any]] = {}
    for name, node in circuit.nodes.items():
        if node["kind"] == "neuron" and node["frequency"] is not None:
            empty = {"frequency": node["frequency"], "neurons": 0, "in_circuit": 0, "score": 0.0, "from_heads": {}}
            group = groups.setdefault(node["frequency"], empty)
            group["neurons"] += 1
            group["in_circuit"] += int(node["in_circuit"])
            group["score"] += node["score"]
            for source, _, edge in circuit.in_edges(name, data=True):
                group["from_heads"][source] = group["from_heads"].get(source, 0.0) + edge["score"]
    return sorted(groups.values(), key=lambda group: (-group["score"], group["frequency"]))


def circuit_scores(circuit: nx.DiGraph) -> tuple[Float[np.ndarray, " head"], Float[np.ndarray, " d_mlp"]]:
    """Scores of the heads and of the neurons, in the net's order."""

    def of(kind: str, prefix: str) -> np.ndarray:
        found = {int(n.removeprefix(prefix)): d["score"] for n, d in circuit.nodes.items() if d["kind"] == kind}
        return np.array([found[i] for i in range(len(found))], dtype=np.float64)

    return of("head", "head."), of("neuron", "mlp.")


def circuit_to_json(circuit: nx.DiGraph) -> str:
    """Node-link data of the graph, its attributes at the top level."""
    data = nx.node_link_data(circuit, edges="edges")
    return to_json({**data.pop("graph"), **data})


def circuit_from_json(text: str) -> nx.DiGraph:
    """The graph back; raises UserError where the text is not a circuit of this schema."""
    try:
        data = json.loads(text)
        schema = data.get("schema")
        if schema != CIRCUIT_SCHEMA:
            raise UserError(
                f"circuit schema = {schema!r}, not {CIRCUIT_SCHEMA}: make it with `python -m interp circuit`"
            )
        parts = {key: data.pop(key) for key in ("nodes", "edges", "directed", "multigraph")}
        return nx.node_link_graph({**parts, "graph": data}, edges="edges")
    except (json.JSONDecodeError, AttributeError, KeyError) as error:
        raise UserError(f"circuit: not node-link JSON ({error}); make it again with `python -m interp`") from None


def load_circuit(path: Path) -> nx.DiGraph:
    """Read circuit.json; raises UserError where it is missing or of another schema."""
    try:
        return circuit_from_json(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{path}: no such circuit; make it with `python -m interp circuit RUN --out {path}`") from None


def save_circuit(circuit: nx.DiGraph, path: Path) -> None:
    """Write circuit.json, whole or not at all."""
    write_atomically(path, circuit_to_json(circuit))
