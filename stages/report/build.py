"""Reads the files of the four stages and writes the report's files, each of them at once or not at all."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import UserError
from pipeline.files import to_json, write_atomically
from stages.report.page import page
from stages.report.read import parsed, record
from stages.report.records import Record, Table
from stages.report.stream_read import stream_record
from stages.report.summary import Summary, summarise

TRAINING = ("step", "lr", "train_loss", "test_loss", "train_accuracy", "test_accuracy")


def build(keys: Sequence[str], root: Path, out: Path) -> Summary:
    """Write index.html, summary.csv, metrics.json and plots/*.csv under `out`; `keys` are names of experiments.

    The same inputs give the same bytes. Everything is read and drawn before anything is written.
    Raises UserError where a file of a stage is missing or broken.
    """
    if not keys:
        raise UserError("keys = []: name at least one run, such as modular-catapult")
    tasks = {key: parsed(root, f"runs/{key}/params.json", task_of) for key in keys}
    records = [record(key, root) for key, task in tasks.items() if task == "modular"]
    recurrent = [stream_record(key, root) for key, task in tasks.items() if task != "modular"]
    summary = summarise(records, recurrent)
    files = {
        "index.html": page(records, summary, recurrent),
        "summary.csv": csv_text(summary.csv_rows()),
        "metrics.json": to_json(summary.metrics()),
        "plots/training.csv": csv_text(training_rows(records)),
        "plots/measures.csv": csv_text(measures_rows(records)),
    }
    for name, text in files.items():
        write_atomically(out / name, text)
    return summary


def task_of(text: str) -> str:
    """The name of the task in a run's params.json."""
    return str(json.loads(text)["task"]["name"])


def training_rows(records: Sequence[Record]) -> list[list[object]]:
    """The history of every run at the evaluated steps."""
    rows: list[list[object]] = [["run", *TRAINING]]
    for each in records:
        rows += [
            [each.key, *values]
            for values in rows_of(each.history, TRAINING)
            if values[TRAINING.index("test_accuracy")] is not None
        ]
    return rows


def measures_rows(records: Sequence[Record]) -> list[list[object]]:
    """The measures of every run's snapshots with their phase."""
    names = [name for name in records[0].measures.columns if name not in ("algorithm", "phase")]
    rows: list[list[object]] = [["run", *names, "phase"]]
    for each in records:
        values = rows_of(each.measures, names)
        rows += [[each.key, *row, phase] for row, phase in zip(values, each.phases.labels, strict=False)]
    return rows


def rows_of(table: Table, names: Sequence[str]) -> list[list[object]]:
    """The rows of some columns; a column that is absent is empty, a whole number is written as one."""
    length = len(next(iter(table.columns.values())))
    columns = [table.columns.get(name, (None,) * length) for name in names]
    return [
        [int(v) if v is not None and v.is_integer() and abs(v) < 1e15 else v for v in row]
        for row in zip(*columns, strict=True)
    ]


def csv_text(rows: Sequence[Sequence[object]]) -> str:
    """Rows as CSV with Unix line ends."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()
