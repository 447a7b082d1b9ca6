"""The picture: a forest plot, cells down, what cycles gain across, in hundredths of the budget or of accuracy."""

from __future__ import annotations

from benchmarks.experiment.compare import PAIRS, Comparison, comparisons, finished
from benchmarks.experiment.raw import Raw
from pipeline.svg import Scale, Svg, tick_label

WIDTH, LEFT, RIGHT, TOP, ROW, FOOT = 860, 190, 24, 74, 40, 62
MARKS = {PAIRS[0]: "constant", PAIRS[1]: "decayed", PAIRS[3]: "luck"}
WORDS = {
    "constant": "against the best constant rate",
    "decayed": "against the best decayed rate",
    "luck": "constant against constant, searched twice",
}
STYLE = """<style>
svg { --paper: #ffffff; --ink: #16181d; --soft: #555b66; --rule: #e3e5ea; --axis: #8b919c;
  --blue: #0072b2; --vermilion: #c44f00; --grey: #8b919c; font: 12px system-ui, "Segoe UI", Arial, sans-serif; }
@media (prefers-color-scheme: dark) { svg { --paper: #14161a; --ink: #eceef2; --soft: #a9b0bc; --rule: #2b2f37;
  --axis: #767d89; --blue: #56b4e9; --vermilion: #f0803c; --grey: #767d89; } }
.paper { fill: var(--paper); } text { fill: var(--ink); } .soft { fill: var(--soft); }
.rule { stroke: var(--rule); } .zero { stroke: var(--axis); }
line.constant, line.decayed, line.luck { stroke-width: 2; }
.constant { stroke: var(--blue); fill: var(--blue); } .decayed { stroke: var(--vermilion); fill: var(--vermilion); }
.luck { stroke: var(--grey); fill: var(--grey); } .points { fill: var(--paper); stroke-width: 2; }
</style>"""


def forest(raw: Raw) -> str:
    """The SVG file; the same bytes for the same results."""
    shown = [one for one in comparisons(raw) if (one.arm, one.other) in MARKS]
    cells = finished(raw)
    low = min(0.0, *(one.gain.low * one.scale for one in shown))
    high = max(0.0, *(one.gain.high * one.scale for one in shown))
    x = Scale(low - 2, high + 2, LEFT, WIDTH - RIGHT)
    svg = Svg(WIDTH, TOP + ROW * len(cells) + FOOT, "Steps that cyclic rates save against other rates, cell by cell")
    svg.marks.append(STYLE)
    svg.rect(0, 0, svg.width, svg.height, "paper")
    _legend(svg)
    bottom = TOP + ROW * len(cells)
    for tick in x.ticks(8):
        svg.line(x(tick), TOP - 8, x(tick), bottom, "rule" if tick else "zero")
        svg.text(x(tick), bottom + 16, tick_label(tick), "soft", "middle")
    middle = (LEFT + WIDTH - RIGHT) / 2
    svg.text(
        middle,
        bottom + 36,
        "filled: steps to 95% saved, % of the budget; hollow: points of final accuracy, where no run gets to 95%",
        "soft",
        "middle",
    )
    svg.text(x(0) - 8, TOP - 14, "cycles lose", "soft", "end")
    svg.text(x(0) + 8, TOP - 14, "cycles win", "soft")
    for row, name in enumerate(cells):
        y = TOP + ROW * row + ROW / 2
        svg.text(LEFT - 14, y + 4, name, "", "end")
        for place, one in enumerate(one for one in shown if one.cell == name):
            _mark(svg, x, y + 10 * (place - 1), one)
    return str(svg).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"


def _legend(svg: Svg) -> None:
    at = 24.0
    for css, words in WORDS.items():
        svg.line(at, 24, at + 26, 24, css)
        svg.dot(at + 13, 24, 4, css)
        svg.text(at + 34, 28, words)
        at += 58 + 6.4 * len(words)


def _mark(svg: Svg, x: Scale, y: float, one: Comparison) -> None:
    css, gain, scale = MARKS[one.arm, one.other], one.gain, one.scale
    title = (
        f"{one.cell}: {one.arm} against {one.other}, {gain.mean:+.1f} {one.unit} [{gain.low:+.1f}, {gain.high:+.1f}]"
    )
    svg.line(x(gain.low * scale), y, x(gain.high * scale), y, css, title)
    svg.dot(x(gain.mean * scale), y, 4, css if one.unit == "steps" else f"{css} points", title)
