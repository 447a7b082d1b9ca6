"""Many small recurrent nets trained at once on the transitions of a machine, from every corner of its states' regions.

State q of the machine stands for the corner of [0, 1]^r that is q in binary; its region reaches `reach` inwards from
there. An example is a corner of a region and a pair; the net should give the machine's answer, and a next state, before
the clip, beyond the corner of the machine's next state. Weights are trained as they are or rounded to a dyadic grid, by
the straight-through estimator (Bengio et al. 2013). Every net of the crowd has its own gradient: the losses are added.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy

from pipeline.nets.recurrent import Recurrent, RecurrentConfig
from pipeline.tasks.machine import Machine

REACH = 1 / 8
BEYOND = 1 / 4
"""How far beyond its corner the next state should be before it is clipped."""
RATE_FLOOR = 1e-3


@dataclass(frozen=True)
class Grid:
    """Weights are multiples of 2^-fraction with `bits` bits, the sign included."""

    bits: int
    fraction: int

    @property
    def step(self) -> float:
        return 2.0**-self.fraction

    @property
    def top(self) -> float:
        return (2 ** (self.bits - 1) - 1) * self.step

    def round(self, weight: Tensor) -> Tensor:
        """The nearest weight on the grid; the gradient is that of the identity."""
        rounded = (weight / self.step).round() * self.step
        return weight + (rounded.clamp(-self.top, self.top) - weight).detach()


@dataclass(frozen=True, eq=False)
class Lessons:
    """Every pair from every corner of every region, what is to be answered, and where the next state is to be."""

    config: RecurrentConfig
    left: Int[Tensor, " n"]
    right: Int[Tensor, " n"]
    state: Float[Tensor, "n state"]
    answer: Int[Tensor, " n"]
    following: Float[Tensor, "n state"]

    @classmethod
    def of(cls, machine: Machine) -> Lessons:
        """A machine that does not tell (a, b) from (b, a) gives a tied net, and half the pairs."""
        r = max(1, (machine.n_states - 1).bit_length())
        corner = [[(q >> j) & 1 for j in range(r)] for q in range(machine.n_states)]
        tied = machine.n_left == machine.n_right and all(
            table[q][a][b] == table[q][b][a]
            for table in (machine.following, machine.answers)
            for q in range(machine.n_states)
            for a, b in machine.pairs
        )
        n_answers = max(answer for rows in machine.answers for row in rows for answer in row) + 1
        rows = [
            (a, b, [abs(c - e) for c, e in zip(corner[q], inward, strict=True)], q)
            for q in range(machine.n_states)
            for a, b in machine.pairs
            if not tied or a <= b
            for inward in product((0.0, REACH), repeat=r)
        ]
        left, right, state, _ = zip(*rows, strict=True)
        return cls(
            RecurrentConfig(machine.n_left, machine.n_right, n_answers, n_state=r, tied=tied),
            torch.tensor(left),
            torch.tensor(right),
            torch.tensor(state),
            torch.tensor([machine.answers[q][a][b] for a, b, _, q in rows]),
            torch.tensor([corner[machine.following[q][a][b]] for a, b, _, q in rows], dtype=torch.float32),
        )


Weights = tuple[Tensor, ...]
"""Tables [nets, n_left, hidden] (and [nets, n_right, hidden] where not tied), then W, U, u, V, v."""


@dataclass(frozen=True, eq=False)
class Crowd:
    """Nets of one shape: `weights` with the number of the net as first axis."""

    lessons: Lessons
    weights: Weights

    @classmethod
    def random(cls, lessons: Lessons, n_hidden: int, count: int, generator: torch.Generator) -> Crowd:
        shape = lessons.config

        def normal(*size: int, std: float) -> Tensor:
            return std * torch.randn(count, *size, generator=generator)

        tables = [normal(shape.n_left, n_hidden, std=0.5)]
        tables += [] if shape.tied else [normal(shape.n_right, n_hidden, std=0.5)]
        narrow = n_hidden**-0.5
        rest = (
            normal(shape.n_state, n_hidden, std=1.0),
            normal(n_hidden, shape.n_answers, std=narrow),
            torch.zeros(count, 1, shape.n_answers),
            normal(n_hidden, shape.n_state, std=narrow),
            torch.full((count, 1, shape.n_state), 0.5),
        )
        return cls(lessons, (*tables, *rest))

    @property
    def n_hidden(self) -> int:
        return self.weights[0].shape[2]

    def __len__(self) -> int:
        return len(self.weights[0])

    def outputs(self, weights: Weights, grid: Grid | None) -> tuple[Tensor, Tensor]:
        """Logits [nets, n, answers] and next states before the clip [nets, n, state]."""
        lessons = self.lessons
        used = weights if grid is None else tuple(map(grid.round, weights))
        *tables, w, u, u_bias, v, v_bias = used
        read = tables[0][:, lessons.left] + tables[-1][:, lessons.right]
        hidden = torch.relu(read + lessons.state @ w)
        return hidden @ u + u_bias, hidden @ v + v_bias

    def losses(self, weights: Weights, grid: Grid | None) -> Float[Tensor, " nets"]:
        """Cross-entropy, and how much the next states fall short; the mean and, lightly, the worst."""
        logits, following = self.outputs(weights, grid)
        answer = self.lessons.answer.expand(len(logits), -1)
        entropy = cross_entropy(logits.transpose(1, 2), answer, reduction="none")
        side = 2 * self.lessons.following - 1
        short = torch.relu(0.5 + BEYOND - side * (following - 0.5)).mean(dim=2)
        worst = entropy.topk(min(10, entropy.shape[1]), dim=1).values.mean(dim=1)
        return entropy.mean(dim=1) + 0.05 * worst + 2 * short.mean(dim=1) + 0.1 * short.amax(dim=1)

    def trained(self, steps: int, rates: Sequence[float], grid: Grid | None, top: float) -> Crowd:
        """A cycle of `steps` steps of Adam for each rate, which falls along half a cosine; weights stay within top."""
        weights = tuple(weight.clone().requires_grad_() for weight in self.weights)
        for rate in rates:
            optimizer = torch.optim.Adam(weights, lr=rate, betas=(0.9, 0.99))
            for step in range(steps):
                for group in optimizer.param_groups:
                    group["lr"] = RATE_FLOOR + rate * (1 + math.cos(math.pi * step / steps)) / 2
                optimizer.zero_grad()
                self.losses(weights, grid).sum().backward()
                optimizer.step()
                with torch.no_grad():
                    for weight in weights:
                        weight.clamp_(-top, top)
        return replace(self, weights=tuple(weight.detach() for weight in weights))

    @torch.no_grad()
    def closed(self, grid: Grid | None) -> Bool[Tensor, " nets"]:
        """Which nets are right, and lead into the right region, from every corner of every region."""
        logits, following = self.outputs(self.weights, grid)
        answer = self.lessons.answer.expand(len(logits), -1)[..., None]
        lead = logits.gather(2, answer)[..., 0] - logits.scatter(2, answer, -torch.inf).amax(dim=2)
        side = 2 * self.lessons.following - 1
        inside = side * (following - 0.5) >= 0.5 - REACH
        return (lead > 0).all(dim=1) & inside.flatten(1).all(dim=1)

    def best(self, count: int) -> Crowd:
        """The nets with the lowest losses."""
        with torch.no_grad():
            order = self.losses(self.weights, None).argsort()[:count]
        return self.only(order)

    def only(self, which: Tensor) -> Crowd:
        return replace(self, weights=tuple(weight[which] for weight in self.weights))

    def without_one(self) -> Crowd:
        """Every net without each of its hidden units in turn: as many nets as there are units, times as many."""
        *tables, w, u, u_bias, v, v_bias = self.weights
        children = []
        for unit in range(self.n_hidden):
            kept = [i for i in range(self.n_hidden) if i != unit]
            columns = [weight[:, :, kept] for weight in (*tables, w)]
            children.append((*columns, u[:, kept], u_bias, v[:, kept], v_bias))
        return replace(self, weights=tuple(torch.cat(parts) for parts in zip(*children, strict=True)))

    def net(self, number: int, grid: Grid | None) -> Recurrent:
        """One of the crowd as a net of its own, its weights on the grid."""
        net = Recurrent(replace(self.lessons.config, n_hidden=self.n_hidden))
        *tables, w, u, u_bias, v, v_bias = (
            (weight if grid is None else grid.round(weight))[number] for weight in self.weights
        )
        with torch.no_grad():
            net.embed_left.weight.copy_(tables[0])
            net.embed_right.weight.copy_(tables[-1])
            for layer, matrix, bias in ((net.unembed, u, u_bias), (net.state_out, v, v_bias)):
                layer.weight.copy_(matrix.T)
                layer.bias.copy_(bias[0])
            net.state_in.weight.copy_(w.T)
        return net.eval()
