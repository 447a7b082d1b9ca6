"""A machine as a networkx graph, the pairs and answers of every edge in words; and what automaton.json holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import networkx as nx

from interp.automata import Automaton
from pipeline.tasks.machine import Machine, Pair

FORMS: tuple[tuple[str, Callable[[int, int], int]], ...] = (
    ("a", lambda a, b: a),
    ("b", lambda a, b: b),
    ("a + b", lambda a, b: a + b),
    ("a - b", lambda a, b: a - b),
)
"""What an edge's pairs and answers may be functions of, tried in this order."""


def to_graph(machine: Machine) -> nx.DiGraph:
    """States as nodes; an edge for each two states one of which leads to the other, with its pairs in words."""
    graph = nx.DiGraph()
    graph.add_nodes_from(range(machine.n_states))
    for source in range(machine.n_states):
        by_target: dict[int, dict[Pair, int]] = {}
        for a, b in machine.pairs:
            by_target.setdefault(machine.following[source][a][b], {})[a, b] = machine.answers[source][a][b]
        for target, answers in sorted(by_target.items()):
            reads, writes = reading(machine, answers), writing(machine, answers)
            graph.add_edge(source, target, pairs=len(answers), reads=reads, writes=writes)
    return graph


def reading(machine: Machine, answers: Mapping[Pair, int]) -> str:
    """The pairs of an edge in words: "a + b = 0 to 9" where they are just those."""
    if len(answers) == len(machine.pairs):
        return "any pair" if machine.n_right > 1 else "any symbol"
    for name, value in FORMS:
        values = {value(*pair) for pair in answers}
        if len(answers) == sum(value(*pair) in values for pair in machine.pairs):
            return f"{name} = {spans(values)}"
    return f"{len(answers)} of {len(machine.pairs)} pairs"


def writing(machine: Machine, answers: Mapping[Pair, int]) -> str:
    """The answers of an edge in words: a number, or "a + b - 10" where they are just that."""
    if len(set(answers.values())) == 1:
        return str(next(iter(answers.values())))
    for name, value in FORMS:
        shifts = {answer - value(*pair) for pair, answer in answers.items()}
        if len(shifts) == 1:
            return _shifted(name, shifts.pop())
    n_answers = 1 + max(answer for rows in machine.answers for row in rows for answer in row)
    for name, value in FORMS:
        shifts = {(answer - value(*pair)) % n_answers for pair, answer in answers.items()}
        if len(shifts) == 1:
            return f"{_shifted(name, shifts.pop())} mod {n_answers}"
    return f"{len(set(answers.values()))} different answers"


def _shifted(name: str, shift: int) -> str:
    return name if shift == 0 else f"{name} {'+' if shift > 0 else '-'} {abs(shift)}"


def spans(values: set[int]) -> str:
    """{0, 1, 2, 5} as "0 to 2, 5"."""
    starts = sorted(value for value in values if value - 1 not in values)
    ends = sorted(value for value in values if value + 1 not in values)
    return ", ".join(str(low) if low == high else f"{low} to {high}" for low, high in zip(starts, ends, strict=True))


def to_dict(automaton: Automaton) -> dict[str, Any]:
    """What automaton.json holds; `graph` is for `networkx.node_link_graph(graph, edges="edges")`."""
    machine = automaton.machine
    return {
        "clusters": automaton.clusters,
        "graph": None if machine is None else nx.node_link_data(to_graph(machine), edges="edges"),
        "machine": None if machine is None else machine.to_dict(),
        "same_as_task": automaton.same,
        "sentence": automaton.sentence,
        "states": None if machine is None else machine.n_states,
    }
