"""The proofs end to end, through the library and the command, sunny and broken."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from benchmarks.by_hand import hand_built, write_snapshot, write_student
from pipeline.errors import UserError
from verify import Nets, Proved, Refuted, Unknown, checker, load_exact_net, load_program, verify_run
from verify.__main__ import main
from verify.claims import Counterexample
from verify.exact_net import NO_ANSWER
from verify.weights import read_weights

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("p", "sign", "frequencies"), [(7, 1, (1, 2)), (11, -1, (2, 3)), (13, 1, (2, 3, 5))])
def test_the_whole_chain(tmp_path: Path, p: int, sign: int, frequencies: tuple[int, ...]) -> None:
    student = write_student(tmp_path / "s.safetensors", hand_built(p, sign, frequencies), p, sign)
    trained = write_snapshot(tmp_path / "t.safetensors", p, sign)
    summary = verify_run(Nets(trained, integer=student), tmp_path / "proof", 60)
    assert str(summary.verdict) == "Proved (arithmetic = program = integer student = trained net)"
    assert summary.program is not None
    assert (summary.program.frequencies, summary.exit_code) == (frequencies, 0)
    text = json.loads((tmp_path / "proof/certificate.json").read_text())
    links = [claim for claim in text["claims"] if claim["claim"]["kind"] in ("equals", "rounding")]
    assert [claim["verdict"]["verdict"] for claim in links] == ["Proved"] * 5
    assert load_program(tmp_path / "proof/program.py") == summary.program


def test_one_larger_modulus_with_exceptions_to_the_relaxation(tmp_path: Path) -> None:
    """A right student whose features are off on a few pairs: those are evaluated, the others stay symbolic."""
    tensors = hand_built(13, 1, (2, 3, 5))
    tensors["left"] = np.concatenate([tensors["left"], np.full((13, 1), -10)], axis=1)
    tensors["left"][[4, 9], -1] = 60  # relu(-10 - 10) is 0, relu(60 - 10) and relu(120) are not
    tensors["mix"] = np.concatenate([tensors["mix"], [[1, 0, 0, 0, 0, 0]]])
    student = write_student(tmp_path / "s.safetensors", tensors, 13)
    net = load_exact_net(student)
    assert (net.answers == net.sums()).all()
    summary = verify_run(Nets(integer=student), None, 60)
    assert isinstance(summary.verdict, Proved), summary.verdict


def test_31_symbolically(tmp_path: Path) -> None:
    student = write_student(tmp_path / "s.safetensors", hand_built(31, 1, (7,), 300), 31)
    lines: list[str] = []
    summary = verify_run(Nets(integer=student), None, 120, progress=lines.append)
    assert isinstance(summary.verdict, Proved), summary.verdict
    assert any("student-feature-1: unsat" in line for line in lines)
    assert not any("student-pairs" in line for line in lines)


@pytest.mark.parametrize("seed", range(25))
def test_one_broken_weight(tmp_path: Path, seed: int) -> None:
    """The verdict is the truth, and the counterexample replays."""
    rng = np.random.default_rng(seed)
    p, sign = int(rng.choice([7, 11])), int(rng.choice([1, -1]))
    tensors = hand_built(p, sign)
    name = str(rng.choice(sorted(tensors)))
    where = tuple(rng.integers(0, n) for n in tensors[name].shape)
    tensors[name][where] += int(rng.choice([-1, 1])) * int(rng.choice([1, 2, 20, 500]))
    student = write_student(tmp_path / "s.safetensors", tensors, p, sign)
    net = load_exact_net(student)
    # The claim is about the program; that of a student with one broken weight is still arithmetic here.
    wrong = net.answers != net.sums()
    verdict = verify_run(Nets(integer=student), None, 60).verdict
    if wrong.any():
        assert isinstance(verdict, Refuted), verdict
        example = verdict.counterexample
        assert isinstance(example, Counterexample)
        assert wrong[example.a, example.b]
        answer = int(net.answers[example.a, example.b])
        assert example.got == (None if answer < 0 else answer)
        assert example.expected == (example.a + sign * example.b) % p
    else:
        assert isinstance(verdict, Proved), verdict


def test_a_tie_is_a_wrong_answer(tmp_path: Path) -> None:
    tensors = hand_built(7)
    tensors["readout"][:, 0] = tensors["readout"][:, 1]
    student = write_student(tmp_path / "s", tensors, 7)
    assert load_exact_net(student).answers[0, 1] == NO_ANSWER
    summary = verify_run(Nets(integer=student), None, 10)
    assert isinstance(summary.results[1].verdict, Refuted)
    said = "0 + 0 (mod 7): the program says 0, the integer student has no one answer (a tie)"
    assert str(summary.verdict) == f"Refuted: {said} (wrong on 14 of 49 inputs)"
    tensors = hand_built(7)
    tensors["readout"][:, 1:] = tensors["readout"][:, :1]  # logits all alike: no pair has an answer
    summary = verify_run(Nets(integer=write_student(tmp_path / "s", tensors, 7)), None, 10)
    assert "has no one answer (a tie)" in str(summary.verdict)


def test_a_constant_student_is_refuted_with_its_program(tmp_path: Path) -> None:
    tensors = {name: np.zeros_like(value) for name, value in hand_built(7).items()}
    summary = verify_run(Nets(integer=write_student(tmp_path / "s", tensors, 7)), None, 10)
    assert [type(r.verdict) for r in summary.results if r.claim.kind == "equals"] == [Refuted, Refuted]


def test_off_by_one_specification(tmp_path: Path) -> None:
    """A net of a + b + 1 is not a net of a + b, and a net of a + b is none of a - b."""
    tensors = hand_built(7)
    tensors["readout"] = np.roll(tensors["readout"], 1, axis=1)
    assert isinstance(verify_run(Nets(integer=write_student(tmp_path / "s", tensors, 7)), None, 10).verdict, Refuted)
    other = write_student(tmp_path / "o", hand_built(7), 7, -1)
    assert isinstance(verify_run(Nets(integer=other), None, 10).verdict, Refuted)


def test_no_time_is_unknown(student: Path, tmp_path: Path) -> None:
    for seconds in (0.0, 1e-6, 0.02):
        summary = verify_run(Nets(integer=student), tmp_path / "proof", seconds)
        assert isinstance(summary.verdict, Unknown)
        assert "time" in summary.verdict.reason
        assert summary.exit_code == 2


def test_trained_net_wrong_or_without_student(tmp_path: Path, student: Path) -> None:
    wrong = write_snapshot(tmp_path / "wrong", 7, swap=True)
    alone = verify_run(Nets(wrong), tmp_path / "proof", 10)
    assert str(alone.verdict) == "Refuted: 0 + 1 = 1 (mod 7), the trained net says 2 (wrong on 14 of 49 inputs)"
    assert alone.results[0].measured["disagreements"] == 14
    both = verify_run(Nets(wrong, integer=student), None, 30)
    assert [type(r.verdict) for r in both.results if r.claim.kind == "equals"] == [Proved, Proved, Refuted, Refuted]
    assert both.exit_code == 1
    right = verify_run(Nets(write_snapshot(tmp_path / "right", 7)), None, 10)
    assert str(right.verdict) == "Proved (arithmetic = trained net)"


def test_equal_inputs_give_equal_bytes(student: Path, tmp_path: Path) -> None:
    trained = write_snapshot(tmp_path / "t.safetensors", 7)
    for name in ("one", "two"):
        verify_run(Nets(trained, integer=student), tmp_path / name, 60)
    one, two = (
        {f.relative_to(d): f.read_bytes() for f in d.rglob("*") if f.is_file()}
        for d in (tmp_path / "one", tmp_path / "two")
    )
    assert one == two
    assert not any(part in one[Path("certificate.json")].decode() for part in ("/tmp", "seconds", str(tmp_path)))


def test_the_output_replaces_a_proof_and_nothing_else(student: Path, tmp_path: Path) -> None:
    out = tmp_path / "proof"
    verify_run(Nets(integer=student), out, 30)
    (out / "obligations/stale.smt2").write_text("")
    verify_run(Nets(integer=student), out, 30)
    assert not (out / "obligations/stale.smt2").exists()
    assert sorted(f.name for f in out.iterdir()) == ["certificate.json", "obligations", "program.py"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("")
    with pytest.raises(UserError, match=r"something else than a proof \(thesis.txt\)"):
        verify_run(Nets(integer=student), tmp_path / "mine", 30)
    (out / "notes.txt").write_text("")
    with pytest.raises(UserError, match=r"something else than a proof \(notes.txt\)"):
        verify_run(Nets(integer=student), out, 30)
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "certificate.json").write_text("{}")
    copy = inside / "student.safetensors"
    copy.write_bytes(student.read_bytes())
    with pytest.raises(UserError, match="lies in it and would be replaced"):
        verify_run(Nets(integer=copy), inside, 30)
    assert copy.exists()
    assert not [f for f in tmp_path.iterdir() if f.name.startswith(".")]


@pytest.mark.parametrize("frequencies", [(1,), (1, 3)])
def test_a_modulus_that_is_a_power_of_two(tmp_path: Path, frequencies: tuple[int, ...]) -> None:
    """p itself needs a bit more than p - 1, and has to fit where residues are computed."""
    student = write_student(tmp_path / "s.safetensors", hand_built(8, 1, frequencies), 8)
    assert isinstance(verify_run(Nets(integer=student), None, 60).verdict, Proved)


def test_a_unit_that_is_never_active_changes_nothing_whatever_its_weight(tmp_path: Path) -> None:
    tensors = hand_built(7)
    tensors["left"] = np.concatenate([tensors["left"], np.full((7, 1), -5)], axis=1)
    tensors["mix"] = np.concatenate([tensors["mix"], np.full((1, 4), 1 << 29)])
    student = write_student(tmp_path / "s.safetensors", tensors, 7)
    assert isinstance(verify_run(Nets(integer=student), None, 60).verdict, Proved)


def test_an_answer_near_rounding_is_not_proved(tmp_path: Path) -> None:
    """All logits moved up together until float32 can hardly tell them apart: right in exact arithmetic, and no more."""
    path = write_snapshot(tmp_path / "t.safetensors", 7)
    assert verify_run(Nets(path), None, 10).exit_code == 0
    tensors = dict(load_file(path))
    tensors["unembed.weight"] *= np.float32(1e-3)
    tensors["unembed.weight"][:, 4] += np.float32(1e5)  # direction 4 is 1 at the last position, always
    save_file(tensors, path, metadata=read_weights(path).metadata)
    summary = verify_run(Nets(path), None, 10)
    (right, rounding) = summary.results
    assert right.measured["disagreements"] == 0
    assert isinstance(right.verdict, Proved)
    assert isinstance(rounding.verdict, Unknown)
    assert summary.verdict == rounding.verdict


def test_what_the_checker_rejects_is_not_proved(student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def reject(*_: object) -> list[str]:
        raise checker.Rejected("on a whim")

    monkeypatch.setattr(checker, "judge", reject)
    summary = verify_run(Nets(integer=student), tmp_path / "proof", 60)
    assert summary.exit_code == 2
    assert not any(isinstance(result.verdict, Proved) for result in summary.results)
    assert "on a whim" in (tmp_path / "proof" / "certificate.json").read_text()


def test_what_the_checker_cannot_follow_is_not_refuted_either(tmp_path: Path) -> None:
    """Wrong, and so large that the checker's integers do not hold it: nobody but the prover says so."""
    path = write_snapshot(tmp_path / "t.safetensors", 7, swap=True)
    tensors = dict(load_file(path))
    tensors["unembed.weight"] *= np.float32(2.0**24)
    save_file(tensors, path, metadata=read_weights(path).metadata)
    summary = verify_run(Nets(path), tmp_path / "proof", 10)
    assert summary.exit_code == 2
    assert "beyond 2^22" in str(summary.verdict)
    assert checker.check(tmp_path / "proof" / "certificate.json", [path])[-1] == "accepted: Unknown"


def test_the_chain_is_printed_with_its_weakest_link(
    student: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verify_run(Nets(write_snapshot(tmp_path / "right", 7), integer=student), tmp_path / "right-proof", 60)
    verify_run(Nets(write_snapshot(tmp_path / "wrong", 7, swap=True), integer=student), tmp_path / "wrong-proof", 60)
    right, wrong = (["--net", str(tmp_path / name), "--net", str(student)] for name in ("right", "wrong"))
    assert main(["chain", str(tmp_path / "right-proof"), *right]) == 0
    said = capsys.readouterr().out.splitlines()
    assert any(line.startswith("integer student equals program ") and "Proved" in line for line in said)
    assert any(line.startswith("formulas ") and "of these files" in line for line in said)
    assert "trained net is unchanged under rounding: Proved" in said[-2]
    assert main(["chain", str(tmp_path / "wrong-proof" / "certificate.json"), *wrong]) == 1
    said = capsys.readouterr().out.splitlines()
    assert "weakest link" in said[-2]
    assert "Refuted" in said[-2]
    assert "0 + 1 = 1 (mod 7), the trained net says 2" in said[-1]
    assert main(["chain", str(tmp_path)]) == 64
    assert "= no certificate" in capsys.readouterr().err


def test_the_hash_is_of_the_bytes_that_were_read(student: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is swapped after the one read cannot lend its hash to the weights of another."""
    content, reads = student.read_bytes(), []
    read_bytes = Path.read_bytes

    def swapping(path: Path) -> bytes:
        data = read_bytes(path)
        reads.append(path)
        student.write_bytes(b"swapped")
        return data

    monkeypatch.setattr(Path, "read_bytes", swapping)
    net = load_exact_net(student)
    assert reads == [student]
    assert net.sha256 == hashlib.sha256(content).hexdigest()


def test_commands(student: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "proof"
    assert main(["prove", "--student", str(student), "--out", str(out), "--timeout", "60"]) == 0
    assert main(["extract", "--student", str(student), "--out", str(tmp_path / "p.py")]) == 0
    assert (tmp_path / "p.py").read_bytes() == (out / "program.py").read_bytes()
    files = ["--net", str(student), "--program", str(out / "program.py")]
    assert main(["check", str(out / "certificate.json"), *files]) == 0
    assert main(["prove", "--student", str(student), "--program", str(out / "program.py"), "--timeout", "0"]) == 2
    wrong = write_snapshot(tmp_path / "w", 7, swap=True)
    assert main(["prove", "--trained", str(wrong)]) == 1
    assert "verdict: Refuted: 0 + 1 = 1 (mod 7), the trained net says 2" in capsys.readouterr().out


def test_torch_is_not_imported(student: Path, tmp_path: Path) -> None:
    trained = write_snapshot(tmp_path / "t.safetensors", 7)
    code = (
        "import sys; from verify import verify_run; "
        "from pathlib import Path; from verify.run import Nets; "
        f"nets = Nets(trained=Path({str(trained)!r}), integer=Path({str(student)!r})); "
        f"s = verify_run(nets, {str(tmp_path / 'proof')!r}, 60); "
        "assert s.exit_code == 0, s.verdict; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def _bad_files(tmp: Path) -> dict[str, Path]:
    good = hand_built(7)
    bad = {
        "format": write_student(tmp / "1", good, 7, format="other"),
        "p": write_student(tmp / "2", good, "seven"),
        "modulus": write_student(tmp / "3", good, 11),
        "operation": write_student(tmp / "4", good, 7, operation="product"),
        "missing": write_student(tmp / "5", {k: v for k, v in good.items() if k != "mix"}, 7),
        "unknown": write_student(tmp / "6", {**good, "bias": good["offset"]}, 7),
        "shape": write_student(tmp / "7", {**good, "readout": good["readout"][:, :5]}, 7),
        "axes": write_student(tmp / "8", {**good, "offset": good["offset"][None]}, 7),
        "empty": write_student(tmp / "9", {**good, "left": good["left"][:, :0], "mix": good["mix"][:0]}, 7),
        "large": write_student(tmp / "10", {k: v + (1 << 30) for k, v in good.items()}, 7),
        "absent": tmp / "nowhere",
        "snapshot": write_snapshot(tmp / "11", 7),
        "directory": tmp,
    }
    (tmp / "12").write_bytes(b"\xff" * 64)
    (tmp / "13").write_bytes(bad["format"].read_bytes()[:-9])
    (tmp / "14").write_bytes(b"")
    return bad | {"bytes": tmp / "12", "truncated": tmp / "13", "nothing": tmp / "14"}


def test_bad_input_is_one_line_and_64(student: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.py").write_text("import os\n")
    out = ["--out", str(tmp_path / "proof")]
    calls = [["prove", "--student", str(path), *out] for path in _bad_files(tmp_path).values()]
    calls += [
        ["prove", *out],
        ["prove", "--student", str(student), "--trained", str(student), *out],
        ["prove", "--student", str(student), "--trained", str(write_snapshot(tmp_path / "t", 11)), *out],
        ["prove", "--student", str(student), "--program", str(tmp_path / "p.py"), *out],
        ["prove", "--student", str(student), "--program", str(tmp_path / "nowhere.py"), *out],
        ["prove", "--student", str(student), "--timeout", "soon", *out],
        ["prove", "--student", str(student), "--timeout", "-1", *out],
        ["prove", "--student", str(student), "--timeout", "nan", *out],
        ["prove", "--student", str(student), "--timeout", "inf", *out],
        ["prove", "--student", str(student), "--out", str(student)],
        ["prove", "--unheard-of", *out],
        ["disprove"],
        [],
        ["extract", "--student", str(student), "--out", str(tmp_path)],
        ["check"],
    ]
    for call in calls:
        try:
            status = main(call)
        except SystemExit as ended:
            status = ended.code
        captured = capsys.readouterr()
        assert (status, captured.err.count("\n"), captured.out) == (64, 1, ""), (call, captured.err)
        assert not (tmp_path / "proof").exists()
