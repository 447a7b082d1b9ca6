"""analyse: every snapshot of a run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pipeline.params import room_params


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "analyse",
        help="every snapshot of a run: measures, phases, spectra, circuit",
        description="Analyse every snapshot of a run and write, in a directory that is replaced as a whole,\n"
        "  measures.csv   one row a snapshot: losses, accuracies, mechanism measures, phase\n"
        "  phases.json    segments, change points, transition cycle, evidence\n"
        "  spectra.json   Fourier spectra of embedding, read-out and logits, first and last\n"
        "  circuit.json   heads, neurons and edges of the last snapshot, as `attribute` writes it\n"
        "                 (of the kinds that `attribute` knows)",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="run directory, such as runs/modular-catapult")
    parser.add_argument(
        "--params", type=Path, default=Path("params.yaml"), help="its section interp says what to spend"
    )
    parser.add_argument("--out", type=Path, help="directory to write (default: analysis/<name of the run>)")


def run(options: argparse.Namespace) -> None:
    params = room_params(options.params).interp
    from interp.room import analyse

    out = options.out or Path("analysis") / options.run.resolve().name
    print(analyse(options.run, out, params))
    print(f"wrote {out}")
