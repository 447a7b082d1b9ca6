"""The attribution-graph JSON that circuit-tracer serves and Neuronpedia reads: metadata, qParams, nodes, links.

Their graphs are of one prompt and of transcoder features. Ours is the mean over many inputs, its prompt says so, and
heads, MLPs and neurons stand as features whose `clerp` (label) is the node's name. Their layers rise along every link:
heads of our layer l are their layer 2 l, its MLP or neurons 2 l + 1. Identifiers are <layer>_<feature>_<position>.
"""

from __future__ import annotations

from typing import Any

import networkx as nx

from interp.circuits.circuit import kept_part
from pipeline.files import to_json

SCHEMA_VERSION = 1
SCAN = "catapult"
LOGITS_FEATURE = 0


def to_neuronpedia(circuit: nx.DiGraph) -> str:
    """The circuit alone; weights are the edges' scores."""
    part = kept_part(circuit)
    tokens = [name.removeprefix("embed.") for name, data in circuit.nodes(data=True) if data["kind"] == "embed"]
    layers = 2 * max((data["layer"] for _, data in circuit.nodes(data=True)), default=0)
    nodes = {name: _node(name, data, len(tokens), layers) for name, data in part.nodes(data=True)}
    links = [
        {"source": nodes[s]["node_id"], "target": nodes[r]["node_id"], "weight": data["score"] or 0.0}
        for s, r, data in part.edges(data=True)
    ]
    metadata = {
        "slug": f"{circuit.graph['operation']}-{circuit.graph['p']}-{circuit.graph['method']}".replace("_", "-"),
        "scan": SCAN,
        "transcoder_list": [],
        "prompt_tokens": tokens,
        "prompt": f"{circuit.graph['task']}, mean over {circuit.graph['n_inputs']} inputs",
        "node_threshold": None,
        "schema_version": SCHEMA_VERSION,
    }
    q_params = {"pinnedIds": [], "supernodes": [], "linkType": "both", "clickedId": "", "sg_pos": ""}
    return to_json({"metadata": metadata, "qParams": q_params, "nodes": list(nodes.values()), "links": links})


def _node(name: str, data: dict[str, Any], positions: int, layers: int) -> dict[str, Any]:
    kind, index = data["kind"], data["index"]
    position = index if kind == "embed" else positions - 1
    match kind:
        case "embed":
            layer, feature, feature_type = "E", index, "embedding"
        case "logits":
            layer, feature, feature_type = str(layers + 1), LOGITS_FEATURE, "logit"
        case _:
            number = 2 * data["layer"] + (kind != "head")
            layer, feature, feature_type = str(number), _paired(number, index), "cross layer transcoder"
    node_id = f"{layer}_{LOGITS_FEATURE if kind == 'logits' else index}_{position}"
    return {
        "node_id": node_id,
        "jsNodeId": f"{layer}_{index}-{position}",
        "feature": feature,
        "layer": layer,
        "ctx_idx": position,
        "feature_type": feature_type,
        "token_prob": 0.0,
        "is_target_logit": kind == "logits",
        "run_idx": 0,
        "reverse_ctx_idx": 0,
        "clerp": name,
        "influence": data["score"],
        "activation": None,
    }


def _paired(layer: int, feature: int) -> int:
    """Cantor's pairing, by which they number features of all layers in one line."""
    return (layer + feature) * (layer + feature + 1) // 2 + feature
