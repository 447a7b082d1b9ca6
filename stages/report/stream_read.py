"""From the files of the streaming stages to a `StreamRecord`."""

from __future__ import annotations

import csv
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from stages.report.certificate import evidence, parse_claim, solvers, status_of, weakest
from stages.report.read import parsed
from stages.report.records import Certificate, Claim
from stages.report.stream_records import Automaton, Edge, Moment, Point, StreamRecord

XMLNS = ' xmlns="http://www.w3.org/2000/svg"'


def stream_record(key: str, root: Path) -> StreamRecord:
    """Everything the report needs to know about one recurrent net.

    Raises UserError where a file is missing or broken, and where the timeline contradicts the certificate.
    """
    found = parsed(root, f"runs/{key}/params.json", lambda text: assemble(key, root, json.loads(text)))
    last = found.last.sha256
    if dict(found.certificate.hashes).get("net") != last:
        raise UserError(
            f"proofs/{key}/certificate.json: not of the last snapshot of verdicts/{key}.csv; "
            f"run the stages verify and verdicts again"
        )
    if found.automaton.snapshot != last:
        raise UserError(
            f"analysis/{key}/automaton.json: not of the last snapshot of verdicts/{key}.csv; "
            f"run the stages interp and verdicts again"
        )
    if any(point.snapshot != last for point in found.frontier or ()):
        raise UserError(
            f"compressed/{key}/frontier.csv: not of the last snapshot of verdicts/{key}.csv; "
            f"run the stages compress and verdicts again"
        )
    ends = {found.last.verdict, found.certificate.status}
    if ends == {"Proved", "Refuted"}:
        raise UserError(
            f"verdicts/{key}.csv = {found.last.verdict} at the end, but its certificate says "
            f"{found.certificate.status}: they are not of one run; run the stages verify and verdicts again"
        )
    wrong = [name for name, share in found.last.shares.items() if share < 1]
    if wrong and all(status == "Proved" for status in (*ends, *(claim.status for claim in found.certificate.claims))):
        raise UserError(
            f"proofs/{key}/certificate.json = Proved, in float32 too, but streams of {wrong[0]} are wrong in "
            f"verdicts/{key}.csv: they are not of one run; run the stages train, verify and verdicts again"
        )
    return found


def assemble(key: str, root: Path, params: dict[str, Any]) -> StreamRecord:
    """The record from params.json and the files beside it."""
    program, frontier, proof = (
        f"proofs/{key}/program.py",
        f"compressed/{key}/frontier.csv",
        f"proofs/{key}/certificate.json",
    )
    timeline = parsed(root, f"verdicts/{key}.csv", parse_timeline)
    certificate = parsed(root, proof, json.loads)
    snapshot = f"runs/{key}/snapshots/cycle-{timeline[-1].cycle:04d}.safetensors"
    return StreamRecord(
        key=key,
        recipe=str(params["recipe"]),
        task=task_name({"name": params["task"]["name"], **params["task"]["options"]}),
        examples=int(params["task"]["examples"]),
        digits=int(params["task"]["digits"]),
        timeline=timeline,
        first_proved=next((moment.cycle for moment in timeline if moment.verdict == "Proved"), None),
        taught=timeline[-1].taught,
        parameters=parsed(root, proof, lambda _: int(certificate["nets"]["net"]["numbers"])),
        certificate=parsed(root, proof, lambda _: parse_stream_certificate(certificate, key, snapshot)),
        automaton=parsed(
            root, f"analysis/{key}/automaton.json", lambda text: parse_automaton(json.loads(text), key, root)
        ),
        frontier=parsed(root, frontier, parse_frontier) if (root / frontier).exists() else None,
        program=parsed(root, program, str) if (root / program).exists() else None,
    )


def task_name(task: dict[str, Any]) -> str:
    """{"name": "addition", "base": 10} as "addition in base 10"."""
    base = f" in base {task['base']}" if "base" in task else ""
    options = [f"{name} {value}" for name, value in task.items() if name not in ("name", "base")]
    return ", ".join([f"{task['name']}{base}", *options])


def rows(text: str) -> Sequence[dict[str, str]]:
    """The rows of a CSV file, each with every column."""
    found = list(csv.DictReader(text.splitlines()))
    if any(None in row or None in row.values() for row in found):
        raise ValueError("a row has too few or too many fields")
    return found


def parse_timeline(text: str) -> tuple[Moment, ...]:
    """verdicts/<key>.csv."""
    moments = tuple(
        Moment(
            cycle=int(row["cycle"]),
            label=row["label"],
            verdict=status_of({"verdict": row["verdict"]}),
            taught=int(row["taught"]),
            sha256=row["sha256"],
            shares={name: float(value) for name, value in row.items() if name.startswith(("random_", "hard_"))},
        )
        for row in rows(text)
    )
    if not moments or not moments[-1].shares:
        raise ValueError("no rows")
    return moments


def in_words(claim: Claim, task: dict[str, Any]) -> Claim:
    """The claim as a reader says it: "addition in base 10" for the certificate's addition10."""
    sentence = re.sub(rf"\b{re.escape(str(task['key']))}\b", lambda _: task_name(task["options"]), claim.sentence)
    return replace(claim, sentence=sentence, reason=with_commas(claim.reason))


def with_commas(reason: str) -> str:
    """16600 states as 16,600 states."""
    return re.sub(r"\b\d{4,}(?= states\b)", lambda found: f"{int(found[0]):,}", reason)


def parse_stream_certificate(document: dict[str, Any], key: str, snapshot: str) -> Certificate:
    """The claims in order and the joint verdict, which is never better than the weakest link."""
    claims = tuple(in_words(parse_claim(claim), document["task"]) for claim in document["claims"])
    joint = document["verdict"]
    status = status_of(joint)
    if status == "Proved":
        status = weakest([claim.status for claim in claims])
    backing = evidence(joint) or next((claim.reason for claim in claims if claim.reason), "no reason is given")
    files = {str(name): str(file["sha256"]) for name, file in document["files"].items()}
    check = f"python verify/checker.py proofs/{key}/certificate.json --net {snapshot}"
    return Certificate(
        status=status,
        verdict=status if status == "Proved" else f"{status}: {with_commas(backing)}",
        chain=f"{joint.get('method') or ''}, for streams of every length",
        claims=claims,
        hashes=tuple(sorted(files.items())),
        solver=solvers(document),
        check=f"{check} --program proofs/{key}/program.py" if "program" in files else check,
    )


def parse_automaton(document: dict[str, Any], key: str, root: Path) -> Automaton:
    """automaton.json and, where it found a machine, automaton.svg."""
    graph, same = document["graph"], document["same_as_task"]
    edges = [] if graph is None else graph["edges"]
    return Automaton(
        sentence=str(document["sentence"]),
        snapshot=str(document["snapshot"]),
        same=None if same is None else bool(same),
        drawing="" if graph is None else parsed(root, f"analysis/{key}/automaton.svg", inline),
        edges=tuple(
            Edge(int(e["source"]), int(e["target"]), int(e["pairs"]), str(e["reads"]), str(e["writes"])) for e in edges
        ),
    )


def inline(svg: str) -> str:
    """A drawing as part of a page: the same without the name space, which HTML knows."""
    try:
        ET.fromstring(svg)
    except ET.ParseError as error:
        raise ValueError(str(error)) from None
    return svg.replace(XMLNS, "", 1).strip()


def parse_frontier(text: str) -> tuple[Point, ...]:
    """frontier.csv, which has no rows where the net gave no machine to learn from."""
    if not text.startswith("units,"):
        raise ValueError("no header")
    return tuple(
        Point(
            units=int(row["units"]),
            bits=int(row["bits"]),
            grid=row["grid"],
            parameters=int(row["parameters"]),
            verdict=status_of({"verdict": row["verdict"]}),
            float32=row["float32"] == "True",
            snapshot=row["snapshot"],
        )
        for row in rows(text)
    )
