"""What the report knows about one net, as it was read from the files of the four stages."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from pipeline.tasks.registry import PairTask

Status = Literal["Proved", "Refuted", "Unknown"]
Column = tuple[float | None, ...]

PHASES = ("untrained", "memorising", "pseudo-arithmetic", "algorithm")


@dataclass(frozen=True)
class Table:
    """A CSV file by columns; an empty field is None."""

    columns: dict[str, Column]

    def points(self, x: str, y: str) -> list[tuple[float, float]]:
        """The rows in which both columns hold a number; no rows where a column is absent."""
        pairs = zip(self.columns.get(x, ()), self.columns.get(y, ()), strict=False)
        return [(a, b) for a, b in pairs if a is not None and b is not None]

    def last(self, name: str) -> float | None:
        """The last number of a column."""
        return next((value for value in reversed(self.columns.get(name, ())) if value is not None), None)


@dataclass(frozen=True)
class Criterion:
    """One condition of the label `algorithm` on the last snapshot."""

    name: str
    value: float
    threshold: float
    at_least: bool
    holds: bool


@dataclass(frozen=True)
class Phases:
    """The phase of every snapshot and where it changes.

    `snapshots` are their files by hash. `change` and `moved` are, by snapshot, the shares of the bootstrap's replicates
    in which a new level begins there and in which the transition is there; `algorithm` is what the last one is called.
    `not_applicable` says by name what is not measured of the task, and why.
    """

    cycles: tuple[int, ...]
    steps: tuple[int, ...]
    snapshots: tuple[str, ...]
    labels: tuple[str, ...]
    segments: tuple[tuple[str, int, int], ...]
    change_points: tuple[int, ...]
    transition_cycle: int | None
    final: str
    criteria: tuple[Criterion, ...]
    replicates: int
    change: tuple[float, ...]
    moved: tuple[float, ...]
    algorithm: str
    not_applicable: dict[str, str]

    def step_of(self, cycle: int) -> int | None:
        """The training step at which a cycle ended."""
        return next((step for at, step in zip(self.cycles, self.steps, strict=True) if at == cycle), None)


@dataclass(frozen=True)
class SnapshotVerdict:
    """What a snapshot answers on all inputs in exact arithmetic; `robust` is right in float32 as well."""

    cycle: int
    kind: Literal["wrong", "open", "right", "robust"]
    wrong: int
    inputs: int
    counterexample: str
    sha256: str


@dataclass(frozen=True)
class Timeline:
    """A run over its snapshots. There may be no verdicts, and no proof of the last snapshot."""

    key: str
    measures: Table
    phases: Phases
    verdicts: tuple[SnapshotVerdict, ...]
    proof: Status | None


@dataclass(frozen=True)
class Spectra:
    """Strength of each frequency in the weights and the logits, first and last snapshot; none where not applicable.

    The symbols sit on a circle by their residue, or by `name`, on one of `points` points.
    """

    frequencies: tuple[int, ...]
    before: dict[str, tuple[float, ...]]
    after: dict[str, tuple[float, ...]]
    key: tuple[int, ...]
    name: str
    points: int | None
    not_applicable: dict[str, str]


@dataclass(frozen=True)
class Circuit:
    """Nodes and edges as stored in circuit.json, and as `facts` what was measured of the whole."""

    nodes: tuple[dict[str, Any], ...]
    edges: tuple[dict[str, Any], ...]
    facts: dict[str, Any]


@dataclass(frozen=True)
class Rung:
    """One net of the compression ladder and its errors over all inputs."""

    name: str
    parameters: int
    bytes: int
    wrong: int
    inputs: int
    note: str


@dataclass(frozen=True)
class Ladder:
    """The trained net's file by hash, and the rungs from it down.

    `not_applicable` says by name which are not made of the task, and why.
    """

    snapshot: str
    rungs: tuple[Rung, ...]
    not_applicable: dict[str, str]


@dataclass(frozen=True)
class Claim:
    """One sentence of the certificate and what became of it.

    The counterexample is an equation, empty without one; `disagreements` are (wrong, of how many inputs) where all were
    tried; the verdict on the whole hangs on every `link`.
    """

    name: str
    link: bool
    sentence: str
    method: str
    status: Status
    obligations: int
    disagreements: tuple[int, int] | None
    facts: tuple[str, ...]
    reason: str
    counterexample: str


@dataclass(frozen=True)
class Certificate:
    """The verdict on a net: the weakest of its claims, the files by hash, the solver, and how to check it again.

    `chain` says what is equal to what where all of it is proved.
    """

    status: Status
    verdict: str
    chain: str
    claims: tuple[Claim, ...]
    hashes: tuple[tuple[str, str], ...]
    solver: str
    check: str


@dataclass(frozen=True)
class Start:
    """Where the last phase of a recipe begins: the recipe before it, and the cycle and step that this had come to."""

    recipe: str
    cycle: int
    step: int


@dataclass(frozen=True)
class Record:
    """One net, from its training to its proof."""

    key: str
    experiment: str
    recipe: str
    seed: int
    task: PairTask
    train_fraction: float
    steps: int
    cycle_steps: int
    start: Start | None
    history: Table
    measures: Table
    phases: Phases
    verdicts: tuple[SnapshotVerdict, ...]
    spectra: Spectra
    circuit: Circuit
    ladder: Ladder
    certificate: Certificate
    program: str | None

    @property
    def timeline(self) -> Timeline:
        return Timeline(self.key, self.measures, self.phases, self.verdicts, self.certificate.status)

    @property
    def rungs(self) -> tuple[Rung, ...]:
        return self.ladder.rungs

    @cached_property
    def inputs(self) -> int:
        """How many inputs there are in all."""
        return len(self.task.pairs())

    @property
    def mechanism_is_measured(self) -> bool:
        """Whether the measures can tell an algorithm from a table; of a task without a basis they cannot."""
        return not self.phases.not_applicable

    @property
    def key_frequencies(self) -> float | None:
        """How many frequencies carry the logits at the end; None where they have none to be carried by."""
        return self.measures.last("key_frequencies") if self.mechanism_is_measured else None

    @property
    def test_accuracy(self) -> float | None:
        """Share of unseen pairs that the trained net gets right at the end."""
        return self.history.last("test_accuracy")

    @property
    def right_from(self) -> int | None:
        """The step of the first snapshot from which on every one is right on all inputs."""
        right = [verdict.kind in ("right", "robust") for verdict in self.verdicts]
        if not right or not right[-1]:
            return None
        first = len(right) - next((i for i, one in enumerate(reversed(right)) if not one), len(right))
        return self.phases.step_of(self.verdicts[first].cycle)

    @property
    def wrong(self) -> int:
        """Inputs on which the trained net is wrong."""
        return self.verdicts[-1].wrong

    @property
    def found_algorithm(self) -> bool:
        return self.phases.final == "algorithm"
