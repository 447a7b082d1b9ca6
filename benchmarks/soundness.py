"""Does the checker accept what is false? `python -m benchmarks.soundness --mutants 10000 --seed 0 --out FILE`.

Small certificates of the prover are changed in every way of `misstatements.KINDS` and given to `verify/checker.py`, and
whatever it accepts is judged by `benchmarks.truth`, which shares no code with it. A false acceptance is a claim, said
to be Proved (or Refuted) and not said to be unchecked, that is not so of the files given. One mutant in PROVED is a net
that goes to the provers, their own use of the checker switched off: Proved of a wrong net is a false acceptance too.

An accepted mutant is `harmless` where certificate and files are those of the base but for `measured`, `solvers` and the
reasons of Unknown; `not checked` where it names a file that was not given, or where only its reference machine makes it
true, which the checker says to be taken from the certificate; else `still true`. One seed, one table.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.by_hand import (
    adder,
    hand_built,
    parity,
    write_net,
    write_snapshot,
    write_student,
    write_table,
    write_tensors,
)
from benchmarks.misstatements import KINDS
from benchmarks.mutants import Base, Mutant, flip_bit, pick, quantum, swap, tenth, weights
from benchmarks.truth import falsehoods
from pipeline.command_line import Parser, output_file
from pipeline.errors import UserError, reported
from pipeline.tasks import ModularTask, PermutationTask
from pipeline.tasks.streaming import stream_task
from verify import checker
from verify.certificate import described
from verify.run import Nets, verify_run
from verify.stream_run import verify_stream

Check = Callable[[Path, Sequence[Path]], Sequence[str]]
ON_TRUST = "TAKEN FROM THE CERTIFICATE"
PROVED = 50
PROVERS = "net, for the provers"
SECONDS = 10.0
UNJUDGED = ("file: torn", "JSON: damaged")
"""Kinds that are judged only where they are accepted: most are no certificates and no nets at all."""
COLUMNS = ("tried", "rejected", "false and rejected", "harmless", "still true", "not checked", "false acceptances")


@dataclass
class Count:
    """What became of the mutants of one kind."""

    tried: int = 0
    rejected: int = 0
    false_and_rejected: int = 0
    harmless: int = 0
    still_true: int = 0
    not_checked: int = 0
    false_acceptances: int = 0

    @property
    def row(self) -> list[int]:
        return [getattr(self, name.replace(" ", "_")) for name in COLUMNS]


@dataclass
class Campaign:
    """Counts by kind, each false acceptance in a line, and the longest that a mutant took to check, in seconds."""

    counts: dict[str, Count] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)
    slowest: float = 0.0

    @property
    def total(self) -> list[int]:
        return [sum(column) for column in zip(*(count.row for count in self.counts.values()), strict=True)]

    def table(self) -> list[str]:
        rows = [(kind, count.row) for kind, count in sorted(self.counts.items())] + [("**all**", self.total)]
        lines = [f"| kind | {' | '.join(COLUMNS)} |", "|" + "---|" * (len(COLUMNS) + 1)]
        return [*lines, *(f"| {kind} | {' | '.join(map(str, row))} |" for kind, row in rows)]


def make_bases(directory: Path) -> list[Base]:
    """Certificates of right nets and of wrong ones: students, whole chains, other operations, adders, parity."""
    nets = directory / "nets"
    nets.mkdir()
    wrong = hand_built(5)
    wrong["left"][1, 2] += 50
    integer = [write_student(nets / f"{i}", *given) for i, given in enumerate(((hand_built(7), 7), (wrong, 5)))]
    minus = write_student(nets / "minus", hand_built(5, -1), 5, -1)
    full = Nets(
        integer=write_student(nets / "five", hand_built(5), 5),
        student=_float_student(nets / "float"),
        pruned=write_snapshot(nets / "pruned", 5),
        trained=_shaken(write_snapshot(nets / "trained", 5)),
    )
    pairs = {"student": Nets(integer=integer[0]), "wrong student": Nets(integer=integer[1]), "chain": full}
    pairs |= {"subtraction": Nets(integer=minus), "trained net": Nets(trained=write_snapshot(nets / "minus5", 5, -1))}
    times, over = ModularTask(5, "multiplication"), ModularTask(5, "division")
    tables = {"multiplication": (times, {}), "wrong multiplication": (times, {(2, 3): 4})}
    tables |= {"division, wrong by 0": (over, {(2, 0): 3}), "composition": (PermutationTask(3), {})}
    for name, (task, wrong_at) in tables.items():
        pairs[name] = Nets(trained=write_table(nets / name, task, wrong_at))
    found = []
    for name, given in pairs.items():
        verify_run(given, directory / name, SECONDS)
        paths = {"integer student": given.integer, "student": given.student}
        paths |= {"pruned net": given.pruned, "trained net": given.trained}
        found.append(_base(name, directory / name, {k: path for k, path in paths.items() if path is not None}))
    erring = adder(3)
    erring["unembed.bias"] = erring["unembed.bias"] + [0, 0, 100]
    two, three, one_bit = stream_task("addition", base=2), stream_task("addition", base=3), stream_task("parity")
    streams = {"adder 3": (adder(3), three), "adder 2": (adder(2), two), "parity": (parity(3), one_bit)}
    odd = parity(3)
    odd["unembed.bias"] = odd["unembed.bias"] + [0, 1]
    streams |= {"parity, no room": (parity(), one_bit), "wrong adder": (erring, three), "wrong parity": (odd, one_bit)}
    for name, (tensors, task) in streams.items():
        net = write_net(nets / name, tensors, task)
        verify_stream(net, directory / name, SECONDS)
        found.append(_base(name, directory / name, {"net": net}))
    return found


def _float_student(path: Path) -> Path:
    """A student whose weights are no integers."""
    rng = np.random.default_rng(0)
    places = {"left": 4, "mix": 4, "offset": 8, "readout": 4}
    tensors = {name: value + rng.normal(scale=1e-4, size=value.shape) for name, value in hand_built(5).items()}
    tensors = {name: value / 2 ** places[name] for name, value in tensors.items()}
    meta = {"format": "catapult-student-float-1", "p": "5", "operation": "addition"}
    write_tensors(path, {name: value.astype(np.float32) for name, value in tensors.items()}, meta)
    return path


def _shaken(path: Path) -> Path:
    """The snapshot with a little noise on every weight."""
    data = path.read_bytes()
    start, rng = 8 + int.from_bytes(data[:8], "little"), np.random.default_rng(0)
    flat = np.frombuffer(data[start:], np.float32)
    path.write_bytes(data[:start] + (flat + rng.normal(scale=2e-4, size=flat.shape)).astype(np.float32).tobytes())
    return path


def _base(name: str, proof: Path, nets: dict[str, Path]) -> Base:
    text = json.loads((proof / "certificate.json").read_text())
    files = {subject: path.read_bytes() for subject, path in nets.items()}
    if "program" in text["files"]:
        files["program"] = (proof / "program.py").read_bytes()
    formulas = {str(path.relative_to(proof)): path.read_bytes() for path in sorted(proof.glob("obligations/*"))}
    return Base(name, text, files, formulas)


def place(mutant: Mutant, directory: Path) -> list[Path]:
    """Writes the mutant, with the hashes and words that belong to its files where it is forged; the files' paths."""
    paths = {}
    for subject, data in (mutant.base.files | mutant.files).items():
        paths[subject] = directory / subject
        paths[subject].write_bytes(data)
    for name, data in (mutant.base.formulas | mutant.formulas).items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_bytes(data)
    for subject, data in mutant.files.items() if mutant.forged else ():
        mutant.text["files"][subject]["sha256"] = hashlib.sha256(data).hexdigest()
        # There are no words for a file that is not finite, or no net.
        with suppress(UserError, ValueError, OverflowError, KeyError):
            mutant.text["nets"].update({subject: described(paths[subject])} if subject != "program" else {})
    raw = json.dumps(mutant.text, sort_keys=True).encode() if mutant.raw is None else mutant.raw
    (directory / "certificate.json").write_bytes(raw)
    return list(paths.values())


def essence(text: Any) -> str:
    """A certificate without what proves nothing."""
    text = copy.deepcopy(text)
    text.pop("solvers")
    for entry in (*text["claims"], text):
        entry.pop("measured", None)
        if entry["verdict"]["verdict"] == "Unknown":
            entry["verdict"].pop("reason")
    return json.dumps(text, sort_keys=True)


@np.errstate(all="ignore")
def campaign(mutants: int, seed: int, directory: Path, check: Check = checker.check) -> Campaign:
    """Raises RuntimeError where a base itself is not accepted, or is false."""
    bases, done, rng = make_bases(directory), Campaign(), np.random.default_rng(seed)
    for base in bases:
        paths = place(Mutant.of(base), _room(directory, "base", base))
        if false := falsehoods(base.text, paths):
            raise RuntimeError(f"{base.name}: {false[0]}")
        check(directory / "base" / base.name / "certificate.json", paths)
    deck = [kind for kind, (_, share) in KINDS.items() for _ in range(share)]
    for i in range(mutants):
        if i % PROVED == PROVED - 1:
            _prover(rng, bases, directory / "prover", done)
            continue
        kind, mutant = "", None
        while mutant is None or mutant.same:
            kind = pick(rng, deck)
            mutant = KINDS[kind][0](pick(rng, bases), rng, bases)
        _checked(kind, mutant, _room(directory, "mutants", mutant.base), check, done)
    return done


def _room(directory: Path, name: str, base: Base) -> Path:
    room = directory / name / base.name
    room.mkdir(parents=True, exist_ok=True)
    return room


def _checked(kind: str, mutant: Mutant, room: Path, check: Check, done: Campaign) -> None:
    count, paths = done.counts.setdefault(kind, Count()), place(mutant, room)
    count.tried += 1
    began = time.monotonic()
    lines: Sequence[str] | None = None
    with suppress(Exception):
        lines = check(room / "certificate.json", paths)
    done.slowest = max(done.slowest, time.monotonic() - began)
    if lines is None:
        count.rejected += 1
        count.false_and_rejected += kind not in UNJUDGED and bool(_false(room, paths))
        return
    trusting = any(ON_TRUST in line for line in lines)
    false = _false(room, paths, trusting)
    if false:
        count.false_acceptances += 1
        done.found.append(f"{kind}, {mutant.base.name}: {false[0]}")
        return
    text = json.loads((room / "certificate.json").read_bytes())
    hashes = {hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    named = {entry["sha256"] for entry in text["files"].values()}
    if not named <= hashes or (trusting and _false(room, paths)):
        count.not_checked += 1
    elif essence(text) == essence(mutant.base.text) and not mutant.files:
        count.harmless += 1
    else:
        count.still_true += 1


def _false(room: Path, paths: Sequence[Path], trusting: bool = False) -> list[str]:
    """What is false, or why it cannot be read as a certificate of these files."""
    try:
        return falsehoods(json.loads((room / "certificate.json").read_bytes()), paths, trusting)
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]


def _prover(rng: np.random.Generator, bases: Sequence[Base], room: Path, done: Campaign) -> None:
    """A changed net, given to the prover alone."""
    count = done.counts.setdefault(PROVERS, Count())
    mutant = None
    while mutant is None:
        mutant = weights(pick(rng, (flip_bit, quantum, tenth, swap)))(pick(rng, bases), rng, [])
    room.mkdir(exist_ok=True)
    paths = {subject: room / subject for subject in mutant.base.files if subject != "program"}
    for subject, path in paths.items():
        path.write_bytes((mutant.base.files | mutant.files)[subject])
    count.tried += 1
    proof = room / "proof"
    try:
        if "net" in paths:
            with patch("verify.stream_run.doubts", return_value={}):
                verify_stream(paths["net"], proof, SECONDS)
        else:
            names = {
                "integer student": "integer",
                "student": "student",
                "pruned net": "pruned",
                "trained net": "trained",
            }
            with patch("verify.run.doubts", return_value={}):
                verify_run(Nets(**{names[subject]: path for subject, path in paths.items()}), proof, SECONDS)
    except UserError:
        count.rejected += 1
        return
    given = [*paths.values(), *proof.glob("program.py")]
    false = _false(proof, given)
    if false:
        count.false_acceptances += 1
        done.found.append(f"{PROVERS}, {mutant.base.name}: {false[0]}")
    elif json.loads((proof / "certificate.json").read_text())["verdict"]["verdict"] == "Proved":
        count.still_true += 1
    else:
        count.rejected += 1


def main() -> int:
    parser = Parser(prog="python -m benchmarks.soundness", description=__doc__)
    parser.add_argument("--mutants", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=output_file, help="a file for the table")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        done = campaign(options.mutants, options.seed, Path(scratch))
    lines = [f"{options.mutants} mutants, seed {options.seed}: {done.total[-1]} false acceptances", "", *done.table()]
    print("\n".join([*lines, *done.found]))
    print(f"{time.monotonic() - began:.0f} s, the slowest check {done.slowest:.1f} s", file=sys.stderr)
    if options.out is not None:
        options.out.write_text("\n".join([*lines, ""]))
    return 1 if done.found else 0


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(reported("python -m benchmarks.soundness", main))
