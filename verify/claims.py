"""Claims as data with their English sentence, the three ways a proof can end, and the subjects of the chain.

The sentences are those of `CERTIFICATE.md`, which `checker.py` has a second time: it accepts no other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from verify.specification import Specification


class Subject(Enum):
    """What a chain is made of, from the task itself to the net that training left."""

    ARITHMETIC = "arithmetic"
    PROGRAM = "program"
    INTEGER = "integer student"
    STUDENT = "student"
    PRUNED = "pruned net"
    TRAINED = "trained net"


EXACTLY = "in exact arithmetic over the stored numbers"
SENTENCES = {
    "equals": "for all {domain}, the answer of the {left} is {right}; an answer is the one largest of {p} "
    "logits or scores, " + EXACTLY,
    "compact": "for all {domain}, the answer of the {net} is {task}; an answer is the one largest of {p} "
    "logits, " + EXACTLY,
    "rounding": "for all {domain}, the {net} in float32, in any order of summation, has the same one largest "
    "of {p} logits as " + EXACTLY,
    "radius": "for all {domain} on which the answer of the {net} is {task} ({right} of {pairs}), no change of "
    "the two embedded rows by at most {numerator} / 2^{bits} in each entry changes it",
    "machine": "for streams of every length, the machine's answer at every step is that of {task}",
    "invariant": f"for streams of every length, the net's one largest logit at every step, {EXACTLY}, is the machine's "
    "answer",
    "invariant rounding": "for streams of every length, the net's one largest logit at every step, in float32 in any "
    "order of summation, is the machine's answer",
}
NAMES = {
    "equals": "{left} equals {right}",
    "compact": "{net} equals arithmetic, by residuals",
    "rounding": "{net} is unchanged under rounding",
    "radius": "{net} is unchanged within radius {numerator} / 2^{bits}",
    "machine": "machine equals task",
    "invariant": "net equals machine",
    "invariant rounding": "float32 net equals machine",
}


@dataclass(frozen=True)
class Claim:
    """One claim: its kind, what else says it as data, and a sentence."""

    kind: str
    fields: tuple[tuple[str, str | int], ...]
    sentence: str

    def __getitem__(self, name: str) -> str | int:
        return dict(self.fields)[name]

    @property
    def name(self) -> str:
        return NAMES[self.kind].format(**dict(self.fields))

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, **dict(self.fields)}


def on_pairs(kind: str, task: Specification, **fields: str | int) -> Claim:
    """A claim that quantifies over all inputs of a task on pairs."""
    words = {**fields, "p": task.p, "domain": task.domain, "pairs": task.size, "task": task.name}
    if kind == "equals":
        arithmetic = fields["right"] == Subject.ARITHMETIC.value
        words["right"] = task.name if arithmetic else f"that of the {fields['right']}"
    return Claim(kind, tuple(fields.items()), SENTENCES[kind].format(**words))


def equals(left: Subject, right: Subject, task: Specification) -> Claim:
    """On every input both have one answer, and it is the same."""
    return on_pairs("equals", task, left=left.value, right=right.value)


def on_streams(kind: str, key: str) -> Claim:
    """A claim that quantifies over streams of every length of the task of that key."""
    return Claim(kind, (), SENTENCES[kind].format(task=key))


@dataclass(frozen=True)
class Counterexample:
    """A pair on which the claim fails. `got` None: there is no answer, because several share the largest value.

    `expected_by` is None for arithmetic itself, otherwise whose answer it is that was expected.
    """

    a: int
    b: int
    task: Specification
    expected: int | None
    got: int | None
    got_by: str = "the net"
    expected_by: str | None = None

    def __str__(self) -> str:
        question = self.task.question(self.a, self.b)
        got = f"{self.got_by} {_says(self.got)}"
        if self.expected_by is None:
            return f"{question} = {self.expected} {self.task.within}, {got}"
        return f"{question} {self.task.within}: {self.expected_by} {_says(self.expected)}, {got}"

    def to_dict(self) -> dict[str, Any]:
        return {"a": self.a, "b": self.b, "equation": str(self), "expected": self.expected, "got": self.got}


@dataclass(frozen=True)
class StreamCounterexample:
    """A stream on which a recurrent net errs, with the right answers and the net's (None: several share the top)."""

    stream: tuple[tuple[int, int], ...]
    expected: tuple[int, ...]
    got: tuple[int | None, ...]
    equation: str

    def __str__(self) -> str:
        return self.equation

    def to_dict(self) -> dict[str, Any]:
        return {
            "equation": self.equation,
            "expected": list(self.expected),
            "got": list(self.got),
            "stream": [list(pair) for pair in self.stream],
        }


def _says(answer: int | None) -> str:
    return "has no one answer (a tie)" if answer is None else f"says {answer}"


class _NotBool:
    def __bool__(self) -> bool:
        raise TypeError("a verdict is Proved, Refuted or Unknown and no bool: use isinstance or match")


@dataclass(frozen=True)
class Proved(_NotBool):
    """Every obligation is closed and the checker agrees."""

    method: str

    def to_dict(self) -> dict[str, Any]:
        return {"method": self.method, "verdict": "Proved"}

    def __str__(self) -> str:
        return f"Proved ({self.method})"


@dataclass(frozen=True)
class Refuted(_NotBool):
    """The claim is false; the counterexample replays on the net in exact arithmetic."""

    counterexample: Counterexample | StreamCounterexample
    counted: str = field(default="", compare=False)
    """On how many inputs it fails, and how many are open; for readers."""
    in_float32: bool = field(default=False, compare=False)
    """Whether every float32 evaluation fails on that input, too."""

    def to_dict(self) -> dict[str, Any]:
        return {"counterexample": self.counterexample.to_dict(), "verdict": "Refuted"}

    def __str__(self) -> str:
        return f"Refuted: {self.counterexample}" + (f" ({self.counted})" if self.counted else "")


@dataclass(frozen=True)
class Unknown(_NotBool):
    """Neither shown nor disproved, and why."""

    reason: str

    def to_dict(self) -> dict[str, Any]:
        return {"reason": self.reason, "verdict": "Unknown"}

    def __str__(self) -> str:
        return f"Unknown: {self.reason}"


Verdict = Proved | Refuted | Unknown
