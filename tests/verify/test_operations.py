"""Nets of every task on pairs: proved where they are right, refuted where not, and never of another task."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from benchmarks.by_hand import hand_built, write_student, write_table
from benchmarks.truth import right_answers
from pipeline.errors import UserError
from pipeline.tasks import ModularTask, PermutationTask
from pipeline.tasks.registry import describe_task
from tests.verify import certificates
from verify import Nets, Proved, Refuted, Unknown, checker, load_exact_net, load_float_student, verify_run
from verify.__main__ import main
from verify.real_net import load_real_net
from verify.recheck import recheck
from verify.room import judge_snapshots, prove_last
from verify.rounding import analyse
from verify.specification import OPERATIONS, Specification
from verify.verdicts import verdict_of
from verify.weights import read_weights

AnyTask = ModularTask | PermutationTask
Text = dict[str, Any]
TIMES, OVER, FORM = (ModularTask(5, operation) for operation in ("multiplication", "division", "quadratic_form"))
S3 = PermutationTask(3)
SENTENCE = "for all {}, the answer of the trained net is {}; an answer is the one largest of {} logits or scores, in "
SENTENCE += "exact arithmetic over the stored numbers"
DOMAINS = {
    "(a * b) mod 5": (TIMES, "a, b in 0..4", 25),
    "(a / b) mod 5": (OVER, "a in 0..4, b in 1..4", 20),
    "(a^2 + ab + b^2) mod 5": (FORM, "a, b in 0..4", 25),
    "a o b in S3": (S3, "a, b in 0..5 (permutations in lexicographic order)", 36),
}


def as_perceptron(path: Path, task: AnyTask, changed: dict[tuple[int, int], int]) -> Path:
    """The same look-up as that of `write_table`, by a net of kind `mlp`."""
    p = task.n_answers
    answers = np.zeros((p, p), dtype=np.int64)
    answers[tuple(task.pairs().T)] = task.answers()
    for pair, answer in changed.items():
        answers[pair] = answer
    unembed = np.zeros((p, p * p + 2))
    for t, answer in enumerate(answers.reshape(-1)):
        unembed[answer, t : t + 3] += [1, -2, 1]
    tensors = {
        "embed_left.weight": p * np.arange(p)[:, None],
        "embed_right.weight": np.arange(p)[:, None],
        "layers.0.linear.weight": np.ones((p * p + 2, 1)),
        "layers.0.linear.bias": 1.0 - np.arange(p * p + 2),
        "unembed.weight": unembed,
    }
    net = {"kind": "mlp", "d_embed": 1, "widths": [p * p + 2], "activation": "relu", "combine": "sum", "bias": True}
    net |= dict.fromkeys(("n_left", "n_right", "n_answers"), p)
    meta = {"format": "catapult-snapshot-1", "net": json.dumps(net), "task": json.dumps(describe_task(task))}
    save_file({name: np.ascontiguousarray(x, dtype=np.float32) for name, x in tensors.items()}, path, metadata=meta)
    return path


def retold(path: Path, out: Path, task: Text) -> Path:
    """The same net, said to be of another task."""
    save_file(load_file(path), out, metadata=read_weights(path).metadata | {"task": json.dumps(task)})
    return out


@pytest.mark.parametrize("n", [2, 3, 4])
def test_three_tables_of_composition_are_one(n: int) -> None:
    task = PermutationTask(n)
    p = task.n_answers
    own, checked = Specification("composition", p), checker.Operation("composition", p)
    expected = {(a, b): task.reference(a, b) for a, b in task.pairs().tolist()}
    assert checked.right == expected
    assert own.table.reshape(-1).tolist() == list(expected.values())
    assert [list(row) for row in right_answers("composition", p)] == own.table.tolist()
    assert (own.name, own.size, own.domain) == (str(task), len(expected), checked.domain)


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name != "composition"])
@pytest.mark.parametrize("p", [3, 5, 7, 13])
def test_three_tables_of_arithmetic_are_one(operation: Any, p: int) -> None:
    task = ModularTask(p, operation)
    own, checked = Specification(operation, p), checker.Operation(operation, p)
    expected = {(a, b): task.reference(a, b) for a, b in task.pairs().tolist()}
    assert checked.right == expected
    assert list(checked.right) == own.where(np.ones(own.shape, dtype=bool)) == list(expected)
    assert own.table.reshape(-1).tolist() == list(expected.values())
    judged = right_answers(operation, p)
    assert {(a, b): judged[a][b] for a in range(p) for b in range(p) if judged[a][b] is not None} == expected
    assert (own.name, own.size, own.domain) == (str(task), len(expected), checked.domain)
    assert (own.within, own.question(1, 2)) == (checked.within, checked.question.format(a=1, b=2))


def test_there_is_no_such_task() -> None:
    for operation, p in (("composition", 5), ("composition", 25), ("division", 9), ("product", 5), ("addition", 1)):
        with pytest.raises(UserError):
            Specification(operation, p)
        with pytest.raises(checker.Rejected):
            checker.Operation(operation, p)


@pytest.mark.parametrize("write", [write_table, as_perceptron])
@pytest.mark.parametrize("name", DOMAINS)
def test_a_right_net_is_proved(name: str, write: Callable[..., Path], tmp_path: Path) -> None:
    task, domain, size = DOMAINS[name]
    net, pruned = (write(tmp_path / f"cycle-000{i}.safetensors", task, {}) for i in (1, 2))
    summary = verify_run(Nets(trained=net, pruned=pruned), tmp_path / "proof", 10)
    assert str(summary.verdict) == "Proved (arithmetic = pruned net = trained net)"
    assert all(isinstance(result.verdict, Proved) for result in summary.results)
    text = json.loads((tmp_path / "proof" / "certificate.json").read_text())
    assert text["task"]["name"] == name
    last = {"kind": "equals", "left": "trained net", "right": "arithmetic"}
    entry = next(entry for entry in text["claims"] if entry["claim"] == last)
    assert entry["sentence"] == SENTENCE.format(domain, name, task.n_answers)
    assert entry["measured"] == {"disagreements": 0, "inputs": size, "open": 0}
    lines = checker.check(tmp_path / "proof" / "certificate.json", [net, pruned])
    assert lines[-1] == "accepted: Proved"
    assert sum(line.endswith(f"evaluated on all {size} inputs") for line in lines) == 2
    assert main(["chain", str(tmp_path / "proof"), "--net", str(net), "--net", str(pruned)]) == 0
    assert str(verdict_of(net)) == f"right on all {size} inputs, in float32 too"


WRONG = {
    "(a * b) mod 5": (TIMES, {(2, 3): 4}, "2 * 3 = 1 (mod 5)", "2 * 3 (mod 5)"),
    "(a / b) mod 5": (OVER, {(2, 3): 1}, "2 / 3 = 4 (mod 5)", "2 / 3 (mod 5)"),
    "(a^2 + ab + b^2) mod 5": (FORM, {(2, 3): 0}, "2^2 + 2 * 3 + 3^2 = 4 (mod 5)", "2^2 + 2 * 3 + 3^2 (mod 5)"),
    "a o b in S3": (S3, {(2, 3): 4}, "2 o 3 = 1 in S3", "2 o 3 in S3"),
}


@pytest.mark.parametrize("write", [write_table, as_perceptron])
@pytest.mark.parametrize("name", WRONG)
def test_one_wrong_answer_refutes(
    name: str, write: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task, changed, equation, question = WRONG[name]
    (said,) = changed.values()
    net, right = write(tmp_path / "cycle-0001.safetensors", task, changed), write(tmp_path / "right", task, {})
    summary = verify_run(Nets(trained=net, pruned=right), tmp_path / "proof", 10)
    assert isinstance(summary.verdict, Refuted)
    size = Specification.described(describe_task(task)).size
    assert str(summary.verdict) == f"Refuted: {equation}, the trained net says {said} (wrong on 1 of {size} inputs)"
    expected = equation.split()[-3]
    between = f"{question}: the pruned net says {expected}, the trained net says {said}"
    assert str(summary.results[0].verdict).startswith(f"Refuted: {between}")
    lines = checker.check(tmp_path / "proof" / "certificate.json", [net, right])
    assert lines[-1] == "accepted: Refuted"
    replayed = f"{equation}, the trained net says {said}; certainly wrong on 1 of {size} inputs, 0 open"
    assert any(line.endswith(replayed) for line in lines)
    assert main(["chain", str(tmp_path / "proof"), "--net", str(net), "--net", str(right)]) == 1
    assert f"{equation}, the trained net says {said}" in capsys.readouterr().out.splitlines()[-1]
    assert verdict_of(net).wrong == 1
    assert verdict_of(net).counterexample == f"a = 2, b = 3: {name} = {expected}, the net says {said}"


@pytest.mark.parametrize("write", [write_table, as_perceptron])
def test_nothing_is_said_of_division_by_0(write: Callable[..., Path], tmp_path: Path) -> None:
    """Two nets that differ there only are equal, and both right; the same net of multiplication is wrong."""
    net, other = (write(tmp_path / f"cycle-000{i}", OVER, {(a, 0): (a + i) % 5 for a in range(5)}) for i in (1, 2))
    summary = verify_run(Nets(trained=net, pruned=other), tmp_path / "proof", 10)
    assert str(summary.verdict) == "Proved (arithmetic = pruned net = trained net)"
    assert checker.check(tmp_path / "proof" / "certificate.json", [net, other])[-1] == "accepted: Proved"
    assert (verdict_of(net).inputs, verdict_of(net).wrong, verdict_of(net).open) == (20, 0, 0)
    wrong = write(tmp_path / "wrong", TIMES, {(a, 0): 1 for a in range(5)})
    assert "wrong on 5 of 25 inputs" in str(verify_run(Nets(trained=wrong), None, 10).verdict)


def test_a_tie_on_division_by_0_is_not_open(tmp_path: Path) -> None:
    """Of a right symbol that is never read, nothing counts: not how large it is, not that it has no answer."""
    net = as_perceptron(tmp_path / "net", OVER, {})
    tensors = dict(load_file(net))
    for row in (-(2.0**10), 2.0**21):  # no unit is on, and all logits are 0; all are on, and float32 is coarse
        tensors["embed_right.weight"][0] = np.float32(row)
        save_file(tensors, net, metadata=read_weights(net).metadata)
        summary = verify_run(Nets(trained=net), None, 10)
        assert all(isinstance(result.verdict, Proved) for result in summary.results), summary.lines()
        assert analyse(load_real_net(net)).answers.shape == (5, 4)


def test_an_open_answer_is_unknown(tmp_path: Path) -> None:
    net = write_table(tmp_path / "cycle-0001", S3, {})
    tensors = dict(load_file(net))
    tensors["unembed.weight"][1] = tensors["unembed.weight"][0]
    save_file(tensors, net, metadata=read_weights(net).metadata)
    summary = verify_run(Nets(trained=net), None, 10)
    assert isinstance(summary.results[0].verdict, Unknown)
    assert "on 12 of 36 inputs" in summary.results[0].verdict.reason
    assert (verdict_of(net).status, verdict_of(net).open) == ("open", 12)


@pytest.fixture(scope="module")
def proofs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path, Text]]:
    """By the task's name: a directory, a right net in it, and its certificate."""
    found = {}
    for i, (name, (task, _, _)) in enumerate(DOMAINS.items()):
        root = tmp_path_factory.mktemp(f"proof{i}")
        net = write_table(root / "net.safetensors", task, {})
        verify_run(Nets(trained=net), root / "proof", 10)
        found[name] = root, net, json.loads((root / "proof" / "certificate.json").read_text())
    return found


def refusal(root: Path, text: Text, *nets: Path) -> str:
    """Why the checker rejects it; empty where it is accepted."""
    path = root / "proof" / "certificate.json"
    path.write_text(json.dumps(text, sort_keys=True))
    try:
        checker.check(path, list(nets))
    except checker.Rejected as error:
        return str(error)
    return ""


def told(text: Text, operation: str, p: int, **sentence: Any) -> Text:
    """The certificate, said of another task throughout; `sentence` replaces words of its sentences."""
    text, task = copy.deepcopy(text), Specification(operation, p)
    text["task"] = task.to_dict()
    words = {"domain": task.domain, "p": p, "task": task.name, "pairs": task.size} | sentence
    for entry in text["claims"]:
        more = {"right": words["task"]} if entry["claim"]["kind"] == "equals" else {}
        entry["sentence"] = checker.SENTENCES[entry["claim"]["kind"]].format(**{**entry["claim"], **words, **more})
    return text


def test_what_is_not_forged_is_accepted(proofs: dict[str, tuple[Path, Path, Text]]) -> None:
    for root, net, text in proofs.values():
        assert told(text, text["task"]["operation"], text["task"]["p"]) == text
        assert refusal(root, text, net) == ""


def test_another_operations_table(proofs: dict[str, tuple[Path, Path, Text]], tmp_path: Path) -> None:
    """Of the net as it is, and of one whose header was forged with the certificate."""
    for name, (root, net, text) in proofs.items():
        for other, p in [(operation, 5) for operation in OPERATIONS[:5]] + [("composition", 6), ("addition", 6)]:
            task = Specification(other, p)
            if task.name == name:
                continue
            forged = told(text, other, p)
            assert refusal(root, forged, net) == "trained net: of another task"
            about = {"name": "permutation", "n": 3} if other == "composition" else {"name": "modular"}
            about |= {} if other == "composition" else {"operation": other, "p": p}
            lying = retold(net, tmp_path / "lying", about)
            forged["files"]["trained net"]["sha256"] = checker.sha256(lying.read_bytes())
            assert refusal(root, forged, lying), (name, other)


def test_a_domain_that_leaves_out_or_adds_inputs(proofs: dict[str, tuple[Path, Path, Text]], tmp_path: Path) -> None:
    root, net, text = proofs["(a / b) mod 5"]
    for domain in (
        "a, b in 0..4",
        "a in 0..4, b in 0..4",
        "a, b in 1..4",
        "a in 0..4, b in 1..3",
        "a in 0..5, b in 1..4",
    ):
        assert "its sentence" in refusal(root, told(text, "division", 5, domain=domain), net)
    root, net, text = proofs["(a * b) mod 5"]
    for domain in ("a in 0..4, b in 1..4", "a, b in 0..3", "a, b in 1..4"):
        assert "its sentence" in refusal(root, told(text, "multiplication", 5, domain=domain), net)
    root, net, text = proofs["a o b in S3"]
    assert "its sentence" in refusal(root, told(text, "composition", 6, domain="a, b in 0..5"), net)
    # Right on every b but 0, where multiplication is to be right as well: no words of division's make that so.
    wrong = write_table(tmp_path / "wrong", TIMES, {(1, 0): 3})
    forged = certificates.pairs({"trained net": wrong}, 5, "multiplication")
    (tmp_path / "proof").mkdir()
    assert "1 inputs speak against it, first a, b = [(1, 0)]" in refusal(tmp_path, forged, wrong)


def test_a_counterexample_outside_the_domain(proofs: dict[str, tuple[Path, Path, Text]], tmp_path: Path) -> None:
    _, _, text = proofs["(a / b) mod 5"]
    net = write_table(tmp_path / "net", OVER, {(2, 0): 3, (2, 1): 3})
    (tmp_path / "proof").mkdir()
    for a, b, expected, accepted in ((2, 1, 2, True), (2, 0, 2, False), (2, 0, None, False), (2, -4, 2, False)):
        equation = f"{a} / {b} = {expected} (mod 5), the trained net says 3"
        said = {"a": a, "b": b, "expected": expected, "got": 3, "equation": equation}
        forged = copy.deepcopy(text)
        forged["files"]["trained net"]["sha256"] = checker.sha256(net.read_bytes())
        forged["claims"][0] |= {"verdict": {"verdict": "Refuted", "counterexample": said}, "evidence": {}}
        forged["verdict"] = forged["claims"][0]["verdict"]
        assert (refusal(tmp_path, forged, net) == "") == accepted, (a, b)


@pytest.mark.parametrize("name", ["(a * b) mod 5", "a o b in S3"])
def test_the_equation_of_another_task(name: str, tmp_path: Path) -> None:
    task, changed, equation, _ = WRONG[name]
    net = write_table(tmp_path / "net", task, changed)
    verify_run(Nets(trained=net), tmp_path / "proof", 10)
    text = json.loads((tmp_path / "proof" / "certificate.json").read_text())
    for old, new in ((" * ", " + "), (" o ", " * "), ("(mod 5)", "in S3"), ("in S3", "in S4"), ("(mod 5)", "(mod 7)")):
        if old in equation:
            forged = json.loads(json.dumps(text).replace(f"{equation},", f"{equation.replace(old, new)},"))
            assert "its equation" in refusal(tmp_path, forged, net)


TASKS = {
    "an operation that is not known": ("(a * b) mod 5", {"operation": "exponentiation"}),
    "an operation that is no word": ("(a * b) mod 5", {"operation": ["multiplication"]}),
    "composition of a number that is no factorial": ("a o b in S3", {"p": 7, "name": "a o b in S3"}),
    "composition of another factorial": ("a o b in S3", {"p": 24, "name": "a o b in S4"}),
    "the name of another group": ("a o b in S3", {"name": "a o b in S4"}),
    "composition, said to be arithmetic": ("a o b in S3", {"name": "(a o b) mod 6"}),
    "arithmetic, said to be composition": ("(a * b) mod 5", {"name": "a o b in S3"}),
    "the name of another operation": ("(a * b) mod 5", {"name": "(a / b) mod 5"}),
    "another modulus": ("(a / b) mod 5", {"p": 7, "name": "(a / b) mod 7"}),
    "a modulus that is no prime": ("(a / b) mod 5", {"p": 4, "name": "(a / b) mod 4"}),
    "a modulus that is no whole number": ("(a * b) mod 5", {"p": 5.0}),
    "more about it": ("a o b in S3", {"n": 3}),
}


@pytest.mark.parametrize("name", TASKS)
def test_a_task_that_is_forged(name: str, proofs: dict[str, tuple[Path, Path, Text]]) -> None:
    of, changes = TASKS[name]
    root, net, text = proofs[of]
    assert "task" in refusal(root, text | {"task": text["task"] | changes}, net)


def test_a_net_that_says_another_task(proofs: dict[str, tuple[Path, Path, Text]], tmp_path: Path) -> None:
    """Another n, p or operation in a net's header, under its own hash."""
    for name, about in (
        ("a o b in S3", {"name": "permutation", "n": 4}),
        ("a o b in S3", {"name": "permutation", "n": 3.0}),
        ("a o b in S3", {"name": "modular", "n": 3}),
        ("a o b in S3", {"name": "modular", "operation": "composition", "p": 6}),
        ("(a * b) mod 5", {"name": "modular", "operation": "division", "p": 5}),
        ("(a * b) mod 5", {"name": "modular", "operation": "multiplication", "p": 7}),
        ("(a * b) mod 5", {"name": "permutation", "operation": "multiplication", "p": 5}),
        ("(a * b) mod 5", {"name": "modular", "operation": "multiplication"}),
    ):
        root, net, text = proofs[name]
        other = retold(net, tmp_path / "other", about)
        forged = copy.deepcopy(text)
        forged["files"]["trained net"]["sha256"] = checker.sha256(other.read_bytes())
        assert refusal(root, forged, other), about
        if about != {"name": "modular", "operation": "division", "p": 5}:  # which is a task, if not that of the net
            with pytest.raises(UserError) as error:
                load_real_net(other)
            assert "\n" not in str(error.value)


@pytest.mark.parametrize("subject", ["integer student", "student", "program"])
def test_students_and_programs_are_of_sums_alone(subject: str, tmp_path: Path, student: Path) -> None:
    """Here the files are even right: a student whose header was forged, and the program of another."""
    verify_run(Nets(integer=student), tmp_path / "sums", 30)
    forged = retold_student(student, tmp_path / "forged")
    files = {"trained net": write_table(tmp_path / "net", ModularTask(7, "multiplication"), {})}
    files[subject] = tmp_path / "sums" / "program.py" if subject == "program" else forged
    text = certificates.pairs({"trained net": files["trained net"]}, 7, "multiplication")
    chain = [name for name in ("program", *certificates.NETS) if name in files]
    scope = checker.Pairs(text["task"], {"trained net"}, {"trained net": files["trained net"].read_bytes()})
    for right, left in pairwise(["arithmetic", *chain]):
        claim = certificates.equals(left, right)
        text["claims"].append(certificates.entry(claim, scope, certificates.proved("equals", scope)))
    text["files"][subject] = {"sha256": checker.sha256(files[subject].read_bytes())}
    (tmp_path / "proof").mkdir()
    reason = f"files: {subject}: of no task but addition and subtraction"
    assert refusal(tmp_path, text, *files.values()) == reason


def retold_student(path: Path, out: Path) -> Path:
    save_file(load_file(path), out, metadata=read_weights(path).metadata | {"operation": "multiplication"})
    return out


def test_a_chain_is_of_one_task(tmp_path: Path, student: Path) -> None:
    net = write_table(tmp_path / "net", ModularTask(7, "multiplication"), {})
    with pytest.raises(UserError, match=r"\(a \* b\) mod 7: the program computes \(a \+ b\) mod 7") as error:
        verify_run(Nets(trained=net, integer=student), None, 10)
    assert "\n" not in str(error.value)
    other = write_table(tmp_path / "other", ModularTask(7, "division"), {})
    with pytest.raises(UserError, match="give files of one task"):
        verify_run(Nets(trained=net, pruned=other), None, 10)
    forged = retold_student(student, tmp_path / "forged")
    with pytest.raises(UserError, match="'addition' or 'subtraction'"):
        load_exact_net(forged)
    tensors = {name: value.astype(np.float32) for name, value in hand_built(7).items()}
    meta = {"format": "catapult-student-float-1", "p": "7", "operation": "composition"}
    save_file(tensors, tmp_path / "float", metadata=meta)
    with pytest.raises(UserError, match="addition or subtraction"):
        load_float_student(tmp_path / "float")
    assert isinstance(
        verify_run(Nets(integer=write_student(tmp_path / "s", hand_built(7), 7)), None, 30).verdict, Proved
    )


@pytest.mark.parametrize("name", DOMAINS)
def test_the_room_judges_and_proves_a_run_without_students(name: str, tmp_path: Path) -> None:
    task, _, size = DOMAINS[name]
    run, compressed = tmp_path / "run", tmp_path / "compressed"
    (run / "snapshots").mkdir(parents=True)
    compressed.mkdir()
    (run / "params.json").write_text(json.dumps({"task": describe_task(task)}))
    first = tuple(task.pairs()[0].tolist())
    write_table(run / "snapshots" / "cycle-0000.safetensors", task, {first: int(task.answers()[0]) + 1})
    last = write_table(run / "snapshots" / "cycle-0001.safetensors", task, {})
    write_table(compressed / "pruned.safetensors", task, {})
    judge_snapshots(run, tmp_path / "verdicts.csv", 1.0, lambda _: None)
    rows = (tmp_path / "verdicts.csv").read_text().splitlines()[1:]
    assert rows[1].startswith(f"1,right,0,0,{size},")
    assert rows[0].startswith(f"0,wrong,1,0,{size},")
    summary = prove_last(run, compressed, tmp_path / "proof", 10, lambda _: None)
    assert str(summary.verdict) == "Proved (arithmetic = pruned net = trained net)"
    assert not (tmp_path / "proof" / "program.py").exists()
    found = recheck(tmp_path / "proof", [last, compressed / "pruned.safetensors"])
    assert (found.status, found.doubts) == (0, ())
