"""What is false in a certificate, found without the checker: for `benchmarks.soundness`.

Finite domains are evaluated whole: students in exact integers (arrays of objects over one power of two), the program by
running it, trained and pruned nets in balls of BITS bits around the exact logits. A radius is the exact one. What holds
for all lengths, and what float32 does in any order, is looked for and not decided: exact replay breadth first and along
long streams, every corner of every region, sums in random orders. So what is called false here is false.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import permutations, product
from math import factorial
from pathlib import Path
from typing import Any

import numpy as np
from flint import arb, ctx
from safetensors import SafetensorError
from safetensors.numpy import load

from benchmarks.rounding import Shuffled
from pipeline.errors import UserError
from pipeline.tasks.machine import Machine, Pair
from pipeline.tasks.streaming import StreamTask, stream_task_from
from verify.claims import on_pairs, on_streams
from verify.exact_net import load_exact_net
from verify.float_student import load_float_student
from verify.machine_proof import difference
from verify.real_net import load_real_net
from verify.recurrent_net import RecurrentNet, load_recurrent
from verify.specification import Specification

Table = tuple[tuple[int | None, ...], ...]
BITS = 200
NODES, LONG, STREAMS = 40, 16, 2
ORDERS = 2
MOST_BITS = 64


def falsehoods(text: Mapping[str, Any], paths: Sequence[Path], trusting: bool = False) -> list[str]:
    """What a certificate says of these files that is not so; of a file that is not among them it says nothing.

    `trusting`: the reference machine of a task is the one in the certificate, where there is one.
    """
    given = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in paths}
    known = {subject: given.get(entry["sha256"]) for subject, entry in text["files"].items()}
    files = {subject: path for subject, path in known.items() if path is not None}
    found, complete = [], len(files) == len(known)
    for entry in text["claims"]:
        claim, said = entry["claim"], entry["verdict"]["verdict"]
        if said == "Unknown" or not _subjects(claim) <= {*files, "arithmetic"}:
            continue
        wrong = (
            _on_pairs(text, files, entry)
            if text["task"]["kind"] == "pairs"
            else _on_streams(text, files, entry, trusting)
        )
        found += [f"{claim}: {wrong}"] if wrong else []
    if complete and text["verdict"]["verdict"] != "Unknown":
        wrong = _whole(text, files, trusting)
        found += [f"the verdict on all: {wrong}"] if wrong else []
    return found


def _subjects(claim: Mapping[str, Any]) -> set[str]:
    """Whose files a claim speaks of, and `arithmetic`."""
    streams: dict[str, set[str]] = {"machine": set(), "invariant": {"net"}, "invariant rounding": {"net"}}
    if claim["kind"] in streams:
        return streams[claim["kind"]]
    return {str(claim[name]) for name in (("left", "right") if claim["kind"] == "equals" else ("net",))}


def _whole(text: Mapping[str, Any], files: Mapping[str, Path], trusting: bool) -> str:
    """A Proved whole needs every link of the chain, a Refuted one a counterexample that is one."""
    proved = {json.dumps(e["claim"], sort_keys=True) for e in text["claims"] if e["verdict"]["verdict"] == "Proved"}
    refuted = text["verdict"]["verdict"] == "Refuted"
    if text["task"]["kind"] == "stream":
        if refuted:
            right, net = _reference(text, trusting), load_recurrent(files["net"])
            return _stream_counterexample(text["verdict"]["counterexample"], right, net.exact.run)
        needed = [{"kind": kind} for kind in ("machine", "invariant", "invariant rounding")]
    else:
        if refuted:
            return "" if any(e["verdict"] == text["verdict"] for e in text["claims"]) else "no claim is refuted by it"
        nets = [name for name in ("integer student", "student", "pruned net", "trained net") if name in files]
        links = list(zip(nets[1:], nets, strict=False))
        links += [("program", "arithmetic"), ("integer student", "program")] if "integer student" in files else []
        links += [("trained net", "arithmetic")] if "trained net" in files else []
        needed: list[dict[str, str]] = [{"kind": "equals", "left": left, "right": right} for left, right in links]
        needed += [{"kind": "rounding", "net": "trained net"}] if "trained net" in files else []
    missing = [claim for claim in needed if json.dumps(claim, sort_keys=True) not in proved]
    return f"{missing[0]} is not proved" if missing or not needed else ""


def _on_pairs(text: Mapping[str, Any], files: Mapping[str, Path], entry: Mapping[str, Any]) -> str:
    claim, task = entry["claim"], text["task"]
    known = Specification(task["operation"], task["p"])
    p, sign = task["p"], {"addition": 1, "subtraction": -1}.get(task["operation"], 0)
    fields = {name: value for name, value in claim.items() if name != "kind"}
    if entry["sentence"] != on_pairs(claim["kind"], known, **fields).sentence:
        return "another sentence"
    truth = right_answers(task["operation"], p)
    inputs = [(a, b) for a, row in enumerate(truth) for b, answer in enumerate(row) if answer is not None]

    def answers(subject: str) -> Table | None:
        return truth if subject == "arithmetic" else table(subject, files[subject].read_bytes())

    left = answers(claim.get("left", claim.get("net")))
    right = answers(claim["right"]) if claim["kind"] == "equals" else truth
    if left is None or right is None or not len(left) == len(right) == p:
        return "no table of answers"
    if entry["verdict"]["verdict"] == "Refuted":
        said = entry["verdict"]["counterexample"]
        a, b = said["a"], said["b"]
        if (a, b) not in inputs:
            return "no input"
        same = left[a][b] is not None and left[a][b] == right[a][b]
        return "no counterexample" if same or [said["expected"], said["got"]] != [right[a][b], left[a][b]] else ""
    if claim["kind"] in ("equals", "compact"):
        wrong = [(a, b) for a, b in inputs if left[a][b] is None or left[a][b] != right[a][b]]
        if wrong:
            return f"wrong at {wrong[0]}"
        return "" if claim["kind"] == "equals" else _residuals(entry["evidence"], files[claim["net"]], p, sign)
    if claim["kind"] == "radius" and not 0 <= claim["bits"] <= MOST_BITS:
        return "a radius that is no number"
    if claim["kind"] == "radius":
        count, unsafe = _radius(files[claim["net"]].read_bytes(), sign, claim["numerator"], claim["bits"])
        return "" if not unsafe and claim["right"] == count else f"right on {count} inputs, {unsafe} can change"
    return _in_random_orders(claim["net"], files[claim["net"]], left, inputs)


def right_answers(operation: str, p: int) -> Table:
    """[a][b]: what the operation comes to, None outside its domain; searched for and not computed where it can be."""
    symbols = range(p)
    if operation == "composition":
        n = next(n for n in range(2, 7) if factorial(n) == p)
        every = sorted(permutations(range(n)))
        return tuple(tuple(every.index(tuple(x[y[i]] for i in range(n))) for y in every) for x in every)
    if operation == "division":
        rows = [[[c for c in symbols if c * b % p == a] for b in symbols] for a in symbols]
        return tuple(tuple(found[0] if b else None for b, found in enumerate(row)) for row in rows)
    of = {
        "addition": lambda a, b: a + b,
        "subtraction": lambda a, b: a - b,
        "multiplication": lambda a, b: a * b,
        "quadratic_form": lambda a, b: a**2 + a * b + b**2,
    }[operation]
    return tuple(tuple(of(a, b) % p for b in symbols) for a in symbols)


def _residuals(evidence: Mapping[str, Any], path: Path, p: int, sign: int) -> str:
    """rho and tau are not below what float64 measures."""
    net = load_exact_net(path)
    features, turn = np.stack([net.features(a) for a in range(p)]), 2 * np.pi * np.arange(p) / p
    sums = (np.arange(p)[:, None] + sign * np.arange(p)) % p
    names = ("features", "frequencies", "gain", "rho", "scale", "tau")
    for pair, k, gain, rho, scale, tau in zip(*(evidence[name] for name in names), strict=True):
        wave = np.stack([np.cos(k * turn), np.sin(k * turn)], axis=-1)
        off = np.sqrt(((features[..., pair] - scale / evidence["fine"] * wave[sums]) ** 2).sum(-1)).max()
        read = np.sqrt(((net.readout[pair].T - gain * wave) ** 2).sum(-1)).max()
        if off > rho / evidence["fine"] + 1e-6 * (1 + off) or read > tau / evidence["fine"] + 1e-6 * (1 + read):
            return f"residuals of frequency {k}: {off}, {read}"
    return ""


@lru_cache(4096)
def table(subject: str, data: bytes) -> Table | None:
    """[a][b]: the one largest logit, None where several share it; None in all where the file is no such net."""
    if subject == "program":
        return _by_running(data)
    try:
        tensors, header = load(data), json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
        return _ball_table(header, tensors) if subject in ("pruned net", "trained net") else _student(header, tensors)
    except (UserError, SafetensorError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return None  # a file without answers makes what is said of it false: the stricter judgement


def _by_running(data: bytes) -> Table | None:
    """Of a program that may be a mutant's, whose code may raise anything: None where it does."""
    program: dict[str, Any] = {"__name__": "program"}
    try:
        exec(compile(data.decode(), "program.py", "exec"), program)
        return tuple(tuple(program["answer"](a, b) for b in range(program["P"])) for a in range(program["P"]))
    except Exception:
        return None


@lru_cache(4096)
def _radius(data: bytes, sign: int, numerator: int, bits: int) -> tuple[int, int]:
    """On how many inputs an integer student is right, and on how many of these a change within the radius changes that.

    Pre-activations move by up to 2r each, apart from one another: the least lead over a rival is taken unit by unit.
    """
    w = {name: np.vectorize(int, otypes=[object])(tensor) for name, tensor in load(data).items()}
    votes, base = w["mix"] @ w["readout"], w["offset"] @ w["readout"] * 2**bits
    left, right, p = w["left"], w.get("right", w["left"]), len(w["left"])
    count = unsafe = 0
    for a, b in product(range(p), repeat=2):
        s, before = (a + sign * b) % p, ((left[a] + right[b]) * 2**bits)[:, None]
        ahead, least = votes[:, [s]] - votes, []
        for reach in (0, 2 * numerator):
            moved = np.where(ahead > 0, np.maximum(before - reach, 0), np.maximum(before + reach, 0))
            least.append(np.delete((ahead * moved).sum(0) + base[s] - base, s).min())
        count, unsafe = count + (least[0] > 0), unsafe + (least[0] > 0 >= least[1])
    return count, unsafe


def _student(header: Mapping[str, str], tensors: Mapping[str, Any]) -> Table:
    """Both formats: weights are integers over 2^k, logits over 2^(3 k)."""
    numbers = {name: np.vectorize(Fraction, otypes=[object])(tensor.tolist()) for name, tensor in tensors.items()}
    one = max(value.denominator for tensor in numbers.values() for value in tensor.ravel())
    w = {name: np.vectorize(int, otypes=[object])(tensor * one) for name, tensor in numbers.items()}
    left, right = w["left"], w.get("right", w["left"])
    assert len(left) == int(header["p"])
    rows = []
    for a in range(len(left)):
        logits = (np.maximum(left[a] + right, 0) @ w["mix"] + w["offset"] * one) @ w["readout"]
        rows.append(tuple(_one_largest(row.tolist()) for row in logits))
    return tuple(rows)


def _one_largest(logits: Sequence[Any]) -> int | None:
    top = max(logits)
    return logits.index(top) if logits.count(top) == 1 else None


def _ball_table(header: Mapping[str, str], tensors: Mapping[str, Any]) -> Table:
    """The one-layer transformer; a lead that BITS bits leave open counts as a tie."""
    net, ctx.prec = json.loads(header["net"]), BITS
    if net["n_heads"] * net["d_head"] != len(tensors["attn.q.weight"]):
        raise ValueError("heads that have no weights")
    w = {name: np.vectorize(arb, otypes=[object])(tensor.tolist()) for name, tensor in tensors.items()}
    return tuple(tuple(_certain(_ball_logits(net, w, a, b)) for b in range(net["p"])) for a in range(net["p"]))


def _ball_logits(net: Mapping[str, Any], w: Mapping[str, Any], a: int, b: int) -> list[arb]:
    x = [w["embed.weight"][token] + w["pos.weight"][j] for j, token in enumerate((a, b, net["p"]))]
    q, keys, values = w["attn.q.weight"] @ x[2], *([w[f"attn.{n}.weight"] @ y for y in x] for n in "kv")
    z: list[arb] = []
    for h in range(net["n_heads"]):
        head = slice(h * net["d_head"], (h + 1) * net["d_head"])
        powers = [((q[head] @ key[head]) / arb(net["d_head"]).sqrt()).exp() for key in keys]
        z += list(np.sum([power / sum(powers, arb(0)) * v[head] for power, v in zip(powers, values, strict=True)], 0))
    stream = x[2] + w["attn.o.weight"] @ np.array(z, dtype=object)
    before = w["mlp.w_in.weight"] @ stream + w["mlp.w_in.bias"]
    hidden = np.array([v.max(arb(0)) for v in before], dtype=object)
    return list(w["unembed.weight"] @ (stream + w["mlp.w_out.weight"] @ hidden + w["mlp.w_out.bias"]))


def _certain(logits: Sequence[arb]) -> int | None:
    return next((i for i, top in enumerate(logits) if all(top > v for j, v in enumerate(logits) if j != i)), None)


def _in_random_orders(subject: str, path: Path, answers: Table, inputs: Sequence[Pair]) -> str:
    """Float32 in ORDERS random orders of summation against the exact answers."""
    rng = np.random.default_rng(0)
    for _ in range(ORDERS):
        if subject == "student":
            rounded = _student_in_float32(path, rng)
        else:
            shuffled = Shuffled(load_real_net(path), rng)
            rounded = [shuffled.logits(a) for a in range(len(answers))]
        for a, rows in enumerate(rounded):
            for b, row in enumerate(rows):
                if (a, b) not in inputs:
                    continue
                if answers[a][b] is None or _one_largest(row.tolist()) != answers[a][b]:
                    return f"float32 at {(a, b)}"
    return ""


def _student_in_float32(path: Path, rng: np.random.Generator) -> Iterator[Any]:
    load_float_student(path)
    w = load(path.read_bytes())
    units, features = rng.permutation(len(w["mix"])), rng.permutation(len(w["offset"]))
    for row in w["left"]:
        hidden = np.maximum(row + w.get("right", w["left"]), np.float32(0))[:, units]
        total = np.broadcast_to(w["offset"], (len(hidden), len(features))).copy()
        for j, unit in enumerate(units):
            total += hidden[:, j, None] * w["mix"][unit]
        logits = np.zeros((len(hidden), w["readout"].shape[1]), np.float32)
        for i in features:
            logits += total[:, i, None] * w["readout"][i]
        yield logits


def _task(text: Mapping[str, Any]) -> StreamTask:
    return stream_task_from(text["task"]["options"])


def _machine(entry: Mapping[str, Any]) -> Machine:
    tables = (entry["following"], entry["answers"])
    return Machine(*(tuple(tuple(tuple(row) for row in rows) for rows in table) for table in tables))


def _said_machine(text: Mapping[str, Any], refuted: Mapping[str, Any]) -> Machine:
    """The one machine of the three claims: of a refuted claim in `measured`, or in the evidence of another."""
    measured = refuted["measured"]
    if isinstance(measured, Mapping) and measured.get("machine") is not None:
        return _machine(measured["machine"])
    return _machine(next(entry["evidence"]["machine"] for entry in text["claims"] if entry["evidence"]))


def _reference(text: Mapping[str, Any], trusting: bool) -> Machine:
    """Of a task that has one."""
    of = next(entry for entry in text["claims"] if entry["claim"] == {"kind": "machine"})
    told = of["evidence"] or of["measured"]
    said = told.get("reference") if isinstance(told, Mapping) else None
    machine = _machine(said) if trusting and said is not None else _task(text).machine()
    assert machine is not None
    return machine


def _on_streams(text: Mapping[str, Any], files: Mapping[str, Path], entry: Mapping[str, Any], trusting: bool) -> str:
    task, kind = _task(text), entry["claim"]["kind"]
    stated = (text["task"]["key"], *(text["task"][name] for name in ("n_left", "n_right", "n_answers")))
    if (task.key, task.n_left, task.n_right, task.n_answers) != stated:
        return "another task"
    if entry["sentence"] != on_streams(kind, task.key).sentence:
        return "another sentence"
    if entry["verdict"]["verdict"] == "Refuted":
        of = _said_machine(text, entry)
        return _stream_counterexample(entry["verdict"]["counterexample"], _reference(text, trusting), of.run)
    machine = _machine(entry["evidence"]["machine"])
    if kind == "machine":
        word = difference(machine, _reference(text, trusting))
        return "" if word is None else f"the machine errs on {word}"
    data, evidence = files["net"].read_bytes(), entry["evidence"]
    wrong = _first_wrong(files["net"], data, machine, kind == "invariant rounding")
    return wrong or _region(files["net"], data, machine, json.dumps(evidence["regions"]), evidence["grid_bits"])


def _stream_counterexample(said: Mapping[str, Any], reference: Machine, run: Any) -> str:
    stream = tuple((a, b) for a, b in said["stream"])
    expected, got = reference.run(stream), list(run(stream))
    return "" if expected != got and [said["expected"], said["got"]] == [expected, got] else "no counterexample"


class Exact:
    """A recurrent net in fractions."""

    def __init__(self, net: RecurrentNet) -> None:
        self.weights = {name: np.vectorize(Fraction, otypes=[object])(w.tolist()) for name, w in net.weights.items()}

    def step(self, state: Sequence[Fraction], a: int, b: int) -> tuple[tuple[Fraction, ...], int | None]:
        w = self.weights
        inner = w["embed_left.weight"][a] + w["embed_right.weight"][b] + w["state_in.weight"] @ np.array(state, object)
        hidden = np.maximum(inner, 0)
        after = w["state_out.weight"] @ hidden + w["state_out.bias"]
        logits = (w["unembed.weight"] @ hidden + w["unembed.bias"]).tolist()
        return tuple(min(max(v, Fraction(0)), Fraction(1)) for v in after), _one_largest(logits)


@lru_cache(4096)
def _first_wrong(path: Path, data: bytes, machine: Machine, rounded: bool) -> str:
    """Breadth first from the initial state, NODES states, then along streams; the machine's answers are expected."""
    net = load_recurrent(path)
    exact, start = Exact(net), ((Fraction(0),) * net.n_state, 0)
    todo: list[tuple[Any, tuple[Pair, ...]]] = [(start, ())]
    seen, words = {start}, list[tuple[Pair, ...]]()
    while todo and len(words) < NODES:
        (state, q), word = todo.pop(0)
        for a, b in machine.pairs:
            after, answer = exact.step(state, a, b)
            if answer != machine.answers[q][a][b] and not rounded:
                return f"the net errs on {(*word, (a, b))}"
            node = (after, machine.following[q][a][b])
            words.append((*word, (a, b)))
            if node not in seen:
                seen.add(node)
                todo.append((node, (*word, (a, b))))
    rng = np.random.default_rng(0)
    batches = [draw(STREAMS, LONG, rng) for draw in (net.task.random, net.task.hard)]
    words += [tuple((a, b) for a, b in stream) for batch in batches for stream in batch.tolist()]
    run = net.run_float if rounded else net.exact.run
    return next((f"the net errs on {word}" for word in words if run(word) != machine.run(word)), "")


@lru_cache(4096)
def _region(path: Path, data: bytes, machine: Machine, regions: str, grid_bits: int) -> str:
    """The corners and the middle of every region: right answers, and next states within the next region."""
    if not 0 <= grid_bits <= MOST_BITS:
        return "borders that are no numbers"
    net, boxes = Exact(load_recurrent(path)), json.loads(regions)
    sides = [[[Fraction(v, 1 << grid_bits) for v in box[end]] for end in ("low", "high")] for box in boxes]
    if not all(low <= 0 <= high for low, high in zip(*sides[0], strict=True)):
        return "the first region misses the start"
    for q, (low, high) in enumerate(sides):
        middle = tuple((x + y) / 2 for x, y in zip(low, high, strict=True))
        for state in (*product(*zip(low, high, strict=True)), middle):
            for a, b in machine.pairs:
                after, answer = net.step(state, a, b)
                target = sides[machine.following[q][a][b]]
                inside = all(x <= v <= y for x, v, y in zip(target[0], after, target[1], strict=True))
                if not inside or answer != machine.answers[q][a][b]:
                    return f"region {q} is not kept by {(a, b)}"
    return ""
