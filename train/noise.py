"""Noise in the forward and backward pass: on weights, on hidden activations, and dropout.

Weight noise (Murray and Edwards 1994; An 1996): the gradient is taken at w + std rms(w) n with n normal, and applied
to w. Activation noise: h + std rms(h) n. Dropout (Srivastava et al. 2014, in its inverted form): h m / (1 - q) with m
1 with probability 1 - q, else 0. Both act on the hidden activations, the hook points named `hook_post`. State noise:
s + std n on the state of a recurrent net before it is clipped, so that the net must tell its states well apart.

All is drawn on the CPU from one generator, so that it does not depend on the device and its state can be kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from transformer_lens import HookedRootModule
from transformer_lens.hook_points import HookPoint

from pipeline.errors import UserError


@contextmanager
def noisy_weights(weights: Iterable[nn.Parameter], std: float, generator: torch.Generator) -> Iterator[float]:
    """Within, the weights are noisy; after, they are what they were, to the bit. Gives the length of the noise."""
    chosen = list(weights)
    kept = [weight.detach().clone() for weight in chosen]
    square = 0.0
    with torch.no_grad():
        for weight in chosen:
            noise = std * _rms(weight) * _normal(weight, generator)
            square += float(noise.square().sum())
            weight.add_(noise)
    try:
        yield square**0.5
    finally:
        with torch.no_grad():
            for weight, value in zip(chosen, kept, strict=True):
                weight.copy_(value)


def add_noise(h: Tensor, std: float, generator: torch.Generator) -> Tensor:
    """h + std rms(h) n; the scale is a number here, not something to differentiate."""
    return h + std * _rms(h) * _normal(h, generator)


def drop(h: Tensor, q: float, generator: torch.Generator) -> Tensor:
    """h m / (1 - q): the expectation is h; with q = 0 it is h itself."""
    kept = torch.rand(h.shape, generator=generator).to(h.device) >= q
    return torch.where(kept, h / (1 - q), 0.0)


@contextmanager
def on_activations(net: HookedRootModule, changes: list[Callable[[Tensor], Tensor]]) -> Iterator[None]:
    """Within, every hidden activation goes through `changes` in order. Raises UserError where the net has none."""
    names = [name for name in net.hook_dict if name.rsplit(".", 1)[-1] == "hook_post"]
    if not names:
        raise UserError(f"{type(net).__name__} has no hook_post: it takes neither activation noise nor dropout")

    def apply(h: Tensor, hook: HookPoint) -> Tensor:
        for change in changes:
            h = change(h)
        return h

    with net.hooks(fwd_hooks=[(name, apply) for name in names]):
        yield


@contextmanager
def on_state(net: HookedRootModule, std: float, generator: torch.Generator) -> Iterator[None]:
    """Within, every state is noisy before it is clipped. Raises UserError where the net has no state."""
    if "hook_state_pre" not in net.hook_dict:
        raise UserError(f"state_noise = {std}: {type(net).__name__} has no state; leave state_noise out")

    def apply(s: Tensor, hook: HookPoint) -> Tensor:
        return s + std * _normal(s, generator)

    with net.hooks(fwd_hooks=[("hook_state_pre", apply)]):
        yield


def _rms(x: Tensor) -> Tensor:
    return x.detach().square().mean().sqrt()


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator).to(like.device)
