"""The page of a circuit: its drawing, its curve, and a panel on the node under the pointer. No network, no library."""

from __future__ import annotations

import json
from html import escape
from importlib.resources import files
from typing import Any

import networkx as nx

from interp.circuit_view.layout import Layout, layout
from interp.circuits.circuit import kept_part
from interp.circuits.curve import SHARES
from pipeline.report.svg import Svg, number

DRAWN = 400
"""How many edges, the strongest, are drawn all the time; those of the node under the pointer are all drawn on top."""


def page(circuit: nx.DiGraph) -> str:
    """The whole file."""
    facts, here = circuit.graph, layout(circuit)
    part = files("interp.circuit_view")
    data = json.dumps(_data(circuit, here), separators=(",", ":")).replace("<", "\\u003c")
    title = f"{facts['task']}: circuit by {facts['method'].replace('_', ' ')}"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>
{part.joinpath("page.css").read_text()}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
<p>{escape(_summary(circuit))}</p>
</header>
<main>
<figure class="drawing">
{_drawing(circuit, here)}
<figcaption>Point at a node, or tap it, or move with the arrow keys. Blue edges carry the answer, orange ones
work against it; width is their score. Filled nodes are in the circuit{_colour_note(circuit)}.</figcaption>
</figure>
<aside id="panel" aria-live="polite"><p class="hint">Point at a node.</p></aside>
<figure class="curve">
<h2>Faithfulness by size</h2>
{_curve(circuit)}
<figcaption>Share of the metric kept by the circuits of the strongest edges, all else corrupted, against the share
of edges kept (logarithmic). CPR {facts["cpr"]:.3f} is the area under it, CMD {facts["cmd"]:.3f} the area between
it and 1, both over the share itself (Mueller et al. 2025).</figcaption>
</figure>
</main>
<script type="application/json" id="data">{data}</script>
<script>
{part.joinpath("page.js").read_text()}</script>
</body>
</html>
"""


def _summary(circuit: nx.DiGraph) -> str:
    facts = circuit.graph
    kept, metric = facts["circuit"], facts["metric"]
    counts = [changes for _, _, changes in circuit.edges(data="changes") if changes is not None]
    needed = sum(changes > 0 for changes in counts)
    removal = f" Removing any one of {needed} kept edges changes an answer on some input." if counts else ""
    return (
        f"{kept['edges']} of {circuit.number_of_edges()} edges keep {kept['faithfulness']:.1%} of the metric and the "
        f"net's own answer on {kept['agreement']:.1%} of the inputs. The metric is {metric['clean']:.3g} on clean "
        f"inputs and {metric['corrupted']:.3g} on corrupted ones, {facts['n_inputs']} of each.{removal}"
    )


def _colour_note(circuit: nx.DiGraph) -> str:
    neurons = any(kind == "neuron" for _, kind in circuit.nodes(data="kind"))
    return "; the colour of a neuron is its strongest frequency" if neurons else ""


def _data(circuit: nx.DiGraph, here: Layout) -> dict[str, Any]:
    """What the script needs: nodes with their places, and the kept edges by number of node."""
    names = list(circuit.nodes)
    index = {name: i for i, name in enumerate(names)}
    keys = ("kind", "score", "in_circuit", "frequency", "spectrum")
    nodes = [
        {"name": name, **{key: _short(circuit.nodes[name][key]) for key in keys}, "at": _at(here, name)}
        for name in names
    ]
    edges = [
        [index[s], index[r], _short(data["score"]), data["changes"]]
        for s, r, data in kept_part(circuit).edges(data=True)
    ]
    return {"nodes": nodes, "edges": edges, "order": [index[name] for column in here.columns for name in column.names]}


def _at(here: Layout, name: str) -> list[float]:
    place = here.places[name]
    return [round(place.x, 1), round(place.y, 1), round(place.radius, 1)]


def _short(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _drawing(circuit: nx.DiGraph, here: Layout) -> str:
    """Edges below, nodes above, and an empty group between for the edges that the script draws."""
    label = f"{circuit.number_of_nodes()} nodes in {len(here.columns)} columns"
    edges, nodes = Svg(here.width, here.height), Svg(here.width, here.height)
    strongest = sorted(kept_part(circuit).edges(data="score"), key=lambda edge: -abs(edge[2] or 0.0))[:DRAWN]
    greatest = abs(strongest[0][2] or 0.0) if strongest else 0.0
    for sender, receiver, score in strongest:
        share = abs(score or 0.0) / greatest if greatest else 1.0
        a, b = here.places[sender], here.places[receiver]
        css = "edge against" if (score or 0.0) < 0 else "edge"
        edges.element(
            "line", css, x1=a.x, y1=a.y, x2=b.x, y2=b.y, stroke_width=0.6 + 3 * share, stroke_opacity=0.2 + 0.6 * share
        )
    for column in here.columns:
        nodes.text(column.x, 20, column.title, css="title", anchor="middle")
    for name, place in here.places.items():
        _node(nodes, circuit, name, place.x, place.y, place.radius)
    inner = "\n".join([*edges.marks, '<g id="own"></g>', *nodes.marks, '<circle id="ring" r="0"/>'])
    size = f"0 0 {number(here.width)} {number(here.height)}"
    return f'<svg id="graph" viewBox="{size}" role="img" tabindex="0" aria-label="{escape(label)}">\n{inner}\n</svg>'


def _node(svg: Svg, circuit: nx.DiGraph, name: str, x: float, y: float, radius: float) -> None:
    data = circuit.nodes[name]
    css = f"node {data['kind']}" + ("" if data["in_circuit"] else " out")
    if data["kind"] == "neuron" and data["frequency"]:
        hue = round(137.508 * data["frequency"]) % 360
        svg.element("circle", css, cx=x, cy=y, r=radius, style=f"--hue:{hue}")
        return
    svg.dot(x, y, radius, css)
    if data["kind"] != "neuron":
        svg.text(x, y - radius - 4, name.partition(".")[2] or name, css="label", anchor="middle")


def _curve(circuit: nx.DiGraph) -> str:
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
