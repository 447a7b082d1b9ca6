"""The drawings of the page as SVG: the circuit in a layout, the colours of its frequencies, and its curve."""

from __future__ import annotations

from collections import Counter, defaultdict
from html import escape
from typing import Any

import networkx as nx

from interp.circuit_view.layout import Layout
from interp.circuits.circuit import kept_part
from interp.circuits.curve import SHARES
from pipeline.svg import Svg, number

DRAWN = 600
"""How many edges are drawn all the time, the strongest between any two bands; those of a chosen node come on top."""
MANY = 100
"""From so many on they are drawn thinner."""
SMALLEST = 0.6
"""Scale below which a wide drawing scrolls in its box."""
COLOURS = 7
"""As many as people of any colour vision tell apart (Okabe and Ito 2008, without yellow); more frequencies repeat."""


def frequencies(circuit: nx.DiGraph) -> dict[int, int]:
    """Number of neurons of the circuit by strongest frequency, in the order of the frequencies."""
    found = Counter(
        data["frequency"] for _, data in circuit.nodes(data=True) if data["kind"] == "neuron" and data["frequency"]
    )
    return dict(sorted(found.items()))


def drawing(circuit: nx.DiGraph, here: Layout, css: str) -> str:
    """Edges below, nodes above in the order of the graph, and between them an empty group for the script's edges."""
    edges, nodes = Svg(here.width, here.height), Svg(here.width, here.height)
    strongest = _strongest(circuit)
    greatest = max((abs(score) for _, _, score in strongest), default=0.0)
    thick = 3.0 if len(strongest) < MANY else 1.4
    for sender, receiver, score in strongest:
        share = abs(score) / greatest if greatest else 1.0
        a, b = here.places[sender], here.places[receiver]
        mark = "edge against" if score < 0 else "edge"
        width, opacity = 0.6 + thick * share, 0.2 + 0.6 * share
        edges.element("line", mark, x1=a.x, y1=a.y, x2=b.x, y2=b.y, stroke_width=width, stroke_opacity=opacity)
    for band in here.bands:
        nodes.text(band.x, band.y, band.title, css="title", anchor="start" if here.frame.upright else "middle")
    colour = {frequency: i % COLOURS for i, frequency in enumerate(frequencies(circuit))}
    for name, data in circuit.nodes(data=True):
        place, mark = here.places[name], f"node {data['kind']}" + ("" if data["in_circuit"] else " out")
        if data["kind"] == "neuron" and data["frequency"]:
            mark += f" c{colour[data['frequency']]}"
        nodes.dot(place.x, place.y, place.radius, mark)
        if data["kind"] not in ("neuron", "logits"):
            label = name.partition(".")[2]
            nodes.text(place.x, place.y - place.radius - 6, label, css="label", anchor="middle")
    marks = [*edges.marks, '<g class="own"></g>', *nodes.marks, '<circle class="ring" r="0"/>']
    label = f"The circuit, {circuit.number_of_nodes()} nodes. Arrow keys move, Enter pins, Escape clears."
    size = f'viewBox="0 0 {number(here.width)} {number(here.height)}"'
    least = "" if here.frame.upright else f' style="min-width:{number(SMALLEST * here.width)}px"'
    head = f'<svg class="graph {css}" {size}{least} role="application" tabindex="0" aria-label="{escape(label)}">'
    return "\n".join([head, *marks, "</svg>"])


def _strongest(circuit: nx.DiGraph) -> list[tuple[str, str, float]]:
    """As many edges between any two bands as between any other, where there are so many."""
    between: dict[tuple[Any, ...], list[tuple[str, str, float]]] = defaultdict(list)
    for sender, receiver, score in kept_part(circuit).edges(data="score"):
        ends = [(circuit.nodes[name]["layer"], circuit.nodes[name]["kind"]) for name in (sender, receiver)]
        between[tuple(ends)].append((sender, receiver, score or 0.0))
    each = -(-DRAWN // len(between)) if between else 0
    return [edge for edges in between.values() for edge in sorted(edges, key=lambda edge: -abs(edge[2]))[:each]]


def legend(circuit: nx.DiGraph) -> str:
    """A button per frequency, which shows its neurons."""
    found = frequencies(circuit)
    if not found:
        return ""
    buttons = "".join(
        f'<button type="button" class="c{i % COLOURS}" data-frequency="{k}" title="{n} neurons">{k}</button>'
        for i, (k, n) in enumerate(found.items())
    )
    return f'<div class="legend"><span>Frequencies of neurons</span>{buttons}</div>'


def curve(circuit: nx.DiGraph) -> str:
    """f against log10 of the share, from the curve's points."""
    values = [point["faithfulness"] for point in circuit.graph["curve"]]
    low, high = min(0.0, *values), max(1.05, *values)
    svg = Svg(360, 190)
    x = [40 + 300 * i / (len(SHARES) - 1) for i in range(len(SHARES))]
    y = [160 - 140 * (value - low) / (high - low) for value in values]
    for level in (0.0, 1.0):
        at = 160 - 140 * (level - low) / (high - low)
        svg.line(40, at, 340, at, "rule")
        svg.text(34, at + 4, f"{level:g}", anchor="end")
    for i, share in enumerate(SHARES):
        if i % 3 == 0:
            svg.text(x[i], 180, f"{share:.1%}".replace(".0%", "%"), anchor="middle")
    svg.element("polyline", "line", points=" ".join(f"{number(a)},{number(b)}" for a, b in zip(x, y, strict=True)))
    for a, b, point in zip(x, y, circuit.graph["curve"], strict=True):
        svg.dot(a, b, 3, "dot", title=f"{point['edges']} edges: {point['faithfulness']:.3f}")
    return f'<svg viewBox="0 0 360 190" role="img" aria-label="faithfulness curve">{"".join(svg.marks)}</svg>'
