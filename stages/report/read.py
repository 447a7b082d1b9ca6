"""From the files of the four stages to a `Record`; a missing or broken file is one line that names the stage to run."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pipeline.errors import UserError
from pipeline.tasks.registry import PairTask, task_from
from pipeline.tasks.streaming import StreamTask
from stages.report.certificate import parse_certificate
from stages.report.records import (
    Circuit,
    Criterion,
    Ladder,
    Phases,
    Record,
    Rung,
    SnapshotVerdict,
    Spectra,
    Start,
    Table,
)

T = TypeVar("T")

CIRCUIT_SCHEMA = "catapult-circuit-2"
STAGE_OF = {
    "runs": "train",
    "analysis": "interp",
    "compressed": "compress",
    "proofs": "verify",
    "verdicts": "verdicts",
}


def record(key: str, root: Path) -> Record:
    """Everything the report needs to know about one run.

    Raises UserError where a file is missing, is not what its name says, or lacks a field, where the certificate is of
    another net, and where it contradicts the exact count of wrong answers.
    """
    found = parsed(root, f"runs/{key}/params.json", lambda text: assemble(key, root, json.loads(text)))
    last = found.rungs[-1]
    if dict(found.certificate.hashes).get("trained net") != found.phases.snapshots[-1]:
        raise UserError(
            f"proofs/{key}/certificate.json: not of the last snapshot that analysis/{key} is of; "
            f"run the stages interp and verify again"
        )
    if found.certificate.status == "Proved" and last.wrong:
        raise UserError(
            f"proofs/{key}/certificate.json = Proved, but compressed/{key}/ladder.json counts {last.wrong} wrong "
            f"answers of its last net: they are not of one run; run the stages compress and verify again"
        )
    if found.ladder.snapshot != found.phases.snapshots[-1]:
        raise UserError(
            f"compressed/{key}/ladder.json: not of the last snapshot that analysis/{key} is of; "
            f"run the stages interp and compress again"
        )
    if found.circuit.facts.get("snapshot") != found.phases.snapshots[-1]:
        raise UserError(
            f"analysis/{key}/circuit.json: not of the last snapshot of phases.json; run the stage interp again"
        )
    if tuple(one.sha256 for one in found.verdicts) != found.phases.snapshots:
        raise UserError(
            f"verdicts/{key}.csv: of other snapshots than analysis/{key}; run the stages interp and verdicts again"
        )
    if found.certificate.status == "Proved" and found.verdicts[-1].kind in ("wrong", "open"):
        raise UserError(
            f"proofs/{key}/certificate.json = Proved, but verdicts/{key}.csv has the last snapshot "
            f"{found.verdicts[-1].kind}: they are not of one run; run the stages verify and verdicts again"
        )
    return found


def assemble(key: str, root: Path, params: dict[str, Any]) -> Record:
    """The record from params.json and the files beside it."""
    task, train, program = params["task"], params["train"], f"proofs/{key}/program.py"
    cycle_steps, start = int(train["cycle_steps"]), handed_over(params)
    snapshot = f"runs/{key}/snapshots/cycle-{int(train['steps']) // cycle_steps:04d}.safetensors"
    return Record(
        key=key,
        experiment=str(params["digest"]),
        recipe=str(params["recipe"]),
        seed=int(train["seed"]),
        task=pair_task(task),
        train_fraction=float(task["train_fraction"]),
        steps=int(train["steps"]),
        cycle_steps=cycle_steps,
        start=start,
        history=parsed(root, f"runs/{key}/history.csv", parse_table),
        measures=parsed(root, f"analysis/{key}/measures.csv", parse_table),
        phases=parsed(root, f"analysis/{key}/phases.json", lambda text: parse_phases(json.loads(text))),
        verdicts=parsed(root, f"verdicts/{key}.csv", parse_verdicts),
        spectra=parsed(root, f"analysis/{key}/spectra.json", lambda text: parse_spectra(json.loads(text))),
        circuit=parsed(root, f"analysis/{key}/circuit.json", lambda text: parse_circuit(json.loads(text))),
        ladder=parsed(root, f"compressed/{key}/ladder.json", lambda text: parse_ladder(json.loads(text))),
        certificate=parsed(
            root, f"proofs/{key}/certificate.json", lambda text: parse_certificate(json.loads(text), key, snapshot)
        ),
        program=parsed(root, program, str) if (root / program).exists() else None,
    )


def pair_task(description: dict[str, Any]) -> PairTask:
    """The task of params.json; ValueError where it is of streams."""
    task = task_from(description)
    if isinstance(task, StreamTask):
        raise ValueError(f"task {task.name}: not of pairs")
    return task


def parsed(root: Path, name: str, parse: Callable[[str], T], stages: Mapping[str, str] = STAGE_OF) -> T:
    """Read one file of the stages and parse it, with the user's mistake told apart from ours."""
    stage = stages[name.split("/")[0]]
    return read_file(root / name, name, parse, f"run the stage that writes it, {stage} (dvc repro)")


def read_file(path: Path, name: str, parse: Callable[[str], T], mend: str) -> T:
    """Read a file, called `name` in errors, and parse it; UserError that ends in `mend` where that fails."""
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{name} = missing: {mend}") from None
    try:
        return parse(text)
    except UserError:
        raise
    except KeyError as error:
        raise UserError(f"{name} = no field {error}: {mend} again") from None
    except (ValueError, TypeError, IndexError, AttributeError) as error:
        raise UserError(f"{name} = not readable ({str(error).splitlines()[0]}): {mend} again") from None


def handed_over(params: dict[str, Any]) -> Start | None:
    """Of a recipe of several phases: the recipe before the last one, and the cycle and step at which it ended."""
    phases = params["phases"]
    if len(phases) < 2:
        return None
    cycle = int(phases[-2]["last_cycle"])
    return Start(str(phases[-2]["recipe"]), cycle, cycle * int(params["train"]["cycle_steps"]))


def parse_table(text: str) -> Table:
    """A CSV file with a header; what is not a number is None."""
    rows = list(csv.reader(text.splitlines()))
    if len(rows) < 2:
        raise ValueError("no rows")
    return Table({name: tuple(as_number(row[i]) for row in rows[1:]) for i, name in enumerate(rows[0])})


def as_number(text: str) -> float | None:
    """A finite number, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def parse_phases(document: dict[str, Any]) -> Phases:
    """phases.json."""
    rows, transition = document["phases"], document["transition_cycle"]
    return Phases(
        cycles=tuple(int(row["cycle"]) for row in rows),
        steps=tuple(int(row["step"]) for row in rows),
        snapshots=tuple(str(row["snapshot"]) for row in rows),
        labels=tuple(str(row["phase"]) for row in rows),
        segments=tuple((str(s["phase"]), int(s["first_cycle"]), int(s["last_cycle"])) for s in document["segments"]),
        change_points=tuple(int(cycle) for cycle in document["change_points"]),
        transition_cycle=None if transition is None else int(transition),
        final=str(document["final_phase"]),
        criteria=tuple(
            Criterion(name, float(c["value"]), float(c["threshold"]), bool(c["at_least"]), bool(c["holds"]))
            for name, c in ((document.get("evidence") or {}).get("last_snapshot") or {}).items()
            if c["value"] is not None
        ),
        replicates=int(document["replicates"]),
        change=tuple(float(row["change"]) for row in rows),
        moved=tuple(float(row["transition"]) for row in rows),
        algorithm=str(rows[-1]["algorithm"]["name"]),
        not_applicable=reasons(document),
    )


def parse_verdicts(text: str) -> tuple[SnapshotVerdict, ...]:
    """verdicts/<key>.csv."""
    rows = list(csv.DictReader(text.splitlines()))
    if not rows:
        raise ValueError("no rows")
    return tuple(
        SnapshotVerdict(
            cycle=int(row["cycle"]),
            kind=verdict_kind(row["status"], row["margin_over_coarse_bound"]),
            wrong=int(row["wrong"]),
            inputs=int(row["inputs"]),
            counterexample=row["counterexample"],
            sha256=row["sha256"],
        )
        for row in rows
    )


def verdict_kind(status: str, margin_over_bound: str) -> Literal["wrong", "open", "right", "robust"]:
    """`right` of a snapshot that float32 cannot change either is `robust`."""
    match status:
        case "wrong" | "open":
            return status
        case "right":
            return "robust" if float(margin_over_bound) > 1 else "right"
        case _:
            raise ValueError(f"status {status!r}")


def parse_spectra(document: dict[str, Any]) -> Spectra:
    """spectra.json."""
    names = ("embed", "unembed", "logits")
    basis = document.get("basis")
    return Spectra(
        frequencies=tuple(int(k) for k in document["frequencies"]),
        before={name: tuple(float(v) for v in document[name]["first"]) for name in names},
        after={name: tuple(float(v) for v in document[name]["last"]) for name in names},
        key=tuple(int(k) for k in document["key_frequencies"]),
        name="" if basis is None else str(basis["name"]),
        points=None if basis is None else int(basis["n"]),
        not_applicable=reasons(document),
    )


def reasons(document: dict[str, Any]) -> dict[str, str]:
    """What a file says is not applicable to its task, and why; most files say nothing of it."""
    return {str(name): str(why) for name, why in (document.get("not_applicable") or {}).items()}


def parse_circuit(document: dict[str, Any]) -> Circuit:
    """circuit.json."""
    if document["schema"] != CIRCUIT_SCHEMA:
        raise ValueError(f"schema {document['schema']}, not {CIRCUIT_SCHEMA}")
    return Circuit(tuple(document["nodes"]), tuple(document["edges"]), document)


def parse_ladder(document: dict[str, Any]) -> Ladder:
    """ladder.json."""
    if not document["rungs"]:
        raise ValueError("no rungs")
    rungs = tuple(
        Rung(
            name=str(rung["name"]),
            parameters=int(rung["parameters"]),
            bytes=int(rung["bytes"]),
            wrong=int(rung["wrong"]),
            inputs=int(rung["inputs"]),
            note=str(rung.get("note") or ""),
        )
        for rung in document["rungs"]
    )
    return Ladder(str(document["snapshot"]), rungs, reasons(document))
