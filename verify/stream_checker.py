"""Checks a certificate "invariant for all lengths" on its own: one file, standard library only.

    python verify/stream_checker.py certificate.json --net snapshot.safetensors [--program program.py]

It trusts nothing that the certificate says of the net. From the bytes of the weights it recomputes, in exact
arithmetic, that region 0 holds the initial state and that over every leaf of the split tree of every region and pair
the answer of the machine leads and the next state lies in the next region; the float32 claim with room for every
rounding error. For addition it checks that answers, carries and base fit together in every state, from which the
theorem follows by induction; another task's reference machine it takes from the certificate, and says so. Exit
status: 0 accepted, 1 rejected, 64 bad usage.
"""

import argparse
import ast
import hashlib
import json
import re
import struct
import sys
from fractions import Fraction
from pathlib import Path

SCHEMA = "catapult-invariant-1"
MACHINE, NET, FLOAT = "machine equals task", "net equals machine", "float32 net equals machine"
SENTENCES = {
    MACHINE: "for streams of every length, the machine's answer at every step is that of {task}",
    NET: "for streams of every length, the net's one largest logit at every step, in exact arithmetic over its stored "
    "weights, is the machine's answer",
    FLOAT: "for streams of every length, the net's one largest logit at every step, evaluated in float32 in any order "
    "of summation, is the machine's answer",
}
INDUCTION = "induction over the length: invariant regions, one for each state of the machine"
METHODS = {
    MACHINE: (
        "Z3 and induction: the value of the answers plus carry times base^n is the sum of the values",
        "Z3 and induction: every pair of states that is reached together gives the same answers",
    ),
    NET: (INDUCTION,),
    FLOAT: (INDUCTION + ", with room for every rounding error",),
}
WHOLE = {"method": "task = machine = net, in exact arithmetic and in float32", "verdict": "Proved"}
KEYS = {"carries", "claims", "files", "grid_bits", "machine", "net", "obligations", "reference", "regions", "schema"}
KEYS |= {"solver", "steps", "task", "verdict"}
MOST_BYTES, MOST_SIZE, LONGEST_STREAM, DEEPEST, GRID_BITS = 1 << 26, 1 << 20, 1000, 64, 20
ONE, MOST_BITS = 1 << GRID_BITS, 256
MOST_STATES, MOST_WEIGHTS, MOST_TREE = 64, 1 << 18, 2048
PROGRAM = (ast.Expr, ast.Import, ast.Assign, ast.FunctionDef, ast.If)  # what a program has at its top
LARGEST = 1 << 40  # far from float32's overflow


class Rejected(Exception):
    """Why the certificate is not accepted."""


def need(condition, reason):
    if not condition:
        raise Rejected(reason)


def no_duplicates(pairs):
    need(len({key for key, _ in pairs}) == len(pairs), "JSON: a key is there twice")
    return dict(pairs)


def no_constant(name):
    raise Rejected(f"JSON: {name} is no number")


def parse(text):
    return json.loads(text, object_pairs_hook=no_duplicates, parse_constant=no_constant)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def read(path):
    path = Path(path)
    need(path.is_file() and path.stat().st_size <= MOST_BYTES, f"{path.name}: no file of at most {MOST_BYTES} bytes")
    return path.read_bytes()


def is_int(value, low, high):
    return type(value) is int and low <= value < high


def read_net(data):
    """Header, task and exact weights from the bytes of a snapshot."""
    start = 8 + struct.unpack("<Q", data[:8])[0]
    header = parse(data[8:start])
    meta, tensors, left = header.pop("__metadata__"), {}, MOST_WEIGHTS
    need(meta["format"] == "catapult-snapshot-1", "net: not a snapshot")
    shape, task = parse(meta["net"]), parse(meta["task"])
    need(shape["kind"] == "recurrent" and type(shape["tied"]) is bool, "net: not a recurrent net")
    for name, entry in header.items():
        sizes, (low, high) = entry["shape"], entry["data_offsets"]
        need(entry["dtype"] == "F32" and len(sizes) in (1, 2), f"net: {name} is no float32 tensor")
        need(all(is_int(size, 1, MOST_SIZE) for size in sizes), f"net: {name} has shape {sizes}")
        count = sizes[0] * (sizes[1] if len(sizes) == 2 else 1)
        left -= count
        need(left >= 0, f"net: more than {MOST_WEIGHTS} weights")
        need(0 <= low <= high == low + 4 * count and start + high <= len(data), f"net: {name}'s bytes")
        flat = struct.unpack(f"<{count}f", data[start + low : start + high])
        need(all(abs(value) < float("inf") for value in flat), f"net: {name} is not finite")
        flat = [Fraction(value) for value in flat]
        wide = sizes[1] if len(sizes) == 2 else count
        tensors[name] = [flat[i : i + wide] for i in range(0, count, wide)]
    n_left, n_right, n_answers, n_state, n_hidden = (
        shape[name] for name in ("n_left", "n_right", "n_answers", "n_state", "n_hidden")
    )
    if shape["tied"]:
        need("embed_right.weight" not in tensors and n_left == n_right, "net: a tied net has one table")
        tensors["embed_right.weight"] = tensors["embed_left.weight"]
    shapes = {
        "embed_left.weight": (n_left, n_hidden),
        "embed_right.weight": (n_right, n_hidden),
        "state_in.weight": (n_hidden, n_state),
        "state_out.weight": (n_state, n_hidden),
        "state_out.bias": (1, n_state),
        "unembed.weight": (n_answers, n_hidden),
        "unembed.bias": (1, n_answers),
    }
    need(set(tensors) == set(shapes), "net: its tensors")
    for name, (rows, columns) in shapes.items():
        need(len(tensors[name]) == rows and all(len(row) == columns for row in tensors[name]), f"net: shape of {name}")
    return shape, task, Net(*(tensors[name] for name in shapes))


class Net:
    """The weights times 2^k as integers, and the bounds that everything below rests on.

    Boxes are in units of 2^-GRID_BITS, hidden values of 2^-(k + GRID_BITS), outputs of 2^-(2 k + GRID_BITS): integers.
    """

    def __init__(self, *tensors):
        self.k = max(value.denominator.bit_length() - 1 for rows in tensors for row in rows for value in row)
        need(self.k <= MOST_BITS, f"net: weights of more than {MOST_BITS} binary places")
        integers = [[[int(value * (1 << self.k)) for value in row] for row in rows] for rows in tensors]
        self.left, self.right, self.state_in, state_out, state_bias, unembed, unembed_bias = integers
        need(len(unembed) > 1, "net: one answer alone")
        self.outputs = list(zip(unembed, unembed_bias[0], strict=True))
        self.next = list(zip(state_out, state_bias[0], strict=True))
        sizes = [abs(w) for row, bias in self.outputs + self.next for w in [*row, bias]]
        self.may_overflow = max(sizes) >= LARGEST << self.k

    def run(self, stream):
        """The answer at every step, None where the largest logit is shared; exactly, states over 2^g."""
        state, answers, k, g = [0] * len(self.next), [], self.k, 0
        for a, b in stream:
            rows = zip(self.left[a], self.right[b], self.state_in, strict=True)
            hidden = [max(0, ((x + y) << g) + dot(row, state)) for x, y, row in rows]
            logits = [dot(row, hidden) + (bias << (k + g)) for row, bias in self.outputs]
            answers.append(logits.index(max(logits)) if logits.count(max(logits)) == 1 else None)
            raw = [dot(row, hidden) + (bias << (k + g)) for row, bias in self.next]
            g += 2 * k
            state = [min(max(value, 0), 1 << g) for value in raw]
            while g and not any(value & 1 for value in state):
                state, g = [value >> 1 for value in state], g - 1
        return answers

    def units(self, a, b, box):
        """Constant, slopes, least and largest pre-activation of every hidden unit over a box."""
        found = []
        for x, y, row in zip(self.left[a], self.right[b], self.state_in, strict=True):
            constant = (x + y) << GRID_BITS
            found.append((constant, row, constant + least(row, box), constant - least([-w for w in row], box)))
        return found

    def lower(self, weights, bias, units, box):
        """A lower bound of bias + sum_i w_i relu(c_i + v_i s) over a box."""
        total, slopes = bias << (self.k + GRID_BITS), [0] * len(box)
        for w, (constant, row, low, high) in zip(weights, units, strict=True):
            if high <= 0 or w == 0:  # off: 0 everywhere
                continue
            if low >= 0 or (w > 0 and high > -low):  # on; or relu(x) >= x
                total += w * constant
                slopes = [s + w * v for s, v in zip(slopes, row, strict=True)]
            elif w < 0:  # relu(x) <= high, and otherwise relu(x) >= 0
                total += w * high
        return total + least(slopes, box)

    def rounding(self, a, b, box):
        """Bounds of the float32 error of any logit and any next state: n 2^-23 sum |terms| for a sum of n terms.

        A rounded product that underflows is off by 2^-149 more. Returns None where float32 might overflow.
        """
        n, m = len(box) + 3, len(self.left[0]) + 2
        size, error = [], []
        for x, y, row in zip(self.left[a], self.right[b], self.state_in, strict=True):
            total = ((abs(x) + abs(y)) << GRID_BITS) + sum(abs(w) * high for w, (_, high) in zip(row, box, strict=True))
            error.append(up(n * total, 23) + up(n << (self.k + GRID_BITS), 149))
            size.append(total + error[-1])
        if self.may_overflow or max(size) >= LARGEST << (self.k + GRID_BITS):
            return None

        def worst(rows):
            found = 0
            for row, bias in rows:
                terms = (abs(bias) << (self.k + GRID_BITS)) + sum(abs(w) * h for w, h in zip(row, size, strict=True))
                carried = sum(abs(w) * e for w, e in zip(row, error, strict=True))
                found = max(found, carried + up(m * terms, 23) + up(m << (2 * self.k + GRID_BITS), 149))
            return found

        return worst(self.outputs), worst(self.next)


def up(value, shift):
    """value / 2^shift, rounded up."""
    return -(-value >> shift)


def dot(left, right):
    return sum(x * y for x, y in zip(left, right, strict=True))


def least(weights, box):
    """The least of sum_j w_j s_j over a box."""
    return sum(w * (low if w > 0 else high) for w, (low, high) in zip(weights, box, strict=True))


def leaf(net, a, b, box, answer, target):
    """Whether the obligation holds over a box, and whether it does so with room for float32."""
    units, shift = net.units(a, b, box), 2 * net.k
    (first, c), leads = net.outputs[answer], []
    for other, (second, d) in enumerate(net.outputs):
        if other != answer:
            weights = [p - q for p, q in zip(first, second, strict=True)]
            leads.append(net.lower(weights, c - d, units, box))
    rooms = []
    for (weights, bias), (low, high) in zip(net.next, target, strict=True):
        if low > 0:
            rooms.append(net.lower(weights, bias, units, box) - (low << shift))
        if high < ONE:
            rooms.append((high << shift) + net.lower([-w for w in weights], -bias, units, box))
    exact = min(leads) > 0 and all(room >= 0 for room in rooms)
    errors = net.rounding(a, b, box)
    if errors is None:
        return exact, False
    return exact, min(leads) > 2 * errors[0] and all(room > errors[1] for room in rooms)


def over_tree(net, a, b, box, answer, target, tree):
    """The same over the leaves of a split tree, "." for a leaf, a side and two subtrees for a node."""
    need(re.fullmatch(r"[.0-9a-z]+", tree) and len(tree) < MOST_TREE, f"steps: {tree[:40]!r} is no tree, or too large")
    exact, rounded, todo = True, True, [(box, 0)]
    for token in tree:
        need(todo, "steps: a tree goes on after its end")
        box, depth = todo.pop()
        if token == ".":
            here = leaf(net, a, b, box, answer, target)
            exact, rounded = exact and here[0], rounded and here[1]
            continue
        side = int(token, 36)
        need(side < len(box) and depth < DEEPEST, "steps: a tree splits a side that is not there, or too often")
        low, high = box[side]
        middle = (low + high) // 2  # any point between would do
        need(low <= middle <= high, "steps: a split outside its box")
        todo.append(([*box[:side], (middle, high), *box[side + 1 :]], depth + 1))
        todo.append(([*box[:side], (low, middle), *box[side + 1 :]], depth + 1))
    need(not todo, "steps: a tree ends too early")
    return exact, rounded


def read_table(table, n_left, n_right, most, name):
    shapes = [len(rows) == n_left and all(len(row) == n_right for row in rows) for rows in table]
    need(table and all(shapes), f"{name}: its shape")
    need(all(is_int(v, 0, most) for rows in table for row in rows for v in row), f"{name}: an entry out of range")
    return table


def read_machine(entry, task, name):
    n = len(entry["following"])
    need(n <= MOST_STATES, f"{name}: more than {MOST_STATES} states")
    following = read_table(entry["following"], task["n_left"], task["n_right"], n, name)
    answers = read_table(entry["answers"], task["n_left"], task["n_right"], task["n_answers"], name)
    need(len(answers) == n, f"{name}: a table is too short")
    return following, answers


def pairs(task):
    return [(a, b) for a in range(task["n_left"]) for b in range(task["n_right"])]


def is_adder(machine, carries, task):
    """answer + base * next carry = a + b + carry in every state; no carry at the start, nor after a place of zeros."""
    (following, answers), base = machine, task["base"]
    need(task["n_left"] == task["n_right"] == task["n_answers"] == base, "task: its base")
    need(len(carries) == len(following) and all(is_int(c, 0, base) for c in carries), "carries: their number or values")
    return (
        carries[0] == 0
        and all(
            answers[q][a][b] + base * carries[following[q][a][b]] == a + b + carries[q]
            for q in range(len(following))
            for a, b in pairs(task)
        )
        and all(carries[rows[0][0]] == 0 for rows in following)
    )


def same_machines(one, other, task):
    """Whether two machines give the same answers to every stream: pairs of states reached together are compared."""
    reached, seen = [(0, 0)], {(0, 0)}
    for q, r in reached:
        for a, b in pairs(task):
            if one[1][q][a][b] != other[1][r][a][b]:
                return False
            after = (one[0][q][a][b], other[0][r][a][b])
            if after not in seen:
                seen.add(after)
                reached.append(after)
    return True


def run_machine(machine, stream):
    q, answers = 0, []
    for a, b in stream:
        answers.append(machine[1][q][a][b])
        q = machine[0][q][a][b]
    return answers


def adder(base):
    """The reference for addition, which needs no certificate."""
    following = [[[int(a + b + c >= base) for b in range(base)] for a in range(base)] for c in (0, 1)]
    answers = [[[(a + b + c) % base for b in range(base)] for a in range(base)] for c in (0, 1)]
    return following, answers


def check_counterexample(entry, task, got, reference, who):
    """`got` maps a stream to answers; `reference` is None where the checker has no reference machine."""
    said = entry["counterexample"]
    stream = said["stream"]
    need(set(said) == {"equation", "expected", "got", "stream"}, f"{who}: the counterexample's keys")
    need(0 < len(stream) <= LONGEST_STREAM, f"{who}: the counterexample's length")
    need(all(len(p) == 2 and is_int(p[0], 0, task["n_left"]) and is_int(p[1], 0, task["n_right"]) for p in stream), who)
    if reference is None:
        return f"{who}: its counterexample is NOT CHECKED, as there is no reference machine"
    expected, answers = run_machine(reference, stream), got(stream)
    need(said["expected"] == expected, f"{who}: other right answers")
    need(answers != expected, f"{who}: the counterexample is none")
    need(said["got"] == answers, f"{who}: the answers are others")
    if task["name"] != "addition":
        return f"{who}: counterexample replayed in exact arithmetic; its words and float32 are NOT CHECKED"
    a, b, right, wrong = map(numeral, (*zip(*stream, strict=True), expected, answers))
    where = "" if task["base"] == 10 else f" (base {task['base']})"
    equation = f"{a} + {b} = {right}{where}, the {'machine' if who == MACHINE else 'net'} says {wrong}"
    need(said["equation"] == equation, f"{who}: the equation is another")
    return f"{who}: {equation}: replayed in exact arithmetic; float32 is NOT CHECKED"


def numeral(digits):
    """Digits, least significant first, as written; None is a question mark."""
    symbols = ["?" if digit is None else "0123456789abcdef"[digit] for digit in reversed(digits)]
    return "".join(symbols).lstrip("0") or "0"


def check_induction(net, text, task, machine):
    """Whether the regions prove the exact claim, and the float32 claim."""
    need(text["grid_bits"] == GRID_BITS, f"grid_bits: not {GRID_BITS}")
    regions = []
    for entry in text["regions"]:
        need(len(entry["low"]) == len(entry["high"]) == len(net.next), "regions: their dimension")
        sides = list(zip(entry["low"], entry["high"], strict=True))
        need(all(is_int(v, 0, ONE + 1) for side in sides for v in side), "regions: a border beyond 0 and 1")
        need(all(low <= high for low, high in sides), "regions: one is empty")
        regions.append(sides)
    following, answers = machine
    need(len(regions) == len(following), "regions: not one for each state of the machine")
    need(all(low <= 0 <= high for low, high in regions[0]), "regions: the initial state is not in region 0")
    rows = {(q, a, b): (how, tree) for q, a, b, how, tree in text["steps"]}
    need(len(rows) == len(text["steps"]), "steps: one is there twice")
    need(set(rows) == {(q, *pair) for q in range(len(regions)) for pair in pairs(task)}, "steps: not all of them")
    exact = rounded = True
    for (q, a, b), (how, tree) in rows.items():
        need(how in ("bounds", "z3", "") and (how != "bounds" or tree == "."), f"steps: {q}, {a}, {b}: how {how!r}")
        if not how:
            return False, False
        here = over_tree(net, a, b, regions[q], answers[q][a][b], regions[following[q][a][b]], tree)
        exact, rounded = exact and here[0], rounded and here[1]
    return exact, rounded


def whole(claims, verdict):
    """Whether the verdict follows from those of the claims; a refutation is checked by its counterexample."""
    if verdict["verdict"] == "Proved":
        return verdict == WHOLE and all(entry["verdict"]["verdict"] == "Proved" for entry in claims.values())
    return verdict["verdict"] in ("Refuted", "Unknown")


def check_program(data, machine):
    """The tables of a program file are those of the machine, and assigned once. What else it does is not read."""
    found = {}
    for node in ast.parse(data.decode()).body:
        need(isinstance(node, PROGRAM), f"program: a {type(node).__name__} at its top")
        if isinstance(node, ast.Assign):
            need(len(node.targets) == 1, "program: an assignment to more")
            name = ast.unparse(node.targets[0])
            need(name not in found, f"program: {name} is there twice")
            found[name] = ast.literal_eval(node.value)
    tables = [[[list(row) for row in rows] for rows in found[name]] for name in ("FOLLOWING", "ANSWERS")]
    need(tables == list(machine), "program: its tables are not the machine's")
    return "program: its tables are the machine's; the code around them is NOT CHECKED"


def check(certificate, net=None, program=None):
    """Returns the lines to print; raises Rejected. Paths of the certificate, the snapshot and the program."""
    text = parse(read(certificate))
    need(text["schema"] == SCHEMA, f"schema: not {SCHEMA!r}")
    need(set(text) == KEYS, f"fields: {sorted(set(text) ^ KEYS)[:3]} missing or unknown")
    need(net is not None, "net: give it with --net")
    data = {"net": read(net), **({"program": read(program)} if program else {})}
    for name, content in data.items():
        need(text["files"][name]["sha256"] == sha256(content), f"{name}: not the file that the certificate names")
    shape, described, weights = read_net(data["net"])
    task = text["task"]
    need("name" in described and {**task, **described} == task, "net: of another task")
    need(set(task) == {*described, "key", "n_left", "n_right", "n_answers"}, "task: what the net does not say")
    options = "_".join(str(described[name]) for name in sorted(described) if name != "name")
    need(task["key"] == task["name"] + options, "task: its key")
    need(all(shape[k] == task[k] and is_int(task[k], 1, 65) for k in ("n_left", "n_right", "n_answers")), "task: sizes")
    claims = {entry["claim"]["kind"]: entry for entry in text["claims"]}
    need(len(claims) == len(text["claims"]) and set(claims) == set(SENTENCES), "claims: not the three")
    for kind, entry in claims.items():
        need(entry["sentence"] == SENTENCES[kind].format(task=task["key"]), f"claims: {kind}: its sentence")
        need(entry["verdict"]["verdict"] in ("Proved", "Refuted", "Unknown"), f"claims: {kind}: its verdict")
        need(entry["claim"] == {"kind": kind, "quantifiers": "for all lengths, for all streams"}, f"claims: {kind}")
        by = entry["verdict"].get("method")
        need(entry["verdict"]["verdict"] != "Proved" or by in METHODS[kind], f"claims: {kind}: its method")
    for o in text["obligations"]:
        need(re.fullmatch(r"obligations/[\w-]+\.smt2", o["file"]), f"{o['file']!r}: not an obligation's name")
        need(sha256(read(Path(certificate).parent / o["file"])) == o["sha256"], f"{o['file']}: not the formula named")
    said = {kind: entry["verdict"]["verdict"] for kind, entry in claims.items()}
    adds = task["name"] == "addition"
    reference = None if text["reference"] is None else read_machine(text["reference"], task, "reference")
    if adds:
        need(is_int(task["base"], 2, 65) and task["key"] == f"addition{task['base']}", "task: its base or key")
        need(reference is not None and same_machines(reference, adder(task["base"]), task), "reference: no adder")
    machine = None if text["machine"] is None else read_machine(text["machine"], task, "machine")
    need(machine is not None or "Proved" not in said.values(), "machine: proved without one")
    lines = []
    if "program" in data:
        need(machine is not None, "program: there is no machine for it")
        lines.append(check_program(data["program"], machine))
    if said[MACHINE] == "Proved":
        if adds:
            need(is_adder(machine, text["carries"], task), f"{MACHINE}: said to be proved, and is no adder")
            lines.append(f"Proved: {MACHINE}: checked in every state, for all lengths")
        else:
            need(reference is not None and same_machines(machine, reference, task), f"{MACHINE}: differs")
            lines.append(f"Proved: {MACHINE}: checked against the reference machine TAKEN FROM THE CERTIFICATE")
        need(any(o["name"] in ("sum-end", "states") for o in text["obligations"]), f"{MACHINE}: without obligations")
        asked = [o for o in text["obligations"] if o["name"][:3] in ("sum", "sta")]
        open_ones = [o["name"] for o in asked if o["result"] != "unsat"]
        need(not open_ones, f"{MACHINE}: proved with an open obligation, {open_ones[:1]}")
    elif said[MACHINE] == "Refuted":
        entry = claims[MACHINE]["verdict"]
        need(machine is not None, f"{MACHINE}: refuted without one")
        note = check_counterexample(entry, task, lambda stream: run_machine(machine, stream), reference, MACHINE)
        lines.append(f"Refuted: {note}")
    need(said[NET] != "Refuted" and said[FLOAT] != "Refuted", "claims: only the machine or the whole is refuted")
    if said[NET] == "Proved" or said[FLOAT] == "Proved":
        exact, rounded = check_induction(weights, text, task, machine)
        need(exact or said[NET] != "Proved", f"{NET}: said to be proved, and the bounds do not close")
        need(rounded or said[FLOAT] != "Proved", f"{FLOAT}: said to be proved, without room for rounding")
    for kind in (NET, FLOAT):
        lines += [f"Proved: {kind}: bounds recomputed for all {len(text['steps'])} steps"] * (said[kind] == "Proved")
    lines += [f"Unknown: {kind}" for kind, verdict in said.items() if verdict == "Unknown"]
    need(whole(claims, text["verdict"]), "verdict: it does not follow from the claims")
    doubt = ""
    if text["verdict"]["verdict"] == "Refuted":
        lines.append("Refuted: " + check_counterexample(text["verdict"], task, weights.run, reference, "the net"))
        doubt = ", NOT CHECKED" * (reference is None)
    lines.append("measured, net, solver and what the formulas mean: NOT CHECKED")
    return [*lines, f"accepted: {text['verdict']['verdict']}{doubt}"]


def main(arguments=None):
    parser = argparse.ArgumentParser(None, argparse.SUPPRESS, __doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("certificate", help="certificate.json, with its obligations/ beside it")
    parser.add_argument("--net", help="the recurrent net's snapshot")
    parser.add_argument("--program", help="the program's Python file")
    try:
        options = parser.parse_args(arguments)
        print("\n".join(check(options.certificate, options.net, options.program)))
        return 0
    except SystemExit as stop:
        return 64 if stop.code else 0
    except Exception as error:
        print(f"rejected: {'' if isinstance(error, Rejected) else type(error).__name__ + ' '}{str(error)[:200]!r}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
