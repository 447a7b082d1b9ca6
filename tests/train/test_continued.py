"""A run that goes on from a snapshot: its task, data and seed, its counting, and the same bytes after a kill."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch

from pipeline.errors import UserError
from pipeline.files import snapshot_paths
from pipeline.nets import MlpConfig, Net, build_net
from pipeline.params import CONSOLIDATION, PipelineParams, load_params
from pipeline.runs import Run, Snapshot, load_snapshot, save_snapshot
from pipeline.tasks import ModularTask
from tests.train.test_resume import contents, small_params
from train.__main__ import main
from train.loop import continued, train_run


@pytest.fixture
def params(tmp_path: Path) -> PipelineParams:
    return load_params(small_params(tmp_path))


@pytest.fixture
def start(tmp_path: Path, params: PipelineParams) -> Path:
    """The snapshot after one cycle of the standard recipe."""
    run = train_run(params.run_config("standard"), tmp_path / "before", tmp_path / "state")
    return run.snapshots[1]


def consolidated(start: Path, params: PipelineParams, out: Path, state: Path) -> Run:
    _, budget = params.phase("standard")
    config = continued(start, CONSOLIDATION, params.recipes[CONSOLIDATION], budget)
    return train_run(config, out, state, start=start)


def test_it_begins_where_the_other_was_and_takes_the_rest(tmp_path: Path, start: Path, params: PipelineParams) -> None:
    after, budget = params.phase("standard")
    assert (after, budget.steps) == (1, 20)  # .12 of six cycles of four steps
    run = consolidated(start, params, tmp_path / "run", tmp_path / "state")
    assert run.key == "modular-standard_consolidation-s0" == params.run_key("standard_consolidation")
    first, before = load_snapshot(run.snapshots[0], Net), load_snapshot(start, Net)
    for name, weight in before.net.state_dict().items():
        assert torch.equal(first.net.state_dict()[name], weight)
    assert [load_snapshot(path, Net).step for path in run.snapshots] == [4, 24]
    assert [path.stem for path in run.snapshots] == ["cycle-0001", "cycle-0006"]
    with (run.directory / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(5, 25))
    assert [int(row["cycle"]) for row in rows] == [2 + i // 4 for i in range(20)]
    record = json.loads((run.directory / "params.json").read_text())
    assert (record["steps"], record["start"]["cycle"], record["start"]["recipe"]) == (24, 1, "standard")


def test_killed_after_a_cycle_it_ends_in_the_same_bytes(tmp_path: Path, start: Path, params: PipelineParams) -> None:
    whole = consolidated(start, params, tmp_path / "whole", tmp_path / "a")

    class Killed(Exception):
        pass

    def kill(cycle: int) -> None:
        if cycle == 3:
            raise Killed

    _, budget = params.phase("standard")
    config = continued(start, CONSOLIDATION, params.recipes[CONSOLIDATION], budget)
    with pytest.raises(Killed):
        train_run(config, tmp_path / "again", tmp_path / "b", after_cycle=kill, start=start)
    again = consolidated(start, params, tmp_path / "again", tmp_path / "b")
    assert contents(again.directory) == contents(whole.directory)


def test_a_missing_snapshot_is_missed(tmp_path: Path, start: Path, params: PipelineParams) -> None:
    run = consolidated(start, params, tmp_path / "run", tmp_path / "state")
    run.snapshots[0].unlink()
    with pytest.raises(UserError, match="the snapshot of cycle 1 is missing"):
        snapshot_paths(run.directory)


def test_any_net_on_any_operation_goes_on(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = build_net(MlpConfig(11, 11, 11, d_embed=6, widths=(9,)))
    path = tmp_path / "theirs.safetensors"
    save_snapshot(path, Snapshot(net, ModularTask(11, "multiplication"), 0.5, "imported", 3, 1, 0))
    given = ["--from", str(path), "--steps", "8", "--params", str(small_params(tmp_path))]
    assert main([CONSOLIDATION, *given, "--out", str(tmp_path / "run")]) == 0
    run = Run.open(tmp_path / "run")
    assert (run.task, run.seed, run.recipe) == (ModularTask(11, "multiplication"), 3, "imported_consolidation")
    last = load_snapshot(run.snapshots[-1], Net)
    assert (last.cycle, last.step) == (3, 8)
    assert not torch.equal(last.net.get_parameter("unembed.weight"), net.get_parameter("unembed.weight"))


def test_of_an_imported_net_the_share_to_show_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "theirs.safetensors"
    net = build_net(MlpConfig(11, 11, 11, d_embed=6, widths=(9,)))
    save_snapshot(path, Snapshot(net, ModularTask(11), 1.0, "imported", 3, 1, 0))
    out = tmp_path / "run"
    given = [CONSOLIDATION, "--from", str(path), "--params", str(small_params(tmp_path)), "--out", str(out)]
    assert main([*given, "--steps", "8"]) == 64
    assert "which pairs it was trained on is not known; give the share to show by --fraction" in capsys.readouterr().err
    assert main([*given, "--steps", "8", "--fraction", "1.5"]) == 64
    assert "--fraction: train_fraction = 1.5" in capsys.readouterr().err
    assert not out.exists()
    unnamed = [CONSOLIDATION, "--from", str(path), "--fraction", "0.4", "--params", str(small_params(tmp_path))]
    assert main(unnamed) == 64
    assert "the name of a run does not say which share it was shown; give --out as well" in capsys.readouterr().err
    assert main([*given, "--steps", "8", "--fraction", "0.4"]) == 0
    run = Run.open(out)
    assert (len(run.split()[0]), load_snapshot(run.snapshots[-1], Net).train_fraction) == (48, 0.4)


def test_what_was_shown_is_not_held_out_afterwards(start: Path, params: PipelineParams) -> None:
    _, budget = params.phase("standard")
    recipe, shown = params.recipes[CONSOLIDATION], params.task.train_fraction
    with pytest.raises(UserError, match=rf"--fraction = 0.1: {shown} of the pairs were shown; give no less"):
        continued(start, CONSOLIDATION, recipe, budget, 0.1)
    assert continued(start, CONSOLIDATION, recipe, budget, 0.9).task.train_fraction == 0.9


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--steps", "8"], "--steps, --cycle-steps and --fraction go with --from"),
        (["--fraction", "0.5"], "--steps, --cycle-steps and --fraction go with --from"),
        (["--from", "nowhere.safetensors"], "nowhere.safetensors: no such snapshot"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([CONSOLIDATION, *arguments, "--params", str(small_params(tmp_path))]) == 64
    assert said in capsys.readouterr().err
