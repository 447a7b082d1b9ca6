"""Progress measures, phases, circuits and algorithms of a run's snapshots.

Names are imported when they are first used: torch and TransformerLens take seconds, and `--help` needs neither.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import pipeline.missing_modules  # noqa: F401 (first: it says in one line what a command lacks)

if TYPE_CHECKING:
    from interp.algorithms import name_algorithm as name_algorithm
    from interp.analyse import Analysis as Analysis
    from interp.analyse import analyse_run as analyse_run
    from interp.attribution import METHODS as METHODS
    from interp.attribution import Attribution as Attribution
    from interp.attribution import contrast as contrast
    from interp.circuits import component_scores as component_scores
    from interp.circuits import find as find
    from interp.circuits import load_circuit as load_circuit
    from interp.circuits import save_circuit as save_circuit
    from interp.forward import Evaluation as Evaluation
    from interp.forward import evaluate as evaluate
    from interp.labels import Phase as Phase
    from interp.labels import label as label
    from interp.llc import learning_coefficient as learning_coefficient
    from interp.phases import Phases as Phases
    from interp.phases import find_phases as find_phases
    from interp.progress_measures import Measures as Measures
    from interp.progress_measures import measure as measure

_HOMES = {
    "algorithms": ("name_algorithm",),
    "analyse": ("Analysis", "analyse_run"),
    "attribution": ("METHODS", "Attribution", "contrast"),
    "circuits": ("component_scores", "find", "load_circuit", "save_circuit"),
    "forward": ("Evaluation", "evaluate"),
    "labels": ("Phase", "label"),
    "llc": ("learning_coefficient",),
    "phases": ("Phases", "find_phases"),
    "progress_measures": ("Measures", "measure"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"interp.{home}"), name)
    raise AttributeError(f"module 'interp' has no attribute {name!r}")
