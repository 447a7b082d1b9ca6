"""The whole pipeline through DVC, at p = 23: it runs, then runs nothing, and an edit reruns what it touches."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.kills import SMALL
from pipeline.errors import BAD_INPUT

ROOT = Path(__file__).parents[2]
NETS = ("standard", "adamw_tuned", "catapult", "standard_consolidation", "catapult_consolidation")
PARTS = (
    "pipeline",
    "train",
    "interp",
    "compress",
    "verify",
    "stages",
    "dvc.yaml",
    "params.yaml",
    ".dvcignore",
    ".gitignore",
)


def run(directory: Path, *command: str, status: int = 0) -> str:
    environment = {
        **os.environ,
        "DVC_NO_ANALYTICS": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def edit(directory: Path, edits: dict[str, str]) -> None:
    path = directory / "params.yaml"
    text = path.read_text()
    for old, new in edits.items():
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text)


def stages_run(output: str) -> set[str]:
    """Names of the stages that `dvc repro` ran, or with --dry would run."""
    lines = output.splitlines()
    return {line.split("'")[1] for line in lines if line.startswith("Running stage")}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small copy of the project as a repository of its own, with the pipeline run once."""
    directory = tmp_path_factory.mktemp("checkout")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, directory / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, directory / part)
    edit(directory, SMALL)
    for command in (
        ("git", "init", "-q"),
        ("dvc", "init", "-q"),
        ("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "add", "-A"),
        ("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "start"),
    ):
        run(directory, *command)
    output = run(directory, "dvc", "repro")
    assert len(stages_run(output)) == 34
    return directory


def test_every_declared_output_is_there(checkout: Path) -> None:
    for recipe in NETS:
        key = f"modular-{recipe}-s0"
        cycles = [1, 6] if recipe.endswith("consolidation") else list(range(7))
        assert len(list((checkout / "runs" / key / "snapshots").iterdir())) == len(cycles)
        phases = json.loads((checkout / "analysis" / key / "phases.json").read_text())
        assert [row["cycle"] for row in phases["phases"]] == cycles
        with open(checkout / "verdicts" / f"{key}.csv", newline="") as file:
            assert [int(row["cycle"]) for row in csv.DictReader(file)] == cycles
        certificate = json.loads((checkout / "proofs" / key / "certificate.json").read_text())
        kinds = [entry["claim"]["kind"] for entry in certificate["claims"]]
        own = json.loads((checkout / "compressed" / key / "ladder.json").read_text())["core"] is not None
        assert (checkout / "compressed" / key / "student_float.safetensors").exists() != own
        assert (kinds.count("equals"), kinds.count("rounding")) == ((5, 2) if own else (6, 3))
    rows = list(csv.DictReader((checkout / "report" / "summary.csv").read_text().splitlines()))
    assert [row["recipe"] for row in rows] == list(NETS)
    assert "modular-catapult-s0" in (checkout / "report" / "summary.txt").read_text()
    assert "addition-catapult-s0" in (checkout / "report" / "summary.txt").read_text()
    found = json.loads((checkout / "analysis" / "addition-catapult-s0" / "automaton.json").read_text())
    assert (checkout / "analysis" / "addition-catapult-s0" / "automaton.svg").exists() == (found["machine"] is not None)
    assert not list(checkout.rglob("*.part"))


def test_the_verdicts_agree_with_exhaustive_counting(checkout: Path) -> None:
    """Whatever the small nets have learnt, Proved is said exactly where nothing is wrong on any input."""
    for recipe in NETS:
        key = f"modular-{recipe}-s0"
        rungs = json.loads((checkout / "compressed" / key / "ladder.json").read_text())["rungs"]
        verdict = json.loads((checkout / "proofs" / key / "certificate.json").read_text())["verdict"]["verdict"]
        right = all(rung["wrong"] == 0 for rung in rungs)
        assert (verdict == "Proved") == right, (recipe, verdict, rungs)
        assert verdict in ("Proved", "Refuted")


def test_the_extracted_program_runs_on_its_own(checkout: Path) -> None:
    program = checkout / "proofs" / "modular-catapult-s0" / "program.py"
    assert run(checkout, sys.executable, "-I", str(program), "20", "9").strip() == "6"


def test_a_second_run_runs_nothing(checkout: Path) -> None:
    assert stages_run(run(checkout, "dvc", "repro")) == set()


STREAMS = ("stream_verify@standard", "stream_verify@catapult", "stream_compress")


@pytest.mark.parametrize(
    ("edits", "reruns"),
    [
        ({"timeout: 240": "timeout: 200"}, {"params", *(f"verify@{net}" for net in NETS), *STREAMS}),
        ({"lr: 0.277": "lr: 0.27"}, {"params", "train@catapult"}),
        ({"dead: 0.02": "dead: 0.03"}, {"params", "consolidate@standard", "consolidate@catapult"}),
        ({"state_noise: 0.2": "state_noise: 0.1"}, {"params", "stream_train@catapult"}),
        ({"# What is run.": "# What runs."}, {"params"}),
    ],
    ids=["the solver's time", "one recipe", "the consolidation", "a streaming recipe", "a comment"],
)
def test_an_edit_reruns_what_it_touches(checkout: Path, edits: dict[str, str], reruns: set[str]) -> None:
    """What `dvc status` calls changed; what follows from a stage is rerun only if its output changes."""
    before = (checkout / "params.yaml").read_text()
    try:
        edit(checkout, edits)
        status = json.loads(run(checkout, "dvc", "status", "--json"))
        changed = {
            name
            for name, causes in status.items()
            if any("params.yaml" in cause.get("changed deps", {}) for cause in causes if isinstance(cause, dict))
        }
        assert changed == reruns
    finally:
        (checkout / "params.yaml").write_text(before)


def test_going_back_takes_results_from_the_cache(checkout: Path) -> None:
    """The README's line: git checkout params.yaml && dvc repro."""
    git = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org")
    run(checkout, *git, "add", "dvc.lock")
    run(checkout, *git, "commit", "-qm", "results")
    edit(checkout, {"units_per_frequency: 8": "units_per_frequency: 9"})
    changed = stages_run(run(checkout, "dvc", "repro"))
    assert {"compress@catapult", "verify@catapult", "report"} <= changed
    assert run(checkout, "git", "status", "--porcelain").split() == ["M", "dvc.lock", "M", "params.yaml"]
    run(checkout, "git", "checkout", "-q", "params.yaml")
    assert stages_run(run(checkout, "dvc", "repro")) <= {"params", "report"}  # what takes a second
    assert run(checkout, "git", "status", "--porcelain") == ""


def test_a_broken_params_file_stops_before_anything_is_touched(checkout: Path) -> None:
    before = (checkout / "params.yaml").read_text()
    try:
        edit(checkout, {"train_fraction: 0.6": "train_fraction: 1.2"})
        output = run(checkout, "dvc", "repro", status=255)
        assert "stages.params: params.yaml: task.train_fraction = 1.2" in output
        assert stages_run(output) == {"params"}
        assert (checkout / "runs" / "modular-catapult-s0" / "params.json").exists()
    finally:
        (checkout / "params.yaml").write_text(before)
    for stage in ("train", "interp", "compress", "verify"):
        output = run(checkout, sys.executable, "-m", f"stages.{stage}", "nonsense", status=BAD_INPUT)
        assert "recipe = 'nonsense'" in output
        assert output.count("\n") == 1


def test_metrics_plots_and_params_diff_work(checkout: Path) -> None:
    metrics = json.loads(run(checkout, "dvc", "metrics", "show", "--json"))
    shown = metrics[""]["data"][os.path.join("report", "metrics.json")]["data"]
    streams = {f"addition-{recipe}-s0" for recipe in ("standard", "catapult")}
    assert set(shown) == {f"modular-{recipe}-s0" for recipe in NETS} | streams
    assert shown["modular-catapult-s0"]["parameters_before"] > shown["modular-catapult-s0"]["parameters_after"]
    assert "dvc_plots" in run(checkout, "dvc", "plots", "show")
    before = (checkout / "params.yaml").read_text()
    try:
        edit(checkout, {"seed: 0": "seed: 3"})
        assert "train.seed" in run(checkout, "dvc", "params", "diff")
    finally:
        (checkout / "params.yaml").write_text(before)
