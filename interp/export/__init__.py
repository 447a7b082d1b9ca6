"""Circuits in other tools' formats, each a function from the graph to text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import networkx as nx

from interp.circuit_view.page import page
from interp.circuits.circuit import circuit_to_json
from interp.export.dot import to_dot
from interp.export.graphml import to_graphml
from interp.export.neuronpedia import to_neuronpedia
from pipeline.errors import UserError
from pipeline.files import write_atomically

FORMATS: Mapping[str, Callable[[nx.DiGraph], str]] = {
    "json": circuit_to_json,
    "graphml": to_graphml,
    "dot": to_dot,
    "neuronpedia": to_neuronpedia,
    "html": page,
}


def export(circuit: nx.DiGraph, path: Path, format: str | None = None) -> None:
    """Write the circuit; without `format` the file's ending says it. UserError for one that is not known."""
    format = format or path.suffix.removeprefix(".")
    if format not in FORMATS:
        raise UserError(f"{path}: format = {format!r}: end its name in, or give --to, one of {', '.join(FORMATS)}")
    write_atomically(path, FORMATS[format](circuit))
