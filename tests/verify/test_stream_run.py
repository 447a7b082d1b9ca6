"""Proofs for all lengths end to end: what is written is accepted, the same each time, and nothing else is accepted."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.by_hand import adder, parity, write_net
from pipeline.tasks.streaming import stream_task
from verify import checker
from verify.__main__ import main
from verify.claims import Unknown
from verify.stream_run import verify_stream

ADDITION = stream_task("addition", base=3)
MACHINE, NET, FLOAT = range(3)


@pytest.fixture(scope="module")
def proved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A proof and its net, of a right adder."""
    directory = tmp_path_factory.mktemp("proved")
    net = write_net(directory / "net.safetensors", adder(3), ADDITION)
    assert verify_stream(net, directory / "proof").exit_code == 0
    return directory


def checked(directory: Path) -> int:
    proof = directory / "proof"
    files = ["--net", str(directory / "net.safetensors"), "--program", str(proof / "program.py")]
    return main(["check", str(proof / "certificate.json"), *files])


def test_it_accepts_the_proof(proved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(proved) == 0
    assert capsys.readouterr().out.endswith("accepted: Proved\n")


def test_a_second_proof_has_the_same_bytes(proved: Path, tmp_path: Path) -> None:
    verify_stream(proved / "net.safetensors", tmp_path / "again")
    for path in (path for path in (proved / "proof").rglob("*") if path.is_file()):
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(proved / "proof")).read_bytes()


Text = dict[str, Any]


def in_both(change: Callable[[Text], object]) -> Callable[[Text], None]:
    """A change of the evidence of the exact and of the float32 claim alike."""

    def changed(text: Text) -> None:
        for claim in (NET, FLOAT):
            change(text["claims"][claim]["evidence"])

    return changed


def in_all(change: Callable[[Text], object]) -> Callable[[Text], None]:
    """A change of the machine, wherever it is."""

    def changed(text: Text) -> None:
        for claim in text["claims"]:
            change(claim["evidence"]["machine"])

    return changed


CHANGES: dict[str, Callable[[Text], object]] = {
    "a region that is too wide": in_both(lambda of: of["regions"][0].update(high=[1 << 20])),
    "an empty region": in_both(lambda of: of["regions"][0].update(low=[9], high=[8])),
    "a region that misses the start": in_both(lambda of: of["regions"][0].update(low=[1])),
    "regions exchanged": in_both(lambda of: of["regions"].reverse()),
    "an answer of the machine": in_all(lambda machine: machine["answers"][1][2].__setitem__(2, 1)),
    "a next state of the machine": in_all(lambda machine: machine["following"][0][2].__setitem__(2, 0)),
    "a carry": lambda text: text["claims"][MACHINE]["evidence"]["carries"].__setitem__(1, 0),
    "a missing step": in_both(lambda of: of["steps"].pop()),
    "a step twice": in_both(lambda of: of["steps"].append(of["steps"][0])),
    "an open step": in_both(lambda of: of["steps"][0].__setitem__(3, "")),
    "a tree that is none": in_both(lambda of: of["steps"][0].__setitem__(slice(3, 5), ["z3", "0."])),
    "a tree of other digits": in_both(lambda of: of["steps"][0].__setitem__(slice(3, 5), ["z3", "\u0660.."])),
    "another base": lambda text: text["task"]["options"].update(base=2),
    "another key": lambda text: text["task"].update(key="addition of anything"),
    "an open formula": lambda text: text["claims"][MACHINE]["obligations"][0].update(result="unknown"),
    "a claim left out": lambda text: text["claims"].pop(),
    "another net": lambda text: text["files"]["net"].update(sha256="0" * 64),
    "another grid": in_both(lambda of: of.update(grid_bits=19)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_it_rejects_what_was_tampered_with(proved: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(proved, tmp_path / "copy")
    path = tmp_path / "copy" / "proof" / "certificate.json"
    text = json.loads(path.read_text())
    CHANGES[name](text)
    path.write_text(json.dumps(text))
    if name == "another net":  # the file is then of nobody: nothing about it is checked, and the checker says so
        lines = checker.check(path, [tmp_path / "copy" / "proof" / "program.py"])
        assert "NOT CHECKED" in lines[-1]
    else:
        assert checked(tmp_path / "copy") == 1


@pytest.mark.parametrize("file", ["net.safetensors", "proof/program.py", "proof/obligations/region-0.smt2"])
def test_it_rejects_files_that_were_tampered_with(proved: Path, tmp_path: Path, file: str) -> None:
    shutil.copytree(proved, tmp_path / "copy")
    path = tmp_path / "copy" / file
    path.write_bytes(path.read_bytes()[:-3] + b"1;\n")
    assert checked(tmp_path / "copy") == 1


def test_a_broken_net_with_the_certificate_of_a_right_one_is_rejected(proved: Path, tmp_path: Path) -> None:
    """Whoever forges the hash still has to get past the bounds."""
    shutil.copytree(proved, tmp_path / "copy")
    rng = np.random.default_rng(0)
    for name in adder(3):
        tensors = adder(3)
        flat = tensors[name].astype(np.float64).reshape(-1)
        flat[rng.integers(flat.size)] += 3
        tensors[name] = flat.reshape(tensors[name].shape)
        net = write_net(tmp_path / "copy" / "net.safetensors", tensors, ADDITION)
        path = tmp_path / "copy" / "proof" / "certificate.json"
        text = json.loads((proved / "proof" / "certificate.json").read_text())
        text["files"]["net"]["sha256"] = checker.sha256(net.read_bytes())
        path.write_text(json.dumps(text))
        assert checked(tmp_path / "copy") == 1, name


def test_what_the_checker_rejects_is_not_proved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = write_net(tmp_path / "net.safetensors", adder(3), ADDITION)

    def reject(*_: object) -> list[str]:
        raise checker.Rejected("on a whim")

    monkeypatch.setattr(checker, "judge", reject)
    summary = verify_stream(net, tmp_path / "proof")
    assert summary.exit_code == 2
    assert all(isinstance(result.verdict, Unknown) for result in summary.proof.results)
    assert "on a whim" in (tmp_path / "proof" / "certificate.json").read_text()


def test_another_task_is_proved_and_its_reference_is_said_to_be_taken_on_trust(tmp_path: Path) -> None:
    net = write_net(tmp_path / "net.safetensors", parity(3), stream_task("parity"))
    assert verify_stream(net, tmp_path / "proof").exit_code == 0
    lines = checker.check(tmp_path / "proof" / "certificate.json", [net, tmp_path / "proof" / "program.py"])
    assert lines[-1] == "accepted: Proved, the reference machine TAKEN FROM THE CERTIFICATE"


def test_a_program_that_is_not_given_is_not_checked(proved: Path) -> None:
    lines = checker.check(proved / "proof" / "certificate.json", [proved / "net.safetensors"])
    assert lines[-1] == "accepted: Proved, 1 of 4 NOT CHECKED (files not given)"


def test_no_other_task_can_be_called_addition(proved: Path, tmp_path: Path) -> None:
    """Options of another name that make the same key."""
    shutil.copytree(proved, tmp_path / "copy")
    path, net = tmp_path / "copy" / "proof" / "certificate.json", tmp_path / "copy" / "net.safetensors"
    options = {"name": "additio", "x": "n3"}
    write_net(net, adder(3), ADDITION, {"task": json.dumps(options)})
    text = json.loads(path.read_text())
    text["task"]["options"] = options
    text["files"]["net"]["sha256"] = checker.sha256(net.read_bytes())
    path.write_text(json.dumps(text))
    with pytest.raises(checker.Rejected, match="its key is that of addition"):
        checker.check(path, [net])


def test_a_refutation_is_replayed(tmp_path: Path) -> None:
    tensors = adder(3)
    tensors["unembed.bias"] = tensors["unembed.bias"] + [0, 0, 100]
    net = write_net(tmp_path / "net.safetensors", tensors, ADDITION)
    assert verify_stream(net, tmp_path / "proof").exit_code == 1
    path = tmp_path / "proof" / "certificate.json"
    assert checker.check(path, [net])[-1].startswith("accepted: Refuted")
    text = json.loads(path.read_text())
    text["verdict"]["counterexample"]["stream"] = [[2, 0]]
    text["verdict"]["counterexample"]["expected"] = [2]
    path.write_text(json.dumps(text))
    with pytest.raises(checker.Rejected):
        checker.check(path, [net])


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = write_net(tmp_path / "net.safetensors", adder(3), ADDITION)
    assert main(["stream", str(net), "--out", str(tmp_path / "proof")]) == 0
    assert "verdict: Proved (task = machine = net, in exact arithmetic and in float32)" in capsys.readouterr().out
    assert main(["chain", str(tmp_path / "proof"), "--net", str(net)]) == 0
    assert "float32 net equals machine" in capsys.readouterr().out
    assert main(["stream", str(tmp_path / "none")]) == 64
    assert capsys.readouterr().err.count("\n") == 1
