"""The clock, pizza and accompanying-pizza formulas (Zhong et al. 2023), and how much of a net's logits each explains.

With d = x - y, e = x + y - z (0 at the answer) and w = 2 pi k / n, each is a function of d times one of e:

    clock           cos(w e)
    pizza           |cos(w d / 2)| (|cos(w e / 2)| - |sin(w e / 2)|), close to |cos(w d / 2)| cos(w e)
    accompanying    -cos(w d) cos(w e), which helps the pizza where w d is near pi, and whose embeddings turn at 2 w

so that all one needs of the logits is their mean over all pairs of equal d, a table over (d, e).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Profile:
    """`table` [d, e]: mean logit. `total`: variance of all logits. `within`: mean variance of a pair's logits."""

    table: Float[Tensor, "n n"]
    total: float
    within: float


@dataclass(frozen=True)
class Shares:
    """Share of the pairs' centred logits that is explained, all frequencies together, each with a factor of its own.

    `structured`: by any function of (d, e). `clock`: by sum_k A_k cos(w_k e). `pizza`: by sum_k A_k |cos(w_k d / 2)|
    cos(w_k e). `accompanied`: by the pizza with its companions, A_k |cos(w_k d / 2)| - B_k cos(w_k d). Pizzas with
    their companions are close to a clock in the logits, so that these say little on which of the two a net is.
    """

    structured: float
    clock: float
    pizza: float
    accompanied: float


def profile(logits: Float[Tensor, "n n n"]) -> Profile:
    """The table of logits [x, y, z]."""
    n = len(logits)
    i = torch.arange(n)
    by_distance = torch.stack([logits[(i + d) % n, i] for d in range(n)])  # [d, y, z]: x = y + d
    z = (i[:, None, None] + 2 * i[None, :, None] - i) % n  # of (d, y, e)
    table = by_distance.gather(2, z).mean(1)
    within = float(logits.square().mean() - logits.mean(2).square().mean())
    return Profile(table, within + float(logits.mean(2).var(correction=0)), within)


def half_angles(n: int, k: int) -> Float[Tensor, " n"]:
    """pi k v / n for v = 0 .. n - 1; k v is taken mod 2 n first."""
    return math.pi / n * torch.remainder(k * torch.arange(n), 2 * n).double()


def circle_fit(found: Profile, k: int) -> tuple[float, float, float]:
    """Explained variance of clock and pizza at k, and of what accompanies the pizza at k / 2 mod n.

    As in the authors' notebook both sides are standardised first, so that it is 2 r - 1, r their correlation. The
    third is nan where n is even and k odd.
    """
    n = len(found.table)
    angle = half_angles(n, k)
    one = torch.ones(n, dtype=torch.float64)
    clock = explained(found, one, torch.cos(2 * angle))
    pizza = explained(found, angle.cos().abs(), angle.cos().abs() - angle.sin().abs())
    if n % 2 == 0 and k % 2:
        return clock, pizza, float("nan")
    wave = torch.cos(2 * half_angles(n, k // 2 if k % 2 == 0 else (k + n) // 2))
    return clock, pizza, explained(found, -wave, wave)


def explained(found: Profile, of_d: Float[Tensor, " n"], of_e: Float[Tensor, " n"]) -> float:
    """2 r - 1, r the correlation over all (x, y, z) of the logits and of_d[x - y] of_e[x + y - z]; -1 for constants."""
    formula = of_d[:, None] * of_e
    spread = math.sqrt(found.total * float(formula.var(correction=0)))
    together = float(((found.table - found.table.mean()) * (formula - formula.mean())).mean())
    return 2 * together / spread - 1 if spread > 0 else -1.0


def shares(found: Profile) -> Shares:
    """The four shares; 0 for constant logits. The waves cos(w_k e) are orthogonal, so each k is fitted alone."""
    n = len(found.table)
    table = found.table - found.table.mean(1, keepdim=True)
    amplitude = torch.fft.rfft(table, dim=1).real[:, 1 : (n + 1) // 2] * 2 / n  # [d, k] of cos(w_k e)
    angle = torch.stack([half_angles(n, k) for k in range(1, (n + 1) // 2)], dim=1)
    whole = max(found.within, 1e-300)

    def share(*of_d: Tensor) -> float:
        basis, target = torch.stack(of_d, dim=-1).transpose(0, 1), amplitude.T[..., None]
        directions, sizes, _ = torch.linalg.svd(basis, full_matrices=False)
        directions = directions * (sizes > 1e-12 * sizes[..., :1])[..., None, :]
        fitted = directions @ (directions.mT @ target)  # the projection of the target on the basis
        return float(fitted.square().sum()) / (2 * n * whole)

    bow = angle.cos().abs()
    return Shares(
        structured=float(table.square().mean()) / whole,
        clock=share(torch.ones_like(angle)),
        pizza=share(bow),
        accompanied=share(bow, -torch.cos(2 * angle)),
    )
