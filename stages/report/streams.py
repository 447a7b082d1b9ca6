"""The section on streams: what recurrent nets get right at lengths they never saw, and what is proved for all."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from pipeline.svg import Scale, Svg
from stages.report.axes import LEFT, RIGHT, Axes, legend
from stages.report.figures.figure import Figure, panels
from stages.report.headline import percent
from stages.report.proof import MARKS, badge, claim_item, fingerprints, verdict
from stages.report.records import Status
from stages.report.stream_records import KINDS, StreamRecord

HEIGHT, STRIP = 150.0, 18.0
MINUS = "\u2212"
REPLAYED = "<p>The stream was replayed in exact arithmetic and in float32.</p>"
STRIPES = {"Proved": "bar-key", "Refuted": "bar-wrong", "Unknown": "bar"}


def figure(records: Sequence[StreamRecord]) -> Figure:
    """Exact match at every length, then for each net timeline, machine and verdict, then the frontier."""
    longest, shortest = max(records[0].lengths), min(records[0].lengths)
    key = legend(
        [
            ("curve", "train", f"random, {shortest} places"),
            ("curve", "embed", f"random, {longest} places"),
            ("curve", "test", f"hard, {longest} places"),
            ("fill", "bar-key", "proved"),
            ("fill", "bar-wrong", "refuted"),
            ("fill", "bar", "unknown"),
        ]
    )
    drawings = [(record.key, lambda width, record=record: draw(record, width)) for record in records]
    below = [moments_table(record) + machine(record) + article(record) for record in records]
    frontiers = "".join(frontier(record) for record in records if record.frontier is not None)
    body = exact_match(records) + key + panels(drawings, below) + frontiers
    return Figure(body, tuple((record.key, takeaway(record)) for record in records), READING)


def exact_match(records: Sequence[StreamRecord]) -> str:
    """A row for each length; random and hard streams of each net side by side."""
    nets = "".join(f"<th class='n' colspan='2'>{escape(record.recipe)}</th>" for record in records)
    kinds = "".join(f"<th class='n'>{kind}</th>" for _ in records for kind in KINDS)
    rows = "".join(
        f"<tr><td>{length}</td>"
        + "".join(
            f"<td class='n'>{percent(record.last.shares.get(f'{kind}_{length}'))}</td>"
            for record in records
            for kind in KINDS
        )
        + "</tr>"
        for length in records[0].lengths
    )
    head = f"<tr><th rowspan='2'>places</th>{nets}</tr><tr>{kinds}</tr>"
    return (
        "<h3>Streams that are right at every place, last snapshot</h3>"
        f'<div class="scroll"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'
    )


def draw(record: StreamRecord, width: int) -> str:
    """Exact match by cycle; under it, for each snapshot, whether it is proved, refuted or neither."""
    svg = Svg(width, HEIGHT + STRIP + 84, f"Exact match and proof by cycle of {record.key}")
    last = record.last.cycle or 1
    inset = 0.5 * (width - LEFT - RIGHT) / (last + 1)
    axes = Axes(svg, Scale(0, last, LEFT + inset, width - RIGHT - inset), Scale(0, 1, 26 + HEIGHT, 26))
    axes.frame("streams right at every place", "", (0, 0.5, 1), lambda share: f"{share:.0%}", x_ticks=())
    longest, shortest = max(record.lengths), min(record.lengths)
    for name, css in ((f"random_{shortest}", "train"), (f"random_{longest}", "embed"), (f"hard_{longest}", "test")):
        axes.curve([(m.cycle, m.shares[name]) for m in record.timeline if name in m.shares], css, dots=True)
    top = 36 + HEIGHT
    svg.text(0, top + 13, "proof", "tick")
    for moment in record.timeline:
        tip = f"cycle {moment.cycle}: {moment.verdict} ({moment.label})"
        svg.rect(axes.x(moment.cycle) - inset + 1, top, 2 * inset - 2, STRIP, STRIPES[moment.verdict], tip)
    for value in axes.x.ticks(6):
        svg.text(axes.x(value), top + STRIP + 15, f"{value:g}", "tick", "middle")
    svg.text((LEFT + width - RIGHT) / 2, top + STRIP + 32, "cycle", "axis-title", "middle")
    if record.first_proved is not None:
        axes.mark(record.first_proved, f"proof closes: cycle {record.first_proved}")
    return str(svg)


def moments_table(record: StreamRecord) -> str:
    """The timeline in numbers, at the greatest length; columns enough for a phone."""
    names = [f"{kind}_{max(record.lengths)}" for kind in KINDS]
    head = "<th class='n'>cycle</th><th>behaviour</th><th>proof</th><th class='n'>taught</th>"
    head += "".join(f"<th class='n'>{name.replace('_', ' ')}</th>" for name in names)
    rows = "".join(
        f"<tr><td class='n'>{m.cycle}</td><td>{escape(m.label)}</td><td>{sign(m.verdict)}</td>"
        f"<td class='n'>{m.taught}</td>"
        + "".join(f"<td class='n'>{percent(m.shares.get(name))}</td>" for name in names)
        + "</tr>"
        for m in record.timeline
    )
    closes = "never" if record.first_proved is None else f"first in cycle {record.first_proved}"
    return (
        f"<details><summary>Every cycle in numbers; the proof closes {closes}</summary>"
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></details>'
    )


def sign(status: Status) -> str:
    """A verdict as its sign alone."""
    return f"<b class='{status.lower()}' title='{status}'>{MARKS[status]}</b>"


def machine(record: StreamRecord) -> str:
    """The drawn transducer, or the sentence that there is none."""
    found = record.automaton
    if not found.edges:
        return f"<p>{escape(found.sentence)}</p>"
    rows = "".join(
        f"<tr><td>{e.source} &rarr; {e.target}</td><td>{escape(e.reads)}</td><td>{escape(e.writes)}</td>"
        f"<td class='n'>{e.pairs}</td></tr>"
        for e in found.edges
    )
    head = "<th>states</th><th>reads</th><th>writes</th><th class='n'>pairs</th>"
    return (
        f"<p>{escape(found.sentence)}</p>{found.drawing}<details><summary>Its arrows in words</summary>"
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></details>'
    )


def article(record: StreamRecord) -> str:
    """The verdict with its counterexample, the claims, and the command that checks them."""
    claims = "".join(claim_item(claim) for claim in record.certificate.claims)
    replayed = REPLAYED if record.certificate.status == "Refuted" else ""
    source = "<p>No program was read off this net.</p>"
    if record.program is not None:
        lines = len(record.program.splitlines())
        source = (
            f"<details><summary>The program read off the net ({lines} lines of Python)</summary>"
            f'<pre class="source">{escape(record.program)}</pre></details>'
        )
    return (
        f'<div class="proof">{verdict(record.certificate)}{replayed}<ol class="claims">{claims}</ol>'
        f"{fingerprints(record.certificate)}<p>To check it again, from the root of the repository:</p>"
        f'<pre class="command"><span>{escape(record.certificate.check)}</span></pre>{source}</div>'
    )


def frontier(record: StreamRecord) -> str:
    """Parameters against bits, each point with its own proof."""
    title = f"<h3>The smallest nets that learn the machine of {escape(record.key)}</h3>"
    if not record.frontier:
        return f"{title}<p>There is none: no student of this net closes.</p>"
    rows = "".join(
        f"<tr><td class='n'>{point.parameters:,}</td><td class='n'>{point.bits}</td><td class='n'>{point.units}</td>"
        f"<td>{power(point.grid)}</td><td>{badge(point.verdict)}</td><td>{'yes' if point.float32 else 'no'}</td></tr>"
        for point in record.frontier
    )
    numbers = "".join(f"<th class='n'>{name}</th>" for name in ("parameters", "bits", "units"))
    head = f"{numbers}<th>grid</th><th>verdict</th><th>in float32 too</th>"
    return f'{title}<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def power(grid: str) -> str:
    """2^-3 with its exponent raised."""
    base, _, exponent = grid.partition("^")
    return f"{escape(base)}<sup>{escape(exponent.replace('-', MINUS))}</sup>" if exponent else escape(base)


def sentence(record: StreamRecord) -> str:
    """What became of one net, for the top of the page."""
    subject = f"The {record.recipe} recurrent network, trained on {record.digits} places of {record.task},"
    status, detail = record.certificate.status, record.certificate.verdict.partition(": ")[2]
    if status == "Proved":
        since = "" if record.first_proved is None else f"; the proof first closes in cycle {record.first_proved}"
        return f"{subject} is proved right at every length{since}."
    return f"{subject} is refuted: {detail}." if status == "Refuted" else f"{subject} is not decided: {detail}."


def takeaway(record: StreamRecord) -> str:
    """How many streams it was shown and taught, how it ends, and how small it gets."""
    taught = f"{record.taught} counterexample{'s' if record.taught != 1 else ''}"
    ending = {"Proved": "proved for all lengths", "Refuted": "refuted", "Unknown": "neither proved nor refuted"}
    smallest = record.smallest
    size = (
        ""
        if smallest is None
        else f" The smallest proved net that learnt its machine has {smallest.parameters} parameters of "
        f"{smallest.bits} bits, {record.parameters:,} before."
    )
    shown = f"was shown {record.examples} streams of {record.digits} places and was taught {taught}"
    return f"{shown}; it ends {ending[record.certificate.status]}.{size}"


READING = (
    "A recurrent net reads one pair of symbols at a time and answers at every place; it carries on only its state. A "
    "stream is right when every place is. <i>Random</i> streams are drawn evenly; <i>hard</i> ones are where a rule "
    "of thumb fails, such as long chains of carries. The net is shown short streams only; where its recipe teaches, "
    "streams on which it erred become examples, and each is counted. <i>Behaviour</i> tells apart: <i>memorised</i>, "
    "right at the length of training only; <i>heuristic</i>, right on random streams and not on hard, or not at every "
    "length; <i>every</i>, right on all that was tried; <i>proved</i>, right at every length; <i>none</i> of these. "
    "The strip under the curves is the verdict on each snapshot. The <i>machine</i> is what is left when the states "
    "that a net reaches are put into clusters; its arrows carry what is read and what is written. A proof is by "
    "induction over the length: from every state in a region, every pair gives the right answer and leads into the "
    "right region. <i>Grid</i>: weights are whole multiples of it."
)
