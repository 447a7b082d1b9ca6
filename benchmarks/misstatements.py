"""Mutants of what a certificate says, for `benchmarks.soundness`; and all kinds of mutants with their shares.

They are made consistent where that can be: sentences, methods and the verdict on all of it are said again as the format
wants them of the changed data.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.mutants import (
    Base,
    Kind,
    Mutant,
    Rng,
    another,
    extreme,
    flip_bit,
    header,
    pick,
    program,
    quantum,
    swap,
    swap_rows,
    tenth,
    torn,
    weights,
    with_task,
)
from pipeline.errors import UserError
from pipeline.tasks.machine import Machine
from pipeline.tasks.streaming import stream_task_from
from verify.claims import on_pairs, on_streams
from verify.specification import OPERATIONS, Specification
from verify.stream_program import render

INDUCTION = "induction over the length: invariant regions, one for each state of the machine"
METHODS = {
    "equals": "exhaustive evaluation",
    "compact": "residuals of every feature",
    "rounding": "a bound on every rounding error",
    "radius": "exact least lead, unit by unit",
    "machine": "induction: every pair of states that is reached together gives the same answers",
    "invariant": INDUCTION,
    "invariant rounding": INDUCTION + ", with room for every rounding error",
}
BY_VALUE = "induction: the value of the answers plus carry times base^n is the sum of the values"
ORDER = ("program", "integer student", "student", "pruned net", "trained net")
SIMPLE = {"equals": "exhaustive", "rounding": "running error", "radius": "least lead"}
MACHINE = ("following", "answers")


def say_again(text: dict[str, Any]) -> None:
    """Sentences, methods, and the verdict on all of it, as the format wants them of this data."""
    task = text["task"]
    for entry in text["claims"]:
        claim, fields = entry["claim"], {k: v for k, v in entry["claim"].items() if k != "kind"}
        if task["kind"] == "stream":
            entry["sentence"] = on_streams(claim["kind"], task["key"]).sentence
        else:
            entry["sentence"] = on_pairs(claim["kind"], Specification(task["operation"], task["p"]), **fields).sentence
        if entry["verdict"]["verdict"] == "Proved":
            by_value = claim["kind"] == "machine" and task["options"]["name"] == "addition"
            method = BY_VALUE if by_value else METHODS[claim["kind"]]
            asked = any(o["result"] == "unsat" for o in entry["obligations"])
            entry["verdict"] = {"method": "solver and " * asked + method, "verdict": "Proved"}
    text["verdict"] = _whole(text)


def _whole(text: dict[str, Any]) -> dict[str, Any]:
    by = {"Proved": [], "Refuted": [], "Unknown": []}
    chain = [e for e in text["claims"] if e["claim"]["kind"] == "equals"]
    last = {"kind": "equals", "left": "trained net", "right": "arithmetic"}
    chain.sort(key=lambda e: e["claim"] != last)
    if text["task"]["kind"] == "pairs":
        chain += [e for e in text["claims"] if e["claim"] == {"kind": "rounding", "net": "trained net"}]
        done = "arithmetic = " + " = ".join(s for s in ORDER if s in text["files"])
    else:
        chain, done = text["claims"], "task = machine = net, in exact arithmetic and in float32"
    for entry in chain:
        by[entry["verdict"]["verdict"]].append(entry["verdict"])
    if text["task"]["kind"] == "stream":
        refuted = text["verdict"]["verdict"] == "Refuted"
        return (
            text["verdict"] if refuted else by["Unknown"][0] if by["Unknown"] else {"method": done, "verdict": "Proved"}
        )
    return next((by[said][0] for said in ("Refuted", "Unknown") if by[said]), {"method": done, "verdict": "Proved"})


def specification(base: Base, rng: Rng, _: list[Base]) -> Mutant | None:
    """Another task, said throughout."""
    mutant = Mutant.of(base)
    task = mutant.text["task"]
    if task["kind"] == "pairs":
        if rng.integers(2):
            task["p"] += int(pick(rng, (-1, 1)))
        else:
            task["operation"] = pick(rng, [name for name in OPERATIONS if name != task["operation"]])
        with suppress(UserError):  # there is no such task: the name stays that of another
            task["name"] = Specification(task["operation"], task["p"]).name
    else:
        name = pick(rng, ("options", "n_left", "n_right", "n_answers", "key"))
        if name == "options":
            task["options"] = pick(
                rng, ({"base": 4, "name": "addition"}, {"base": 2, "name": "addition"}, {"name": "parity"})
            )
            task["key"] = task["options"]["name"] + str(task["options"].get("base", ""))
        elif name == "key":
            task["key"] += "0"
        else:
            task[name] += int(pick(rng, (-1, 1)))
    if rng.integers(2):
        with suppress(UserError):
            say_again(mutant.text)
    return mutant


def verdict(base: Base, rng: Rng, _: list[Base]) -> Mutant | None:
    """A claim that is Unknown or Refuted, said to be Proved with all that belongs to it, or the other way round."""
    mutant = Mutant.of(base)
    entry = pick(rng, mutant.text["claims"])
    said = entry["verdict"]["verdict"]
    if said != "Proved":
        _prove(mutant.text, entry)
        if rng.integers(2):
            for other in mutant.text["claims"]:
                _prove(mutant.text, other)
    elif rng.integers(2):
        entry["verdict"], entry["evidence"] = {"reason": "none", "verdict": "Unknown"}, {}
    else:
        example = {"a": 1, "b": 1, "expected": 2, "got": 0, "equation": "1 + 1 = 2 (mod 7), the net says 0"}
        stream = {"stream": [[1, 1]], "expected": [2], "got": [0], "equation": "1 + 1 = 2, the net says 0"}
        pairs = mutant.text["task"]["kind"] == "pairs"
        entry["verdict"] = {"counterexample": example if pairs else stream, "verdict": "Refuted"}
        entry["evidence"] = {}
    if said != "Proved" and mutant.text["task"]["kind"] == "stream":
        mutant.text["verdict"] = {"reason": "none", "verdict": "Unknown"}
    if rng.integers(4):
        say_again(mutant.text)
    return mutant


def _prove(text: dict[str, Any], entry: dict[str, Any]) -> None:
    if entry["verdict"]["verdict"] == "Proved":
        return
    kind = entry["claim"]["kind"]
    others = [e["evidence"] for e in text["claims"] if e["evidence"].get("by") == "induction" and e is not entry]
    found = next((e for e in others if "regions" in e), others[0] if others else {})
    entry["evidence"] = copy.deepcopy(found) if kind not in SIMPLE else {"by": SIMPLE[kind]}
    if kind == "machine":
        known = entry["measured"]
        carries = [0, 1] if text["task"]["options"]["name"] == "addition" else None
        entry["evidence"] = {
            "by": "induction",
            "carries": carries,
            **{k: known.get(k) for k in ("machine", "reference")},
        }
    entry["obligations"] = [o for o in entry["obligations"] if o["result"] == "unsat"]
    entry["verdict"] = {"method": METHODS[kind], "verdict": "Proved"}


def claim(base: Base, rng: Rng, _: list[Base]) -> Mutant | None:
    """What is claimed, with its sentence: other subjects, a larger radius, another kind."""
    mutant = Mutant.of(base)
    entry = pick(rng, mutant.text["claims"])
    said = entry["claim"]
    key = pick(rng, said)
    if type(said[key]) is int:
        said[key] = pick(rng, (said[key] + 1, 2 * said[key], said[key] - 1, 0, -1, 2**61, said[key] + 100))
    elif key == "kind":
        said["kind"] = pick(rng, METHODS)
    else:
        said[key] = pick(rng, ("arithmetic", *ORDER, "net"))
    with suppress(KeyError, ValueError):
        say_again(mutant.text)
    return mutant


def radius(base: Base, rng: Rng, _: list[Base]) -> Mutant | None:
    """Another radius, or another number of right inputs, with its sentence."""
    mutant = Mutant.of(base)
    for entry in mutant.text["claims"]:
        if entry["claim"]["kind"] == "radius":
            key = pick(rng, ("numerator", "numerator", "bits", "right"))
            entry["claim"][key] += int(pick(rng, (1, 1, -1, 7, -7, entry["claim"][key])))
            say_again(mutant.text)
            return mutant
    return None


def _nodes(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    yield path, value
    for key, part in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from _nodes(part, (*path, key))


def _put(text: Any, path: tuple[Any, ...], value: Any) -> None:
    for key in path[:-1]:
        text = text[key]
    text[path[-1]] = value


def listed(base: Base, rng: Rng, _: list[Base]) -> Mutant | None:
    """An entry of some list dropped, doubled or exchanged: claims, obligations, steps, regions, pairs of symbols."""
    mutant = Mutant.of(base)
    name = pick(rng, ("claims", "obligations", "steps", "regions", "machine", "features", "evidence", "counterexample"))
    lists = [v for path, v in _nodes(mutant.text) if name in path and isinstance(v, list) and v]
    if not lists:
        return None
    some = pick(rng, lists)
    i, j = (int(v) for v in rng.integers(len(some), size=2))
    how = int(rng.integers(4))
    if how == 0:
        some.pop(i)
    elif how == 1:
        some.insert(j, copy.deepcopy(some[i]))
    elif how == 2:
        some[i], some[j] = some[j], some[i]
    else:
        some[i] = copy.deepcopy(some[j])
    if rng.integers(2):
        with suppress(KeyError, ValueError, TypeError, IndexError):
            say_again(mutant.text)
    return mutant


def number(*within: str) -> Kind:
    """A whole number of the evidence, or of a counterexample, changed: bounds wider or narrower, other entries."""

    def kind(base: Base, rng: Rng, _: list[Base]) -> Mutant | None:
        mutant = Mutant.of(base)
        places = [(p, v) for p, v in _nodes(mutant.text) if set(within) & set(p) and type(v) is int]
        if not places:
            return None
        by_field: dict[Any, list[Any]] = {}
        for path, value in places:  # every field alike, not the long ones most often
            by_field.setdefault(tuple(k for k in path if isinstance(k, str)), []).append((path, value))
        path, value = pick(rng, by_field[pick(rng, by_field)])
        new = pick(rng, (value - 1, value + 1, value // 2, 2 * value, 0, -value - 1, 2**70, value + 1000, value - 1000))
        _put(mutant.text, path, new)
        if "counterexample" in path:
            _repeat(mutant, path[: path.index("counterexample")])
        return mutant

    return kind


def _repeat(mutant: Mutant, path: tuple[Any, ...]) -> None:
    """What was changed of a verdict is changed wherever the same was said."""
    old, new = mutant.base.text, mutant.text
    for key in path:
        old, new = old[key], new[key]
    for entry in (*mutant.text["claims"], mutant.text):
        if entry["verdict"] == old:
            entry["verdict"] = copy.deepcopy(new)


def alike(base: Base, rng: Rng, _: list[Base]) -> Mutant | None:
    """The same entry in every copy of machine and reference, and in the program: nothing contradicts anything."""
    mutant = Mutant.of(base)
    tables = [v for _, v in _nodes(mutant.text) if isinstance(v, dict) and set(v) == {"answers", "following"}]
    if not tables:
        return None
    name = pick(rng, ("answers", "following"))
    q, a, b = (pick(rng, range(n)) for n in np.shape(tables[0][name]))
    new = int(rng.integers(3))
    for table in tables:
        if np.shape(table[name]) == np.shape(tables[0][name]):
            table[name][q][a][b] = new
    if rng.integers(2):
        for entry in mutant.text["claims"]:
            if entry["claim"]["kind"] != "machine":
                entry["verdict"], entry["evidence"] = {"reason": "none", "verdict": "Unknown"}, {}
        say_again(mutant.text)
    if "program" not in base.files:
        return mutant
    task = stream_task_from(base.text["task"]["options"])
    machine = Machine(*(tuple(tuple(tuple(row) for row in rows) for rows in tables[0][k]) for k in MACHINE))
    return replace(mutant, files={"program": render(machine, task).encode()})


def words(base: Base, rng: Rng, _: list[Base]) -> Mutant | None:
    """A string, a letter or a key."""
    mutant = Mutant.of(base)
    if rng.integers(5) == 0:
        path, some = pick(rng, [(p, v) for p, v in _nodes(mutant.text) if isinstance(v, dict) and v])
        key = pick(rng, some)
        some[key + "\u200b" if rng.integers(2) else key.upper()] = some.pop(key)
        return mutant
    path, value = pick(rng, [(p, v) for p, v in _nodes(mutant.text) if isinstance(v, str) and v])
    i = int(rng.integers(len(value)))
    letters = pick(rng, ("", "x", "0", "\u0430", " ", "../"))
    others = [v for _, v in _nodes(base.text) if isinstance(v, str)]
    _put(mutant.text, path, pick(rng, (value[:i] + letters + value[i + 1 :], pick(rng, others), "")))
    return mutant


LETTERS = ("\u0430", "\u200b", "\u202e", "\uff41", "\x1b[32m", "\n", " ", "A", "sum of two numbers, ")
"""What looks like another letter, like none, or commands a terminal; and what is none of [a-z0-9_]+."""


def name(base: Base, rng: Rng, _: list[Base]) -> Mutant | None:
    """The name of a task (in the net's header too), of a solver or its version, of an obligation or its answer."""
    mutant = Mutant.of(base)
    letters = pick(rng, LETTERS)

    def spoilt(word: str) -> str:
        i = int(rng.integers(len(word) + 1))
        return word[:i] + letters + word[i + int(rng.integers(2)) :]

    what = pick(rng, ("task", "task", "solver", "version", "obligation", "answer"))
    asked = [o for entry in mutant.text["claims"] for o in entry["obligations"]]
    task = mutant.text["task"]
    if what == "task" and task["kind"] == "stream":
        options = task["options"]
        options["name"] = spoilt(options["name"])
        task["key"] = options["name"] + "_".join(str(options[key]) for key in sorted(options) if key != "name")
        say_again(mutant.text)
        return replace(mutant, files={"net": with_task(base.files["net"], options)})
    if what == "task":
        key = pick(rng, ("name", "operation"))
        task[key] = spoilt(task[key])
    elif what in ("solver", "version"):
        key = {"solver": "name"}.get(what, what)
        mutant.text["solvers"][0][key] = spoilt(mutant.text["solvers"][0][key])
    elif not asked:
        return None
    else:
        one = pick(rng, asked)
        key = {"obligation": "name", "answer": "result"}[what]
        one[key] = spoilt(one[key])
        if what == "obligation":
            one["file"] = f"obligations/{one['name']}.smt2"
    return mutant


def types(base: Base, rng: Rng, _: list[Base]) -> Mutant | None:
    """A value of another type in the place of one: a float, a truth, a string, null, something deep."""
    mutant = Mutant.of(base)
    path, value = pick(rng, [(p, v) for p, v in _nodes(mutant.text) if p])
    deep: Any = 0
    for _depth in range(50):
        deep = [deep]
    options = [None, True, False, [], {}, "", deep, 1.5, [value], {"a": value}]
    options += [float(value) if abs(value) < 2**53 else 0.5, str(value), bool(value)] if type(value) is int else []
    _put(mutant.text, path, pick(rng, options))
    return mutant


def damaged(base: Base, rng: Rng, _: list[Base]) -> Mutant | None:
    """Its text: cut, a byte flipped, a key twice, huge exponents, NaN, deep nesting, a mark before it."""
    raw = json.dumps(base.text, sort_keys=True)
    i = int(rng.integers(len(raw)))
    key = pick(rng, list(base.text))
    numbers = [m.span() for m in re.finditer(r"(?<=[\[: ])\d+(?=[,\]}])", raw)]
    low, high = pick(rng, numbers)
    new = pick(rng, ("1e400", "-0.0", "NaN", "Infinity", "1E2", "9" * 5000, f"{raw[low:high]}.0", f"0{raw[low:high]}"))
    options = (
        raw[:i],
        raw + pick(rng, ("}", "\0", " {}", "\n")),
        "\ufeff" + raw,
        raw.replace(f'"{key}":', f'"{key}": null, "{key}":', 1),
        raw.replace(f'"{key}":', f'"{key}": {"[" * 100000}', 1),
        raw[:low] + new + raw[high:],
        raw[:i] + chr(ord(raw[i]) ^ 1 << int(rng.integers(7))) + raw[i + 1 :],
        raw.replace(f'"{key}"', f'"\\u{ord(key[0]):04x}{key[1:]}"', 1),
    )
    return replace(Mutant.of(base), raw=pick(rng, options).encode())


def formula(base: Base, rng: Rng, _: list[Base]) -> Mutant | None:
    """A byte of a formula."""
    if not base.formulas:
        return None
    name = pick(rng, base.formulas)
    data = bytearray(base.formulas[name])
    data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    return replace(Mutant.of(base), formulas={name: bytes(data)})


def measured(base: Base, rng: Rng, _: list[Base]) -> Mutant | None:
    """What proves nothing: a number in `measured` or a solver's version. To be accepted."""
    mutant = Mutant.of(base)
    proved = [e for e in mutant.text["claims"] if e["verdict"]["verdict"] == "Proved"]
    if rng.integers(2) or not proved:
        mutant.text["solvers"][0]["version"] = f"{int(rng.integers(9))}.0"
    else:
        pick(rng, proved)["measured"]["margin"] = float(rng.normal())
    return mutant


KINDS: dict[str, tuple[Kind, int]] = {
    "weight: a bit flipped": (weights(flip_bit), 12),
    "weight: by one quantum": (weights(quantum), 6),
    "weight: by a tenth, half or its sign": (weights(tenth), 8),
    "weight: two exchanged": (weights(swap), 6),
    "weight: two rows or columns exchanged": (weights(swap_rows), 4),
    "weight: NaN, Inf, -0.0, huge": (weights(extreme), 5),
    "weight: any of these, hash not forged": (weights(tenth, forged=False), 2),
    "net: its header": (header, 4),
    "file: torn": (torn, 4),
    "file: of another certificate": (another, 3),
    "program: a number or a word": (program, 5),
    "specification": (specification, 4),
    "verdict": (verdict, 5),
    "claim, with its sentence": (claim, 5),
    "radius": (radius, 3),
    "list: dropped, doubled, exchanged": (listed, 7),
    "evidence: a number": (number("evidence"), 8),
    "machine and reference alike": (alike, 2),
    "counterexample: a number": (number("counterexample"), 3),
    "words": (words, 5),
    "name of a task, a solver, an answer": (name, 4),
    "JSON: another type": (types, 4),
    "JSON: damaged": (damaged, 4),
    "formula": (formula, 2),
    "measured (harmless)": (measured, 2),
}
"""Each kind, and how many of each hundred or so mutants are of it."""
