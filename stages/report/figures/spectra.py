"""Which frequencies the net uses, before and after training."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.svg import Scale, Svg
from stages.report.axes import RIGHT
from stages.report.figures.figure import Figure, not_applicable, panels
from stages.report.records import Record, Spectra

PARTS = (("embed", "embedding"), ("unembed", "read-out"), ("logits", "logits"))
HEIGHT = 74.0
MOST_LABELS = 8
ROW = HEIGHT + 44


def figure(records: Sequence[Record]) -> Figure:
    """For each run three rows (embedding, read-out, logits) of two bar charts (first and last snapshot)."""
    drawings = [
        (record.key, (lambda width, record=record: draw(record, width)) if record.spectra.frequencies else None)
        for record in records
    ]
    below = [not_applicable(record.spectra.not_applicable) for record in records]
    return Figure(
        panels(drawings, below), tuple((record.key, takeaway(record)) for record in records), reading(records)
    )


def draw(record: Record, width: int) -> str:
    """Both columns of one row share the vertical scale."""
    svg = Svg(width, 22 + ROW * len(PARTS) + 36, f"Spectra of {record.key}")
    gap, half = 18.0, (width - RIGHT - 18.0) / 2
    lefts = (0.0, half + gap)
    for left, title in zip(lefts, ("first snapshot", "last snapshot"), strict=True):
        svg.text(left, 14, title, "column-title")
    for row, (name, title) in enumerate(PARTS):
        top = 22 + ROW * row + 32
        values = (record.spectra.before[name], record.spectra.after[name])
        highest = max((*values[0], *values[1], 0.0)) or 1.0
        for left, side in zip(lefts, values, strict=True):
            svg.text(left, top - 16, title, "axis-title")
            svg.text(left + half, top - 16, f"to {highest:.1%}", "tick", "end")
            bars(svg, record.spectra, side, left, half, top, highest)
            if row == len(PARTS) - 1:
                ticks(svg, record.spectra, left, half, top + HEIGHT)
    return str(svg)


def bars(
    svg: Svg, spectra: Spectra, values: Sequence[float], left: float, width: float, top: float, highest: float
) -> None:
    """One bar a frequency; key frequencies stand out by colour and by their number."""
    slot = width / len(spectra.frequencies)
    y = Scale(0, highest, top + HEIGHT, top)
    svg.line(left, top + HEIGHT, left + width, top + HEIGHT, "axis")
    for i, (k, value) in enumerate(zip(spectra.frequencies, values, strict=True)):
        css = "bar-key" if k in spectra.key else "bar"
        x = left + i * slot
        svg.rect(x + 0.1 * slot, y(value), 0.8 * slot, top + HEIGHT - y(value), css, f"k = {k}: {value:.2%}")
    for i in labelled(spectra, values, slot):
        centre = left + (i + 0.5) * slot
        svg.text(centre, y(values[i]) - 3, str(spectra.frequencies[i]), "bar-label", "middle")


def labelled(spectra: Spectra, values: Sequence[float], slot: float) -> list[int]:
    """Positions of the key frequencies that get their number: the strongest, where it touches no bar and no number."""
    mean = sum(values) / len(values)
    chosen: list[int] = []
    for i in sorted(range(len(values)), key=lambda i: -values[i]):
        reach = int(9 / slot) + 1
        near = range(max(0, i - reach), min(len(values), i + reach + 1))
        free = all(values[j] <= values[i] for j in near) and all(abs(i - j) * slot > 20 for j in chosen)
        if spectra.frequencies[i] in spectra.key and values[i] > 2 * mean and free and len(chosen) < MOST_LABELS:
            chosen.append(i)
    return sorted(chosen)


def ticks(svg: Svg, spectra: Spectra, left: float, width: float, bottom: float) -> None:
    """The frequency axis under the last row."""
    count = len(spectra.frequencies)
    slot = width / count
    for i, k in enumerate(spectra.frequencies):
        if i in (0, count - 1) or (k % 10 == 0 and count - 1 - i > 4):
            svg.line(left + (i + 0.5) * slot, bottom, left + (i + 0.5) * slot, bottom + 4, "axis")
            svg.text(left + (i + 0.5) * slot, bottom + 17, str(k), "tick", "middle")
    svg.text(left + width / 2, bottom + 33, "frequency k", "axis-title", "middle")


def share(spectra: Spectra, values: Sequence[float]) -> float:
    """Share of the strength (sum of the bars) that lies in the key frequencies."""
    total = sum(values)
    return (
        sum(v for k, v in zip(spectra.frequencies, values, strict=True) if k in spectra.key) / total if total else 0.0
    )


def takeaway(record: Record) -> str:
    """How much of the logits lies in the key frequencies, last and first."""
    spectra, count = record.spectra, len(record.spectra.key)
    if spectra.not_applicable:
        return "has no spectrum: not applicable to its task."
    if not count:
        return "has no frequency that stands out."
    before, after = (share(spectra, side["logits"]) for side in (spectra.before, spectra.after))
    of = f"{count} of {len(spectra.frequencies)} frequencies"
    if after > before:
        return f"has {after:.0%} of its logits' power in {of}, up from {before:.0%} before training."
    return f"has {after:.0%} of its logits' power in {of}, no more than the {before:.0%} before training."


def circle(record: Record) -> str:
    """Where a symbol sits, and what a frequency makes of it."""
    spectra, p = record.spectra, record.task.n_answers
    if spectra.points is None:
        return f"A residue a sits on a circle of {p} points; frequency k turns it into cos and sin of 2&pi;ka/{p}."
    return (
        f"Of {record.task} a symbol x other than 0 sits on a circle of {spectra.points} points by its place s "
        f"({spectra.name}); frequency k turns it into cos and sin of 2&pi;ks/{spectra.points}."
    )


def reading(records: Sequence[Record]) -> str:
    """The symbols."""
    circles = dict.fromkeys(circle(record) for record in records if record.spectra.frequencies)
    if not circles:
        return "Spectra are of tasks that are sums in some basis, and none of these is."
    return (
        f"{' '.join(circles)} Each bar is the share of power at frequency k: of the embedding table, of the read-out "
        "table, and of that part of the logits that depends only on how far a candidate is from the answer. Green "
        "are the key frequencies, the fewest that make up nearly all of that part in the last snapshot; the "
        "strongest carry their number. The two snapshots in a row share one vertical scale, from 0 to the share "
        "named above it. A net that adds by rotations lifts the same frequencies in all three; one that memorises "
        "need not."
    )
