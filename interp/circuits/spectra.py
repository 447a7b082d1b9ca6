"""The spectrum of every node: how the variance of what it writes is spread over frequencies.

A node's output over all pairs (x, y) of Z_n x Z_n has a discrete Fourier transform F(f, g). Frequency k = 1 .. n / 2
gets the share of sum |F(f, g)|^2 with f and g in {0, k, -k}, not both 0, of that over all (f, g) but (0, 0): what waves
of that frequency alone can carry. What mixes frequencies is in no share. Z_n is that of `interp.bases`.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from interp.attribution.activations import activations, written
from interp.attribution.stream import Stream
from interp.bases import basis_of
from pipeline.tasks import ModularTask

CONSTANT = 1e-9
"""A node whose variance is below this share of its power does not depend on the pair: its spectrum is 0."""


def frequency_shares(table: Float[Tensor, "n n width"]) -> Float[Tensor, " frequency"]:
    """Shares for one node, whose output has `width` numbers a pair."""
    n = len(table)
    power = torch.fft.fft2(table.double(), dim=(0, 1)).abs().square().sum(2)
    k = torch.arange(1, n // 2 + 1)
    lines = power[k, 0] + power[0, k] + power[k, k] + power[k, -k]
    lines = torch.where(2 * k == n, lines - power[k, k], 2 * lines)
    total = power.sum() - power[0, 0]
    return lines / total if float(total) > CONSTANT * float(power.sum()) else torch.zeros(len(k), dtype=power.dtype)


def node_spectra(stream: Stream, task: ModularTask) -> NDArray[np.float64] | None:
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
            tables = sent.movedim(-1, 0).unsqueeze(-1) if group.kind == "neuron" else sent
            rows += [frequency_shares(table.reshape(n, n, -1)) for table in tables]
        logits = run.logits - run.logits.mean(1, keepdim=True)
        rows.append(frequency_shares(logits.reshape(n, n, -1)))
    return torch.stack(rows).numpy()
