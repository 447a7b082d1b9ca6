"""A circuit in every format, read back by what reads that format; the page; the commands."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import networkx as nx
import pytest

from interp.__main__ import METHODS as NAMED
from interp.__main__ import main
from interp.attribution import METHODS
from interp.circuit_view import page
from interp.circuits import find
from interp.circuits.circuit import circuit_from_json, circuit_to_json, kept_part, load_circuit, save_circuit
from interp.export import FORMATS, export
from interp.export.dot import to_dot
from interp.export.graphml import to_graphml
from interp.export.neuronpedia import to_neuronpedia
from pipeline.errors import BAD_INPUT, UserError
from pipeline.nets import Transformer
from pipeline.runs import Snapshot, save_snapshot
from pipeline.tasks import ModularTask

P = 11
TASK = ModularTask(P)


@pytest.fixture
def circuit(make_clock: Callable[..., Transformer]) -> nx.DiGraph:
    return find(make_clock(P, (1, 3), idle=2), TASK, "attribution_patching", neurons=True, inputs=40, target=0.9)


def test_json_gives_the_graph_back(circuit: nx.DiGraph, tmp_path: Path) -> None:
    path = tmp_path / "circuit.json"
    save_circuit(circuit, path)
    again = load_circuit(path)
    assert json.loads(path.read_text())["schema"] == "catapult-circuit-2"
    assert circuit_to_json(again) == path.read_text() == circuit_to_json(circuit)
    assert list(again.edges) == list(circuit.edges)
    assert again.graph["cpr"] == pytest.approx(circuit.graph["cpr"], rel=1e-5)


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"schema": "catapult-circuit-1"}', "x", '{"schema": "catapult-circuit-2"}']
)
def test_another_file_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UserError) as error:
        circuit_from_json(text)
    assert "\n" not in str(error.value)


def test_graphml_reads_back_with_its_numbers(circuit: nx.DiGraph) -> None:
    again = nx.read_graphml(io.BytesIO(to_graphml(circuit).encode()))
    assert set(again.nodes) == set(circuit.nodes)
    assert set(again.edges) == set(circuit.edges)
    assert again.graph["method"] == "attribution_patching"
    for sender, receiver, data in circuit.edges(data=True):
        assert again.edges[sender, receiver]["score"] == pytest.approx(data["score"])
        assert again.edges[sender, receiver]["in_circuit"] is data["in_circuit"]


def test_dot_draws_the_circuit_alone(circuit: nx.DiGraph) -> None:
    text, part = to_dot(circuit), kept_part(circuit)
    drawn = set(
        re.findall(r'^  "(\S+)" -> "(\S+)" \[penwidth=\S+, color=(?:black|red), tooltip="[^"]*"\];$', text, re.M)
    )
    assert drawn == set(part.edges)
    assert set(re.findall(r'^  "(\S+)" \[shape=', text, re.M)) == set(part.nodes)
    assert text.count("{") == text.count("}")


def test_the_neuronpedia_graph_has_their_fields(circuit: nx.DiGraph) -> None:
    """The fields, types and identifiers of circuit-tracer's frontend/graph_models.py."""
    graph, part = json.loads(to_neuronpedia(circuit)), kept_part(circuit)
    assert set(graph) == {"metadata", "qParams", "nodes", "links"}
    meta, params = graph["metadata"], graph["qParams"]
    assert meta["prompt_tokens"] == ["a", "b", "="]
    assert {"slug": str, "scan": str, "transcoder_list": list, "prompt": str, "schema_version": int}.items() <= {
        key: type(value) for key, value in meta.items()
    }.items()
    assert {key: type(value) for key, value in params.items()} == {
        "pinnedIds": list, "supernodes": list, "linkType": str, "clickedId": str, "sg_pos": str,
    }  # fmt: skip
    nodes = {node["node_id"]: node for node in graph["nodes"]}
    assert len(nodes) == len({node["jsNodeId"] for node in nodes.values()}) == part.number_of_nodes()
    assert {node["clerp"] for node in nodes.values()} == set(part.nodes)
    for node in nodes.values():
        assert re.fullmatch(r"(E|\d+)_\d+_\d", node["node_id"])
        assert isinstance(node["layer"], str)
        assert node["feature_type"] in {"embedding", "cross layer transcoder", "logit"}
        assert 0 <= node["ctx_idx"] < 3

    def height(identifier: str) -> int:
        layer = nodes[identifier]["layer"]
        return -1 if layer == "E" else int(layer)

    assert len(graph["links"]) == part.number_of_edges()
    assert all(height(link["source"]) < height(link["target"]) for link in graph["links"])
    assert [node["is_target_logit"] for node in nodes.values()].count(True) == 1


class Outline(HTMLParser):
    """Tags that are open, and every attribute that could load something."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.nodes = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.loads += [str(given[key]) for key in ("src", "href", "xlink:href", "action") if key in given]
        self.nodes += tag == "circle" and "node" in (given.get("class") or "").split()
        if tag not in ("meta",):
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
    assert outline.nodes == circuit.number_of_nodes()
    assert not re.findall(r"url\(|@import|fetch\(|https?://(?!www\.w3\.org/2000/svg)", text)
    data = json.loads(re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[0])
    assert [node["name"] for node in data["nodes"]] == list(circuit.nodes)
    kept = kept_part(circuit)
    assert {(data["nodes"][s]["name"], data["nodes"][r]["name"]) for s, r, *_ in data["edges"]} == set(kept.edges)
    assert len(data["nodes"][list(circuit.nodes).index("head.0.0")]["spectrum"]) == 5
    assert sorted(data["order"]) == list(range(circuit.number_of_nodes()))


def test_the_ending_is_the_format(circuit: nx.DiGraph, tmp_path: Path) -> None:
    for name in FORMATS:
        export(circuit, tmp_path / f"circuit.{name}")
        assert (tmp_path / f"circuit.{name}").read_text() == FORMATS[name](circuit)
    with pytest.raises(UserError, match="format = 'png'"):
        export(circuit, tmp_path / "circuit.png")


@pytest.fixture
def run(tmp_path: Path, make_clock: Callable[..., Transformer]) -> Path:
    directory = tmp_path / "made"
    task = {"operation": "addition", "p": P, "train_fraction": 0.4}
    path = directory / "snapshots" / "cycle-0003.safetensors"
    save_snapshot(path, Snapshot(make_clock(P, (1, 3)), TASK, 0.4, "made", 0, 3, 30))
    params = {"key": "made", "task": task, "recipe": {"name": "made"}, "seed": 0}
    (directory / "params.json").write_text(json.dumps(params))
    return directory


def test_the_commands(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "circuit.json"
    given = ["attribute", str(run), "--method", "edge_patching", "--inputs", "40", "--out", str(out)]
    assert main(given) == 0
    assert "faithfulness" in capsys.readouterr().out
    assert load_circuit(out).graph["method"] == "edge_patching"
    first = out.read_bytes()
    assert main([*given, "--snapshot", "3"]) == 0
    assert out.read_bytes() == first
    assert main(["export", str(out), "--out", str(tmp_path / "circuit.html")]) == 0
    assert (tmp_path / "circuit.html").read_text().startswith("<!doctype html>")
    assert main(["export", str(out), "--out", str(tmp_path / "graph.json"), "--to", "neuronpedia"]) == 0
    assert tuple(METHODS) == NAMED


@pytest.mark.parametrize("wrong", [["--snapshot", "4"], ["--faithfulness", "2"], ["--inputs", "0"]])
def test_mistakes_are_one_line(run: Path, wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attribute", str(run), *wrong]) == BAD_INPUT
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert " = " in error
