"""The stage that resolves params.yaml: one file an experiment, and what the later stages cannot end is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import BAD_INPUT
from pipeline.params import load_params

ROOT = Path(__file__).parents[2]


def resolve(directory: Path, old: str = "", new: str = "") -> subprocess.CompletedProcess[str]:
    """Run the stage in a directory with params.yaml, edited."""
    text = (ROOT / "params.yaml").read_text()
    assert old in text
    (directory / "params.yaml").write_text(text.replace(old, new, 1))
    command = [sys.executable, "-m", "stages.params"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)


def test_every_experiment_is_resolved_with_its_digest(tmp_path: Path) -> None:
    assert resolve(tmp_path).returncode == 0
    params = load_params(ROOT / "params.yaml")
    assert {path.stem for path in (tmp_path / "resolved").iterdir()} == set(params.experiments)
    for name in params.experiments:
        experiment = params.experiment(name)
        text = (tmp_path / "resolved" / f"{name}.json").read_text()
        assert text == experiment.to_json()
        assert json.loads(text)["digest"] == experiment.digest


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("operation: addition", "operation: quadratic_form", "experiments.modular-standard is of quadratic_form"),
        ("recipe: catapult,", "recipe: catapolt,", "recipe = 'catapolt': not in train/recipes"),
    ],
)
def test_what_later_stages_cannot_end_is_one_line_and_leaves_what_was_there(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert resolve(tmp_path).returncode == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "resolved").iterdir()}
    done = resolve(tmp_path, old, new)
    assert done.returncode == BAD_INPUT
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert {path.name: path.read_bytes() for path in (tmp_path / "resolved").iterdir()} == before


@pytest.mark.parametrize("operation", ["multiplication", "division"])
def test_products_are_resolved(tmp_path: Path, operation: str) -> None:
    assert resolve(tmp_path, "operation: addition", f"operation: {operation}").returncode == 0
    resolved = json.loads((tmp_path / "resolved" / "modular-standard.json").read_text())
    assert resolved["task"]["operation"] == operation


def test_compositions_are_resolved(tmp_path: Path) -> None:
    composition = "  modular:\n    name: permutation\n    n: 5\n    train_fraction: 0.5\n  other:\n    name: modular\n"
    assert resolve(tmp_path, "  modular:\n    name: modular\n", composition).returncode == 0
    resolved = json.loads((tmp_path / "resolved" / "modular-standard.json").read_text())
    assert resolved["task"] == {"name": "permutation", "n": 5, "train_fraction": 0.5}


def stage(directory: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-m", f"stages.{name}", *arguments]
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)


def test_later_stages_want_what_params_yaml_says_now_and_a_run_of_that(tmp_path: Path) -> None:
    done = stage(tmp_path, "train", "modular-catapult")
    assert (done.returncode, done.stderr.count("\n")) == (BAD_INPUT, 1)
    assert resolve(tmp_path).returncode == 0
    text = (tmp_path / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(text.replace("p: 113", "p: 59"))
    done = stage(tmp_path, "train", "modular-catapult")
    assert done.returncode == BAD_INPUT
    assert "resolved/modular-catapult.json: not what params.yaml and train/recipes say now; run" in done.stderr
    (tmp_path / "params.yaml").write_text(text)
    experiment = load_params(ROOT / "params.yaml").experiment("modular-catapult")
    (tmp_path / "runs" / "modular-catapult").mkdir(parents=True)
    path = tmp_path / "runs" / "modular-catapult" / "params.json"
    path.write_text(experiment.to_json().replace(experiment.digest, "e" * 64))
    for name in ("interp", "compress", "verify", "verdicts"):
        done = stage(tmp_path, name, "modular-catapult")
        assert done.returncode == BAD_INPUT, name
        assert (
            f"runs/modular-catapult: of experiment eeeeeeeeeeee, and params.yaml says {experiment.digest[:12]}"
            in done.stderr
        )
        assert done.stderr.count("\n") == 1


def test_an_experiment_of_another_name_than_directories_have_is_refused(tmp_path: Path) -> None:
    done = resolve(tmp_path, "  modular-catapult:", "  ../escape:")
    assert done.returncode == BAD_INPUT
    assert "name '../escape': use lower-case letters" in done.stderr
