"""The trained transformer in numpy float32, for the exhaustive check; torch is not needed.

Reads a snapshot file (format `catapult-snapshot-1`) of the one-layer transformer, whole or pruned, and evaluates it as
its definition says, every operation in float32. The order of summation is numpy's: another library's logits may differ
in the last bits, which is why an answer counts only where it leads by far more than that (`FloatNet.settled`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UserError
from verify.exact_net import LARGEST_P, unique_argmax
from verify.weights import read_weights

FORMAT = "catapult-snapshot-1"
ROUNDING_UNITS = 1000.0
Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class FloatNet:
    """Weights by their name in the snapshot, with the shape they were checked against."""

    p: int
    sign: int
    n_heads: int
    d_head: int
    weights: dict[str, Floats]
    sha256: str

    def logits(self, a: int) -> Floats:
        """Logits of (a, b) for every b, [p (b), p (c)]."""
        w, p, heads = self.weights, self.p, self.n_heads
        tokens = np.empty((p, 3), dtype=np.int64)
        tokens[:, 0], tokens[:, 1], tokens[:, 2] = a, np.arange(p), p
        x = w["embed.weight"][tokens] + w["pos.weight"]
        resid = x[:, -1]
        if heads:
            query = (resid @ w["attn.q.weight"].T).reshape(p, heads, self.d_head)
            key = (x @ w["attn.k.weight"].T).reshape(p, 3, heads, self.d_head)
            value = (x @ w["attn.v.weight"].T).reshape(p, 3, heads, self.d_head)
            scores = np.einsum("bhd,bthd->bht", query, key) / np.float32(self.d_head**0.5)
            pattern = np.exp(scores - scores.max(axis=-1, keepdims=True))
            pattern /= pattern.sum(axis=-1, keepdims=True)
            z = np.einsum("bht,bthd->bhd", pattern, value).reshape(p, heads * self.d_head)
            resid = resid + z @ w["attn.o.weight"].T
        hidden = np.maximum(resid @ w["mlp.w_in.weight"].T + w["mlp.w_in.bias"], np.float32(0))
        resid = resid + (hidden @ w["mlp.w_out.weight"].T + w["mlp.w_out.bias"])
        return cast(Floats, resid @ w["unembed.weight"].T)

    @property
    def settled(self) -> bool:
        """Every answer leads by more than ROUNDING_UNITS float32 rounding errors of the largest logit.

        An empirical distance from rounding, three orders above what summing in other orders was seen to change; it is
        not a bound on every order.
        """
        _, margin, largest = self.evaluation
        return margin > ROUNDING_UNITS * float(np.finfo(np.float32).eps) * largest

    @cached_property
    def evaluation(self) -> tuple[NDArray[np.int64], float, float]:
        """Answers of all pairs, [p, p] (NO_ANSWER on a tie), smallest gap of the top two logits, largest |logit|."""
        answers, margin, largest = [], float("inf"), 0.0
        for a in range(self.p):
            with np.errstate(over="ignore", invalid="ignore"):
                logits = self.logits(a)
            assert logits.dtype == np.float32, logits.dtype
            if not np.isfinite(logits).all():
                raise UserError(f"logits of a = {a} = not finite: the snapshot's weights are too large")
            answers.append(unique_argmax(logits))
            top = np.partition(logits, -2, axis=-1)[:, -2:]
            margin = min(margin, float((top[:, 1] - top[:, 0]).min()))
            largest = max(largest, float(np.abs(logits).max()))
        return np.stack(answers), margin, largest


def load_float_net(path: Path | str) -> FloatNet:
    """Reads and checks a snapshot. Raises UserError, one line, on anything else."""
    file = read_weights(path)
    header, tensors = file.metadata, file.tensors
    if header.get("format") != FORMAT:
        raise UserError(f"{path}: format = {header.get('format')!r}: a snapshot has format {FORMAT!r}")
    try:
        net, task = json.loads(header["net"]), json.loads(header["task"])
        p, d_model, n_heads, d_head, d_mlp = (net[k] for k in ("p", "d_model", "n_heads", "d_head", "d_mlp"))
        operation = task["operation"]
        agreed = net["kind"] == "transformer" and task["p"] == p and operation in ("addition", "subtraction")
        sizes = (
            all(type(v) is int and v >= 0 for v in (n_heads, d_head, d_mlp)) and type(d_model) is int and d_model > 0
        )
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: header = {type(error).__name__} {error}: train the run again") from None
    if not agreed or not sizes or type(p) is not int or not 2 <= p <= LARGEST_P:
        raise UserError(
            f"{path}: net and task = {header['net']}, {header['task']}: a transformer for that task is needed"
        )
    width = n_heads * d_head
    shapes = {
        "embed.weight": (p + 1, d_model),
        "pos.weight": (3, d_model),
        "attn.q.weight": (width, d_model),
        "attn.k.weight": (width, d_model),
        "attn.v.weight": (width, d_model),
        "attn.o.weight": (d_model, width),
        "mlp.w_in.weight": (d_mlp, d_model),
        "mlp.w_in.bias": (d_mlp,),
        "mlp.w_out.weight": (d_model, d_mlp),
        "mlp.w_out.bias": (d_model,),
        "unembed.weight": (p, d_model),
    }
    if set(tensors) != set(shapes):
        raise UserError(
            f"{path}: tensors = {sorted(set(tensors) ^ set(shapes))[:4]} missing or unknown: train it again"
        )
    for name, shape in shapes.items():
        tensor = tensors[name]
        if tensor.dtype != np.float32 or tensor.shape != shape:
            raise UserError(f"{path}: {name} = {tensor.dtype} {tensor.shape}: float32 {shape} is needed")
        if not np.isfinite(tensor).all():
            raise UserError(f"{path}: {name} = not finite: train the run again")
    return FloatNet(p, 1 if operation == "addition" else -1, n_heads, d_head, tensors, file.sha256)
