"""The checker for all lengths accepts what was proved and nothing that was tampered with."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.tasks.streaming import stream_task
from tests.verify.streams import adder, parity, write_net
from verify import stream_checker
from verify.__main__ import main
from verify.claims import Unknown
from verify.stream_run import verify_stream

ADDITION = stream_task("addition", base=3)


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


def test_it_accepts_the_proof_and_says_what_it_did(proved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(proved) == 0
    out = capsys.readouterr().out
    assert "bounds recomputed for all 18 steps" in out
    assert "checked in every state, for all lengths" in out
    assert out.endswith("accepted: Proved\n")


def test_a_second_proof_has_the_same_bytes(proved: Path, tmp_path: Path) -> None:
    verify_stream(proved / "net.safetensors", tmp_path / "again")
    for path in (path for path in (proved / "proof").rglob("*") if path.is_file()):
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(proved / "proof")).read_bytes()


def wide_region(text: dict[str, Any]) -> None:
    text["regions"][0]["high"] = [1 << 20]


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "a region that is too wide": wide_region,
    "an empty region": lambda text: text["regions"][0].update(low=[9], high=[8]),
    "a region that misses the start": lambda text: text["regions"][0].update(low=[1]),
    "regions exchanged": lambda text: text["regions"].reverse(),
    "an answer of the machine": lambda text: text["machine"]["answers"][1][2].__setitem__(2, 1),
    "a next state of the machine": lambda text: text["machine"]["following"][0][2].__setitem__(2, 0),
    "a carry": lambda text: text["carries"].__setitem__(1, 0),
    "a missing step": lambda text: text["steps"].pop(),
    "a step twice": lambda text: text["steps"].append(text["steps"][0]),
    "an open step": lambda text: text["steps"][0].__setitem__(3, ""),
    "a tree that is none": lambda text: text["steps"][0].__setitem__(3, "z3") or text["steps"][0].__setitem__(4, "0."),
    "another base": lambda text: text["task"].update(base=2),
    "another task": lambda text: text["task"].update(name="parity"),
    "another reference": lambda text: text["reference"]["answers"][0][0].__setitem__(0, 1),
    "an open formula": lambda text: text["obligations"][0].update(result="unknown"),
    "no formulas": lambda text: text.update(obligations=[]),
    "another sentence": lambda text: text["claims"][0].update(sentence="all is well"),
    "a claim left out": lambda text: text["claims"].pop(),
    "another net": lambda text: text["files"]["net"].update(sha256="0" * 64),
    "a field more": lambda text: text.update(note="and more"),
    "a field less": lambda text: text.pop("solver"),
    "another method": lambda text: text["claims"][1]["verdict"].update(method="by authority"),
    "other quantifiers": lambda text: text["claims"][1]["claim"].update(quantifiers="for some streams"),
    "another name of the task": lambda text: text["task"].update(key="addition of anything"),
    "a task that says more": lambda text: text["task"].update(also="and of reals"),
    "the whole without float32": lambda text: text["claims"][2].update(verdict={"reason": "", "verdict": "Unknown"}),
    "a tree of other digits": lambda text: text["steps"][0].__setitem__(slice(3, 5), ["z3", "\u0660.."]),
    "another grid": lambda text: text.update(grid_bits=19),
}


@pytest.mark.parametrize("name", CHANGES)
def test_it_rejects_what_was_tampered_with(proved: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(proved, tmp_path / "copy")
    path = tmp_path / "copy" / "proof" / "certificate.json"
    text = json.loads(path.read_text())
    CHANGES[name](text)
    path.write_text(json.dumps(text))
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
        text["files"]["net"]["sha256"] = stream_checker.sha256(net.read_bytes())
        path.write_text(json.dumps(text))
        assert checked(tmp_path / "copy") == 1, name


def test_what_the_checker_rejects_is_not_proved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = write_net(tmp_path / "net.safetensors", adder(3), ADDITION)

    def reject(*_: object) -> list[str]:
        raise stream_checker.Rejected("on a whim")

    monkeypatch.setattr(stream_checker, "check", reject)
    summary = verify_stream(net, tmp_path / "proof")
    assert summary.exit_code == 2
    assert all(isinstance(result.verdict, Unknown) for result in summary.proof.results)
    assert "on a whim" in (tmp_path / "proof" / "certificate.json").read_text()


def test_another_task_is_proved_and_its_reference_is_said_to_be_taken_on_trust(tmp_path: Path) -> None:
    net = write_net(tmp_path / "net.safetensors", parity(3), stream_task("parity"))
    assert verify_stream(net, tmp_path / "proof").exit_code == 0
    lines = stream_checker.check(tmp_path / "proof" / "certificate.json", net)
    assert any("TAKEN FROM THE CERTIFICATE" in line for line in lines)


def test_a_refutation_is_replayed(tmp_path: Path) -> None:
    tensors = adder(3)
    tensors["unembed.bias"] = tensors["unembed.bias"] + [0, 0, 100]
    net = write_net(tmp_path / "net.safetensors", tensors, ADDITION)
    assert verify_stream(net, tmp_path / "proof").exit_code == 1
    path = tmp_path / "proof" / "certificate.json"
    assert any("replayed" in line for line in stream_checker.check(path, net))
    text = json.loads(path.read_text())
    text["verdict"]["counterexample"]["stream"] = [[2, 0]]
    text["verdict"]["counterexample"]["expected"] = [2]
    path.write_text(json.dumps(text))
    with pytest.raises(stream_checker.Rejected, match="is none"):
        stream_checker.check(path, net)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = write_net(tmp_path / "net.safetensors", adder(3), ADDITION)
    assert main(["stream", str(net), "--out", str(tmp_path / "proof")]) == 0
    assert "verdict: Proved (task = machine = net, in exact arithmetic and in float32)" in capsys.readouterr().out
    assert main(["stream", str(tmp_path / "none")]) == 64
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("command", ["prove", "stream"])
def test_help_names_the_exit_statuses_and_what_is_written(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "exit status: 0 Proved, 1 Refuted, 2 Unknown, 64 bad input" in said
    assert "nothing is written without it" in said


def test_without_a_directory_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = write_net(tmp_path / "net.safetensors", adder(3), ADDITION)
    monkeypatch.chdir(tmp_path)
    assert main(["stream", str(net)]) == 0
    assert list(tmp_path.iterdir()) == [net]
