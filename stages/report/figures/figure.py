"""What every figure of the report is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


def panels(drawings: Sequence[tuple[str, Callable[[int], str]]], below: Sequence[str] = ()) -> str:
    """Named drawings side by side, one under the other on a phone; `below` is HTML to go under each."""
    under = below or [""] * len(drawings)
    cells = [
        f'<div class="panel"><h3>{escape(name)}</h3>{responsive(draw, PANEL)}{extra}</div>'
        for (name, draw), extra in zip(drawings, under, strict=True)
    ]
    return f'<div class="panels">{"".join(cells)}</div>'
