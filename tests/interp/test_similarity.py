"""Similarity of circuits, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from interp.attribution import contrast, integrated_gradients
from interp.graph import graph_of
from interp.hand_built import clock
from interp.similarity import renamed, similarity, similarity_floor
from pipeline.tasks import ModularTask


@pytest.mark.parametrize(
    ("s", "t", "expected"),
    [
        ([1, 2, 3], [2, 4, 6], 1.0),
        ([1, 0], [0, 1], 0.0),
        ([1, -1], [1, 1], 1 / 3),
        ([3, 1], [1, 3], 1 / 3),
    ],
)
def test_by_hand(s: list[float], t: list[float], expected: float) -> None:
    assert similarity(np.array(s, float), np.array(t, float)) == pytest.approx(expected)
    assert similarity(np.array(t, float), np.array(s, float)) == pytest.approx(expected)


@pytest.mark.parametrize("t", [[0.0, 0.0], [math.nan, 1.0]])
def test_no_circuit_has_no_similarity(t: list[float]) -> None:
    assert math.isnan(similarity(np.array([1.0, 2.0]), np.array(t)))


def test_renaming_moves_whole_nodes() -> None:
    """Scores that are a product of sender and receiver stay one, with the neurons in another order."""
    graph = graph_of(["a", "b", "="], [2], [9])
    worth = {node.name: i + 2.0 for i, node in enumerate(graph.nodes)}
    edges = np.array([worth[s] * worth[r] for s, r in graph.edge_names])
    found = renamed(graph, edges, np.random.default_rng(1))
    assert sorted(found) == sorted(edges)
    assert not np.array_equal(found, edges)
    by_name = dict(zip(graph.edge_names, found, strict=True))
    for head in ("head.0.0", "head.0.1"):
        direct = by_name[head, "logits"] / worth["logits"]
        assert by_name["embed.a", head] == pytest.approx(worth["embed.a"] * direct)


def test_a_net_is_like_itself_and_above_its_floor() -> None:
    net, task = clock(11, (1, 3), idle=5), ModularTask(11)
    one, other = (integrated_gradients(net, *contrast(task, 60, seed), neurons=True) for seed in (0, 1))
    same, floor = similarity(one.edges, one.edges), similarity_floor(one.graph, one.edges, other.edges)
    assert same == pytest.approx(1.0)
    assert floor < similarity(one.edges, other.edges) < 1
