"""A recurrent net that reads a stream of pairs: one ReLU layer and a state that is clipped to [0, 1].

    hidden = relu(left[a] + right[b] + W s)      logits = U hidden + u      next s = min(max(V hidden + v, 0), 1)

s is 0 at the start. The hidden layer's bias is part of the tables. A tied net has right = left.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformer_lens.hook_points import HookPoint

from pipeline.nets.net import Net, Units

LEAK = 0.02


def clip(x: Tensor) -> Tensor:
    """min(max(x, 0), 1). Its gradient is 1 within and LEAK outside, so that a saturated state still learns."""
    clipped = x.clamp(0, 1)
    beyond = x - clipped
    return clipped + LEAK * (beyond - beyond.detach())


@dataclass(frozen=True)
class RecurrentConfig:
    """`n_state` and `n_hidden` units; `tied` uses one table for both symbols of a pair."""

    KIND: ClassVar[str] = "recurrent"

    n_left: int
    n_right: int
    n_answers: int
    n_state: int = 2
    n_hidden: int = 32
    tied: bool = False

    def __post_init__(self) -> None:
        if self.tied and self.n_left != self.n_right:
            raise ValueError(f"tied = True: {self.n_left} and {self.n_right} symbols cannot share a table")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Recurrent(Net):
    """Logits for every step of a batch of streams."""

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_left = nn.Embedding(config.n_left, config.n_hidden)
        self.embed_right = self.embed_left if config.tied else nn.Embedding(config.n_right, config.n_hidden)
        self.state_in = nn.Linear(config.n_state, config.n_hidden, bias=False)
        self.state_out = nn.Linear(config.n_hidden, config.n_state)
        self.unembed = nn.Linear(config.n_hidden, config.n_answers)
        self.hook_post = HookPoint()
        self.hook_state_pre = HookPoint()
        self.hook_state = HookPoint()
        self.setup()

    def hidden_units(self) -> list[Units]:
        tables = ["embed_left.weight"] if self.config.tied else ["embed_left.weight", "embed_right.weight"]
        into = dict.fromkeys(tables, 1) | {"state_in.weight": 0}
        return [Units(into, {"state_out.weight": 1, "unembed.weight": 1})]

    @property
    def n_parameters(self) -> int:
        """Stored numbers; a tied table counts once."""
        return sum(weight.numel() for weight in self.parameters())

    def adjust_initial_weights(self) -> None:
        """The state's biases are 1/2, where the clip has a gradient."""
        nn.init.constant_(self.state_out.bias, 0.5)

    def residual(self, inputs: Int[Tensor, "batch length 2"]) -> Float[Tensor, "batch length hidden"]:
        """The hidden activations of every step."""
        table = self.embed_left(inputs[..., 0]) + self.embed_right(inputs[..., 1])
        state = table.new_zeros(len(inputs), self.config.n_state)
        steps = []
        for read in table.unbind(1):
            hidden = self.hook_post(torch.relu(read + self.state_in(state)))
            steps.append(hidden)
            state = self.hook_state(clip(self.hook_state_pre(self.state_out(hidden))))
        return torch.stack(steps, dim=1)
