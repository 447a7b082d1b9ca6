"""What flows through training and evaluation, whatever the task: inputs, targets, and where the targets count."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pipeline.tasks import Examples


@dataclass(frozen=True)
class Batch:
    """`n` examples. A pair of symbols has one target, a stream of pairs one at each of its positions.

    `mask` says at which positions a target counts, None at all of them; elsewhere a shorter example has ended.
    """

    inputs: Int[Tensor, "n ... 2"]
    targets: Int[Tensor, "n ..."]
    mask: Bool[Tensor, "n ..."] | None = None

    @classmethod
    def of(cls, examples: Examples, device: torch.device | str = "cpu") -> Batch:
        """The examples of a task on a device."""
        inputs, targets = (torch.from_numpy(array).to(device) for array in (examples.inputs, examples.targets))
        return cls(inputs, targets, None if examples.mask is None else torch.from_numpy(examples.mask).to(device))

    def __len__(self) -> int:
        return len(self.targets)

    def some(self, chosen: Int[Tensor, " k"]) -> Batch:
        """The examples of these numbers."""
        mask = None if self.mask is None else self.mask[chosen]
        return Batch(self.inputs[chosen], self.targets[chosen], mask)

    def at_targets(self, values: Float[Tensor, "n ... width"]) -> Float[Tensor, "counted width"]:
        """What a net gives at each position, only where a target counts, in the order of `answers`."""
        flat = values.flatten(0, -2)
        return flat if self.mask is None else flat[self.mask.flatten()]

    @property
    def answers(self) -> Int[Tensor, " counted"]:
        """The targets that count, one after another."""
        flat = self.targets.flatten()
        return flat if self.mask is None else flat[self.mask.flatten()]

    def right(self, logits: Float[Tensor, "n ... answers"]) -> Bool[Tensor, " n"]:
        """Which examples are right at every position that counts."""
        right = logits.argmax(dim=-1) == self.targets
        if self.mask is not None:
            right = right | ~self.mask
        return right.flatten(1).all(dim=1) if right.ndim > 1 else right
