"""One run's timeline as a page of its own, from the files that the rooms wrote."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

from pipeline.errors import UserError
from pipeline.svg import responsive
from stages.report.certificate import status_of
from stages.report.figures import timeline as drawing
from stages.report.figures.phases import READING
from stages.report.page import HATCH, STYLE
from stages.report.read import parse_phases, parse_table, parse_verdicts, read_file
from stages.report.records import Status, Timeline

WIDTH = 900
CHECK = "<code>python -m verify chain</code>"


def read_timeline(
    key: str, snapshots: tuple[str, ...], analysis: Path, verdicts: Path | None, proof: Path | None
) -> Timeline:
    """`analysis` is the directory that `interp analyse` wrote; verdicts and the proof's certificate may be left out.

    Raises UserError where a file that is given is missing or broken, or is not about the snapshots of these hashes.
    """
    mend = f"run `python -m interp analyse` on {key}"
    path = analysis / "phases.json"
    phases = read_file(path, str(path), lambda text: parse_phases(json.loads(text)), mend)
    path = analysis / "measures.csv"
    measures = read_file(path, str(path), parse_table, mend)
    mend = f"run `python -m verify snapshots` on {key}"
    given = () if verdicts is None else read_file(verdicts, str(verdicts), parse_verdicts, mend)
    mend = "run `python -m verify prove` on its last snapshot"
    said = None if proof is None else read_file(proof, str(proof), parse_status, mend)
    if phases.snapshots != snapshots:
        raise UserError(f"{analysis}: of other snapshots than those of {key}; run `python -m interp analyse` again")
    if given and tuple(one.sha256 for one in given) != snapshots:
        raise UserError(f"{verdicts}: of other snapshots than those of {key}; run `python -m verify snapshots` again")
    if proof is not None and not is_about(proof, snapshots[-1]):
        raise UserError(f"{proof}: not about the last snapshot of {key}; prove that one, or leave it out")
    return Timeline(key, measures, phases, given, said)


def is_about(certificate: Path, sha256: str) -> bool:
    """Whether the certificate names a file of this hash."""
    files = read_file(
        certificate, str(certificate), lambda text: json.loads(text)["files"], "run `python -m verify prove`"
    )
    return any(one.get("sha256") == sha256 for one in files.values())


def parse_status(text: str) -> Status:
    """The verdict of a certificate on the whole."""
    return status_of(json.loads(text)["verdict"])


def timeline_page(timeline: Timeline) -> str:
    """The whole file; it opens without network."""
    domain, last = drawing.loss_domain([timeline]), timeline.phases.cycles[-1]
    body = responsive(lambda width: drawing.draw(timeline, width, domain, last), WIDTH)
    count, reading = len(timeline.phases.cycles), READING + unchecked(timeline)
    title = f"{timeline.key}: {count} snapshot{'s' if count > 1 else ''}"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title>\n<style>\n{STYLE.read_text(encoding='utf-8')}</style></head>\n"
        f"<body>{HATCH}<main><h1>{escape(title)}</h1><figure>{drawing.key()}{body}"
        f"<figcaption><p class='reading'>{reading}</p></figcaption></figure></main></body></html>\n"
    )


def unchecked(timeline: Timeline) -> str:
    """What is said of a certificate's verdict, which this page repeats and does not check."""
    if timeline.proof is None:
        return ""
    return f" The verdict on the last snapshot is its certificate's, NOT CHECKED here: {CHECK} checks it."
