"""The sentences at the top of the page, made from the data and from nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from stages.report.records import Record, Rung


def percent(share: float | None) -> str:
    """A share in per cent; 100% is said only of all, 0% only of none."""
    if share is None:
        return "not measured"
    if share in (0.0, 1.0):
        return f"{share:.0%}"
    return f"{min(max(100 * share, 0.01), 99.99):.{1 if 1 < 100 * share < 99.9 else 2}f}%"


def smallest(record: Record) -> Rung:
    """The last rung of the ladder, the net that the proof is about."""
    return record.rungs[-1]


def headline(records: Sequence[Record]) -> list[str]:
    """The sentences for the top of the page, the most important first.

    With one run of each recipe on each task they tell what happened to each, the catapult first; with several seeds
    they count. The task is named with the net where there are several.
    """
    several = len({record.task for record in records}) > 1
    if len({(record.task, record.recipe) for record in records}) < len(records):
        return tally(records, several)
    ordered = sorted(records, key=lambda record: not record.recipe.startswith("catapult"))
    return [sentence(record, several) for record in ordered]


def called(record: Record, with_task: bool = False) -> str:
    """The net as the subject of a sentence."""
    of = f" on {record.task}" if with_task else ""
    if record.start is None:
        return f"The {record.recipe} network{of}"
    return f"The {record.start.recipe} network{of}, consolidated from step {record.start.step} on,"


def sentence(record: Record, with_task: bool = False) -> str:
    """What became of one net: did it find the algorithm, and what did the proof say?"""
    subject, status = called(record, with_task), record.certificate.status
    if not record.mechanism_is_measured:
        subject = called(record, True)
        right = f"gets {percent(record.test_accuracy)} of the unseen pairs right after {record.steps} steps"
        return f"{subject} {right}, whether by an algorithm is not measured, and {proof(record)}."
    if not record.found_algorithm:
        learned = f"{subject} did not find the algorithm: after {record.steps} steps it is {ending(record)}"
    elif record.phases.transition_cycle is None:
        learned = f"{subject} turned into an algorithm for {record.task}"
    else:
        learned = f"{subject} turned into an algorithm for {record.task} in cycle {record.phases.transition_cycle}"
    joint = "but" if record.found_algorithm != (status == "Proved") else "and"
    return f"{learned}, {joint} {proof(record)}."


def ending(record: Record) -> str:
    """The phase at the end as a predicate."""
    words = {
        "memorising": "still memorising",
        "untrained": "still as good as untrained",
        "pseudo-arithmetic": "only half-way",
    }
    known = words.get(record.phases.final, f"in the phase {record.phases.final}")
    return f"{known} ({percent(record.test_accuracy)} of the unseen pairs right)"


def proof(record: Record) -> str:
    """The verdict as the end of a sentence."""
    certificate, last = record.certificate, smallest(record)
    if certificate.status == "Proved" and record.ladder.not_applicable:
        return f"it is proved right on all {record.inputs:,} inputs"
    if certificate.status == "Proved":
        return f"its {last.parameters:,}-parameter core is proved right on all {record.inputs:,} inputs"
    if certificate.status == "Refuted":
        return f"it is refuted: {certificate.verdict.partition(': ')[2]}"
    return f"its proof is open: {certificate.verdict.partition(': ')[2]}"


def tally(records: Sequence[Record], with_task: bool = False) -> list[str]:
    """Counts for each recipe and task, when there are several runs of one."""
    parts = []
    for recipe, task in sorted({(record.recipe, str(record.task)) for record in records}):
        runs = [record for record in records if (record.recipe, str(record.task)) == (recipe, task)]
        proved = sum(record.certificate.status == "Proved" for record in runs)
        core = "" if runs[0].ladder.not_applicable else "core " if proved == 1 else "cores "
        ended = f"{proved} {core}{'is' if proved == 1 else 'are'} proved right"
        subject = f"Of {len(runs)} {recipe} networks{f' on {task}' if with_task else ''}"
        found = sum(record.found_algorithm for record in runs)
        measured = runs[0].mechanism_is_measured
        parts.append(f"{subject} {found} found the algorithm, and {ended}." if measured else f"{subject} {ended}.")
    return parts
