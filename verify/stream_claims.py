"""What is claimed of a recurrent net: three claims that quantify over streams of every length, and what follows."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pipeline.tasks.streaming import StreamTask
from verify.claims import Verdict
from verify.solver import Outcome


class StreamKind(Enum):
    """The links of: task = machine = net, in exact arithmetic and in float32."""

    MACHINE = "machine equals task"
    NET = "net equals machine"
    FLOAT = "float32 net equals machine"


SENTENCES = {
    StreamKind.MACHINE: "for streams of every length, the machine's answer at every step is that of {task}",
    StreamKind.NET: "for streams of every length, the net's one largest logit at every step, in exact arithmetic over "
    "its stored weights, is the machine's answer",
    StreamKind.FLOAT: "for streams of every length, the net's one largest logit at every step, evaluated in float32 in "
    "any order of summation, is the machine's answer",
}


@dataclass(frozen=True)
class StreamResult:
    """A claim with its verdict, what the solver was asked, and what was measured on the way."""

    kind: StreamKind
    task: StreamTask
    verdict: Verdict
    outcomes: tuple[Outcome, ...] = ()
    measured: dict[str, Any] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        return SENTENCES[self.kind].format(task=self.task.key)

    def to_dict(self) -> dict[str, Any]:
        return {
            "claim": {"kind": self.kind.value, "quantifiers": "for all lengths, for all streams"},
            "measured": self.measured,
            "sentence": self.sentence,
            "verdict": self.verdict.to_dict(),
        }
