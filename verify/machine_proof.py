"""That a machine computes the task for streams of every length.

Addition in base b, by Z3 and induction over the number n of places read: with A and B the values of the digits read, O
that of the answers given, P = b^n and c(q) the carry that state q stands for,

    O + c(q) P = A + B  and  0 <= O < P

holds at the start and is kept by every step from every state; and reading (0, 0) leads to a state of carry 0. So after
all places and one of zeros O = A + B: the machine adds. Any other task: every reachable pair of a state of the machine
and one of the task's reference machine gives the same answers, which is the induction step of their equality.
"""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.tasks.machine import Machine, Pair
from pipeline.tasks.streaming import StreamTask
from pipeline.tasks.streams import addition
from verify.claims import Proved, Refuted, StreamCounterexample, Unknown, on_streams
from verify.results import Result
from verify.smt import Obligation, fold, integer, script
from verify.solver import Budget, Progress, discharge

BY_VALUE = "solver and induction: the value of the answers plus carry times base^n is the sum of the values"
BY_STATES = "solver and induction: every pair of states that is reached together gives the same answers"


def prove_machine(machine: Machine, task: StreamTask, budget: Budget, progress: Progress) -> Result:
    """Proved, Refuted with the shortest stream on which the machine errs, or Unknown."""
    claim, reference = on_streams("machine", task.key), task.machine()
    measured = {"machine": machine.to_dict(), **({"reference": reference.to_dict()} if reference else {})}
    if reference is None:
        reason = f"{task.key} needs more states than any machine that is compared, if not unbounded memory"
        return Result(claim, Unknown(reason), measured=measured)
    word = difference(machine, reference)
    if word is not None:
        return Result(claim, Refuted(counterexample(task, (*word, *task.flush), machine)), measured=measured)
    carry = None
    if isinstance(task, addition.Task):
        carry = carries(machine, reference, task)
        obligations, method = addition_obligations(machine, carry, task.base), BY_VALUE
    else:
        obligations, method = state_obligations(machine, reference), BY_STATES
    outcomes = tuple(discharge(obligations, budget, progress))
    left = next((outcome for outcome in outcomes if not outcome.closed), None)
    verdict = Proved(method) if left is None else Unknown(f"{left.obligation.name}: {left.reason or left.result}")
    if left is not None:
        return Result(claim, verdict, outcomes, measured=measured)
    carried = None if carry is None else list(carry)
    evidence = {"by": "induction", "carries": carried, "machine": machine.to_dict(), "reference": reference.to_dict()}
    return Result(claim, verdict, outcomes, evidence)


def together(machine: Machine, reference: Machine) -> Iterator[tuple[int, int, tuple[Pair, ...]]]:
    """Every pair of states that some stream leads both to, breadth first, with the shortest such stream."""
    reached: list[tuple[int, int, tuple[Pair, ...]]] = [(0, 0, ())]
    seen = {(0, 0)}
    for q, r, word in reached:
        yield q, r, word
        for a, b in machine.pairs:
            after = (machine.following[q][a][b], reference.following[r][a][b])
            if after not in seen:
                seen.add(after)
                reached.append((*after, (*word, (a, b))))


def difference(machine: Machine, reference: Machine) -> tuple[Pair, ...] | None:
    """The shortest stream to which the two give different answers; None where there is none."""
    for q, r, word in together(machine, reference):
        for a, b in machine.pairs:
            if machine.answers[q][a][b] != reference.answers[r][a][b]:
                return (*word, (a, b))
    return None


def carries(machine: Machine, reference: Machine, task: StreamTask) -> tuple[int, ...]:
    """The carry that each state of a right adder stands for: the task's own state after the same stream."""
    found = {}
    for q, _, word in together(machine, reference):
        state = task.initial
        for a, b in word:
            state, _ = task.step(state, a, b)
        found.setdefault(q, state)
    return tuple(found[q] for q in range(machine.n_states))


def counterexample(task: StreamTask, stream: tuple[Pair, ...], machine: Machine) -> StreamCounterexample:
    got = machine.run(stream)
    says = task.equation(stream, got).replace("the net says", "the machine says")
    return StreamCounterexample(stream, tuple(task.reference(stream)), tuple(got), says)


def addition_obligations(machine: Machine, carry: tuple[int, ...], base: int) -> list[Obligation]:
    """The base case, the step from every state, and the end; a model of any would be a sum that comes out wrong."""
    declared = [f"(declare-const {name} Int)" for name in ("A", "B", "O", "P")]

    def holds(c: int) -> str:
        return f"(and (= (+ O (* {c} P)) (+ A B)) (<= 0 O) (< O P))"

    sentence = "before the first digit, answers plus carry times base^0 is 0 + 0"
    start = [*declared, "(assert (and (= A 0) (= B 0) (= O 0) (= P 1)))", f"(assert (not {holds(carry[0])}))"]
    obligations = [Obligation("sum-start", sentence, script("QF_LIA", sentence, start))]
    for q in range(machine.n_states):
        wrong = []
        for a, b in machine.pairs:
            o, c = machine.answers[q][a][b], carry[machine.following[q][a][b]]
            left = f"(+ O (* {o} P) (* {integer(c * base)} P))"
            value = f"(= {left} (+ A (* {a} P) B (* {b} P)))"
            answers = f"(+ O (* {o} P))"
            digit = f"(and (<= 0 {answers}) (< {answers} (* {base} P)))"
            wrong.append(f"(not (and {value} {digit}))")
        sentence = f"from state {q}, of carry {carry[q]}, every pair of digits keeps answers + carry base^n = A + B"
        given = ["(assert (<= 1 P))", f"(assert {holds(carry[q])})"]
        lines = [*declared, *given, f"(assert {fold('or', wrong, 'false')})"]
        obligations.append(Obligation(f"sum-step-{q}", sentence, script("QF_LIA", sentence, lines)))
    ends = [carry[machine.following[q][0][0]] for q in range(machine.n_states)]
    sentence = "a place of zeros leaves no carry, so that the answers are the whole sum"
    lines = [f"(assert {fold('or', [f'(not (= {integer(c)} 0))' for c in ends], 'false')})"]
    obligations.append(Obligation("sum-end", sentence, script("QF_LIA", sentence, lines)))
    return obligations


def state_obligations(machine: Machine, reference: Machine) -> list[Obligation]:
    """For all related states and all symbols: the same answer, and the next states are related."""
    related = [(q, r) for q, r, _ in together(machine, reference)]
    sentence = "the initial states are related, and related ones give equal answers and lead to related ones"
    relation = fold("or", [f"(and (= q {q}) (= r {r}))" for q, r in related], "false")
    lines = [f"(define-fun related ((q Int) (r Int)) Bool {relation})"]
    wrong = ["(not (related 0 0))"]
    for q, r in related:
        for a, b in machine.pairs:
            wrong.append(f"(not (= {machine.answers[q][a][b]} {reference.answers[r][a][b]}))")
            wrong.append(f"(not (related {machine.following[q][a][b]} {reference.following[r][a][b]}))")
    lines.append(f"(assert {fold('or', wrong, 'false')})")
    return [Obligation("states", sentence, script("QF_LIA", sentence, lines))]
