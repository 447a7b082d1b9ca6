"""The phase of every snapshot, and the measures that tell the phases apart."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.report import criteria
from pipeline.report.axes import LEFT, RIGHT, Axes, legend
from pipeline.report.figures.figure import Figure, panels
from pipeline.report.records import PHASES, Record
from pipeline.report.svg import Scale, Svg, log_domain, text_width

CURVES = (
    ("test_loss", "test", "test loss"),
    ("restricted_loss", "restricted", "restricted loss"),
    ("excluded_loss", "excluded", "excluded loss"),
)
GINI = (("gini_embed", "embed", "Gini of the embedding"), ("gini_unembed", "readout", "Gini of the read-out"))
BAND, HEIGHT, LOW = 30.0, 170.0, 90.0


def figure(records: Sequence[Record]) -> Figure:
    """A band of phases over each run's snapshots, the losses and the sparsity of the spectra under it."""
    losses = [
        value for record in records for name, _, _ in CURVES for _, value in record.measures.points("cycle", name)
    ]
    domain = log_domain(losses)
    last = max(record.phases.cycles[-1] for record in records)
    key = legend([("fill", f"phase-{name}", name) for name in PHASES])
    key += legend([("curve", css, name) for _, css, name in CURVES + GINI])
    drawings = [(record.key, lambda width, record=record: draw(record, width, domain, last)) for record in records]
    below = [criteria.table(record.phases.criteria) for record in records]
    return Figure(
        key + panels(drawings, below),
        tuple((record.key, takeaway(record)) for record in records),
        reading() + (" " + criteria.READING if any(below) else ""),
    )


def draw(record: Record, width: int, domain: tuple[float, float], last: int) -> str:
    """Band, losses, Gini coefficients on one axis of cycles."""
    svg = Svg(width, 26 + BAND + 54 + HEIGHT + 40 + LOW + 42, f"Phases of {record.key}")
    x = Scale(-0.5, last + 0.5, LEFT, width - RIGHT)
    band(record, svg, x)
    top = 26 + BAND + 54
    losses = Axes(svg, x, Scale(*domain, top + HEIGHT, top, log=True))
    low = top + HEIGHT + 40
    gini = Axes(svg, x, Scale(0, 1, low + LOW, low))
    losses.frame("loss (log scale)")
    gini.frame("Gini coefficient of the spectrum", "cycle (0 is before training)", (0, 0.5, 1))
    transition = record.phases.transition_cycle
    for axes, curves in ((losses, CURVES), (gini, GINI)):
        if transition is not None:
            axes.mark(transition - 0.5)
        for name, css, _ in curves:
            axes.curve(record.measures.points("cycle", name), css, dots=True)
    return str(svg)


def band(record: Record, svg: Svg, x: Scale) -> None:
    """Coloured segments with their names, a tick under it at every change point, a triangle at the transition."""
    svg.text(0, 18, "phase of each snapshot", "axis-title")
    for phase, first, last in record.phases.segments:
        left, right = x(first - 0.5), x(last + 0.5)
        css = f"phase-{phase}" if phase in PHASES else "phase-other"
        svg.rect(left, 26, right - left, BAND, css, f"{phase}: cycles {first} to {last}")
        if text_width(phase, 11.5) + 8 < right - left:
            svg.text((left + right) / 2, 26 + BAND / 2 + 4, phase, "on-phase", "middle")
    for cycle in record.phases.change_points:
        svg.line(x(cycle - 0.5), 26 + BAND, x(cycle - 0.5), 32 + BAND, "change")
    transition = record.phases.transition_cycle
    if transition is not None:
        at = x(transition - 0.5)
        svg.path([(at, 33 + BAND), (at - 5, 42 + BAND), (at + 5, 42 + BAND)], "moment-fill", closed=True)
        svg.text(at + 9, 44 + BAND, f"transition: cycle {transition}", "note")


def takeaway(record: Record) -> str:
    """The phases the run went through."""
    path = ", then ".join(phase for phase, _, _ in record.phases.segments)
    at = record.phases.transition_cycle
    return f"is {path}; {'it never becomes an algorithm' if at is None else f'the transition falls in cycle {at}'}."


def reading() -> str:
    """The symbols."""
    return (
        "A snapshot is taken at the end of every cycle of the learning rate. <i>Restricted loss</i> keeps only the "
        "key frequencies of the logits; when it falls before the test loss, a circuit for the task is forming under "
        "the memorisation. <i>Excluded loss</i> removes exactly those frequencies and is measured on the training "
        "pairs; when it rises, the net has stopped relying on memory (both after Nanda et al. 2023, section 4). The "
        "<i>Gini coefficient</i> says how few frequencies carry a weight matrix: 0 all alike, 1 a single one. Thin "
        "upright ticks are the change points that were found in the measures, the triangle is the transition: the "
        "first snapshot of the final phase <i>algorithm</i>."
    )
