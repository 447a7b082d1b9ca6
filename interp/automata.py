"""The finite-state abstraction of a recurrent net: its reachable states, clustered into a transducer, minimised.

States are those along random and hard streams and all that follow from them, told apart on a grid. Clusters are single
linkage: states nearer than a gap in every coordinate share one. Clusters make a transducer where every state of a
cluster gives, for every pair, one answer and leads into one cluster; gaps are tried from wide to narrow. What is found
must also say, step by step, what the net says on the streams. A net that memorised has no such machine: wide clusters
hold states that answer differently, and narrow ones do not end. Nothing here is proved, that is for `verify`.
"""

from __future__ import annotations

from dataclasses import dataclass

import networkx as nx
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.kernels import settle
from pipeline.nets.recurrent import Recurrent
from pipeline.tasks.machine import Machine, explore
from pipeline.tasks.streaming import LARGEST_MACHINE, StreamTask

GAPS = tuple(2.0**-i for i in range(1, 8))
CELLS = 8
"""Grid cells to a gap."""
MOST_POINTS = 400
STREAMS, LENGTH = 40, 100


@dataclass(frozen=True)
class Automaton:
    """A net's minimised machine, or None and why; `clusters` is their number before it was minimised.

    `same` compares it with the task's own machine up to the names of the states; None where one of the two is missing.
    """

    machine: Machine | None
    clusters: int
    same: bool | None
    sentence: str


@dataclass(frozen=True)
class Closure:
    """Points that no pair leads out of: for each the number of the next point and the answer (-1: a tie) by pair."""

    points: Float[Tensor, "points state"]
    following: Int[Tensor, "points pairs"]
    answers: Int[Tensor, "points pairs"]


def find_automaton(net: Recurrent, task: StreamTask, seed: int = 0) -> Automaton:
    """The transducer at the widest gap that gives one, compared with the task's."""
    settle()
    rng = np.random.default_rng([seed, 3])
    drawn = np.concatenate([draw(STREAMS, LENGTH, rng) for draw in (task.random, task.hard)])
    streams = torch.from_numpy(drawn)
    states, said = run(net, streams)
    reason = ""
    for gap in GAPS:
        closure = closed_under_pairs(net, states, gap / CELLS)
        if closure is None:
            many = f"on a grid of 1/{CELLS / gap:g} there are more than {MOST_POINTS}"
            reason = f"the states that the net reaches keep splitting; {many}"
            break
        clusters = linked(closure.points, gap)
        machine = transducer(closure, clusters, task)
        if machine is None:
            reason = f"the {len(clusters)} clusters of states at a gap of 1/{1 / gap:g} do not determine the answers"
            continue
        if any(machine.run(stream) != answers for stream, answers in zip(drawn.tolist(), said.tolist(), strict=True)):
            reason = f"the clusters of states at a gap of 1/{1 / gap:g} make one that does not say what the net says"
            continue
        return compared(machine, task)
    return Automaton(None, 0, None, f"No machine: {reason}.")


def compared(machine: Machine, task: StreamTask) -> Automaton:
    """The minimised machine beside the task's own."""
    smallest, reference = machine.minimised(), task.machine()
    clusters = f"{machine.n_states} cluster{'s' if machine.n_states != 1 else ''}"
    found = f"The net's states fall into {clusters}; minimised, a machine of {_states(smallest.n_states)}"
    if reference is None:
        return Automaton(smallest, machine.n_states, None, f"{found}. The task itself is no finite machine.")
    same = smallest.same_as(reference)
    own = f"the task's own ({_states(reference.n_states)})"
    ending = "the task's own up to the names of its states" if same else f"another than {own}"
    return Automaton(smallest, machine.n_states, same, f"{found}, {ending}.")


def _states(count: int) -> str:
    return f"{count} state{'s' if count != 1 else ''}"


@torch.no_grad()
def step(
    net: Recurrent, pairs: Int[Tensor, "*batch 2"], state: Float[Tensor, "*batch state"]
) -> tuple[Float[Tensor, "*batch state"], Int[Tensor, "*batch"]]:
    """The next state and the answer of every pair in its state; -1 where several answers share the largest logit."""
    read = net.embed_left(pairs[..., 0]) + net.embed_right(pairs[..., 1])
    hidden = torch.relu(read + net.state_in(state))
    logits = net.unembed(hidden)
    tied = (logits == logits.amax(dim=-1, keepdim=True)).sum(dim=-1) > 1
    return net.state_out(hidden).clamp(0, 1), torch.where(tied, -1, logits.argmax(dim=-1))


def run(
    net: Recurrent, streams: Int[Tensor, "n length 2"]
) -> tuple[Float[Tensor, "reached state"], Int[Tensor, "n length"]]:
    """All states along the streams, the initial one first, and the answers."""
    state = torch.zeros(len(streams), net.config.n_state)
    states, answers = [state[:1]], []
    for pairs in streams.unbind(1):
        state, answer = step(net, pairs, state)
        states.append(state)
        answers.append(answer)
    return torch.cat(states), torch.stack(answers, dim=1)


def closed_under_pairs(net: Recurrent, states: Float[Tensor, "reached state"], cell: float) -> Closure | None:
    """One state for each cell of a grid that is reached from `states`; None where there are more than MOST_POINTS."""
    pairs = torch.cartesian_prod(torch.arange(net.config.n_left), torch.arange(net.config.n_right))
    points: list[Tensor] = []
    number: dict[bytes, int] = {}

    def numbered(reached: Float[Tensor, "reached state"]) -> list[int]:
        keys = [key.tobytes() for key in np.rint(reached.numpy() / cell).astype(np.int64)]
        for key, state in zip(keys, reached, strict=True):
            if key not in number:
                number[key] = len(points)
                points.append(state)
        return [number[key] for key in keys]

    numbered(states)
    following, answers = [], []
    for point in points:  # grows while it is walked
        if len(points) > MOST_POINTS:
            return None
        after, said = step(net, pairs, point.expand(len(pairs), -1))
        following.append(numbered(after))
        answers.append(said)
    return Closure(torch.stack(points), torch.tensor(following), torch.stack(answers))


def linked(points: Float[Tensor, "points state"], gap: float) -> list[list[int]]:
    """Single linkage: the connected components of "nearer than `gap` in every coordinate", that of point 0 first."""
    near = torch.cdist(points, points, p=float("inf")) < gap
    graph = nx.Graph(torch.nonzero(near).tolist())
    return sorted(sorted(component) for component in nx.connected_components(graph))


def transducer(closure: Closure, clusters: list[list[int]], task: StreamTask) -> Machine | None:
    """The clusters as a machine; None where the states of one differ in an answer or in the cluster that comes next."""
    cluster = torch.empty(len(closure.points), dtype=torch.long)
    for number, members in enumerate(clusters):
        cluster[members] = number
    following = cluster[closure.following]
    first = torch.tensor([members[0] for members in clusters])
    one_way = (following == following[first][cluster]).all()
    one_answer = (closure.answers == closure.answers[first][cluster]).all()
    if not (one_way and one_answer and (closure.answers >= 0).all()):
        return None
    shape = (len(clusters), task.n_left, task.n_right)
    after, said = (table[first].reshape(shape).tolist() for table in (following, closure.answers))
    found = explore(0, lambda q, a, b: (after[q][a][b], said[q][a][b]), task.n_left, task.n_right, LARGEST_MACHINE)
    return None if found is None else found[0]
