"""A run over its snapshots in one drawing: phases, answers on all inputs, change points, measures, circuit."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.svg import Scale, Svg, log_domain, text_width
from stages.report.axes import LEFT, RIGHT, Axes, legend
from stages.report.records import PHASES, SnapshotVerdict, Timeline

CURVES = (
    ("test_loss", "test", "test loss"),
    ("restricted_loss", "restricted", "restricted loss"),
    ("excluded_loss", "excluded", "excluded loss"),
)
ALIKE = (
    ("circuit_similarity", "embed", "circuit similarity to the snapshot before"),
    ("circuit_similarity_floor", "readout", "the same with parts renamed"),
)
VERDICTS = (
    ("wrong", "wrong on some input"),
    ("right", "right on all"),
    ("robust", "right on all, in float32 too"),
    ("open", "open"),
)
BEFORE = " (0 is before training)"
BAND, CELLS, SUPPORT, LOSSES, LOW, GAP = 28.0, 18.0, 34.0, 150.0, 80.0, 40.0


def key() -> str:
    """The legend, as HTML."""
    phases = [("fill", f"phase-{name}", name) for name in PHASES]
    verdicts = [("fill", f"verdict-{name}", text) for name, text in VERDICTS]
    return legend(phases) + legend(verdicts) + legend([("curve", css, name) for _, css, name in CURVES + ALIKE])


def loss_domain(timelines: Sequence[Timeline]) -> tuple[float, float]:
    """Decades that hold the losses of all of them."""
    return log_domain(
        [value for t in timelines for name, _, _ in CURVES for _, value in t.measures.points("cycle", name)]
    )


def draw(timeline: Timeline, width: int, domain: tuple[float, float], last: int) -> str:
    """Everything on one axis of cycles, from the first of the run to `last`."""
    tops = [26 + BAND + 32.0]
    for height in (CELLS, SUPPORT, LOSSES, LOW):
        tops.append(tops[-1] + height + GAP)
    svg = Svg(width, tops[-1] + LOW + 42, f"Snapshots of {timeline.key}")
    first = timeline.phases.cycles[0]
    x = Scale(first - 0.5, last + 0.5, LEFT, width - RIGHT)
    band(timeline, svg, x)
    cells(timeline, svg, x, tops[0])
    support(timeline, svg, x, tops[1])
    losses = Axes(svg, x, Scale(*domain, tops[2] + LOSSES, tops[2], log=True))
    losses.frame("loss (log scale)", x_ticks=ticks(x))
    if timeline.phases.not_applicable:
        svg.text(width - RIGHT, tops[2] - 12, "restricted, excluded: not applicable", "note", "end")
    for name, css, _ in CURVES:
        losses.curve(timeline.measures.points("cycle", name), css, dots=True)
    learning_coefficient(timeline, svg, x, tops[3])
    alike = Axes(svg, x, Scale(0, 1, tops[4] + LOW, tops[4]))
    alike.frame("circuit similarity", f"cycle{BEFORE if first == 0 else ''}", (0, 0.5, 1), x_ticks=ticks(x))
    for name, css, _ in ALIKE:
        alike.curve(timeline.measures.points("cycle", name), css, dots=True)
    if timeline.phases.transition_cycle is not None:
        at = x(timeline.phases.transition_cycle - 0.5)
        svg.line(at, tops[1], at, tops[4] + LOW, "moment")
    return str(svg)


def ticks(x: Scale) -> list[float]:
    """Whole cycles."""
    return sorted({float(round(value)) for value in x.ticks(5)} & set(range(round(x.low + 0.5), round(x.high + 0.5))))


def band(timeline: Timeline, svg: Svg, x: Scale) -> None:
    """Coloured segments with their names, a tick at every change point, and a triangle at the transition."""
    svg.text(0, 18, "phase of each snapshot", "axis-title")
    for phase, first, last in timeline.phases.segments:
        left, right = x(first - 0.5), x(last + 0.5)
        css = f"phase-{phase}" if phase in PHASES else "phase-other"
        svg.rect(left, 26, right - left, BAND, css, f"{phase}: cycles {first} to {last}")
        if text_width(phase, 11.5) + 8 < right - left:
            svg.text((left + right) / 2, 26 + BAND / 2 + 4, phase, "on-phase", "middle")
    for cycle in timeline.phases.change_points:
        svg.line(x(cycle - 0.5), 26 + BAND, x(cycle - 0.5), 32 + BAND, "change")
    transition = timeline.phases.transition_cycle
    if transition is not None:
        at = x(transition - 0.5)
        svg.path([(at, 27 + BAND), (at - 5, 36 + BAND), (at + 5, 36 + BAND)], "moment-fill", closed=True)
        svg.text(at + 9, 37 + BAND, f"transition: cycle {transition}", "note")


def cells(timeline: Timeline, svg: Svg, x: Scale, top: float) -> None:
    """A cell a snapshot: what it answers on all inputs in exact arithmetic; the last one with its proof."""
    svg.text(0, top - 6, "all inputs, in exact arithmetic" if timeline.verdicts else "", "axis-title")
    for one in timeline.verdicts:
        left, right = x(one.cycle - 0.5), x(one.cycle + 0.5)
        svg.rect(left + 0.5, top, right - left - 1, CELLS, f"verdict-{one.kind}", f"cycle {one.cycle}: {words(one)}")
    if timeline.proof is not None and timeline.verdicts:
        at = x(timeline.verdicts[-1].cycle + 0.5)
        svg.text(at, top + CELLS + 14, f"last snapshot: {timeline.proof}", f"note {timeline.proof.lower()}", "end")


def words(one: SnapshotVerdict) -> str:
    """The verdict of one snapshot, as a tool tip."""
    if one.kind == "wrong":
        return f"wrong on {one.wrong} of {one.inputs} inputs; {one.counterexample}"
    return {
        "open": "open: on some input exact arithmetic could not be told",
        "right": f"right on all {one.inputs} inputs; float32 may lose more than the smallest lead",
        "robust": f"right on all {one.inputs} inputs, and in float32 in any order of summation",
    }[one.kind]


def support(timeline: Timeline, svg: Svg, x: Scale, top: float) -> None:
    """Bars between snapshots: the share of bootstrap replicates in which a new level begins, or the transition is."""
    phases = timeline.phases
    if not phases.replicates:
        return
    axes = Axes(svg, x, Scale(0, 1, top + SUPPORT, top))
    axes.frame(f"change here, share of {phases.replicates} bootstrap replicates", y_ticks=(0, 1), x_ticks=ticks(x))
    thick = min(7.0, (x(1) - x(0)) / 3)
    for shares, css, what, shift in (
        (phases.change, "bar", "change", -thick),
        (phases.moved, "bar-key", "transition", 0),
    ):
        for cycle, share in zip(phases.cycles, shares, strict=True):
            if share > 0:
                height, tip = share * SUPPORT, f"{what} at cycle {cycle} in {share:.0%} of the replicates"
                svg.rect(x(cycle - 0.5) + shift, top + SUPPORT - height, thick, height, css, tip)


def learning_coefficient(timeline: Timeline, svg: Svg, x: Scale, top: float) -> None:
    """The estimates with one standard error to either side."""
    points = timeline.measures.points("cycle", "learning_coefficient")
    errors = dict(timeline.measures.points("cycle", "learning_coefficient_error"))
    if not points:
        return
    ends = [value + side * errors.get(cycle, 0.0) for cycle, value in points for side in (-1, 1)]
    y = Scale(min(0.0, *ends), max(1.0, *ends), top + LOW, top)
    axes = Axes(svg, x, y)
    axes.frame("local learning coefficient", x_ticks=ticks(x))
    for cycle, value in points:
        error = errors.get(cycle, 0.0)
        svg.line(x(cycle), y(value - error), x(cycle), y(value + error), "axis")
    axes.curve(points, "coefficient", dots=True)
