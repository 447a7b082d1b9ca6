"""Progress measures, phases and circuits of a run's snapshots.

Names are imported when they are first used: torch and TransformerLens take seconds, and `--help` needs neither.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interp.analyse import Analysis as Analysis
    from interp.analyse import analyse_run as analyse_run
    from interp.circuit import circuit_scores as circuit_scores
    from interp.circuit import find_circuit as find_circuit
    from interp.circuit import load_circuit as load_circuit
    from interp.circuit import save_circuit as save_circuit
    from interp.forward import Evaluation as Evaluation
    from interp.forward import evaluate as evaluate
    from interp.labels import Phase as Phase
    from interp.labels import label as label
    from interp.phases import Phases as Phases
    from interp.phases import find_phases as find_phases
    from interp.progress_measures import Measures as Measures
    from interp.progress_measures import measure as measure

_HOMES = {
    "analyse": ("Analysis", "analyse_run"),
    "circuit": ("circuit_scores", "find_circuit", "load_circuit", "save_circuit"),
    "forward": ("Evaluation", "evaluate"),
    "labels": ("Phase", "label"),
    "phases": ("Phases", "find_phases"),
    "progress_measures": ("Measures", "measure"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"interp.{home}"), name)
    raise AttributeError(f"module 'interp' has no attribute {name!r}")
