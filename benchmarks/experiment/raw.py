"""The raw results: JSON lines that the table is computed from, and that an interrupted experiment goes on from.

A file begins with its design (cells, trials, seeds). Then, one line each:

    trial   one trial of the search: cell, arm, number, knobs, steps and accuracy of every tuning seed
    confirm a finalist among them on more tuning seeds: cell, arm, number, steps, accuracy
    run     the chosen trial of an arm on the fresh seeds: cell, arm, knobs, steps, accuracy, diverged
    jump    cell, cycle, shift, knobs: when test accuracy jumped, one entry a seed
    width   one width of the search for the smallest net that fits
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.experiment.cells import CELLS, EMBED_STD, EVERY, P
from benchmarks.experiment.search import DECAY, FINALISTS, FLOOR, LEVEL, PEAK, PENALTY, RATE
from benchmarks.lines import append, read
from pipeline.errors import UserError

Record = dict[str, Any]
KEYS = {
    "trial": ("cell", "arm", "number"),
    "confirm": ("cell", "arm", "number"),
    "run": ("cell", "arm"),
    "jump": ("cell", "cycle", "shift"),
    "width": ("width", "number"),
}
"""What tells two records of a kind apart."""


def design(trials: int, tuning_seeds: int, confirming_seeds: int, seeds: int) -> Record:
    """What decides the numbers, beside the code."""
    values = {
        "kind": "design",
        "trials": trials,
        "tuning_seeds": tuning_seeds,
        "confirming_seeds": confirming_seeds,
        "finalists": FINALISTS,
        "seeds": seeds,
        "p": P,
        "embed_std": EMBED_STD,
        "every": EVERY,
        "level": LEVEL,
        "drawn": {"rate": RATE, "decay": DECAY, "penalty": PENALTY, "floor": FLOOR, "peak": PEAK},
        "cells": [asdict(cell) for cell in CELLS.values()],
    }
    return json.loads(json.dumps(values))


@dataclass
class Raw:
    """The records of a file by kind and key; `add` also writes to the file."""

    design: Record
    records: dict[tuple[Any, ...], Record] = field(default_factory=dict)
    path: Path | None = None

    @classmethod
    def load(cls, path: Path) -> Raw:
        """A file that is there; raises UserError where it is no such file."""
        lines = read(path)
        if not lines or lines[0].get("kind") != "design":
            raise UserError(f"{path}: holds no results; make them by python -m benchmarks.catapult --out {path}")
        raw = cls(lines[0], path=path)
        for record in lines[1:]:
            raw.records[raw.key(record)] = record
        return raw

    @classmethod
    def resume(cls, path: Path, wanted: Record) -> Raw:
        """A new file, or one of the same design to go on with."""
        if not read(path):
            append(path, wanted)
        raw = cls.load(path)
        if raw.design != wanted:
            changed = ", ".join(key for key in wanted if raw.design.get(key) != wanted[key])
            raise UserError(f"{path}: made by another design ({changed} differ); give another --out")
        return raw

    @property
    def budgets(self) -> dict[str, int]:
        """Steps of every cell, in the order of the design."""
        return {cell["name"]: cell["steps"] for cell in self.design["cells"]}

    @staticmethod
    def key(record: Record) -> tuple[Any, ...]:
        return (record["kind"], *(record[name] for name in KEYS[record["kind"]]))

    def add(self, record: Record) -> Record:
        if self.path is not None:
            append(self.path, record)
        self.records[self.key(record)] = record
        return record

    def get(self, kind: str, *values: Any) -> Record | None:
        return self.records.get((kind, *values))

    def of(self, kind: str, **values: Any) -> list[Record]:
        """All records of a kind with these values, in the order of the file."""
        return [
            record
            for record in self.records.values()
            if record["kind"] == kind and all(record[name] == value for name, value in values.items())
        ]
