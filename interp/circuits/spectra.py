"""The spectrum of every node: how the variance of what it writes is spread over frequencies.

A node's output over all pairs (x, y) of Z_n x Z_n has a discrete Fourier transform F(f, g). Frequency k = 1 .. n / 2
gets the share of sum |F(f, g)|^2 with f and g in {0, k, -k}, not both 0, of that over all (f, g) but (0, 0): what waves
of that frequency alone can carry. What mixes frequencies is in no share. Z_n is that of `interp.bases`.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from interp.attribution.activations import activations, written
from interp.attribution.stream import Stream
from interp.bases import basis_of
from pipeline.tasks import Task

CONSTANT = 1e-9
"""A node whose variance is below this share of its power does not depend on the pair: its spectrum is 0."""
WIDTH = 256
"""Numbers a pair that are transformed at once."""


def frequency_shares(table: Float[Tensor, "n n width"]) -> Float[Tensor, " frequency"]:
    """Shares for one node, whose output has `width` numbers a pair."""
    return _shares(*(power.sum(-1, keepdim=True) for power in _powers(table)))[:, 0]


def _powers(
    table: Float[Tensor, "n n width"],
) -> tuple[Float[Tensor, "frequency width"], Float[Tensor, " width"], Float[Tensor, " width"]]:
    """Per frequency; of all that varies; of the constant. Only the lines f, g in {0, k, -k} are transformed."""
    n, width = len(table), table.shape[2]
    table = table.double()
    k = torch.arange(1, n // 2 + 1)
    angle = (k[:, None] * torch.arange(n) % n).double() * (2 * math.pi / n)
    cos, sin = angle.cos(), angle.sin()
    by_x = [(wave @ table.reshape(n, -1)).reshape(-1, n, width) for wave in (cos, sin)]
    cc, cs, sc, ss = (torch.einsum("kyw,ky->kw", part, wave) for part in by_x for wave in (cos, sin))
    sides = [part.sum(1) for part in by_x] + [wave @ table.sum(0) for wave in (cos, sin)]
    both = [cc - ss, cs + sc]
    apart = [cc + ss, cs - sc]
    alone, both, apart = (sum(part.square() for part in parts) for parts in (sides, both, apart))
    lines = torch.where((2 * k == n)[:, None], alone + both, 2 * (alone + both + apart))
    mean = table.mean((0, 1))
    return lines, n**2 * (table - mean).square().sum((0, 1)), n**4 * mean.square()


def _shares(
    lines: Float[Tensor, "frequency width"], varying: Float[Tensor, " width"], constant: Float[Tensor, " width"]
) -> Float[Tensor, "frequency width"]:
    alive = varying > CONSTANT * (varying + constant)
    return torch.where(alive, lines / torch.where(alive, varying, 1.0), 0.0)


def node_spectra(stream: Stream, task: Task) -> NDArray[np.float64] | None:
    """[node, frequency]; None where the operation has no basis. The logits' spectrum is that of the centred logits."""
    basis = basis_of(task)
    if basis is None:
        return None
    n = basis.n
    with torch.no_grad():
        run = activations(stream, torch.from_numpy(basis.pairs))
        rows = []
        for i, group in enumerate(stream.graph.groups[:-1]):
            sent = written(stream, i, run)
            if group.kind == "neuron":
                rows += _neurons(sent, n)
            else:
                rows += [frequency_shares(table.reshape(n, n, -1)) for table in sent]
        logits = run.logits - run.logits.mean(1, keepdim=True)
        rows.append(frequency_shares(logits.reshape(n, n, -1)))
    return torch.stack(rows).numpy()


def _neurons(activity: Float[Tensor, "pair pos neuron"], n: int) -> list[Float[Tensor, " frequency"]]:
    """Of each neuron, over all its positions; `WIDTH` neurons at a time."""
    found: list[Tensor] = []
    for part in activity.split(WIDTH, dim=-1):
        powers = _powers(part.reshape(n, n, -1))
        found += _shares(*(power.unflatten(-1, part.shape[1:]).sum(-2) for power in powers)).T
    return found
