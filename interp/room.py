"""What this room does with a run, by what its task can do; `python -m interp analyse` and the stage call the same."""

from __future__ import annotations

from pathlib import Path

from interp.analyse import analyse_run
from interp.stream_analysis import analyse_stream_run
from pipeline.params import InterpParams
from pipeline.run_params import run_task
from pipeline.tasks.streaming import StreamTask


def analyse(run: Path, out: Path, params: InterpParams) -> str:
    """Analyse a run and write `out`; what was found, in lines."""
    if isinstance(run_task(run), StreamTask):
        return analyse_stream_run(run, out).sentence
    analysis = analyse_run(run, out, params)
    cycles = analysis.cycles
    return "\n".join(
        f"cycles {cycles[segment.first]:>4} to {cycles[segment.last]:>4}  {segment.phase}"
        for segment in analysis.phases.segments
    )
