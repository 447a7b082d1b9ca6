"""How torch is set up for training: the same bytes every time, and memory that is kept instead of given back."""

from __future__ import annotations

import ctypes
import sys

import torch

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Names of glibc's mallopt(3)."""
KEPT = 1 << 30
"""Bytes: larger than any tensor of a step."""


def prepare() -> None:
    """Deterministic algorithms, and freed memory stays with the process.

    A step allocates and frees the same tensors again and again. glibc returns large blocks to the system each time,
    and every new one is then paged in anew. torch's deterministic mode would also fill each with NaN before use.
    """
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if sys.platform.startswith("linux"):
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(M_MMAP_THRESHOLD, KEPT)
            libc.mallopt(M_TRIM_THRESHOLD, KEPT)
