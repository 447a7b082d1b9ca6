"""The core of a small transformer as a student: its own neurons, its own tables, its own read-out.

A neuron of the transformer sees a and b through attention; over all pairs its preactivation is, up to what attention
itself varies, a sum of a function of a and one of b:

    pre_j(a, b) ~ left[a, j] + right[b, j]      the best such sum: row mean + column mean - mean
    features    = (2 / p) basis U W_out relu(left + right)      U W_out is what neuron j adds to the logits

with basis the cosines and sines of the net's own key frequencies. These are the tables with which the student of this
shape (`compress.student`) begins, one unit a neuron. They are then fitted and rounded as those of a distilled student
are, on the net's own answers. Nothing is drawn at random and nothing is chosen: where that fit moves far from where it
began, what it ends with is not the net's own, and `Core.own` says so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from compress.blocks import Blocks, power_loss, targets_together
from compress.distill import Distilled, assemble
from compress.student import Student, cosine_readout
from compress.teacher import Teacher, spectrum
from pipeline.nets import Transformer

TIED = 0.01
"""Share of the variance that one table for both symbols may cost; it is then stored once."""
KEY_POWER = 0.95
"""Share of the power of the logits' cosines that the key frequencies carry."""


@dataclass(frozen=True)
class CoreOptions:
    """`steps` of Adam; the net's answers on up to `max_outliers` of all inputs may differ from the core's."""

    steps: int = 400
    lr: float = 0.01
    max_outliers: float = 0.01


@dataclass(frozen=True)
class Core:
    """The core in floats.

    `began` are the net's own tables. `additive` is the share of the preactivations' variance that the sums of tables
    have, `wrong_before` how many of the net's answers the tables give as they are, before anything is fitted.
    """

    distilled: Distilled
    began: Blocks
    additive: float
    wrong_before: int

    def own(self, student: Student) -> float:
        """The share of the variance of a student's tables that the net's own explain: mean r^2 over the columns."""
        right = student.left if student.right is None else student.right
        shares = [
            np.corrcoef(mine[0, :, j].numpy(), ended[:, j])[0, 1] ** 2
            for mine, ended in ((self.began.left, student.left), (self.began.right, right))
            for j in range(student.left.shape[1])
        ]
        return float(np.mean(shares))


def key_frequencies(teacher: Teacher, share: float = KEY_POWER) -> tuple[int, ...]:
    """The fewest frequencies that carry `share` of the power of all cosines in the logits; ascending."""
    power = np.square(np.clip(spectrum(teacher), 0, None))
    order = np.argsort(-power, kind="stable")
    carried = np.cumsum(power[order]) / max(power.sum(), 1e-300)
    count = int(np.searchsorted(carried, share)) + 1
    return tuple(sorted(int(k) + 1 for k in order[:count]))


@torch.no_grad()
def own_tables(net: Transformer, teacher: Teacher, frequencies: tuple[int, ...]) -> tuple[Blocks, float]:
    """The tables that the net itself has, and the share of its preactivations' variance that they add up to."""
    task = teacher.task
    p = task.p
    _, cache = net.run_with_cache(torch.from_numpy(task.pairs()), names_filter="mlp.hook_pre")
    pre: Float64[Tensor, "p p unit"] = cache["mlp.hook_pre"].double().view(p, p, -1)
    mean = pre.mean((0, 1))
    left, right = pre.mean(1) - mean / 2, pre.mean(0) - mean / 2
    both = (left + right) / 2

    def explained(sums: Tensor) -> float:
        return 1 - float((pre - sums).square().sum() / (pre - mean).square().sum().clamp(min=1e-300))

    sums, additive = left[:, None] + right[None], explained(left[:, None] + right[None])
    tied = explained(both[:, None] + both[None]) > additive - TIED
    if tied:
        left = right = both
        sums = left[:, None] + right[None]
    basis = torch.from_numpy(cosine_readout(p, frequencies))
    pushed = net.unembed.weight.double() @ net.mlp.w_out.weight.double()
    mix = (2 / p) * (basis @ pushed).T
    features = torch.relu(sums).flatten(0, 1) @ mix
    features = features - features.mean(0)
    wanted = basis.T[torch.from_numpy(teacher.answers)]
    # one amplitude a frequency: a read-out by plain cosines weighs them alike
    amplitude = (features * wanted).view(-1, len(frequencies), 2).sum((0, 2)) / (p * p)
    scale = amplitude.clamp(min=1e-3 * float(amplitude.abs().max())).repeat_interleave(2)
    mix = mix / scale
    offset = -(torch.relu(sums).flatten(0, 1) @ mix).mean(0)
    left = left.float()
    table = left[None]
    other = table if tied else right.float()[None]
    return Blocks(table, other, mix.float()[None], offset.float().view(1, 1, 1, -1)), additive


def core_of(net: Transformer, teacher: Teacher, options: CoreOptions = CoreOptions()) -> Core:
    """Fit the net's own tables to its answers: L2, then L8 of the features' errors, as a distilled student's."""
    p = teacher.task.p
    frequencies = key_frequencies(teacher)
    began, additive = own_tables(net, teacher, frequencies)
    blocks = began.leaves()
    answers = torch.from_numpy(teacher.answers)
    wanted = targets_together(answers.view(p, p), p, list(frequencies))

    def right(of: Blocks) -> Float[Tensor, "p p"]:
        given = assemble(teacher, frequencies, of.select([0])).answers()
        return torch.from_numpy(given == teacher.answers).view(p, p)

    before = right(began)
    kept = torch.ones(p, p, dtype=torch.bool)
    optimizer = torch.optim.Adam(blocks.parameters(), lr=options.lr, betas=(0.9, 0.99))
    for step in range(options.steps):
        done = step / options.steps
        if step == options.steps // 2:
            kept = right(blocks)
        for group in optimizer.param_groups:
            group["lr"] = options.lr * min(1.0, 1.5 * (1 - done))
        optimizer.zero_grad()
        power_loss(blocks.features() - wanted, kept.float(), 2 if done < 0.5 else 8).backward()
        optimizer.step()
    kept = right(blocks)
    explained = int((~kept).sum()) <= options.max_outliers * p * p
    distilled = Distilled(teacher, frequencies, blocks.select([0]), explained, kept.flatten().numpy())
    return Core(distilled, began, additive, int((~before).sum()))
