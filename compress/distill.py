"""Distillation of a transformer into a softmax-free student with a cosine read-out.

The student regresses 2 K features, cos and sin of 2 pi k answer / p for K key frequencies, where `answer` is the
teacher's own argmax. (Taking the phases of the teacher's logits instead, its soft labels, left 1 to 5% wrong answers
and residuals twice as large at the same size: the teacher's logits deviate from waves by 15%, its answers do not.)

1. Least squares on the transfer pairs only, the inputs the teacher was not trained on (see `compress.teacher.Teacher`).
2. Does the student now name the teacher's answers? Where it does not, on up to `max_outliers` of all inputs, the
   teacher's answer is an outlier and left out from here on. Where it fails on more, the teacher is not `explained`,
   and the student is handed on as it is.
3. The L4, then the L8 norm of the residuals on all inputs, training pairs included: by now the student has named the
   teacher's answers on pairs it had not seen. What a proof needs is the largest residual, not the mean one, and one
   slip of the teacher would rule it; so outliers are looked for anew twice on the way, and may come back in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from compress.blocks import Blocks, largest_error, power_loss, starting_blocks, targets
from compress.student import Student, cosine_readout
from compress.teacher import Teacher


@dataclass(frozen=True)
class DistillOptions:
    """`units` hidden units for each frequency; the best of `restarts` starts per frequency; `steps` of Adam."""

    units: int = 8
    restarts: int = 4
    steps: int = 600
    seed: int = 0
    lr: float = 0.02
    max_outliers: float = 0.01


@dataclass(frozen=True)
class Distilled:
    """A float student: one block per frequency, or one for all.

    `kept` marks the inputs it was asked to copy, all where it could.
    """

    teacher: Teacher
    frequencies: tuple[int, ...]
    blocks: Blocks
    explained: bool
    kept: Bool[np.ndarray, " pair"]

    @property
    def outliers(self) -> int:
        return int((~self.kept).sum())

    def student(self) -> Student:
        """The same as one net, in float32."""
        return assemble(self.teacher, self.frequencies, self.blocks)


def distill_student(
    teacher: Teacher, frequencies: tuple[int, ...], options: DistillOptions = DistillOptions()
) -> Distilled:
    """Fit one block per frequency to the teacher's answers; the same arguments give the same bits on one thread."""
    task = teacher.task
    p, restarts = task.p, options.restarts
    repeated = [k for k in frequencies for _ in range(restarts)]
    generator = torch.Generator().manual_seed(options.seed)
    blocks = starting_blocks(p, task.sign, repeated, options.units, generator).leaves()
    wanted = targets(torch.from_numpy(teacher.answers).view(p, p), p, repeated)
    transfer = torch.from_numpy(teacher.transfer).view(p, p)
    optimizer = torch.optim.Adam(blocks.parameters(), lr=options.lr, betas=(0.9, 0.99))

    def fit(first: float, last: float, pairs: Bool[Tensor, "p p"]) -> None:
        weight = pairs.float()
        for step in range(round(first * options.steps), round(last * options.steps)):
            done = step / options.steps
            for group in optimizer.param_groups:
                group["lr"] = options.lr * min(1.0, 1.5 * (1 - done))
            power = 2 if done < 0.35 else 4 if done < 0.5 else 8
            # a quarter of the rows is enough until the largest residual is what counts
            rows = torch.randperm(p, generator=generator)[: max(p // 4, 1)] if done < 0.7 else torch.arange(p)
            loss = power_loss(blocks.features(rows) - wanted[:, rows], weight[rows], power)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    def best(pairs: Bool[Tensor, "p p"], by_mean: bool) -> list[int]:
        with torch.no_grad():
            features = blocks.features()
            if by_mean:
                score = ((features - wanted).square() * pairs[None, :, :, None]).mean((1, 2, 3))
            else:
                score = largest_error(features, wanted, pairs)
        return (score.view(-1, restarts).argmin(1) + restarts * torch.arange(len(frequencies))).tolist()

    def copied(chosen: list[int]) -> Bool[Tensor, "p p"]:
        answers = assemble(teacher, frequencies, blocks.select(chosen)).answers()
        return torch.from_numpy(answers == teacher.answers).view(p, p)

    fit(0.0, 0.35, transfer)
    chosen = best(transfer, by_mean=True)
    kept = copied(chosen)
    explained = int((~kept).sum()) <= options.max_outliers * p * p
    if explained:
        for first, last in ((0.35, 0.5), (0.5, 0.7)):
            fit(first, last, kept)
            kept = copied(best(kept, by_mean=True))
        fit(0.7, 1.0, kept)
        chosen = best(kept, by_mean=False)
    else:
        kept = torch.ones_like(kept)
    return Distilled(teacher, tuple(frequencies), blocks.select(chosen), explained, kept.flatten().numpy())


def assemble(teacher: Teacher, frequencies: tuple[int, ...], blocks: Blocks) -> Student:
    """Blocks side by side: tables concatenated, mix block-diagonal, read-out the float32 cosines."""
    count, p, units = blocks.left.shape
    features = blocks.mix.shape[2]
    mix = np.zeros((count * units, features * count), dtype=np.float32)
    for k in range(count):
        mix[k * units : (k + 1) * units, features * k : features * (k + 1)] = blocks.mix[k].detach().numpy()

    def table(values: Tensor) -> np.ndarray:
        return values.detach().permute(1, 0, 2).reshape(p, count * units).numpy()

    return Student(
        teacher.task,
        frequencies,
        table(blocks.left),
        None if blocks.tied else table(blocks.right),
        mix,
        blocks.offset.detach().reshape(-1).numpy(),
        cosine_readout(p, frequencies).astype(np.float32),
    )
