"""What is minimised, and what is measured.

The usual float32 log-softmax rounds the loss and the gradient of a fitted pair to 0 (Prieto et al. 2025, arXiv
2501.04697, section 3). Taken as log(1 + exp(log-sum-exp of the wrong logits - right logit)) neither is lost, and
float64, which others use, is not needed.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from pipeline.batch import Batch


def training_loss(
    kind: Literal["cross_entropy", "stablemax"],
    temperature: float,
    logits: Float[Tensor, "n answers"],
    answers: Int[Tensor, " n"],
) -> Float[Tensor, ""]:
    """Cross-entropy in nats of softmax or StableMax of `temperature` * logits, an inverse temperature."""
    scaled = logits * temperature
    return cross_entropy(log_stable(scaled) if kind == "stablemax" else scaled, answers)


def log_stable(x: Tensor) -> Tensor:
    """log s(x) with s(x) = x + 1 for x >= 0 and 1 / (1 - x) below (Prieto et al. 2025, section 4).

    StableMax is s(x_i) / sum_j s(x_j): the softmax of log s(x), so that the loss is the cross-entropy of these.
    """
    return torch.where(x >= 0, torch.log1p(x.clamp(min=0)), -torch.log1p((-x).clamp(min=0)))


def is_plain(kind: str, temperature: float) -> bool:
    """Whether the training loss is the cross-entropy that is also measured."""
    return kind == "cross_entropy" and temperature == 1.0


@torch.no_grad()
def evaluate(net: nn.Module, batch: Batch) -> tuple[float, float]:
    """Cross-entropy in nats over all targets, and the share of examples that are right at every position."""
    logits = net(batch.inputs)
    right = batch.right(logits)
    return cross_entropy(batch.at_targets(logits), batch.answers).item(), right.sum().item() / len(batch)


def cross_entropy(logits: Float[Tensor, "n answers"], answers: Int[Tensor, " n"]) -> Float[Tensor, ""]:
    """Mean of -log softmax(logits)[answer], in nats, to float32 relative accuracy however small it is."""
    right = logits.gather(1, answers[:, None])
    wrong = logits.scatter(1, answers[:, None], -torch.inf).logsumexp(dim=1)
    return F.softplus(wrong - right[:, 0]).mean()


def accuracy(logits: Float[Tensor, "n answers"], answers: Int[Tensor, " n"]) -> Float[Tensor, ""]:
    """The share of right answers, counted as integers."""
    return (logits.argmax(dim=1) == answers).sum().double() / answers.shape[0]
