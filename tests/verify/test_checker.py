"""The checker accepts certificates written by hand, nothing that was tampered with, and has the tables of its page."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from benchmarks import by_hand as streams
from benchmarks.by_hand import hand_built, write_snapshot, write_student
from pipeline.tasks.streaming import stream_task
from tests.verify import certificates
from tests.verify.certificates import Text, proved, refuted, unknown, write
from verify import checker
from verify.programs import Program

ROOT = Path(__file__).resolve().parents[2]
P = 7
COSINE = (100, 62, -22, -90, -90, -22, 62)
ONE = 1 << 20
Files = dict[str, Path]
BROKEN = 1 << 30


def program(path: Path, p: int = P, sign: int = 1) -> Path:
    path.write_text(Program(p, sign, (1, 2), (100, 90), COSINE).render())
    return path


def float_student(path: Path, tensors: dict[str, Any], p: int = P, sign: int = 1) -> Path:
    meta = {"format": "catapult-student-float-1", "p": str(p), "frequencies": "[1, 2]"}
    meta["operation"] = "addition" if sign == 1 else "subtraction"
    units = {"offset": 256.0}
    floats = {name: (value / units.get(name, 16.0)).astype(np.float32) for name, value in tensors.items()}
    save_file(floats, path, metadata=meta)
    return path


def compact(scope: Any, **changed: Any) -> Text:
    evidence = {
        "features": [[0, 1], [2, 3]],
        "fine": 1,
        "frequencies": [1, 2],
        "gain": [60, 60],
        "rho": [2, 2],
        "scale": [120, 120],
        "tau": [1, 1],
    }
    claim = {"kind": "compact", "net": "integer student"}
    return certificates.entry(claim, scope, proved("compact", scope, **{**evidence, **changed}))


def radius(scope: Any, numerator: int = 3, right: int = P * P) -> Text:
    claim = {"kind": "radius", "net": "integer student", "numerator": numerator, "bits": 10, "right": right}
    return certificates.entry(claim, scope, proved("radius", scope))


def obligation(directory: Path, name: str, result: str = "unsat") -> Text:
    text = f"(check-sat) ; {name}"
    (directory / "obligations").mkdir(exist_ok=True)
    (directory / "obligations" / f"{name}.smt2").write_text(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return {"name": name, "sentence": name, "file": f"obligations/{name}.smt2", "sha256": digest, "result": result}


def scope_of(text: Text, files: Files) -> Any:
    kind = {"pairs": checker.Pairs, "stream": checker.Streams}[text["task"]["kind"]]
    return kind(text["task"], set(files), {name: path.read_bytes() for name, path in files.items()})


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Files, Text]:
    """A whole chain mod 7, every claim proved, with a compact proof, a radius and two formulas."""
    directory = tmp_path_factory.mktemp("chain")
    files = {
        "program": program(directory / "program.py"),
        "integer student": write_student(directory / "student.safetensors", hand_built(P), P),
        "student": float_student(directory / "student_float.safetensors", hand_built(P)),
        "pruned net": write_snapshot(directory / "pruned.safetensors", P),
        "trained net": write_snapshot(directory / "trained.safetensors", P),
    }
    trained = load_file(files["trained net"])
    trained["unembed.weight"] = trained["unembed.weight"] * np.float32(2)
    resave(files["trained net"], trained)
    text = certificates.pairs(files, P)
    scope = scope_of(text, files)
    text["claims"] += [compact(scope), radius(scope)]
    for index, name in ((0, "program-votes"), (1, "student-margin")):
        text["claims"][index]["obligations"] = [obligation(directory, name)]
        text["claims"][index]["verdict"]["method"] = "solver and exhaustive evaluation"
    write(directory, text)
    return directory, files, text


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Files, Text]:
    """An adder in base 3, proved for streams of every length."""
    directory = tmp_path_factory.mktemp("stream")
    files = {"net": streams.write_net(directory / "net.safetensors", streams.adder(3), stream_task("addition", base=3))}
    text = certificates.stream(files, addition(3), all_proved(scope_of({"task": addition(3)}, files), 3), None)
    write(directory, text)
    return directory, files, text


def addition(base: int) -> Text:
    sizes = dict.fromkeys(("n_answers", "n_left", "n_right"), base)
    return {"kind": "stream", "key": f"addition{base}", **sizes, "options": {"base": base, "name": "addition"}}


def adder_machine(base: int) -> Text:
    def table(f: Callable[[int], int]) -> list[list[list[int]]]:
        return [[[f(a + b + c) for b in range(base)] for a in range(base)] for c in (0, 1)]

    return {"following": table(lambda s: s // base), "answers": table(lambda s: s % base)}


def all_proved(scope: Any, base: int) -> list[tuple[Text, Text]]:
    machine = adder_machine(base)
    regions = [{"low": [0], "high": [ONE // 8]}, {"low": [ONE * 7 // 8], "high": [ONE]}]
    steps = [[q, a, b, "bounds", "."] for q in (0, 1) for a in range(base) for b in range(base)]
    closed = {"grid_bits": 20, "machine": machine, "regions": regions, "steps": steps}
    return [
        proved("machine", scope, carries=[0, 1], machine=machine, reference=machine),
        proved("invariant", scope, **closed),
        proved("invariant rounding", scope, **closed),
    ]


def resave(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """Other numbers under the same header."""
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    save_file(tensors, path, metadata=header["__metadata__"])


def verdict(directory: Path, text: Text, files: Files) -> str:
    """Why the text is rejected; empty where it is accepted."""
    (directory / "changed.json").write_text(json.dumps(text))
    try:
        checker.check(directory / "changed.json", list(files.values()))
    except checker.Rejected as error:
        return str(error) or "rejected"
    return ""


def test_a_whole_chain_is_accepted(chain: tuple[Path, Files, Text]) -> None:
    directory, files, text = chain
    lines = checker.check(directory / "certificate.json", list(files.values()))
    assert lines[-1] == "accepted: Proved"
    assert len(lines) == len(text["claims"]) + 2
    assert lines[-2] == "formulas: 2 files of these hashes; not read, and no solver was asked"
    assert "Proved: trained net equals arithmetic: evaluated on all 49 inputs" in lines
    assert not any("NOT CHECKED" in line for line in lines)


@pytest.mark.parametrize("left_out", ["program", "integer student", "student", "pruned net", "trained net"])
def test_what_is_not_given_is_not_checked(chain: tuple[Path, Files, Text], left_out: str) -> None:
    directory, files, text = chain
    lines = checker.check(directory / "certificate.json", [files[name] for name in files if name != left_out])
    spoken = [e for e in text["claims"] if left_out in (e["claim"].get(k) for k in ("left", "right", "net"))]
    assert sum("NOT CHECKED" in line for line in lines[:-1]) == len(spoken) > 0
    assert lines[-1] == f"accepted: Proved, {len(spoken)} of {len(text['claims'])} NOT CHECKED (files not given)"


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    yield path, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from paths(part, (*path, key))


def changed(text: Text, path: tuple[Any, ...], value: Any) -> Text:
    text = copy.deepcopy(text)
    place: Any = text
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return text


FREE = ("measured", "solvers")


def is_free(path: tuple[Any, ...], value: Any) -> bool:
    """What proves nothing: measured, solvers, and what an obligation says in English."""
    return any(part in FREE for part in path) or (path[-1:] == ("sentence",) and "obligations" in path)


@pytest.mark.parametrize("which", ["chain", "stream"])
def test_every_key_is_needed_and_no_other_is_known(which: str, request: pytest.FixtureRequest) -> None:
    directory, files, text = request.getfixturevalue(which)
    tried = 0
    for path, value in paths(text):
        if "measured" in path[:-1] or len(path) > 6:
            continue
        if isinstance(value, dict) and "measured" not in path:
            assert verdict(directory, changed(text, (*path, "also"), 1), files), path
            tried += 1
        if path and isinstance(path[-1], str):
            assert verdict(directory, changed(text, path, None), files), path
            tried += 1
    assert tried > 50


@pytest.mark.parametrize("which", ["chain", "stream"])
def test_no_word_and_no_type_can_be_changed(which: str, request: pytest.FixtureRequest) -> None:
    directory, files, text = request.getfixturevalue(which)
    small = [(path, value) for path, value in paths(text) if path and not is_free(path, value)]
    others = [(path, value) for path, value in small if not isinstance(value, dict | list)]
    rng = np.random.default_rng(0)
    for path, value in [others[i] for i in rng.permutation(len(others))[:120]]:
        news = [f"{value} "] if isinstance(value, str) else [float(value), f"{value}", -1 - value, value + BROKEN]
        for new in news:
            assert verdict(directory, changed(text, path, new), files), (path, new)
    for path, value in [small[i] for i in rng.permutation(len(small))[:120]]:
        for new in ([], {}, "", 0.5, True, [[]], {"a": 1}):
            if json.dumps(new) != json.dumps(value):
                assert verdict(directory, changed(text, path, new), files), (path, new)


def edit(path: str, value: Any) -> Callable[[Text], object]:
    """A change at a place such as claims.0.verdict."""
    keys = [int(key) if key.isdigit() else key for key in path.split(".")]

    def apply(text: Text) -> None:
        place: Any = text
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return apply


LIE = {"verdict": "Refuted", "counterexample": {"a": 1, "b": 2, "expected": 3, "got": 4, "equation": "1 + 2 = 3"}}
CHANGES: dict[str, Callable[[Text], object]] = {
    "an old schema": edit("schema", "catapult-certificate-1"),
    "another operation": lambda t: t["task"].update(operation="subtraction", name="(a - b) mod 7"),
    "another p": lambda t: t["task"].update(p=5, name="(a + b) mod 5"),
    "no task of ours": edit("task.kind", "pair"),
    "a claim left out": lambda t: t["claims"].pop(2),
    "a rounding claim left out": lambda t: t["claims"].pop(6),
    "a claim twice": lambda t: t["claims"].append(t["claims"][0]),
    "a radius twice": lambda t: t["claims"].append(t["claims"][-1]),
    "a claim of itself": lambda t: t["claims"][2]["claim"].update(right="student"),
    "a subject exchanged": lambda t: t["files"].update(student=t["files"]["integer student"]),
    "the sentence of another claim": lambda t: t["claims"][0].update(sentence=t["claims"][1]["sentence"]),
    "by authority": edit("claims.2.evidence.by", "authority"),
    "a solver that was not asked": edit("claims.2.verdict.method", "solver and exhaustive evaluation"),
    "a solver kept quiet": edit("claims.0.verdict.method", "exhaustive evaluation"),
    "an open obligation": edit("claims.0.obligations.0.result", "unknown"),
    "closed by bounds, and no stream": edit("claims.0.obligations.0.result", "3 of 3 closed by bounds"),
    "another formula": edit("claims.0.obligations.0.sha256", "0" * 64),
    "a formula elsewhere": edit("claims.0.obligations.0.file", "obligations/../certificate.json"),
    "a formula that is not there": lambda t: t["claims"][0]["obligations"][0].update(
        name="no", file="obligations/no.smt2"
    ),
    "a refutation of what is right": lambda t: (
        t["claims"][5].update(verdict=LIE, evidence={}),
        t.update(verdict=LIE),
    ),
    "a refuted rounding": lambda t: t["claims"][6].update(verdict=LIE, evidence={}),
    "an open chain proved": lambda t: t["claims"][2].update(verdict=unknown()[0], evidence={}),
    "an open rounding of the trained net": lambda t: t["claims"][8].update(verdict=unknown()[0], evidence={}),
    "evidence of what is open": lambda t: (t["claims"][2].update(verdict=unknown()[0]), t.update(verdict=unknown()[0])),
    "Unknown without a reason": edit("claims.6.verdict", {"verdict": "Unknown"}),
    "a fourth verdict": edit("claims.6.verdict", {"verdict": "Probable", "method": "x"}),
    "the verdict alone open": edit("verdict", unknown()[0]),
    "a longer chain": edit("verdict.method", "arithmetic = program = integer student = student = pruned net = net"),
    "fewer weights": edit("nets.student.numbers", 3),
    "other weights": edit("nets.student.weights", "multiples of 2^-4 below 2^5"),
    "a solver that says more": lambda t: t["solvers"][0].update(note=""),
    "a gain too large": edit("claims.9.evidence.gain", [60, 90]),
    "a residual too small": edit("claims.9.evidence.rho", [1, 1]),
    "a read-out's residual too small": edit("claims.9.evidence.tau", [0, 0]),
    "residuals too large": edit("claims.9.evidence.rho", [100, 100]),
    "a frequency twice": edit("claims.9.evidence.frequencies", [1, 1]),
    "a frequency that is none": edit("claims.9.evidence.frequencies", [1, 7]),
    "a feature twice": edit("claims.9.evidence.features", [[0, 1], [0, 1]]),
    "a feature left out": edit("claims.9.evidence.features", [[0, 1]]),
    "a negative length": edit("claims.9.evidence.scale", [120, -120]),
    "nothing fine": edit("claims.9.evidence.fine", 0),
}


@pytest.mark.parametrize("name", CHANGES)
def test_tampered_chains_are_rejected(chain: tuple[Path, Files, Text], name: str) -> None:
    directory, files, text = chain
    text = copy.deepcopy(text)
    CHANGES[name](text)
    assert verdict(directory, text, files)


def test_a_radius_is_recomputed(chain: tuple[Path, Files, Text]) -> None:
    """The largest radius that holds is accepted, the next is not, nor is another number of right inputs."""
    directory, files, text = chain
    scope = scope_of(text, files)
    net = scope.net("integer student")
    largest = max(n for n in range(0, 400) if all(map(all, net.safe(n, 10))))
    for numerator, right, accepted in ((largest, 49, True), (largest + 1, 49, False), (3, 48, False), (-1, 49, False)):
        changed = {**text, "claims": [*text["claims"][:-1], radius(scope, numerator, right)]}
        assert (verdict(directory, changed, files) == "") == accepted


def rehashed(text: Text, files: Files, subject: str, path: Path) -> tuple[Text, Files]:
    """A certificate that names the changed file, and describes it rightly: only evaluation can find it out."""
    text, files = copy.deepcopy(text), {**files, subject: path}
    text["files"][subject]["sha256"] = checker.sha256(path.read_bytes())
    if subject in text["nets"]:
        text["nets"][subject] = checker.Weights(path.read_bytes()).words()
    return text, files


@pytest.mark.parametrize("seed", range(30))
def test_changed_students_are_rejected_iff_wrong(chain: tuple[Path, Files, Text], tmp_path: Path, seed: int) -> None:
    directory, files, text = chain
    rng = np.random.default_rng(seed)
    subject = ("integer student", "student")[seed % 2]
    tensors = hand_built(P)
    name = str(rng.choice(sorted(tensors)))
    where = tuple(rng.integers(0, n) for n in tensors[name].shape)
    tensors[name][where] += int(rng.choice([-1, 1])) << int(rng.integers(0, 14))
    write_one = write_student if subject == "integer student" else float_student
    path = write_one(tmp_path / "s", tensors, P)
    assert "does not name" in verdict(directory, text, {**files, subject: path})
    text["claims"] = [e for e in text["claims"] if e["claim"]["kind"] not in ("compact", "radius")]
    wrong = (answers(tensors) != np.add.outer(range(P), range(P)) % P).any()
    assert (verdict(directory, *rehashed(text, files, subject, path)) != "") == wrong


def answers(tensors: dict[str, np.ndarray]) -> np.ndarray:
    """In numpy's 64-bit integers, -1 on a tie."""
    right = tensors.get("right", tensors["left"])
    hidden = np.maximum(tensors["left"][:, None] + right[None], 0)
    logits = (hidden @ tensors["mix"] + tensors["offset"]) @ tensors["readout"]
    top = np.sort(logits, axis=-1)
    return np.where(top[..., -1] > top[..., -2], logits.argmax(-1), -1)


@pytest.mark.parametrize(("operation", "sign"), [("addition", 1), ("subtraction", -1)])
def test_a_random_decoder_is_refuted_where_it_errs(tmp_path: Path, operation: str, sign: int) -> None:
    """The trained net alone: its wrong answers, and no others, are accepted as counterexamples."""
    net = write_snapshot(tmp_path / "net.safetensors", 5, sign)
    rng = np.random.default_rng(1)
    resave(net, {name: rng.normal(size=t.shape).astype(np.float32) for name, t in load_file(net).items()})
    files = {"trained net": net}
    task = "trained net equals arithmetic".replace(" ", "_")
    table = scope_of(certificates.pairs(files, 5, operation), files).answers("trained net")
    assert all(answer in range(5) for answer in table.values())
    accepted = 0
    for a in range(5):
        for b in range(5):
            right, got = (a + sign * b) % 5, table[a, b]
            equation = f"{a} {'+' if sign == 1 else '-'} {b} = {right} (mod 5), the trained net says {got}"
            said = refuted(a=a, b=b, expected=right, got=got, equation=equation)
            reason = verdict(tmp_path, certificates.pairs(files, 5, operation, **{task: said}), files)
            assert (reason == "") == (right != got), reason
            accepted += right != got
            said[0]["counterexample"]["equation"] += "!"
            assert verdict(tmp_path, certificates.pairs(files, 5, operation, **{task: said}), files)
    assert accepted > 0
    assert "speak against" in verdict(tmp_path, certificates.pairs(files, 5, operation), files)


def test_a_tie_is_no_answer_and_equal_ties_are_not_equal(tmp_path: Path) -> None:
    tensors = hand_built(P)
    tensors["readout"][:, 1] = tensors["readout"][:, 2]
    files = {
        "program": program(tmp_path / "program.py"),
        "integer student": write_student(tmp_path / "i", tensors, P),
        "student": float_student(tmp_path / "s", tensors),
    }
    says = ("the program says 2, the integer student", "the integer student has no one answer (a tie), the student")
    equation = [f"0 + 2 (mod 7): {who} has no one answer (a tie)" for who in says]
    first = refuted(a=0, b=2, expected=2, got=None, equation=equation[0])
    second = refuted(a=0, b=2, expected=None, got=None, equation=equation[1])
    claims = {"integer_student_equals_program": first, "student_equals_integer_student": second}
    claims["student_is_unchanged_under_rounding"] = unknown()
    text = certificates.pairs(files, P, "addition", **claims)
    assert text["verdict"] == first[0]
    assert verdict(tmp_path, text, files) == ""
    for name in list(claims):
        assert verdict(
            tmp_path, certificates.pairs(files, P, "addition", **{k: v for k, v in claims.items() if k != name}), files
        )


def test_subtraction_and_an_open_rounding(tmp_path: Path) -> None:
    tensors = hand_built(P, -1)
    files = {
        "program": program(tmp_path / "program.py", sign=-1),
        "integer student": write_student(tmp_path / "i", tensors, P, -1),
        "student": float_student(tmp_path / "s", tensors, sign=-1),
        "trained net": write_snapshot(tmp_path / "t", P, -1),
    }
    text = certificates.pairs(files, P, "subtraction")
    assert verdict(tmp_path, text, files) == ""
    opened = certificates.pairs(files, P, "subtraction", trained_net_is_unchanged_under_rounding=unknown("too close"))
    assert opened["verdict"] == {"verdict": "Unknown", "reason": "too close"}
    assert verdict(tmp_path, opened, files) == ""


def test_leads_within_rounding_are_not_proved_to_stay(tmp_path: Path) -> None:
    """Two answers a few float32 units apart, in a student and in a decoder."""
    for subject, name in (("student", "readout"), ("trained net", "unembed.weight")):
        files = {
            "program": program(tmp_path / "program.py"),
            "integer student": write_student(tmp_path / "i", hand_built(P), P),
            "student": float_student(tmp_path / "s", hand_built(P)),
            "trained net": write_snapshot(tmp_path / "t", P),
        }
        tensors = load_file(files[subject])
        table = tensors[name].T if subject == "student" else tensors[name]
        table[1] = table[2] * np.float32(1 - 2.0**-22)
        resave(files[subject], tensors)
        with pytest.raises(checker.Coarse, match=r"float32 may change|no answer is certain"):
            scope_of(certificates.pairs(files, P), files).net(subject).unchanged()


def test_a_stream_is_accepted(stream: tuple[Path, Files, Text]) -> None:
    directory, files, _ = stream
    lines = checker.check(directory / "certificate.json", list(files.values()))
    assert lines == [
        "Proved: machine equals task: checked in every state",
        "Proved: net equals machine: bounds recomputed for all 18 steps",
        "Proved: float32 net equals machine: bounds recomputed for all 18 steps",
        "accepted: Proved",
    ]


def every_machine(text: Text, change: Callable[[Text], object]) -> None:
    for entry in text["claims"]:
        change(entry["evidence"]["machine"])


STREAM_CHANGES: dict[str, Callable[[Text], object]] = {
    "a region too wide": edit("claims.1.evidence.regions.0.high", [ONE]),
    "a region too wide for float32": edit("claims.2.evidence.regions.0.high", [ONE]),
    "a region without room for float32": edit("claims.2.evidence.regions.0.high", [0]),
    "an empty region": lambda t: t["claims"][1]["evidence"]["regions"][0].update(low=[9], high=[8]),
    "a region that misses the start": edit("claims.1.evidence.regions.0.low", [1]),
    "a region beyond 1": edit("claims.1.evidence.regions.1.high", [ONE + 1]),
    "regions exchanged": lambda t: t["claims"][1]["evidence"]["regions"].reverse(),
    "an answer of the machine": lambda t: every_machine(t, lambda m: m["answers"][1][2].__setitem__(2, 1)),
    "a next state of the machine": lambda t: every_machine(t, lambda m: m["following"][0][2].__setitem__(2, 0)),
    "a state that is not there": lambda t: every_machine(t, lambda m: m["following"][0][2].__setitem__(2, 2)),
    "another machine in one claim": lambda t: t["claims"][0]["evidence"]["machine"]["answers"][1][2].__setitem__(2, 1),
    "no machine in one claim": edit("claims.1.evidence.machine", None),
    "a carry": edit("claims.0.evidence.carries", [0, 0]),
    "no carries": edit("claims.0.evidence.carries", None),
    "another reference": lambda t: t["claims"][0]["evidence"].update(
        reference={**adder_machine(3), "answers": [[[0] * 3] * 3] * 2}
    ),
    "a missing step": lambda t: t["claims"][1]["evidence"]["steps"].pop(),
    "a step twice": lambda t: t["claims"][1]["evidence"]["steps"].append(t["claims"][1]["evidence"]["steps"][0]),
    "an open step": edit("claims.1.evidence.steps.0.3", ""),
    "a tree without leaves": edit("claims.1.evidence.steps.0", [0, 0, 0, "z3", "0."]),
    "a tree of a side too many": edit("claims.1.evidence.steps.0", [0, 0, 0, "z3", "1.."]),
    "a tree of other digits": edit("claims.1.evidence.steps.0", [0, 0, 0, "z3", "\u0660.."]),
    "a tree too deep": edit("claims.1.evidence.steps.0", [0, 0, 0, "z3", "0" * 70 + "." * 71]),
    "another base": lambda t: t["task"].update(key="addition2", options={"base": 2, "name": "addition"}),
    "another task": lambda t: t["task"].update(key="parity", options={"name": "parity"}),
    "other sizes": lambda t: t["task"].update(n_answers=4),
    "another key": edit("task.key", "addition of anything"),
    "another grid": edit("claims.1.evidence.grid_bits", 19),
    "a method of pairs": edit("claims.0.verdict.method", "exhaustive evaluation"),
    "the whole without float32": lambda t: t["claims"][2].update(verdict=unknown()[0], evidence={}),
    "the whole refuted": edit("verdict", LIE),
    "the whole open": edit("verdict", unknown()[0]),
    "an obligation open": lambda t: t["claims"][1]["obligations"].append({"result": "open"}),
}


@pytest.mark.parametrize("name", STREAM_CHANGES)
def test_tampered_streams_are_rejected(stream: tuple[Path, Files, Text], name: str) -> None:
    directory, files, text = stream
    text = copy.deepcopy(text)
    STREAM_CHANGES[name](text)
    assert verdict(directory, text, files)


def test_trees_split_what_one_bound_does_not_close(stream: tuple[Path, Files, Text]) -> None:
    directory, files, text = stream
    text = copy.deepcopy(text)
    text["claims"][1]["evidence"]["steps"][0][3:] = ["z3", "00..0.."]
    assert verdict(directory, text, files) == ""


def test_changed_stream_nets_are_rejected(stream: tuple[Path, Files, Text], tmp_path: Path) -> None:
    directory, files, text = stream
    rng = np.random.default_rng(0)
    for name in streams.adder(3):
        tensors = streams.adder(3)
        flat = tensors[name].astype(np.float64).reshape(-1)
        flat[rng.integers(flat.size)] += 3
        tensors[name] = flat.reshape(tensors[name].shape)
        net = streams.write_net(tmp_path / "net", tensors, stream_task("addition", base=3))
        assert "do not close" in verdict(directory, *rehashed(text, files, "net", net)), name


def test_a_wrong_stream_is_replayed(tmp_path: Path) -> None:
    tensors = streams.adder(3)
    tensors["unembed.bias"] = tensors["unembed.bias"] + [0, 0, 100]
    files = {"net": streams.write_net(tmp_path / "net", tensors, stream_task("addition", base=3))}
    said = {"stream": [[1, 0], [0, 0]], "expected": [1, 0], "got": [2, 2]}
    said["equation"] = "1 + 0 = 1 (base 3), the net says 22"
    whole = {"verdict": "Refuted", "counterexample": said}
    text = certificates.stream(files, addition(3), [unknown(), unknown(), unknown()], whole)
    path = write(tmp_path, text)
    assert checker.check(path, list(files.values()))[-2:] == [
        "Refuted: net equals task: 1 + 0 = 1 (base 3), the net says 22: replayed in exact arithmetic",
        "accepted: Refuted",
    ]
    for key, value in (("got", [1, 2]), ("expected", [2, 2]), ("stream", [[1, 0]]), ("equation", "1 + 0 = 1")):
        assert verdict(tmp_path, changed(text, ("verdict", "counterexample", key), value), files)
    right = {"stream": [[2, 0]], "expected": [2], "got": [2], "equation": "2 + 0 = 2 (base 3), the net says 2"}
    assert "is none" in verdict(tmp_path, changed(text, ("verdict", "counterexample"), right), files)


def test_a_wrong_machine_is_replayed_and_the_net_need_not_be_given(
    stream: tuple[Path, Files, Text], tmp_path: Path
) -> None:
    _, files, text = stream
    text, machine = copy.deepcopy(text), adder_machine(3)
    machine["answers"][0][1][0] = 2
    said = {"stream": [[1, 0]], "expected": [1], "got": [2], "equation": "1 + 0 = 1 (base 3), the machine says 2"}
    claim = text["claims"][0]
    claim.update(verdict={"verdict": "Refuted", "counterexample": said}, evidence={}, measured={"machine": machine})
    for entry in text["claims"][1:]:
        entry.update(verdict=unknown()[0], evidence={})
    text["verdict"] = unknown()[0]
    assert verdict(tmp_path, text, files) == ""
    claim["measured"] = {"machine": adder_machine(3)}
    assert verdict(tmp_path, text, files)
    claim["measured"] = {}
    assert "no machine" in verdict(tmp_path, text, files)


def test_another_task_takes_its_reference_from_the_certificate(tmp_path: Path) -> None:
    net = streams.write_net(tmp_path / "net", streams.parity(3), stream_task("parity"))
    task: Text = {"kind": "stream", "key": "parity", "n_answers": 2, "n_left": 2, "n_right": 1}
    task["options"] = {"name": "parity"}
    machine = {"following": [[[0], [1]], [[1], [0]]], "answers": [[[0], [1]], [[1], [0]]]}
    files = {"net": net}
    scope = scope_of({"task": task}, files)
    verdicts = [proved("machine", scope, carries=None, machine=machine, reference=machine), unknown(), unknown()]
    text = certificates.stream(files, task, verdicts, unknown()[0])
    assert any("TAKEN FROM THE CERTIFICATE" in line for line in checker.check(write(tmp_path, text), [net]))
    text["claims"][0]["evidence"]["reference"] = {
        "following": machine["following"],
        "answers": [[[0], [1]], [[1], [1]]],
    }
    assert "differs" in verdict(tmp_path, text, files)


def test_the_stream_program_is_the_known_code(stream: tuple[Path, Files, Text], tmp_path: Path) -> None:
    from pipeline.tasks.machine import Machine
    from verify.stream_program import render

    _, files, text = stream
    machine = adder_machine(3)
    tables = (tuple(tuple(map(tuple, rows)) for rows in machine[name]) for name in ("following", "answers"))
    source = render(Machine(*tables), stream_task("addition", base=3))
    for changed_source in (source, source.replace("lstrip", "rstrip"), source.replace("(0, 1, 2)", "(0, 2, 1)", 1)):
        path = tmp_path / "program.py"
        path.write_text(changed_source)
        named, given = rehashed({**text, "files": {**text["files"], "program": {}}}, files, "program", path)
        assert (verdict(tmp_path, named, given) == "") == (changed_source == source)


@pytest.mark.parametrize("which", ["chain", "stream"])
@pytest.mark.parametrize("seed", range(10))
def test_damaged_files_do_not_crash_it(which: str, seed: int, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    directory, files, text = request.getfixturevalue(which)
    rng = np.random.default_rng(seed)
    for subject, path in files.items():
        data = bytearray(path.read_bytes())
        if seed % 3 == 0:
            data = data[: int(rng.integers(len(data)))]
        else:
            for _ in range(seed % 3):
                data[int(rng.integers(400 if seed % 2 else len(data)))] ^= 1 << int(rng.integers(8))
        damaged = tmp_path / "damaged"
        damaged.write_bytes(bytes(data))
        assert verdict(directory, text, {**files, subject: damaged})
        named = copy.deepcopy(text)
        named["files"][subject]["sha256"] = checker.sha256(bytes(data))
        verdict(directory, named, {**files, subject: damaged})  # any answer, no exception


def test_a_program_with_other_code_is_rejected(chain: tuple[Path, Files, Text], tmp_path: Path) -> None:
    directory, files, text = chain
    source = files["program"].read_text()
    for changed_source in (
        source.replace("return scores.index(best)", "return 3"),
        source.replace("# --- the algorithm", "import os  # --- the algorithm"),
        re.sub(r"SIGN = 1\n", "SIGN = 1; print(1)\n", source),
        source.replace("P = 7", "P = \u0667"),
        source.replace("FREQUENCIES = (1, 2)", "FREQUENCIES = (1)"),
        source.replace("FREQUENCIES = (1, 2)", "FREQUENCIES = (1 -2, 2)"),
        source.replace("100, 62", "100, 062"),
        source.replace("100, 62", "100, 61, 62"),
    ):
        assert changed_source != source
        path = tmp_path / "p.py"
        path.write_text(changed_source)
        assert "program" in verdict(directory, *rehashed(text, files, "program", path))


def test_missing_files_and_usage(chain: tuple[Path, Files, Text], capsys: pytest.CaptureFixture[str]) -> None:
    directory, files, _ = chain
    certificate = str(directory / "certificate.json")
    nets = [argument for name, path in files.items() if name != "program" for argument in ("--net", str(path))]
    assert checker.main([certificate, *nets, "--program", str(files["program"])]) == 0
    assert capsys.readouterr().out.endswith("\naccepted: Proved\n")
    assert checker.main([certificate]) == 1
    assert checker.main([certificate, "--net", str(directory / "nothing")]) == 1
    assert checker.main([str(directory / "nothing.json"), *nets]) == 1
    out = capsys.readouterr().out
    assert out.count("\n") == out.count("rejected: ") == 3
    assert checker.main(["--help"]) == 0
    capsys.readouterr()
    assert checker.main(["--unheard-of"]) == 64
    assert capsys.readouterr().err.count("\n") == 1


def test_the_page_has_its_tables() -> None:
    """CERTIFICATE.md says word for word what the checker compares with."""
    page = (ROOT / "verify" / "CERTIFICATE.md").read_text()
    for kind, sentence in checker.SENTENCES.items():
        assert f"| `{kind}` | `{sentence}` |" in page
    for method in (*checker.METHODS.values(), checker.BY_VALUE):
        assert f"`{method}`" in page
    for kind in ("equals", "compact", "rounding", "radius"):
        name = checker.NAMES[kind]
        assert f"| `{kind}` | `{name}`" in page
    for by, more in checker.EVIDENCE.values():
        assert f'"by": "{by}"' in page
        assert all(f'"{key}"' in page for key in more)
