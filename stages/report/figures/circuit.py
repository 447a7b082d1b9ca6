"""The circuit: which heads and groups of neurons carry the answer, and how much of the net is enough."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.svg import NARROW, Scale, Svg, log_domain
from stages.report.axes import LEFT, RIGHT, Axes
from stages.report.circuits import Group, Shape, shape
from stages.report.figures.figure import Figure, panels
from stages.report.headline import percent
from stages.report.records import Record

BOX, GAP = 28.0, 10.0
TOP, CURVE = 30.0, 120.0
LEAST = 0.001
"""The smallest share of edges on the axis."""
THICKEST = 9.0


def figure(records: Sequence[Record]) -> Figure:
    """A drawing and a faithfulness curve for each run, the drawings of equal height."""
    shapes = {record.key: shape(record.circuit, record.mechanism_is_measured) for record in records}
    rows = max(max(3, len(found.heads), len(found.groups)) for found in shapes.values())
    drawings = [
        (record.key, lambda width, record=record: draw(record, shapes[record.key], width, rows)) for record in records
    ]
    lines = tuple((record.key, takeaway(shapes[record.key])) for record in records)
    inputs = " or ".join(dict.fromkeys(str(record.circuit.facts["n_inputs"]) for record in records))
    return Figure(panels(drawings), lines, reading(shapes[records[0].key].target, inputs))


def draw(record: Record, parts: Shape, width: int, rows: int) -> str:
    """Tokens, heads, neurons, read-out from left to right; the curve below."""
    height = rows * (BOX + GAP) - GAP
    svg = Svg(width, TOP + height + CURVE + 92, f"Circuit of {record.key}")
    sizes = (28.0, 64.0, 108.0, 64.0) if width <= NARROW else (42.0, 84.0, 150.0, 84.0)
    space = (width - sum(sizes) - 2) / 3
    lefts = [1 + sum(sizes[:i]) + i * space for i in range(4)]
    neurons = "neurons, by frequency" if record.mechanism_is_measured else "neurons"
    svg.text(0, 16, "tokens", "axis-title")
    svg.text(lefts[1] + sizes[1] / 2, 16, "heads", "axis-title", "middle")
    svg.text(lefts[2] + sizes[2] / 2, 16, neurons, "axis-title", "middle")
    svg.text(width, 16, "read-out", "axis-title", "end")
    columns = (parts.tokens, parts.heads, parts.groups, parts.answer)
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
        svg.text(left + width - 9, y + 4, str(len(group.members)), f"node-name{suffix} count", "end")
    else:
        svg.text(left + width / 2, y + 4, group.name, f"node-name{suffix}", "middle")


def curve(svg: Svg, parts: Shape, top: float, width: int) -> None:
    """Faithfulness against the share of the edges kept, strongest first."""
    values = [faithfulness for _, faithfulness in parts.curve]
    low, high = min(0.0, *values), max(1.0, *values)
    x = Scale(*log_domain([share for share, _ in parts.curve], LEAST), LEFT, width - RIGHT, log=True)
    axes = Axes(svg, x, Scale(low, high, top + CURVE, top))
    axes.frame("faithfulness", "share of edges kept, strongest first (log scale)", (0, 0.5, 1), lambda s: f"{s:.0%}")
    svg.text(width - RIGHT, top - 12, f"circuit: {parts.edges_inside:,} of {parts.edges:,} edges", "note", "end")
    svg.text(LEFT + 8, top + 20, f"CPR {parts.cpr:.3f}, CMD {parts.cmd:.3f}", "note")
    axes.curve(parts.curve, "train", dots=True)
    axes.mark(parts.edges_inside / parts.edges)


def takeaway(found: Shape) -> str:
    """Size and faithfulness of the circuit."""
    size = f"{found.edges_inside:,} of {found.edges:,} edges"
    parts = f"{found.heads_inside} of {len(found.heads)} heads and {found.neurons_inside} of {found.neurons} neurons"
    return (
        f"keeps {percent(found.faithfulness)} of the logit difference with {size}, between {parts}. Over all pairs "
        f"these alone give {percent(found.agreement)} of its own answers; {percent(found.accuracy)} are then right."
    )


def reading(target: float, inputs: str) -> str:
    """The symbols."""
    return (
        "From left to right: the three tokens, the attention heads that read them, the neurons, the read-out. "
        "Neurons are gathered by the frequency k in which they vary most, with their number at the right of the box. "
        "What is measured is the <i>logit difference</i>: how far the right answer lies above the answer to a "
        f"<i>corrupted pair</i>, a random pair of another answer, in the mean over {inputs} pairs. The more of it runs "
        "along a line (by integrated gradients on the way from the corrupted pair to the given one), the thicker the "
        "line; a dotted line works against the answer. A dashed box is outside the circuit. <i>Faithfulness</i>, the "
        "curve, is the share of the logit difference that is left, on other pairs, when the strongest edges alone "
        "carry what they carry on the given pair and all others what they carry on the corrupted one. CPR is the area "
        "under that curve, CMD that between the curve and 100%, both over the share of edges itself. The circuit is "
        f"the smallest such set found that keeps {target:.0%}, less its dead ends. Edges that leave out a column, such "
        "as those from a head straight to the read-out, are counted but not drawn."
    )
