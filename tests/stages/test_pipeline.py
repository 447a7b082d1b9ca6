"""The whole pipeline through DVC, at p = 23: it runs, then runs nothing, and an edit reruns what it touches."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import safe_open

from benchmarks.kills import SMALL
from pipeline.errors import BAD_INPUT

ROOT = Path(__file__).parents[2]
RECIPES = ("standard", "catapult", "catapult_consolidation")
LEFT_OUT = ("modular-adamw_tuned", "modular-standard_consolidation")
"""Experiments of params.yaml that show nothing here which the others do not."""
NETS = tuple(f"modular-{recipe}" for recipe in RECIPES)
STREAMS = ("addition-standard", "addition-catapult", "ones-standard")
OTHERS = ("modular-fast", "product-catapult", "s3-standard")
"""With ones-standard, the experiments that CONTRIBUTING.md adds to those of params.yaml."""
ALL = OTHERS + NETS + STREAMS
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


def edit(directory: Path, edits: dict[str, str], file: str = "params.yaml") -> None:
    path = directory / file
    text = path.read_text()
    for old, new in edits.items():
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text)


def contribute(directory: Path) -> None:
    """What CONTRIBUTING.md adds, as it says: entries of params.yaml under a section, and files."""
    for block in re.findall(r"```\w+\n# (.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.S):
        where, _, text = block.partition("\n")
        file, _, section = where.partition(", under ")
        if section:
            entries = "".join(f"  {line}\n" for line in text.splitlines())
            params = (directory / file).read_text()
            assert f"\n{section}:" in params
            head, line, rest = re.split(rf"(\n{section}:[^\n]*\n)", params, maxsplit=1)
            (directory / file).write_text(head + line + entries + rest)
        else:
            assert not (directory / file).exists()
            (directory / file).write_text(text)


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
    lines = (directory / "params.yaml").read_text().splitlines(keepends=True)
    kept = [line for line in lines if not line.strip().startswith(LEFT_OUT)]
    assert len(lines) - len(kept) == len(LEFT_OUT)
    (directory / "params.yaml").write_text("".join(kept))
    contribute(directory)
    for command in (
        ("git", "init", "-q"),
        ("dvc", "init", "-q"),
        ("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "add", "-A"),
        ("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "start"),
    ):
        run(directory, *command)
    output = run(directory, "dvc", "repro")
    assert len(stages_run(output)) == 2 + 5 * len(ALL)
    return directory


def test_every_declared_output_is_there(checkout: Path) -> None:
    for key in NETS:
        assert len(list((checkout / "runs" / key / "snapshots").iterdir())) == 7
        phases = json.loads((checkout / "analysis" / key / "phases.json").read_text())
        assert [row["cycle"] for row in phases["phases"]] == list(range(7))
        with open(checkout / "verdicts" / f"{key}.csv", newline="") as file:
            assert [int(row["cycle"]) for row in csv.DictReader(file)] == list(range(7))
        certificate = json.loads((checkout / "proofs" / key / "certificate.json").read_text())
        kinds = [entry["claim"]["kind"] for entry in certificate["claims"]]
        own = json.loads((checkout / "compressed" / key / "ladder.json").read_text())["core"] is not None
        assert (checkout / "compressed" / key / "student_float.safetensors").exists() != own
        assert (kinds.count("equals"), kinds.count("rounding")) == ((5, 2) if own else (6, 3))
    for key in ("product-catapult", "s3-standard"):
        ladder = json.loads((checkout / "compressed" / key / "ladder.json").read_text())
        assert [rung["name"] for rung in ladder["rungs"]] == ["trained", "pruned"]
        assert ladder["not_applicable"]["student"]
        certificate = json.loads((checkout / "proofs" / key / "certificate.json").read_text())
        kinds = [entry["claim"]["kind"] for entry in certificate["claims"]]
        assert (kinds.count("equals"), kinds.count("rounding")) == (2, 2)
    for key in STREAMS:
        found = json.loads((checkout / "analysis" / key / "automaton.json").read_text())
        assert (checkout / "analysis" / key / "automaton.svg").exists() == (found["machine"] is not None)
        assert (checkout / "compressed" / key / "frontier.csv").read_text().startswith("units,bits,")
        certificate = json.loads((checkout / "proofs" / key / "certificate.json").read_text())
        with open(checkout / "verdicts" / f"{key}.csv", newline="") as file:
            last = list(csv.DictReader(file))[-1]
        assert last["sha256"] == certificate["files"]["net"]["sha256"] == found["snapshot"]
    rows = list(csv.DictReader((checkout / "report" / "summary.csv").read_text().splitlines()))
    assert [row["recipe"] for row in rows] == ["fast", "catapult", "standard", *RECIPES]
    summary = (checkout / "report" / "summary.txt").read_text()
    assert all(key in summary for key in ALL)
    assert not list(checkout.rglob("*.part"))


def test_every_run_carries_the_identity_of_its_experiment(checkout: Path) -> None:
    """That of what stages.params resolved, in params.json and in the header of every snapshot."""
    digests = {}
    for key in ALL:
        resolved = json.loads((checkout / "resolved" / f"{key}.json").read_text())
        assert json.loads((checkout / "runs" / key / "params.json").read_text()) == resolved
        digests[key] = resolved["digest"]
        for path in (checkout / "runs" / key / "snapshots").iterdir():
            with safe_open(path, framework="numpy") as file:
                assert file.metadata()["experiment"] == resolved["digest"]
    assert len(set(digests.values())) == len(digests)


def test_a_rooms_command_and_its_stage_give_the_same_bytes(checkout: Path, tmp_path: Path) -> None:
    key = "modular-catapult"
    python = (sys.executable, "-m")
    run(checkout, *python, "train", key, "--out", str(tmp_path / "run"))
    run(checkout, *python, "interp", "analyse", f"runs/{key}", "--out", str(tmp_path / "analysis"))
    given = (f"runs/{key}", "--analysis", f"analysis/{key}", "--out", str(tmp_path / "compressed"))
    run(checkout, *python, "compress", *given)
    for made, kept in (("run", "runs"), ("analysis", "analysis"), ("compressed", "compressed")):
        files = [path for path in sorted((checkout / kept / key).rglob("*")) if path.is_file()]
        assert files
        for path in files:
            again = tmp_path / made / path.relative_to(checkout / kept / key)
            assert again.read_bytes() == path.read_bytes(), again


def test_the_verdicts_agree_with_exhaustive_counting(checkout: Path) -> None:
    """Whatever the small nets have learnt, Proved is said exactly where nothing is wrong on any input."""
    for key in OTHERS + NETS:
        rungs = json.loads((checkout / "compressed" / key / "ladder.json").read_text())["rungs"]
        verdict = json.loads((checkout / "proofs" / key / "certificate.json").read_text())["verdict"]["verdict"]
        right = all(rung["wrong"] == 0 for rung in rungs)
        assert (verdict == "Proved") == right, (key, verdict, rungs)
        assert verdict in ("Proved", "Refuted")


def test_the_extracted_program_runs_on_its_own(checkout: Path) -> None:
    program = checkout / "proofs" / "modular-catapult" / "program.py"
    assert run(checkout, sys.executable, "-I", str(program), "20", "9").strip() == "6"


def test_a_second_run_runs_nothing(checkout: Path) -> None:
    assert stages_run(run(checkout, "dvc", "repro")) == set()


EVERY = ALL
EDITS = [
    (
        "params.yaml",
        {"timeout: 240": "timeout: 200"},
        {f"{s}@{k}" for s in ("compress", "verify", "verdicts") for k in EVERY},
    ),
    ("params.yaml", {"# What is run.": "# What runs."}, set[str]()),
    ("params.yaml", {"p: 23": "p: 29"}, {f"train@{key}" for key in (*NETS, "modular-fast")}),
    ("params.yaml", {"    seed: 0": "    seed: 1"}, {f"train@{key}" for key in OTHERS + NETS}),
    (
        "train/recipes/catapult.yaml",
        {"lr: 0.277": "lr: 0.27"},
        {f"train@{key}" for key in ("modular-catapult", "modular-catapult_consolidation", "product-catapult")},
    ),
    (
        "train/recipes/consolidation.yaml",
        {"    dead: 0.02": "    dead: 0.03"},
        {f"train@{key}" for key in NETS if "_cons" in key},
    ),
    ("train/recipes/addition_catapult.yaml", {"state_noise: 0.2": "state_noise: 0.1"}, {"train@addition-catapult"}),
    ("train/recipes/muon.yaml", {"lr: 0.05": "lr: 0.06"}, set[str]()),
    ("train/loop.py", {'"""The one': '"""A'}, {f"train@{key}" for key in EVERY}),
    ("train/range_test.py", {'"""The': '"""A'}, None),
    ("interp/similarity.py", {'"""': '"""\n'}, {f"{stage}@{key}" for stage in ("interp", "compress") for key in EVERY}),
]
"""A file, its edits, and the stages that are then stale beside `params`; None: not even that one."""


@pytest.mark.parametrize(("file", "edits", "reruns"), EDITS, ids=[f"{e[0]} {next(iter(e[1]))}" for e in EDITS])
def test_an_edit_reruns_what_it_touches(
    checkout: Path, file: str, edits: dict[str, str], reruns: set[str] | None
) -> None:
    """What `dvc status` calls changed once params is run; what follows is rerun only if a stage's output changes."""
    before = (checkout / file).read_text()
    try:
        edit(checkout, edits, file)
        assert reruns is not None or changed(checkout) == set()
        run(checkout, sys.executable, "-m", "stages.params")
        assert {name for name in changed(checkout) if "@" in name} == (reruns or set())
    finally:
        (checkout / file).write_text(before)
        run(checkout, sys.executable, "-m", "stages.params")


def changed(checkout: Path) -> set[str]:
    """Names of the stages that depend on something that is not as it was when they ran."""
    status = json.loads(run(checkout, "dvc", "status", "--json"))
    return {name for name, causes in status.items() if any("changed deps" in cause for cause in causes)}


def test_going_back_takes_results_from_the_cache(checkout: Path) -> None:
    """The README's line: git checkout params.yaml train/recipes && dvc repro."""
    git = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org")
    run(checkout, *git, "add", "dvc.lock")
    run(checkout, *git, "commit", "-qm", "results")
    edit(checkout, {"lr: 0.01": "lr: 0.02"}, "train/recipes/fast.yaml")
    reran = stages_run(run(checkout, "dvc", "repro"))
    assert {"train@modular-fast", "interp@modular-fast", "verify@modular-fast", "report"} <= reran
    assert not any(name.endswith("@modular-catapult") for name in reran)
    assert run(checkout, "git", "status", "--porcelain").split() == ["M", "dvc.lock", "M", "train/recipes/fast.yaml"]
    run(checkout, "git", "checkout", "-q", "params.yaml", "train/recipes")
    assert stages_run(run(checkout, "dvc", "repro")) <= {"params", "report"}  # what takes a second
    assert run(checkout, "git", "status", "--porcelain") == ""


def test_a_broken_params_file_stops_before_anything_is_touched(checkout: Path) -> None:
    before = (checkout / "params.yaml").read_text()
    try:
        edit(checkout, {"p: 23": "p: 24"})
        output = run(checkout, "dvc", "repro", status=255)
        assert "stages.params: params.yaml: tasks.modular.p = 24: not an odd prime" in output
        assert stages_run(output) == {"params"}
        assert (checkout / "runs" / "modular-catapult" / "params.json").exists()
    finally:
        (checkout / "params.yaml").write_text(before)
    for stage in ("train", "interp", "compress", "verify", "verdicts"):
        output = run(checkout, sys.executable, "-m", f"stages.{stage}", "nonsense", status=BAD_INPUT)
        assert "experiment = 'nonsense'" in output
        assert output.count("\n") == 1


def test_metrics_plots_and_params_diff_work(checkout: Path) -> None:
    metrics = json.loads(run(checkout, "dvc", "metrics", "show", "--json"))
    shown = metrics[""]["data"][os.path.join("report", "metrics.json")]["data"]
    assert set(shown) == set(ALL)
    assert shown["modular-catapult"]["parameters_after"] > 0
    assert "dvc_plots" in run(checkout, "dvc", "plots", "show")
    page = (checkout / "dvc_plots" / "index.html").read_text()
    assert all(f"{key}.svg" in page for key in ALL)
    before = (checkout / "params.yaml").read_text()
    try:
        edit(checkout, {"    seed: 0": "    seed: 3"})
        assert "train.modular.seed" in run(checkout, "dvc", "params", "diff")
    finally:
        (checkout / "params.yaml").write_text(before)
