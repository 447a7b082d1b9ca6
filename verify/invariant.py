"""The proof by induction that a recurrent net follows a machine on streams of every length.

Regions are boxes of states, one for each state of the machine. The obligations are: the initial state lies in region
0; and for every region q, every pair (a, b) and every real-valued state in region q, the one largest logit is the
machine's answer and the next state lies in the region of the machine's next state. Together they are the base and the
step of an induction over the length of the stream.

Each obligation is tried by exact bounds over the whole region. What stays open goes to Z3, as linear real arithmetic in
which every ReLU is a case split; and since the checker runs no solver, a split tree is made of the same obligation:
halves of halves of the region, over each of which the bounds close. Without such a tree it counts as open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from pipeline.tasks.machine import Machine, Pair
from verify.bounds import GRID_BITS, Box, Layer, differences, rounding
from verify.recurrent_net import ExactWeights, Row
from verify.smt import Obligation, script
from verify.solver import Budget, Progress, discharge

BOUNDS, SOLVER = "bounds", "z3"
DEEPEST = 14
MOST_LEAVES = 512
ONE = 1 << GRID_BITS
SIDES = "0123456789abcdefghijklmnopqrstuvwxyz"
"""How a tree names a side; further ones are not split."""
Tree = str
"""A leaf is "."; a node is its side and its two subtrees, such as "0..": side 0 halved, both halves leaves."""


@dataclass(frozen=True)
class Step:
    """One obligation: region `region`, one pair, the machine's answer and next region."""

    region: int
    pair: Pair
    answer: int
    following: int

    @property
    def name(self) -> str:
        return f"region-{self.region}-pair-{self.pair[0]}-{self.pair[1]}"

    @property
    def sentence(self) -> str:
        a, b = self.pair
        return (
            f"from every state in region {self.region}, reading ({a}, {b}), the answer is {self.answer} and the next "
            f"state is in region {self.following}"
        )


@dataclass(frozen=True)
class Closed:
    """How an obligation was closed, or that it is open (`how` is empty, `reason` says why).

    `lead` is a lower bound of the answer's lead over the region, `room` of the distance of the next state from the
    borders of its region (borders at 0 and 1 are no limit: the clip holds them), both over 2^(2 bits + GRID_BITS).
    `float32` says whether lead and room exceed the rounding errors of float32 in any order of summation.
    """

    step: Step
    how: str
    tree: Tree = "."
    lead: int = 0
    room: int | None = None
    float32: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Invariant:
    """A machine, its regions, and every obligation of the induction with how it was closed."""

    machine: Machine
    regions: tuple[Box, ...]
    start_inside: bool
    closed: tuple[Closed, ...]
    asked: tuple[Obligation, ...] = ()

    @property
    def holds(self) -> bool:
        return self.start_inside and len(self.closed) > 0 and all(one.how for one in self.closed)

    @property
    def open(self) -> Closed | None:
        """The first obligation that is not closed."""
        return next((one for one in self.closed if not one.how), None)


def steps(machine: Machine) -> list[Step]:
    """Every obligation of the induction step."""
    return [
        Step(q, (a, b), machine.answers[q][a][b], machine.following[q][a][b])
        for q in range(machine.n_states)
        for a, b in machine.pairs
    ]


def try_bounds(net: ExactWeights, machine: Machine, regions: Sequence[Box]) -> Invariant:
    """Every obligation by bounds over its whole region; what they do not close is left open."""
    ahead = differences(net)
    closed = [_by_bounds(net, step, regions, ahead) for step in steps(machine)]
    return Invariant(machine, tuple(regions), _starts_inside(regions[0]), tuple(closed))


def ask_solver(net: ExactWeights, invariant: Invariant, budget: Budget, progress: Progress) -> Invariant:
    """What `try_bounds` left open, by Z3, and a split tree of each for the checker."""
    left = [one for one in invariant.closed if not one.how]
    obligations = [step_obligation(net, one.step, invariant.regions) for one in left]
    outcomes = discharge(obligations, budget, progress)
    ahead, regions = differences(net), invariant.regions
    answered: dict[Step, Closed] = {}
    for one, outcome in zip(left, outcomes, strict=True):
        if not outcome.closed:
            found = "a state of the region violates it" if outcome.result == "sat" else outcome.reason
            answered[one.step] = Closed(one.step, "", reason=f"{one.step.name}: {found}")
            continue
        split = _split(net, one.step, regions, ahead)
        if split is None:
            reason = f"{one.step.name}: Z3 closed it, but no tree of {MOST_LEAVES} halvings that the checker can check"
            answered[one.step] = Closed(one.step, "", reason=reason)
        else:
            answered[one.step] = split
    closed = tuple(answered.get(one.step, one) for one in invariant.closed)
    return Invariant(invariant.machine, regions, invariant.start_inside, closed, tuple(obligations))


def _starts_inside(box: Box) -> bool:
    return all(low <= 0 <= high for low, high in zip(box.low, box.high, strict=True))


Differences = dict[tuple[int, int], tuple[Row, int]]


def _by_bounds(net: ExactWeights, step: Step, regions: Sequence[Box], ahead: Differences) -> Closed:
    return _over(net, step, regions[step.region], regions[step.following], ahead)


def _over(net: ExactWeights, step: Step, box: Box, target: Box, ahead: Differences) -> Closed:
    """The obligation over a box by bounds alone."""
    layer = Layer.of(net, box, *step.pair)
    others = [other for other in range(len(net.unembed)) if other != step.answer]
    lead = min(layer.least(net, *ahead[step.answer, other]) for other in others)
    room: int | None = None
    shift = 2 * net.bits
    for j, (weights, bias) in enumerate(zip(net.state_out, net.state_bias, strict=True)):
        rooms = []
        if target.low[j] > 0:
            rooms.append(layer.least(net, weights, bias) - (target.low[j] << shift))
        if target.high[j] < ONE:
            rooms.append((target.high[j] << shift) + layer.least(net, [-w for w in weights], -bias))
        room = min([*rooms, *([] if room is None else [room])], default=None)
    logit_error, state_error = rounding(net, box, *step.pair)
    float32 = lead > 2 * logit_error and (room is None or room > state_error)
    if lead > 0 and (room is None or room >= 0):
        return Closed(step, BOUNDS, ".", lead, room, float32)
    what = "the answer's lead" if lead <= 0 else "the next state"
    return Closed(step, "", reason=f"{step.name}: {what} is not certain by bounds")


def _split(net: ExactWeights, step: Step, regions: Sequence[Box], ahead: Differences) -> Closed | None:
    """A split tree over whose leaves the bounds close; None where MOST_LEAVES or DEEPEST do not suffice."""
    leaves: list[Closed] = []
    target = regions[step.following]

    def tree(box: Box, depth: int) -> Tree | None:
        here = _over(net, step, box, target, ahead)
        if here.how:
            leaves.append(here)
            return "."
        if depth == DEEPEST or len(leaves) >= MOST_LEAVES:
            return None
        side = _best_side(net, box, step.pair)
        if side >= len(SIDES) or box.high[side] - box.low[side] < 2:
            return None
        parts = []
        for half in box.halves(side):
            part = tree(half, depth + 1)
            if part is None:
                return None
            parts.append(part)
        return f"{SIDES[side]}{parts[0]}{parts[1]}"

    found = tree(regions[step.region], 0)
    if found is None or len(leaves) > MOST_LEAVES:
        return None
    rooms = [leaf.room for leaf in leaves if leaf.room is not None]
    lead = min(leaf.lead for leaf in leaves)
    return Closed(step, SOLVER, found, lead, min(rooms, default=None), all(leaf.float32 for leaf in leaves))


def _best_side(net: ExactWeights, box: Box, pair: Pair) -> int:
    """The side that moves the open units most."""
    layer = Layer.of(net, box, *pair)
    moved = [0] * len(box.low)
    for low, high, row in zip(layer.low, layer.high, net.state_in, strict=True):
        if low < 0 < high:
            for j, w in enumerate(row):
                moved[j] += abs(w) * (box.high[j] - box.low[j])
    return max(range(len(moved)), key=moved.__getitem__) if any(moved) else box.widest


def step_obligation(net: ExactWeights, step: Step, regions: Sequence[Box]) -> Obligation:
    """The negation of one obligation: unsatisfiable iff the step holds for every real-valued state of the region."""
    lines = [*state_lines(net, regions[step.region]), *_outputs(net), *pair_lines(net, step, regions)]
    return Obligation(step.name, step.sentence, script("QF_LRA", step.sentence, lines))


def region_text(net: ExactWeights, steps_of_region: Sequence[Step], regions: Sequence[Box]) -> str:
    """All obligations of one region in one file; every (check-sat) in it must say unsat."""
    region = steps_of_region[0].region
    lines = [
        f"; region {region}: every (check-sat) must say unsat",
        "(set-logic QF_LRA)",
        *state_lines(net, regions[region]),
        *_outputs(net),
    ]
    for step in steps_of_region:
        lines += ["(push 1)", f"; {step.sentence}", *pair_lines(net, step, regions), "(check-sat)", "(pop 1)"]
    return "\n".join([*lines, ""])


def state_lines(net: ExactWeights, box: Box) -> list[str]:
    """The state s over 2^g in its box, the part v of the pre-activations that it makes, and relu."""
    lines = [f"; states are times 2^{GRID_BITS}, weights times 2^{net.bits}"]
    for j, (low, high) in enumerate(zip(box.low, box.high, strict=True)):
        lines += [f"(declare-const s{j} Real)", f"(assert (<= {real(low)} s{j} {real(high)}))"]
    for i, row in enumerate(net.state_in):
        lines.append(f"(define-fun v{i} () Real {linear([*row], [f's{j}' for j in range(len(row))], 0)})")
    lines.append("(define-fun relu ((x Real)) Real (ite (<= x 0.0) 0.0 x))")
    return lines


def _outputs(net: ExactWeights) -> list[str]:
    """Hidden values h, logits o and unclipped next states y."""
    hidden = [f"h{i}" for i in range(len(net.state_in))]
    shift = net.bits + GRID_BITS
    lines = [f"(declare-const {name} Real)" for name in hidden]
    for prefix, rows, biases in (("o", net.unembed, net.unembed_bias), ("y", net.state_out, net.state_bias)):
        for i, (row, bias) in enumerate(zip(rows, biases, strict=True)):
            lines.append(f"(define-fun {prefix}{i} () Real {linear([*row], hidden, bias << shift)})")
    return lines


def pair_lines(net: ExactWeights, step: Step, regions: Sequence[Box]) -> list[str]:
    """The hidden layer for one pair, and that some other logit is as large or the next state lies outside."""
    a, b = step.pair
    lines = []
    for i, (x, y) in enumerate(zip(net.left[a], net.right[b], strict=True)):
        lines.append(f"(assert (= h{i} (relu (+ v{i} {real((x + y) << GRID_BITS)}))))")
    wrong = [f"(<= o{step.answer} o{other})" for other in range(len(net.unembed)) if other != step.answer]
    target, shift = regions[step.following], 2 * net.bits
    for j, (low, high) in enumerate(zip(target.low, target.high, strict=True)):
        wrong += [f"(< y{j} {real(low << shift)})"] if low > 0 else []
        wrong += [f"(> y{j} {real(high << shift)})"] if high < ONE else []
    lines.append(f"(assert (or {' '.join(wrong)}))")
    return lines


def linear(weights: Sequence[int], names: Sequence[str], constant: int) -> str:
    terms = [f"(* {real(w)} {name})" for w, name in zip(weights, names, strict=True) if w]
    return f"(+ {' '.join(terms)} {real(constant)})" if terms else real(constant)


def real(value: int) -> str:
    return f"{value}.0" if value >= 0 else f"(- {-value}.0)"


def exact_lead(net: ExactWeights, invariant: Invariant) -> Fraction:
    """The least lead of a right answer over every region and pair."""
    return Fraction(min(one.lead for one in invariant.closed), 1 << (2 * net.bits + GRID_BITS))
