"""The compression ladder: how small the net gets and what it still gets wrong."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from pipeline.svg import Scale, Svg, log_domain, tick_label
from stages.report.figures.figure import Figure, not_applicable, panels
from stages.report.records import Record, Rung

ROW, BAR = 46.0, 16.0


def figure(records: Sequence[Record]) -> Figure:
    """A bar chart and a table for each run."""
    domain = log_domain([rung.parameters for record in records for rung in record.rungs])
    drawings = [(record.key, lambda width, record=record: draw(record, width, domain)) for record in records]
    lines = tuple((record.key, takeaway(record)) for record in records)
    return Figure(panels(drawings, [rungs_table(record) for record in records]), lines, reading(records))


def verdict(rung: Rung) -> str:
    """The errors over all inputs in words."""
    return f"all {rung.inputs:,} right" if rung.wrong == 0 else f"{rung.wrong:,} of {rung.inputs:,} wrong"


def draw(record: Record, width: int, domain: tuple[float, float]) -> str:
    """One bar a rung, its length the logarithm of the parameters, its name and errors above it."""
    svg = Svg(width, ROW * len(record.rungs) + 44, f"Compression ladder of {record.key}")
    x = Scale(*domain, 0, width - 56, log=True)
    bottom = ROW * len(record.rungs) + 2
    for value in x.ticks(6):
        svg.line(x(value), 4, x(value), bottom, "rule")
        anchor = "start" if x(value) < 12 else "middle"
        svg.text(x(value), bottom + 15, tick_label(value), "tick", anchor)
    svg.text(width / 2, bottom + 32, "parameters (log scale)", "axis-title", "middle")
    for i, rung in enumerate(record.rungs):
        y = ROW * i + 18
        right = rung.wrong == 0
        svg.text(0, y, rung.name, "rung")
        svg.text(width - 4, y, verdict(rung), "right-answers" if right else "wrong-answers", "end")
        svg.rect(
            0, y + 6, x(rung.parameters), BAR, "bar-key" if right else "bar-wrong", f"{rung.parameters:,} parameters"
        )
        svg.text(x(rung.parameters) + 6, y + 18, f"{rung.parameters:,}", "note")
    svg.line(0, 4, 0, bottom, "axis")
    return str(svg)


def rungs_table(record: Record) -> str:
    """The same numbers to copy from."""
    first = record.rungs[0].parameters
    rows = "".join(
        f"<tr><td>{escape(rung.name)}<small>{escape(rung.note)}</small></td><td class='n'>{rung.parameters:,}</td>"
        f"<td class='n'>{first / rung.parameters:,.1f}&times;</td><td class='n'>{rung.bytes:,}</td>"
        f"<td class='n'>{rung.wrong:,}</td></tr>"
        for rung in record.rungs
    )
    names = ("parameters", "smaller", "bytes", "wrong")
    head = "<th>rung</th>" + "".join(f"<th class='n'>{name}</th>" for name in names)
    table = f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    return table + not_applicable(record.ladder.not_applicable)


def takeaway(record: Record) -> str:
    """How far the net was compressed and at what price."""
    first, last = record.rungs[0], record.rungs[-1]
    factor = first.parameters / last.parameters
    size = f"shrinks {factor:.0f} times, from {first.parameters:,} to {last.parameters:,} parameters"
    if last.wrong == 0:
        return f"{size}, without a wrong answer at the end."
    return f"{size}; {verdict(last)} at the end, {first.wrong:,} before compression."


def reading(records: Sequence[Record]) -> str:
    """The symbols."""
    students = (
        " <i>Student</i>: two embedding tables, one ReLU layer and a read-out, without attention. <i>Integer</i>: the "
        "same with whole numbers as weights, which is what Z3 is asked about."
    )
    inputs = " or ".join(dict.fromkeys(f"{record.inputs:,}" for record in records))
    return (
        f"Each rung is a net made from the one above it; its answers are counted exactly over all {inputs} "
        "inputs, seen and unseen, and where two answers tie it counts as wrong. A bar is green where every answer is "
        "right and hatched vermilion where some are not. <i>Pruned</i>: the heads and neurons that the answers do "
        "not need are cut out, weakest score in the circuit first."
    ) + ("" if all(record.ladder.not_applicable for record in records) else students)
