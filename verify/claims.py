"""Claims as data with their English sentence, and the three ways a proof can end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any


class Kind(Enum):
    """The links of the chain: arithmetic = program = student = trained net."""

    PROGRAM = "program equals arithmetic"
    STUDENT = "student equals program"
    TRAINED_STUDENT = "trained net equals student"
    TRAINED = "trained net equals arithmetic"


_SENTENCES = {
    Kind.PROGRAM: "for all a, b in 0..{last}, the program's one highest score is that of {task}",
    Kind.STUDENT: "for all a, b in 0..{last}, the integer student's one largest logit, over all {p} answers and with "
    "its exact stored weights, is that of the program's answer",
    Kind.TRAINED_STUDENT: "on each of the {pairs} inputs, the trained net, evaluated in float32 in numpy's order of "
    "summation, gives the student's answer",
    Kind.TRAINED: "on each of the {pairs} inputs, the trained net, evaluated in float32 in numpy's order of "
    "summation, gives {task}",
}


def task_name(p: int, sign: int) -> str:
    return f"(a {'+' if sign == 1 else '-'} b) mod {p}"


@dataclass(frozen=True)
class Claim:
    """One link of the chain for one modulus and operation (sign 1 adds, -1 subtracts)."""

    kind: Kind
    p: int
    sign: int

    @property
    def sentence(self) -> str:
        p = self.p
        return _SENTENCES[self.kind].format(task=task_name(p, self.sign), p=p, last=p - 1, pairs=p * p)

    def to_dict(self) -> dict[str, Any]:
        operation = "addition" if self.sign == 1 else "subtraction"
        return {"kind": self.kind.value, "operation": operation, "p": self.p, "quantifiers": "for all a, b"}


@dataclass(frozen=True)
class Counterexample:
    """A pair on which the claim fails. `got` None: there is no answer, because several share the largest value.

    `expected_by` is None for arithmetic itself, otherwise whose answer it is that was expected.
    """

    a: int
    b: int
    p: int
    sign: int
    expected: int | None
    got: int | None
    got_by: str = "the net"
    expected_by: str | None = None

    def __str__(self) -> str:
        question = f"{self.a} {'+' if self.sign == 1 else '-'} {self.b}"
        got = f"{self.got_by} {_says(self.got)}"
        if self.expected_by is None:
            return f"{question} = {self.expected} (mod {self.p}), {got}"
        return f"{question} (mod {self.p}): {self.expected_by} {_says(self.expected)}, {got}"

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
    """The claim is false; the counterexample replays on the exact net (the float net for float claims)."""

    counterexample: Counterexample | StreamCounterexample

    def to_dict(self) -> dict[str, Any]:
        return {"counterexample": self.counterexample.to_dict(), "verdict": "Refuted"}

    def __str__(self) -> str:
        return f"Refuted: {self.counterexample}"


@dataclass(frozen=True)
class Unknown(_NotBool):
    """Neither shown nor disproved, and why."""

    reason: str

    def to_dict(self) -> dict[str, Any]:
        return {"reason": self.reason, "verdict": "Unknown"}

    def __str__(self) -> str:
        return f"Unknown: {self.reason}"


Verdict = Proved | Refuted | Unknown
