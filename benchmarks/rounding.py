"""python -m benchmarks.rounding SNAPSHOT...: how far a net's answers are from anything that float32 can change.

For every input `verify.rounding` bounds what float32, in any order of summation, can change in the difference of the
largest logit and any other. The table gives

    margin / bound    largest minus second logit over that bound, smallest and median over all inputs
    observed / bound  the same differences in float32, every sum in an order drawn at random, minus float64: the largest
                      change over its input's bound; above 1 would refute the theorem
    naive             smallest margin / bound with boxes only, pushed through |W| matrix by matrix
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.command_line import Parser
from pipeline.errors import reported
from verify import running_error as run
from verify.real_net import Block, Decoder, Linear, RealNet, Reals, load_real_net
from verify.rounding import RoundingReport, analyse

ORDERS = 3
"""Random orders of summation for each left symbol."""
Floats = NDArray[np.floating[Any]]


class Shuffled:
    """A net in float32 (or float64) with every sum in a random order, one term after the other."""

    def __init__(self, net: RealNet, rng: np.random.Generator, dtype: type[np.floating[Any]] = np.float32) -> None:
        self.net = net
        self.rng = rng
        self.dtype = dtype

    def logits(self, a: int) -> Floats:
        """[p (b), p (c)]."""
        net, zeros = self.net, np.zeros(self.net.p)
        if not isinstance(net, Decoder):
            x = np.concatenate([np.broadcast_to(net.left[a], net.left.shape), net.right], axis=1).astype(self.dtype)
            for layer in net.layers:
                x = self._activate(self._linear(x, layer))
            return self._linear(x, Linear(net.unembed, zeros))
        x = net.embed[net.tokens(a)].astype(self.dtype) + net.pos.astype(self.dtype)
        for i, block in enumerate(net.blocks):
            queries = x[:, -1:] if i + 1 == len(net.blocks) else x
            x = queries + self._linear(self._attention(block, queries, x), block.o)
            x = x + self._linear(self._activate(self._linear(x, block.w_in)), block.w_out)
        return self._linear(x[:, 0], Linear(net.unembed, zeros))

    def _sum(self, terms: Floats) -> Floats:
        """Over the last axis."""
        total = np.zeros(terms.shape[:-1], dtype=self.dtype)
        for i in self.rng.permutation(terms.shape[-1]):
            total = total + terms[..., i]
        return total

    def _linear(self, x: Floats, linear: Linear) -> Floats:
        weight, bias = linear.weight.astype(self.dtype), linear.bias.astype(self.dtype)
        total, place = np.zeros((*x.shape[:-1], len(weight)), dtype=self.dtype), self.rng.integers(x.shape[-1] + 1)
        for n, i in enumerate(self.rng.permutation(x.shape[-1])):
            if n == place:
                total += bias
            total += x[..., i, None] * weight[:, i]
        return total + bias if place == x.shape[-1] else total

    def _attention(self, block: Block, queries: Floats, x: Floats) -> Floats:
        net = self.net
        assert isinstance(net, Decoder)
        q, k, v = (
            self._linear(y, w).reshape(*y.shape[:2], net.n_heads, net.d_head)
            for y, w in ((queries, block.q), (x, block.k), (x, block.v))
        )
        scores = self._sum(q[:, :, None] * k[:, None]) / self.dtype(net.d_head**0.5)
        seen = np.tril(np.ones(scores.shape[1:3], dtype=bool), len(x[0]) - len(q[0])) if net.causal else True
        seen = np.broadcast_to(np.asarray(seen)[..., None] if net.causal else True, scores.shape)
        scores = np.where(seen, scores, self.dtype(-np.inf))
        powers = np.exp(scores - scores.max(axis=2, keepdims=True))
        pattern = powers / self._sum(powers.swapaxes(2, 3))[:, :, None]
        if net.share != 1:
            pattern = self.dtype(net.share) * pattern + self.dtype(1 - net.share) * seen
        z = self._sum((pattern[..., None] * v[:, None]).transpose(0, 1, 3, 4, 2))
        return z.reshape(*z.shape[:2], block.width)

    def _activate(self, x: Floats) -> Floats:
        if self.net.activation == "relu":
            return np.maximum(x, self.dtype(0))
        inner = self.dtype(run.ROOT) * (x + self.dtype(run.CUBIC) * x * x * x)
        return self.dtype(0.5) * x * (1 + np.tanh(inner))


def observed(net: RealNet, report: RoundingReport, orders: int, seed: int = 0) -> Reals:
    """The largest change of (largest - other) by float32 over each input's bound, [p, p]."""
    rng, worst = np.random.default_rng(seed), np.zeros((net.p, net.p))
    for a in range(net.p):
        exact = Shuffled(net, rng, np.float64).logits(a)
        rows, top = np.arange(net.p), exact.argmax(axis=1)
        for _ in range(orders):
            rounded = Shuffled(net, rng).logits(a).astype(np.float64)
            change = (rounded[rows, top][:, None] - rounded) - (exact[rows, top][:, None] - exact)
            worst[a] = np.maximum(worst[a], np.abs(change).max(axis=1) / report.bounds[a])
    return worst


def naive(net: RealNet, a: int) -> Reals:
    """What boxes alone, pushed through |W| matrix by matrix, say of the change of any difference of logits, [p (b)]."""
    composites = run.Composites()

    def boxed(stream: run.Stream) -> run.Stream:
        return run.Stream(stream.value, stream.bounded.error)

    def hidden(stream: run.Stream, linear: Linear) -> run.Bounded:
        value, carried, made = run.read(stream, linear, composites)
        return run.activate(net.activation, run.Bounded(value, carried + made))

    if isinstance(net, Decoder):
        stream = run.embedding(net.embed[net.tokens(a)] + net.pos)
        for i, block in enumerate(net.blocks):
            queries = stream.at(slice(-1, None)) if i + 1 == len(net.blocks) else stream
            z, turns, rho = run.attention(net, block, stream, queries, composites)
            if not rho.max() < 0.25:
                return np.full(net.p, np.inf)
            stream = boxed(run.write(queries, block.o, z, (turns,)))
            stream = boxed(run.write(stream, block.w_out, hidden(stream, block.w_in)))
        stream = stream.at(0)
    else:
        x = np.concatenate([np.broadcast_to(net.left[a], net.left.shape), net.right], axis=1)
        stream = run.Stream(x, np.zeros_like(x))
        for layer in net.layers:
            h = hidden(stream, layer)
            stream = run.Stream(h.value, h.error)
    _, carried, made = run.read(stream, Linear(net.unembed, np.zeros(net.p)), composites)
    return 2 * (carried + made).max(axis=1)


def smallest_naive(net: RealNet, report: RoundingReport) -> float:
    """Smallest margin / naive bound; 0 where that grows beyond what a softmax can be bounded for."""
    try:
        return float((report.margins / np.stack([naive(net, a) for a in range(net.p)])).min())
    except run.TooLarge:
        return 0.0


def main() -> int:
    parser = Parser(prog="python -m benchmarks.rounding", description=__doc__)
    parser.add_argument("snapshots", nargs="+", metavar="SNAPSHOT", help="snapshots of runs, safetensors")
    paths = parser.parse_args().snapshots
    print(f"{'net':34} {'margin/bound':>12} {'median':>8} {'margin':>8} {'bound':>8} {'observed':>9} {'naive':>8}")
    for path in paths:
        net = load_real_net(path)
        report = analyse(net)
        if not np.isfinite(report.bounds).all():
            print(f"{path}: no bound is known")
            continue
        print(
            f"{'/'.join(Path(path).parts[-2:])[-34:]:34} {report.smallest:12.4g} {report.median:8.4g} "
            f"{report.margins.min():8.3g} {report.bounds.max():8.3g} {observed(net, report, ORDERS).max():9.2g} "
            f"{smallest_naive(net, report):8.3g}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(reported("python -m benchmarks.rounding", main))
