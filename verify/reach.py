"""Which states a recurrent net reaches, and a stream on which it errs if one is found on the way.

Breadth first from the initial state over every pair, beside the task's own state, so that the first wrong answer comes
with the shortest stream; then along long random and hard streams. In float64, for speed: nothing found here is trusted.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.tasks.streaming import Stream, StreamTask
from verify.recurrent_net import RecurrentNet

Doubles = NDArray[np.float64]
MOST_NODES = 600
GRID = 256.0
LONG, STREAMS = 200, 40


@dataclass(frozen=True, eq=False)
class FastNet:
    """The net's weights in float64."""

    left: Doubles
    right: Doubles
    state_in: Doubles
    state_out: Doubles
    state_bias: Doubles
    unembed: Doubles
    unembed_bias: Doubles

    @classmethod
    def of(cls, net: RecurrentNet) -> FastNet:
        w = {name: weight.astype(np.float64) for name, weight in net.weights.items()}
        return cls(
            w["embed_left.weight"],
            w["embed_right.weight"],
            w["state_in.weight"],
            w["state_out.weight"],
            w["state_out.bias"],
            w["unembed.weight"],
            w["unembed.bias"],
        )

    @property
    def tables(self) -> Doubles:
        """left[a] + right[b] for every pair, [pairs, hidden], b fastest."""
        return (self.left[:, None, :] + self.right[None, :, :]).reshape(-1, self.left.shape[1])

    def step(self, read: Doubles, state: Doubles) -> tuple[Doubles, NDArray[np.int64]]:
        """Next states and answers (-1: the largest logit is shared) of reads [..., hidden] in states [..., state]."""
        hidden = np.maximum(read + state @ self.state_in.T, 0)
        logits = hidden @ self.unembed.T + self.unembed_bias
        top = logits.max(axis=-1, keepdims=True)
        answers = np.where((logits == top).sum(axis=-1) == 1, logits.argmax(axis=-1), -1)
        return np.clip(hidden @ self.state_out.T + self.state_bias, 0, 1), answers


@dataclass(frozen=True, eq=False)
class Reached:
    """States that were reached, [n, state], and streams on which the net erred, shortest first."""

    states: Doubles
    wrong: tuple[Stream, ...]
    closed: bool


def reach(net: FastNet, task: StreamTask, most_wrong: int = 1, seed: int = 0) -> Reached:
    """Explores up to MOST_NODES states (told apart to 1/GRID), then LONG streams; keeps up to `most_wrong` streams."""
    explored, wrong, closed = breadth_first(net, task, most_wrong)
    states, more = _along(net, task, most_wrong - len(wrong), seed)
    return Reached(np.concatenate([np.array(explored), states]), tuple([*wrong, *more]), closed)


def breadth_first(net: FastNet, task: StreamTask, most_wrong: int) -> tuple[list[Doubles], list[Stream], bool]:
    pairs = [(a, b) for a in range(task.n_left) for b in range(task.n_right)]
    tables = net.tables
    states, meant = [np.zeros(net.state_in.shape[1])], [task.initial]
    words: list[Stream] = [()]
    seen: set[Hashable] = {(states[0].tobytes(), task.initial)}
    wrong: list[Stream] = []
    done = 0
    while done < len(states):
        after, answers = net.step(tables, states[done])
        keys = np.rint(after * GRID)
        for i, (a, b) in enumerate(pairs):
            state, answer = task.step(meant[done], a, b)
            if answers[i] != answer and len(wrong) < most_wrong:
                wrong.append((*words[done], (a, b), *task.flush))
            key = (keys[i].tobytes(), state)
            if key not in seen and len(states) < MOST_NODES:
                seen.add(key)
                states.append(after[i])
                meant.append(state)
                words.append((*words[done], (a, b)))
        done += 1
    return states, wrong, len(states) < MOST_NODES


def _along(net: FastNet, task: StreamTask, most_wrong: int, seed: int) -> tuple[Doubles, list[Stream]]:
    """The states along long streams, and streams that go wrong at their last pair: one that a stream has next, or,
    where the task has a machine to look the answers up in, any other pair instead of it."""
    rng = np.random.default_rng([seed, 2])
    machine, tables = task.machine(), net.tables
    kept, wrong = [], []
    known = None if machine is None else (np.array(machine.answers), np.array(machine.following))
    for batch in (task.random(STREAMS, LONG, rng), task.hard(STREAMS, LONG, rng)):
        expected = task.answers(batch)
        state, meant = np.zeros((len(batch), net.state_in.shape[1])), np.zeros(len(batch), dtype=np.int64)
        for place in range(LONG):
            a, b = batch[:, place].T
            errors: list[tuple[int, tuple[int, int]]] = []
            if known is not None:
                right, meant = known[0][meant].reshape(len(batch), -1), known[1][meant, a, b]
                _, answers = net.step(tables[None], state[:, None]) if len(wrong) < most_wrong else (None, right)
                errors = [(i, divmod(pair, task.n_right)) for i, pair in np.argwhere(answers != right).tolist()]
            state, answers = net.step(net.left[a] + net.right[b], state)
            if known is None:
                wrong_now = np.flatnonzero(answers != expected[:, place]).tolist()
                errors = [(i, (int(a[i]), int(b[i]))) for i in wrong_now]
            for i, pair in errors[: most_wrong - len(wrong)]:
                wrong.append((*((x, y) for x, y in batch[i, :place].tolist()), pair, *task.flush))
            kept.append(state)
    return np.concatenate(kept), wrong
