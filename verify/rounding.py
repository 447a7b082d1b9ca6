"""The floating-point theorem: float32, in any order of summation, gives the answer of exact arithmetic on every input.

For each input, `running_error.py` gives float64 values and bounds of what float32 can get. For the last block, with x
the stream it reads (or the last hidden layer of an MLP, where there is no skip and W_out is the identity),

    logits = U (x + W_out h),   h = relu(W_in x + b),   C = U W_out

an error e of x, d of the pre-activations and f of x + W_out h moves the difference of the logits t and c by

    ((U_t - U_c) + (C_t - C_c) D W_in) e + (C_t - C_c) D d + (U_t - U_c) f + (read-out's own)

with D diagonal: 1 where a unit is certainly on, 0 where it is certainly off, 1/2 +- 1/2 where it may be either
(tanh-GELU: an interval of its slopes). The matrix in front of e is computed for every input, and so is its product with
every W_O and W_out that wrote into the stream: what cancels in exact arithmetic then cancels in the bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from verify.exact_net import NO_ANSWER, unique_argmax
from verify.real_net import Decoder, Linear, RealNet, Reals
from verify.running_error import (
    EXACTNESS,
    INFLATE,
    LARGEST,
    SHARP,
    Bounded,
    Composites,
    Stream,
    TooLarge,
    activate,
    attention,
    embedding,
    lost,
    made_by_gelu,
    read,
    slopes,
    summed,
    times,
    write,
)
from verify.specification import Specification

OVERFLOW = 2.0**126
"""Two numbers below it have a sum in float32's range."""


@dataclass(frozen=True, eq=False)
class RoundingReport:
    """By input: the exact net's answer, how far it certainly leads, and how much float32 can change in that lead.

    What fails, fails for one pair: `reasons` says of a pair why nothing is known of it, or nothing of its float32.

    An answer is NO_ANSWER where none leads for certain: a tie, or too close for float64. `margins` are lower bounds of
    the largest exact logit minus the second (negative or 0: no answer), `bounds` upper bounds of what any order of
    summation in float32 can change in the difference of the largest logit and any other; inf: nothing is known.
    """

    task: Specification
    answers: NDArray[np.int64]
    margins: Reals
    bounds: Reals
    reasons: dict[tuple[int, int], str] = field(default_factory=dict)

    @cached_property
    def ratios(self) -> Reals:
        """-inf where nothing is known."""
        known = np.isfinite(self.margins) & np.isfinite(self.bounds) & (self.bounds > 0)
        return np.divide(self.margins, self.bounds, out=np.full(self.margins.shape, -np.inf), where=known)

    @property
    def holds(self) -> bool:
        """The claim "unchanged under rounding"; where it does not hold, nothing is known."""
        return bool((self.margins > self.bounds).all() and (self.answers != NO_ANSWER).all())

    @property
    def smallest(self) -> float:
        return float(self.ratios.min())

    @property
    def median(self) -> float:
        with np.errstate(invalid="ignore"):  # between two pairs of which nothing is known
            return float(np.median(self.ratios))

    def first_wrong(self) -> tuple[int, int] | None:
        """The first (a, b) whose answer is certain and not the task's."""
        pairs = self.task.where((self.answers != NO_ANSWER) & (self.answers != self.task.table))
        return pairs[0] if pairs else None

    def first_open(self) -> tuple[int, int] | None:
        """The first (a, b) without a certain answer."""
        pairs = self.task.where(self.answers == NO_ANSWER)
        return pairs[0] if pairs else None


def analyse(net: RealNet, done: Callable[[], None] = lambda: None, coarse: bool = False) -> RoundingReport:
    """Every input of the net's task; `done` is called after each of the p left symbols.

    Where it is `coarse` errors do not cancel between logits: bounds are mostly wider, and several times as quick.
    """
    task, shape = net.task, net.task.shape
    report = RoundingReport(
        task, np.full(shape, NO_ANSWER, dtype=np.int64), np.full(shape, -np.inf), np.full(shape, np.inf)
    )
    with np.errstate(all="ignore"):
        if beyond := _beyond(net):
            report.reasons.update(dict.fromkeys(task.where(np.ones(shape, dtype=bool)), beyond))
            return report
        evaluate = _Evaluation(net, coarse)
        for a in range(task.p):
            inputs = np.arange(task.first, task.p)
            while len(inputs):
                try:
                    logits, errors, rho = evaluate(a, inputs)
                except TooLarge as failed:
                    report.reasons.update(
                        zip(((a, int(b)) for b in inputs[failed.inputs]), failed.reasons, strict=True)
                    )
                    inputs = np.delete(inputs, failed.inputs)
                    continue
                answers, margins, bounds = _settle(logits, errors)
                sharp = np.flatnonzero(~(rho < 0.25))
                bounds[sharp] = np.inf
                report.reasons.update(((a, int(inputs[i])), SHARP.format(rho[i])) for i in sharp)
                columns = inputs - task.first
                report.answers[a, columns], report.margins[a, columns], report.bounds[a, columns] = (
                    answers,
                    margins,
                    bounds,
                )
                break
            done()
    return report


def _beyond(net: RealNet) -> str:
    """Why nothing can be said of such weights; empty where something can."""
    layers = (
        [linear for block in net.blocks for linear in vars(block).values()] if isinstance(net, Decoder) else net.layers
    )
    stored = [net.unembed, *(m for linear in layers for m in vars(linear).values())]
    largest = _largest(stored)
    if largest >= LARGEST:
        return f"a weight of {largest:.3g}, beyond 2^30"
    embedded = _largest((net.embed, net.pos) if isinstance(net, Decoder) else (net.left, net.right))
    return "" if embedded < OVERFLOW else f"an embedding of {embedded:.3g}, so that a sum of two may be beyond float32"


def _largest(tensors: Iterable[Reals]) -> float:
    return max(float(np.max(np.abs(tensor), initial=0.0)) for tensor in tensors)


def _settle(logits: Reals, errors: Reals) -> tuple[NDArray[np.int64], Reals, Reals]:
    """From logits and from bounds of what float32 changes in top - c: answers, certain leads and worst changes."""
    rows, top = np.arange(len(logits)), logits.argmax(axis=-1)
    leads = logits[rows, top][:, None] - logits
    sure = leads * (1 - 2.0**-50) - EXACTNESS * errors
    sure[rows, top], errors[rows, top] = np.inf, 0
    margins, bounds = sure.min(axis=-1), errors.max(axis=-1)
    known = np.isfinite(margins) & np.isfinite(bounds)
    answers = np.where(known & (margins > 0), unique_argmax(logits), NO_ANSWER)
    return answers, np.where(known, margins, -np.inf), np.where(known, bounds, np.inf)


class _Evaluation:
    """Logits and pairwise error bounds of one left symbol after another; products of weights are computed once."""

    def __init__(self, net: RealNet, coarse: bool) -> None:
        self.net, self.coarse = net, coarse
        self.composites = Composites()
        if isinstance(net, Decoder):
            self.w_in, self.w_out = net.blocks[-1].w_in, net.blocks[-1].w_out
            self.skip = True
        else:
            width = len(net.layers[-1].weight)
            self.w_in, self.w_out = net.layers[-1], Linear(np.eye(width), np.zeros(width))
            self.skip = False
        u, w_in, w_out = net.unembed, self.w_in.weight, self.w_out.weight
        self.from_hidden = u @ w_out if self.skip else u
        self.identity = np.eye(u.shape[1])
        self.lost = lost(max(u.shape[1], *w_in.shape))
        # Above |U| + |U| |W_out| |W_in|, column by column: what float64 can lose in a row is `lost` times that.
        self.hidden_sizes = (np.abs(u) @ np.abs(w_out)).max(axis=0)
        self.stream_sizes = self.hidden_sizes @ np.abs(w_in) + (np.abs(u).max(axis=0) if self.skip else 0)

    def __call__(self, a: int, inputs: NDArray[np.int64]) -> tuple[Reals, Reals, Reals]:
        """Logits [b, p (c)], and bounds of what float32 changes in (largest - c), [b, p (c)], for some right symbols b.

        The bounds are of float32 where the third, by input, is below 1/4; of float64, EXACTNESS times them, everywhere.
        """
        stream, rho = self._stream(a, inputs)
        if self.coarse:
            turned = stream.own + sum(turns.reach for turns in stream.turns)
            stream = Stream(stream.value, turned, stream.parts)
        value, carried, made = read(stream, self.w_in, self.composites)
        pre = Bounded(value, carried + made)
        hidden = activate(self.net.activation, pre)
        u = self.net.unembed
        if self.skip:
            fresh = replace(stream, own=np.zeros_like(stream.own), parts=(*stream.parts, (self.identity, stream.own)))
            after = write(fresh, self.w_out, hidden)
            last, from_after = after.bounded, after.own
        else:
            last, from_after = hidden, np.zeros_like(hidden.value)
        logits = times(last.value, u)
        by_readout = summed(u.shape[1], times(last.size, np.abs(u)))
        top = logits.argmax(axis=-1)
        if self.coarse:
            by_readout = by_readout + times(last.error, np.abs(u))
            return logits, (by_readout + by_readout[np.arange(len(top)), top][:, None]) * INFLATE, rho
        centre, spread = slopes(self.net.activation, pre)
        from_pre = spread * carried + (np.abs(centre) + spread) * made
        if self.net.activation != "relu":
            from_pre = from_pre + made_by_gelu(pre)
        errors = by_readout + by_readout[np.arange(len(top)), top][:, None]
        for b, t in enumerate(top):
            jacobian = (self.from_hidden * centre[b]) @ self.w_in.weight + (u if self.skip else 0)
            errors[b] += self._moved(jacobian, t, stream.own[b], self.stream_sizes)
            images = [*((m, box[b]) for m, box in stream.parts), *((x.rows[b].T, x.box[b]) for x in stream.turns)]
            for matrix, box in images:
                errors[b] += self._moved(jacobian @ matrix, t, box, self.stream_sizes @ np.abs(matrix))
            errors[b] += self._moved(self.from_hidden, t, from_pre[b], self.hidden_sizes)
            errors[b] += self._moved(u, t, from_after[b], np.zeros(u.shape[1]))
        return logits, errors * INFLATE, rho

    def _moved(self, matrix: Reals, top: int, box: Reals, sizes: Reals) -> Reals:
        """sum_i |matrix_top,i - matrix_c,i| box_i for every c, and what float64 can have lost in it, given `sizes`."""
        return np.abs(matrix - matrix[top]) @ box + 2 * self.lost * (sizes @ box)

    def _stream(self, a: int, inputs: NDArray[np.int64]) -> tuple[Stream, Reals]:
        """What the last MLP reads, flat: [b, d]; and by input by how much a softmax may be off, of its value."""
        net, rho = self.net, np.zeros(len(inputs))
        if not isinstance(net, Decoder):
            h = np.concatenate([np.tile(net.left[a], (len(inputs), 1)), net.right[inputs]], axis=1)
            stream = Stream(h, np.zeros_like(h))
            for layer in net.layers[:-1]:
                value, carried, made = read(stream, layer, self.composites)
                hidden = activate(net.activation, Bounded(value, carried + made))
                stream = Stream(hidden.value, hidden.error)
            return stream, rho
        stream = embedding(net.embed[net.tokens(a)[inputs]] + net.pos)
        for i, block in enumerate(net.blocks):
            final = i + 1 == len(net.blocks)
            queries = stream.at(slice(-1, None)) if final else stream
            if block.width:
                z, turns, off = attention(net, block, stream, queries, self.composites)
                rho = np.maximum(rho, off)
                stream = write(queries, block.o, z, (turns,))
            else:
                nothing = np.zeros((*queries.value.shape[:2], 0))
                stream = write(queries, block.o, Bounded(nothing, nothing))
            if not final:
                value, carried, made = read(stream, block.w_in, self.composites)
                stream = write(stream, block.w_out, activate(net.activation, Bounded(value, carried + made)))
        return stream.at(0), rho
