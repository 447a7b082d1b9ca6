"""The page of a circuit: what is on it, where it stands, and that it needs nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import networkx as nx
import pytest

from interp.circuit_view import page
from interp.circuit_view.data import HELD, page_data
from interp.circuit_view.drawing import COLOURS, frequencies
from interp.circuit_view.layout import NARROW, WIDE, Frame, layout
from interp.circuits import find
from interp.circuits.circuit import kept_part
from pipeline.nets import Transformer
from pipeline.tasks import ModularTask

P = 11


@pytest.fixture
def circuit(make_clock: Callable[..., Transformer]) -> nx.DiGraph:
    net = make_clock(P, (1, 3), idle=2)
    return find(net, ModularTask(P), "attribution_patching", neurons=True, inputs=40, target=0.9)


def dense(layers: int, heads: int, neurons: int) -> nx.DiGraph:
    """Every neuron of a layer fed by every one of the layer before: more edges than a page holds."""
    point = {"edges": 1, "faithfulness": 1.0, "agreement": 1.0}
    graph = nx.DiGraph(
        task="x", p=5, operation="x", method="m", n_inputs=4, metric={"clean": 1.0, "corrupted": 0.0},
        circuit=point, curve=[point] * 10, cpr=1.0, cmd=0.0,
    )  # fmt: skip

    def add(name: str, kind: str, layer: int, frequency: int | None) -> None:
        spectrum = None if frequency is None else [float(k + 1 == frequency) for k in range(9)]
        known = {"score": 1.0, "in_circuit": True, "frequency": frequency, "spectrum": spectrum}
        graph.add_node(name, kind=kind, layer=layer, index=0, **known)

    add("embed.a", "embed", -1, None)
    for layer in range(layers):
        for i in range(heads):
            add(f"head.{layer}.{i}", "head", layer, None)
        for i in range(neurons):
            add(f"neuron.{layer}.{i}", "neuron", layer, i % 9 + 1)
    add("logits", "logits", layers, None)
    for layer in range(1, layers):
        for s in range(neurons):
            for r in range(neurons):
                score = (-1) ** s / (1 + s + r)
                graph.add_edge(
                    f"neuron.{layer - 1}.{s}", f"neuron.{layer}.{r}", score=score, in_circuit=True, changes=None
                )
    return graph


def data_of(text: str) -> dict[str, Any]:
    return json.loads(re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[0])


class Outline(HTMLParser):
    """Tags that are open, circles of nodes in each drawing, and every attribute that could load something."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.nodes: list[int] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        css = (given.get("class") or "").split()
        self.loads += [str(given[key]) for key in ("src", "href", "xlink:href", "action", "srcset") if key in given]
        if tag == "svg" and "graph" in css:
            self.nodes.append(0)
        if tag == "circle" and "node" in css:
            self.nodes[-1] += 1
        if tag not in ("meta", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)


def test_the_page_holds_every_node_and_loads_nothing(circuit: nx.DiGraph) -> None:
    circuit.graph["task"] = "</script><b>"
    circuit = nx.relabel_nodes(circuit, {"neuron.0.1": "</script>"})
    text, outline = page(circuit), Outline()
    outline.feed(text)
    assert (outline.open, outline.loads) == ([], [])
    assert outline.nodes == [circuit.number_of_nodes()] * 2
    assert not re.findall(r"url\(|@import|fetch\(|https?://(?!www\.w3\.org/2000/svg)", text)
    data, kept = data_of(text), kept_part(circuit)
    names = [node["name"] for node in data["nodes"]]
    assert names == list(circuit.nodes)
    assert {(names[s], names[r]) for s, r, *_ in data["edges"]} == set(kept.edges)
    assert [node["degree"] for node in data["nodes"] if node["name"] == "logits"] == [[0, kept.in_degree("logits")]]
    spectrum = next(node["spectrum"] for node in data["nodes"] if node["name"] == "head.0.0")
    assert spectrum == [round(share * data["parts"]) for share in circuit.nodes["head.0.0"]["spectrum"]]


def test_changes_are_on_the_edges_that_have_them(circuit: nx.DiGraph) -> None:
    data, names = data_of(page(circuit)), list(circuit.nodes)
    assert data["inputs"] == circuit.graph["n_inputs"]
    for sender, receiver, _, changes in data["edges"]:
        assert changes == circuit.edges[names[sender], names[receiver]]["changes"]
    assert all(len(edge) == 3 for edge in data_of(page(dense(2, 1, 4)))["edges"])


def test_heads_say_where_they_attend_where_it_is_known(circuit: nx.DiGraph) -> None:
    assert all("attention" not in node for node in data_of(page(_without_attention(circuit)))["nodes"])
    circuit.nodes["head.0.0"]["attention"] = [0.5, 0.5, 0.0]
    data = data_of(page(circuit))
    assert data["tokens"] == ["a", "b", "="]
    assert [node["attention"] for node in data["nodes"] if node["name"] == "head.0.0"] == [[0.5, 0.5, 0.0]]


def _without_attention(circuit: nx.DiGraph) -> nx.DiGraph:
    for _, data in circuit.nodes(data=True):
        data.pop("attention", None)
    return circuit


def test_of_too_many_edges_each_node_keeps_its_strongest() -> None:
    circuit, held = dense(3, 1, 40), 200
    data = page_data(circuit, held)
    assert held < len(data["edges"]) < circuit.number_of_edges() == 3200
    names, listed = [node["name"] for node in data["nodes"]], data["listed"]
    for end, neighbours in ((0, circuit.out_edges), (1, circuit.in_edges)):
        for i, name in enumerate(names):
            shown = sorted((abs(edge[2]) for edge in data["edges"] if edge[end] == i), reverse=True)[:listed]
            all_scores = sorted((abs(score) for *_, score in neighbours(name, data="score")), reverse=True)[:listed]
            assert shown == pytest.approx(all_scores, rel=1e-2)
            assert data["nodes"][i]["degree"][end] == len(neighbours(name))


def test_a_large_net_stays_under_a_megabyte() -> None:
    circuit = dense(3, 4, 128)
    assert circuit.number_of_edges() > HELD
    assert len(page(circuit)) < 1e6


@pytest.mark.parametrize("frame", [WIDE, NARROW])
@pytest.mark.parametrize("shape", [(1, 0, 70), (2, 4, 0), (2, 12, 100)])
def test_nodes_stand_apart_and_in_the_frame(frame: Frame, shape: tuple[int, int, int]) -> None:
    circuit = dense(*shape)
    here = layout(circuit, frame)
    places = [here.places[name] for name in circuit.nodes]
    for i, a in enumerate(places):
        assert a.radius <= a.x <= here.width - a.radius
        assert a.radius <= a.y <= here.height - a.radius
        assert all((a.x - b.x) ** 2 + (a.y - b.y) ** 2 > (a.radius + b.radius) ** 2 for b in places[:i])
    axis = "y" if frame.upright else "x"
    along = [{getattr(here.places[name], axis) for name in band.names} for band in here.bands]
    assert all(max(before) < min(after) for before, after in pairwise(along))
    if frame.upright:
        assert here.width < 380


def test_neurons_stand_in_the_order_of_their_frequencies() -> None:
    circuit = dense(1, 1, 30)
    circuit.nodes["neuron.0.0"]["in_circuit"] = False
    names = next(band.names for band in layout(circuit, WIDE).bands if band.title == "neurons")
    assert [circuit.nodes[name]["frequency"] for name in names[:-1]] == sorted(
        circuit.nodes[name]["frequency"] for name in names[:-1]
    )
    assert names[-1] == "neuron.0.0"


def test_every_frequency_has_a_button_with_its_colour() -> None:
    circuit = dense(1, 1, 30)
    found = frequencies(circuit)
    assert found == {k: 4 if k <= 3 else 3 for k in range(1, 10)}
    buttons = re.findall(r'class="c(\d)" data-frequency="(\d+)" title="(\d+) neurons"', page(circuit))
    assert [(int(c), int(k), int(n)) for c, k, n in buttons] == [
        (i % COLOURS, k, n) for i, (k, n) in enumerate(found.items())
    ]
    assert "data-frequency=" not in page(dense(2, 2, 0)).split("<script")[0]
