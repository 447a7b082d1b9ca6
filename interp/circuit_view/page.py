"""The page of a circuit: its drawing, its curve, and a panel on the node under the pointer. No network, no library."""

from __future__ import annotations

import json
from html import escape
from importlib.resources import files

import networkx as nx

from interp.circuit_view.data import page_data
from interp.circuit_view.drawing import COLOURS, curve, drawing, frequencies, legend
from interp.circuit_view.layout import NARROW, WIDE, layout


def page(circuit: nx.DiGraph) -> str:
    """The whole file."""
    facts = circuit.graph
    part = files("interp.circuit_view")
    data = json.dumps(page_data(circuit), separators=(",", ":")).replace("<", "\\u003c")
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
<label class="find">Find a node <input id="find" type="search" list="names" placeholder="{escape(_example(circuit))}"
autocomplete="off" spellcheck="false"></label>
<datalist id="names"></datalist>
<div class="box">
{drawing(circuit, layout(circuit, WIDE), "wide")}
{drawing(circuit, layout(circuit, NARROW), "narrow")}
</div>
{legend(circuit)}
<figcaption>Point at a node, or move with the arrow keys; click, tap or Enter pins it, Escape lets go. Blue edges carry
the answer, orange ones work against it; width is their score. {_notes(circuit)}</figcaption>
</figure>
<aside id="panel" aria-live="polite"></aside>
<figure class="curve">
<h2>Faithfulness by size</h2>
{curve(circuit)}
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


def _notes(circuit: nx.DiGraph) -> str:
    """The end of the caption: what circles, colours and counts say, where there are any."""
    found = len(frequencies(circuit))
    colours = "; neurons stand in the order of their strongest frequency, which is their colour" if found else ""
    repeats = f", and colours repeat after {COLOURS}" if found > COLOURS else ""
    counted = any(changes is not None for _, _, changes in circuit.edges(data="changes"))
    changed = " Answers changed: on how many inputs the circuit answers otherwise once that edge is cut."
    return f"Filled nodes are in the circuit{colours}{repeats}.{changed if counted else ''}"


def _example(circuit: nx.DiGraph) -> str:
    """The strongest node."""
    scores = {name: abs(data["score"] or 0.0) for name, data in circuit.nodes(data=True)}
    return max(scores, key=lambda name: scores[name])
