"""The page: one HTML file that opens without network."""

from __future__ import annotations

from collections.abc import Sequence, Set
from html import escape
from pathlib import Path

from stages.report import proof, streams
from stages.report.figures import Figure, circuit, ladder, phases, spectra, training
from stages.report.headline import headline
from stages.report.records import Record
from stages.report.stream_records import StreamRecord
from stages.report.stream_summary import STREAM_HEADERS, STREAM_NUMERIC
from stages.report.summary import HEADERS, INSIDE, INSIDE_NUMERIC, NUMERIC, Summary

SOFT_HYPHEN = "\u00ad"
STYLE = Path(__file__).with_name("page.css")

SECTIONS = (
    ("training", "Training"),
    ("phases", "Phases"),
    ("spectrum", "Spectrum"),
    ("circuit", "Circuit"),
    ("ladder", "Ladder"),
    ("proof", "Proof"),
    ("streams", "Streams"),
)

LEADS = {
    "training": "What the nets get right on the pairs they were shown and on the pairs they were not.",
    "phases": "Every snapshot is measured, and the run is cut into phases where the measures change.",
    "spectrum": "Which rotations of the circle of residues the net uses, before training and after.",
    "circuit": "The edges of the net that carry the answer, found by corrupting all others.",
    "ladder": "The circuit is cut out of the net, rewritten without attention, and rounded to whole numbers.",
    "proof": "Each link from the trained net to arithmetic is a claim; a chain is as good as its weakest link.",
    "streams": "Recurrent nets that are trained on short streams, tried on long ones, and proved for all lengths.",
}

WITHOUT = {
    "spectrum": "Which rotations the net uses: a question about tasks that are sums in some basis.",
    "ladder": "The circuit is cut out of the net.",
}
"""Leads of the sections that are not applicable, or not wholly, to any of the nets."""

HATCH = (
    '<svg width="0" height="0" aria-hidden="true" style="position:absolute"><defs>'
    '<pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect class="hatch-ground" width="7" height="7"/><line class="hatch-line" x1="0" y1="0" x2="0" y2="7"/>'
    "</pattern></defs></svg>"
)


def page(records: Sequence[Record], summary: Summary, recurrent: Sequence[StreamRecord] = ()) -> str:
    """The whole document."""
    figures: dict[str, Figure] = {}
    if records:
        takeaways = tuple((record.key, proof.takeaway(record)) for record in records)
        figures = {
            "training": training.figure(records),
            "phases": phases.figure(records),
            "spectrum": spectra.figure(records),
            "circuit": circuit.figure(records),
            "ladder": ladder.figure(records),
            "proof": Figure(proof.section(records), takeaways, proof.READING),
        }
    if recurrent:
        figures["streams"] = streams.figure(recurrent)
    shown = [(name, title) for name, title in SECTIONS if name in figures]
    sections = "".join(
        f'<section id="{name}"><h2><span class="number">{i}</span>{title}</h2>'
        f'<p class="lead">{lead(name, records)}</p>{figures[name].html()}</section>\n'
        for i, (name, title) in enumerate(shown, 1)
    )
    links = "".join(f'<a href="#{name}">{i} {title}</a>' for i, (name, title) in enumerate(shown, 1))
    tasks = [*(str(record.task) for record in records), *(record.task for record in recurrent)]
    title = f"Catapult: {', '.join(dict.fromkeys(tasks[: len(records)] or tasks))}"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title>\n<style>\n{STYLE.read_text(encoding='utf-8')}</style></head>\n<body>{HATCH}<main>"
        f'<header><p class="name">Catapult</p>{heading(records, recurrent)}'
        f'<p class="lead">{escape(setting(records))}</p></header>\n'
        f"{summary_table(summary)}{streams_table(summary)}<nav>{links}</nav>\n{sections}</main></body></html>\n"
    )


def lead(name: str, records: Sequence[Record]) -> str:
    """The sentence under the title of a section."""
    limits = {
        "spectrum": [record.spectra.not_applicable for record in records],
        "ladder": [record.ladder.not_applicable for record in records],
    }
    return WITHOUT[name] if name in limits and all(limits[name]) else LEADS[name]


def heading(records: Sequence[Record], recurrent: Sequence[StreamRecord]) -> str:
    """The headline: its first sentence large, the others under it."""
    first, *rest = [*headline(records), *map(streams.sentence, recurrent)]
    return f"<h1>{escape(first)}</h1>" + "".join(f'<p class="second">{escape(sentence)}</p>' for sentence in rest)


def setting(records: Sequence[Record]) -> str:
    """What was trained on what, in one sentence; of nets on streams their own section says it."""
    if not records:
        return ""
    shares = " or ".join(dict.fromkeys(f"{record.train_fraction:.0%}" for record in records))
    tasks = ", ".join(dict.fromkeys(str(record.task) for record in records))
    steps = " or ".join(str(n) for n in dict.fromkeys(record.steps for record in records))
    each = "each for" if len(records) > 1 else "for"
    nets = {1: "One transformer", 2: "Two transformers"}.get(len(records), f"{len(records)} transformers")
    budget = {(record.seed, record.steps, record.train_fraction, record.task) for record in records}
    same = " Same data, same seed, same budget." if len(records) > 1 and len(budget) == 1 else ""
    return f"{nets} trained on {shares} of all pairs of {tasks}, {each} {steps} steps.{same}"


def summary_table(summary: Summary) -> str:
    """The final table, the verdict spelled out."""
    if not summary.rows:
        return ""
    return (
        final_table(HEADERS, NUMERIC, [(row.cells()[:-1], row.verdict) for row in summary.rows])
        + "<p class='reading'>Test accuracy is measured on the pairs never shown in training; the transition is the "
        "first cycle of the final phase <i>algorithm</i>; parameters are those of the trained net and of the smallest "
        "net made from it; the verdict is on the whole chain from arithmetic to the trained net.</p>"
        + final_table(INSIDE, INSIDE_NUMERIC, [(row.inside(), None) for row in summary.rows])
        + "<p class='reading'>Wrong answers are counted over all inputs, in exact arithmetic, of the trained net; from "
        "the step named on every snapshot is right on all of them. Frequencies are those that carry the logits; a "
        "neuron that varies over the inputs is live; the circuit is the smallest set of edges that carries the "
        "answer.</p>"
    )


def streams_table(summary: Summary) -> str:
    """The table of the recurrent nets under it."""
    if not summary.streams:
        return ""
    rows = [(row.cells(), row.verdict) for row in summary.streams]
    headers = [*(name.replace("- ", SOFT_HYPHEN) for name in STREAM_HEADERS), "verdict"]
    return final_table(headers, STREAM_NUMERIC, rows) + (
        "<p class='reading'>The recurrent nets: streams that are right at every place, random and hard ones, at the "
        "shortest and the longest length tried; the cycle in which the proof first closes; the counterexamples that "
        "the net was taught.</p>"
    )


def final_table(headers: Sequence[str], numeric: Set[int], rows: Sequence[tuple[Sequence[str], str | None]]) -> str:
    """A row for each net, its cells and its verdict, which is then the last of the headers."""
    head = "".join(f"<th{css(i, numeric)}>{name}</th>" for i, name in enumerate(headers))
    lines = []
    for cells, said in rows:
        shown = "".join(
            f'<td{css(i, numeric)} data-name="{headers[i]}">{escape(cell)}</td>' for i, cell in enumerate(cells)
        )
        if said is not None:
            status, _, detail = said.partition(": ")
            verdict = f"{proof.badge(status)} <span>{escape(detail)}</span>" if detail else proof.badge(status)
            shown += f'<td class="verdict-cell" data-name="verdict">{verdict}</td>'
        lines.append(f"<tr>{shown}</tr>")
    body = f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f'<div class="scroll"><table class="final">{body}</table></div>'


def css(column: int, numeric: Set[int]) -> str:
    """The class attribute of a column of a final table."""
    if column in numeric:
        return ' class="n"'
    return ' class="key"' if column in (0, 3) else ""
