"""DOT, for Graphviz: the circuit alone, left to right by layer; blue edges carry the answer, orange work against it.

Neurons are small and carry their number; the tool tip of a node is its name and score.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import networkx as nx

from interp.circuits.circuit import kept_part

WIDEST = 4.0
"""Points of the line with the greatest |score|; the others in proportion."""
SHAPES = {"embed": "box", "head": "ellipse", "mlp": "box", "neuron": "circle", "logits": "doubleoctagon"}
NEURONS = "fixedsize=true, width=0.3, fontsize=8"


def to_dot(circuit: nx.DiGraph) -> str:
    part = kept_part(circuit)
    greatest = max((abs(data["score"] or 0.0) for _, _, data in part.edges(data=True)), default=0.0) or 1.0
    lines = ["digraph circuit {", "  rankdir=LR; nodesep=0.06; ranksep=2;", "  node [fontname=Helvetica];"]
    ranks: dict[tuple[int, str], list[str]] = defaultdict(list)
    for name, data in part.nodes(data=True):
        small = f", label={data['index']}, {NEURONS}" if data["kind"] == "neuron" else ""
        tip = _quoted(f"{name}: {_tip(data)}")
        lines.append(f"  {_quoted(name)} [shape={SHAPES[data['kind']]}{small}, tooltip={tip}];")
        ranks[data["layer"], data["kind"]].append(_quoted(name))
    lines += [f"  {{ rank=same; {'; '.join(names)}; }}" for names in ranks.values()]
    for sender, receiver, data in part.edges(data=True):
        score = data["score"] or 0.0
        colour = "#c44f00" if score < 0 else "#0072b2"
        style = f'penwidth={max(0.2, WIDEST * abs(score) / greatest):.3g}, color="{colour}"'
        lines.append(f"  {_quoted(sender)} -> {_quoted(receiver)} [{style}, tooltip={_quoted(_tip(data))}];")
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _tip(data: dict[str, Any]) -> str:
    return "no score" if data["score"] is None else f"{data['score']:.4g}"
