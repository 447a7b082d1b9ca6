"""All proofs about one recurrent snapshot, written into one directory: certificate.json, obligations/, program.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.tasks.streaming import StreamTask
from verify.claims import Proved, Refuted, Verdict
from verify.doubts import Doubts, doubts, standing
from verify.exact_net import file_sha256
from verify.recurrent_net import load_recurrent
from verify.results import Result
from verify.run import LONGEST, free, output_directory
from verify.solver import Budget, Progress, silent
from verify.stream_certificate import certificate
from verify.stream_program import render
from verify.stream_prove import StreamProof, prove_stream

WHOLE = "net equals task"
"""The checker's name for the stream that refutes the whole."""


@dataclass(frozen=True)
class StreamSummary:
    """What a run of the proofs came to."""

    proof: StreamProof

    @property
    def verdict(self) -> Verdict:
        return self.proof.verdict

    @property
    def exit_code(self) -> int:
        """0 Proved, 1 Refuted, 2 Unknown."""
        return 0 if isinstance(self.verdict, Proved) else 1 if isinstance(self.verdict, Refuted) else 2

    def lines(self) -> list[str]:
        """The claims with their verdicts, then what they come to."""
        claims = [f"{result.claim.name}: {result.verdict}" for result in self.proof.results]
        return [*claims, f"verdict: {self.verdict}"]


def verify_stream(
    net_path: Path | str,
    out_dir: Path | str | None,
    timeout: float = 60.0,
    task: StreamTask | None = None,
    progress: Progress = silent,
) -> StreamSummary:
    """Proves, lets the checker check, and writes `out_dir`; without one nothing is kept.

    `task` is what the snapshot must be of. What the checker does not confirm is Unknown, claim by claim. Raises
    UserError on bad input, with nothing written.
    """
    if not 0 <= timeout <= LONGEST:
        raise UserError(f"timeout = {timeout}: seconds from 0 to {LONGEST}")
    net = load_recurrent(net_path)
    if task is not None and net.task != task:
        raise UserError(f"{net_path}: task = {net.task.key}: a snapshot of {task.key} is needed")
    if out_dir is not None:
        free(Path(out_dir), [net_path])
    proof = prove_stream(net, Budget.of(timeout), progress)
    with output_directory(Path(out_dir) if out_dir is not None else None) as directory:
        files, given = {"net": net.sha256}, [Path(net_path)]
        if proof.machine is not None:
            (directory / "program.py").write_text(render(proof.machine, net.task))
            files["program"] = file_sha256(directory / "program.py")
            given.append(directory / "program.py")
        made: dict[Any, Any] = {}
        names = [*(result.claim.name for result in proof.results), WHOLE]

        def write(results: Sequence[Result]) -> None:
            nonlocal proof
            proof = proof.with_results(results)
            certificate(proof, net_path, files).write(directory)

        def ask() -> Doubts:
            nonlocal proof
            found = doubts(directory, given, names, made)
            if WHOLE in found and proof.wrong is not None:
                proof = proof.not_refuted(f"the checker: {found[WHOLE].how}")
                write(proof.results)
                found = doubts(directory, given, names, made)
            return found

        standing(proof.results, write, ask, progress)
    return StreamSummary(proof)
