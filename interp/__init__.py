"""Progress measures, phases, circuits and algorithms of a run's snapshots.

Names are imported when they are first used: torch and TransformerLens take seconds, and `--help` needs neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lazy import lazily

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

__getattr__ = lazily(__name__, __file__)
