"""The phase of every snapshot, and what changes with it."""

from __future__ import annotations

from collections.abc import Sequence

from stages.report import criteria
from stages.report.figures import timeline
from stages.report.figures.figure import Figure, not_applicable, panels
from stages.report.records import Record


def figure(records: Sequence[Record]) -> Figure:
    """A drawing over each run's snapshots, on one scale, and the criteria of the last one under it."""
    lines = [record.timeline for record in records]
    domain = timeline.loss_domain(lines)
    last = max(line.phases.cycles[-1] for line in lines)
    drawings = [(line.key, lambda width, line=line: timeline.draw(line, width, domain, last)) for line in lines]
    tables = [criteria.table(record.phases.criteria) for record in records]
    below = [t + not_applicable(r.phases.not_applicable) for t, r in zip(tables, records, strict=True)]
    return Figure(
        timeline.key() + panels(drawings, below),
        tuple((record.key, takeaway(record)) for record in records),
        READING + (" " + criteria.READING if any(tables) else ""),
    )


def takeaway(record: Record) -> str:
    """The phases the run went through, when it was right on everything, and what algorithm it is called."""
    path = ", then ".join(phase for phase, _, _ in record.phases.segments)
    at = record.phases.transition_cycle
    if at is not None:
        moved = f"the transition falls in cycle {at}{support(record, at)}"
    elif record.mechanism_is_measured:
        moved = "it never becomes an algorithm"
    else:
        moved = "whether it is an algorithm is not measured"
    return f"is {path}; {moved}.{right_from(record)}{algorithm(record)}"


def support(record: Record, at: int) -> str:
    """How many replicates of the bootstrap agree."""
    shares = dict(zip(record.phases.cycles, record.phases.moved, strict=True))
    return f", as in {shares[at]:.0%} of {record.phases.replicates} bootstrap replicates" if shares else ""


def right_from(record: Record) -> str:
    """The first snapshot from which on all inputs are answered rightly."""
    wrong = [one.cycle for one in record.verdicts if one.kind in ("wrong", "open")]
    right = [one.cycle for one in record.verdicts if one.cycle > max(wrong, default=-1)]
    if not record.verdicts:
        return ""
    if right:
        return f" Every input is answered rightly from cycle {right[0]} on."
    last = record.verdicts[-1]
    return f" Its last snapshot is wrong on {last.wrong} of {last.inputs} inputs." if last.wrong else ""


def algorithm(record: Record) -> str:
    """Which algorithm the last snapshot is called."""
    name = record.phases.algorithm
    if not name or not record.mechanism_is_measured:
        return ""
    return " Its algorithm is none that has a name here." if name == "unknown" else f" Its algorithm is called {name}."


READING = (
    "A snapshot is taken at the end of every cycle of the learning rate. Ticks are the change points that were found "
    "in the measures, the triangle is the transition: the first snapshot of the final phase <i>algorithm</i>. "
    "<i>All inputs</i>: whether the exact net, its stored weights in "
    "real arithmetic, answers every pair rightly, by evaluation; only the last snapshot has a certificate. "
    "<i>Change</i>: change points of the measures are sought again after drawing the input pairs anew with repetition; "
    "grey bars are the share of replicates that begin a new level here, green ones the share with the transition here. "
    "They speak of inputs, not of other seeds. <i>Restricted loss</i> keeps only the key frequencies of the logits; "
    "when it falls before the test loss, a circuit for the task is forming under the memorisation. "
    "<i>Excluded loss</i> removes exactly those frequencies and is measured on the training pairs; when it rises, "
    "the net has stopped relying on memory (both after Nanda et al. 2023, section 4). "
    "The <i>local learning coefficient</i> counts the "
    "directions in which the loss on the training pairs grows (Lau et al. 2023), with its standard error; it is high "
    "where many weights matter, comparable along a run only, and says nothing where the loss is at no minimum. "
    "<i>Circuit similarity</i> is the weighted Jaccard similarity of all edges' scores (EAP-IG) with those of the "
    "snapshot before; dotted is what is left when heads and neurons change names at random."
)
