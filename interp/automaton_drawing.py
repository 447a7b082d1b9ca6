"""A machine's graph as a small SVG: states as circles, one arrow for each two states that are joined.

The same graph gives the same bytes. Lines take the colour of the text around them, so that one drawing serves a light
page and a dark one.
"""

from __future__ import annotations

import math

import networkx as nx

from pipeline.svg import Svg, number

WIDTH, RADIUS, HEAD, LINE = 360.0, 20.0, 8.0, 14.0
XMLNS = ' xmlns="http://www.w3.org/2000/svg"'
FEW = 2
"""Up to so many states the arrows carry their words; beyond, as tool tips only."""

Point = tuple[float, float]


def drawing(graph: nx.DiGraph, label: str) -> str:
    """The whole file. State 0, where every stream starts, is at the left, with an arrow from below."""
    few = len(graph) <= FEW
    height = 230.0 if few else 320.0
    middle = (WIDTH / 2, height / 2)
    reach = 98.0 if few else 110.0
    at = {
        q: (middle[0] - reach * float(x), middle[1] - reach * float(y))
        for q, (x, y) in nx.circular_layout(graph).items()
    }
    svg = Svg(WIDTH, height, label)
    for source, target, edge in sorted(graph.edges(data=True), key=lambda edge: edge[:2]):
        words = (str(edge["reads"]), f"writes {edge['writes']}")
        tip = f"{source} to {target}: {words[0]}, {words[1]} ({edge['pairs']} pairs)"
        if source == target:
            loop(svg, at[source], (0.0, -1.0) if few else outward(at[source], middle), words if few else (), tip)
        else:
            bow(svg, at[source], at[target], words if few else (), tip)
    x, y = at[0]
    arrow(svg, (x, y + RADIUS + 26), (x, y + RADIUS), "start")
    for q, (x, y) in sorted(at.items()):
        svg.element("circle", "", cx=x, cy=y, r=RADIUS, fill="none", stroke="currentColor", stroke_width=1.4)
        svg.element("text", "", str(q), x=x, y=y + 5, text_anchor="middle", fill="currentColor", font_size=14)
    return str(svg).replace("<svg", f'<svg{XMLNS} font-family="sans-serif"', 1) + "\n"


def bow(svg: Svg, start: Point, end: Point, words: tuple[str, ...], tip: str) -> None:
    """An arrow bent to its left, so that the way back is another."""
    across, up = end[0] - start[0], end[1] - start[1]
    length = math.hypot(across, up)
    normal = (up / length, -across / length)
    bend = 110.0 if words else 44.0
    middle = ((start[0] + end[0]) / 2 + bend * normal[0], (start[1] + end[1]) / 2 + bend * normal[1])
    curve(svg, toward(start, middle), middle, toward(end, middle), tip)
    if words:
        chord = (start[1] + end[1]) / 2
        write(svg, (middle[0], chord - 18 if normal[1] < 0 else chord + 78), words)


def loop(svg: Svg, at: Point, way: Point, words: tuple[str, ...], tip: str) -> None:
    """An arrow from a state to itself, on the side of `way`."""
    angle = math.atan2(way[1], way[0])
    ends = [(at[0] + RADIUS * math.cos(angle + s), at[1] + RADIUS * math.sin(angle + s)) for s in (-0.5, 0.5)]
    poles = [(at[0] + 58 * math.cos(angle + s), at[1] + 58 * math.sin(angle + s)) for s in (-0.45, 0.45)]
    points = " ".join(f"{number(x)} {number(y)}" for x, y in (*poles, ends[1]))
    stroke(svg, f"M{number(ends[0][0])} {number(ends[0][1])}C{points}", tip)
    head(svg, poles[1], ends[1])
    if words:
        write(svg, (at[0], at[1] - 50 - LINE - 8), words)


def curve(svg: Svg, start: Point, pole: Point, end: Point, tip: str) -> None:
    """A quadratic arrow."""
    points = " ".join(f"{number(x)} {number(y)}" for x, y in (pole, end))
    stroke(svg, f"M{number(start[0])} {number(start[1])}Q{points}", tip)
    head(svg, pole, end)


def arrow(svg: Svg, start: Point, end: Point, word: str) -> None:
    """A straight arrow with a word at its foot."""
    points = f"M{number(start[0])} {number(start[1])}L{number(end[0])} {number(end[1])}"
    stroke(svg, points, "")
    head(svg, start, end)
    write(svg, (start[0], start[1] + 14), (word,))


def stroke(svg: Svg, points: str, tip: str) -> None:
    svg.element("path", "", title=tip, d=points, fill="none", stroke="currentColor", stroke_width=1.4)


def head(svg: Svg, before: Point, tip: Point) -> None:
    """The point of an arrow that comes from `before`."""
    angle = math.atan2(tip[1] - before[1], tip[0] - before[0])
    sides = [(tip[0] - HEAD * math.cos(angle + s), tip[1] - HEAD * math.sin(angle + s)) for s in (-0.4, 0.4)]
    points = "L".join(f"{number(x)} {number(y)}" for x, y in (tip, *sides))
    svg.element("path", "", d=f"M{points}Z", fill="currentColor")


def write(svg: Svg, at: Point, lines: tuple[str, ...]) -> None:
    """Lines of text, centred, the first one's base line at `at`."""
    for i, line in enumerate(lines):
        y = at[1] + LINE * i
        svg.element("text", "", line, x=at[0], y=y, text_anchor="middle", fill="currentColor", font_size=12)


def toward(centre: Point, aim: Point) -> Point:
    """Where the line from a state's centre to `aim` leaves its circle."""
    length = math.hypot(aim[0] - centre[0], aim[1] - centre[1])
    return centre[0] + RADIUS * (aim[0] - centre[0]) / length, centre[1] + RADIUS * (aim[1] - centre[1]) / length


def outward(at: Point, middle: Point) -> Point:
    return at[0] - middle[0], at[1] - middle[1]
