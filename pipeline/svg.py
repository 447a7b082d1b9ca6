"""A small SVG writer: enough for line plots, bars and boxes, and byte for byte the same for the same input.

Colours are never written here. Every mark carries CSS classes and the page's style sheet gives them a colour for light,
dark and paper, so that one drawing serves all three.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape

NARROW = 360
"""Width in pixels of the drawings for a phone; the wide ones are given by each figure."""


def number(value: float) -> str:
    """A coordinate: two decimals at most, no trailing zeros, no negative zero."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def text_width(text: str, size: float = 12.0) -> float:
    """An estimate in pixels for the sans-serif of the figures; errs on the wide side."""
    return 0.58 * size * len(text)


@dataclass
class Svg:
    """A drawing of `width` by `height` pixels, collected mark by mark."""

    width: float
    height: float
    label: str = ""
    marks: list[str] = field(default_factory=list)

    def element(self, name: str, css: str, content: str = "", title: str = "", **attributes: str | float) -> None:
        """One element; `title` becomes the tool tip, underscores in attribute names become hyphens."""
        parts = [f'class="{escape(css)}"'] if css else []
        for key, value in attributes.items():
            shown = number(value) if isinstance(value, float | int) else escape(value)
            parts.append(f'{key.rstrip("_").replace("_", "-")}="{shown}"')
        inner = (f"<title>{escape(title)}</title>" if title else "") + content
        head = f"<{name} {' '.join(parts)}"
        self.marks.append(f"{head}>{inner}</{name}>" if inner else f"{head}/>")

    def line(self, x1: float, y1: float, x2: float, y2: float, css: str, title: str = "") -> None:
        self.element("line", css, title=title, x1=x1, y1=y1, x2=x2, y2=y2)

    def rect(self, x: float, y: float, width: float, height: float, css: str, title: str = "", rx: float = 0.0) -> None:
        self.element("rect", css, title=title, x=x, y=y, width=max(width, 0.0), height=max(height, 0.0), rx=rx)

    def dot(self, x: float, y: float, radius: float, css: str, title: str = "") -> None:
        self.element("circle", css, title=title, cx=x, cy=y, r=radius)

    def text(self, x: float, y: float, text: str, css: str = "", anchor: str = "start") -> None:
        """Text on one line; y is the base line."""
        self.element("text", css, content=escape(text), x=x, y=y, text_anchor=anchor)

    def path(self, points: Sequence[tuple[float, float]], css: str, closed: bool = False, title: str = "") -> None:
        """A polyline through the points, filled when closed."""
        if not points:
            return
        d = "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points) + ("Z" if closed else "")
        self.element("path", css, title=title, d=d)

    def ribbon(self, x1: float, y1: float, x2: float, y2: float, width: float, css: str, title: str = "") -> None:
        """A smooth horizontal-to-horizontal connection of the given stroke width."""
        middle = (x1 + x2) / 2
        d = f"M{number(x1)} {number(y1)}C{number(middle)} {number(y1)} {number(middle)} {number(y2)} "
        d += f"{number(x2)} {number(y2)}"
        self.element("path", css, title=title, d=d, stroke_width=width)

    def __str__(self) -> str:
        named = f'role="img" aria-label="{escape(self.label)}"' if self.label else 'aria-hidden="true"'
        width, height = number(self.width), number(self.height)
        size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        return f"<svg {size} {named}>" + "\n".join(self.marks) + "</svg>"


@dataclass(frozen=True)
class Scale:
    """Data to pixels, linear or logarithmic; a value outside the domain is drawn at its edge."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, at = self.low, self.high, min(max(value, self.low), self.high)
        if self.log:
            low, high, at = math.log10(low), math.log10(high), math.log10(at)
        share = (at - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """Round values inside the domain: powers of ten on a log scale, 1-2-5 steps on a linear one."""
        if self.log:
            powers = range(math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9) + 1)
            step = max(1, math.ceil(len(powers) / count))
            return [10.0**power for power in list(powers)[::-step][::-1]]
        span = self.high - self.low
        if span <= 0:
            return [self.low]
        raw = span / count
        magnitude = 10.0 ** math.floor(math.log10(raw))
        step = next(unit * magnitude for unit in (1, 2, 5, 10) if unit * magnitude >= raw * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        return [i * step for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


def log_domain(values: Sequence[float], floor: float = 1e-9) -> tuple[float, float]:
    """The whole decades around the positive values; one decade where there are none."""
    kept = [max(value, floor) for value in values if math.isfinite(value)]
    if not kept:
        return 0.1, 1.0
    low, high = math.floor(math.log10(min(kept)) + 1e-9), math.ceil(math.log10(max(kept)) - 1e-9)
    return 10.0**low, 10.0 ** max(high, low + 1)


def tick_label(value: float) -> str:
    """10 -> 10, 0.001 -> 0.001, 1e-06 -> 1e-6, 200000 -> 200k."""
    if value == 0:
        return "0"
    if abs(value) >= 1e6:
        return f"{value / 1e6:g}M"
    if abs(value) >= 10_000:
        return f"{value / 1e3:g}k"
    if abs(value) < 0.001:
        mantissa, exponent = f"{value:.0e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    return f"{value:g}"


def responsive(draw: Callable[[int], str], wide: int, narrow: int = NARROW) -> str:
    """The same figure drawn for two widths; the style sheet shows the one that fits."""
    return f'<div class="wide">{draw(wide)}</div><div class="narrow">{draw(narrow)}</div>'
