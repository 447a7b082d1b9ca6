"""From float tables to integer tables, by training through the rounding (straight-through, Bengio et al. 2013)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from compress.blocks import Blocks, largest_error, power_loss, targets, targets_together
from compress.distill import Distilled, assemble
from compress.student import Student, cosine_readout, narrowest


@dataclass(frozen=True)
class QuantizeOptions:
    """Widths in bits, sign included: a table entry has size at most 2^(bits - 1) - 1. `steps` of Adam in grid units."""

    table_bits: int = 7
    mix_bits: int = 7
    readout_bits: int = 8
    steps: int = 150
    lr: float = 0.3


def largest(bits: int) -> int:
    """The largest size of a signed integer of this width, the same on both sides of zero."""
    return 2 ** (bits - 1) - 1


def quantize_student(distilled: Distilled, options: QuantizeOptions = QuantizeOptions()) -> Student:
    """The integer student nearest to the teacher's features, on the grid that the widths allow.

    A ReLU unit is positively homogeneous, so each is first stretched to fill the table's range. All features share one
    scale S, the largest at which the mix fits its width. Then tables, mix and offset are trained on the L8 norm of
    the residuals with their values rounded in the forward pass, and the best rounded student met is returned. Up to
    8-bit widths and 64 units a frequency every sum is below 2^24, so float32 evaluates the grid exactly; the returned
    integers are exact at any width.
    A student that does not explain its teacher is rounded and returned without training.
    """
    grid, scale = _on_grid(distilled.blocks, options)
    if distilled.explained and options.steps:
        grid = _train(grid, scale, distilled, options)
    rounded = _rounded(grid, options)
    student = assemble(distilled.teacher, distilled.frequencies, rounded)
    readout = np.rint(largest(options.readout_bits) * cosine_readout(student.task.p, student.frequencies))

    def integers(values: np.ndarray) -> np.ndarray:
        return narrowest(np.rint(values).astype(np.int64))

    return replace(
        student,
        left=integers(student.left),
        right=None if student.right is None else integers(student.right),
        mix=integers(student.mix),
        offset=integers(student.offset),
        readout=integers(readout),
    )


def _on_grid(blocks: Blocks, options: QuantizeOptions) -> tuple[Blocks, float]:
    """The same blocks in grid units, not yet rounded, and the scale S their features then have."""
    reach = torch.maximum(blocks.left.abs().amax(1), blocks.right.abs().amax(1)).clamp(min=1e-6)
    stretch = largest(options.table_bits) / reach
    left = blocks.left * stretch[:, None]
    right = left if blocks.tied else blocks.right * stretch[:, None]
    mix = blocks.mix / stretch[:, :, None]
    scale = largest(options.mix_bits) / float(mix.abs().max().clamp(min=1e-6))
    return Blocks(left, right, mix * scale, blocks.offset * scale), scale


def _rounded(grid: Blocks, options: QuantizeOptions) -> Blocks:
    """The nearest grid point, with the identity as its gradient."""

    def through(value: Tensor, size: int | None) -> Tensor:
        nearest = value.round() if size is None else value.round().clamp(-size, size)
        return value + (nearest - value).detach()

    left = through(grid.left, largest(options.table_bits))
    right = left if grid.tied else through(grid.right, largest(options.table_bits))
    return Blocks(left, right, through(grid.mix, largest(options.mix_bits)), through(grid.offset, None))


def _train(grid: Blocks, scale: float, distilled: Distilled, options: QuantizeOptions) -> Blocks:
    p = distilled.teacher.task.p
    frequencies = list(distilled.frequencies)
    answers = torch.from_numpy(distilled.teacher.answers).view(p, p)
    together = len(grid.left) < len(frequencies)
    wanted = (targets_together if together else targets)(answers, p, frequencies)
    kept = torch.from_numpy(distilled.kept).view(p, p)
    weight = kept.float()
    latent = grid.leaves()
    # the offset is in units of S, far coarser than a table's
    rates = [{"params": [value], "lr": options.lr} for value in latent.parameters()]
    rates[2]["lr"] = options.lr * 0.01 * scale
    optimizer = torch.optim.Adam(rates, betas=(0.9, 0.99))
    full = [group["lr"] for group in optimizer.param_groups]
    best = latent.select(list(range(len(grid.left))))
    smallest = torch.full((len(grid.left),), torch.inf)
    for step in range(options.steps + 1):
        error = _rounded(latent, options).features() / scale - wanted
        with torch.no_grad():
            size = largest_error(error, torch.zeros_like(wanted), kept)
            for k in torch.nonzero(size < smallest).flatten().tolist():
                smallest[k] = size[k]
                for store, value in zip(best.parameters(), latent.parameters(), strict=True):
                    store[k] = value[k]
        if step == options.steps:
            break
        for group, rate in zip(optimizer.param_groups, full, strict=True):
            group["lr"] = rate * (1 - step / options.steps)
        optimizer.zero_grad()
        power_loss(error, weight, 8).backward()
        optimizer.step()
    return best
