"""Finding the witness of the compact proof: target tables and tolerances. Nothing here is trusted by the proof.

A student whose features turn with s = (a +- b) mod p has features near Y_i(s), a combination of the cosines and sines
of the program's frequencies. With E_i = max over a, b of |feature_i - Y_i(s)| and readout r, the proof closes iff

    ratio = min over s, c != s of   sum_i (r[i,s] - r[i,c]) Y_i(s)  /  sum_i |r[i,s] - r[i,c]| E_i   > 1

and eps_i = E_i (1 + LOOSE (ratio - 1)) is then a tolerance that both sides can live with; the looser, the faster the
solver. Pairs outside the tolerance become exceptions, which the solver evaluates one by one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from verify.exact_net import ExactNet
from verify.programs import Program, extract

LOOSE = 0.95
MOST_EXCEPTIONS = 400
_SCALES = np.linspace(0.85, 1.15, 31)
_QUANTILES = (1.0, 0.995, 0.98, 0.95)


@dataclass(frozen=True)
class Relaxation:
    """Targets Y[s][i], tolerances eps[i] and the pairs left to evaluate; `ratio` > 1 says there are none."""

    targets: tuple[tuple[int, ...], ...]
    eps: tuple[int, ...]
    exceptions: tuple[tuple[int, int], ...]
    ratio: float


def closes(net: ExactNet, program: Program | None = None) -> float:
    """The margin ratio of the compact proof: it closes iff this is above 1 (aim at 1.2 or more: faster)."""
    return _fit(net, program or extract(net), 1.0)[0]


def relax(net: ExactNet, program: Program) -> Relaxation:
    """The best witness found: no exceptions where the ratio is above 1, a few, or every pair."""
    features = np.stack([net.features(a) for a in range(net.p)])
    pairs = net.domain
    best: Relaxation | None = None
    first = 0.0
    for quantile in _QUANTILES:
        ratio, targets, spread = _fit(net, program, quantile, features)
        if quantile == 1.0:
            first = ratio
        factor = 1 + LOOSE * (ratio - 1) if ratio > 1 else LOOSE * ratio
        if ratio <= 0:
            continue
        eps = np.floor(np.minimum(spread * factor, 2.0**61)).astype(np.int64)
        outside: NDArray[np.bool_] = np.any(np.abs(features - targets[net.sums()]) > eps, axis=-1)
        exceptions = tuple(pair for pair in pairs if outside[pair])
        found = Relaxation(_table(targets), tuple(int(v) for v in eps), exceptions, first)
        if best is None or len(found.exceptions) < len(best.exceptions):
            best = found
        if not best.exceptions:
            return best
    if best is not None and len(best.exceptions) <= MOST_EXCEPTIONS:
        return best
    return by_pairs(net, first)


def by_pairs(net: ExactNet, ratio: float = 0.0) -> Relaxation:
    """Nothing relaxed: every pair is an exception."""
    width = net.offset.size
    return Relaxation(((0,) * width,) * net.p, (0,) * width, net.domain, ratio)


def _fit(
    net: ExactNet, program: Program, quantile: float, features: NDArray[np.int64] | None = None
) -> tuple[float, NDArray[np.int64], NDArray[np.int64]]:
    """Best ratio over the scales tried, with its targets [p, m] and the residuals' `quantile` [m]."""
    if features is None:
        features = np.stack([net.features(a) for a in range(net.p)])
    sums = net.sums()
    # Mean feature at each s, projected on the program's rotations: the features' share of the algorithm.
    mean = np.zeros((net.p, net.offset.size))
    np.add.at(mean, sums, features)
    mean /= net.p
    angle = 2 * np.pi * np.outer(np.arange(net.p), program.frequencies) / net.p
    basis = np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
    rotation = basis @ np.linalg.lstsq(basis, mean, rcond=None)[0]
    gaps = np.moveaxis(net.readout[:, :, None] - net.readout[:, None, :], 0, -1).astype(np.float64)
    others = ~np.eye(net.p, dtype=bool)
    best: tuple[float, NDArray[np.int64], NDArray[np.int64]] | None = None
    for scale in _SCALES:
        targets = np.rint(scale * rotation).astype(np.int64)
        residual = np.abs(features - targets[sums])
        spread = np.maximum(np.ceil(np.quantile(residual, quantile, axis=(0, 1))).astype(np.int64), 1)
        gain, loss = np.einsum("sci,si->sc", gaps, targets), np.abs(gaps) @ spread
        # A read-out that does not tell s from c apart has gain = loss = 0: it never closes.
        ratio = float(np.where(loss > 0, gain / np.maximum(loss, 1), 0.0)[others].min())
        if best is None or ratio > best[0]:
            best = (ratio, targets, spread)
    assert best is not None
    return best


def _table(targets: NDArray[np.int64]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(int(v) for v in row) for row in targets)
