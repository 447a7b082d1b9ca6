"""export: a circuit in another format."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pipeline.command_line import output_file


def add(commands: Any) -> None:
    parser = commands.add_parser("export", help="a circuit of `attribute` in another format")
    parser.add_argument("circuit", type=Path, metavar="CIRCUIT", help="circuit.json of `attribute`")
    parser.add_argument("--out", type=output_file, required=True, help="file to write; its ending is the format")
    parser.add_argument(
        "--to", choices=["json", "graphml", "dot", "neuronpedia", "html"], help="format, if not the ending"
    )


def run(options: argparse.Namespace) -> None:
    from interp.circuits import load_circuit
    from interp.export import export

    export(load_circuit(options.circuit), options.out, options.to)
    print(f"wrote {options.out}")
