"""The radius for perturbations along directions that all units share: bounds, a tree of halvings, then Z3.

    x = sum_g t_g left_g,  y = sum_g t_g right_g,  |t_g| <= r          x, y added to the rows of a and of b

Here the pre-activations move together, and the least lead over the box is no longer a sum of its units' least values.
Units that are on stay linear in t; one that is open has a line below it or above it, as its vote asks:

    relu(z) >= z or 0         relu(z) <= u z + max(-u low, (1 - u) high)      u = high / (high - low), rounded down

Where the bound over the whole box is not enough, the box is halved; where the tree grows too large, Z3 is asked with a
case split for every open unit. From the other side comes `attack.descend`. All but its search is in integers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from pipeline.errors import UserError
from verify.attack import Perturbation, descend, replay
from verify.exact_net import ExactNet, Ints
from verify.robust import Radius, cap, composite
from verify.smt import Obligation, fold, integer, script
from verify.solver import Budget, discharge
from verify.subspace import PUSH_BITS, Subspace

BITS = 16
"""Radii are multiples of 2^-BITS."""
SLOPE_BITS = 6
LEAF = -1
MOST_LEAVES = 512
STARTS, MANY_STARTS = 12, 300
CLOSE = 200
"""The search ends where proved and attacked radius are within one part in CLOSE."""
_UNIT = BITS + PUSH_BITS

Tree = tuple[int, ...]
"""The halvings from the top, depth first: the side that is halved, or LEAF."""


@dataclass(frozen=True, eq=False)
class Question:
    """Does every lead over a rival stay positive? Pre-activations over 2^_UNIT, t over 2^BITS, rivals alone."""

    before: Ints
    push: Ints
    votes: Ints
    base: Ints

    @classmethod
    def of(cls, net: ExactNet, space: Subspace, a: int, b: int) -> Question:
        s = (a + net.sign * b) % net.p
        reach = int((abs(space.push).sum(0).max() * furthest(net)) >> _UNIT) + 1
        votes, base = composite(net, _UNIT + SLOPE_BITS + 1, reach)
        rivals = np.arange(net.p) != s
        leads, constant = (votes[:, [s]] - votes)[:, rivals], (base[s] - base)[rivals]
        return cls((net.left[a] + net.right[b]) << _UNIT, space.push, leads, constant << _UNIT)

    def separable(self, bound: int) -> bool:
        """By every unit's least value over |t| <= bound, the units apart."""
        reach = abs(self.push).sum(0) * bound
        low, high = np.maximum(self.before - reach, 0), np.maximum(self.before + reach, 0)
        least = self.base + low @ np.maximum(self.votes, 0) + high @ np.minimum(self.votes, 0)
        return bool(least.min() > 0)

    def least(self, low: Ints, high: Ints, rivals: Ints) -> tuple[Ints, Ints]:
        """Lower bounds of the leads over these rivals, over the box, and how much each unit is open there."""
        up, down = np.maximum(self.push, 0), np.minimum(self.push, 0)
        least = self.before + low @ up + high @ down
        most = self.before + high @ up + low @ down
        is_open = (least < 0) & (most > 0)
        one = 1 << SLOPE_BITS
        below = np.where((least >= 0) | (is_open & (most > -least)), one, 0)
        above = np.where(is_open, (most << SLOPE_BITS) // np.maximum(most - least, 1), below)
        rest = np.where(is_open, np.maximum(-above * least, (one - above) * most), 0)
        votes, against = np.maximum(self.votes[:, rivals], 0).T, np.minimum(self.votes[:, rivals], 0).T
        slopes = votes * below + against * above
        constant = (self.base[rivals] << SLOPE_BITS) + slopes @ self.before + against @ rest
        pull = slopes @ self.push.T
        return constant + np.minimum(pull * low, pull * high).sum(1), np.where(is_open, np.minimum(most, -least), 0)

    def tree(self, bound: int, leaves: int) -> Tree | None:
        """A tree over whose leaves the bounds close, None where more leaves would be needed."""
        side = np.full(len(self.push), bound, dtype=np.int64)
        stack, sides, closed = [(-side, side, np.arange(len(self.base)))], [], 0
        while stack:
            low, high, rivals = stack.pop()
            leads, gap = self.least(low, high, rivals)
            rivals = rivals[leads <= 0]
            if not len(rivals):
                sides.append(LEAF)
                closed += 1
                continue
            if closed + len(stack) + 2 > leaves:
                return None
            weight = abs(self.votes[:, rivals]).max(1) * (gap > 0)
            sides.append(int(((abs(self.push) @ weight) * (high - low)).argmax()))
            stack += [(*box, rivals) for box in reversed(_halves(low, high, sides[-1]))]
        return tuple(sides)

    def closes(self, bound: int, tree: Tree) -> bool:
        """Replays a tree from the top: over every leaf's path each rival is bounded, and nothing is left over.

        A rival that is bounded over a box is so over its halves, where a bound taken anew can be looser.
        """
        side = np.full(len(self.push), bound, dtype=np.int64)
        stack = [(-side, side, np.arange(len(self.base)))]
        for cut in tree:
            if not stack or not (cut == LEAF or 0 <= cut < len(side)):
                return False
            low, high, rivals = stack.pop()
            rivals = rivals[self.least(low, high, rivals)[0] <= 0]
            if cut != LEAF:
                stack += [(*box, rivals) for box in reversed(_halves(low, high, cut))]
            elif len(rivals):
                return False
        return not stack

    def attack(self, bound: int, given: Ints, starts: int) -> Ints | None:
        """`attack.descend` for this question, from what is given and as many random starts."""
        return descend(self.before, self.push, self.votes, self.base, bound, given, starts)

    def obligation(self, bound: int, name: str) -> Obligation:
        """Satisfiable iff some t within the bound gives some rival at least the answer's logit; all rivals."""
        sentence = f"{name}: no |t| <= {bound} / 2^{BITS} gives a rival a logit as large as the answer's"
        t = [f"t{g}" for g in range(len(self.push))]
        lines = [f"(declare-const {v} Real)\n(assert (<= {integer(-bound)} {v} {bound}))" for v in t]
        reach = abs(self.push).sum(0) * bound
        for j, (constant, slopes) in enumerate(zip(self.before.tolist(), self.push.T.tolist(), strict=True)):
            line = fold(
                "+", [integer(constant), *(f"(* {integer(w)} {v})" for w, v in zip(slopes, t, strict=True))], ""
            )
            value = line if constant >= reach[j] else "0" if constant <= -reach[j] else f"(ite (> z{j} 0) z{j} 0)"
            lines += [f"(define-fun z{j} () Real {line})", f"(define-fun h{j} () Real {value})"]
        leads = []
        for votes, base in zip(self.votes.T.tolist(), self.base.tolist(), strict=True):
            terms = [f"(* {integer(w)} h{j})" for j, w in enumerate(votes) if w]
            leads.append(f"(<= {fold('+', [integer(base), *terms], '')} 0)")
        return Obligation(
            name, sentence, script("QF_LRA", sentence, [*lines, f"(assert {fold('or', leads, 'false')})"])
        )


@dataclass(frozen=True)
class CoupledRadius:
    """One input's radius, what each kind of evidence proves of it, and the attack that bounds it from above.

    separable: by interval bounds; by_tree: by them or by `tree`, which is None where they do as well.
    """

    radius: Radius
    separable: Fraction
    by_tree: Fraction
    tree: Tree | None
    attack: Perturbation | None


def furthest(net: ExactNet) -> int:
    """The largest t that is looked at, over 2^BITS: a quarter of the largest pre-activation."""
    return cap(net) << (BITS - 2)


def coupled_radius(
    net: ExactNet, space: Subspace, a: int, b: int, seconds: float, leaves: int = MOST_LEAVES
) -> CoupledRadius:
    """Lower bounds from the weakest evidence up, the upper bound by attack; Z3 gets `seconds`, with 0 it is not asked.

    Raises UserError where the student is wrong, or too large for 64-bit integers.
    """
    if net.answers[a, b] != (a + net.sign * b) % net.p:
        raise UserError(f"a, b = {a}, {b}: the student is wrong there, give an input on which it is right")
    question = Question.of(net, space, a, b)
    separable = _last(question.separable, 0, furthest(net) + 1)
    t = _attacked(question, separable, furthest(net))
    t = None if t is None else _nearer(question, separable, t, STARTS)
    how, tree, low, high = "interval bounds", None, separable, furthest(net) + 1 if t is None else _size(t)
    while high - low > 1 + low // CLOSE:
        middle = (low + high) // 2
        grown = question.tree(middle, leaves)
        if grown is not None and question.closes(middle, grown):
            low, tree, how = middle, grown, f"tree of {grown.count(LEAF)} boxes"
        else:
            high = middle
    if t is not None and _size(t) - low > 2 + 2 * low // CLOSE:
        t = _nearer(question, low, t, MANY_STARTS)
    found = None if t is None else _size(t)
    proved = low if found is None or not seconds else _asked(question, low, found, Budget.of(seconds))
    attack = None if t is None else replay(net, a, b, *(_rationals(t @ part) for part in (space.left, space.right)))
    upper = None if found is None else Fraction(found, 1 << BITS)
    radius = Radius(Fraction(proved, 1 << BITS), upper, "Z3" if proved > low else how)
    return CoupledRadius(radius, Fraction(separable, 1 << BITS), Fraction(low, 1 << BITS), tree, attack)


def _asked(question: Question, proved: int, found: int, budget: Budget) -> int:
    """The largest bound that Z3 closes in its time; first one that is almost the attacked one."""
    high, ask = found, found - max(1, found // CLOSE)
    while high - proved > 1 + proved // CLOSE:
        if discharge([question.obligation(ask, "radius")], budget, lambda _: None, 1)[0].closed:
            proved = ask
        elif budget.left < 0.01:
            break
        else:
            high = ask
        ask = (proved + high) // 2
    return proved


def _attacked(question: Question, proved: int, most: int) -> Ints | None:
    """An attack, by doubling the bound from what is proved; None where the search finds none."""
    bound, found, nowhere = max(1, proved), None, np.zeros((0, len(question.push)), dtype=np.int64)
    while bound < most and found is None:
        bound = min(most, 2 * bound)
        found = question.attack(bound, nowhere, STARTS)
    return found


def _nearer(question: Question, low: int, found: Ints, starts: int) -> Ints:
    """A smaller attack above `low`, by bisection; the one that is there where the search finds no other."""
    while _size(found) - low > 1 + low // (4 * CLOSE):
        middle = (low + _size(found)) // 2
        attack = question.attack(middle, found[None], starts)
        low, found = (middle, found) if attack is None else (low, attack)
    return found


def _size(t: Ints) -> int:
    return int(abs(t).max())


def _last(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The largest k in [low, high) with holds(k), which is true at `low` and falls with k."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _halves(low: Ints, high: Ints, side: int) -> tuple[tuple[Ints, Ints], tuple[Ints, Ints]]:
    """The two halves of one side; they share their border."""
    middle = (low[side] + high[side]) // 2
    upper, lower = high.copy(), low.copy()
    upper[side] = lower[side] = middle
    return (low, upper), (lower, high)


def _rationals(values: Ints) -> list[Fraction]:
    return [Fraction(v, 1 << _UNIT) for v in values.tolist()]
