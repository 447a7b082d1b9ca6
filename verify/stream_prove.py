"""All proofs about one recurrent net: task = machine = net for streams of every length, or a stream that is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from pipeline.tasks.machine import Machine, Pair
from verify.bounds import GRID_BITS
from verify.claims import Proved, Refuted, StreamCounterexample, Unknown, Verdict, on_streams
from verify.invariant import BOUNDS, Invariant, ask_solver, exact_lead, try_bounds
from verify.machine_proof import prove_machine
from verify.reach import FastNet, Reached, reach
from verify.recurrent_net import RecurrentNet
from verify.regions import Abstraction, abstractions, candidates
from verify.results import Result
from verify.solver import Budget, Progress, silent

WHOLE = "task = machine = net, in exact arithmetic and in float32"
INDUCTION = "induction over the length: invariant regions, one for each state of the machine"
SEARCHED = 4
"""Streams of a search that are replayed before it is said that none is wrong in both arithmetics."""


@dataclass(frozen=True)
class StreamProof:
    """The claims, the verdict on "the net computes the task for streams of every length", and what they rest on."""

    net: RecurrentNet
    results: tuple[Result, ...]
    verdict: Verdict
    machine: Machine | None
    invariant: Invariant | None
    wrong: StreamCounterexample | None = None
    doubt: str = ""

    def with_results(self, results: Sequence[Result]) -> StreamProof:
        """The same with other verdicts on the claims, and what they come to."""
        known = [replace(r, measured={**_machines(r.evidence), **r.measured}) if _is_open(r) else r for r in results]
        return replace(self, results=tuple(known), verdict=overall(known, self.wrong, self.doubt))

    def not_refuted(self, reason: str) -> StreamProof:
        """The same without its stream, which the checker does not confirm."""
        return replace(self, wrong=None, doubt=reason).with_results(self.results)


def prove_stream(net: RecurrentNet, budget: Budget, progress: Progress = silent) -> StreamProof:
    """Searches a stream on which the net errs, reads the machine off it, and tries the two inductions."""
    fast, task = FastNet.of(net), net.task
    reached = reach(fast, task, SEARCHED)
    wrong, doubt = _replayed(net, reached)
    progress(f"{len(reached.states)} states reached, {'one' if wrong else 'no'} stream is wrong")
    found = list(abstractions(fast, reached.states))
    results: list[Result] = []
    machine = invariant = None
    if not found:
        reason = f"no machine: the {len(reached.states)} states that were reached keep splitting"
        reference = task.machine()
        known = {"reference": reference.to_dict()} if reference is not None else {}
        results = [Result(on_streams("machine", task.key), Unknown(reason), measured=known)]
        results.append(Result(on_streams("invariant", task.key), Unknown(reason)))
    else:
        invariant = _invariant(net, fast, found, budget, progress)
        machine = found[0].machine if invariant is None else invariant.machine
        progress(f"a machine of {machine.n_states} states ({machine.minimised().n_states} when minimised)")
        results.append(prove_machine(machine, task, budget, progress))
        claim = on_streams("invariant", task.key)
        results.append(Result(claim, _inductive(invariant), (), evidence(invariant), _measured(net, invariant)))
    claim = on_streams("invariant rounding", task.key)
    results.append(Result(claim, _in_float32(results[-1].verdict, invariant), (), evidence(invariant)))
    return StreamProof(net, tuple(results), overall(results, wrong, doubt), machine, invariant, wrong, doubt)


def _is_open(result: Result) -> bool:
    return result.claim.kind == "machine" and isinstance(result.verdict, Unknown)


def _machines(evidence: dict[str, Any]) -> dict[str, Any]:
    """What a machine claim that is not Proved has in `measured`."""
    return {name: evidence[name] for name in ("machine", "reference") if evidence.get(name) is not None}


def read_machine(net: RecurrentNet) -> Machine | None:
    """The minimised machine of the states that a net reaches; None where they do not fall into finitely many."""
    fast = FastNet.of(net)
    found = next(abstractions(fast, reach(fast, net.task).states), None)
    return None if found is None else found.machine.minimised()


def overall(results: list[Result], wrong: StreamCounterexample | None, doubt: str) -> Verdict:
    """A stream that replays refutes; else all three claims prove; else the first open one says why it is Unknown."""
    if wrong is not None:
        return Refuted(wrong)
    if doubt:
        return Unknown(doubt)
    for result in results:
        if isinstance(result.verdict, Unknown):
            return result.verdict
        if isinstance(result.verdict, Refuted):
            return Unknown(f"its machine errs ({result.verdict.counterexample}), but no stream on which the net does")
    if [result.claim.kind for result in results] != ["machine", "invariant", "invariant rounding"]:
        return Unknown("a link is missing")
    return Proved(WHOLE)


def _replayed(net: RecurrentNet, reached: Reached) -> tuple[StreamCounterexample | None, str]:
    """The first stream that is wrong both in exact arithmetic and in float32, and a doubt where one is wrong in one."""
    doubt = ""
    for stream in reached.wrong:
        expected = net.task.reference(stream)
        exact, rounded = net.exact.run(stream), net.run_float(stream)
        if exact != expected and rounded != expected:
            return stream_counterexample(net, stream, exact), ""
        if exact != expected or rounded != expected:
            where = "float32" if exact == expected else "exact arithmetic"
            doubt = f"{net.task.equation(stream, exact if exact != expected else rounded)}, but only in {where}"
    return None, doubt


def stream_counterexample(net: RecurrentNet, stream: tuple[Pair, ...], got: list[int | None]) -> StreamCounterexample:
    """A stream with what the net says of it in exact arithmetic."""
    task = net.task
    return StreamCounterexample(stream, tuple(task.reference(stream)), tuple(got), task.equation(stream, got))


def _invariant(
    net: RecurrentNet, fast: FastNet, found: Sequence[Abstraction], budget: Budget, progress: Progress
) -> Invariant | None:
    """The first candidate that bounds close whole; else the one with fewest open obligations, with Z3's help."""
    best: Invariant | None = None
    for abstraction in found:
        for regions in candidates(fast, abstraction):
            tried = try_bounds(net.exact, abstraction.machine, regions)
            if tried.holds:
                return tried
            if best is None or _n_open(tried) < _n_open(best):
                best = tried
    if best is None or not best.start_inside:
        return best
    progress(f"bounds leave {_n_open(best)} of {len(best.closed)} obligations open: asking Z3")
    return ask_solver(net.exact, best, budget, progress)


def _n_open(invariant: Invariant) -> int:
    return sum(not one.how for one in invariant.closed)


def evidence(invariant: Invariant | None) -> dict[str, Any]:
    """Machine, regions, and for each obligation how it was closed, with the tree over whose leaves the bounds close."""
    if invariant is None:
        return {}
    return {
        "by": "induction",
        "grid_bits": GRID_BITS,
        "machine": invariant.machine.to_dict(),
        "regions": [{"high": list(box.high), "low": list(box.low)} for box in invariant.regions],
        "steps": [[one.step.region, *one.step.pair, one.how, one.tree] for one in invariant.closed],
    }


def _inductive(invariant: Invariant | None) -> Verdict:
    if invariant is None:
        return Unknown("no invariant regions: the bounds of every region grow until an answer is uncertain")
    if not invariant.start_inside:
        return Unknown("the initial state is not in region 0")
    left, asked = invariant.open, "solver and " if invariant.asked else ""
    return Proved(asked + INDUCTION) if left is None else Unknown(f"region {left.step.region}: {left.reason}")


def _in_float32(exact: Verdict, invariant: Invariant | None) -> Verdict:
    if not isinstance(exact, Proved) or invariant is None:
        return Unknown("the exact net is not proved to follow the machine")
    close = [one.step for one in invariant.closed if not one.float32]
    if close:
        return Unknown(f"{close[0].name} and {len(close) - 1} others: lead or room is within float32 rounding")
    return Proved(INDUCTION + ", with room for every rounding error")


def _measured(net: RecurrentNet, invariant: Invariant | None) -> dict[str, object]:
    if invariant is None or not invariant.holds:
        return {}
    rooms = [one.room for one in invariant.closed if one.room is not None]
    by_bounds = sum(one.how == BOUNDS for one in invariant.closed)
    return {
        "by_bounds": by_bounds,
        "by_z3": len(invariant.closed) - by_bounds,
        "least_lead": float(f"{float(exact_lead(net.exact, invariant)):.3g}"),
        "least_room": float(f"{float(Fraction(min(rooms), 1 << (2 * net.bits + GRID_BITS))):.3g}") if rooms else None,
    }
