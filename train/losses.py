"""What is minimised, and what is measured.

Both losses are taken in float64: in float32 the log-softmax loses the gradient of a fitted net (Prieto et al. 2025,
arXiv 2501.04697, section 3).
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

NOT_ASKED = -100
"""Stands for an answer where a stream has ended; torch's cross-entropy leaves it out."""


def training_loss(
    kind: Literal["cross_entropy", "stablemax"],
    temperature: float,
    logits: Float[Tensor, "n answers"],
    answers: Int[Tensor, " n"],
) -> Float[Tensor, ""]:
    """Cross-entropy in nats of softmax or StableMax of `temperature` * logits, an inverse temperature."""
    scaled = logits.double() * temperature
    return F.cross_entropy(log_stable(scaled) if kind == "stablemax" else scaled, answers)


def log_stable(x: Tensor) -> Tensor:
    """log s(x) with s(x) = x + 1 for x >= 0 and 1 / (1 - x) below (Prieto et al. 2025, section 4).

    StableMax is s(x_i) / sum_j s(x_j): the softmax of log s(x), so that the loss is the cross-entropy of these.
    """
    return torch.where(x >= 0, torch.log1p(x.clamp(min=0)), -torch.log1p((-x).clamp(min=0)))


@torch.no_grad()
def evaluate(net: nn.Module, pairs: Int[Tensor, "n 2"], answers: Int[Tensor, " n"]) -> tuple[float, float]:
    """Cross-entropy (float64, nats) and accuracy of a net."""
    return loss_and_accuracy(net(pairs), answers)


def loss_and_accuracy(logits: Float[Tensor, "n p"], answers: Int[Tensor, " n"]) -> tuple[float, float]:
    """Mean cross-entropy in nats, by float64 log-softmax, and the share of right answers, counted as integers.

    An answer of NOT_ASKED counts neither way.
    """
    loss = F.cross_entropy(logits.double(), answers).item()
    return loss, int((logits.argmax(dim=1) == answers).sum()) / int((answers != NOT_ASKED).sum())
