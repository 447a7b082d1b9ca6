"""The finite-state abstraction: it finds a machine that is there, and says so where there is none."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import networkx as nx
import numpy as np
import pytest
import torch

from benchmarks.by_hand import Tensors, adder, parity
from interp.automata import closed_under_pairs, find_automaton, linked, run
from interp.automaton_drawing import drawing
from interp.automaton_graph import spans, to_dict, to_graph
from pipeline.nets.recurrent import Recurrent, RecurrentConfig
from pipeline.tasks.machine import Machine
from pipeline.tasks.streaming import StreamTask, stream_task

CARRY = stream_task("addition", base=10)


def built(task: StreamTask, tensors: Tensors) -> Recurrent:
    """A net of given weights."""
    n_hidden, n_state = tensors["state_in.weight"].shape
    net = Recurrent(RecurrentConfig(task.n_left, task.n_right, task.n_answers, n_state, n_hidden))
    net.load_state_dict({name: torch.tensor(np.asarray(value, dtype=np.float32)) for name, value in tensors.items()})
    return net.eval()


def beside(tensors: Tensors, copies: int) -> Tensors:
    """The adder with a second state unit, which alternates 0, 1, 0, ... and on which nothing depends: s = relu(1 - s).

    `copies` more units read it.
    """
    wide = dict(tensors)
    wide["embed_left.weight"] = np.pad(tensors["embed_left.weight"], ((0, 0), (0, copies)), constant_values=1.0)
    wide["embed_right.weight"] = np.pad(tensors["embed_right.weight"], ((0, 0), (0, copies)))
    wide["state_in.weight"] = np.pad(tensors["state_in.weight"], ((0, copies), (0, 1)))
    wide["state_in.weight"][-copies:, 1] = -1
    wide["state_out.weight"] = np.pad(tensors["state_out.weight"], ((0, 1), (0, copies)))
    wide["state_out.weight"][1, -copies:] = 1 / copies
    wide["state_out.bias"] = np.pad(tensors["state_out.bias"], (0, 1))
    wide["unembed.weight"] = np.pad(tensors["unembed.weight"], ((0, 0), (0, copies)))
    return wide


def test_the_states_and_answers_of_a_run_are_those_of_the_net() -> None:
    net = Recurrent(RecurrentConfig(3, 2, 4, n_state=2, n_hidden=5)).eval()
    streams = torch.randint(0, 2, (7, 9, 2), generator=torch.Generator().manual_seed(0))
    kept = []
    with torch.no_grad():
        logits = net.run_with_hooks(streams, fwd_hooks=[("hook_state", lambda state, hook: kept.append(state))])
    states, answers = run(net, streams)
    assert torch.equal(answers, logits.argmax(dim=2))
    torch.testing.assert_close(states, torch.cat([torch.zeros(1, 2), *kept]))


@pytest.mark.parametrize("base", [2, 10, 16])
def test_a_hand_built_adder_yields_the_carry_machine(base: int) -> None:
    task = stream_task("addition", base=base)
    found = find_automaton(built(task, adder(base)), task)
    assert found.machine == task.machine()
    assert (found.clusters, found.same) == (2, True)
    assert "the task's own up to the names of its states" in found.sentence


def test_parity_too() -> None:
    task = stream_task("parity")
    found = find_automaton(built(task, parity()), task)
    assert found.machine == task.machine()


def test_a_redundant_state_collapses() -> None:
    found = find_automaton(built(CARRY, beside(adder(), 2)), CARRY)
    assert found.clusters == 4
    assert found.machine == CARRY.machine()
    assert found.same is True


def test_a_machine_that_is_not_the_tasks_is_told_apart() -> None:
    tensors = adder()
    tensors["state_out.weight"] = tensors["state_out.weight"] * 0
    found = find_automaton(built(CARRY, tensors), CARRY)
    assert found.machine is not None
    assert found.machine.n_states == 1
    assert found.same is False
    assert "another than the task's own (2 states)" in found.sentence


def test_a_task_without_a_machine_is_compared_with_nothing() -> None:
    task = stream_task("parentheses")
    tensors = parity()
    found = find_automaton(built(task, tensors), task)
    assert found.machine is not None
    assert found.same is None
    assert "no finite machine" in found.sentence


def remembers() -> Recurrent:
    """A state that is the stream so far as a binary fraction, s = (s + a) / 2, and answers 1 iff 1/2 < s + a < 3/2."""
    return built(stream_task("parity"), parity() | {"state_out.weight": np.array([[0.5, 0.0]])})


def test_a_net_that_memorises_its_stream_yields_none_and_says_so() -> None:
    found = find_automaton(remembers(), stream_task("parity"))
    assert found.machine is None
    assert found.same is None
    many = r"on a grid of 1/\d+ there are more than 400\."
    assert re.fullmatch(f"No machine: the states that the net reaches keep splitting; {many}", found.sentence)


@pytest.mark.parametrize("seed", range(3))
def test_a_random_net_yields_none(seed: int) -> None:
    net = Recurrent(RecurrentConfig(10, 10, 10, n_state=2, n_hidden=32)).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in net.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator))
        net.state_out.weight.mul_(0.3)
    found = find_automaton(net, CARRY)
    assert found.machine is None
    assert "more than" in found.sentence


def test_a_tie_is_no_answer() -> None:
    tensors = adder()
    tensors["unembed.weight"], tensors["unembed.bias"] = tensors["unembed.weight"] * 0, tensors["unembed.bias"] * 0
    found = find_automaton(built(CARRY, tensors), CARRY)
    assert found.machine is None
    assert found.sentence == "No machine: the 2 clusters of states at a gap of 1/128 do not determine the answers."


def test_points_are_closed_and_linked() -> None:
    closure = closed_under_pairs(built(CARRY, adder()), torch.zeros(1, 1), 1 / 16)
    assert closure is not None
    assert closure.points.tolist() == [[0.0], [1.0]]
    assert closure.following[1, 9] == 1  # 0 + 9 with a carry
    assert closure.answers[1, 9] == 0
    points = torch.tensor([[0.0], [0.9], [0.4], [0.95]])
    assert linked(points, 0.45) == [[0, 2], [1, 3]]
    assert linked(points, 0.2) == [[0], [1, 3], [2]]


def machine(task: StreamTask) -> Machine:
    found = task.machine()
    assert found is not None
    return found


def test_the_graph_speaks_of_pairs_and_answers() -> None:
    graph = to_graph(machine(CARRY))
    assert graph.edges[0, 1] == {"pairs": 45, "reads": "a + b = 10 to 18", "writes": "a + b - 10"}
    assert graph.edges[1, 0] == {"pairs": 45, "reads": "a + b = 0 to 8", "writes": "a + b + 1"}
    assert to_graph(machine(stream_task("parity"))).edges[1, 1] == {"pairs": 1, "reads": "a = 0", "writes": "1"}
    assert sum(edge["pairs"] for _, _, edge in graph.edges(data=True)) == 200
    assert spans({0, 1, 2, 5}) == "0 to 2, 5"


def test_what_is_written_can_be_read_back() -> None:
    document = to_dict(find_automaton(built(CARRY, adder()), CARRY))
    graph = nx.node_link_graph(document["graph"], edges="edges")
    assert graph.edges[0, 1]["reads"] == "a + b = 10 to 18"
    assert document["same_as_task"] is True
    nothing = to_dict(find_automaton(remembers(), stream_task("parity")))
    assert (nothing["graph"], nothing["machine"], nothing["states"]) == (None, None, None)


@pytest.mark.parametrize(("base", "modulus"), [(3, 2), (2, 3), (10, 7)])
def test_the_drawing_is_whole_and_the_same_each_time(base: int, modulus: int) -> None:
    graph = to_graph(machine(stream_task("remainder", base=base, modulus=modulus)))
    text = drawing(graph, "a <machine>")
    assert text == drawing(graph, "a <machine>")
    root = ET.fromstring(text)
    circles = [mark for mark in root if mark.tag.endswith("circle")]
    assert len(circles) == len(graph) == modulus
    titles = [mark for mark in root if mark.tag.endswith("path") and mark.find("{*}title") is not None]
    assert len(titles) == graph.number_of_edges()
