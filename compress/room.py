"""What this room does with a run, by what its task can do; the stage calls nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from compress.ladder import compress_run
from compress.stream_frontier import compress_stream_run
from pipeline.params import CompressParams, VerifyParams
from pipeline.run_params import run_task
from pipeline.tasks.streaming import StreamTask


def compress(
    run: Path, analysis: Path, out: Path, params: CompressParams, proofs: VerifyParams, say: Callable[[str], None]
) -> str:
    """Compress the last snapshot of a run and write `out`; what came of it, in lines."""
    if isinstance(run_task(run), StreamTask):
        return compress_stream_run(run, out, params.streams, proofs.timeout, say)
    ladder = compress_run(run, analysis, out, params.pairs, say)
    return "\n".join(f"{rung.name}: {rung.parameters:,} parameters, {rung.wrong:,} wrong" for rung in ladder.rungs)
