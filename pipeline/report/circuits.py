"""From the nodes of circuit.json to the few boxes that a reader can take in."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from pipeline.report.records import Circuit

MOST_GROUPS = 7
"""Frequency groups drawn by name; the rest are put together."""

Node = dict[str, Any]


@dataclass(frozen=True)
class Group:
    """A box: one head, or the neurons of one frequency.

    `effect` is its summed score, `inputs` the strength of what reaches it from each box of the column before.
    """

    name: str
    members: int
    effect: float
    inside: bool
    tip: str
    inputs: tuple[float, ...] = ()


@dataclass(frozen=True)
class Shape:
    """The columns of the drawing, the sizes, and the faithfulness: the curve is (kept, agreement)."""

    heads: tuple[Group, ...]
    groups: tuple[Group, ...]
    neurons: int
    neurons_inside: int
    kept: int
    target: float
    agreement: float
    accuracy: float
    curve: tuple[tuple[float, float], ...]

    @property
    def heads_inside(self) -> int:
        return sum(head.inside for head in self.heads)


def shape(circuit: Circuit) -> Shape:
    """Group the neurons in the circuit by frequency, strongest first; the others make one pale box."""
    heads = [node for node in circuit.nodes if node["kind"] == "head"]
    neurons = [node for node in circuit.nodes if node["kind"] == "neuron"]
    found = circuit.faithfulness
    return Shape(
        heads=tuple(head_box(head) for head in heads),
        groups=neuron_boxes(neurons, edge_scores(circuit), [str(head["id"]) for head in heads]),
        neurons=len(neurons),
        neurons_inside=sum(bool(node["in_circuit"]) for node in neurons),
        kept=int(found["kept"]),
        target=float(found["target"]),
        agreement=float(found["agreement_all"]),
        accuracy=float(found["accuracy_all"]),
        curve=tuple((float(point["kept"]), float(point["agreement"])) for point in found["curve"]),
    )


def edge_scores(circuit: Circuit) -> dict[tuple[str, str], float]:
    """Scores of the edges by their ends."""
    return {(str(edge["source"]), str(edge["target"])): float(edge["score"]) for edge in circuit.edges}


def head_box(head: Node) -> Group:
    """One attention head; its inputs are how much it attends to a, b and =."""
    attention = tuple(float(value) for value in head.get("attention") or ())
    score = float(head["score"])
    looks = "; attends to a {:.0%}, b {:.0%}, = {:.0%}".format(*attention) if len(attention) == 3 else ""
    tip = f"{head['id']}: {score:.1%} of the answer is lost without it{looks}"
    return Group(str(head["id"]).replace(".", " "), 1, score, bool(head["in_circuit"]), tip, attention)


def neuron_boxes(neurons: list[Node], edges: dict[tuple[str, str], float], heads: list[str]) -> tuple[Group, ...]:
    """Boxes for the neurons: frequencies by strength, what is left of them, what is outside the circuit."""
    by_frequency: dict[int | None, list[Node]] = defaultdict(list)
    outside = 0
    for node in neurons:
        if node["in_circuit"]:
            by_frequency[node.get("frequency")].append(node)
        else:
            outside += 1

    def box(name: str, members: list[Node]) -> Group:
        effect = sum(float(node["score"]) for node in members)
        count = f"{len(members)} neuron{'s' if len(members) != 1 else ''}"
        inputs = tuple(sum(edges.get((head, str(node["id"])), 0.0) for node in members) for head in heads)
        return Group(name, len(members), effect, True, f"{name}: {count}, {effect:.1%} of the answer", inputs)

    ordered = sorted(by_frequency.items(), key=lambda item: (-sum(float(n["score"]) for n in item[1]), item[0] or 0))
    most = MOST_GROUPS if len(ordered) > MOST_GROUPS + 1 else len(ordered)
    boxes = [box("silent" if k is None else f"k = {k}", members) for k, members in ordered[:most]]
    if ordered[most:]:
        rest = [node for _, members in ordered[most:] for node in members]
        boxes.append(box(f"{len(ordered) - most} more k", rest))
    if outside:
        tip = f"{outside} neurons are outside the circuit"
        boxes.append(Group("outside", outside, 0.0, False, tip, (0.0,) * len(heads)))
    return tuple(boxes)
