"""The Z3 encodings: which formulas have to be unsatisfiable for which claim.

Program = arithmetic, over all a, b, c in 0..p-1:
    turn/k   ((k (a +- b)) mod p - k c) mod p = k ((a +- b - c) mod p) mod p, in linear integer arithmetic
    votes    score(a, b, (a +- b) mod p) > score(a, b, c) for every other c, in bit-vectors

Student = arithmetic, with s = (a +- b) mod p, tables Y_i(s) and tolerances eps_i (found by `relax`, trusted by no one):
    feature/i   |feature_i(a, b) - Y_i(s)| <= eps_i for every pair outside a list of exceptions, in bit-vectors
    margin      logit_s > logit_c for every s, every other c and every feature vector that close to Y(s)
    pairs/j     the excepted pairs, evaluated one by one by the solver
The three together cover every pair; a and b are symbolic in all but the last, which is empty for a well-made student.

Bit-vectors never overflow: all values are kept non-negative (positive and negative weights are summed apart), and each
width comes from an upper bound in Python integers over the actual tables.
"""

from __future__ import annotations

from collections.abc import Sequence

from verify.exact_net import ExactNet
from verify.programs import Program
from verify.relax import Relaxation
from verify.smt import Obligation, bits, extend, fold, integer, narrow, script, table, width

PAIRS_PER_OBLIGATION = 800


def program_obligations(program: Program) -> list[Obligation]:
    """The formulas that close "the program equals (a +- b) mod p on every input"."""
    turns = [_turn(program, k) for k in program.frequencies]
    return [*turns, _votes(program)]


def student_obligations(net: ExactNet, relaxation: Relaxation) -> list[Obligation]:
    """The formulas that close "the student's unique largest logit is (a +- b) mod p on every input"."""
    _check_witness(net, relaxation)
    exceptions = list(relaxation.exceptions)
    whole = covers(net, relaxation)
    symbolic = [] if whole else [feature_obligation(net, relaxation, i) for i in range(net.offset.size)]
    symbolic += [] if whole else [margin_obligation(net, relaxation)]
    chunks = [exceptions[i : i + PAIRS_PER_OBLIGATION] for i in range(0, len(exceptions), PAIRS_PER_OBLIGATION)]
    return [*symbolic, *(pairs_obligation(net, chunk, j) for j, chunk in enumerate(chunks))]


def covers(net: ExactNet, relaxation: Relaxation) -> bool:
    """The exceptions are the whole domain, so that no symbolic obligation is needed."""
    return set(relaxation.exceptions) >= set(net.domain)


def _check_witness(net: ExactNet, relaxation: Relaxation) -> None:
    """A witness with a missing row or a negative tolerance would make an obligation vacuous."""
    features = net.offset.size
    rows = len(relaxation.targets) == net.p and all(len(row) == features for row in relaxation.targets)
    if not rows or len(relaxation.eps) != features or min(relaxation.eps) < 0:
        raise ValueError(
            f"relaxation = {len(relaxation.targets)} rows, eps {relaxation.eps}: not a witness for this net"
        )


def _sum_term(p: int, sign: int, a: str, b: str, size: int) -> str:
    """(a +- b) mod p for a, b < p by one conditional subtraction; `size` bits hold p - 1."""
    wide = size + 1  # a + b and a + p - b are at most 2p - 1 < 2^(size + 1)
    a, b, modulus = extend(a, size, wide), extend(b, size, wide), bits(p, wide)
    total = f"(bvadd {a} {b})" if sign == 1 else f"(bvsub (bvadd {a} {modulus}) {b})"
    return f"(let ((t {total})) ((_ extract {size - 1} 0) (ite (bvuge t {modulus}) (bvsub t {modulus}) t)))"


def _residue(name: str, p: int, size: int) -> list[str]:
    declared = [f"(declare-const {name} (_ BitVec {size}))"]
    return declared + ([f"(assert (bvult {name} {bits(p, size)}))"] if p < 1 << size else [])


def _turn(program: Program, k: int) -> Obligation:
    p, b = program.p, "b" if program.sign == 1 else "(- b)"
    sentence = f"frequency {k}: turning by k a, k b and back by k c lands where turning by k (a +- b - c) does, mod {p}"
    lines = [
        *(line for x in "abc" for line in (f"(declare-const {x} Int)", f"(assert (<= 0 {x} {p - 1}))")),
        f"(define-fun angle () Int (mod (* {k} (+ a {b})) {p}))",
        f"(define-fun place () Int (mod (+ a {b} (- c)) {p}))",
        f"(assert (not (= (mod (- angle (* {k} c)) {p}) (mod (* {k} place) {p}))))",
    ]
    return Obligation(f"program-turn-{k}", sentence, script("QF_LIA", sentence, lines))


def _votes(program: Program) -> Obligation:
    p, size = program.p, width(program.p - 1)
    low = min(program.cosine)
    entries = [v - low for v in program.cosine]  # the same shift for every c: it cancels in the comparison
    entry = width(max(entries))
    # Negative amplitudes would leave the non-negative range: they vote with the mirrored table instead.
    mirrored = [max(entries) - v for v in entries]
    total = width(sum(abs(v) for v in program.amplitudes) * max(entries))
    index = width(max(p, max(program.frequencies) * (p - 1)))
    votes = []
    for k, amplitude in zip(program.frequencies, program.amplitudes, strict=True):
        product = f"(bvmul {extend('place', size, max(index, size))} {bits(k, max(index, size))})"
        place = narrow(f"(bvurem {product} {bits(p, max(index, size))})", max(index, size), size)
        look = f"({'cosine' if amplitude >= 0 else 'mirrored'} {place})"
        votes.append(f"(bvmul {extend(look, entry, total)} {bits(abs(amplitude), total)})")
    minus = _sum_term(p, -1, "s", "c", size)
    sentence = f"the vote for (a +- b) mod {p} is larger than the vote for every other c"
    lines = [
        table("cosine", entries, size, entry),
        table("mirrored", mirrored, size, entry),
        f"(define-fun score ((place (_ BitVec {size}))) (_ BitVec {total})\n  {fold('bvadd', votes, bits(0, total))})",
        *(line for name in "abc" for line in _residue(name, p, size)),
        f"(define-fun s () (_ BitVec {size}) {_sum_term(p, program.sign, 'a', 'b', size)})",
        "(assert (not (= c s)))",
        f"(assert (bvuge (score {minus}) (score {_sum_term(p, -1, 's', 's', size)})))",
    ]
    return Obligation("program-votes", sentence, script("QF_BV", sentence, lines))


def feature_obligation(net: ExactNet, relaxation: Relaxation, i: int) -> Obligation:
    """Satisfiable iff some pair that is not excepted has |feature_i(a, b) - Y_i(s)| > eps_i."""
    p, size, eps = net.p, width(net.p - 1), relaxation.eps[i]
    lines: list[str] = []
    positive: list[tuple[str, int, int, int]] = []
    negative: list[tuple[str, int, int, int]] = []
    for j in range(net.left.shape[1]):
        weight = int(net.mix[j, i])
        if weight:
            definition, unit_width, largest = _hidden(net, j)
            if not largest:
                continue  # never above 0, so that its weight never counts
            lines += definition
            (positive if weight > 0 else negative).append((f"h{j}", unit_width, abs(weight), largest))
    offset, targets = int(net.offset[i]), [row[i] for row in relaxation.targets]
    lift = max(0, -min(targets))  # added to both sides, so that the target is non-negative
    target_width = width(max(targets) + lift)
    plus, minus = max(offset, 0) + lift, max(-offset, 0)
    most = plus + sum(w * top for _, _, w, top in positive)
    most_negative = minus + sum(w * top for _, _, w, top in negative) + max(targets) + lift
    total = width(max(most, most_negative) + eps)

    def weigh(units: list[tuple[str, int, int, int]]) -> list[str]:
        return [f"(bvmul {extend(name, size_, total)} {bits(weight, total)})" for name, size_, weight, _ in units]

    target = extend("(target s)", target_width, total)
    symmetric = "; the tables are tied and + is symmetric: a <= b is every case"
    sentence = f"feature {i} is within {eps} of its target for every a, b in 0..{p - 1}"
    lines = [
        *_residue("a", p, size),
        *_residue("b", p, size),
        *([symmetric, "(assert (bvule a b))"] if net.symmetric else []),
        *(f"(assert (not (and (= a {bits(a, size)}) (= b {bits(b, size)}))))" for a, b in relaxation.exceptions),
        *lines,
        table("target", [t + lift for t in targets], size, target_width),
        f"(define-fun s () (_ BitVec {size}) {_sum_term(p, net.sign, 'a', 'b', size)})",
        f"(define-fun above () (_ BitVec {total}) {fold('bvadd', [bits(plus, total), *weigh(positive)], '')})",
        f"(define-fun below () (_ BitVec {total})\n"
        f"  {fold('bvadd', [bits(minus, total), *weigh(negative), target], '')})",
        f"(assert (or (bvugt above (bvadd below {bits(eps, total)})) (bvugt below (bvadd above {bits(eps, total)}))))",
    ]
    return Obligation(f"student-feature-{i}", sentence, script("QF_BV", sentence, lines))


def _hidden(net: ExactNet, j: int) -> tuple[list[str], int, int]:
    """Hidden unit j, relu(left[a, j] + right[b, j]), as `h{j}`: its definition, its width, its largest value."""
    size = width(net.p - 1)
    left, right = [int(v) for v in net.left[:, j]], [int(v) for v in net.right[:, j]]
    low_left, low_right = min(left), min(right)
    left, right = [v - low_left for v in left], [v - low_right for v in right]
    threshold = -(low_left + low_right)  # relu(x) with x = l + r - threshold, l and r non-negative
    top = max(left) + max(right)
    largest = max(0, top - threshold)
    wide = width(max(top, abs(threshold), largest))
    total = f"(bvadd (left{j} a) (right{j} b))"
    if threshold > 0:
        cut = bits(threshold, wide)
        value = f"(let ((t {total})) (ite (bvuge t {cut}) (bvsub t {cut}) {bits(0, wide)}))"
    else:
        value = f"(bvadd {total} {bits(-threshold, wide)})"
    unit = width(largest)
    lines = [
        table(f"left{j}", left, size, wide),
        table(f"right{j}", right, size, wide),
        f"(define-fun h{j} () (_ BitVec {unit}) {narrow(value, wide, unit)})",
    ]
    return lines, unit, largest


def _linear(weights: Sequence[int], names: Sequence[str], constant: int = 0) -> str:
    terms = [name if w == 1 else f"(* {integer(w)} {name})" for w, name in zip(weights, names, strict=True) if w]
    return fold("+", ([integer(constant)] if constant else []) + terms, "0")


def _beaten(net: ExactNet) -> str:
    """`(beaten s f0 f1 ...)`: with these features some c other than s has a logit at least as large as that of s."""
    features = [f"f{i}" for i in range(net.offset.size)]
    logits = [f"(l{c} {_linear([int(w) for w in net.readout[:, c]], features)})" for c in range(net.p)]
    best = f"l{net.p - 1}"
    for c in reversed(range(net.p - 1)):
        best = f"(ite (= s {c}) l{c} {best})"
    rivals = " ".join(f"(and (not (= s {c})) (>= l{c} best))" for c in range(net.p))
    arguments = " ".join(f"({f} Int)" for f in ["s", *features])
    newline = "\n        "
    return (
        f"(define-fun beaten ({arguments}) Bool\n  (let ({newline.join(logits)})\n"
        f"  (let ((best {best}))\n    (or {rivals}))))"
    )


def margin_obligation(net: ExactNet, relaxation: Relaxation) -> Obligation:
    """Satisfiable iff some s has features within eps of Y(s) whose read-out does not make s the unique largest."""
    sentence = f"features within tolerance of their targets make s the one largest logit, for every s in 0..{net.p - 1}"
    lines = [_beaten(net)]
    for i, eps in enumerate(relaxation.eps):
        lines += [f"(declare-const e{i} Int)", f"(assert (<= {integer(-eps)} e{i} {eps}))"]
    cases = [
        f"(beaten {s} {' '.join(f'(+ {integer(y)} e{i})' for i, y in enumerate(row))})"
        for s, row in enumerate(relaxation.targets)
    ]
    lines.append("(assert (or\n  " + "\n  ".join(cases) + "))")
    return Obligation("student-margin", sentence, script("QF_LIA", sentence, lines))


def pairs_obligation(net: ExactNet, pairs: Sequence[tuple[int, int]], number: int) -> Obligation:
    """Satisfiable iff one of these pairs gets a wrong answer or none; the solver evaluates the net on each."""
    units = range(net.left.shape[1])
    sentence = f"(a +- b) mod {net.p} is the one largest logit on {len(pairs)} pairs, each evaluated by the solver"
    features = [
        _linear([int(w) for w in net.mix[:, i]], [f"h{j}" for j in units], int(net.offset[i]))
        for i in range(net.offset.size)
    ]
    hidden = " ".join(f"(h{j} (ite (> x{j} 0) x{j} 0))" for j in units)
    lines = [
        _beaten(net),
        f"(define-fun wrong ((s Int) {' '.join(f'(x{j} Int)' for j in units)}) Bool\n"
        f"  (let ({hidden})\n    (beaten s {' '.join(features)})))",
    ]
    cases = []
    for a, b in pairs:
        sums = " ".join(f"(+ {integer(int(net.left[a, j]))} {integer(int(net.right[b, j]))})" for j in units)
        cases.append(f"; a = {a}, b = {b}\n  (wrong (mod (+ {a} {integer(net.sign * b)}) {net.p}) {sums})")
    lines.append("(assert (or false\n  " + "\n  ".join(cases) + "))")
    return Obligation(f"student-pairs-{number}", sentence, script("QF_LIA", sentence, lines))
