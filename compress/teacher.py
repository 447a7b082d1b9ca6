"""What a student is told about its teacher: answers, spectrum and key frequencies. The task's are not used."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from torch import nn

from pipeline.tasks import ModularTask


@dataclass(frozen=True)
class Teacher:
    """A net's behaviour on every input, in the order of ModularTask.pairs.

    `transfer` marks the pairs the net was not trained on. Only there are its answers its own algorithm rather than
    labels it was shown: a student taught on all pairs would learn the training labels a second time, through the
    teacher, and come out better than a teacher that memorised.
    """

    task: ModularTask
    logits: Float64[np.ndarray, "pair p"]
    transfer: Bool[np.ndarray, " pair"]

    @property
    def answers(self) -> Int64[np.ndarray, " pair"]:
        return self.logits.argmax(1)


def observe(net: nn.Module, task: ModularTask, held_out: Int64[np.ndarray, " n"]) -> Teacher:
    """Run `net` on all p^2 inputs. `held_out` numbers the pairs it was not trained on; where none are, all count."""
    transfer = np.zeros(task.p**2, dtype=bool)
    transfer[held_out] = True
    with torch.no_grad():
        logits = net(torch.from_numpy(task.pairs())).double().numpy()
    return Teacher(task, logits, transfer if transfer.any() else ~transfer)


def spectrum(teacher: Teacher) -> Float64[np.ndarray, " frequencies"]:
    """Amplitude of each frequency k = 1 .. (p - 1) / 2 in the logits on the transfer pairs.

    amplitude_k = mean over (a, b) of (2 / p) sum_c logit_c(a, b) cos(2 pi k (a + sign b - c) / p),
    the projection on the clock's logits (Nanda et al. 2023, section 4.2); negative where the logits run against it.
    """
    task = teacher.task
    a, b = task.pairs()[teacher.transfer].T
    turned = np.exp(-2j * np.pi * np.outer(a + task.sign * b, np.arange(1, task.p // 2 + 1)) / task.p)
    logits = teacher.logits[teacher.transfer]
    components = np.fft.fft(logits, axis=1).conj()[:, 1 : task.p // 2 + 1]
    return (2 / task.p) * (components * turned).real.mean(0)


def headroom(p: int, frequencies: tuple[int, ...]) -> float:
    """Largest residual norm per frequency, in units of the scale, under which the student's answer is still forced.

    min over d != 0 of sum_k sin^2(pi k d / p) / sum_k |sin(pi k d / p)|: the margin of the right answer over the one d
    away, against what residuals of norm rho can move it, 2 rho sum_k |sin(pi k d / p)|.
    """
    sines = np.abs(np.sin(np.pi * np.outer(frequencies, np.arange(1, p)) / p))
    return float(((sines**2).sum(0) / sines.sum(0)).min())


def key_frequencies(teacher: Teacher, count: int, strong: float = 0.5, at_most: int = 16) -> tuple[int, ...]:
    """`count` frequencies out of the teacher's strong ones, with the most headroom; ascending.

    Strong: amplitude at least `strong` times the largest, the first `at_most` of them; where fewer than `count` are
    that strong, the strongest `count`. A net trained with a high learning rate spreads over most frequencies with like
    amplitudes, so there is a choice, and the choice decides whether a proof closes.
    """
    p = teacher.task.p
    count = min(count, p // 2)
    amplitude = spectrum(teacher)
    order = np.argsort(-amplitude, kind="stable")
    n_strong = int((amplitude >= strong * amplitude.max()).sum()) if amplitude.max() > 0 else 0
    pool = [int(k) + 1 for k in order[: min(max(n_strong, count), at_most)]]
    if count > len(pool):
        pool = [int(k) + 1 for k in order[:count]]
    return max((tuple(sorted(chosen)) for chosen in combinations(pool, count)), key=lambda chosen: headroom(p, chosen))
