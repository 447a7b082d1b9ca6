"""What is attributed: one number an input, from the logits."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.errors import UserError
from pipeline.tasks import Task

Metric = Callable[[Tensor], Tensor]
"""Logits [batch, answers] to [batch]."""


def logit_difference(right: Int[Tensor, " batch"], wrong: Int[Tensor, " batch"]) -> Metric:
    """logit[right] - logit[wrong] of each input (Wang et al. 2022, section 2.1)."""

    def metric(logits: Float[Tensor, "batch answers"]) -> Float[Tensor, " batch"]:
        chosen = logits.gather(1, torch.stack([right, wrong], dim=1))
        return chosen[:, 0] - chosen[:, 1]

    return metric


def centred_logit(right: Int[Tensor, " batch"]) -> Metric:
    """The right answer's logit above the mean over all answers."""
    return lambda logits: logits.gather(1, right[:, None])[:, 0] - logits.mean(1)


def log_probability(right: Int[Tensor, " batch"]) -> Metric:
    """Log-softmax of the right answer, in float64: minus the cross-entropy."""
    return lambda logits: logits.double().log_softmax(1).gather(1, right[:, None])[:, 0]


def contrast(
    task: Task, n: int, seed: int = 0, skip: int = 0, among: Int[Tensor, " pair"] | None = None
) -> tuple[Int[Tensor, "n 2"], Int[Tensor, "n 2"], Metric]:
    """`n` clean pairs, a corrupted pair of another answer for each, and the logit difference between the two answers.

    Clean pairs are drawn without repetition (fewer than `n` where there are fewer), those after the first `skip` of the
    seed's order; corrupted ones at random. Both come from the pairs numbered `among`, all where None; UserError where
    these have one answer only.
    """
    draw = torch.Generator().manual_seed(seed)
    chosen = slice(None) if among is None else among
    pairs, answers = torch.from_numpy(task.pairs())[chosen], torch.from_numpy(task.answers())[chosen]
    if len(answers.unique()) < 2:
        raise UserError(f"pairs = {len(pairs)}, of one answer: a corrupted pair has another answer; give more pairs")
    clean = torch.randperm(len(pairs), generator=draw)[skip : skip + n]
    corrupted = torch.randint(len(pairs), clean.shape, generator=draw)
    while bool((same := answers[corrupted] == answers[clean]).any()):
        corrupted[same] = torch.randint(len(pairs), (int(same.sum()),), generator=draw)
    return pairs[clean], pairs[corrupted], logit_difference(answers[clean], answers[corrupted])
