"""The ladder: counting, files, determinism, and that held-out labels reach nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from compress.__main__ import main
from compress.ladder import compress_net, compress_run, ladder_csv, ladder_json
from interp.circuits import find, save_circuit
from pipeline.errors import BAD_INPUT, UserError
from pipeline.params import PairCompressParams
from pipeline.runs import Snapshot, load_snapshot, save_snapshot
from pipeline.tasks import ModularTask
from verify.exact_net import file_sha256

SMALL = PairCompressParams(distill_steps=60, quantize_steps=10, restarts=2)
SCORES = np.arange(3.0), np.arange(12.0)


@pytest.fixture
def run(untrained: Snapshot, tmp_path: Path) -> tuple[Path, Path]:
    """A run directory of one snapshot, and the analysis with its circuit."""
    directory, analysis = tmp_path / "runs" / "modular-untrained", tmp_path / "analysis" / "modular-untrained"
    save_snapshot(directory / "snapshots" / "cycle-0000.safetensors", untrained)
    task = {"name": "modular", "p": 11, "operation": "addition", "train_fraction": 0.3}
    params = {"name": directory.name, "task": task, "recipe": "untrained", "train": {"seed": 0}}
    (directory / "params.json").write_text(json.dumps(params))
    circuit = find(untrained.net, untrained.modular, "integrated_gradients", neurons=True)
    circuit.graph["snapshot"] = file_sha256(directory / "snapshots" / "cycle-0000.safetensors")
    analysis.mkdir(parents=True)
    save_circuit(circuit, analysis / "circuit.json")
    return directory, analysis


def test_every_rung_is_counted(untrained: Snapshot) -> None:
    compressed = compress_net(untrained, *SCORES, SMALL)
    trained, pruned, student, integer = compressed.ladder.rungs
    assert [r.name for r in compressed.ladder.rungs] == ["trained", "pruned", "student", "integer student"]
    assert trained.parameters == sum(value.numel() for value in untrained.net.parameters())
    assert trained.bytes == 4 * trained.parameters
    assert trained.inputs == 121
    with torch.no_grad():
        answers = untrained.net(torch.from_numpy(untrained.modular.pairs())).argmax(1).numpy()
    wrong = sum(int(answers[a * 11 + b] != (a + b) % 11) for a in range(11) for b in range(11))
    assert trained.wrong == pruned.wrong == wrong
    assert pruned.parameters <= trained.parameters
    assert student.parameters == integer.parameters == 11 * 24 + 24 * 6 + 6 + 6 * 11
    assert compressed.integer is not None
    assert integer.wrong == compressed.integer.wrong() > 60
    assert compressed.ladder.compression == trained.parameters / integer.parameters


def test_a_ladder_that_is_not_finite_is_still_json(untrained: Snapshot) -> None:
    ladder = compress_net(untrained, *SCORES, SMALL).ladder
    data = json.loads(ladder_json(ladder, "f" * 64))
    assert (data["schema"], data["snapshot"]) == ("catapult-ladder-1", "f" * 64)
    assert [rung["wrong"] for rung in data["rungs"]] == [rung.wrong for rung in ladder.rungs]
    assert ladder_csv(ladder).splitlines()[0] == "name,parameters,bytes,wrong,inputs,note"


@pytest.mark.parametrize("criterion", ["answers", "train"])
def test_held_out_labels_reach_nothing(untrained: Snapshot, monkeypatch: pytest.MonkeyPatch, criterion: str) -> None:
    params = SMALL.model_copy(update={"prune_criterion": criterion})
    before = compress_net(untrained, *SCORES, params)
    true_answers = ModularTask.answers
    held_out = untrained.split()[1]

    def other(task: ModularTask) -> np.ndarray:
        answers = true_answers(task).copy()
        answers[held_out] = (answers[held_out] + 4) % task.p
        return answers

    monkeypatch.setattr(ModularTask, "answers", other)
    after = compress_net(untrained, *SCORES, params)
    assert before.ladder.rungs != after.ladder.rungs  # the count did see them
    for one, two in ((before.student, after.student), (before.integer, after.integer)):
        assert one is not None
        assert two is not None
        assert all((one.tensors[name] == two.tensors[name]).all() for name in one.tensors)
    for name, value in before.pruned.net.state_dict().items():
        assert torch.equal(after.pruned.net.state_dict()[name], value)


def test_a_run_gives_the_same_bytes_again_on_any_number_of_threads(run: tuple[Path, Path], tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    try:
        for name, count in (("one", 1), ("two", 2)):
            torch.set_num_threads(count)
            compress_run(*run, tmp_path / name, SMALL)
    finally:
        torch.set_num_threads(threads)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == [
        "ladder.csv",
        "ladder.json",
        "pruned.safetensors",
        "student.safetensors",
        "student_float.safetensors",
    ]
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert load_snapshot(tmp_path / "one" / "pruned.safetensors").task == ModularTask(11)


def test_the_command_prints_the_ladder(
    run: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory, analysis = run
    quick = ["--distill-steps", "30", "--quantize-steps", "5", "--restarts", "1"]
    out = tmp_path / "compressed"
    assert main([str(directory), "--analysis", str(analysis), "--out", str(out), *quick]) == 0
    assert "integer student" in capsys.readouterr().out
    assert (out / "student.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nowhere"], "not a run"),
        (["nowhere", "--table-bits", "1"], "--table-bits = 1"),
        (["nowhere", "--prune-criterion", "luck"], "--prune-criterion = luck"),
    ],
)
def test_a_users_mistake_is_one_line(
    arguments: list[str],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == BAD_INPUT
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_circuit_of_another_run_of_the_same_shape_is_a_users_mistake(run: tuple[Path, Path], tmp_path: Path) -> None:
    directory, analysis = run
    path = analysis / "circuit.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "snapshot": "0" * 64}))
    with pytest.raises(UserError, match=r"circuit\.json: not of .*cycle-0000\.safetensors; analyse this run again"):
        compress_run(directory, analysis, tmp_path / "out", SMALL)
    assert not (tmp_path / "out").exists()


def test_a_circuit_of_another_net_is_a_users_mistake(run: tuple[Path, Path], tmp_path: Path) -> None:
    directory, analysis = run
    path = analysis / "circuit.json"
    data = json.loads(path.read_text())
    data["nodes"] = [node for node in data["nodes"] if node["id"] != "neuron.0.11"]
    data["edges"] = [edge for edge in data["edges"] if "neuron.0.11" not in (edge["source"], edge["target"])]
    path.write_text(json.dumps(data))
    with pytest.raises(UserError, match="analyse this run again"):
        compress_run(directory, analysis, tmp_path / "out", SMALL)
    path.write_text(json.dumps({**data, "schema": "catapult-circuit-1"}))
    with pytest.raises(UserError, match="make it with `python -m interp attribute`"):
        compress_run(directory, analysis, tmp_path / "out", SMALL)
    assert not (tmp_path / "out").exists()
