"""The criterion a student is built for: a proof over its features, rather than over its logits, must close."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from compress.student import Student, cosine_readout


@dataclass(frozen=True)
class Closing:
    """`ratio` below 1: the proof closes, and 1 - ratio of the margin is left. `errors` are the eps_i, `scale` is S."""

    ratio: float
    scale: float
    errors: tuple[float, ...]


def measure_closing(
    student: Student, answers: Int64[np.ndarray, " pair"], pairs: Bool[np.ndarray, " pair"] | None = None
) -> Closing:
    """How much of the read-out's margin the student's feature errors use up, in the worst case.

    With Y_i(s) = round(S cos), round(S sin) of 2 pi k s / p and eps_i = max |features_i(a, b) - Y_i(answer(a, b))|,
    the argmax is forced to be `answers` wherever, for every s and c != s,

        sum_i eps_i |readout[i, c] - readout[i, s]|  <  sum_i Y_i(s) (readout[i, s] - readout[i, c]),

    and the ratio is the largest left over right (infinite where a right side is not positive). S is the scale with the
    smallest ratio among 13 around the features' mean amplitude; equal for all frequencies. A float student is measured
    without rounding Y. `pairs` leaves inputs out.
    """
    features = student.features()
    if pairs is not None:
        features, answers = features[pairs], answers[pairs]
    p, readout = student.task.p, student.readout.astype(np.float64)
    basis = cosine_readout(p, student.frequencies).T
    mean = float((features * basis[answers]).sum() / (basis[answers] ** 2).sum())
    if mean <= 0:
        return Closing(float("inf"), 0.0, tuple(np.abs(features).max(0).tolist()))
    steps = np.abs(readout[:, None, :] - readout[:, :, None])
    best = Closing(float("inf"), 0.0, ())
    low, high = np.full((p, features.shape[1]), np.inf), np.full((p, features.shape[1]), -np.inf)
    np.minimum.at(low, answers, features)
    np.maximum.at(high, answers, features)
    for share in np.linspace(0.94, 1.06, 13):
        scale = np.rint(mean * share) if student.integer else mean * share
        wanted = np.rint(scale * basis) if student.integer else scale * basis
        errors = np.maximum(wanted - low, high - wanted).max(0)
        score = wanted @ readout
        margin = np.diag(score)[:, None] - score
        np.fill_diagonal(margin, 1.0)
        ratio = float("inf") if (margin <= 0).any() else float((np.einsum("i,isc->sc", errors, steps) / margin).max())
        if not best.errors or ratio < best.ratio:
            best = Closing(ratio, float(scale), tuple(errors.tolist()))
    return best
