"""Reading a safetensors file once, so that the hash in a certificate is that of the very bytes that were evaluated."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from pipeline.errors import UserError

MOST_BYTES = 1 << 30
FORMAT = "catapult-snapshot-1"
"""Of a snapshot's header."""


@dataclass(frozen=True)
class WeightsFile:
    """Header metadata, tensors, and the SHA-256 of the bytes that both were parsed from."""

    metadata: dict[str, Any]
    tensors: dict[str, NDArray[Any]]
    sha256: str


def read_weights(path: Path | str) -> WeightsFile:
    """Raises UserError, one line, where the file is not a readable safetensors file of numpy tensors."""
    path = Path(path)
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            raise UserError(f"{path} = no regular file of at most {MOST_BYTES} bytes: give a safetensors file")
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} = unreadable: {error.strerror}") from None
    try:
        tensors = load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        metadata = dict(header.get("__metadata__") or {})
    except (SafetensorError, ValueError, TypeError, KeyError, OverflowError, AttributeError, RecursionError) as error:
        line = " ".join(str(error).split())[:200]
        raise UserError(f"{path} = not a safetensors file of numpy tensors: {line}") from None
    return WeightsFile(metadata, {name: np.asarray(tensor) for name, tensor in tensors.items()}, _sha256(data))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
