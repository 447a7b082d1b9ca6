"""What every figure of the report is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from pipeline.svg import responsive

PANEL = 520
"""Width of one of two panels side by side."""


@dataclass(frozen=True)
class Figure:
    """A drawing as HTML, for each net (by key) the sentence to take away, and what a newcomer needs to read it."""

    body: str
    takeaways: tuple[tuple[str, str], ...]
    reading: str

    def html(self) -> str:
        """The figure with its caption; `reading` may hold markup, the takeaways are plain text."""
        lines = "".join(f"<p class='takeaway'><b>{escape(key)}</b> {escape(line)}</p>" for key, line in self.takeaways)
        return (
            f"<figure>{self.body}<figcaption>{lines}"
            f"<p class='reading'><b>How to read it.</b> {self.reading}</p></figcaption></figure>"
        )


def not_applicable(reasons: Mapping[str, str]) -> str:
    """A line for each thing that is not applicable to a task, in its place; nothing where all is."""
    return "".join(f"<p class='reading'>{escape(sentence)}</p>" for sentence in not_applicable_lines(reasons))


def not_applicable_lines(reasons: Mapping[str, str]) -> list[str]:
    """The same as plain text."""
    return [f"{name[:1].upper()}{name[1:]}: not applicable: {why}." for name, why in reasons.items()]


def panels(drawings: Sequence[tuple[str, Callable[[int], str] | None]], below: Sequence[str] = ()) -> str:
    """Named drawings side by side, one under the other on a phone; `below` is HTML to go under each.

    Where there is nothing to draw, `below` stands in its place.
    """
    under = below or [""] * len(drawings)
    cells = [
        f'<div class="panel"><h3>{escape(name)}</h3>{"" if draw is None else responsive(draw, PANEL)}{extra}</div>'
        for (name, draw), extra in zip(drawings, under, strict=True)
    ]
    return f'<div class="panels">{"".join(cells)}</div>'
