"""How torch is set up for training: the same bytes every time, memory that is kept, and how exact products are."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pipeline.kernels import settle

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Names of glibc's mallopt(3)."""
KEPT = 1 << 30
"""Bytes: larger than any tensor of a step."""


def prepare() -> None:
    """The same kernels everywhere (`pipeline.kernels.settle`), and freed memory stays with the process.

    A step allocates and frees the same tensors again and again. glibc returns large blocks to the system each time,
    and every new one is then paged in anew. torch's deterministic mode would also fill each with NaN before use.
    """
    settle()
    if sys.platform.startswith("linux"):
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(M_MMAP_THRESHOLD, KEPT)
            libc.mallopt(M_TRIM_THRESHOLD, KEPT)


@contextmanager
def matmul_precision(name: str) -> Iterator[None]:
    """Within, float32 matrix products are as exact as torch.set_float32_matmul_precision says, and after as before.

    medium lets a processor that can (Intel AMX or AVX512-BF16, a GPU's tensor cores) multiply in bfloat16; on the CPU
    under CATAPULT_KERNELS=native only, since products are otherwise numpy's (`pipeline.kernels`).
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(name)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
