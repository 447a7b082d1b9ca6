"""What this room does with a run, by what its task can do; the stages call nothing else."""

from __future__ import annotations

from pathlib import Path

from pipeline.files import check_writable, snapshot_paths, write_atomically
from pipeline.run_params import run_task
from pipeline.tasks.streaming import StreamTask
from verify import timeline, verdicts
from verify.run import Nets, Summary, verify_run
from verify.solver import Progress
from verify.stream_run import StreamSummary, verify_stream


def judge_snapshots(run: Path, out: Path, timeout: float, progress: Progress) -> None:
    """Every snapshot of a run, as a CSV file: evaluated on every pair, or proved or refuted for every length."""
    check_writable(out)
    if isinstance(run_task(run), StreamTask):
        text = timeline.to_csv(timeline.timeline(run, timeout, progress))
    else:
        text = verdicts.to_csv(verdicts.verdicts(run, progress))
    write_atomically(out, text)


def prove_last(run: Path, compressed: Path, out: Path, timeout: float, progress: Progress) -> Summary | StreamSummary:
    """All claims about the last snapshot of a run, and about what it was compressed to; writes `out`."""
    last, task = snapshot_paths(run)[-1], run_task(run)
    if isinstance(task, StreamTask):
        return verify_stream(last, out, timeout, task, progress)
    student = compressed / "student_float.safetensors"  # none where the integer student is the net's own core
    integer = compressed / "student.safetensors"  # none where the task has no students
    nets = Nets(
        trained=last,
        pruned=compressed / "pruned.safetensors",
        student=student if student.exists() else None,
        integer=integer if integer.exists() else None,
    )
    return verify_run(nets, out, timeout, progress)
