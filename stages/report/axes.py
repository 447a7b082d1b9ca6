"""One plotting area with its axes, and the few marks that every figure shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

from pipeline.svg import Scale, Svg, text_width, tick_label

LEFT, RIGHT = 46.0, 14.0
"""Margins of a plotting area: room for tick labels on the left, for half a tick label on the right."""


@dataclass(frozen=True)
class Axes:
    """A plotting area inside a drawing: its two scales and its rectangle."""

    svg: Svg
    x: Scale
    y: Scale

    @property
    def top(self) -> float:
        return min(self.y.start, self.y.end)

    @property
    def bottom(self) -> float:
        return max(self.y.start, self.y.end)

    def frame(
        self,
        title: str,
        x_title: str = "",
        y_ticks: Sequence[float] | None = None,
        y_label: Callable[[float], str] = tick_label,
        x_ticks: Sequence[float] | None = None,
    ) -> None:
        """Horizontal rules at the ticks, the title above the area, the x axis below it where it has a name."""
        svg = self.svg
        svg.text(0, self.top - 12, title, "axis-title")
        for value in self.y.ticks(4) if y_ticks is None else y_ticks:
            at = self.y(value)
            svg.line(self.x.start, at, self.x.end, at, "rule")
            svg.text(self.x.start - 6, at + 4, y_label(value), "tick", "end")
        svg.line(self.x.start, self.bottom, self.x.end, self.bottom, "axis")
        for value in self.x.ticks(5) if x_ticks is None else x_ticks:
            svg.line(self.x(value), self.bottom, self.x(value), self.bottom + 4, "axis")
            if x_title:
                svg.text(self.x(value), self.bottom + 17, tick_label(value), "tick", "middle")
        if x_title:
            svg.text((self.x.start + self.x.end) / 2, self.bottom + 34, x_title, "axis-title", "middle")

    def curve(self, points: Iterable[tuple[float, float]], css: str, dots: bool = False) -> None:
        """A line through data points; with dots, each carries its values as a tool tip."""
        kept = list(points)
        self.svg.path([(self.x(x), self.y(y)) for x, y in kept], f"curve {css}")
        for x, y in kept if dots else ():
            self.svg.dot(self.x(x), self.y(y), 2.2, f"dot {css}", f"{x:g}: {y:.4g}")

    def area(self, points: Iterable[tuple[float, float]], scale: Scale, css: str) -> None:
        """The region between the bottom and a curve that has a vertical scale of its own."""
        at = [(self.x(x), scale(y)) for x, y in points]
        if at:
            self.svg.path([(at[0][0], self.bottom), *at, (at[-1][0], self.bottom)], css, closed=True)

    def mark(self, x: float, text: str = "") -> None:
        """A vertical line at a moment that matters, its name beside it at the foot."""
        at = self.x(x)
        self.svg.line(at, self.top, at, self.bottom, "moment")
        if text:
            fits = at + 5 + text_width(text, 11) < self.x.end
            self.svg.text(at + 5 if fits else at - 5, self.bottom - 8, text, "note", "start" if fits else "end")


def legend(entries: Sequence[tuple[str, str, str]]) -> str:
    """A row of (kind, css, name) as HTML above the panels, so that it wraps on a phone; kind is curve or fill."""
    items = []
    for kind, css, name in entries:
        swatch = Svg(22, 12)
        if kind == "curve":
            swatch.line(1, 6, 21, 6, f"curve {css}")
        else:
            swatch.rect(3, 1, 16, 10, css)
        items.append(f'<span class="entry">{swatch}{escape(name)}</span>')
    return f'<p class="legend">{"".join(items)}</p>'
