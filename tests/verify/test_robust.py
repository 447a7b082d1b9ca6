"""Radii of the integer student: computed by hand, against every corner, along shared directions, and refuted beyond."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from benchmarks.by_hand import hand_built
from pipeline.errors import UserError
from verify import checker
from verify.attack import corner, replay
from verify.claims import Proved, Unknown
from verify.coupled import BITS as COUPLED_BITS
from verify.coupled import CLOSE, LEAF, Question, coupled_radius
from verify.exact_net import ExactNet
from verify.robust import BITS, Radius, radius, robustness
from verify.solver import Budget, discharge
from verify.subspace import PUSH_BITS, Subspace, fourier_subspace

GRID = Fraction(1, 1 << BITS)


def make(left: Any, mix: Any, offset: Any, readout: Any, right: Any = None, sign: int = 1) -> ExactNet:
    tensors = [np.array(t, dtype=np.int64) for t in (left, right if right is not None else left, mix, offset, readout)]
    return ExactNet(len(left), sign, *tensors, tied=right is None, sha256="")


def by_hand() -> ExactNet:
    """f = 6 - relu(x) + 2 relu(y) is 6, -4, 26 for (0, 0), (0, 1), (1, 1); the answer is 0 where f > 0."""
    return make([[0, -10], [10, 10]], [[-1], [2]], [6], [[1, -1]])


def at_random(seed: int, sign: int = 1) -> ExactNet:
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> np.ndarray:
        return rng.integers(-9, 10, shape)

    return make(draw(3, 4), draw(4, 2), draw(2), draw(2, 3), draw(3, 4), sign)


def units(n: int) -> Subspace:
    """Every unit has a direction of its own, so that nothing is shared."""
    identity = np.eye(n, dtype=np.int64) << PUSH_BITS
    return Subspace(identity, identity)


def built(p: int, sign: int = 1) -> ExactNet:
    tensors = hand_built(p, sign)
    return make(tensors["left"], tensors["mix"], tensors["offset"], tensors["readout"], tensors.get("right"), sign)


def unchanged_at_corners(net: ExactNet, a: int, b: int, r: Fraction) -> bool:
    """Both rows at the same corner move every pre-activation as far as it goes, in every combination."""
    corners = product((-r, r), repeat=net.left.shape[1])
    return all(replay(net, a, b, corner, corner).got == (a + net.sign * b) % net.p for corner in corners)


@pytest.mark.parametrize(("a", "b", "exact"), [(0, 0, Fraction(3)), (0, 1, Fraction(2, 3)), (1, 1, Fraction(13, 3))])
def test_a_radius_computed_by_hand(a: int, b: int, exact: Fraction) -> None:
    found = radius(by_hand(), a, b)
    assert found.upper is not None
    assert found.lower < exact <= found.upper == found.lower + GRID


def test_the_report_names_the_smallest_and_the_median_and_its_sentence_is_proved() -> None:
    report = robustness(by_hand())
    assert report.right == 4
    assert report.smallest_at == (0, 1)
    assert report.smallest == radius(by_hand(), 0, 1) == report.at(1, 0)
    assert report.quantile(1.0) == radius(by_hand(), 1, 1)
    assert report.median.lower in (report.smallest.lower, radius(by_hand(), 0, 0).lower)
    assert isinstance(report.verdict, Proved)


@pytest.mark.parametrize("sign", [1, -1])
def test_every_corner_of_the_box_agrees_on_random_nets(sign: int) -> None:
    inputs = 0
    for seed in range(12):
        net = at_random(seed, sign)
        report = robustness(net)
        assert ((report.steps >= 0) == (net.answers == net.sums())).all()
        for a, b in np.argwhere(report.steps >= 0).tolist():
            found, inputs = report.at(a, b), inputs + 1
            assert found == radius(net, a, b)
            assert unchanged_at_corners(net, a, b, found.lower)
            assert found.upper is None or not unchanged_at_corners(net, a, b, found.upper)
    assert inputs > 20


def checked(net: ExactNet, step: int) -> list[list[bool]]:
    """On which inputs the checker finds the student right under every change within step / 2^BITS."""
    tensors = {"left": net.left, "mix": net.mix, "offset": net.offset, "readout": net.readout}
    tensors |= {} if net.tied else {"right": net.right}
    data = save({name: np.ascontiguousarray(t) for name, t in tensors.items()}, metadata={"p": str(net.p)})
    return checker.read_student(checker.Weights(data), net.p, net.sign, floats=False).safe(step, BITS)


def test_a_radius_slightly_larger_is_refuted_by_a_perturbation_that_replays() -> None:
    for net in (by_hand(), built(5), at_random(3)):
        report = robustness(net)
        a, b = report.smallest_at
        attack = report.attack(a, b)
        assert attack.size == report.smallest.upper
        assert attack.x == attack.y, "for a = b it is a perturbation of the one row that both read"
        assert attack.got != (a + b) % net.p
        again = replay(net, a, b, attack.x, attack.y)
        assert again == attack
        step = int(report.steps[a, b])
        assert checked(net, step)[a][b]
        assert not checked(net, step + 1)[a][b]


@pytest.mark.parametrize("sign", [1, -1])
def test_the_checker_agrees_at_every_radius(sign: int) -> None:
    for net in (built(5, sign), *(at_random(seed, sign) for seed in range(4))):
        report = robustness(net)
        for step in {0, 1, 1 << BITS, *(k for k in report.steps.flatten().tolist() if k >= 0)}:
            assert checked(net, step) == (report.steps >= step).tolist()


def test_a_corner_is_the_worst_for_its_rival() -> None:
    assert corner(by_hand(), 0, 1, 0, Fraction(1)).x == (-1, 1)


def test_a_radius_needs_a_right_answer_and_weights_that_fit() -> None:
    wrong = make([[0, -10], [10, 10]], [[-1], [2]], [6], [[-1, 1]])
    for call in (lambda: radius(wrong, 0, 0), lambda: coupled_radius(wrong, units(2), 0, 0, 0)):
        with pytest.raises(UserError, match="wrong there"):
            call()
    assert isinstance(robustness(wrong).verdict, Unknown)
    with pytest.raises(UserError, match="right on no input"):
        print(robustness(wrong).smallest_at)
    with pytest.raises(UserError, match="62 bits"):
        robustness(make([[0], [1 << 20]], [[1 << 20]], [0], [[-1, 1]]))
    with pytest.raises(ValueError, match="wrong"):
        Radius(Fraction(1), Fraction(1), "by mistake")


def test_where_no_direction_is_shared_the_coupled_radius_is_the_exact_one() -> None:
    for a, b in ((0, 0), (0, 1), (1, 1)):
        exact, found = radius(by_hand(), a, b), coupled_radius(by_hand(), units(2), a, b, 0)
        assert found.radius.upper is not None
        assert found.separable <= found.radius.lower <= exact.lower + GRID
        assert exact.lower < found.radius.upper
        assert abs(found.separable - exact.lower) <= Fraction(1, 1 << COUPLED_BITS)
        assert found.radius.upper <= exact.lower * (1 + Fraction(1, CLOSE)) + Fraction(1, 1 << COUPLED_BITS)


def test_what_moves_two_units_together_cancels() -> None:
    """relu(x) - relu(y) with x = y always: no radius breaks it, but unit by unit one seems to."""
    net = make([[1, 1], [0, 0]], [[1], [-1]], [1], [[1, -1]])
    space = Subspace(*([np.array([[1 << PUSH_BITS] * 2])] * 2))
    found = coupled_radius(net, space, 0, 0, 0)
    assert found.radius.upper is None
    assert found.attack is None
    assert found.separable < found.radius.lower


def shared(seed: int) -> tuple[ExactNet, Subspace]:
    """A random net and two random directions that all four units share."""
    return at_random(seed), Subspace(*([np.random.default_rng(seed).integers(-64, 65, (2, 4))] * 2))


def test_between_the_bounds_nothing_changes_and_at_the_upper_one_the_attack_replays() -> None:
    rng = np.random.default_rng(0)
    attacked, trees = 0, 0
    for seed in range(12):
        net, space = shared(seed)
        for a, b in np.argwhere(net.answers == net.sums()).tolist():
            found, s = coupled_radius(net, space, a, b, 0), (a + b) % 3
            assert found.separable <= found.by_tree == found.radius.lower
            trees += found.tree is not None
            if found.attack is not None:
                attacked += 1
                assert found.attack.got != s
                assert found.radius.upper is not None
                assert found.radius.lower < found.radius.upper
            for _ in range(20):
                t = [found.radius.lower * Fraction(int(v), 8) for v in rng.integers(-8, 9, 2)]
                x = [sum((v * int(w) for v, w in zip(t, row, strict=True)), Fraction(0)) / 64 for row in space.left.T]
                assert replay(net, a, b, x, x).got == s
    assert min(attacked, trees) > 10


def test_every_tree_that_is_grown_closes_again() -> None:
    grown = 0
    for seed in range(12):
        net, space = shared(seed)
        for a, b in np.argwhere(net.answers == net.sums()).tolist():
            question = Question.of(net, space, a, b)
            for bound in range(1 << 14, 1 << 18, 1 << 14):
                tree = question.tree(bound, 64)
                grown += tree is not None and len(tree) > 1
                assert tree is None or question.closes(bound, tree)
    assert grown > 20


def test_a_tree_that_was_tampered_with_does_not_close() -> None:
    net, space = shared(4)
    question, found = Question.of(net, space, 2, 0), coupled_radius(net, space, 2, 0, 0)
    assert found.tree is not None
    assert found.radius.upper is not None
    assert found.tree.count(LEAF) > 1
    bound = int(found.by_tree * (1 << COUPLED_BITS))
    assert question.closes(bound, found.tree)
    assert not question.closes(int(found.radius.upper * (1 << COUPLED_BITS)), found.tree)
    for tree in ((), (LEAF,), found.tree[:-1], (*found.tree, LEAF), (99, *found.tree[1:]), (-2, *found.tree[1:])):
        assert not question.closes(bound, tree)


def test_z3_closes_what_one_box_leaves_open_and_finds_a_model_at_the_attack() -> None:
    net, space = shared(4)
    one_box = coupled_radius(net, space, 2, 0, 0, leaves=1)
    asked = coupled_radius(net, space, 2, 0, 30, leaves=1)
    assert asked.radius.how == "Z3"
    assert asked.radius.upper is not None
    assert asked.radius.lower > one_box.radius.lower
    assert asked.radius.lower >= asked.radius.upper * (1 - Fraction(1, CLOSE // 2))
    question = Question.of(net, space, 2, 0)
    bounds = [int(r * (1 << COUPLED_BITS)) for r in (asked.radius.lower, asked.radius.upper)]
    said = [
        discharge([question.obligation(bound, "test")], Budget.of(30), lambda _: None)[0].result for bound in bounds
    ]
    assert said == ["unsat", "sat"]


def test_fourier_directions_have_unit_size_and_untied_tables_have_their_own() -> None:
    tied, untied = fourier_subspace(built(7), 2), fourier_subspace(built(7, -1), 2)
    assert tied.left.shape == (4, built(7).left.shape[1])
    assert tied.left is tied.right
    assert np.allclose(np.sqrt((tied.left.astype(float) ** 2).mean(1)) / (1 << PUSH_BITS), 1, atol=0.01)
    assert untied.left.shape == (8, built(7, -1).left.shape[1])
    assert not (untied.left.any(1) & untied.right.any(1)).any()
