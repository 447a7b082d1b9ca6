"""Mutants of the files that a certificate names, for `benchmarks.soundness`.

Such a mutant is forged: its hash and its description replace the old ones in the certificate, so that only an
evaluation finds it out. `benchmarks.misstatements` has those of what the certificate says.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

Rng = np.random.Generator
FLOATS = (float("nan"), float("inf"), -float("inf"), -0.0, 1e-45, 3.4e38, 2.0**100)


@dataclass(frozen=True)
class Base:
    """A certificate as data, the files that it names by subject, its formulas by their file."""

    name: str
    text: dict[str, Any]
    files: dict[str, bytes]
    formulas: dict[str, bytes]


@dataclass(frozen=True)
class Mutant:
    """`raw` replaces the whole certificate; `forged`: the certificate is to be given the changed files' hashes."""

    base: Base
    text: dict[str, Any]
    files: dict[str, bytes]
    raw: bytes | None = None
    formulas: dict[str, bytes] = field(default_factory=dict)
    forged: bool = True

    @classmethod
    def of(cls, base: Base) -> Mutant:
        return cls(base, copy.deepcopy(base.text), {})

    @property
    def same(self) -> bool:
        """Nothing was changed."""
        said = [json.dumps(text, sort_keys=True) for text in (self.text, self.base.text)]
        return self.raw is None and not self.files and not self.formulas and said[0] == said[1]


Kind = Callable[[Base, Rng, list[Base]], Mutant | None]
"""None: this base has nothing of that kind."""


def pick(rng: Rng, options: Any) -> Any:
    options = list(options)
    return options[int(rng.integers(len(options)))]


def _header(data: bytes) -> tuple[dict[str, Any], int]:
    start = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:start]), start


def _with_header(data: bytes, header: dict[str, Any]) -> bytes:
    said = json.dumps(header).encode()
    return len(said).to_bytes(8, "little") + said + data[_header(data)[1] :]


def _net(base: Base, rng: Rng) -> tuple[str, bytes] | None:
    nets = [subject for subject in base.files if subject != "program"]
    subject = pick(rng, nets)
    return subject, base.files[subject]


def _tensor(data: bytes, rng: Rng) -> tuple[np.ndarray, int]:
    """A writable copy of one tensor, and where its bytes begin."""
    header, start = _header(data)
    entry = header[pick(rng, sorted(set(header) - {"__metadata__"}))]
    low, high = (start + offset for offset in entry["data_offsets"])
    numbers = {"F32": np.float32, "I32": np.int32, "I8": np.int8, "I16": np.int16}
    return np.frombuffer(data[low:high], numbers[entry["dtype"]]).reshape(entry["shape"]).copy(), low


def weights(change: Callable[[np.ndarray, Rng], None], forged: bool = True) -> Kind:
    """A kind that changes one tensor of one net in place."""

    def kind(base: Base, rng: Rng, _: list[Base]) -> Mutant | None:
        subject, data = _net(base, rng) or ("", b"")
        tensor, low = _tensor(data, rng)
        with np.errstate(all="ignore"):
            change(tensor, rng)
        new = data[:low] + tensor.tobytes() + data[low + tensor.nbytes :]
        return None if new == data else replace(Mutant.of(base), files={subject: new}, forged=forged)

    return kind


def flip_bit(tensor: np.ndarray, rng: Rng) -> None:
    data = tensor.reshape(-1).view(np.uint8)
    data[rng.integers(data.size)] ^= np.uint8(1 << int(rng.integers(8)))


def quantum(tensor: np.ndarray, rng: Rng) -> None:
    flat, i, up = tensor.reshape(-1), int(rng.integers(tensor.size)), bool(rng.integers(2))
    if tensor.dtype.kind == "f":
        flat[i] = np.nextafter(flat[i], np.float32(np.inf if up else -np.inf))
    else:
        flat[i] += 1 if up else -1


def tenth(tensor: np.ndarray, rng: Rng) -> None:
    """By a tenth, or by half, or its sign."""
    flat, i = tensor.reshape(-1), int(rng.integers(tensor.size))
    flat[i] = flat[i] * pick(rng, (1.1, 0.9, 1.5, 0.5, -1))


def swap(tensor: np.ndarray, rng: Rng) -> None:
    flat = tensor.reshape(-1)
    i, j = rng.integers(flat.size, size=2)
    flat[[i, j]] = flat[[j, i]]


def swap_rows(tensor: np.ndarray, rng: Rng) -> None:
    """Or columns."""
    rows = tensor.T if rng.integers(2) else tensor
    i, j = rng.integers(len(rows), size=2)
    rows[[i, j]] = rows[[j, i]].copy()


def extreme(tensor: np.ndarray, rng: Rng) -> None:
    value = pick(rng, FLOATS) if tensor.dtype.kind == "f" else pick(rng, (np.iinfo(tensor.dtype).max, -(2**30), 0))
    tensor.reshape(-1)[int(rng.integers(tensor.size))] = value


def header(base: Base, rng: Rng, _: list[Base]) -> Mutant | None:
    """The net's own words: its task, its shape, its tensors' types and places."""
    subject, data = _net(base, rng) or ("", b"")
    words, _start = _header(data)
    said = json.dumps(words)
    places = [
        m.span()
        for m in re.finditer(
            r"\d+|addition|subtraction|multiplication|division|modular|permutation|F32|I32|transformer|recurrent|true|false",
            said,
        )
    ]
    low, high = pick(rng, places)
    old = said[low:high]
    other = {"addition": "subtraction", "multiplication": "division", "division": "multiplication"}
    other |= {"F32": "I32", "I32": "F32", "true": "false", "false": "true", "modular": "permutation"}
    new = other.get(old, "other")
    new = str(max(0, int(old) + int(pick(rng, (-1, 1, 4, 2**40))))) if old.isdigit() else new
    try:
        changed = _with_header(data, json.loads(said[:low] + new + said[high:]))
    except ValueError:
        return None
    return replace(Mutant.of(base), files={subject: changed})


def with_task(data: bytes, options: dict[str, Any]) -> bytes:
    """The net, said to be of another task."""
    words, _start = _header(data)
    words["__metadata__"]["task"] = json.dumps(options)
    return _with_header(data, words)


def torn(base: Base, rng: Rng, _: list[Base]) -> Mutant | None:
    """A file cut short, longer, or with a byte flipped anywhere."""
    subject = pick(rng, base.files)
    data = bytearray(base.files[subject])
    place = int(rng.integers(len(data)))
    if (how := int(rng.integers(3))) == 2:
        data[place] ^= 1 << int(rng.integers(8))
    changed = (bytes(data[:place]), bytes(data) + bytes(place % 9 + 1), bytes(data))[how]
    return replace(Mutant.of(base), files={subject: changed})


def program(base: Base, rng: Rng, _: list[Base]) -> Mutant | None:
    """A number of the program, or a word of its code."""
    if "program" not in base.files:
        return None
    source = base.files["program"].decode()
    low, high = pick(rng, [m.span() for m in re.finditer(r"-?\b\d+\b|%|\+|max\b|scores\b", source)])
    old = source[low:high]
    new = (
        str(int(old) + int(pick(rng, (-1, 1, 10))))
        if old.lstrip("-").isdigit()
        else {"%": "//", "+": "-"}.get(old, "min")
    )
    return replace(Mutant.of(base), files={"program": (source[:low] + new + source[high:]).encode()})


def another(base: Base, rng: Rng, bases: list[Base]) -> Mutant | None:
    """A file of another certificate in the place of one of this."""
    subject = pick(rng, base.files)
    others = [b.files[s] for b in bases for s in b.files if (s == "program") == (subject == "program")]
    data = pick(rng, others)
    return None if data == base.files[subject] else replace(Mutant.of(base), files={subject: data})
