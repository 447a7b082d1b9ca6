"""The checker on its own: it accepts what the prover wrote and nothing that was tampered with."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.verify.conftest import hand_built, write_student
from verify import checker, verify_run
from verify.certificate import SCHEMA
from verify.claims import Kind
from verify.programs import Program, cosine_table


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("proof")
    student = write_student(directory / "student.safetensors", hand_built(7), 7)
    assert verify_run(None, student, directory / "out", 60).exit_code == 0
    return directory


def check(
    directory: Path, certificate: str | Path = "certificate.json", net: Path | None = None, program: Path | None = None
) -> str:
    """Empty if accepted, otherwise why not."""
    net = net or directory / "student.safetensors"
    status = checker.main(
        [
            str(directory / "out" / certificate),
            "--net",
            str(net),
            "--program",
            str(program or directory / "out/program.py"),
        ]
    )
    return "" if status == 0 else "rejected"


def test_runs_bare_without_anything_of_ours(proof: Path, tmp_path: Path) -> None:
    alone = tmp_path / "checker.py"
    alone.write_text(Path(checker.__file__).read_text())
    arguments = [str(proof / "out/certificate.json"), "--net", str(proof / "student.safetensors")]
    arguments += ["--program", str(proof / "out/program.py")]
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(alone), *arguments], capture_output=True, text=True, cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "accepted (2 of 2 claims checked)"
    assert len(alone.read_text().splitlines()) < 250


def test_a_key_given_twice_hides_nothing(proof: Path) -> None:
    path = proof / "out/twice.json"
    text = (proof / "out/certificate.json").read_text()
    path.write_text(text.replace('"schema":', '"schema": "other",\n "schema":', 1))
    assert check(proof, "twice.json") == "rejected"
    path.unlink()


def test_speaks_of_the_same_things_as_the_prover() -> None:
    program = Program(7, 1, (1,), (1,), cosine_table(7)).render()
    rest = checker.LITERALS.sub("\0", program)
    assert hashlib.sha256(rest.encode()).hexdigest() == checker.ALGORITHM_SHA256
    assert checker.SCHEMA == SCHEMA
    assert {checker.PROGRAM, checker.STUDENT, *checker.FLOAT} == {kind.value for kind in Kind}


def _edit(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def edit(text: Any) -> None:
        *keys, last = [int(k) if k.isdigit() else k for k in path.split(".")]
        for key in keys:
            text = text[key]
        text[last] = value

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        _edit("schema", "catapult-certificate-2"),
        _edit("files.student.sha256", "0" * 64),
        _edit("files.program.sha256", "0" * 64),
        _edit("files", {}),
        _edit("task.p", 11),
        _edit("task.operation", "subtraction"),
        _edit("claims", []),
        _edit("claims.0.claim.kind", "everything is fine"),
        _edit("claims.0.claim.p", 11),
        _edit("claims.1.claim.kind", "program equals arithmetic"),
        _edit("claims.1.verdict", {"verdict": "Refuted", "counterexample": {"a": 1, "b": 1, "expected": 2, "got": 3}}),
        _edit("claims.1.verdict", {"verdict": "Refuted"}),
        _edit("claims.1.verdict", {"verdict": "Unknown", "reason": ""}),
        _edit("claims.1.verdict", {"verdict": "proved"}),
        _edit("claims.1.sentence", "for all real a, b, the student is right"),
        _edit("verdict.method", "arithmetic = program = student = trained net"),
        _edit("task.p", 10**9),
        _edit("claims.1.obligations", []),
        _edit("claims.1.obligations.0.result", "unknown"),
        _edit("claims.1.obligations.0.sha256", "0" * 64),
        _edit("claims.1.obligations.0.file", "../student.safetensors"),
        _edit("claims.1.obligations.0.file", "obligations/nothing.smt2"),
        _edit("verdict.verdict", "Refuted"),
        _edit("verdict", None),
        _edit("claims", [None]),
        _edit("claims.0.claim.p", 7.0),
        lambda text: text["claims"].pop(0),
        lambda text: text["claims"].pop(1),
    ],
)
def test_tampered_certificates_are_rejected(proof: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    text = json.loads((proof / "out/certificate.json").read_text())
    edit(text)
    (proof / "out/tampered.json").write_text(json.dumps(text))
    assert check(proof) == ""
    assert check(proof, "tampered.json") == "rejected"


def _with_hash(proof: Path, name: str, path: Path) -> str:
    """A certificate that names the tampered file: only evaluation can find it out."""
    text = json.loads((proof / "out/certificate.json").read_text())
    text["files"][name]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (proof / "out/renamed.json").write_text(json.dumps(text))
    return "renamed.json"


@pytest.mark.parametrize("seed", range(60))
def test_tampered_weights_are_rejected_iff_wrong(proof: Path, tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    tensors = hand_built(7)
    name = str(rng.choice(sorted(tensors)))
    where = tuple(rng.integers(0, n) for n in tensors[name].shape)
    tensors[name][where] += int(rng.choice([-1, 1])) << int(rng.integers(0, 12))
    net = write_student(tmp_path / "s", tensors, 7)
    assert check(proof, net=net) == "rejected"
    from verify import load_exact_net

    exact = load_exact_net(net)
    wrong = bool((exact.answers != exact.sums()).any())
    assert (check(proof, _with_hash(proof, "student", net), net) == "rejected") == wrong


@pytest.mark.parametrize("seed", range(60))
def test_damaged_files_are_rejected_without_a_crash(proof: Path, tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for name, path in (("student", proof / "student.safetensors"), ("program", proof / "out/program.py")):
        data = bytearray(path.read_bytes())
        if seed % 3 == 0:
            data = data[: int(rng.integers(len(data)))]
        else:
            for _ in range(seed % 3):
                data[int(rng.integers(400 if seed % 2 else len(data)))] ^= 1 << int(rng.integers(8))
        damaged = tmp_path / name
        damaged.write_bytes(bytes(data))
        given = {"net": damaged} if name == "student" else {"program": damaged}
        assert check(proof, **given) == "rejected" or bytes(data) == path.read_bytes()
        check(proof, _with_hash(proof, name, damaged), **given)  # any answer, no exception


def test_program_with_other_code_is_rejected(proof: Path, tmp_path: Path) -> None:
    source = (proof / "out/program.py").read_text()
    for changed in (
        source.replace("return scores.index(best)", "return 3"),
        source.replace("# --- the algorithm", "import os  # --- the algorithm"),
        re.sub(r"SIGN = 1\n", "SIGN = 1; print(1)\n", source),
    ):
        assert changed != source
        path = tmp_path / "p.py"
        path.write_text(changed)
        assert check(proof, _with_hash(proof, "program", path), program=path) == "rejected"


def test_refuted_certificates_are_replayed(tmp_path: Path) -> None:
    tensors = hand_built(7)
    tensors["left"][3, 4] += 50
    (tmp_path / "p").mkdir()
    student = write_student(tmp_path / "p/student.safetensors", tensors, 7)
    assert verify_run(None, student, tmp_path / "p/out", 30).exit_code == 1
    assert check(tmp_path / "p") == ""
    path = tmp_path / "p/out/certificate.json"
    text = json.loads(path.read_text())
    refuted = next(c for c in text["claims"] if c["verdict"]["verdict"] == "Refuted")
    refuted["verdict"]["counterexample"]["got"] = refuted["verdict"]["counterexample"]["expected"]
    path.write_text(json.dumps(text))
    assert check(tmp_path / "p") == "rejected"


def test_missing_files_and_usage(proof: Path, capsys: pytest.CaptureFixture[str]) -> None:
    certificate = str(proof / "out/certificate.json")
    assert checker.main([certificate]) == 1
    assert checker.main([certificate, "--net", str(proof / "student.safetensors")]) == 1
    assert checker.main([str(proof / "nothing.json")]) == 1
    assert checker.main(["--help"]) == 0
    capsys.readouterr()
    assert checker.main(["--unheard-of"]) == 64
    assert capsys.readouterr().err.count("\n") == 1
