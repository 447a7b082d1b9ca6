"""The compact proof: right nets close, broken ones never do, and what it proves exhaustive evaluation finds right."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import z3

from benchmarks.by_hand import hand_built
from verify import Budget, ExactNet, Proved, Refuted, Unknown, checker, extract
from verify import compact as module
from verify.compact import FINE, Clock, Reach, find_clock, margin_obligation, measure, nearest, prove_compact
from verify.smt import Obligation
from verify.solver import Outcome
from verify.waves import BITS, Waves

ROOT = Path(__file__).parents[2]


Tensors = dict[str, np.ndarray]


def build(p: int, sign: int, tensors: Tensors) -> ExactNet:
    fields = {name: np.array(tensors[name]) for name in ("left", "mix", "offset", "readout")}
    tied = "right" not in tensors
    return ExactNet(p, sign, **fields, right=np.array(tensors["left" if tied else "right"]), tied=tied, sha256="")


def net_of(p: int, sign: int = 1, frequencies: tuple[int, ...] = (1, 3)) -> ExactNet:
    return build(p, sign, hand_built(p, sign, frequencies))


def accepted(net: ExactNet, evidence: dict[str, Any]) -> str | None:
    """None, or why the checker does not accept it: it takes every exception for a rejection."""
    names = ("left", "right", "mix", "offset", "readout")
    tables = {name: getattr(net, name).tolist() for name in names}
    try:
        checker.check_compact(checker.Student(tables, 0, net.p, net.sign), evidence)
    except Exception as error:
        return f"{type(error).__name__} {error}"
    return None


def in_this_process(obligations: Sequence[Obligation], *_: object) -> list[Outcome]:
    """Z3 on the same text, without a process for each of hundreds of nets."""
    outcomes = []
    for obligation in obligations:
        solver = z3.SolverFor("QF_LRA")
        solver.from_string(obligation.text)
        outcomes.append(Outcome(obligation, str(solver.check())))
    return outcomes


def witness(net: ExactNet) -> tuple[Clock, Reach]:
    clock = find_clock(net, extract(net))
    assert isinstance(clock, Clock), clock
    reach = measure(net, clock)
    assert reach is not None
    return clock, reach


@pytest.mark.parametrize(
    ("p", "sign", "frequencies"), [(7, 1, (1, 3)), (11, -1, (2, 3)), (13, 1, (2, 3, 5)), (9, 1, (1, 2))]
)
def test_a_right_net_is_proved_and_the_check_accepts(p: int, sign: int, frequencies: tuple[int, ...]) -> None:
    net = net_of(p, sign, frequencies)
    result = prove_compact(net, extract(net), Budget.of(60))
    assert isinstance(result.verdict, Proved), result.verdict
    assert [outcome.result for outcome in result.outcomes] == ["unsat"]
    assert result.ratio > 1
    assert len(result.rho) == len(frequencies)
    assert (net.answers == net.sums()).all()
    assert result.evidence is not None
    evidence = json.loads(json.dumps(result.evidence))
    assert evidence["frequencies"] == list(frequencies)
    assert accepted(net, evidence) is None


def test_the_lengths_are_no_shorter_than_measured_in_floats() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        tensors = hand_built(11, 1, (2, 5), 20)
        tensors["mix"] += rng.integers(-1, 2, tensors["mix"].shape)
        net = build(11, 1, tensors)
        clock, reach = witness(net)
        features = np.stack([net.features(a) for a in range(11)])
        for k, pair, scale, gain, rho, tau in zip(
            clock.frequencies, clock.features, clock.scale, clock.gain, reach.rho, reach.tau, strict=True
        ):
            turn = 2 * np.pi * k * np.arange(11) / 11
            wave = np.stack([np.cos(turn), np.sin(turn)], axis=-1)
            longest = np.linalg.norm(features[..., pair] - scale / FINE * wave[net.sums()], axis=-1).max()
            assert longest <= rho / FINE <= longest + 3 / FINE
            off = np.linalg.norm(net.readout[list(pair)].T - gain * wave, axis=-1).max()
            assert off <= tau / FINE <= off + 2 / FINE


def test_whatever_is_proved_exhaustive_evaluation_finds_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "discharge", in_this_process)
    rng = np.random.default_rng(0)
    seen: Counter[tuple[str, bool]] = Counter()
    for _ in range(600):
        p, sign = int(rng.choice([7, 11])), int(rng.choice([1, -1]))
        tensors = hand_built(p, sign, ((1, 3), (2, 5), (1, 2, 3))[rng.integers(3)] if p == 11 else (1, 3), 20)
        for _ in range(rng.integers(1, 4)):
            value = tensors[str(rng.choice(list(tensors)))]
            place = tuple(int(rng.integers(n)) for n in value.shape)
            value[place] += int(rng.choice([1, 2, 4, 8, 16, 32])) * int(rng.choice([1, -1]))
        net = build(p, sign, tensors)
        right = bool((net.answers == net.sums()).all())
        result = prove_compact(net, extract(net), Budget.of(60))
        seen[type(result.verdict).__name__, right] += 1
        if isinstance(result.verdict, Proved):
            assert right
            assert result.evidence is not None
            assert accepted(net, result.evidence) is None
        if isinstance(result.verdict, Refuted):
            found = result.verdict.counterexample
            assert not right
            assert int(net.answers[found.a, found.b]) != found.expected  # pyright: ignore[reportAttributeAccessIssue]
    assert seen["Proved", True] >= 50
    assert seen["Refuted", False] >= 50
    assert seen["Unknown", True] >= 20
    assert seen["Proved", False] == seen["Refuted", True] == 0


def test_whatever_the_check_accepts_is_right() -> None:
    """Nets and evidence are changed at random: rejecting is always allowed, accepting a wrong net never is."""
    rng = np.random.default_rng(1)
    seen: Counter[tuple[bool, bool]] = Counter()
    clock, reach = witness(build(7, 1, hand_built(7, 1, (1, 3), 20)))
    for _ in range(500):
        tensors = hand_built(7, 1, (1, 3), 20)
        value = tensors[str(rng.choice(list(tensors)))]
        value[tuple(int(rng.integers(n)) for n in value.shape)] += int(rng.choice([-12, -3, -1, 1, 3, 12]))
        changed: dict[str, Any] = json.loads(json.dumps(module.evidence(clock, reach)))
        for name, factors in (
            ("rho", (4, 10, 25)),
            ("tau", (1, 2)),
            ("scale", (0.95, 1, 1, 1)),
            ("gain", (1, 1, 1, 1.1)),
        ):
            changed[name] = [round(number * float(rng.choice(factors))) for number in changed[name]]
        net = build(7, 1, tensors)
        right = bool((net.answers == net.sums()).all())
        seen[accepted(net, changed) is None, right] += 1
    assert seen[True, False] == 0
    assert seen[True, True] >= 20
    assert seen[False, False] >= 100


def test_a_push_from_one_answer_to_another_is_never_proved_when_it_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    """One unit fires on a = b = 4 alone and pulls the features from 8 towards another answer, ever harder."""
    monkeypatch.setattr(module, "discharge", in_this_process)
    tensors = hand_built(11, 1, (1, 3), 60)
    tensors["left"] = np.concatenate([tensors["left"], np.full((11, 1), -50)], axis=1)
    tensors["left"][4, -1] = 1
    for other in (7, 2):
        direction = tensors["readout"][:, other] - tensors["readout"][:, 8]
        verdicts = []
        for step in range(20):
            push = np.rint(direction * step / 20).astype(np.int64)
            net = build(11, 1, {**tensors, "mix": np.concatenate([tensors["mix"], push[None]])})
            verdict = prove_compact(net, extract(net), Budget.of(60)).verdict
            verdicts.append(type(verdict).__name__)
            if (net.answers != net.sums()).any():
                assert isinstance(verdict, Refuted), step
                assert str(verdict.counterexample).startswith("4 + 4 = 8 (mod 11)")
        assert verdicts[0] == "Proved"
        assert verdicts[-1] == "Refuted"


@pytest.mark.parametrize("tensor", ["left", "mix", "offset", "readout"])
def test_a_broken_weight_is_not_proved(tensor: str) -> None:
    tensors = hand_built(11, 1, (1, 3))
    tensors[tensor].flat[0] += 100000
    net = build(11, 1, tensors)
    assert (net.answers != net.sums()).any()
    result = prove_compact(net, extract(net), Budget.of(60))
    assert not isinstance(result.verdict, Proved)
    assert result.evidence is None


def test_what_is_no_clock_is_unknown() -> None:
    net = net_of(11, 1, (1, 3))
    rng = np.random.default_rng(0)
    for other, says in [
        (replace(net, readout=rng.integers(-50, 50, net.readout.shape)), "no clock"),
        (replace(net, readout=net.readout[[0, 0, 2, 3]]), "no clock"),
        (replace(net, mix=-net.mix, offset=-net.offset), "do not turn"),
        (replace(net, mix=net.mix << 18, offset=net.offset << 18), "too large"),
    ]:
        verdict = prove_compact(other, extract(net), Budget.of(60)).verdict
        assert isinstance(verdict, Unknown), verdict
        assert says in verdict.reason
    for program in (extract(net_of(7)), extract(net_of(11, -1)), replace(extract(net), frequencies=(1, 4))):
        assert isinstance(prove_compact(net, program, Budget.of(60)).verdict, Unknown)


def test_a_solver_that_does_not_say_unsat_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    net = net_of(7)
    late = prove_compact(net, extract(net), Budget.of(0))
    assert isinstance(late.verdict, Unknown)
    assert "out of time" in late.verdict.reason
    for answer in ("sat", "unknown"):
        monkeypatch.setattr(module, "discharge", lambda todo, *_, answer=answer: [Outcome(todo[0], answer)])
        result = prove_compact(net, extract(net), Budget.of(60))
        assert isinstance(result.verdict, Unknown)
        assert result.evidence is None


@pytest.mark.parametrize("p", [7, 11])
def test_the_obligation_turns_where_the_ratio_does(p: int) -> None:
    """Longer residuals close until the ratio is 1, and are satisfiable from there: the formula means the inequality."""
    net = net_of(p)
    clock, reach = witness(net)
    answers = []
    for factor in np.linspace(1, 200, 60):
        longer = replace(reach, rho=tuple(int(rho * factor) for rho in reach.rho))
        ratio = nearest(p, clock, longer)
        if abs(ratio - 1) > 1e-6:
            answer = in_this_process([margin_obligation(net, clock, longer)])[0].result
            assert answer == ("unsat" if ratio > 1 else "sat")
            answers.append(answer)
    assert set(answers) == {"sat", "unsat"}


@pytest.mark.parametrize(
    "change",
    [
        {"rho": (-1, 5)},
        {"rho": (5,)},
        {"tau": (-1, 5)},
        {"frequencies": (1,)},
        {"frequencies": (1, 1)},
        {"frequencies": (0, 3)},
        {"frequencies": (1,), "features": ((0, 1),), "scale": (9,), "gain": (9,), "rho": (1,), "tau": (1,)},
        {"features": ((0, 1), (2, 2))},
        {"scale": (-9, 9)},
        {"gain": (0, 9)},
    ],
)
def test_a_vacuous_witness_is_refused(change: dict[str, tuple[Any, ...]]) -> None:
    net = net_of(7)
    clock, reach = witness(net)
    of_clock = {name: value for name, value in change.items() if name in Clock.__dataclass_fields__}
    of_reach = {name: value for name, value in change.items() if name in Reach.__dataclass_fields__}
    with pytest.raises(ValueError, match="not a witness"):
        margin_obligation(net, replace(clock, **of_clock), replace(reach, **of_reach))
    result = prove_compact(net, extract(net), Budget.of(60))
    assert result.evidence is not None
    changed = {name: [list(v) if isinstance(v, tuple) else v for v in value] for name, value in change.items()}
    assert accepted(net, {**result.evidence, **changed}) is not None


def test_the_check_rejects_what_is_not_so() -> None:
    net = net_of(11, 1, (1, 3))
    evidence = prove_compact(net, extract(net), Budget.of(60)).evidence
    assert evidence is not None
    assert accepted(net, evidence) is None
    shorter = {name: [v // 3 for v in evidence[name]] for name in ("rho", "tau", "scale", "gain")}
    for change in [
        *({name: value} for name, value in shorter.items()),
        {"rho": [1 << 40] * 2},
        {"frequencies": [1, 2]},
        {"frequencies": [3, 1]},
        {"features": [[1, 0], [2, 3]]},
        {"features": [[0, 1], [2, 99]]},
        {"fine": 0},
        {"fine": 1},
        {"rho": [float(v) for v in evidence["rho"]]},
        {"tau": [True, True]},
        {"scale": [1 << 70, 1 << 70]},
        {"gain": None},
        {"features": [0, 1]},
        {"features": []},
    ]:
        assert accepted(net, {**evidence, **change}) is not None, change
    for name in evidence:
        assert accepted(net, {key: value for key, value in evidence.items() if key != name}) is not None
    wrong = net.left.copy()
    wrong[5] += 30
    assert "a, b = 5, 0" in str(accepted(replace(net, left=wrong), evidence))
    assert accepted(replace(net, left=wrong, right=wrong), evidence) is not None
    assert accepted(replace(net, sign=-1), evidence) is not None


@pytest.mark.parametrize("p", [2, 3, 9, 59, 113])
def test_two_ways_to_the_same_cosines(p: int) -> None:
    """arb and Taylor's series in integers; and both are the cosines, where these are known."""
    table, waves = checker.cosines(4 * p), Waves(p)
    assert [waves.cos(x) for x in range(p)] == [table[4 * x] for x in range(p)]
    assert [waves.half(x) for x in range(p)] == [abs(table[2 * x - p]) for x in range(p)]
    one = 1 << BITS
    assert (table[0], table[p], table[2 * p]) == (one, 0, -one)
    assert max(abs(v - one * np.cos(np.pi * y / (2 * p))) for y, v in enumerate(table)) < 0.6
    if p % 3 == 0:
        assert waves.cos(p // 3) == -one // 2


def test_the_cost_is_counted_without_p_cubed() -> None:
    small, large = net_of(7), net_of(11)
    for net in (small, large):
        cost = prove_compact(net, extract(net), Budget.of(60)).cost
        shared = net.p**2 * (net.left.shape[1] + np.count_nonzero(net.mix))
        assert cost.exhaustive - shared == net.p**3 * 4
        assert cost.compact - shared == 8 * (net.p**2 + net.p)


def test_rho_is_a_fraction_of_the_features_unit() -> None:
    net = net_of(7)
    _, reach = witness(net)
    result = prove_compact(net, extract(net), Budget.of(60))
    assert result.rho == tuple(Fraction(rho, FINE) for rho in reach.rho)
