"""What the report knows about one recurrent net and the streams it was tried and proved on."""

from __future__ import annotations

from dataclasses import dataclass

from stages.report.records import Certificate, Status

KINDS = ("random", "hard")
Shares = dict[str, float]
"""Shares of streams that are right at every step, by kind and length: random_4, hard_4, ..."""


@dataclass(frozen=True)
class Moment:
    """One snapshot, its file by hash: what it gets right, what that looks like, and what can be proved of it."""

    cycle: int
    label: str
    verdict: Status
    taught: int
    shares: Shares
    sha256: str


@dataclass(frozen=True)
class Edge:
    """All pairs that lead from one state of the machine to another, and the answers, in words."""

    source: int
    target: int
    pairs: int
    reads: str
    writes: str


@dataclass(frozen=True)
class Automaton:
    """The machine read off the net: a sentence, and where there is one its drawing (SVG) and its edges."""

    sentence: str
    snapshot: str
    same: bool | None
    drawing: str
    edges: tuple[Edge, ...]


@dataclass(frozen=True)
class Point:
    """One net of the frontier: units, bits of a weight, parameters, its verdict, exactly and in float32.

    `snapshot` is the file, by hash, of the net that it was made of.
    """

    units: int
    bits: int
    grid: str
    parameters: int
    verdict: Status
    float32: bool
    snapshot: str


@dataclass(frozen=True)
class StreamRecord:
    """One recurrent net, from its training to its proof; `frontier` is None where it was not compressed."""

    key: str
    recipe: str
    task: str
    examples: int
    digits: int
    timeline: tuple[Moment, ...]
    first_proved: int | None
    taught: int
    parameters: int
    certificate: Certificate
    automaton: Automaton
    frontier: tuple[Point, ...] | None
    program: str | None

    @property
    def last(self) -> Moment:
        return self.timeline[-1]

    @property
    def lengths(self) -> tuple[int, ...]:
        """The lengths tried, shortest first; the shortest is that of training."""
        return tuple(sorted({int(name.split("_")[1]) for name in self.last.shares}))

    @property
    def smallest(self) -> Point | None:
        """The proved point of the frontier with the fewest parameters, of these the one with the fewest bits."""
        proved = [point for point in self.frontier or () if point.verdict == "Proved"]
        return min(proved, key=lambda point: (point.parameters, point.bits), default=None)
