"""The circuit: which heads and groups of neurons carry the answer, and how much of the net is enough."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.report.axes import LEFT, RIGHT, Axes
from pipeline.report.circuits import Group, Shape, shape
from pipeline.report.figures.figure import Figure, panels
from pipeline.report.headline import percent
from pipeline.report.records import Record
from pipeline.report.svg import NARROW, Scale, Svg

BOX, GAP = 28.0, 10.0
TOP, CURVE = 30.0, 120.0
THICKEST = 9.0


def figure(records: Sequence[Record]) -> Figure:
    """A drawing and a faithfulness curve for each run, the drawings of equal height."""
    shapes = {record.key: shape(record.circuit) for record in records}
    rows = max(max(3, len(found.heads), len(found.groups)) for found in shapes.values())
    drawings = [
        (record.key, lambda width, record=record: draw(record, shapes[record.key], width, rows)) for record in records
    ]
    lines = tuple((record.key, takeaway(shapes[record.key])) for record in records)
    return Figure(panels(drawings), lines, reading(shapes[records[0].key].target))


def draw(record: Record, parts: Shape, width: int, rows: int) -> str:
    """Tokens, heads, neurons, read-out from left to right; the curve below."""
    height = rows * (BOX + GAP) - GAP
    svg = Svg(width, TOP + height + CURVE + 92, f"Circuit of {record.key}")
    sizes = (28.0, 64.0, 108.0, 64.0) if width <= NARROW else (42.0, 84.0, 150.0, 84.0)
    space = (width - sum(sizes) - 2) / 3
    lefts = [1 + sum(sizes[:i]) + i * space for i in range(4)]
    svg.text(0, 16, "tokens", "axis-title")
    svg.text(lefts[1] + sizes[1] / 2, 16, "heads", "axis-title", "middle")
    svg.text(lefts[2] + sizes[2] / 2, 16, "neurons, by frequency", "axis-title", "middle")
    svg.text(width, 16, "read-out", "axis-title", "end")
    tokens = tuple(Group(name, 1, 1.0, True, f"token {name}") for name in ("a", "b", "="))
    answer = (Group("answer", 1, 1.0, True, record.task, tuple(group.effect for group in parts.groups)),)
    columns = (tokens, parts.heads, parts.groups, answer)
    places = [spread(len(column), height) for column in columns]
    for i in (1, 2, 3):
        ends = (lefts[i - 1] + sizes[i - 1], lefts[i])
        connect(svg, columns[i - 1], columns[i], places[i - 1], places[i], ends)
    for left, size, column, centres in zip(lefts, sizes, columns, places, strict=True):
        for group, y in zip(column, centres, strict=True):
            box(svg, left, y, size, group, counted=column is parts.groups)
    curve(svg, parts, TOP + height + 54, width)
    return str(svg)


def connect(
    svg: Svg,
    sources: Sequence[Group],
    targets: Sequence[Group],
    starts: Sequence[float],
    stops: Sequence[float],
    ends: tuple[float, float],
) -> None:
    """Lines between two columns, the thicker the more runs through them (square root).

    There are none to or from what is outside the circuit.
    """
    strongest = max((abs(value) for target in targets for value in target.inputs), default=0.0) or 1.0
    for target, stop in zip(targets, stops, strict=True):
        for source, start, value in zip(sources, starts, target.inputs, strict=False):
            if source.inside and target.inside:
                thick = max(0.5, THICKEST * (abs(value) / strongest) ** 0.5)
                css = "edge" if value >= 0 else "edge against"
                svg.ribbon(ends[0], start, ends[1], stop, thick, css, f"{source.name} to {target.name}: {value:.1%}")


def spread(count: int, height: float) -> list[float]:
    """Vertical centres of `count` boxes over the height."""
    return [TOP + height * (i + 0.5) / count for i in range(count)]


def box(svg: Svg, left: float, y: float, width: float, group: Group, counted: bool) -> None:
    """A node with its name, and with the number of its neurons; dashed where it is outside the circuit."""
    suffix = "" if group.inside else "-out"
    svg.rect(left, y - BOX / 2, width, BOX, f"node{suffix}", group.tip, rx=3)
    if counted:
        svg.text(left + 9, y + 4, group.name, f"node-name{suffix}")
        svg.text(left + width - 9, y + 4, str(group.members), f"node-name{suffix} count", "end")
    else:
        svg.text(left + width / 2, y + 4, group.name, f"node-name{suffix}", "middle")


def curve(svg: Svg, parts: Shape, top: float, width: int) -> None:
    """Faithfulness against the number of parts kept, best first."""
    high = max(kept for kept, _ in parts.curve)
    axes = Axes(svg, Scale(0, high, LEFT, width - RIGHT), Scale(0, 1, top + CURVE, top))
    axes.frame("the net's own answers kept", "heads and neurons kept, best first", (0, 0.5, 1), lambda s: f"{s:.0%}")
    axes.curve(parts.curve, "train", dots=True)
    axes.mark(parts.kept, f"circuit: {parts.kept} of {high:g}")


def takeaway(found: Shape) -> str:
    """Size and faithfulness of the circuit."""
    size = f"{found.heads_inside} of {len(found.heads)} heads and {found.neurons_inside} of {found.neurons} neurons"
    kept = f"keeps {percent(found.agreement)} of its own answers over all pairs"
    return f"{kept} with {size} alone; {percent(found.accuracy)} are then right."


def reading(target: float) -> str:
    """The symbols."""
    return (
        "From left to right: the three tokens, the attention heads that read them, the neurons, the read-out. "
        "Neurons are gathered by the frequency k they respond to most, with their number at the right of the box. "
        "The more of the answer's logit runs through a line, the thicker it is (from tokens to heads: the "
        "attention); a dotted line works against the answer. The dashed box is outside the circuit: its neurons are "
        "replaced by their mean. <i>Faithfulness</i>, the curve, is the share of training pairs on which the net "
        "keeps its own answer, right or wrong, when only the best heads and neurons are left as they are and the "
        f"others are replaced by their mean; the circuit is the smallest such set that keeps {target:.0%}. The direct "
        "path from the heads to the read-out is part of the net but not drawn."
    )
