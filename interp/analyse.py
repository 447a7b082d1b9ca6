"""Everything this room says about a run, written as files that a person can open."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networkx as nx
import torch

from interp.circuit import circuit_to_json, find_circuit
from interp.forward import Evaluation, evaluate
from interp.fourier import key_frequencies, n_frequencies
from interp.labels import label
from interp.phases import Phases, evidence, find_phases
from interp.progress_measures import Measures, Spectra, measure_evaluation, spectra_of
from pipeline.errors import UserError
from pipeline.files import fresh_directory, to_json
from pipeline.nets import Net, Transformer
from pipeline.params import InterpParams, ThresholdParams
from pipeline.progress import Progress
from pipeline.runs import Run, Snapshot, load_snapshot

PHASES_SCHEMA = "catapult-phases-1"
SPECTRA_SCHEMA = "catapult-spectra-1"


@dataclass(frozen=True)
class Analysis:
    """The analysis of a run; positions in `phases` and `measures` are snapshots, in cycle order.

    `circuit` is None where the net is no one-layer transformer.
    """

    cycles: tuple[int, ...]
    steps: tuple[int, ...]
    measures: tuple[Measures, ...]
    phases: Phases
    first_spectra: Spectra
    last_spectra: Spectra
    key_frequencies: tuple[int, ...]
    circuit: nx.DiGraph | None

    @property
    def transition_cycle(self) -> int | None:
        """First cycle of the final `algorithm` segment."""
        return None if self.phases.transition is None else self.cycles[self.phases.transition]


def analyse_run(run_dir: Path, out_dir: Path, params: InterpParams | None = None) -> Analysis:
    """Analyse every snapshot of a run and write measures.csv, phases.json, spectra.json and circuit.json to `out_dir`.

    The key frequencies are those of the last snapshot for all of them, as in Nanda et al. 2023, so that restricted and
    excluded loss are one curve each. `out_dir` is replaced as a whole, once everything in it is there.
    """
    params = params or InterpParams()
    run = Run.open(run_dir)
    train = torch.from_numpy(run.split()[0])
    last = evaluate_snapshot(run, run.snapshots[-1])[1]
    last_spectra = spectra_of(last)
    keys = key_frequencies(last_spectra.logits, params.key_power)

    cycles, steps, measures = [], [], []
    first_spectra = last_spectra
    with Progress("interp", len(run.snapshots), unit="snapshot") as progress:
        for i, path in enumerate(run.snapshots):
            snapshot, evaluation = evaluate_snapshot(run, path)
            if i == 0:
                first_spectra = spectra_of(evaluation)
            measures.append(measure_evaluation(evaluation, train, keys, key_power=params.key_power))
            cycles.append(snapshot.cycle)
            steps.append(snapshot.step)
            progress.advance()
        phases = find_phases(measures, run.task.p, params.thresholds)
        circuit = find_circuit(last, train, params.faithfulness) if isinstance(last.net, Transformer) else None
        analysis = Analysis(
            tuple(cycles), tuple(steps), tuple(measures), phases, first_spectra, last_spectra, keys, circuit
        )
        since = f" from cycle {analysis.transition_cycle}" if analysis.transition_cycle is not None else ""
        progress.say(f"{run.key}: {len(cycles)} snapshots, ends in {phases.final}{since}")

    with fresh_directory(out_dir) as directory:
        (directory / "measures.csv").write_text(measures_csv(analysis), newline="")
        (directory / "phases.json").write_text(to_json(phases_record(analysis, run.task.p, params.thresholds)))
        (directory / "spectra.json").write_text(to_json(spectra_record(analysis, run.task.p)))
        if circuit is not None:
            (directory / "circuit.json").write_text(circuit_to_json(circuit))
    return analysis


def evaluate_snapshot(run: Run, path: Path) -> tuple[Snapshot[Net], Evaluation[Any]]:
    """Load one snapshot of the run and run it on the whole domain."""
    snapshot = load_snapshot(path, Net)
    if snapshot.task != run.task:
        raise UserError(f"{path}: computes {snapshot.task}, its run {run.task}; train the run again")
    return snapshot, evaluate(snapshot.net, snapshot.task)


def measures_csv(analysis: Analysis) -> str:
    """One row a snapshot; floats at 6 significant digits, a measure without any pair to take it on is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["cycle", "step", *Measures.names(), "phase"])
    for cycle, step, m, phase in zip(
        analysis.cycles, analysis.steps, analysis.measures, analysis.phases.per_snapshot, strict=True
    ):
        writer.writerow([cycle, step, *(cell(getattr(m, name)) for name in Measures.names()), phase])
    return text.getvalue()


def cell(value: float | int) -> str:
    """A number as it stands in the table."""
    if isinstance(value, int):
        return str(value)
    return "" if math.isnan(value) else f"{value:.6g}"


def phases_record(analysis: Analysis, p: int, limits: ThresholdParams) -> dict[str, Any]:
    """phases.json. `label` is what a snapshot would be called on its own; `phase` is that of its segment."""
    phases, cycles, measures = analysis.phases, analysis.cycles, analysis.measures
    at = phases.transition
    return {
        "schema": PHASES_SCHEMA,
        "phases": [
            {"cycle": cycle, "step": step, "phase": phase, "label": label(m, p, limits)}
            for cycle, step, phase, m in zip(cycles, analysis.steps, phases.per_snapshot, measures, strict=True)
        ],
        "segments": [
            {"phase": s.phase, "first_cycle": cycles[s.first], "last_cycle": cycles[s.last]} for s in phases.segments
        ],
        "change_points": [cycles[i] for i in phases.change_points],
        "transition_cycle": analysis.transition_cycle,
        "final_phase": phases.final,
        "evidence": {
            "last_snapshot": evidence(analysis.measures[-1], p, limits),
            "transition": None if at is None else evidence(analysis.measures[at], p, limits),
        },
    }


def spectra_record(analysis: Analysis, p: int) -> dict[str, Any]:
    """spectra.json: power shares per frequency of the first and the last snapshot."""
    first, last = analysis.first_spectra, analysis.last_spectra
    return {
        "schema": SPECTRA_SCHEMA,
        "frequencies": list(range(1, n_frequencies(p) + 1)),
        "embed": {"first": first.embed.tolist(), "last": last.embed.tolist()},
        "unembed": {"first": first.unembed.tolist(), "last": last.unembed.tolist()},
        "logits": {"first": first.logits.tolist(), "last": last.logits.tolist()},
        "key_frequencies": list(analysis.key_frequencies),
    }


def circuit_of_snapshot(run_dir: Path, which: str, faithfulness: float) -> nx.DiGraph:
    """The circuit of the snapshot of cycle `which`, or of the `last` one; UserError where there is none."""
    run = Run.open(run_dir)
    named = {str(int(path.stem.removeprefix("cycle-"))): path for path in run.snapshots}
    path = run.snapshots[-1] if which == "last" else named.get(which.lstrip("0") or "0")
    if path is None:
        raise UserError(f"--snapshot = {which}: no such cycle; {run_dir} has {', '.join(named)}, or say last")
    evaluation = evaluate_snapshot(run, path)[1]
    if not isinstance(evaluation.net, Transformer):
        raise UserError(f"{path}: a {type(evaluation.net).__name__}; circuits are found in the one-layer Transformer")
    return find_circuit(evaluation, torch.from_numpy(run.split()[0]), faithfulness)
