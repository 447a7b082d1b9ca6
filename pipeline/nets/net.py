"""What every net offers, so that one loop trains them all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformer_lens import HookedRootModule


class NetConfig(Protocol):
    """Everything that rebuilds a net's shape, as numbers and strings that JSON holds."""

    KIND: ClassVar[str]

    def to_dict(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Units:
    """A layer of hidden units: the parameters that lead into them and out, by name, with the dimension of the units."""

    into: dict[str, int]
    out: dict[str, int]


class Net(HookedRootModule):
    """Logits over the answers, from pairs of symbols or streams of them; a hook point on every intermediate value.

    logits = readout(residual(inputs)): the last hidden activations, then one linear map.
    """

    unembed: nn.Linear

    @property
    def readout(self) -> nn.Linear:
        """The linear map from the last hidden activations to the logits."""
        return self.unembed

    def residual(self, inputs: Int[Tensor, "batch ... 2"]) -> Float[Tensor, "batch ... width"]:
        """The last hidden activations, just before the read-out."""
        raise NotImplementedError

    def forward(self, inputs: Int[Tensor, "batch ... 2"]) -> Float[Tensor, "batch ... answers"]:
        return self.readout(self.residual(inputs))

    def adjust_initial_weights(self) -> None:
        """What the net needs of its initial weights beyond what a recipe's initialisation gives."""

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Every parameter once: hidden `matrices`; `embeddings`, with positions and all that is 1-D; the `readout`."""
        groups: dict[str, list[nn.Parameter]] = {"matrices": [], "embeddings": [], "readout": []}
        for name, weight in self.named_parameters():
            if name.startswith("unembed"):
                groups["readout"].append(weight)
            elif name.startswith(("embed", "pos")) or weight.ndim == 1:
                groups["embeddings"].append(weight)
            else:
                groups["matrices"].append(weight)
        return groups

    def hidden_units(self) -> list[Units]:
        """Its layers of hidden units, first to last."""
        raise NotImplementedError

    @contextmanager
    def without_dead(self, alive: Sequence[Bool[Tensor, " unit"]]) -> Iterator[None]:
        """Within, a forward pass may leave out the units of each layer that are not alive: their weights are 0."""
        yield


def activation(name: str, x: Tensor) -> Tensor:
    """relu, gelu (exact), gelu_tanh (its approximation; both Hendrycks and Gimpel 2016) or square, by name."""
    match name:
        case "relu":
            return torch.relu(x)
        case "gelu":
            return nn.functional.gelu(x)
        case "gelu_tanh":
            return nn.functional.gelu(x, approximate="tanh")
        case "square":
            return x.square()
        case _:
            raise ValueError(f"activation = {name!r}: choose one of {', '.join(ACTIVATIONS)}")


ACTIVATIONS: Sequence[str] = ("relu", "gelu", "gelu_tanh", "square")
