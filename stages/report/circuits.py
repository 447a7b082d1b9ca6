"""From the nodes and edges of circuit.json to the few boxes that a reader can take in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from stages.report.records import Circuit

MOST_GROUPS = 7
"""Frequency groups drawn by name; the rest are put together."""

Node = dict[str, Any]


@dataclass(frozen=True)
class Group:
    """A box: one token, one head, the neurons of one frequency, or the read-out.

    `effect` is the share of the logit difference that runs through its `members`, `inputs` the share that reaches them
    from each box of the column before.
    """

    name: str
    members: tuple[str, ...]
    effect: float
    inside: bool
    tip: str
    inputs: tuple[float, ...] = ()


@dataclass(frozen=True)
class Shape:
    """The columns of the drawing, the sizes, and what was measured: the curve is (share of edges, faithfulness)."""

    tokens: tuple[Group, ...]
    heads: tuple[Group, ...]
    groups: tuple[Group, ...]
    answer: tuple[Group]
    neurons: int
    neurons_inside: int
    edges: int
    edges_inside: int
    target: float
    faithfulness: float
    agreement: float
    accuracy: float
    curve: tuple[tuple[float, float], ...]
    cpr: float
    cmd: float

    @property
    def heads_inside(self) -> int:
        return sum(head.inside for head in self.heads)


def shape(circuit: Circuit, by_frequency: bool = True) -> Shape:
    """Group the neurons in the circuit by frequency, strongest first; the others make one pale box.

    All of them are one group where frequencies are not applicable.
    """
    metric, kept = circuit.facts["metric"], circuit.facts["circuit"]
    span = float(metric["clean"]) - float(metric["corrupted"])
    between = flow(circuit, 1 / span if span else 0.0)
    by_kind: dict[str, list[Node]] = defaultdict(list)
    for node in circuit.nodes:
        by_kind[str(node["kind"])].append(node)
    neurons = by_kind["neuron"]
    tokens = tuple(token_box(node, between) for node in by_kind["embed"])
    heads = tuple(head_box(node, tokens, between) for node in by_kind["head"])
    groups = neuron_boxes(neurons, heads, between, "no frequency" if by_frequency else "neurons")
    through = tuple(group.effect for group in groups)
    answer = Group("answer", ("logits",), sum(through), True, f"{circuit.facts['task']}", through)
    total = len(circuit.edges)
    return Shape(
        tokens=tokens,
        heads=heads,
        groups=groups,
        answer=(answer,),
        neurons=len(neurons),
        neurons_inside=sum(bool(node["in_circuit"]) for node in neurons),
        edges=total,
        edges_inside=int(kept["edges"]),
        target=float(kept["target"]),
        faithfulness=float(kept["faithfulness"]),
        agreement=float(kept["agreement_all"]),
        accuracy=float(kept["accuracy_all"]),
        curve=tuple(
            (int(point["edges"]) / total, float(point["faithfulness"]))
            for point in circuit.facts["curve"]
            if point["edges"]
        ),
        cpr=float(circuit.facts["cpr"]),
        cmd=float(circuit.facts["cmd"]),
    )


Flow = Callable[[Sequence[str], Sequence[str] | None], float]


def flow(circuit: Circuit, scale: float) -> Flow:
    """What runs along the kept edges from some nodes to others, or to all: their summed scores times `scale`."""
    outgoing: dict[str, dict[str, float]] = defaultdict(dict)
    for edge in circuit.edges:
        if edge["in_circuit"]:
            outgoing[str(edge["source"])][str(edge["target"])] = float(edge["score"] or 0.0) * scale

    def between(senders: Sequence[str], receivers: Sequence[str] | None) -> float:
        if receivers is None:
            return sum(sum(outgoing[sender].values()) for sender in senders)
        return sum(outgoing[sender].get(receiver, 0.0) for sender in senders for receiver in receivers)

    return between


def token_box(node: Node, between: Flow) -> Group:
    """The embedding of one token."""
    name = str(node["id"]).removeprefix("embed.")
    effect, inside = between([str(node["id"])], None), bool(node["in_circuit"])
    tip = f"token {name}: {effect:.1%} of the logit difference starts here" if inside else f"token {name}: no kept edge"
    return Group(name, (str(node["id"]),), effect, inside, tip)


def head_box(node: Node, tokens: Sequence[Group], between: Flow) -> Group:
    """One attention head."""
    ids = (str(node["id"]),)
    effect, name = between(ids, None), f"head {node['index']}"
    looks = ", ".join(f"{token.name} {share:.0%}" for token, share in zip(tokens, node["attention"], strict=True))
    tip = f"{name}: {effect:.1%} of the logit difference runs through it; attends to {looks}"
    inputs = tuple(between(token.members, ids) for token in tokens)
    return Group(name, ids, effect, bool(node["in_circuit"]), tip, inputs)


def neuron_boxes(neurons: list[Node], heads: Sequence[Group], between: Flow, without: str) -> tuple[Group, ...]:
    """Boxes for the neurons: frequencies by strength, what is left of them, what is outside the circuit.

    `without` names the box of those that have no frequency.
    """
    by_frequency: dict[int | None, list[str]] = defaultdict(list)
    for node in neurons:
        if node["in_circuit"]:
            by_frequency[node["frequency"]].append(str(node["id"]))
    outside = tuple(str(node["id"]) for node in neurons if not node["in_circuit"])

    def box(name: str, members: tuple[str, ...]) -> Group:
        effect = between(members, None)
        count = f"{len(members)} neuron{'s' if len(members) != 1 else ''}"
        inputs = tuple(between(head.members, members) for head in heads)
        return Group(name, members, effect, True, f"{name}: {count}, {effect:.1%} of the logit difference", inputs)

    ordered = sorted(by_frequency.items(), key=lambda item: (-between(item[1], None), item[0] or 0))
    most = MOST_GROUPS if len(ordered) > MOST_GROUPS + 1 else len(ordered)
    boxes = [box(without if k is None else f"k = {k}", tuple(members)) for k, members in ordered[:most]]
    if ordered[most:]:
        rest = tuple(member for _, members in ordered[most:] for member in members)
        boxes.append(box(f"{len(ordered) - most} more k", rest))
    if outside:
        tip = f"{len(outside)} neurons are outside the circuit"
        boxes.append(Group("outside", outside, 0.0, False, tip, (0.0,) * len(heads)))
    return tuple(boxes)
