"""The Fourier basis over Z_p, and spectra of tables and logits in it.

A function on Z_p has frequencies k = 1 .. floor(p / 2), each with a cosine and a sine of w_k = 2 pi k / p; where p is
even, as the p - 1 of products, the last one has a cosine only.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor


def n_frequencies(p: int) -> int:
    """floor(p / 2): the frequencies of a modulus, beside the constant."""
    return p // 2


def fourier_basis(p: int, dtype: torch.dtype = torch.float32) -> Float[Tensor, "wave p"]:
    """Orthonormal rows: the constant, then cos and sin of frequency 1, cos and sin of frequency 2, and so on.

    The last sine of an even modulus is a row of zeros.
    """
    x = torch.arange(p, dtype=torch.float64)
    k = torch.arange(1, n_frequencies(p) + 1, dtype=torch.float64)
    # k * x is taken mod p first, so that the angle is exact for large products
    angle = 2 * math.pi / p * torch.remainder(k[:, None] * x, p)
    waves = torch.stack([angle.cos(), angle.sin()], dim=1).reshape(-1, p) * math.sqrt(2 / p)
    if p % 2 == 0:
        waves[-2] /= math.sqrt(2)
        waves[-1] = 0
    return torch.cat([torch.full((1, p), 1 / math.sqrt(p), dtype=torch.float64), waves]).to(dtype)


def power_spectrum(table: Float[Tensor, "p width"]) -> Float[Tensor, " frequency"]:
    """Share of the table's power (about its mean row) at each frequency: |cos part|^2 + |sin part|^2 over the width.

    `table` has one row per residue: embed.weight[:p], or unembed.weight. Sums to 1; all 0 for a constant table.
    """
    p = table.shape[0]
    waves = fourier_basis(p, torch.float64)[1:] @ table.double()
    power = waves.square().sum(1).reshape(-1, 2).sum(1)
    return power / power.sum().clamp_min(1e-300)


def gini(values: Float[Tensor, " n"]) -> float:
    """Gini coefficient, sum_i (2 i - n - 1) x_i / (n sum_i x_i) with x ascending, i from 1.

    0 where all are equal, 1 - 1 / n where one has everything; Nanda et al. 2023, section 5.1, take it of the spectra
    of embedding and read-out as a measure of their sparsity.
    """
    x = values.double().sort().values
    n, total = len(x), x.sum()
    if total <= 0:
        return 0.0
    rank = torch.arange(1, n + 1, dtype=torch.float64)
    return float(((2 * rank - n - 1) * x).sum() / (n * total))


def by_difference(logits: Float[Tensor, "pair p"], answers: Int[Tensor, " pair"]) -> Float[Tensor, "pair p"]:
    """Logits centred on their mean over the outputs c, re-indexed by d = (answer - c) mod p: column 0 is the answer."""
    p = logits.shape[1]
    index = torch.remainder(torch.arange(p)[:, None] - torch.arange(p), p)[answers]
    return (logits - logits.mean(1, keepdim=True)).gather(1, index)


def answer_profile(logits: Float[Tensor, "pair p"], answers: Int[Tensor, " pair"]) -> tuple[Float[Tensor, " p"], float]:
    """The best function of d = (a + b - c) mod p alone (a - b - c for subtraction), and the share it explains.

    profile[d] = mean over pairs of the centred logit at c = answer - d; the share is
    sum_d p^2 profile[d]^2 / sum centred^2: 1 for a perfect clock, about 1 / p^2 for noise.
    """
    differences = by_difference(logits, answers).double()
    profile = differences.mean(0)
    total = differences.square().sum()
    return profile, float(len(logits) * profile.square().sum() / total.clamp_min(1e-300))


def key_frequencies(spectrum: Float[Tensor, " frequency"], share: float) -> tuple[int, ...]:
    """The fewest frequencies that together carry at least `share` of the spectrum, ascending; none of an empty one.

    Taken of the power of `answer_profile`, that is of the part of the logits that depends on (a + b - c) mod p only.
    Catapult nets spread over most frequencies, so a rule with a fixed number of them would not do.
    """
    if not len(spectrum):
        return ()
    order = torch.argsort(spectrum, descending=True, stable=True)
    reached = spectrum[order].double().cumsum(0) >= share * spectrum.double().sum() * (1 - 1e-12)
    count = int(reached.int().argmax()) + 1
    return tuple(sorted(int(k) + 1 for k in order[:count]))


def project_on_answer(
    logits: Float[Tensor, "pair p"], answers: Int[Tensor, " pair"], frequencies: tuple[int, ...]
) -> Float[Tensor, "pair p"]:
    """The part of the logits along cos(w_k s) and sin(w_k s), s the answer, for the given frequencies k.

    Over the whole domain these directions are orthogonal and depend on s only, so the projection is the mean over
    all pairs of the same answer followed by a projection over Z_p (Nanda et al. 2023, section 4.2: a + b is s).
    """
    p = logits.shape[1]
    sums = torch.zeros(p, p, dtype=logits.dtype).index_add_(0, answers, logits)
    means = sums / torch.bincount(answers, minlength=p)[:, None]
    rows = torch.tensor([2 * k - 1 + part for k in frequencies for part in (0, 1)], dtype=torch.long)
    waves = fourier_basis(p, logits.dtype)[rows]
    return (waves.T @ (waves @ means))[answers]
