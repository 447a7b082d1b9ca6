"""Noise in the forward and backward pass: on weights, on hidden activations, and dropout.

Weight noise (Murray and Edwards 1994; An 1996): the gradient is taken at w + std rms(w) n with n normal, and applied
to w. Activation noise: h + std rms(h) n. Dropout (Srivastava et al. 2014, in its inverted form): h m / (1 - q) with m
1 with probability 1 - q, else 0. Both act on the hidden activations, the hook points named `hook_post`. State noise:
s + std n on the state of a recurrent net before it is clipped, so that the net must tell its states well apart.

All is drawn on the CPU, from one generator a net, so that it depends neither on the device nor on how many nets are
trained together, and its state can be kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.hook_points import HookPoint

from pipeline.errors import UserError
from pipeline.nets import Net
from pipeline.recipe_params import RecipeParams

STATE = "hook_state_pre"
"""Hook point of a recurrent net's next state, before it is clipped."""
ON_ACTIVATIONS = ("activation_noise", "dropout", "state_noise")
"""Keys of a recipe that ActivationNoise carries out."""

Draws = tuple[dict[str, Tensor], dict[str, Tensor]]
"""By hook point: what activation noise and what dropout are made of, stacked over nets. Empty where a thing is off."""


def noise_generators(seeds: Sequence[int]) -> list[torch.Generator]:
    """One a net, and not the stream that its initial weights are drawn from: noise like those would only scale them."""
    return [torch.Generator().manual_seed(seed ^ 0x9E3779B9) for seed in seeds]


@contextmanager
def noisy_weights(
    stacks: Sequence[Tensor], std: float, generators: Sequence[torch.Generator]
) -> Iterator[Float[Tensor, " nets"]]:
    """Within, the weights are noisy; after, they are what they were, to the bit. Gives each net's length of noise.

    A weight of exactly 0 is that of a dead unit, and stays 0.
    """
    kept = [stack.clone() for stack in stacks]
    squares = []
    with torch.no_grad():
        for stack in stacks:
            rms = stack.flatten(1).square().mean(1).sqrt().view(-1, *[1] * (stack.ndim - 1))
            noise = std * rms * _draw(torch.randn, stack.shape[1:], generators, stack.device) * (stack != 0)
            squares.append(noise.flatten(1).square().sum(1))
            stack.add_(noise)
    try:
        yield torch.stack(squares).sum(0).sqrt()
    finally:
        with torch.no_grad():
            for stack, value in zip(stacks, kept, strict=True):
                stack.copy_(value)


class ActivationNoise:
    """What a recipe does to a net's hidden activations and its state. Raises UserError where there are none."""

    def __init__(self, net: Net, recipe: RecipeParams) -> None:
        self.std, self.q, self.state_std = recipe.activation_noise, recipe.dropout, recipe.state_noise
        self.shapes: dict[str, torch.Size] = {}
        on_hidden, on_state = self.std is not None or self.q is not None, self.state_std is not None
        if on_state and STATE not in net.hook_dict:
            raise UserError(f"state_noise = {self.state_std}: {type(net).__name__} has no state; leave state_noise out")
        if not on_hidden and not on_state:
            return
        one = (1, 1, 2) if STATE in net.hook_dict else (1, 2)
        with torch.no_grad():
            _, cache = net.run_with_cache(torch.zeros(one, dtype=torch.int64, device=next(net.parameters()).device))
        hidden = [name for name in cache if name.rsplit(".", 1)[-1] == "hook_post"]
        if on_hidden and not hidden:
            raise UserError(f"{type(net).__name__} has no hook_post: it takes neither activation noise nor dropout")
        names = hidden * on_hidden + [STATE] * on_state
        self.shapes = {name: cache[name].shape[1:] for name in names}

    def draws(self, batch: int, generators: Sequence[torch.Generator], device: torch.device) -> Draws:
        """Fresh ones for `batch` pairs of each net, all steps of all streams counted."""
        normal: dict[str, Tensor] = {}
        uniform: dict[str, Tensor] = {}
        for name, shape in self.shapes.items():
            if name == STATE or self.std is not None:
                normal[name] = _draw(torch.randn, (batch, *shape), generators, device)
            if name != STATE and self.q is not None:
                uniform[name] = _draw(torch.rand, (batch, *shape), generators, device)
        return normal, uniform

    @contextmanager
    def on(self, net: Net, draws: Draws) -> Iterator[None]:
        """Within, one forward pass of `net` goes through noise and dropout; the draws are those of one net."""
        normal, uniform = ({name: _in_turn(drawn) for name, drawn in part.items()} for part in draws)

        def apply(h: Tensor, hook: HookPoint) -> Tensor:
            name = str(hook.name)
            if name == STATE and self.state_std is not None:
                return h + self.state_std * normal[name](h)
            if self.std is not None:
                h = add_noise(h, self.std, normal[name](h))
            return h if self.q is None else drop(h, self.q, uniform[name](h))

        with net.hooks(fwd_hooks=[(name, apply) for name in self.shapes]):
            yield


def add_noise(h: Tensor, std: float, normal: Tensor) -> Tensor:
    """h + std rms(h) n; the scale is a number here, not something to differentiate."""
    return h + std * h.detach().square().mean().sqrt() * normal


def drop(h: Tensor, q: float, uniform: Tensor) -> Tensor:
    """h m / (1 - q): the expectation is h; with q = 0 it is h itself."""
    return torch.where(uniform >= q, h / (1 - q), 0.0)


def _in_turn(drawn: Tensor) -> Callable[[Tensor], Tensor]:
    """Gives the next rows, as many as the asker has: a recurrent net passes its hook points once a step."""
    given = 0

    def rows(h: Tensor) -> Tensor:
        nonlocal given
        given += len(h)
        return drawn[given - len(h) : given]

    return rows


def _draw(
    sample: Callable[..., Tensor],
    shape: Sequence[int],
    generators: Sequence[torch.Generator],
    device: torch.device,
) -> Tensor:
    return torch.stack([sample(tuple(shape), generator=generator) for generator in generators]).to(device)
