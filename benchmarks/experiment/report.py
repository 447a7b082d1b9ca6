"""The table and the sentences, from raw results alone, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

from benchmarks.experiment.compare import (
    ASKED,
    PAIRS,
    RUNS,
    Comparison,
    comparisons,
    finished,
    outcomes,
    same_draws,
)
from benchmarks.experiment.raw import Raw
from benchmarks.experiment.statistics import PhaseTest, direction, holm, paired, phase_test
from pipeline.errors import UserError

TITLES = {
    ("cyclic", "constant"): "cyclic against constant",
    ("cyclic", "decayed"): "cyclic against decayed",
    ("cyclic", "flat"): "cyclic against its own mean rate",
    ("constant again", "constant"): "luck: constant again against constant",
}


def report(raw: Raw) -> str:
    """Design, table, verdicts, timing. Raises UserError where no cell is finished."""
    if not finished(raw):
        raise UserError(f"{raw.path}: no cell is finished; go on by python -m benchmarks.catapult --out {raw.path}")
    all_of = comparisons(raw)
    parts = [_design(raw), _table(raw, all_of), _verdicts(all_of), _same_draws(raw), _timing(raw)]
    return "\n\n".join(part for part in parts if part)


def _design(raw: Raw) -> str:
    done, design = finished(raw), raw.design
    trials = sum(len(raw.of("trial", cell=name)) for name in done)
    diverged = sum(outcomes(raw.records["run", name, arm]).diverged for name in done for arm in RUNS)
    return (
        f"{len(done)} of {len(design['cells'])} cells. Each arm of a cell: {design['trials']} trials on "
        f"{design['tuning_seeds']} tuning seeds, the best {design['finalists']} again on "
        f"{design['confirming_seeds']} more, then the best on {design['seeds']} fresh seeds, the same for all arms; "
        f"{trials:,} trials and {len(done) * len(RUNS) * design['seeds']:,} runs in all, {diverged} diverged."
    )


def _table(raw: Raw, all_of: Sequence[Comparison]) -> str:
    rows = [["cell", "budget", *RUNS[:4], *(TITLES[pair] for pair in PAIRS)]]
    adjusted = _adjusted(all_of)
    for name in finished(raw):
        budget = raw.budgets[name]
        cells = [name, str(budget)]
        for arm in RUNS[:4]:
            own = outcomes(raw.records["run", name, arm])
            reached = sum(step is not None for step in own.steps)
            cells.append(f"{mean(own.restricted(budget)):.1f} ({reached}/{len(own.steps)}; {mean(own.accuracy):.1%})")
        rows.append(cells + [_gain(one, adjusted) for one in all_of if one.cell == name])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    rows.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    )


def _gain(one: Comparison, adjusted: dict[tuple[str, str], float]) -> str:
    unit = "" if one.unit == "steps" else " points"
    star = "*" if adjusted.get((one.cell, one.other), 1.0) < 0.05 and one.arm == "cyclic" else ""
    gain = one.gain
    return f"{gain.mean:+.1f}{unit} [{gain.low:+.1f}, {gain.high:+.1f}] {gain.verdict}{star}"


def _asked(all_of: Sequence[Comparison]) -> list[Comparison]:
    return [one for one in all_of if (one.arm, one.other) in ASKED]


def _adjusted(all_of: Sequence[Comparison]) -> dict[tuple[str, str], float]:
    """Holm's p-value of every comparison that is asked, by cell and other arm."""
    asked = _asked(all_of)
    values = holm([one.gain.p for one in asked])
    return {(one.cell, one.other): p for one, p in zip(asked, values, strict=True)}


def _verdicts(all_of: Sequence[Comparison]) -> str:
    adjusted, asked = _adjusted(all_of), _asked(all_of)
    lines = []
    for pair in PAIRS:
        own = [one for one in all_of if (one.arm, one.other) == pair]
        counts = {v: [one.cell for one in own if one.gain.verdict == v] for v in ("win", "tie", "lose")}
        saved = [one.saved for one in own if one.unit == "steps"]
        overall, size = paired(saved or [0.0]), mean(map(abs, saved or [0.0]))
        sure = [one for one in own if adjusted.get((one.cell, one.other), 1.0) < 0.05] if pair in ASKED else []
        line = (
            f"- {TITLES[pair]}: win {len(counts['win'])}, tie {len(counts['tie'])}, lose {len(counts['lose'])} of "
            f"{len(own)} cells; budget saved, mean over the {len(saved)} cells where an arm gets to 95%, "
            f"{overall.mean:+.1f}% [{overall.low:+.1f}, {overall.high:+.1f}], mean size {size:.1f}%"
        )
        if pair in ASKED:
            wins = sum(one.gain.mean > 0 for one in sure)
            line += f"; after Holm's adjustment win {wins}, lose {len(sure) - wins}"
        lines.append(f"{line}. Win: {_names(counts['win'])}. Lose: {_names(counts['lose'])}.")
    lines.append(
        f"- {len(asked)} comparisons are asked, so about {0.025 * len(asked):.1f} false wins and as many false losses "
        "are to be expected from the seeds alone if nothing differed; * marks p < 0.05 after Holm's adjustment of the "
        "sign-flip test. Neither covers luck in the search, which the last kind of comparison shows."
    )
    return "\n".join(lines)


def _same_draws(raw: Raw) -> str:
    by_cell = {name: same_draws(raw, name) for name in finished(raw)}
    found = [mean(values) for values in by_cell.values() if values]
    if not found:
        return ""
    overall = paired(found)
    return (
        "- cyclic against constant, trial by trial of the search, the same mean rate, decay and penalty: "
        f"budget saved {overall.mean:+.1f}% [{overall.low:+.1f}, {overall.high:+.1f}], "
        f"mean over {len(found)} cells ({sum(map(len, by_cell.values()))} trials), p = {overall.p:.4f}"
    )


def _names(cells: Sequence[str]) -> str:
    return ", ".join(cells) or "none"


def _timing(raw: Raw) -> str:
    tests: list[tuple[str, PhaseTest, float]] = []
    for cell, cycle in dict.fromkeys((record["cell"], record["cycle"]) for record in raw.of("jump")):
        own = raw.of("jump", cell=cell, cycle=cycle)
        for name, words in (("half", "first at 50%"), ("rise", "steepest rise")):
            runs = [
                (step, record["shift"] / cycle, seed)
                for record in own
                for seed, step in enumerate(record[name])
                if step is not None
            ]
            if len(runs) < 2:
                continue
            times, shifts, seeds = (list(column) for column in zip(*runs, strict=True))
            test = phase_test(times, shifts, seeds, cycle)
            phase = direction([time / cycle + shift for time, shift in zip(times, shifts, strict=True)])
            tests.append((f"{cell}, cycles of {cycle} steps, {words}", test, phase))
    adjusted = holm([test.p for _, test, _ in tests])
    return "\n".join(
        f"- {words}: n = {test.n}, resultant length {test.length:.3f} (null {test.expected:.3f}), "
        f"mean phase {phase:.2f} of a cycle, p = {test.p:.4f}, Holm {p:.4f}"
        for (words, test, phase), p in zip(tests, adjusted, strict=True)
    )
