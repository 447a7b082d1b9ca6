"""The final table: one row a net, for the terminal, the page, the CSV and the metrics."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any

from stages.report.headline import percent, smallest
from stages.report.records import Record
from stages.report.stream_records import StreamRecord
from stages.report.stream_summary import STREAM_HEADERS, STREAM_NUMERIC, StreamRow, stream_row

WIDTH = 100
HEADERS = (
    "net",
    "test accuracy",
    "transition cycle",
    "phase at the end",
    "parameters before",
    "parameters after",
    "verdict",
)
NUMERIC = {1, 2, 4, 5}
"""Columns that are aligned to the right."""
CSV = (
    "net",
    "recipe",
    "test_accuracy",
    "transition_cycle",
    "final_phase",
    "parameters_before",
    "parameters_after",
    "verdict",
    "wrong_before",
    "right_from",
    "algorithm",
    "key_frequencies",
    "live_neurons",
    "circuit_edges",
    "edges",
)
"""Columns of summary.csv, fields of a row."""
INSIDE = (
    "net",
    "wrong answers",
    "right from step",
    "algorithm",
    "key frequencies",
    "live neurons",
    "edges in the circuit",
    "share of all edges",
)
INSIDE_NUMERIC = {1, 2, 4, 5, 6, 7}
NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True)
class Row:
    """One net in the final table; `wrong` counts the errors of the smallest net over all inputs.

    `algorithm` is NOT_APPLICABLE where the task has no basis in which one could be told; it has no frequencies then.
    """

    net: str
    recipe: str
    test_accuracy: float | None
    transition_cycle: int | None
    final_phase: str
    parameters_before: int
    parameters_after: int
    wrong: int
    verdict: str
    wrong_before: int
    right_from: int | None
    algorithm: str
    key_frequencies: int | None
    live_neurons: int | None
    circuit_edges: int
    edges: int

    @property
    def compression(self) -> float:
        return self.parameters_before / self.parameters_after

    def cells(self) -> tuple[str, ...]:
        """The row as a reader sees it, in the order of HEADERS."""
        return (
            self.net,
            percent(self.test_accuracy),
            "none" if self.transition_cycle is None else str(self.transition_cycle),
            self.final_phase,
            f"{self.parameters_before:,}",
            f"{self.parameters_after:,}",
            self.verdict,
        )

    def inside(self) -> tuple[str, ...]:
        """What the trained net is inside, in the order of INSIDE."""
        return (
            self.net,
            f"{self.wrong_before:,}",
            "never" if self.right_from is None else str(self.right_from),
            self.algorithm,
            NOT_APPLICABLE if self.algorithm == NOT_APPLICABLE else count(self.key_frequencies),
            count(self.live_neurons),
            f"{self.circuit_edges:,}",
            percent(self.circuit_edges / self.edges),
        )


def count(number: int | None) -> str:
    return "not measured" if number is None else f"{number:,}"


@dataclass(frozen=True)
class Summary:
    """The final table, and that of the recurrent nets."""

    rows: tuple[Row, ...]
    streams: tuple[StreamRow, ...] = ()

    def csv_rows(self) -> list[list[object]]:
        """Header and rows with bare numbers, for summary.csv."""
        rows: list[list[object]] = [list(CSV)]
        rows += [[getattr(row, name) for name in CSV] for row in self.rows]
        return rows

    def metrics(self) -> dict[str, dict[str, Any]]:
        """What `dvc metrics` and `dvc exp show` compare between experiments: few numbers, and no prose."""
        return {
            row.net: {
                "proved": int(row.verdict == "Proved"),
                "wrong": row.wrong_before,
                "right_from": row.right_from,
                "transition_cycle": row.transition_cycle,
                "key_frequencies": row.key_frequencies,
                "live_neurons": row.live_neurons,
                "circuit_edges": row.circuit_edges,
                "parameters_after": row.parameters_after,
            }
            for row in self.rows
        } | {row.net: row.metrics() for row in self.streams}


def summarise(records: Sequence[Record], streams: Sequence[StreamRecord] = ()) -> Summary:
    """One row for each record, in the order given."""
    return Summary(
        tuple(
            Row(
                net=record.key,
                recipe=record.recipe,
                test_accuracy=record.test_accuracy,
                transition_cycle=record.phases.transition_cycle,
                final_phase=record.phases.final,
                parameters_before=record.rungs[0].parameters,
                parameters_after=smallest(record).parameters,
                wrong=smallest(record).wrong,
                verdict=record.certificate.verdict,
                wrong_before=record.wrong,
                right_from=record.right_from,
                algorithm=record.phases.algorithm if record.mechanism_is_measured else NOT_APPLICABLE,
                key_frequencies=whole(record.key_frequencies),
                live_neurons=whole(record.measures.last("live_neurons")),
                circuit_edges=sum(bool(edge["in_circuit"]) for edge in record.circuit.edges),
                edges=len(record.circuit.edges),
            )
            for record in records
        ),
        tuple(map(stream_row, streams)),
    )


def whole(number: float | None) -> int | None:
    return None if number is None else int(number)


def table(summary: Summary) -> str:
    """The summary as aligned plain text, at most WIDTH columns wide, with each verdict on a line under its net."""
    tables = []
    if summary.rows:
        tables.append(aligned(HEADERS[:-1], [(row.cells()[:-1], row.verdict) for row in summary.rows], NUMERIC))
        tables.append(aligned(INSIDE, [(row.inside(), "") for row in summary.rows], INSIDE_NUMERIC))
    if summary.streams:
        rows = [(row.cells(), row.verdict) for row in summary.streams]
        tables.append(aligned(STREAM_HEADERS, rows, STREAM_NUMERIC))
    return "\n\n".join(tables)


def aligned(headers: Sequence[str], rows: Sequence[tuple[Sequence[str], str]], numeric: Set[int]) -> str:
    """Header and rows of cells, each with its verdict below; `numeric` columns are aligned to the right."""
    widths = [
        max(len(word) for word in (*header.split(), *(cells[i] for cells, _ in rows)))
        for i, header in enumerate(headers)
    ]
    widths = fitted(widths)
    lines = [*block(headers, widths, numeric), "  ".join("-" * width for width in widths)]
    for cells, verdict in rows:
        lines += block(cells, widths, numeric)
        lines += textwrap.wrap(verdict, WIDTH, initial_indent="  verdict  ", subsequent_indent=" " * 11)
    return "\n".join(lines)


def fitted(widths: list[int]) -> list[int]:
    """The widths with the widest columns cut until the table fits."""
    cut = list(widths)
    while sum(cut) + 2 * (len(cut) - 1) > WIDTH:
        cut[cut.index(max(cut))] -= 1
    return cut


def block(cells: Sequence[str], widths: Sequence[int], numeric: Set[int]) -> list[str]:
    """One row of cells, each wrapped to its width."""
    columns = [textwrap.wrap(cell, width) or [""] for cell, width in zip(cells, widths, strict=True)]
    lines = []
    for n in range(max(len(column) for column in columns)):
        shown = [column[n] if n < len(column) else "" for column in columns]
        placed = [
            text.rjust(width) if i in numeric else text.ljust(width)
            for i, (text, width) in enumerate(zip(shown, widths, strict=True))
        ]
        lines.append("  ".join(placed).rstrip())
    return lines
