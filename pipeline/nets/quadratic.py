"""The quadratic net of Gromov 2023 (arXiv 2301.02679), whose solution of modular addition is known in closed form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformer_lens.hook_points import HookPoint

from pipeline.nets.net import Net, Units

PHASES = 6
"""Units a frequency in the closed form."""


@dataclass(frozen=True)
class QuadraticConfig:
    """One hidden layer of `width` units on the two one-hot symbols."""

    KIND: ClassVar[str] = "quadratic"

    n_left: int
    n_right: int
    n_answers: int
    width: int = 500

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Quadratic(Net):
    """h = (L e_a + R e_b)^2, logits = U h; no biases (Gromov 2023, eq. 1)."""

    def __init__(self, config: QuadraticConfig) -> None:
        super().__init__()
        self.config = config
        self.left = nn.Linear(config.n_left, config.width, bias=False)
        self.right = nn.Linear(config.n_right, config.width, bias=False)
        self.unembed = nn.Linear(config.width, config.n_answers, bias=False)
        self.hook_pre = HookPoint()
        self.hook_post = HookPoint()
        self.setup()

    def hidden_units(self) -> list[Units]:
        return [Units({"left.weight": 0, "right.weight": 0}, {"unembed.weight": 1})]

    def residual(self, inputs: Int[Tensor, "batch 2"]) -> Float[Tensor, "batch width"]:
        """The squared hidden sums. A column of a matrix is what that matrix makes of a one-hot symbol."""
        a, b = inputs.unbind(1)
        pre = nn.functional.embedding(a, self.left.weight.T) + nn.functional.embedding(b, self.right.weight.T)
        return self.hook_post(self.hook_pre(pre).square())


@torch.no_grad()
def closed_form(p: int, frequencies: Sequence[int], sign: int = 1) -> Quadratic:
    """The net whose logits are exactly 3 sum_k cos(2 pi k (a + sign b - c) / p), k over `frequencies`.

    Unit t of frequency k has L = cos(w a + f_t), R = cos(w sign b + g_t), U = cos(w c + f_t + g_t), w = 2 pi k / p
    (Gromov 2023, eq. 4 to 7; signs of the phases as here). Gromov draws the phases at random, so that the terms that
    do not depend on a + b - c cancel on average over many units. With f_t = 2 pi t / 6 and g_t = 2 pi 4 t / 6 they
    cancel exactly over six: their phases go round the circle by 1, 2, 3 or 5 sixths a unit, never by 0.
    """
    net = Quadratic(QuadraticConfig(p, p, p, PHASES * len(frequencies)))
    angle = 2 * math.pi / p * torch.tensor(frequencies, dtype=torch.float64)[:, None, None] * torch.arange(p)
    turn = 2 * math.pi / PHASES * torch.arange(PHASES, dtype=torch.float64)[:, None]
    net.left.weight.copy_(torch.cos(angle + turn).flatten(0, 1))
    net.right.weight.copy_(torch.cos(sign * angle + 4 * turn).flatten(0, 1))
    net.unembed.weight.copy_(torch.cos(angle + 5 * turn).flatten(0, 1).T)
    return net
