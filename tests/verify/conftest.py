"""A student that is right, as a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.by_hand import hand_built, write_student


@pytest.fixture
def student(tmp_path: Path) -> Path:
    """A right student of (a + b) mod 7."""
    return write_student(tmp_path / "student.safetensors", hand_built(7), 7)
