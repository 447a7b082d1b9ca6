"""The compact proof that a student adds or subtracts: its p^3 logits are never evaluated.

In the manner of Gross et al. 2024 and Yip et al. 2024. With s = (a +- b) mod p and e_k(x) = (cos, sin)(2 pi k x / p),

    the two features of frequency k       = S_k e_k(s) + n,  |n| <= rho_k   for all a, b: p^2 exact evaluations
    the two rows of its read-out, at c    = R_k e_k(c) + q,  |q| <= tau_k   for all c: p exact evaluations

so that logit_c is near sum_k S_k R_k cos(2 pi k (s - c) / p). With d = s - c, e_k(s) . (e_k(s) - e_k(c)) is
1 - cos(2 pi k d / p) and |e_k(s) - e_k(c)| is 2 |sin(pi k d / p)|, and therefore logit_s - logit_c is at least

    sum_k S_k R_k (1 - cos(2 pi k d / p))  -  sum_k (R_k rho_k 2 |sin(pi k d / p)| + 2 tau_k (S_k + rho_k)).

Z3 refutes that this is 0 or less for some d != 0 and some reals inside enclosures of the cosines and sines, which come
from arb. Which feature is which wave, S_k and R_k are looked for in floats, and nobody trusts what is found; rho_k and
tau_k are exact integers, rounded up. `checker.py` recomputes all of it without numpy, arb or Z3.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from verify.claims import Counterexample, Proved, Refuted, Unknown, Verdict
from verify.exact_net import NO_ANSWER, ExactNet, Ints, unique_argmax
from verify.programs import Program
from verify.smt import Obligation, fold, integer, script
from verify.solver import Budget, Outcome, Progress, discharge, silent
from verify.specification import Specification
from verify.waves import BITS, Waves, root

METHOD = "solver and residuals of every feature"
FINE = 64  # lengths are integers in units of 1 / FINE
_LARGEST = 1 << 29  # two such integers have a difference whose square, taken twice, fits 62 bits
_SEARCH_ROWS = 32


@dataclass(frozen=True)
class Clock:
    """The witness: features[k] = (cosine, sine) of frequencies[k], their length S_k FINE and their read-out's, R_k."""

    frequencies: tuple[int, ...]
    features: tuple[tuple[int, int], ...]
    scale: tuple[int, ...]
    gain: tuple[int, ...]


@dataclass(frozen=True)
class Reach:
    """rho_k FINE and tau_k FINE, rounded up; `pairs[k]` is where the residual of frequency k is longest."""

    rho: tuple[int, ...]
    tau: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Cost:
    """Integer multiply-adds, comparisons not counted: of this proof and of evaluating every logit; seconds of this."""

    compact: int
    exhaustive: int
    evaluating: float = 0.0
    solving: float = 0.0


@dataclass(frozen=True)
class CompactResult:
    """`ratio`: the margin over its bound at the nearest d, the proof closes iff above 1; `rho`: of each frequency."""

    verdict: Verdict
    cost: Cost
    rho: tuple[Fraction, ...] = ()
    ratio: float = 0.0
    outcomes: tuple[Outcome, ...] = ()
    evidence: dict[str, Any] | None = None


def prove_compact(net: ExactNet, program: Program, budget: Budget, progress: Progress = silent) -> CompactResult:
    """The student's one largest logit is that of (a +- b) mod p on every input: Proved, or Unknown with the reason.

    Refuted where the pair with the longest residual of some frequency, evaluated exactly, has a wrong answer.
    """
    began = time.process_time()
    cost = count(net)
    clock = find_clock(net, program)
    if isinstance(clock, str):
        return CompactResult(Unknown(clock), cost)
    reach = measure(net, clock)
    if reach is None:
        return CompactResult(Unknown("its features are too large for 64-bit squares"), cost)
    rho, ratio = tuple(Fraction(r, FINE) for r in reach.rho), nearest(net.p, clock, reach)
    cost = Cost(cost.compact, cost.exhaustive, time.process_time() - began)
    progress(f"compact proof: margin over bound {ratio:.2f}, {cost.exhaustive / cost.compact:.1f} times fewer steps")
    if ratio <= 1:
        wrong = next(filter(None, (_evaluated(net, a, b) for a, b in reach.pairs)), None)
        verdict = Refuted(wrong) if wrong else Unknown(f"its residuals are too long: margin over bound {ratio:.3g}")
        return CompactResult(verdict, cost, rho, ratio)
    started = time.monotonic()
    outcomes = tuple(discharge([margin_obligation(net, clock, reach)], budget, progress))
    cost = Cost(cost.compact, cost.exhaustive, cost.evaluating, time.monotonic() - started)
    if not all(outcome.closed for outcome in outcomes):
        reason = f"{outcomes[0].obligation.name}: {outcomes[0].reason or outcomes[0].result}"
        return CompactResult(Unknown(reason), cost, rho, ratio, outcomes)
    return CompactResult(Proved(METHOD), cost, rho, ratio, outcomes, evidence(clock, reach))


def evidence(clock: Clock, reach: Reach) -> dict[str, Any]:
    """What a checker needs, as JSON; scale and rho are numerators over `fine`."""
    return {
        "features": [list(pair) for pair in clock.features],
        "fine": FINE,
        "frequencies": list(clock.frequencies),
        "gain": list(clock.gain),
        "rho": list(reach.rho),
        "scale": list(clock.scale),
        "tau": list(reach.tau),
    }


def count(net: ExactNet) -> Cost:
    """Every pair: hidden units, their mix, then two differences and squares a frequency, or p logits of m features."""
    pairs, m = net.p**2, net.offset.size
    shared = pairs * (net.left.shape[1] + int(np.count_nonzero(net.mix)))
    return Cost(shared + 2 * m * (pairs + net.p), shared + pairs * net.p * m)


def find_clock(net: ExactNet, program: Program) -> Clock | str:
    """A witness, or why there is none. The scale is sought on a few rows of a only; it need not be the best."""
    if (program.p, program.sign) != (net.p, net.sign):
        return "the program is one for another task"
    p, residues = net.p, np.arange(net.p)
    angle = 2 * np.pi * np.outer(residues, program.frequencies) / p
    cosine, sine = net.readout @ np.cos(angle), net.readout @ np.sin(angle)
    features = tuple((int(c), int(s)) for c, s in zip(cosine.argmax(0), sine.argmax(0), strict=True))
    if sorted(i for pair in features for i in pair) != list(range(net.offset.size)):
        return "its read-out is no clock: one cosine and one sine for each of the program's frequencies are needed"
    rows = residues[:: max(1, p // _SEARCH_ROWS)]
    sums = net.sums()[rows]
    scale, gain = [], []
    for k, (c, s) in enumerate(features):
        gain.append(round(float(cosine[c, k] + sine[s, k]) / p))
        found = block(net, (c, s), rows).astype(np.float64)
        along = (found * np.stack([np.cos(angle[sums, k]), np.sin(angle[sums, k])], axis=-1)).sum(-1)
        scale.append(round(FINE * _length(along.ravel(), (found**2).sum(-1).ravel())))
    if min(*scale, *gain) <= 0:
        return "its features do not turn with the sum, or its read-out runs against them"
    return Clock(program.frequencies, features, tuple(scale), tuple(gain))


def _length(along: np.ndarray, squares: np.ndarray) -> float:
    """The S with the smallest max |feature - S e| / S: with t = 1 / S, convex in t; golden sections."""
    mean = float(along.mean())
    if mean <= 0:
        return 0.0
    low, high = 0.7 / mean, 1.4 / mean
    for _ in range(25):
        third = (high - low) / 3
        left, right = (float((t * t * squares - 2 * t * along).max()) for t in (low + third, high - third))
        low, high = (low, high - third) if left < right else (low + third, high)
    return 2 / (low + high)


def block(net: ExactNet, pair: tuple[int, int], rows: Ints) -> Ints:
    """Two features at a in `rows` and every b, exactly, [row, p, 2]; hidden units they do not read are left out."""
    mix = net.mix[:, pair]
    units = np.flatnonzero(mix.any(1))
    hidden = np.maximum(net.left[rows][:, None, units] + net.right[None, :, units], 0)
    return hidden @ mix[units] + net.offset[list(pair)]


def measure(net: ExactNet, clock: Clock) -> Reach | None:
    """rho and tau by exact integers, over every a, b and every c; None where they could overflow."""
    p, rows = net.p, np.arange(net.p, dtype=np.int64)
    waves = Waves(p)
    sums = net.sums()
    rho, tau, pairs = [], [], []
    for k, pair, scale, gain in zip(clock.frequencies, clock.features, clock.scale, clock.gain, strict=True):
        places = [k * x % p for x in range(p)]
        wanted = [waves.rounded(scale, x) for x in places]
        found = block(net, pair, rows)
        if FINE * max(abs(int(found.min())), abs(int(found.max()))) >= _LARGEST or scale >= _LARGEST:
            return None
        squares = ((FINE * found - np.array(wanted, dtype=np.int64)[sums]) ** 2).sum(-1)
        worst = int(squares.argmax())
        pairs.append((worst // p, worst % p))
        rounding = max(waves.distance(scale, x, y) for x, y in zip(places, wanted, strict=True))
        rho.append(root(int(squares.max())) + rounding)
        readout = [(FINE * int(net.readout[pair[0], c]), FINE * int(net.readout[pair[1], c])) for c in range(p)]
        tau.append(max(waves.distance(FINE * gain, x, y) for x, y in zip(places, readout, strict=True)))
    return Reach(tuple(rho), tuple(tau), tuple(pairs))


def margin_obligation(net: ExactNet, clock: Clock, reach: Reach) -> Obligation:
    """Satisfiable iff some d has cosines and sines, within their enclosures, that leave it no margin."""
    _refuse(net, clock, reach)
    p, one, waves = net.p, 1 << BITS, Waves(net.p)
    rounding = sum(2 * t * (s + r) for s, t, r in zip(clock.scale, reach.tau, reach.rho, strict=True))
    lines, cases = [], []
    for x in range(1, p // 2 + 1):
        for name, middle, away in ((f"c{x}", waves.cos(x), 1), (f"h{x}", 2 * waves.half(x), 2)):
            lines.append(f"(declare-const {name} Real)")
            lines.append(f"(assert (<= {integer(middle - away)} {name} {integer(middle + away)}))")
    for d in range(1, p // 2 + 1):
        gains, losses = [], [integer(one * rounding)]
        for k, scale, gain, rho in zip(clock.frequencies, clock.scale, clock.gain, reach.rho, strict=True):
            x = min(k * d % p, -k * d % p)
            if x:
                gains.append(f"(* {FINE * gain * scale} (- {one} c{x}))")
                losses.append(f"(* {FINE * gain * rho} h{x})")
        cases.append(f"(<= {fold('+', gains, '0')} {fold('+', losses, '0')})")
    lines.append("(assert (or\n  " + "\n  ".join(cases) + "))")
    sentence = f"the residuals do not reach from the logit of (a +- b) mod {p} to that of any other answer"
    return Obligation("compact-margin", sentence, script("QF_LRA", sentence, lines))


def _refuse(net: ExactNet, clock: Clock, reach: Reach) -> None:
    """A witness that leaves out a feature, repeats a frequency or has a negative length would prove nothing."""
    count = len(clock.frequencies)
    complete = sorted(i for pair in clock.features for i in pair) == list(range(net.offset.size))
    lengths = (clock.features, clock.scale, clock.gain, reach.rho, reach.tau)
    known = len(set(clock.frequencies)) == count and all(0 < k < net.p for k in clock.frequencies)
    positive = min((*clock.scale, *clock.gain), default=0) > 0 and min((*reach.rho, *reach.tau), default=-1) >= 0
    if not (complete and known and positive and all(len(values) == count for values in lengths)):
        raise ValueError(f"clock = {clock}, {reach}: not a witness for this net")


def nearest(p: int, clock: Clock, reach: Reach) -> float:
    """The smallest margin over bound, over every d: the same inequality as `margin_obligation`, to be read."""
    d = np.arange(1, p)
    half = np.abs(np.sin(np.pi * np.outer(clock.frequencies, d) / p))
    scale, gain, rho, tau = (np.array(v, float)[:, None] for v in (clock.scale, clock.gain, reach.rho, reach.tau))
    margin = (FINE * scale * gain * 2 * half**2).sum(0)
    bound = (FINE * gain * rho * 2 * half + 2 * tau * (scale + rho)).sum(0)
    return float((margin / np.maximum(bound, 1e-9)).min())


def _evaluated(net: ExactNet, a: int, b: int) -> Counterexample | None:
    """What the net says to one pair, exactly, if it is wrong."""
    got = int(unique_argmax(net.features(a)[b : b + 1] @ net.readout)[0])
    expected = (a + net.sign * b) % net.p
    if got == expected:
        return None
    return Counterexample(
        a, b, Specification.of(net), expected, None if got == NO_ANSWER else got, "the integer student"
    )
