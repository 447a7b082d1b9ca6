"""A circuit in every format, read back by what reads that format; the page; the commands."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import networkx as nx
import pytest

from interp.__main__ import main
from interp.attribution import METHODS
from interp.circuits import find
from interp.circuits.circuit import circuit_from_json, circuit_to_json, kept_part, load_circuit, save_circuit
from interp.commands.attribute import METHODS as NAMED
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


def test_graphml_has_what_other_tools_look_for(circuit: nx.DiGraph) -> None:
    again = nx.read_graphml(io.BytesIO(to_graphml(circuit).encode()))
    assert all(data["label"] == name for name, data in again.nodes(data=True))
    assert all(data["weight"] == pytest.approx(abs(data["score"])) for _, _, data in again.edges(data=True))


def test_dot_draws_the_circuit_alone(circuit: nx.DiGraph) -> None:
    text, part = to_dot(circuit), kept_part(circuit)
    edge = r'^  "(\S+)" -> "(\S+)" \[penwidth=\S+, color="(#\w{6})", tooltip="[^"]*"\];$'
    drawn = {(s, r): colour for s, r, colour in re.findall(edge, text, re.M)}
    assert set(drawn) == set(part.edges)
    assert {pair for pair, colour in drawn.items() if colour == "#c44f00"} == {
        (s, r) for s, r, score in part.edges(data="score") if score < 0
    }
    assert set(re.findall(r'^  "(\S+)" \[shape=', text, re.M)) == set(part.nodes)
    assert text.count("{") == text.count("}")


REQUIRED = {
    "metadata": {"slug": str, "scan": str, "prompt_tokens": list, "prompt": str, "transcoder_list": list},
    "qParams": {"pinnedIds": list, "supernodes": list, "linkType": str, "clickedId": str, "sg_pos": str},
    "nodes": {
        "node_id": str, "feature": int, "layer": str, "ctx_idx": int, "feature_type": str, "jsNodeId": str,
        "clerp": str, "token_prob": float, "is_target_logit": bool, "run_idx": int, "reverse_ctx_idx": int,
    },
    "links": {"source": str, "target": str, "weight": float},
}  # fmt: skip
"""Required fields of circuit-tracer's frontend/graph_models.py and of Neuronpedia's api/graph/graph-schema.json."""


def test_the_neuronpedia_graph_has_their_fields(circuit: nx.DiGraph) -> None:
    graph, part = json.loads(to_neuronpedia(circuit)), kept_part(circuit)
    assert set(graph) == set(REQUIRED)
    for key, fields in REQUIRED.items():
        for one in graph[key] if isinstance(graph[key], list) else [graph[key]]:
            assert {name: type(one[name]) for name in fields} == fields
    assert len(graph["nodes"]) == part.number_of_nodes()
    assert len(graph["links"]) == part.number_of_edges()
    assert graph["metadata"]["prompt_tokens"] == ["a", "b", "="]
    assert type(graph["metadata"]["node_threshold"]) is float


def test_what_the_neuronpedia_pages_do_with_a_graph_works(circuit: nx.DiGraph) -> None:
    """What fails here stops circuit-tracer's util-cg.js, or Neuronpedia's utils.ts or save-to-db."""
    circuit.graph["operation"] = "x^2 + y"
    graph = json.loads(to_neuronpedia(circuit))
    nodes = {node["node_id"]: node for node in graph["nodes"]}
    assert len(nodes) == len({node["jsNodeId"] for node in nodes.values()}) == len(graph["nodes"])
    assert len({(node["layer"], node["feature"], node["ctx_idx"]) for node in nodes.values()}) == len(nodes)
    assert not re.search(r"[^a-zA-Z0-9_.-]", graph["metadata"]["slug"] + graph["metadata"]["scan"])
    logits = [node for node in nodes.values() if node["feature_type"] == "logit"]
    assert [float(node["clerp"].split("(p=")[1].split(")")[0]) for node in logits] == [1.0]
    assert [node["is_target_logit"] for node in nodes.values()].count(True) == 1
    layers = {i: 0 if node["layer"] == "E" else int(node["layer"]) for i, node in nodes.items()}
    assert max(layer for i, layer in layers.items() if nodes[i] not in logits) > 0
    assert all(layers[link["source"]] < layers[link["target"]] for link in graph["links"])
    assert {*graph["qParams"]["pinnedIds"], graph["qParams"]["clickedId"]} <= set(nodes)


def test_neuronpedia_prunes_the_weakest_nodes_first(circuit: nx.DiGraph) -> None:
    graph = json.loads(to_neuronpedia(circuit))
    features = [node for node in graph["nodes"] if node["feature_type"] == "cross layer transcoder"]
    features.sort(key=lambda node: -abs(circuit.nodes[node["clerp"]]["score"]))
    influence = [node["influence"] for node in features]
    assert influence == sorted(influence)
    assert influence[-1] == pytest.approx(graph["metadata"]["node_threshold"], rel=1e-5)
    assert {node["clerp"] for node in features} <= set(circuit.nodes)
    assert all(node["influence"] is None for node in graph["nodes"] if node not in features)
    named = {node["clerp"]: node for node in features}
    for name in ("head.0.0", next(name for name in named if name.startswith("neuron"))):
        layer, index = int(named[name]["layer"]), circuit.nodes[name]["index"]
        assert named[name]["feature"] == (layer + index) * (layer + index + 1) / 2 + index


def test_the_ending_is_the_format(circuit: nx.DiGraph, tmp_path: Path) -> None:
    for name in FORMATS:
        export(circuit, tmp_path / f"circuit.{name}")
        assert (tmp_path / f"circuit.{name}").read_text() == FORMATS[name](circuit)
    with pytest.raises(UserError, match="format = 'png'"):
        export(circuit, tmp_path / "circuit.png")


@pytest.fixture
def run(tmp_path: Path, make_clock: Callable[..., Transformer]) -> Path:
    directory = tmp_path / "made"
    task = {"name": "modular", "operation": "addition", "p": P, "train_fraction": 0.4}
    path = directory / "snapshots" / "cycle-0003.safetensors"
    save_snapshot(path, Snapshot(make_clock(P, (1, 3)), TASK, 0.4, "made", 0, 3, 30))
    params = {"name": "made", "task": task, "recipe": "made", "train": {"seed": 0}}
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
