"""Everything this room says about a run, written as files that a person can open."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import networkx as nx

from interp.algorithms import AlgorithmLabel
from interp.bases import basis_of, not_applicable
from interp.bootstrap import Uncertainty, uncertainty
from interp.circuits.circuit import circuit_to_json
from interp.fourier import key_frequencies, n_frequencies
from interp.labels import label
from interp.phases import Phases, evidence, find_phases
from interp.progress_measures import Measures, Spectra, spectra_of
from interp.similarity import similarity, similarity_floor
from interp.snapshots import Moment, evaluate_snapshot, examine
from pipeline.files import fresh_directory, only_replaces, to_json
from pipeline.kernels import settle
from pipeline.params import InterpParams, ThresholdParams
from pipeline.progress import Progress
from pipeline.runs import Run
from pipeline.tasks import Task

PHASES_SCHEMA = "catapult-phases-1"
SPECTRA_SCHEMA = "catapult-spectra-1"
WRITTEN = {"measures.csv", "phases.json", "spectra.json", "circuit.json"}


@dataclass(frozen=True)
class Analysis:
    """The analysis of a run; positions in `phases` and `uncertainty` are those of `moments`, in cycle order.

    `circuit` is None where attribution does not know the net's kind.
    """

    moments: tuple[Moment, ...]
    phases: Phases
    uncertainty: Uncertainty
    first_spectra: Spectra
    last_spectra: Spectra
    key_frequencies: tuple[int, ...]
    circuit: nx.DiGraph | None

    @property
    def cycles(self) -> tuple[int, ...]:
        return tuple(moment.cycle for moment in self.moments)

    @property
    def measures(self) -> tuple[Measures, ...]:
        return tuple(moment.measures for moment in self.moments)

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
    only_replaces(out_dir, WRITTEN)
    settle()
    first, last = (evaluate_snapshot(run, path)[1] for path in (run.snapshots[0], run.snapshots[-1]))
    last_spectra = spectra_of(last)
    keys = key_frequencies(last_spectra.logits, params.key_power)

    with Progress("interp", len(run.snapshots), unit="snapshot") as progress:
        moments, circuit = examine(run, keys, params, progress)
        phases = find_phases([moment.measures for moment in moments], run.task.n_answers, params.thresholds)
        doubt = uncertainty([moment.replicates for moment in moments], run.task.n_answers, params.thresholds)
        analysis = Analysis(tuple(moments), phases, doubt, spectra_of(first), last_spectra, keys, circuit)
        since = f" from cycle {analysis.transition_cycle}" if analysis.transition_cycle is not None else ""
        progress.say(f"{run.key}: {len(moments)} snapshots, ends in {phases.final}{since}")

    with fresh_directory(out_dir) as directory:
        (directory / "measures.csv").write_text(measures_csv(analysis), newline="")
        (directory / "phases.json").write_text(to_json(phases_record(analysis, run.task, params.thresholds)))
        (directory / "spectra.json").write_text(to_json(spectra_record(analysis, run.task)))
        if circuit is not None:
            circuit.graph["snapshot"] = moments[-1].sha256
            (directory / "circuit.json").write_text(circuit_to_json(circuit))
    return analysis


def measures_csv(analysis: Analysis) -> str:
    """One row a snapshot; floats at 6 significant digits, a measure without any pair to take it on is empty.

    Similarities are to the snapshot before, and empty for the first one.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    later = ["learning_coefficient", "learning_coefficient_error", "circuit_similarity", "circuit_similarity_floor"]
    writer.writerow(["cycle", "step", *Measures.names(), *later, "algorithm", "phase"])
    alike = similarities(analysis.moments)
    for moment, near, phase in zip(analysis.moments, alike, analysis.phases.per_snapshot, strict=True):
        lc = moment.learning_coefficient
        numbers = [*(getattr(moment.measures, name) for name in Measures.names()), lc.value, lc.error, *near]
        row = [moment.cycle, moment.step, *map(cell, numbers), moment.algorithm.name, phase]
        writer.writerow(row)
    return text.getvalue()


def similarities(moments: Sequence[Moment]) -> list[tuple[float, float]]:
    """Of each snapshot's circuit to that of the one before, and the floor of that (see `interp.similarity`)."""
    found = [(math.nan, math.nan)]
    for before, after in pairwise(moments):
        if before.graph is None or before.graph != after.graph or before.edges is None or after.edges is None:
            found.append((math.nan, math.nan))
            continue
        floor = similarity_floor(before.graph, before.edges, after.edges)
        found.append((similarity(before.edges, after.edges), floor))
    return found


def cell(value: float | int) -> str:
    """A number as it stands in the table."""
    if isinstance(value, int):
        return str(value)
    return "" if math.isnan(value) else f"{value:.6g}"


def phases_record(analysis: Analysis, task: Task, limits: ThresholdParams) -> dict[str, Any]:
    """phases.json. `label` is what a snapshot would be called on its own; `phase` is that of its segment.

    `change` and `transition` are shares of the bootstrap's replicates (see `interp.bootstrap`); `not_applicable` says
    what of the table is empty, and why, where the task has no basis.
    """
    phases, cycles, doubt = analysis.phases, analysis.cycles, analysis.uncertainty
    at = phases.transition
    rows = zip(analysis.moments, phases.per_snapshot, doubt.change, doubt.transition, strict=True)
    return {
        "schema": PHASES_SCHEMA,
        "phases": [
            {
                "cycle": moment.cycle,
                "step": moment.step,
                "snapshot": moment.sha256,
                "phase": phase,
                "label": label(moment.measures, task.n_answers, limits),
                "algorithm": algorithm_record(moment.algorithm),
                "change": change,
                "transition": transition,
            }
            for moment, phase, change, transition in rows
        ],
        "segments": [
            {"phase": s.phase, "first_cycle": cycles[s.first], "last_cycle": cycles[s.last]} for s in phases.segments
        ],
        "change_points": [cycles[i] for i in phases.change_points],
        "transition_cycle": analysis.transition_cycle,
        "replicates": doubt.replicates,
        "final_phase": phases.final,
        "evidence": {
            "last_snapshot": evidence(analysis.measures[-1], task.n_answers, limits),
            "transition": None if at is None else evidence(analysis.measures[at], task.n_answers, limits),
        },
        **unmeasured(task),
    }


def unmeasured(task: Task) -> dict[str, Any]:
    """The key `not_applicable` of a task that has any."""
    found = not_applicable(task)
    return {"not_applicable": found} if found else {}


def algorithm_record(found: AlgorithmLabel) -> dict[str, Any]:
    """The label with its evidence, that of the nearest label where it is unknown."""
    return {
        "name": found.name,
        "confidence": found.confidence,
        "nearest": found.nearest,
        "also": list(found.also),
        "evidence": {
            e.criterion.name: {
                "value": e.criterion.value,
                "threshold": e.criterion.threshold,
                "at_least": e.criterion.at_least,
                "holds": e.criterion.holds,
            }
            for e in found.evidence
        },
    }


def spectra_record(analysis: Analysis, task: Task) -> dict[str, Any]:
    """spectra.json: power shares per frequency of the first and the last snapshot.

    `basis` names the symbols' places on a circle of `n` points, where these are not the residues mod p themselves.
    """
    first, last = analysis.first_spectra, analysis.last_spectra
    basis = basis_of(task)
    renamed = basis if basis is not None and basis.n != task.n_answers else None
    return {
        "schema": SPECTRA_SCHEMA,
        "frequencies": [] if basis is None else list(range(1, n_frequencies(basis.n) + 1)),
        "embed": {"first": first.embed.tolist(), "last": last.embed.tolist()},
        "unembed": {"first": first.unembed.tolist(), "last": last.unembed.tolist()},
        "logits": {"first": first.logits.tolist(), "last": last.logits.tolist()},
        "key_frequencies": list(analysis.key_frequencies),
        **({} if renamed is None else {"basis": {"name": renamed.name, "n": renamed.n}}),
        **unmeasured(task),
    }
