"""Directions that perturbations of the two embedded rows are confined to; the tables' own Fourier directions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verify.exact_net import ExactNet, Ints

PUSH_BITS = 6
"""Directions have entries over 2^PUSH_BITS."""


@dataclass(frozen=True, eq=False)
class Subspace:
    """Directions [g, n] over 2^PUSH_BITS: t adds t @ left to the row of a and t @ right to that of b."""

    left: Ints
    right: Ints

    @property
    def push(self) -> Ints:
        """What t adds to the pre-activations."""
        return self.left + self.right


def fourier_subspace(net: ExactNet, frequencies: int) -> Subspace:
    """The cosine and sine directions of the tables' strongest frequencies, each of root mean square 1 over the units.

    Tied tables: x = V u and y = V v with separate coefficients move the units by V (u + v), which u = v = t covers.
    """
    tables = [net.left] if net.tied else [net.left, net.right]
    spectra = [np.fft.rfft(table.astype(float), axis=0)[1:] for table in tables]
    strongest = np.argsort(-sum((abs(s) ** 2).sum(1) for s in spectra), kind="stable")[:frequencies]
    parts = [np.concatenate([s[strongest].real, s[strongest].imag]) for s in spectra]
    sizes = [np.maximum(np.sqrt((part**2).mean(1, keepdims=True)), 1e-9) for part in parts]
    spans = [np.rint(part / size * (1 << PUSH_BITS)).astype(np.int64) for part, size in zip(parts, sizes, strict=True)]
    if net.tied:
        return Subspace(spans[0], spans[0])
    none = np.zeros_like(spans[0])
    return Subspace(np.concatenate([spans[0], none]), np.concatenate([none, spans[1]]))
