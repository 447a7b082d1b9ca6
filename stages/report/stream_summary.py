"""The rows of the recurrent nets in the final table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stages.report.headline import percent
from stages.report.stream_records import Shares, StreamRecord

STREAM_HEADERS = (
    "net",
    "random, shortest",
    "hard, shortest",
    "random, longest",
    "hard, longest",
    "proved in cycle",
    "counter- examples",
    "parameters before",
    "parameters after",
)
STREAM_NUMERIC = set(range(1, len(STREAM_HEADERS)))


@dataclass(frozen=True)
class StreamRow:
    """One recurrent net: shares of streams right at the shortest and longest lengths tried, and how its proof ended.

    `parameters_after` is None where no smaller net that learnt its machine is proved.
    """

    net: str
    shares: Shares
    lengths: tuple[int, ...]
    first_proved: int | None
    taught: int
    parameters_before: int
    parameters_after: int | None
    verdict: str

    def cells(self) -> tuple[str, ...]:
        """The row in the order of STREAM_HEADERS."""
        names = [f"{kind}_{length}" for length in (min(self.lengths), max(self.lengths)) for kind in ("random", "hard")]
        return (
            self.net,
            *(percent(self.shares.get(name)) for name in names),
            "never" if self.first_proved is None else str(self.first_proved),
            str(self.taught),
            f"{self.parameters_before:,}",
            "none" if self.parameters_after is None else f"{self.parameters_after:,}",
        )

    def metrics(self) -> dict[str, Any]:
        """What `dvc metrics` and `dvc exp show` compare between experiments: few numbers, and no prose."""
        hard = f"hard_{max(self.lengths)}"
        return {
            "proved": int(self.verdict == "Proved"),
            "first_proved": self.first_proved,
            hard: self.shares[hard],
            "taught": self.taught,
            "parameters_after": self.parameters_after,
        }


def stream_row(record: StreamRecord) -> StreamRow:
    """The row of one net."""
    smallest = record.smallest
    return StreamRow(
        net=record.key,
        shares=record.last.shares,
        lengths=record.lengths,
        first_proved=record.first_proved,
        taught=record.taught,
        parameters_before=record.parameters,
        parameters_after=None if smallest is None else smallest.parameters,
        verdict=record.certificate.verdict,
    )
