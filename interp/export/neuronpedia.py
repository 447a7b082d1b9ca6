"""The attribution-graph JSON that circuit-tracer serves and Neuronpedia reads: metadata, qParams, nodes, links.

Their graphs are of one prompt and of transcoder features. Ours is the mean over many inputs, its prompt says so, and
heads, MLPs and neurons stand as features whose `clerp` (label) is the node's name. Layers rise along every link and
start at 1, as Neuronpedia takes 0 for none: heads of our layer l are their layer 2 l + 1, its MLP or neurons 2 l + 2.
Identifiers are <layer>_<index>_<position>. The one logits node stands for all answers, whose probabilities sum to 1.

`influence` is their scale for pruning: with the nodes sorted by |score|, the share of the sum of |score| that a node
and those before it make up. Both pages show the nodes with influence up to a threshold, from `node_threshold` down.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Any

import networkx as nx

from interp.circuits.circuit import kept_part
from pipeline.files import to_json

SCHEMA_VERSION = 1
"""By which Neuronpedia takes `feature` for a paired number."""
SCAN = "catapult"
PINNED = 12
"""How many nodes, the strongest, stand in the subgraph beside the embeddings and the logits when a page opens."""
FEATURE = "cross layer transcoder"


def to_neuronpedia(circuit: nx.DiGraph) -> str:
    """The circuit alone; weights are the edges' scores."""
    facts, part = circuit.graph, kept_part(circuit)
    tokens = [name.removeprefix("embed.") for name, data in circuit.nodes(data=True) if data["kind"] == "embed"]
    influence = _influence(part)
    nodes = {name: _node(name, data, len(tokens), influence.get(name)) for name, data in part.nodes(data=True)}
    ids = {name: node["node_id"] for name, node in nodes.items()}
    pinned = {name for name, data in part.nodes(data=True) if data["kind"] in ("embed", "logits")}
    pinned |= set(list(influence)[:PINNED])
    kept = facts["circuit"]
    metadata = {
        "slug": re.sub(r"[^A-Za-z0-9.]+", "-", f"{facts['operation']}-{facts['p']}-{facts['method']}"),
        "scan": SCAN,
        "transcoder_list": [],
        "prompt_tokens": tokens,
        "prompt": f"{facts['task']}, mean over {facts['n_inputs']} inputs",
        "node_threshold": 1.0,
        "schema_version": SCHEMA_VERSION,
        "info": {
            "description": f"{facts['task']}: {kept['edges']} of {circuit.number_of_edges()} edges by "
            f"{facts['method'].replace('_', ' ')}, faithfulness {kept['faithfulness']:.4f}",
            "generator": {"name": "catapult"},
        },
    }
    q_params = {
        "pinnedIds": [ids[name] for name in part.nodes if name in pinned],
        "supernodes": [],
        "linkType": "both",
        "clickedId": ids.get("logits", ""),
        "sg_pos": "",
    }
    links = [
        {"source": ids[s], "target": ids[r], "weight": data["score"] or 0.0} for s, r, data in part.edges(data=True)
    ]
    return to_json({"metadata": metadata, "qParams": q_params, "nodes": list(nodes.values()), "links": links})


def _influence(part: nx.DiGraph) -> dict[str, float]:
    """Of the heads, MLPs and neurons that have a score, the strongest first."""
    scores = {
        name: abs(data["score"])
        for name, data in part.nodes(data=True)
        if data["kind"] not in ("embed", "logits") and data["score"] is not None
    }
    names = sorted(scores, key=lambda name: -scores[name])
    total = sum(scores.values()) or 1.0
    return {name: min(1.0, s / total) for name, s in zip(names, accumulate(scores[n] for n in names), strict=True)}


def _node(name: str, data: dict[str, Any], positions: int, influence: float | None) -> dict[str, Any]:
    kind, index = data["kind"], data["index"]
    position = index if kind == "embed" else positions - 1
    number = 2 * data["layer"] + (2 if kind in ("mlp", "neuron") else 1)
    layer = "E" if kind == "embed" else str(number)
    return {
        "node_id": f"{layer}_{index}_{position}",
        "jsNodeId": f"{'L' if kind == 'logits' else layer}_{index}-{position}",
        "feature": index if kind in ("embed", "logits") else _paired(number, index),
        "layer": layer,
        "ctx_idx": position,
        "feature_type": {"embed": "embedding", "logits": "logit"}.get(kind, FEATURE),
        "token_prob": float(kind == "logits"),
        "is_target_logit": kind == "logits",
        "run_idx": 0,
        "reverse_ctx_idx": 0,
        "clerp": f'Output "{name}" (p=1.000)' if kind == "logits" else name,
        "influence": influence,
        "activation": None,
    }


def _paired(layer: int, feature: int) -> int:
    """Cantor's pairing, by which they number features of all layers in one line."""
    return (layer + feature) * (layer + feature + 1) // 2 + feature
