"""The metric when the last residual stream loses something: only the read-out is computed, not the net.

What neurons of the last layer write goes straight to the logits, and they are nodes only in nets without a norm. So
for them the logits are linear in what is lost: neuron i that loses c moves them by c W_U w_out,i.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from interp.attribution.activations import Activations
from interp.attribution.metric import Metric
from interp.attribution.result import mean_metrics
from interp.attribution.stream import Stream

NUMBERS = 1 << 22
"""Numbers that are held at once for several copies of the batch."""


def without_vectors(
    stream: Stream, here: Activations, vectors: Float[Tensor, "run batch d_model"], metric: Metric
) -> NDArray[np.float64]:
    """Mean metric of each run, in which the last stream loses its vectors."""
    last = here.values[stream.reads(len(stream.blocks))][:, -1]
    parts = vectors.split(max(1, NUMBERS // last.numel())) if len(vectors) else ()
    return _joined(mean_metrics(metric, stream.read_out(last - part)) for part in parts)


def without_activity(
    stream: Stream, here: Activations, lost: Float[Tensor, "batch neuron"], metric: Metric
) -> NDArray[np.float64]:
    """Mean metric for each neuron of the last layer when it alone loses that much of its activity."""
    written = stream.blocks[-1].w_out.T @ stream.net.unembed.weight.T
    step = max(1, NUMBERS // here.logits.numel())
    parts = zip(lost.T.split(step), written.split(step), strict=True)
    return _joined(
        mean_metrics(metric, torch.addcmul(here.logits, c[:, :, None], w[:, None], value=-1)) for c, w in parts
    )


def _joined(parts: Iterator[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.concatenate([np.zeros(0), *parts])
