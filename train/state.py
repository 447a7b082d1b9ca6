"""The resumable state of an unfinished run: one directory per configuration, one file per finished cycle.

It lives outside the declared outputs, because DVC deletes those before a run, and it is named by a hash of all that
decides the bytes: the resolved configuration, this code, torch's version, the device and the processor's
instruction set, and whose kernels are called.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.errors import UserError
from pipeline.experiment import Experiment
from pipeline.files import write_atomically
from pipeline.instruction_set import is_held

STATE_ROOT = Path(".cache/train")
KEPT = "the finished cycles are kept: the same command goes on from there"


def source_digest() -> str:
    """SHA-256 of the code that training runs, so that edited code never resumes another's state."""
    digest = hashlib.sha256()
    root = Path(__file__).parents[1]
    for room in ("pipeline", "train", "verify"):  # the lessons of train/teaching.py are found by verify
        for path in sorted((root / room).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


class ResumableState:
    """Latest finished cycle of one configuration on one machine."""

    def __init__(self, experiment: Experiment, device: torch.device, root: Path) -> None:
        kernels = "numpy's kernels" if is_held() else "torch's kernels"
        machine = f"{torch.__version__} {np.__version__} {device} {torch.backends.cpu.get_cpu_capability()} {kernels}"
        decides = f"{experiment.digest} {source_digest()} {machine}"
        self.directory = root / f"{experiment.name}-{hashlib.sha256(decides.encode()).hexdigest()[:16]}"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the state for this process alone; a second one is refused, not mixed in."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            file = open(self.directory / "lock", "w")  # noqa: SIM115 (closed below; what is done under it may fail too)
        except OSError as error:
            mend = "run the command in a directory that can be written"
            raise UserError(f"{self.directory}: cannot be written: {error.strerror}; {mend}") from None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(f"{self.directory}: another process is training this run; wait for it") from None
            yield

    @property
    def snapshots(self) -> Path:
        return self.directory / "snapshots"

    def save(self, state: dict[str, Any]) -> None:
        """Replace the state by a newer one; called after the cycle's snapshot is on disk."""
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_atomically(self.directory / "state.pt", buffer.getvalue())

    def load(self) -> dict[str, Any] | None:
        """The state after the last finished cycle, or None where there is none."""
        path = self.directory / "state.pt"
        return torch.load(path, map_location="cpu", weights_only=True) if path.exists() else None

    def clear(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
