"""Checks a certificate on its own: one file, standard library only, nothing trusted that the certificate says of a net.

    python verify/checker.py certificate.json --net trained.safetensors --net student.safetensors --program program.py

It finds the files by their hashes, reads weights and programs itself (running none) and recomputes every Proved and
Refuted verdict about them, in Python's integers. CERTIFICATE.md says what a certificate is. It runs no solver and reads
no formula; a claim about a file that was not given is NOT CHECKED, and the last line says how many are.

exit status: 0 accepted: Proved, and every claim that is not Unknown was checked here; 1 rejected; 2 accepted, but
something was NOT CHECKED or a reference machine TAKEN FROM THE CERTIFICATE, and no option accepts that; 3 accepted, and
the verdict is Refuted or Unknown; 64 bad usage
"""

import argparse
import hashlib
import json
import re
import struct
import sys
from functools import cached_property, partial
from itertools import chain, compress, permutations
from math import factorial, isqrt, prod
from operator import mul, sub
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

SCHEMA = "catapult-certificate-2"
TRUST = "TAKEN FROM THE CERTIFICATE"
FIELDS = {"schema", "task", "files", "nets", "claims", "solvers", "verdict"}
STUDENTS = {"integer student": "catapult-student-1", "student": "catapult-student-float-1"}
FORMATS = STUDENTS | {"pruned net": "catapult-snapshot-1", "trained net": "catapult-snapshot-1"}
ROUNDED = ("student", "pruned net", "trained net")
STREAMS = "for streams of every length, the net's one largest logit at every step, in "
SENTENCES = {
    "equals": "for all {domain}, the answer of the {left} is {right}"
    "; an answer is the one largest of {p} logits or scores, in exact arithmetic over the stored numbers",
    "compact": "for all {domain}, the answer of the {net} is {task}"
    "; an answer is the one largest of {p} logits, in exact arithmetic over the stored numbers",
    "rounding": "for all {domain}, the {net} in float32, in any order of summation, has the same one largest "
    "of {p} logits as in exact arithmetic over the stored numbers",
    "radius": "for all {domain} on which the answer of the {net} is {task} ({right} of {pairs}), no change of "
    "the two embedded rows by at most {numerator} / 2^{bits} in each entry changes it",
    "machine": "for streams of every length, the machine's answer at every step is that of {task}",
    "invariant": STREAMS + "exact arithmetic over the stored numbers, is the machine's answer",
    "invariant rounding": STREAMS + "float32 in any order of summation, is the machine's answer",
}
SAYS = {"equals": {"left", "right"}, "compact": {"net"}, "rounding": {"net"}, "machine": set(), "invariant": set()}
SAYS |= {"radius": {"net", "numerator", "bits", "right"}, "invariant rounding": set()}
NAMES = {
    "equals": "{left} equals {right}",
    "compact": "{net} equals arithmetic, by residuals",
    "rounding": "{net} is unchanged under rounding",
    "radius": "{net} is unchanged within radius {numerator} / 2^{bits}",
    "machine": "machine equals task",
    "invariant": "net equals machine",
    "invariant rounding": "float32 net equals machine",
}
BY_VALUE = "induction: the value of the answers plus carry times base^n is the sum of the values"
BY_STATES = "induction: every pair of states that is reached together gives the same answers"
INDUCTION = "induction over the length: invariant regions, one for each state of the machine"
METHODS = {
    "equals": "exhaustive evaluation",
    "compact": "residuals of every feature",
    "rounding": "a bound on every rounding error",
    "radius": "exact least lead, unit by unit",
    "machine": BY_STATES,
    "invariant": INDUCTION,
    "invariant rounding": INDUCTION + ", with room for every rounding error",
}
REGIONS = {"grid_bits", "machine", "regions", "steps"}
EVIDENCE = {  # what closes a Proved claim: its name, and what else is there
    "equals": ("exhaustive", set()),
    "compact": ("residuals", {"features", "fine", "frequencies", "gain", "rho", "scale", "tau"}),
    "rounding": ("running error", set()),
    "radius": ("least lead", set()),
    "machine": ("induction", {"carries", "machine", "reference"}),
    "invariant": ("induction", REGIONS),
    "invariant rounding": ("induction", REGIONS),
}
CLOSED = "unsat|[0-9]{1,9} of [0-9]{1,9} closed by bounds"
WORD = "[a-z0-9_]{1,100}"
ANSWERS = f"sat|unknown|open|{CLOSED}"
SOLVERS, VERSION = {"z3", "cvc5"}, r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,5}"
ASKED = {  # names of the formulas that a solver may be asked about a claim: by its kind, or by what stands on its left
    "program": "program-.*",
    "integer student": "(?:program|student)-.*",
    "compact": "compact-margin",
    "machine": "sum-.*|states",
    "invariant": "region-.*",
}
VERDICTS = {"Proved": {"method"}, "Refuted": {"counterexample"}, "Unknown": {"reason"}}
MOST_BYTES, MOST_FORMULAS = 1 << 24, 1 << 12
TOO_LARGE = f"more than {MOST_BYTES} bytes"
MOST_WORK = 10**11  # about that many nanoseconds for one evaluation
LARGEST_P, MOST_SIZE = 1024, 1 << 12


class Rejected(Exception):
    """Why the certificate, or one of its claims, is not accepted."""


class Coarse(Rejected):
    """Why a claim is left open: bounds or limits of this file do not confirm it, and nothing speaks against it."""

    elsewhere: tuple = ()


def need(condition, reason):
    if not condition:
        raise Rejected(reason)


def within(condition, reason):
    """As `need`, where the failure is this file's and not the certificate's."""
    if not condition:
        raise Coarse(reason)


def is_int(value, low, high):
    return type(value) is int and low <= value < high


def canonical(value):
    return json.dumps(value, sort_keys=True)


def same(one, other):
    """Equality of JSON, in which 1, 1.0 and true are three."""
    return canonical(one) == canonical(other)


# --- reading: files, JSON, safetensors


def read(path):
    path = Path(path)
    need(path.is_file(), f"{path.name}: no such file")
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    need(len(data) <= MOST_BYTES, f"{path.name}: more than {MOST_BYTES} bytes")
    return data


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def load(path):
    """A file's hash and bytes; None for the bytes of one that is too large to be read."""
    need(Path(path).is_file(), f"{Path(path).name}: no such file")
    with Path(path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        large = file.tell() > MOST_BYTES
    if large:
        return digest, None
    data = read(path)
    return sha256(data), data


def no_duplicates(pairs):
    need(len({key for key, _ in pairs}) == len(pairs), "JSON: a key is there twice")
    return dict(pairs)


def finite(text):
    need(abs(float(text)) < float("inf"), f"JSON: {text[:20]} is no number")
    return float(text)


def parse(text):
    hooks = {"object_pairs_hook": no_duplicates, "parse_constant": finite, "parse_float": finite}
    return json.loads(text.decode() if isinstance(text, bytes) else text, **hooks)


def keys(entry, wanted, name):
    need(type(entry) is dict, f"{name}: no object")
    need(set(entry) == set(wanted), f"{name}: keys {sorted(set(entry) ^ set(wanted))[:3]} missing or unknown")


TYPES = {"I8": "b", "I16": "h", "I32": "i", "I64": "q", "U8": "B", "U16": "H", "U32": "I", "F32": "f"}


class Weights:
    """Header and tensors of a safetensors file: its numbers as stored, and over 2^k (the least k) as integers."""

    def __init__(self, data):
        start = 8 + int.from_bytes(data[:8], "little")
        need(8 < start <= len(data), "net: its header's length")
        header, end = parse(data[8:start]), 0
        self.size, self.start, self.meta, self.tensors = len(data), start, header.pop("__metadata__"), {}
        for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            keys(entry, {"dtype", "shape", "data_offsets"}, f"net: {name}")
            code, shape, (low, high) = TYPES[entry["dtype"]], entry["shape"], entry["data_offsets"]
            need(len(shape) in (1, 2) and all(is_int(v, 0, MOST_BYTES) for v in shape), f"net: the shape of {name}")
            room = (end, end + prod(shape) * struct.calcsize("<" + code))
            need(
                is_int(low, 0, len(data)) and (low, high) == room and start + high <= len(data), f"net: {name}'s bytes"
            )
            values, end = struct.unpack(f"<{prod(shape)}{code}", data[start + low : start + high]), high
            need(all(abs(value) < float("inf") for value in values), f"net: {name} is not finite")
            self.tensors[name] = entry["dtype"], shape, values
        need(start + end == len(data), "net: bytes that are of no tensor")
        self.k = max((value.as_integer_ratio()[1].bit_length() - 1 for value in self.numbers()), default=0)

    def numbers(self):
        return chain.from_iterable(values for _, _, values in self.tensors.values())

    def exact(self, value):
        numerator, denominator = value.as_integer_ratio()
        return numerator * ((1 << self.k) // denominator)

    def words(self):
        """The net as `nets` has it."""
        most = self.exact(max(map(abs, self.numbers()), default=0)).bit_length()
        weights = f"multiples of 2^-{self.k} below 2^{most - self.k if most else 0}"
        return {"format": self.meta["format"], "numbers": sum(1 for _ in self.numbers()), "weights": weights}

    def table(self, name, *shape, floats=True, convert=None):
        """A vector, or the rows of a matrix, of integers over 2^k or as `convert` has it."""
        dtype, found, values = self.tensors[name]
        need((dtype == "F32") == floats and found == list(shape), f"net: the type or shape of {name}")
        values = list(map(convert or self.exact, values))
        return values if len(shape) == 1 else [values[i * shape[1] : (i + 1) * shape[1]] for i in range(shape[0])]


# --- integers


def up(value, shift):
    """value / 2^shift, rounded up."""
    return -(-value >> shift)


def dot(left, right):
    return sum(map(mul, left, right))


def add(*vectors):
    return list(map(sum, zip(*vectors, strict=True)))


def pack(numbers, size=13):
    """sum_i numbers_i 2^(8 size i), numbers of either sign."""
    above, below = (b"".join(max(s * v, 0).to_bytes(size, "little") for v in numbers) for s in (1, -1))
    return int.from_bytes(above, "little") - int.from_bytes(below, "little")


def float32_sum(terms, weights, sizes, errors, bias, shift):
    """Above |x| and above the float32 error of x = bias + sum_i w_i y_i, summed in any order; over 2^shift.

    y_i is computed with an error of errors_i, and in size at most sizes_i. A sum of n terms is off by n u / (1 - n u) <
    n 2^-23 of sum |terms|, u = 2^-24 (Higham 2002, 3.1); a product that underflows is off by 2^-149.
    """
    weights = list(map(abs, weights))
    total = bias + dot(weights, sizes)
    error = dot(weights, errors) + up(terms * total, 23) + up(terms << shift, 149)
    return total + error, error


OVERFLOW, GUARD = 1 << 40, 40  # sums below this are far from float32's overflow

# --- programs, whose every byte but the tables is known

INTEGER = r"(?:0|-?[1-9][0-9]{0,9})"
TUPLE = rf"\(([ \n]*(?:{INTEGER},[ \n]*)+(?:{INTEGER}[ \n]*)?)\)"
LITERALS = rf"P = ([1-9][0-9]{{0,3}})\nSIGN = (-?1)\nFREQUENCIES = {TUPLE}\nAMPLITUDES = {TUPLE}\nCOSINE = {TUPLE}\n"
ALGORITHM = "5c88e2ad220ce2932f65a1adb95125517b63f1b33adf7311475943a53fd38aea"
HEAD = re.compile(r'"""(?:[ !#-\[\]-~\n]|\\["\\])*"""\n\nimport sys\n\n(.*)\n((?:(?:GIVE|USAGE) = "[ !#-\[\]-~]*"\n)*)')
RUNS = {  # what follows the tables of a program on streams; True: of addition
    True: "5080336f98f382134911e92e6c50e27541b03de65f5ca8eae71844623f2e1ca7",
    False: "4dab629dab79da4829a4089465d28a5d9e652ff54fe99ba28ec63391aaa9e41d",
}


def program_answers(data, p, sign):
    """[a][b]: the c with the one largest sum_k A_k COSINE[(k (a +- b) - k c) mod p]."""
    source = data.decode()
    found = re.search(LITERALS, source)
    if found is None:
        raise Rejected("program: its integers are not where they belong")
    rest = source[: found.start()] + "\0" + source[found.end() :]
    need(sha256(rest.encode()) == ALGORITHM, "program: not the algorithm that the certificate is about")
    frequencies, amplitudes, cosine = ([int(v) for v in re.findall(INTEGER, text)] for text in found.groups()[2:])
    need((int(found[1]), int(found[2]), len(cosine)) == (p, sign, p), "program: of another task, or its table")
    need(
        len(frequencies) == len(amplitudes) and p * p * len(amplitudes) < MOST_WORK // 1000, "program: its frequencies"
    )
    terms, table = list(zip(frequencies, amplitudes, strict=True)), []
    for s in range(p):
        scores = [sum(w * cosine[k * (s - c) % p] for k, w in terms) for c in range(p)]
        table.append(scores.index(max(scores)) if scores.count(max(scores)) == 1 else None)
    return [[table[(a + sign * b) % p] for b in range(p)] for a in range(p)]


def check_stream_program(data, machine, n_left, n_right, adds):
    """The file is the known one with the machine's tables."""

    def render(table):
        texts = [[f"({', '.join(map(str, row))}{',' * (len(row) == 1)})" for row in rows] for rows in table]
        return (
            "(\n" + "".join("    (\n" + "".join(f"        {v},\n" for v in text) + "    ),\n" for text in texts) + ")\n"
        )

    head, found, rest = data.decode().partition(f"FOLLOWING = {render(machine[0])}ANSWERS = {render(machine[1])}")
    need(found and sha256(rest.encode()) == RUNS[adds], "program: not the known code with the machine's tables")
    symbols = f'DIGITS = "{"0123456789abcdef"[:n_left]}"' if adds else f"SYMBOLS = ({n_left}, {n_right})"
    known = HEAD.fullmatch(head)
    need(known and known[1] == symbols, "program: its first lines")


# --- students: logits = readout^T (offset + mix^T relu(left[a] + right[b])), exactly


def read_student(weights, p, sign, floats):
    tensors = weights.tensors
    need(set(tensors) | {"right"} == {"left", "right", "mix", "offset", "readout"}, "net: its tensors")
    n, m = tensors["mix"][1]
    within(0 < n <= MOST_SIZE and 0 < m <= MOST_SIZE and p * n * m < MOST_WORK // 1000, "net: its size")
    shapes = {"left": (p, n), "right": (p, n), "mix": (n, m), "offset": (m,), "readout": (m, p)}
    return Student({name: weights.table(name, *shapes[name], floats=floats) for name in tensors}, weights.k, p, sign)


class Student:
    """Its tables over 2^k (an integer student's k is 0), logits over 2^(3 k); all p logits are lanes of one integer."""

    def __init__(self, table, k, p, sign):
        self.k, self.p, self.sign, self.left, self.right = k, p, sign, table["left"], table.get("right", table["left"])
        self.mix, self.offset, self.readout = table["mix"], table["offset"], table["readout"]
        self.tied = sign == 1 and self.left == self.right

    @cached_property
    def votes(self):
        """Of each unit for each answer."""
        return [[dot(row, column) for column in zip(*self.readout, strict=True)] for row in self.mix]

    @cached_property
    def base(self):
        return [dot(self.offset, column) << self.k for column in zip(*self.readout, strict=True)]

    def lanes(self, bits=0, reach=0):
        """Bytes a lane, so that leads fit, over 2^bits and with pre-activations moved by `reach`."""
        top = max(abs(v) for table in (self.left, self.right) for row in table for v in row)
        most = sum(2 * max(map(abs, row)) for row in self.votes) * ((2 * top << bits) + reach + 1)
        size = (most + (2 * max(map(abs, self.base)) << bits) + 1).bit_length() // 8 + 1
        within(self.p**2 * len(self.votes) * (self.p * size + 50) < 2 * MOST_WORK, "net: too large to check")
        return size

    @property
    def answers(self):
        return self.evaluated[0]

    @cached_property
    def evaluated(self):
        """[a][b]: the one largest logit, None on a tie; and the least lead of all, over 2^(3 k)."""
        p, size, leads = self.p, self.lanes(), []
        table: list[list[int | None]] = [[None] * p for _ in range(p)]
        start, votes = pack([v + (1 << 8 * size - 1) for v in self.base], size), [pack(row, size) for row in self.votes]
        for a, left in enumerate(self.left):
            for b, right in enumerate(self.right):
                if self.tied and b < a:
                    table[a][b] = table[b][a]
                    continue
                total = start + sum((x + y) * v for x, y, v in zip(left, right, votes, strict=True) if x + y > 0)
                lanes = total.to_bytes(p * size, "little")
                logits = [int.from_bytes(lanes[i : i + size], "little") for i in range(0, p * size, size)]
                first, second = sorted(logits)[:-3:-1]
                table[a][b] = logits.index(first) if first > second else None
                leads.append(first - second)
        return table, min(leads)

    def safe(self, numerator, bits):
        """[a][b]: (a +- b) mod p has the one largest logit under every change within r = numerator / 2^bits.

        With w_j = votes_js - votes_jc and pre-activations c_j, each moved by up to 2 r, apart from one another, the
        least lead of the answer s over c is sum_j w_j relu(c_j - 2r) if w_j > 0 else w_j relu(c_j + 2r), and base.
        """
        p, reach = self.p, 2 * numerator
        size = self.lanes(bits, reach)
        half, safe = 1 << 8 * size - 1, [[False] * p for _ in range(p)]
        tops = pack([half] * p, size)
        for s in range(p):
            start = pack([(self.base[s] - v << bits) + half - (c != s) for c, v in enumerate(self.base)], size)
            pro = [pack([max(row[s] - v, 0) for v in row], size) for row in self.votes]
            contra = [pack([max(v - row[s], 0) for v in row], size) for row in self.votes]
            for a in range(p):
                b, total = self.sign * (s - a) % p, start
                for x, y, for_s, against in zip(self.left[a], self.right[b], pro, contra, strict=True):
                    before = (x + y) << bits
                    total += max(before - reach, 0) * for_s - max(before + reach, 0) * against
                safe[a][b] = total & tops == tops  # a lane holds lead + half - 1: its top bit is set iff lead > 0
        return safe

    def unchanged(self):
        """That every lead is above what float32 can change in two logits: hidden, features, logits in turn."""
        ends, found = zip(zip(*self.left, strict=True), zip(*self.right, strict=True), strict=True), []
        for left, right in ends:
            size = max(max(left) + max(right), 0) << GUARD
            found.append((size + up(size, 24), up(size, 24)))
        shift = self.k + GUARD
        within(max(found)[0] < OVERFLOW << shift, "values near float32's largest")
        for table, bias in ((self.mix, self.offset), (self.readout, [0] * self.p)):
            sums, terms = zip(zip(*table, strict=True), bias, strict=True), len(table) + (bias is self.offset)
            sizes, errors = zip(*found, strict=True)
            found = [float32_sum(terms, w, sizes, errors, abs(o) << shift, shift + self.k) for w, o in sums]
            shift += self.k
            within(max(found)[0] < OVERFLOW << shift, "values near float32's largest")
        lead = self.evaluated[1] << GUARD
        within(lead > 2 * max(error for _, error in found), "float32 may change an answer")


# --- compact proofs: features near S_k e_k(s), read-outs near R_k e_k(c), e_k(x) = (cos, sin)(2 pi k x / p)

BITS = 40


def check_compact(net, evidence):
    """That a student's answer is s = (a +- b) mod p, without its logits. Checked are, S, rho and tau over `fine`,

    for all a, b      |features of k at a, b - S_k e_k(s)| <= rho_k
    for all c         |read-out of k at c - R_k e_k(c)| <= tau_k
    for all d != 0    sum_k S_k R_k (1 - cos(2 pi k d / p))
                          > sum_k (R_k rho_k 2 |sin(pi k d / p)| + 2 tau_k (S_k + rho_k))
    """
    fine, pairs, frequencies = (evidence[name] for name in ("fine", "features", "frequencies"))
    lengths = [evidence[name] for name in ("gain", "rho", "scale", "tau")]
    columns = [pairs, frequencies, *lengths]
    need(all(type(column) is list and len(column) == len(pairs) > 0 for column in columns), "compact: its lists")
    need(all(len(pair) == 2 for pair in pairs), "compact: features that are no pairs")
    numbers = [*chain(*pairs), *chain(*columns[1:])]
    need(
        is_int(fine, 1, 1 << 62) and all(is_int(v, 0, 1 << 62) for v in numbers), "compact: no whole numbers in 0..2^62"
    )
    need(sorted(chain(*pairs)) == list(range(len(net.offset))), "compact: not every feature once")
    need(len(set(frequencies)) == len(pairs) and all(0 < k < net.p for k in frequencies), "compact: its frequencies")
    p, sign, wave, close = net.p, net.sign, cosines(4 * net.p), 0
    within(p * p * len(net.mix) * len(net.offset) < MOST_WORK // 100, "net: too large to check")
    for (c, s), k, gain, rho, scale, tau in zip(*columns, strict=True):
        turn = [(wave[4 * k * x % (4 * p)], wave[(4 * k * x - p) % (4 * p)]) for x in range(p)]
        units = [j for j, row in enumerate(net.mix) if row[c] or row[s]]
        weights = [([net.mix[j][i] for j in units], net.offset[i]) for i in (c, s)]
        left, right = ([[row[j] for j in units] for row in table] for table in (net.left, net.right))
        wanted, longest = [(scale * x, scale * y) for x, y in turn], (rho << BITS) ** 2
        for a, of_a in enumerate(left):
            for b in range(a if net.tied else 0, p):
                hidden = [max(x + y, 0) for x, y in zip(of_a, right[b], strict=True)]
                square = 0
                for (column, offset), target in zip(weights, wanted[(a + sign * b) % p], strict=True):
                    square += (abs((fine * (dot(hidden, column) + offset) << BITS) - target) + scale) ** 2
                need(square <= longest, f"compact: frequency {k} at a, b = {a}, {b}: further off than rho")
        for place, target in enumerate(turn):
            off = zip((net.readout[c][place], net.readout[s][place]), target, strict=True)
            far = sum((abs((v << BITS) - gain * w) * fine + gain * fine) ** 2 for v, w in off)
            need(far <= (tau << BITS) ** 2, f"compact: frequency {k} at c = {place}: further off than tau")
        close += 2 * tau * (scale + rho) << BITS
    for d in range(1, p):
        margin = -close
        for k, gain, rho, scale in zip(frequencies, *lengths[:3], strict=True):
            if k * d % p:
                margin += fine * gain * scale * ((1 << BITS) - wave[4 * k * d % (4 * p)] - 1)
                margin -= fine * gain * rho * 2 * (abs(wave[(2 * k * d - p) % (4 * p)]) + 1)
        need(margin > 0, f"compact: residuals may reach the answer {d} off")


def cosines(n):
    """2^BITS cos(2 pi y / n) for every y < n, less than 1 away: pi by Machin, then Taylor, with GUARD bits to spare."""
    unit = 1 << (BITS + GUARD)

    def arctangent(x):
        """arctan(1 / x) in units of 1 / `unit`, a few of them off."""
        term, total, place = unit // x, unit // x, 1
        while term:
            term, place = term // (x * x), place + 2
            total += -(term // place) if place % 4 == 3 else term // place
        return total

    pi, table = 16 * arctangent(5) - 4 * arctangent(239), []
    for y in range(n):
        angle = 2 * pi * min(y, n - y) // n
        square, term, total, place = angle * angle // unit, unit, unit, 0
        while term:
            term, place = term * square // unit // ((place + 1) * (place + 2)), place + 2
            total += -term if place % 4 else term
        table.append((total + (1 << (GUARD - 1))) >> GUARD)
    return table


# --- trained and pruned nets, in fixed point with a bound on every error
#
# Values and weights are integers over 2^40. A matrix is kept by columns, each packed into one integer with 104 bits a
# row: a product with a vector is one multiplication and one addition a column, and the upper 64 of each 104 bits are
# the result over 2^40, rounded down. What that loses is bounded in the same way as what float32 can lose (`Errors`),
# for all inputs at once, from the least and largest value of every intermediate number, and then alone for each input
# whose lead is not larger than that.

ONE = 1 << 40  # values and weights
UP = 60  # errors are integers over 2^100 = ONE << UP
LIBM = 16  # float32's exp and tanh are off by at most 16 u (8 ulp), u = 2^-24
FLOOR = 32 << UP  # above what one operation loses here, and what float32 loses below its normal range
LARGEST, UNSURE = 1 << 22, -1
CHUNK, MOST_CLOSE = 8, 4000  # inputs that the bound for all does not settle: at once, and at most
ROOT, CUBIC = 0xCC42299EA1B28468, 44715 * 2**64 // 10**6  # sqrt(2 / pi) and .044715, over 2^64
SIZES = {"kind", "d_model", "n_heads", "d_head", "d_mlp"}
PAIRS, LATER = {"n_left", "n_right", "n_answers"}, {"equals", "causal", "softmax_share"}
KEYS = {
    "transformer": SIZES | {"p"},
    "deep_transformer": SIZES | PAIRS | LATER | {"n_layers", "activation", "pre_norm", "operator", "attention_bias"},
    "mlp": PAIRS | {"kind", "d_embed", "widths", "activation", "combine", "bias"},
}
DEFAULTS = {"equals": True, "causal": True, "softmax_share": 1, "attention_bias": False, "pre_norm": False}
DEFAULTS |= {"operator": False, "bias": True, "n_layers": 1, "activation": "relu"}


class Matrix:
    """x -> W x + b; an entry of `size` is above |W|."""

    def __init__(self, rows, bias=None):
        self.rows, self.n, bias, self.images = rows, len(rows), bias or [0] * len(rows), {}
        self.columns, self.bias = [pack(column) for column in zip(*rows, strict=True)], pack([b << 40 for b in bias])
        self.size, self.bias_size = [[abs(w) + 1 for w in row] for row in rows], [abs(b) + 1 << UP for b in bias]
        self.reach, self.most = max(map(sum, self.size), default=0), max(map(abs, bias), default=0) << 40
        self.lanes, self.sizes, self.slack = struct.Struct("<" + "5xq" * self.n), None, 1

    def __call__(self, x, biased=True):
        within(self.reach * max(max(x), -min(x)) + self.most < LARGEST << 80 if x else True, "values beyond 2^22")
        total = sum(map(mul, filter(None, x), compress(self.columns, x)), self.bias if biased else 0)
        return self.lanes.unpack((total % (1 << 104 * self.n)).to_bytes(13 * self.n, "little"))

    def above(self, errors):
        """Above |W| errors, for errors below 2^22."""
        self.sizes = self.sizes or [pack(column, 26) for column in zip(*self.size, strict=True)]
        within(self.reach * max(errors, default=0) < 1 << 207, "errors beyond 2^22")
        total, more = sum(map(mul, errors, self.sizes)).to_bytes(26 * self.n, "little"), self.slack * sum(errors)
        return [(int.from_bytes(total[i : i + 26], "little") + more >> 40) + 1 for i in range(0, 26 * self.n, 26)]

    def after(self, other):
        """This one's product with another; `slack` over 2^40 is what rounding took from each entry."""
        if other not in self.images:
            columns = [self(column, False) for column in zip(*other.rows, strict=True)]
            image = self.images[other] = Matrix(list(zip(*columns, strict=True)) or [()] * self.n)
            image.slack = (self.reach + other.turned().reach >> 40) + 3
        return self.images[other]

    def turned(self):
        if None not in self.images:
            self.images[None] = Matrix(list(zip(*self.rows, strict=True)))
        return self.images[None]


def exp(x):
    """exp(x / 2^40) over 2^100 for x <= 0, off by less than 2^-60: (1 + z + z^2 / 2 + ...)^1024, z = x / 1024."""
    if x < -64 * ONE:
        return 0
    z, power, total = x << 78, 1 << 128, 1 << 128
    for k in range(1, 16):
        power = (power * z >> 128) // k
        total += power
    for _ in range(10):
        total = total * total >> 128
    return total >> 28


def gelu(x):
    """Tanh-GELU and its slope, over 2^40 and off by less than 2^-36; beyond 16 it is within 2^-100 of 0 or x."""
    if abs(x) >= 16 * ONE:
        return (x, ONE) if x > 0 else (0, 0)
    inner = ROOT * (x + (CUBIC * x**3 >> 144)) >> 64
    power = exp(-2 * abs(inner))
    tanh = (((1 << 100) - power << 40) // ((1 << 100) + power)) * (1 if x > 0 else -1)
    steep = ROOT * (ONE + (3 * CUBIC * x * x >> 104)) >> 64
    return x * (ONE + tanh) >> 41, ONE + tanh + ((ONE * ONE - tanh * tanh) * x * steep >> 120) >> 1


def read_net(weights, p):
    """A decoder (blocks of q, k, v, o, w_in, w_out) or a perceptron (blocks of w_in alone)."""
    about, seen = parse(weights.meta["net"]), set()
    need(about["kind"] in KEYS, f"a net of kind {about['kind']!r}")
    need(KEYS[about["kind"]] - LATER <= set(about) <= KEYS[about["kind"]], "its settings are not those of its kind")
    net = SimpleNamespace(**{**DEFAULTS, **about, "p": p})
    need(all(same(about.get(key, p), p) for key in ("p", "n_left", "n_right", "n_answers")), "its p")
    need(not net.pre_norm and net.activation in ("relu", "gelu_tanh"), "LayerNorm, or its activation")
    flags = (net.operator, net.equals, net.causal, net.attention_bias, net.bias)
    need(all(type(flag) is bool for flag in flags), "a switch is neither true nor false")

    def size(value, least=1):
        need(is_int(value, least, MOST_SIZE + 1), f"a size is {value!r}")
        return value

    def fixed(value):
        within(abs(value) < LARGEST, "a weight beyond 2^22")
        return int(value * 2.0**40)

    def tensor(name, *shape):
        seen.add(name)
        return weights.table(name, *shape, convert=fixed)

    def alive(name, d_out, d_in, bias):
        """A unit without weights into it and without a bias is 0 on every input, in float32 too: it is left out."""
        biases = weights.table(f"{name}.bias", d_out, convert=bool) if bias else [False] * d_out
        return [
            any(row) or b
            for row, b in zip(weights.table(f"{name}.weight", d_out, d_in, convert=bool), biases, strict=True)
        ]

    def linear(name, d_out, d_in, bias, twice=1, live=None, read=None):
        """Of the units of it that are `live`, from those of the layer before that it is to `read` (None: all)."""
        rows = [list(compress(row, read)) if read else row for row in tensor(f"{name}.weight", d_out, d_in)]
        biases = tensor(f"{name}.bias", d_out) if bias else [0] * d_out
        chosen = live or [True] * d_out
        return Matrix([row * twice for row in compress(rows, chosen)], list(compress(biases, chosen)))

    if net.kind == "mlp":
        d, side_by_side = size(net.d_embed), net.combine == "concatenate"
        need(side_by_side or net.combine == "sum", "how it combines")
        net.left, net.right = tensor("embed_left.weight", p, d), tensor("embed_right.weight", p, d)
        d, net.blocks, read = d * (1 + side_by_side), [], None
        for i, width in enumerate(net.widths):
            layer = f"layers.{i}.linear", size(width), d, net.bias
            live, twice = alive(*layer), 1 if i or side_by_side else 2
            d, net.blocks, read = width, [*net.blocks, {"w_in": linear(*layer, twice, live, read)}], live
    else:
        d, width, hidden = size(net.d_model), size(net.n_heads, 0) * size(net.d_head), size(net.d_mlp, 0)
        need(type(net.softmax_share) in (int, float) and 0 <= net.softmax_share <= 1, "softmax_share")
        net.share, extra, net.blocks = int(net.softmax_share * 2.0**64), net.equals + net.operator, []
        net.embed, net.pos = tensor("embed.weight", p + extra, d), tensor("pos.weight", 2 + extra, d)
        deep = net.kind == "deep_transformer"
        for i in range(size(net.n_layers)):
            attn, mlp = (f"blocks.{i}.attn.", f"blocks.{i}.") if deep else ("attn.", "mlp.")
            block = {name: linear(attn + name, width, d, net.attention_bias) for name in "qkv"}
            live = alive(f"{mlp}w_in", hidden, d, True)
            block |= {
                "o": linear(f"{attn}o", d, width, net.attention_bias),
                "w_in": linear(f"{mlp}w_in", hidden, d, True, live=live),
            }
            net.blocks.append({**block, "w_out": linear(f"{mlp}w_out", d, hidden, True, read=live)})
        read = None
    net.unembed = linear("unembed", p, d, False, read=read)
    need(
        net.blocks and seen == set(weights.tensors),
        f"no layer, or unknown tensors {sorted(set(weights.tensors) - seen)[:3]}",
    )
    parts = [sum(m.n * 500 for m in block.values()) for block in net.blocks]
    work = weights.size + 300 * weights.start + sum(parts) + 10**4 * len(net.blocks) * getattr(net, "n_heads", 1)
    places = 1 if net.kind == "mlp" or len(net.blocks) == 1 else len(net.pos)
    within(p * p * work * places < MOST_WORK, "too large to check")
    widest = max(m.n for block in net.blocks for m in block.values())
    images = len(net.blocks) ** 2 * len(net.unembed.columns) ** 2 * max(widest, len(net.unembed.columns)) * 13
    within(net.kind == "mlp" or images < MOST_WORK, "too large to check")
    return net


class Forward:
    """Logits of inputs, the least and the largest of every intermediate number, and what was computed by symbol.

    An input whose numbers grow beyond the limits is `Coarse`, and leaves no trace in the ranges of the others.
    """

    def __init__(self, net):
        self.net, self.low, self.high, self.known, self.notes = net, {}, {}, {}, []

    def note(self, i, name, x):
        """The vector `name` of layer i, to be taken into account where the input comes to its logits."""
        self.notes.append((i, name, x))
        return x

    def take(self, i, name, x):
        low, high = self.low.get((i, name), x), self.high.get((i, name), x)
        self.low[i, name] = [v if v < w else w for v, w in zip(x, low, strict=True)]
        self.high[i, name] = [v if v > w else w for v, w in zip(x, high, strict=True)]

    def apply(self, i, name, source, x, key=None):
        """A block's matrix applied to x, which is a value of `source`; computed once for each `key`."""
        if key is None:
            return self.note(i, name, self.net.blocks[i][name](self.note(i, source, x)))
        if (name, key) not in self.known:
            self.known[name, key] = self.net.blocks[i][name](x)
            self.take(i, source, x)
            self.take(i, name, self.known[name, key])
        return self.known[name, key]

    def hidden(self, i, x):
        pre = self.apply(i, "w_in", "x", x)
        return [v if v > 0 else 0 for v in pre] if self.net.activation == "relu" else [gelu(v)[0] for v in pre]

    def logits(self, a, b):
        self.notes = []
        logits = self.evaluate(a, b)
        for note in self.notes:
            self.take(*note)
        return logits

    def evaluate(self, a, b):
        net = self.net
        if net.kind == "mlp":
            x = net.left[a] + net.right[b]
            for i in range(len(net.blocks)):
                x = self.hidden(i, x)
            return net.unembed(x)
        tokens = [a] + [net.p + net.equals] * net.operator + [b] + [net.p] * net.equals
        xs = [list(map(int.__add__, net.embed[t], net.pos[j])) for j, t in enumerate(tokens)]
        for i, block in enumerate(net.blocks):
            keys = [(t, j) if i == 0 else None for j, t in enumerate(tokens)]
            after = []
            for j in [len(xs) - 1] if i + 1 == len(net.blocks) else range(len(xs)):
                z = self.attention(i, xs, j, keys)
                mid = [v + w for v, w in zip(xs[j], block["o"](z), strict=True)]
                out = block["w_out"](self.hidden(i, mid))
                after.append(self.note(i, "after", [v + w for v, w in zip(mid, out, strict=True)]))
            xs = after
        return net.unembed(xs[-1])

    def attention(self, i, xs, j, keys):
        """z at position j; `swing` is sum_t A_t (1 - A_t) / 2 of a head times the range of its values, `spread` the
        largest difference of its scores."""
        net, z, swing, spread = self.net, [], [], []
        seen = range(j + 1 if net.causal else len(xs))
        vs = [self.apply(i, "v", "in", xs[t], keys[t]) for t in seen]
        if not net.softmax_share:  # every weight is 1; scores are multiplied by 0, and far from float32's overflow
            within(all(max(max(xs[t]), -min(xs[t])) < LARGEST << 40 for t in seen), "values beyond 2^22")
            return self.note(i, "z", list(map(sum, zip(*vs, strict=True))))
        q = self.apply(i, "q", "in", xs[j], keys[j])
        ks = [self.apply(i, "k", "in", xs[t], keys[t]) for t in seen]
        root = isqrt((1 << 120) // net.d_head)
        for h in range(0, len(q), net.d_head):
            head = slice(h, h + net.d_head)
            scores = [sum(map(mul, q[head], k[head])) * root >> 100 for k in ks]
            top = max(scores)
            within(max(top, -min(scores)) < ONE << 16, "scores beyond 2^16")
            powers = [exp(s - top) for s in scores]
            total = sum(powers)
            weights = [(power << 40) // total for power in powers]
            loose = sum(w * (ONE - w) for w in weights) >> 41
            weights = [w * net.share + ((1 << 64) - net.share) * ONE >> 64 for w in weights]
            columns = list(zip(*(v[head] for v in vs), strict=True))
            z += [sum(map(mul, weights, column)) >> 40 for column in columns]
            swing += [(max(column) - min(column)) * loose >> 40 for column in columns]
            spread.append(top - min(scores))
        self.note(i, "swing", swing)
        self.note(i, "spread", spread)
        return self.note(i, "z", z)


class Errors:
    """Bounds, over 2^100, of |computed - exact| for every input that `forward` has seen.

    Computed: by float32 in any order of summation, or only (float32 = False) by the integers of this file. A sum of n
    terms is off by n u / (1 - n u) sum |terms|, u = 2^-24, and FLOOR. The stream's error is kept as a box of its own
    and as images of boxes by the matrices that wrote them: a reader R sees |R M| box, not |R| |M| box.
    """

    def __init__(self, forward, float32):
        self.net, self.forward, self.float32 = forward.net, forward, float32

    def made(self, terms, sizes, inputs=()):
        floor = FLOOR + (sum(inputs) >> 40)
        return [(terms * s // ((1 << 24) - terms) + 1 if self.float32 else 0) + floor for s in sizes]

    def size(self, i, name, error):
        """Above |computed| and |exact|."""
        ends = zip(self.forward.low[i, name], self.forward.high[i, name], error, strict=True)
        return [(max(-low, high) << UP) + 2 * e for low, high, e in ends]

    def read(self, i, name, reader, stream):
        """A layer's reading of the stream `name`: the error it carries over and that which it makes."""
        own, parts, total = stream
        carried = add(reader.above(own), *(reader.after(m).above(box) for m, box in parts))
        size = self.size(i, name, total)
        return carried, self.made(len(size) + 1, add(reader.above(size), reader.bias_size), size)

    def write(self, i, name, stream, linear, sizes, box):
        """The stream `name` = stream + linear(x), for |x| <= sizes and the error box of x."""
        own, parts, total = stream
        made = self.made(len(box) + 1, add(linear.above(sizes), linear.bias_size), sizes)
        total = add(total, made, linear.above(box))
        rounding = self.made(1, self.size(i, name, total))
        return add(own, made, rounding), [*parts, (linear, box)], add(total, rounding)

    def attention(self, i, block, stream):
        """The error of z, and above |z|."""
        net, seen = self.net, 2 + self.net.equals + self.net.operator
        if not net.softmax_share:
            ev = add(*self.read(i, "in", block["v"], stream))
            v = self.size(i, "v", ev)
            error = add([seen * e for e in ev], self.made(seen + 4, [seen * size for size in v], v))
            return error, self.size(i, "z", error)
        errors = {name: add(*self.read(i, "in", block[name], stream)) for name in "qkv"}
        (eq, q), (ek, k), (ev, v) = ((e, self.size(i, name, e)) for name, e in errors.items())
        root, worst = isqrt((1 << 80) // net.d_head) + 1, 0
        for h in range(0, len(q), net.d_head):
            head = slice(h, h + net.d_head)
            moved = sum(map(mul, q[head], ek[head])) + sum(map(mul, eq[head], k[head])) >> 100
            (made,) = self.made(net.d_head + 4, [(sum(map(mul, q[head], k[head])) >> 100) + 1])
            worst = max(worst, ((moved + made) * root >> 40) + FLOOR)
        spread = [s + 4 * worst for s in self.size(i, "spread", [0] * net.n_heads)]
        t = 2 * (worst + max(self.made(1, spread), default=0))
        rho = t + (t * t >> 100) + 1
        within(rho < ONE << UP - 2, "a softmax may be off by a quarter")
        (rounding,) = self.made(seen + 2 * LIBM + 10, [(ONE << UP) + rho])
        (shared,) = self.made(4, [(ONE << UP) + rho + rounding])
        weights = (ONE << UP) + (seen - 1) * (((1 << 64) - net.share) << 36) + seen * (rho + rounding + shared)
        error = []
        for swing, size, e in zip(self.size(i, "swing", [FLOOR] * len(v)), v, ev, strict=True):
            loose = swing + seen * ((rho + rounding) * 2 * size + (ONE << UP) * e >> 100)
            error.append((rho * loose + weights * e + seen * (rounding + shared) * size >> 100) + 1)
        error = add(error, self.made(seen + 1, [(weights * size >> 100) + 1 for size in v], v))
        return error, self.size(i, "z", error)

    def hidden(self, i, stream):
        """Of the activations: slopes, their error, that part of it that the slopes do not carry, and size."""
        carried, made = self.read(i, "x", self.net.blocks[i]["w_in"], stream)
        error, slopes = add(carried, made), []
        lows, highs, size = self.forward.low[i, "w_in"], self.forward.high[i, "w_in"], self.size(i, "w_in", error)
        for low, high, e in zip(lows, highs, error, strict=True):
            low, high = (low << UP) - 2 * e, (high << UP) + 2 * e
            if self.net.activation == "relu":
                slopes.append((0, 0) if high <= 0 else (ONE, 0) if low >= 0 else (ONE // 2, ONE // 2))
            else:  # |gelu''| < 1, and the slope lies in (-.2, 1.2)
                wide = (high - low >> UP) + (1 << 12)
                slopes.append((gelu(low >> UP)[1], wide) if wide < ONE // 2 else (ONE // 2, ONE * 3 // 4))
        late = [0] * len(error) if self.net.activation == "relu" else self.made(LIBM, size)
        after = [((abs(c) + w) * e >> 40) + 1 + own for (c, w), e, own in zip(slopes, error, late, strict=True)]
        before = [(w * e + (abs(c) + w) * m >> 40) + 1 for (c, w), e, m in zip(slopes, carried, made, strict=True)]
        return [c for c, _ in slopes], after, add(before, late), size

    def stream(self):
        """What the last w_in reads: the error of its own, the images in it, and above the sum of them."""
        net = self.net
        if net.kind == "mlp":
            own = [1 << UP] * len(self.forward.low[0, "x"])
            for i in range(len(net.blocks) - 1):
                own = self.hidden(i, (own, [], own))[1]
            return own, [], own
        own = self.made(1, self.size(0, "in", [1 << UP] * len(net.pos[0])))
        stream = own, [], own
        for i, block in enumerate(net.blocks):
            z, sizes = self.attention(i, block, stream)
            stream = self.write(i, "x", stream, block["o"], sizes, z)
            if i + 1 < len(net.blocks):
                _, error, _, sizes = self.hidden(i, stream)
                stream = self.write(i, "after", stream, block["w_out"], sizes, error)
        return stream

    def leads(self, top=None, others=()):
        """Bounds of the error of logit top - logit c for each c of others; without a top, one for any two logits.

        An error e of what the last layer reads, d of its pre-activations and f of its output moves logits by
        (U + C D W_in) e + C D' d + U f with C = U W_out and slopes D: here rows of these matrices are subtracted.
        """
        net, i = self.net, len(self.net.blocks) - 1
        stream = own, parts, _ = self.stream()
        centre, error, from_pre, size = self.hidden(i, stream)
        w_in, w_out, u = net.blocks[i]["w_in"].turned(), net.blocks[i].get("w_out"), net.unembed
        chosen, hidden = range(net.p) if top is None else [top, *others], u.after(w_out) if w_out else u
        c_rows = [hidden.rows[c] for c in chosen]
        u_rows = [u.rows[c] for c in chosen]
        sloped = [[d * w >> 40 for d, w in zip(centre, row, strict=True)] for row in c_rows]
        rows = [w_in(row, False) if row else [0] * len(own) for row in sloped]
        tables = [(c_rows, from_pre, hidden.slack)]
        if w_out:
            rows = [add(x, y) for x, y in zip(rows, u_rows, strict=True)]
            after, _, total = self.write(i, "after", stream, w_out, size, error)
            tables.append((u_rows, [x - y for x, y in zip(after, own, strict=True)], 1))
            size = self.size(i, "after", total)
        lost = 2 * (hidden.slack + 1) * ((w_in.reach >> 40) + 2) + 2 * (hidden.reach >> 40) + 4
        tables.append((rows, own, lost))
        longest = max(sum(map(abs, row)) for row in rows) >> 40
        for m, box in parts:
            turned = m.turned()
            tables.append(([turned(row, False) for row in rows], box, lost * ((turned.reach >> 40) + 2) + longest + 2))
        sums = u.above(size)
        read = self.made(len(size) + 1, [sums[c] for c in chosen], size)
        if top is None:
            total = 2 * max(read)
            for rows, box, lost in tables:
                gaps = [max(column) - min(column) + 2 * lost for column in zip(*rows, strict=True)]
                total += (sum(map(mul, gaps, box)) >> 40) + 1
            return [total]
        totals = [read[0] + r for r in read[1:]]
        for (first, *rest), box, lost in tables:
            for n, row in enumerate(rest):
                totals[n] += (sum(map(mul, map(abs, map(sub, first, row)), box)) + 2 * lost * sum(box) >> 40) + 1
        return totals


def bounds(forward, float32, top=None, others=()):
    """As `Errors.leads`; above every lead where the errors grow too large to be bounded."""
    try:
        return Errors(forward, float32).leads(top, others)
    except Coarse:
        return [LARGEST << 1 + 40 + UP] * max(len(others), 1)


class Evaluation:
    """A trained or pruned net on every input of a task: answers, UNSURE where none is certain, and how far they lead.

    `lost` has by input what the integers of this file (False), and what float32 (True) can change in the difference of
    two logits: one bound for all inputs, and where a lead is not above it those of fewer inputs, then of it alone.
    `open` says of an input that is UNSURE why.
    """

    def __init__(self, weights, task):
        self.net, self.p, self.answers = read_net(weights, task.p), task.p, dict.fromkeys(task.right, UNSURE)
        self.forward, self.leads, self.tops, self.open = Forward(self.net), {}, {}, {}
        for pair in task.right:
            try:
                logits = self.forward.logits(*pair)
            except Coarse as error:
                self.open[pair] = str(error)
                continue
            first, second = sorted(logits)[:-3:-1]
            self.tops[pair], self.leads[pair] = logits.index(first), first - second << UP
        self.lost = {False: dict.fromkeys(self.leads, *bounds(self.forward, False)) if self.leads else {}}
        close = self.narrowed(False)
        self.open |= dict.fromkeys(close, "its lead is within what the checker's integers lose")
        for pair, top in self.tops.items():
            self.answers[pair] = UNSURE if pair in self.open else top
        for pair in close[:MOST_CLOSE]:
            self.settle(pair)

    def room(self, pair, float32):
        return self.lost[False][pair] + (self.lost[True][pair] if float32 else 0)

    def close(self, float32):
        """The inputs whose lead is not above the bounds."""
        return [pair for pair, lead in self.leads.items() if lead <= self.room(pair, float32)]

    def narrowed(self, float32):
        """The same after bounds of fewer inputs at once: a p-th of all where too many are close, then CHUNK."""
        if len(self.close(float32)) > MOST_CLOSE:
            self.narrow(self.close(float32), self.p, float32)
        if not float32 or len(self.close(float32)) <= MOST_CLOSE:
            self.narrow(self.close(float32)[:MOST_CLOSE], CHUNK, float32)
        return self.close(float32)

    def narrow(self, pairs, size, float32):
        for i in range(0, len(pairs), size):
            together = Forward(self.net)
            for pair in pairs[i : i + size]:
                together.logits(*pair)
            (bound,) = bounds(together, float32)
            for pair in pairs[i : i + size]:
                self.lost[float32][pair] = min(bound, self.lost[float32][pair])

    def alone(self, pair, float32):
        """Whether the largest logit leads each other by more than the bounds of this input alone."""
        forward, room, exact = Forward(self.net), self.room(pair, float32), self.lost[False][pair]
        logits, top = forward.logits(*pair), self.tops[pair]
        leads = {c: logits[top] - v << UP for c, v in enumerate(logits) if c != top}
        others = [c for c, lead in leads.items() if lead <= room]
        rounded = bounds(forward, True, top, others) if float32 else [0] * len(others)
        if all(leads[c] > exact + bound for c, bound in zip(others, rounded, strict=True)):
            return True
        exactly = bounds(forward, False, top, others)
        return all(leads[c] > e + bound for c, e, bound in zip(others, exactly, rounded, strict=True))

    def settle(self, pair):
        """The answer to one input, by bounds of it alone where those of others left it open."""
        if pair in self.open.keys() & self.leads.keys() and self.alone(pair, False):
            self.answers[pair] = self.tops[pair]
            del self.open[pair]

    def unchanged(self):
        """That float32 gives the same on every input."""
        first = min(self.open, default=None)
        within(not self.open, f"no answer is certain on {len(self.open)} inputs, first a, b = {first}")
        if True not in self.lost:
            self.lost[True] = dict.fromkeys(self.leads, *bounds(self.forward, True))
        close = self.narrowed(True)
        within(len(close) <= MOST_CLOSE, f"float32 may change an answer: {len(close)} inputs are close")
        for pair in close:
            within(self.alone(pair, True), f"float32 may change an answer, first a, b = {pair}")


# --- recurrent nets: h = relu(left + right + W state), state' = clip(V h + bias, 0, 1), logits = unembed h + bias

GRID_BITS, MOST_STATES, LONGEST_STREAM, MOST_TREE, DEEPEST = 20, 64, 1000, 2048, 64
GRID = 1 << GRID_BITS


class Recurrent:
    """The weights times 2^k as integers, and the bounds that the induction rests on.

    Boxes are in units of 2^-GRID_BITS, hidden values of 2^-(k + GRID_BITS), outputs of 2^-(2 k + GRID_BITS): integers.
    """

    def __init__(self, weights, task):
        about, self.k = parse(weights.meta["net"]), weights.k
        keys(about, {"kind", "n_left", "n_right", "n_answers", "n_state", "n_hidden", "tied"}, "net: its header")
        need(about["kind"] == "recurrent" and type(about["tied"]) is bool, "net: not a recurrent net")
        need(all(same(about[name], task[name]) for name in ("n_left", "n_right", "n_answers")), "net: of another size")
        n_state, n_hidden = about["n_state"], about["n_hidden"]
        need(is_int(n_state, 1, MOST_SIZE) and is_int(n_hidden, 1, MOST_SIZE), "net: its size")
        shapes = {
            "embed_left.weight": (task["n_left"], n_hidden),
            "embed_right.weight": (task["n_right"], n_hidden),
            "state_in.weight": (n_hidden, n_state),
            "state_out.weight": (n_state, n_hidden),
            "state_out.bias": (n_state,),
            "unembed.weight": (task["n_answers"], n_hidden),
            "unembed.bias": (task["n_answers"],),
        }
        if about["tied"]:
            del shapes["embed_right.weight"]
        need(set(weights.tensors) == set(shapes), "net: its tensors")
        table = {name: weights.table(name, *shape) for name, shape in shapes.items()}
        self.left, self.state_in = table["embed_left.weight"], table["state_in.weight"]
        self.right = table.get("embed_right.weight", self.left)
        self.next = list(zip(table["state_out.weight"], table["state_out.bias"], strict=True))
        self.outputs = list(zip(table["unembed.weight"], table["unembed.bias"], strict=True))
        self.work = n_hidden * (n_state + 20) * (task["n_answers"] + 2 * n_state + 4)
        most = max(abs(w) for row, bias in self.outputs + self.next for w in [*row, bias])
        self.may_overflow = most >= OVERFLOW << self.k

    def run(self, stream):
        """The answer at every step, None where the largest logit is shared; exactly, states over 2^g."""
        within(len(stream) ** 2 * (self.k + 30) * self.work < 100 * MOST_WORK, "counterexample: too long to replay")
        state, answers, k, g = [0] * len(self.next), [], self.k, 0
        for a, b in stream:
            rows = zip(self.left[a], self.right[b], self.state_in, strict=True)
            hidden = [max(0, (x + y << g) + dot(row, state)) for x, y, row in rows]
            logits = [dot(row, hidden) + (bias << k + g) for row, bias in self.outputs]
            answers.append(logits.index(max(logits)) if logits.count(max(logits)) == 1 else None)
            raw, g = [dot(row, hidden) + (bias << k + g) for row, bias in self.next], g + 2 * k
            state = [min(max(value, 0), 1 << g) for value in raw]
            while g and not any(value & 1 for value in state):
                state, g = [value >> 1 for value in state], g - 1
        return answers

    def units(self, a, b, box):
        """Constant, slopes, least and largest pre-activation of every hidden unit over a box."""
        for x, y, row in zip(self.left[a], self.right[b], self.state_in, strict=True):
            constant = x + y << GRID_BITS
            yield constant, row, constant + least(row, box), constant - least([-w for w in row], box)

    def lower(self, weights, bias, units, box):
        """A lower bound of bias + sum_i w_i relu(c_i + v_i s) over a box."""
        total, slopes = bias << self.k + GRID_BITS, [0] * len(box)
        for w, (constant, row, low, high) in zip(weights, units, strict=True):
            if high <= 0 or w == 0:  # off: 0 everywhere
                continue
            if low >= 0 or (w > 0 and high > -low):  # on; or relu(x) >= x
                total, slopes = total + w * constant, [s + w * v for s, v in zip(slopes, row, strict=True)]
            elif w < 0:  # relu(x) <= high, and otherwise relu(x) >= 0
                total += w * high
        return total + least(slopes, box)

    def rounding(self, a, b, box):
        """Bounds of the float32 error of any logit and any next state; None where float32 might overflow."""
        scale, highs, zeros = self.k + GRID_BITS, [high for _, high in box], [0] * len(box)
        rows = zip(self.left[a], self.right[b], self.state_in, strict=True)
        n, m = len(box) + 3, len(self.state_in) + 2
        hidden = [float32_sum(n, row, highs, zeros, abs(x) + abs(y) << GRID_BITS, scale) for x, y, row in rows]
        if self.may_overflow or max(hidden)[0] >= OVERFLOW << scale:
            return None
        sizes, errors = zip(*hidden, strict=True)
        return [
            max(float32_sum(m, w, sizes, errors, abs(v) << scale, scale + self.k)[1] for w, v in rows)
            for rows in (self.outputs, self.next)
        ]

    def leaf(self, a, b, box, answer, target):
        """Whether over a box the answer leads and the next state lies in the target; and so with room for float32."""
        units, (first, c) = list(self.units(a, b, box)), self.outputs[answer]
        others = [output for i, output in enumerate(self.outputs) if i != answer]
        leads = [self.lower(list(map(sub, first, second)), c - d, units, box) for second, d in others]
        rooms = []
        for (weights, bias), (low, high) in zip(self.next, target, strict=True):
            if low > 0:
                rooms.append(self.lower(weights, bias, units, box) - (low << 2 * self.k))
            if high < GRID:
                rooms.append((high << 2 * self.k) + self.lower([-w for w in weights], -bias, units, box))
        errors = self.rounding(a, b, box)
        floats = errors is not None and min(leads) > 2 * errors[0] and all(room > errors[1] for room in rooms)
        return min(leads) > 0 and all(room >= 0 for room in rooms), floats

    def over_tree(self, a, b, box, answer, target, tree):
        """The same over the leaves of a split tree, "." for a leaf, a side and two subtrees for a node."""
        exact, floats, todo = True, True, [(box, 0)]
        for token in tree:
            need(todo, "steps: a tree goes on after its end")
            box, depth = todo.pop()
            if token == ".":
                here = self.leaf(a, b, box, answer, target)
                exact, floats = exact and here[0], floats and here[1]
                if not (exact or floats):
                    return False, False
                continue
            side = int(token, 36)
            need(side < len(box) and depth < DEEPEST, "steps: a tree splits a side that is not there, or too often")
            low, high = box[side]
            middle = (low + high) // 2  # any point between would do
            todo.append(([*box[:side], (middle, high), *box[side + 1 :]], depth + 1))
            todo.append(([*box[:side], (low, middle), *box[side + 1 :]], depth + 1))
        need(not todo, "steps: a tree ends too early")
        return exact, floats

    def induction(self, evidence, machine):
        """Whether the regions, one for each state of the machine, prove the exact claim, and that of float32."""
        need(same(evidence["grid_bits"], GRID_BITS), f"grid_bits: not {GRID_BITS}")
        (following, answers), regions = machine, []
        for entry in evidence["regions"]:
            keys(entry, {"low", "high"}, "regions")
            need(len(entry["low"]) == len(entry["high"]) == len(self.next), "regions: their dimension")
            regions.append(list(zip(entry["low"], entry["high"], strict=True)))
            need(all(is_int(v, 0, GRID + 1) for side in regions[-1] for v in side), "regions: a border beyond 0 and 1")
            need(all(low <= high for low, high in regions[-1]), "regions: one is empty")
        need(len(regions) == len(following), "regions: not one for each state of the machine")
        need(all(low == 0 for low, _ in regions[0]), "regions: the initial state is not in region 0")
        steps = {(q, a, b): (how, tree) for q, a, b, how, tree in evidence["steps"]}
        every = {(q, a, b) for q, rows in enumerate(following) for a, row in enumerate(rows) for b in range(len(row))}
        need(len(steps) == len(evidence["steps"]) and set(steps) == every, "steps: not each of them once")
        need(all(type(v) is int for step in steps for v in step), "steps: no whole numbers")
        for how, tree in steps.values():
            need(how in ("bounds", "z3") and re.fullmatch(r"[.0-9a-z]{1,2047}", tree), f"steps: {how!r}, {tree[:20]!r}")
            need(how != "bounds" or tree == ".", "steps: bounds need no tree")
        work = sum(len(tree) for _, tree in steps.values()) * self.work
        within(work < MOST_WORK // 50, "steps: too many to check")
        exact = floats = True
        for (q, a, b), (_, tree) in steps.items():
            target = regions[following[q][a][b]]
            here = self.over_tree(a, b, regions[q], answers[q][a][b], target, tree)
            exact, floats = exact and here[0], floats and here[1]
        return exact, floats


def least(weights, box):
    """The least of sum_j w_j s_j over a box."""
    return sum(w * (low if w > 0 else high) for w, (low, high) in zip(weights, box, strict=True))


# --- machines: following[q][a][b] and answers[q][a][b], from state 0


def read_machine(entry, task, name):
    keys(entry, {"following", "answers"}, name)
    n = len(entry["following"])
    need(0 < n <= MOST_STATES and len(entry["answers"]) == n, f"{name}: not 1 to {MOST_STATES} states")
    for table, most in ((entry["following"], n), (entry["answers"], task["n_answers"])):
        for rows in table:
            shape = len(rows) == task["n_left"] and all(len(row) == task["n_right"] for row in rows)
            need(shape and all(is_int(v, 0, most) for row in rows for v in row), f"{name}: its shape, or an entry")
    return entry["following"], entry["answers"]


def is_adder(machine, carries, base):
    """answer + base * next carry = a + b + carry in every state; no carry at the start, nor after a place of zeros."""
    following, answers = machine
    need(len(carries) == len(following) and all(is_int(c, 0, base) for c in carries), "carries: their number or values")
    places = [(q, a, b) for q in range(len(following)) for a in range(base) for b in range(base)]
    sums = all(answers[q][a][b] + base * carries[following[q][a][b]] == a + b + carries[q] for q, a, b in places)
    return sums and carries[0] == 0 and all(carries[rows[0][0]] == 0 for rows in following)


def same_machines(one, other):
    """Whether two machines give the same answers to every stream: pairs of states reached together are compared."""
    reached, seen = [(0, 0)], {(0, 0)}
    for q, r in reached:
        if one[1][q] != other[1][r]:
            return False
        for after in zip(chain(*one[0][q]), chain(*other[0][r]), strict=True):
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
    digits = range(base)
    return [[[[divmod(a + b + c, base)[part] for b in digits] for a in digits] for c in (0, 1)] for part in (0, 1)]


def numeral(digits):
    """Digits, least significant first, as written; None is a question mark."""
    symbols = ["?" if digit is None else "0123456789abcdef"[digit] for digit in reversed(digits)]
    return "".join(symbols).lstrip("0") or "0"


# --- the claims on pairs

SIGNS = {"addition": 1, "subtraction": -1}
ARITHMETIC = {  # what stands for it in a name, and in an equation
    "addition": ("a + b", "{a} + {b}"),
    "subtraction": ("a - b", "{a} - {b}"),
    "multiplication": ("a * b", "{a} * {b}"),
    "division": ("a / b", "{a} / {b}"),
    "quadratic_form": ("a^2 + ab + b^2", "{a}^2 + {a} * {b} + {b}^2"),
}
DEGREES = {factorial(n): n for n in range(2, 7)}


class Operation:
    """An operation on symbols below p: by input (a, b) the right answer, which is the domain as well; and its words.

    Division is mod a prime, by every b but 0. Composition is that of all p = n! permutations of n things, numbered in
    lexicographic order: (a o b)(i) = a(b(i)).
    """

    def __init__(self, operation, p):
        need(is_int(p, 2, LARGEST_P + 1), "task: its p")
        need(operation in ("composition", *ARITHMETIC), "task: its operation")
        self.p, last, symbols = p, p - 1, range(p)
        self.domain, self.within = f"a, b in 0..{last}", f"(mod {p})"
        if operation == "composition":
            need(p in DEGREES, "task: its p is no number of permutations")
            n, self.question = DEGREES[p], "{a} o {b}"
            self.name, self.within = f"a o b in S{n}", f"in S{n}"
            self.header = {"name": "permutation", "n": n}
            self.domain += " (permutations in lexicographic order)"
            every = list(permutations(range(n)))
            number = {permutation: i for i, permutation in enumerate(every)}
            products = [[number[tuple(x[i] for i in y)] for y in every] for x in every]
            self.right = {(a, b): products[a][b] for a in symbols for b in symbols}
            return
        symbol, self.question = ARITHMETIC[operation]
        self.name, self.header = f"({symbol}) mod {p}", {"name": "modular", "operation": operation, "p": p}
        if operation == "division":
            need(all(p % d for d in range(2, p)), "task: its p is no prime")
            self.domain = f"a in 0..{last}, b in 1..{last}"
            self.right = dict(sorted(((b * c % p, b), c) for c in symbols for b in symbols if b))
            return
        of = {
            "addition": lambda a, b: a + b,
            "subtraction": lambda a, b: a - b,
            "multiplication": lambda a, b: a * b,
            "quadratic_form": lambda a, b: a * a + a * b + b * b,
        }[operation]
        self.right = {(a, b): of(a, b) % p for a in symbols for b in symbols}


class Pairs:
    """A chain of subjects, each compared with the one before it on all inputs of an operation."""

    def __init__(self, task, subjects, data, made=None):
        keys(task, {"kind", "operation", "p", "name"}, "task")
        self.task, self.made = Operation(task["operation"], task["p"]), {} if made is None else made
        self.p, self.name, self.sign = self.task.p, self.task.name, SIGNS.get(task["operation"])
        need(same(task["name"], self.name), "task: its name")
        signed = {"program", *STUDENTS} & subjects
        need(self.sign or not signed, f"files: {', '.join(sorted(signed))}: of no task but addition and subtraction")
        self.chain = [subject for subject in ("program", *FORMATS) if subject in subjects]
        whole = ("program" in self.chain) == ("integer student" in self.chain) and {"program", "trained net"} & subjects
        need(whole and len(self.chain) == len(subjects), "files: no chain of what can be claimed about")
        self.data, self.weights = data, {name: Weights(data[name]) for name in data if name != "program"}
        for name, weights in self.weights.items():
            need(weights.meta["format"] == FORMATS[name], f"{name}: a file of another format")
            about = weights.meta if name in STUDENTS else parse(weights.meta["task"])
            header = {"p": str(self.p), "operation": task["operation"]} if name in STUDENTS else self.task.header
            need(same({key: about.get(key) for key in header}, header), f"{name}: of another task")

    def complete(self, claims):
        """The claims are those of the chain, and what may stand beside it."""
        links = list(zip(self.chain[1:], self.chain, strict=False))
        links += [(name, "arithmetic") for name in ("program", "trained net") if name in self.chain]
        wanted = [{"kind": "equals", "left": left, "right": right} for left, right in links]
        wanted += [{"kind": "rounding", "net": name} for name in self.chain if name in ROUNDED]
        beside = [entry["claim"] for entry in claims if entry["claim"]["kind"] in ("compact", "radius")]
        made = [entry["claim"] for entry in claims if entry["claim"]["kind"] in ("equals", "rounding")]
        need(sorted(map(canonical, made)) == sorted(map(canonical, wanted)), "claims: not those of the chain")
        need(len({claim["kind"] for claim in beside}) == len(beside), "claims: compact or radius twice")
        need(all(claim["net"] == "integer student" in self.chain for claim in beside), "claims: of another net")
        for claim in beside:
            sizes = [(claim.get("numerator", 0), 1 << 62), (claim.get("bits", 0), 65), (claim.get("right", 0), 1 << 62)]
            need(all(is_int(value, 0, most) for value, most in sizes), "claims: the radius")

    def words(self, claim):
        right = self.name if claim.get("right") == "arithmetic" else f"that of the {claim.get('right')}"
        words = {"domain": self.task.domain, "p": self.p, "pairs": len(self.task.right), "task": self.name, **claim}
        return words if claim["kind"] == "radius" else {**words, "right": right}

    def needs(self, claim):
        return {claim.get("left"), claim.get("right"), claim.get("net")} & set(self.chain)

    def method(self, kind):
        return METHODS[kind]

    def net(self, name):
        """A student or an evaluation, made once; why there is none is as well."""
        key = name, self.name, sha256(self.data[name])
        if key not in self.made:
            try:
                exact = name in STUDENTS
                weights, floats = self.weights[name], name == "student"
                made = read_student(weights, self.p, self.sign, floats) if exact else Evaluation(weights, self.task)
            except Rejected as error:
                made = error
            except Exception as error:
                made = Rejected(f"{type(error).__name__}: {error}")
            self.made[key] = made
        if isinstance(self.made[key], Rejected):
            raise self.made[key]
        return self.made[key]

    def answers(self, name):
        """By input: the answer, None where there certainly is none, UNSURE where nothing is certain."""
        if name == "arithmetic":
            return self.task.right
        if name != "program":
            found = self.net(name).answers
            return self.by_input(found) if name in STUDENTS else found
        key = name, self.name, sha256(self.data[name])
        if key not in self.made:
            self.made[key] = self.by_input(program_answers(self.data[name], self.p, self.sign))
        return self.made[key]

    def by_input(self, table):
        return {(a, b): table[a][b] for a, b in self.task.right}

    def against(self, claim):
        """The inputs on which an `equals` claim certainly fails, and those on which nothing is certain."""
        got, expected = self.answers(claim["left"]), self.answers(claim["right"])
        both = [(pair, got[pair], expected[pair]) for pair in self.task.right]
        wrong = [pair for pair, one, other in both if UNSURE not in (one, other) and (one is None or one != other)]
        return wrong, [pair for pair, *answers in both if UNSURE in answers]

    def check_equals(self, claim, entry):
        if entry["verdict"]["verdict"] == "Refuted":
            said, sides = entry["verdict"]["counterexample"], (claim["left"], claim["right"])
            for net in (self.net(name) for name in sides if name in FORMATS and name not in STUDENTS):
                net.settle((said["a"], said["b"]))
            wrong, unsure = self.against(claim)
            got, expected = map(self.answers, sides)
            try:
                equation = self.counterexample(said, got, expected, *sides)
            except Coarse as error:
                error.elsewhere = tuple(wrong)
                raise
            return f"{equation}; certainly wrong on {len(wrong)} of {len(self.task.right)} inputs, {len(unsure)} open"
        wrong, unsure = self.against(claim)
        need(not wrong, f"{len(wrong)} inputs speak against it, first a, b = {wrong[:1]}, and {len(unsure)} are open")
        within(not unsure, f"{len(unsure)} of {len(self.task.right)} inputs are open, {self.why(claim, unsure)}")
        return f"evaluated on all {len(self.task.right)} inputs"

    def why(self, claim, unsure):
        """The first of these inputs, and what a net says of it."""
        nets = [self.net(name) for name in claim.values() if name in FORMATS and name not in STUDENTS]
        return next(
            (f"first a, b = {pair}: {net.open[pair]}" for pair in unsure for net in nets if pair in net.open), ""
        )

    def counterexample(self, said, got, expected, left, right):
        keys(said, {"a", "b", "expected", "got", "equation"}, "counterexample")
        a, b = said["a"], said["b"]
        need(is_int(a, 0, self.p) and is_int(b, 0, self.p) and (a, b) in self.task.right, "counterexample: its a or b")
        answers = [expected[a, b], got[a, b]]
        within(UNSURE not in answers, "counterexample: an answer that is not certain")
        need(answers[1] is None or answers[0] != answers[1], "counterexample: it is none")
        says = ["has no one answer (a tie)" if answer is None else f"says {answer}" for answer in answers]
        equation = self.task.question.format(a=a, b=b)
        if right == "arithmetic":
            equation += f" = {answers[0]} {self.task.within}, the {left} {says[1]}"
        else:
            equation += f" {self.task.within}: the {right} {says[0]}, the {left} {says[1]}"
        need(same([said["expected"], said["got"]], answers), "counterexample: other answers")
        need(same(said["equation"], equation), "counterexample: its equation")
        return equation

    def check_compact(self, claim, entry):
        net = self.net(claim["net"])
        if entry["verdict"]["verdict"] == "Refuted":
            tables = self.answers(claim["net"]), self.answers("arithmetic")
            return self.counterexample(entry["verdict"]["counterexample"], *tables, claim["net"], "arithmetic")
        check_compact(net, entry["evidence"])
        return "residuals and margins recomputed, no logit evaluated"

    def check_rounding(self, claim, entry):
        self.net(claim["net"]).unchanged()
        return f"every lead is above what float32 can lose, on all {len(self.task.right)} inputs"

    def check_radius(self, claim, entry):
        net, truth = self.net(claim["net"]), self.answers("arithmetic")
        right = [[answer == truth[a, b] for b, answer in enumerate(row)] for a, row in enumerate(net.answers)]
        need(same(sum(map(sum, right)), claim["right"]), f"the student is right on {sum(map(sum, right))} inputs")
        need(net.safe(claim["numerator"], claim["bits"]) == right, "a smaller change changes an answer")
        return f"least lead recomputed on {claim['right']} inputs"

    def whole(self, claims, verdict):
        """The verdict on all of it follows from those of the claims, and needs no more than they do."""
        last = {"kind": "equals", "left": "trained net", "right": "arithmetic"}
        ordered = sorted(claims, key=lambda entry: entry["claim"] != last)
        chained = [entry["verdict"] for entry in ordered if entry["claim"]["kind"] == "equals"]
        float32 = [e["verdict"] for e in claims if e["claim"] == {"kind": "rounding", "net": "trained net"}]
        proved = {"verdict": "Proved", "method": " = ".join(["arithmetic", *self.chain])}
        found = [v for v in chained if v["verdict"] == "Refuted"] + [
            v for v in chained + float32 if v["verdict"] == "Unknown"
        ]
        need(same(verdict, [*found, proved][0]), "verdict: it does not follow from the claims")
        return []


# --- the claims on streams


class Streams:
    """task = machine = net, for streams of every length."""

    def __init__(self, task, subjects, data, made=None):
        keys(task, {"kind", "key", "n_answers", "n_left", "n_right", "options"}, "task")
        options, self.name, self.made = task["options"], task["key"], {} if made is None else made
        values = [str(options[name]) for name in sorted(options) if name != "name"]
        need(all(type(value) in (str, int) for value in options.values()), "task: its options")
        need(self.name == options["name"] + "_".join(values), "task: its key")
        need(all(re.fullmatch(WORD, word) for word in (self.name, *options)), f"task: a name that is no {WORD}")
        self.sizes = [task[name] for name in ("n_left", "n_right", "n_answers")]
        need(all(is_int(size, 1, 65) for size in self.sizes) and self.sizes[2] > 1, "task: its sizes")
        self.adds, self.task, self.data = options["name"] == "addition", task, data
        need(self.adds or not self.name.startswith("addition"), "task: its key is that of addition")
        if self.adds:
            keys(options, {"name", "base"}, "task: its options")
            need(is_int(options["base"], 2, 17) and same(self.sizes, [options["base"]] * 3), "task: its base")
        need({"net"} <= subjects <= {"net", "program"}, "files: not the net, and its program")
        self.subjects = subjects
        self.weights = {name: Weights(data[name]) for name in data if name == "net"}
        for weights in self.weights.values():
            need(weights.meta["format"] == "catapult-snapshot-1", "net: not a snapshot")
            need(same(parse(weights.meta["task"]), options), "net: of another task")
            self.net = Recurrent(weights, task)

    def complete(self, claims):
        """Each claim is there once, and all speak of one machine and of the task's reference."""
        by_kind = {entry["claim"]["kind"]: entry for entry in claims}
        need(len(claims) == len(by_kind) == 3, "claims: not the three")
        entry = by_kind["machine"]
        found = entry["evidence"] or entry["measured"]
        machines = [e["evidence"]["machine"] for e in claims if e["evidence"]]
        machines += [found["machine"]] if found.get("machine") is not None else []
        need(all(same(machine, machines[0]) for machine in machines), "machine: the claims have different ones")
        self.machine = read_machine(machines[0], self.task, "machine") if machines else None
        reference = found.get("reference")
        self.reference = None if reference is None else read_machine(reference, self.task, "reference")
        if self.adds:
            own = adder(self.task["options"]["base"])
            need(self.reference is None or same_machines(self.reference, own), "reference: no adder")
            self.reference = own

    def words(self, claim):
        return {"task": self.name}

    def needs(self, claim):
        return set() if claim["kind"] == "machine" else {"net"}

    def method(self, kind):
        return BY_VALUE if self.adds and kind == "machine" else METHODS[kind]

    def check_machine(self, claim, entry):
        need(self.machine is not None, "there is no machine")
        if entry["verdict"]["verdict"] == "Refuted":
            return self.counterexample(entry["verdict"]["counterexample"], "machine")
        if self.adds:
            need(is_adder(self.machine, entry["evidence"]["carries"], self.task["options"]["base"]), "it is no adder")
            return "checked in every state"
        need(entry["evidence"]["carries"] is None, "carries: not of addition")
        need(self.reference is not None, "there is no reference")
        need(same_machines(self.machine, self.reference), "it differs from its reference")
        return f"checked against the reference machine {TRUST}"

    def counterexample(self, said, who):
        """Replays a stream on the net or the machine; returns what to print."""
        keys(said, {"stream", "expected", "got", "equation"}, "counterexample")
        n_left, n_right, _ = self.sizes
        stream = said["stream"]
        need(0 < len(stream) <= LONGEST_STREAM, "counterexample: its length")
        pairs = all(len(pair) == 2 and is_int(pair[0], 0, n_left) and is_int(pair[1], 0, n_right) for pair in stream)
        need(pairs and type(said["equation"]) is str, "counterexample: its pairs, or its equation")
        got = self.net.run(stream) if who == "net" else run_machine(self.machine, stream)
        expected = said["expected"]
        known = len(expected) == len(got) and all(is_int(answer, 0, self.sizes[2]) for answer in expected)
        need(known and same(said["got"], got), "counterexample: other answers")
        need(expected != got, "counterexample: it is none")
        if self.reference is None:
            return f"the {who}'s answers to {len(stream)} pairs replayed, the right ones {TRUST}"
        need(expected == run_machine(self.reference, stream), "counterexample: other right answers")
        if not self.adds:
            return f"{len(stream)} pairs replayed in exact arithmetic, the reference machine {TRUST}"
        base = self.task["options"]["base"]
        a, b, right, wrong = map(numeral, (*zip(*stream, strict=True), expected, got))
        equation = f"{a} + {b} = {right}{'' if base == 10 else f' (base {base})'}, the {who} says {wrong}"
        need(said["equation"] == equation, "counterexample: its equation")
        return f"{equation}: replayed in exact arithmetic"

    def check_invariant(self, claim, entry):
        key = canonical(entry["evidence"]), sha256(self.data["net"])
        if key not in self.made:
            self.made[key] = self.net.induction(entry["evidence"], self.machine)
        within(self.made[key][claim["kind"] == "invariant rounding"], "the bounds do not close")
        for o in entry["obligations"]:
            if o["result"] != "unsat":
                ways = [how for q, _, _, how, _ in entry["evidence"]["steps"] if o["name"] == f"region-{q}"]
                closed = f"{ways.count('bounds')} of {len(ways)} closed by bounds"
                need(o["result"] == closed, f"{o['name']}: {closed}")
        return f"bounds recomputed for all {len(entry['evidence']['steps'])} steps"

    check_invariant_rounding = check_invariant

    def whole(self, claims, verdict):
        """Findings on the program, and on the counterexample of the whole, which is the net's own."""
        proved, found = all(entry["verdict"]["verdict"] == "Proved" for entry in claims), []
        method = "task = machine = net, in exact arithmetic and in float32"
        if verdict["verdict"] == "Refuted":
            need(not proved, "verdict: refuted, and every claim proved")
        else:
            need(type(verdict.get("reason", "")) is str, "verdict: its reason")
            needed = {"verdict": "Proved", "method": method} if proved else {**verdict, "verdict": "Unknown"}
            need(same(verdict, needed), "verdict: it does not follow from the claims")
        if "program" in self.subjects:
            found.append(self.find("program", "the machine's program", {"program"}, self.check_program))
        if verdict["verdict"] == "Refuted":
            replay = partial(self.counterexample, verdict["counterexample"], "net")
            found.append(self.find("Refuted", "net equals task", {"net"}, replay))
        return found

    def find(self, said, name, needed, check):
        return finding(said, name, needed - set(self.data), check)

    def check_program(self):
        need(self.machine is not None, "program: there is no machine for it")
        check_stream_program(self.data["program"], self.machine, self.sizes[0], self.sizes[1], self.adds)
        return "the known code with the machine's tables"


# --- what was found, claim by claim

ACCEPTED, REJECTED, COARSE, UNCHECKED, OPEN = "accepted", "rejected", "too coarse", "NOT CHECKED", "nothing to check"


class Finding(NamedTuple):
    """What the checker comes to on one claim; `missing` are the subjects whose files were not given.

    `elsewhere` are inputs on which a claim certainly fails whose counterexample is not certain.
    """

    said: str
    name: str
    state: str
    how: str
    missing: frozenset = frozenset()
    elsewhere: tuple = ()

    @property
    def stands(self):
        """Not rejected and not left open: accepted, unless it is not checked."""
        return self.state not in (REJECTED, COARSE)

    @property
    def line(self):
        return f"{self.said}: {self.name}: {self.how}"


def finding(said, name, missing, check):
    """The check of one claim. Whatever goes wrong in it speaks of that claim alone."""
    if said == "Unknown":
        return Finding(said, name, OPEN, OPEN)
    if missing:
        how = f"{UNCHECKED} ({', '.join(sorted(missing))} not given)"
        return Finding(said, name, UNCHECKED, how, frozenset(missing))
    try:
        return Finding(said, name, ACCEPTED, check())
    except Coarse as error:
        return Finding(said, name, COARSE, str(error), elsewhere=error.elsewhere)
    except Rejected as error:
        return Finding(said, name, REJECTED, str(error))
    except Exception as error:
        return Finding(said, name, REJECTED, f"{type(error).__name__}: {error}")


class Judgement(NamedTuple):
    """What the checker comes to: of each claim, in the order of the certificate, and of what stands beside them."""

    verdict: str
    claims: list
    beside: list
    formulas: int

    @property
    def findings(self):
        return [*self.claims, *self.beside]

    @property
    def refusal(self):
        """Why the certificate is not accepted, in a line; empty where it is."""
        bad = [found for found in self.findings if not found.stands]
        more = f"; and {len(bad) - 1} more" if len(bad) > 1 else ""
        return f"{bad[0].name}: said to be {bad[0].said}: {bad[0].how}{more}" if bad else ""

    @property
    def unchecked(self):
        return [found for found in self.findings if found.state == UNCHECKED]

    @property
    def on_trust(self):
        """Whether right answers are right only if the certificate's reference machine is."""
        return any(TRUST in found.how for found in self.findings)

    def lines(self):
        lines, total = [found.line for found in self.findings], len(self.findings)
        if self.formulas:
            lines.append(f"formulas: {self.formulas} files of these hashes; not read, and no solver was asked")
        doubt = f", {len(self.unchecked)} of {total} NOT CHECKED (files not given)" if self.unchecked else ""
        doubt += f", the reference machine {TRUST}" if self.on_trust else ""
        return [*lines, f"accepted: {self.verdict}{doubt}"]

    def status(self, unchecked=(), reference=False):
        """The exit status; `unchecked` are subjects that need no check, `reference` says that one is taken on trust."""
        if self.refusal:
            return 1
        left_out = any(found.missing - set(unchecked) for found in self.unchecked)
        if left_out or (self.on_trust and not reference):
            return 2
        return 0 if self.verdict == "Proved" else 3


# --- the certificate


def check_name(kind):
    return f"check_{kind.replace(' ', '_')}"


def check_form(entry, scope):
    """A claim's keys, sentence, method and evidence are those of its kind."""
    keys(entry, {"claim", "sentence", "verdict", "evidence", "obligations", "measured"}, "claims")
    claim, verdict = entry["claim"], entry["verdict"]
    kind, said = claim["kind"], verdict["verdict"]
    need(kind in SAYS and hasattr(scope, check_name(kind)), f"claims: {kind!r}: no kind of claim on this task")
    keys(claim, {"kind"} | SAYS[kind], f"claims: {kind}")
    name = NAMES[kind].format(**claim)
    need(entry["sentence"] == SENTENCES[kind].format(**scope.words(claim)), f"{name}: its sentence")
    need(type(entry["measured"]) is dict and said in VERDICTS, f"{name}: its verdict, or what was measured")
    keys(verdict, {"verdict"} | VERDICTS[said], f"{name}: its verdict")
    need(said != "Refuted" or kind in ("equals", "compact", "machine"), f"{name}: a claim of this kind is not refuted")
    need(said != "Unknown" or type(verdict["reason"]) is str, f"{name}: its reason")
    need(type(entry["obligations"]) is list, f"{name}: its obligations")
    asked = ASKED.get(claim["left"] if kind == "equals" else kind, "")
    need(all(re.fullmatch(asked, o["name"]) for o in entry["obligations"]), f"{name}: the obligation of another claim")
    results = [o["result"] for o in entry["obligations"]]
    need(all(re.fullmatch(ANSWERS, result) for result in results), f"{name}: no answer of a solver")
    if said != "Proved":
        need(same(entry["evidence"], {}), f"{name}: evidence, and not proved")
        return
    by, more = EVIDENCE[kind]
    keys(entry["evidence"], {"by"} | more, f"{name}: its evidence")
    need(entry["evidence"]["by"] == by, f"{name}: proved by something else")
    need(verdict["method"] == "solver and " * ("unsat" in results) + scope.method(kind), f"{name}: its method")
    closed = CLOSED if "invariant" in kind else "unsat"
    need(all(re.fullmatch(closed, result) for result in results), f"{name}: proved with an open obligation")


def check_formulas(claims, directory):
    """The formulas that solvers were asked are the files beside the certificate, by their hashes."""
    hashes = {}
    for o in chain(*(entry["obligations"] for entry in claims)):
        keys(o, {"name", "sentence", "file", "sha256", "result"}, "obligations")
        need(all(type(value) is str for value in o.values()), "obligations: not of strings")
        file = o["file"]
        need(re.fullmatch(r"[A-Za-z0-9_-]{1,100}", o["name"]), f"{o['name']!r}: not an obligation's name")
        need(file == f"obligations/{o['name']}.smt2", f"{file!r}: not an obligation's file")
        if file not in hashes:
            need(len(hashes) < MOST_FORMULAS, "obligations: too many")
            hashes[file] = sha256(read(directory / file))
        need(hashes[file] == o["sha256"], f"{file}: not the formula that the certificate names")
    return len(hashes)


def check(certificate, files):
    """Returns the lines to print; raises Rejected. Paths of the certificate, and of the files that it speaks of."""
    found = judge(certificate, files)
    need(not found.refusal, found.refusal)
    return found.lines()


def judge(certificate, files, made=None):
    """Claim by claim, a Judgement; raises Rejected where the whole is no certificate of these files.

    A dictionary `made` keeps evaluations for another certificate of the same files.
    """
    try:
        return examine(certificate, files, made)
    except Rejected:
        raise
    except Exception as error:
        raise Rejected(f"{type(error).__name__}: {error}") from None


def examine(certificate, files, made):
    """Form first, then what the claims come to, then the claims themselves."""
    text = parse(read(certificate))
    keys(text, FIELDS, "certificate")
    need(text["schema"] == SCHEMA, f"schema: not {SCHEMA!r}")
    for subject, entry in text["files"].items():
        keys(entry, {"sha256"}, f"files: {subject}")
        need(re.fullmatch("[0-9a-f]{64}", entry["sha256"]), f"files: {subject}: its hash")
    given = dict(map(load, files))
    hashes = {subject: entry["sha256"] for subject, entry in text["files"].items()}
    need(given, "files: none is given, so that there is nothing to check")
    need(set(given) <= set(hashes.values()), "files: one is given that the certificate does not name")
    data = {subject: given[digest] for subject, digest in hashes.items() if given.get(digest) is not None}
    large = {subject for subject, digest in hashes.items() if digest in given} - set(data)
    kinds = {"pairs": Pairs, "stream": Streams}
    need(text["task"]["kind"] in kinds, "task: its kind")
    need(not large or text["task"]["kind"] == "pairs", f"files: {', '.join(sorted(large))}: {TOO_LARGE}")
    claims, scope = text["claims"], kinds[text["task"]["kind"]](text["task"], set(hashes), data, made)
    keys(text["nets"], set(hashes) - {"program"}, "nets")
    for subject, about in text["nets"].items():
        keys(about, {"format", "numbers", "weights"}, f"nets: {subject}")
        need(subject not in data or same(about, scope.weights[subject].words()), f"nets: {subject}: it is another")
    need(type(text["solvers"]) is list, "solvers: no list")
    for solver in text["solvers"]:
        keys(solver, {"name", "version"}, "solvers")
        need(solver["name"] in SOLVERS and re.fullmatch(VERSION, solver["version"]), "solvers: none that is known")
    for entry in claims:
        check_form(entry, scope)
    scope.complete(claims)
    keys(text["verdict"], {"verdict"} | VERDICTS[text["verdict"]["verdict"]], "verdict")
    formulas = check_formulas(claims, Path(certificate).parent)
    beside, found = scope.whole(claims, text["verdict"]), []
    for entry in claims:
        claim = entry["claim"]
        check = partial(getattr(scope, check_name(claim["kind"])), claim, entry)
        unread = scope.needs(claim) & large
        if unread:
            check = partial(within, False, f"the file of the {', '.join(sorted(unread))} is of {TOO_LARGE}")
        missing = set() if unread else scope.needs(claim) - set(data)
        found.append(finding(entry["verdict"]["verdict"], NAMES[claim["kind"]].format(**claim), missing, check))
    return Judgement(text["verdict"]["verdict"], found, beside, formulas)


def plain(line):
    """Printable ASCII, with everything else as an escape: nothing that was read commands the terminal."""
    return "".join(c if " " <= c <= "~" else ascii(c)[1:-1] for c in line)


def main(arguments=None):
    parser = argparse.ArgumentParser(None, argparse.SUPPRESS, __doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("certificate", help="certificate.json, with its obligations/ beside it")
    parser.add_argument("--net", action="append", default=[], help="a net's safetensors file; may be given again")
    parser.add_argument("--program", action="append", default=[], help="the program's Python file")
    subjects = ["program", "net", *FORMATS]
    parser.add_argument(
        "--accept-unchecked",
        action="append",
        default=[],
        metavar="FILE",
        choices=subjects,
        help=f"claims about this file need no check: {', '.join(subjects)}; may be given again",
    )
    parser.add_argument(
        "--accept-reference", action="store_true", help="take a task's reference machine from the certificate"
    )
    try:
        options = parser.parse_args(arguments)
        found = judge(options.certificate, options.net + options.program)
        for line in [f"rejected: {found.refusal[:300]!a}"] if found.refusal else found.lines():
            print(plain(line))
        return found.status(options.accept_unchecked, options.accept_reference)
    except SystemExit as stop:
        return 64 if stop.code else 0
    except Rejected as error:
        print(f"rejected: {str(error)[:300]!a}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
