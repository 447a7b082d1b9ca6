"""A run directory analysed from Python and from the command line."""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks.by_hand import adder, write_net
from interp.__main__ import main
from interp.analyse import analyse_run
from pipeline.errors import BAD_INPUT
from pipeline.lazy import homes
from pipeline.nets import Transformer
from pipeline.params import InterpParams, ThresholdParams
from pipeline.runs import Snapshot, save_snapshot
from pipeline.tasks import ModularTask
from pipeline.tasks.streaming import stream_task

P = 23
FILES = {"measures.csv", "phases.json", "spectra.json", "circuit.json"}


@pytest.fixture
def run(tmp_path: Path, make_clock: Callable[..., Transformer], make_random: Callable[..., Transformer]) -> Path:
    """A run whose snapshots 0 and 1 are untrained, 2 and 3 a clock."""
    directory = tmp_path / "modular-made"
    params = {
        "name": directory.name,
        "task": {"name": "modular", "operation": "addition", "p": P, "train_fraction": 0.4},
        "recipe": "made",
        "train": {"seed": 0},
    }
    nets = [make_random(P, seed, d_model=24, n_heads=1, d_head=24, d_mlp=48) for seed in (0, 1)]
    nets += [make_clock(P, (1, 2, 3, 5, 7, 10))] * 2
    for cycle, net in enumerate(nets):
        path = directory / "snapshots" / f"cycle-{cycle:04d}.safetensors"
        save_snapshot(path, Snapshot(net, ModularTask(P), 0.4, "made", 0, cycle, 10 * cycle))
    (directory / "params.json").write_text(json.dumps(params))
    return directory


def test_an_analysis_names_the_transition_and_writes_its_files(run: Path, tmp_path: Path) -> None:
    analysis = analyse_run(run, tmp_path / "out")
    assert (analysis.phases.final, analysis.transition_cycle) == ("algorithm", 2)
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    rows = list(csv.DictReader((tmp_path / "out/measures.csv").read_text().splitlines()))
    assert [row["phase"] for row in rows] == ["untrained", "untrained", "algorithm", "algorithm"]
    assert [(row["cycle"], row["step"]) for row in rows] == [("0", "0"), ("1", "10"), ("2", "20"), ("3", "30")]
    phases = json.loads((tmp_path / "out/phases.json").read_text())
    assert (phases["schema"], phases["transition_cycle"]) == ("catapult-phases-1", 2)
    assert phases["segments"][-1] == {"phase": "algorithm", "first_cycle": 2, "last_cycle": 3}
    assert all(criterion["holds"] for criterion in phases["evidence"]["last_snapshot"].values())
    assert [row["transition"] for row in phases["phases"]] == [0, 0, 1, 0]
    assert [row["algorithm"]["name"] for row in phases["phases"]][:2] == ["unknown", "unknown"]
    assert [row["circuit_similarity"] == "" for row in rows] == [True, False, False, False]
    assert float(rows[3]["circuit_similarity"]) == 1 > float(rows[2]["circuit_similarity"])
    assert all(float(row["learning_coefficient_error"]) > 0 for row in rows)
    spectra = json.loads((tmp_path / "out/spectra.json").read_text())
    assert spectra["key_frequencies"] == [1, 2, 3, 5, 7, 10]
    assert len(spectra["frequencies"]) == len(spectra["embed"]["last"]) == 11


def test_the_same_run_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    for out in ("first", "second"):
        analyse_run(run, tmp_path / out)
    for name in FILES:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_thresholds_are_parameters(run: Path, tmp_path: Path) -> None:
    strict = InterpParams(thresholds=ThresholdParams(explained=0.99))
    assert analyse_run(run, tmp_path / "out", strict).transition_cycle is None


def test_the_commands(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyse", str(run), "--out", str(tmp_path / "out")]) == 0
    assert "cycles    2 to    3  algorithm" in capsys.readouterr().out
    found = json.loads((tmp_path / "out/circuit.json").read_text())
    assert (found["schema"], found["circuit"]["accuracy_all"]) == ("catapult-circuit-2", 1.0)
    assert main(["attribute", str(run), "--neurons", "--out", str(tmp_path / "circuit.json")]) == 0
    assert (tmp_path / "circuit.json").read_bytes() == (tmp_path / "out/circuit.json").read_bytes()
    assert main(["measures", str(run / "snapshots/cycle-0000.safetensors")]) == 0
    assert "phase: untrained" in capsys.readouterr().out


def test_help_of_every_command_needs_no_torch() -> None:
    code = (
        "import sys; from interp.__main__ import parser; parser(); assert not {'torch', 'networkx'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("room", ["interp", "compress", "verify"])
def test_every_public_name_is_found(room: str) -> None:
    package = import_module(room)
    found = homes(str(package.__file__))
    assert found
    for name, home in found.items():
        assert getattr(package, name) is getattr(import_module(home), name)
    with pytest.raises(AttributeError, match=f"module '{room}' has no attribute 'absent'"):
        package.absent  # noqa: B018


def test_what_is_of_pairs_only_says_so_of_a_run_of_streams(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "params.json").write_text('{"name": "streams", "task": {"base": 10, "name": "addition"}}')
    assert main(["attribute", str(tmp_path), "--out", str(tmp_path / "circuit.json")]) == BAD_INPUT
    assert capsys.readouterr().err.endswith("the run is of addition; give one of a task on pairs\n")


def test_a_run_of_streams_is_analysed_as_a_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task, run, out = stream_task("addition", base=3), tmp_path / "run", tmp_path / "out"
    (run / "snapshots").mkdir(parents=True)
    write_net(run / "snapshots" / "cycle-0001.safetensors", adder(3), task)
    (run / "params.json").write_text(json.dumps({"name": "run", "task": task.to_dict(), "train": {}, "start": None}))
    assert main(["analyse", str(run), "--out", str(out)]) == 0
    assert "2 states" in capsys.readouterr().out
    found = json.loads((out / "automaton.json").read_text())
    assert found["same_as_task"] is True
    path = run / "snapshots" / "cycle-0001.safetensors"
    assert found["snapshot"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (out / "automaton.svg").read_text().startswith("<svg")


def test_an_interrupt_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stop(options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("interp.commands.measures.run", stop)
    assert main(["measures", "any"]) == 130
    assert capsys.readouterr().err == "python -m interp: interrupted\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["analyse", "nowhere"],
        ["attribute", "RUN", "--snapshot", "99"],
        ["attribute", "RUN", "--snapshot", "first"],
        ["attribute", "RUN", "--faithfulness", "1.5"],
        ["measures", "nowhere.safetensors"],
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    arguments: list[str], run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    assert main([str(run) if argument == "RUN" else argument for argument in arguments]) == BAD_INPUT
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert set(tmp_path.iterdir()) == before


def test_a_file_that_cannot_be_written_is_one_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["attribute", str(run), "--out", str(tmp_path / "file" / "circuit.json")]) == BAD_INPUT
    assert len(capsys.readouterr().err.splitlines()) == 1
