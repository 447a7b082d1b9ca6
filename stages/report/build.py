"""Reads the files of the four stages and writes the report's files, each of them at once or not at all."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import UserError
from pipeline.files import to_json, write_atomically
from pipeline.tasks.registry import task_from
from pipeline.tasks.streaming import StreamTask
from stages.report.page import page
from stages.report.plots import stream_picture, training_picture
from stages.report.read import parsed, record
from stages.report.stream_read import stream_record
from stages.report.summary import Summary, summarise


def build(keys: Sequence[str], root: Path, out: Path) -> Summary:
    """Write index.html, summary.csv, metrics.json and plots/ with a picture of each net; `keys` are experiments' names.

    The same inputs give the same bytes. Everything is read and drawn before anything is written.
    Raises UserError where a file of a stage is missing or broken.
    """
    if not keys:
        raise UserError("keys = []: name at least one run, such as modular-catapult")
    streams = {key: parsed(root, f"runs/{key}/params.json", of_streams) for key in keys}
    records = [record(key, root) for key in keys if not streams[key]]
    recurrent = [stream_record(key, root) for key in keys if streams[key]]
    summary = summarise(records, recurrent)
    files = {
        "index.html": page(records, summary, recurrent),
        "summary.csv": csv_text(summary.csv_rows()),
        "metrics.json": to_json(summary.metrics()),
    }
    files |= {f"plots/{each.key}.svg": training_picture([each]) for each in records}
    files |= {f"plots/{each.key}.svg": stream_picture(each) for each in recurrent}
    for name, text in files.items():
        write_atomically(out / name, text)
    return summary


def of_streams(text: str) -> bool:
    """Whether the task in a run's params.json is of streams."""
    return isinstance(task_from(json.loads(text)["task"]), StreamTask)


def csv_text(rows: Sequence[Sequence[object]]) -> str:
    """Rows as CSV with Unix line ends."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()
