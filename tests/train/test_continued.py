"""Recipes of two phases, and runs that go on from a snapshot: data, seed, counting, and the same bytes after a kill."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch

from pipeline.errors import BAD_INPUT, UserError
from pipeline.experiment import Experiment, TrainParams
from pipeline.files import snapshot_paths
from pipeline.nets import MlpConfig, Net, Recurrent, RecurrentConfig, build_net
from pipeline.recipe_files import load_recipe
from pipeline.runs import Run, Snapshot, load_snapshot, save_snapshot
from pipeline.tasks import ModularTask
from pipeline.tasks.streaming import stream_task
from tests.train.small_runs import contents, small_experiment, with_train
from train.__main__ import main
from train.history import COLUMNS
from train.run import continued, train_run

CONSOLIDATION = "consolidation"
AFTER = 4
"""Steps of the first recipe: 0.12 of six cycles of four steps, in whole cycles, is one."""


@pytest.fixture
def standard(tmp_path: Path) -> Experiment:
    return small_experiment(tmp_path, "standard")


@pytest.fixture
def start(tmp_path: Path, standard: Experiment) -> Path:
    """The snapshot after one cycle of the standard recipe."""
    run = train_run(standard, tmp_path / "before", tmp_path / "state")
    return run / "snapshots" / "cycle-0001.safetensors"


def rest(standard: Experiment) -> TrainParams:
    """The budget of what the first recipe leaves."""
    return standard.train.model_copy(update={"steps": standard.train.steps - AFTER})


def consolidated(start: Path, standard: Experiment) -> Experiment:
    return continued(start, CONSOLIDATION, load_recipe(CONSOLIDATION), rest(standard))


PHASES = [("standard", 1, None), ("catapult", 1, None), ("catapult", 3, 10)]
"""Recipe of the first phase, the cycle at which it ends, and the size of batches, which do not fill a cycle evenly."""


def two_phases(directory: Path, recipe: str, boundary: int, batch_size: int | None) -> Experiment:
    """The consolidated arm of a recipe in six cycles of four steps, with another boundary between the phases."""
    given = small_experiment(directory, f"{recipe}_consolidation")
    assert [(phase.recipe, phase.last_cycle) for phase in given.phases] == [(recipe, 1), (CONSOLIDATION, 6)]
    first, second = given.phases
    moved = (first.model_copy(update={"last_cycle": boundary}), second)
    return with_train(given.model_copy(update={"phases": moved}), batch_size=batch_size)


def weights(snapshot: Path) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in load_snapshot(snapshot, Net).net.state_dict().items()}


def rows_of(run: Path, table: str = "history.csv") -> list[dict[str, str]]:
    return list(csv.DictReader((run / table).read_text().splitlines()))


@pytest.mark.parametrize(("recipe", "boundary", "batch_size"), PHASES)
def test_two_phases_are_the_first_recipe_and_then_continued_with_the_rest(
    tmp_path: Path, recipe: str, boundary: int, batch_size: int | None
) -> None:
    """The first is trained for all the steps, as its schedule is over these, and left where the phase ends."""
    given = two_phases(tmp_path, recipe, boundary, batch_size)
    whole = train_run(given, tmp_path / "whole", tmp_path / "state")
    alone = with_train(small_experiment(tmp_path, recipe), batch_size=batch_size)
    before = train_run(alone, tmp_path / "before", tmp_path / "state")
    start = before / "snapshots" / f"cycle-000{boundary}.safetensors"
    budget = given.train.model_copy(update={"steps": 24 - 4 * boundary})
    going_on = continued(start, CONSOLIDATION, load_recipe(CONSOLIDATION), budget)
    after = train_run(going_on, tmp_path / "after", tmp_path / "state", start=start)
    for cycle in range(7):
        name = f"snapshots/cycle-000{cycle}.safetensors"
        assert weights(whole / name) == weights((before if cycle <= boundary else after) / name)
    assert weights(whole / "snapshots/cycle-0006.safetensors") != weights(before / "snapshots/cycle-0006.safetensors")
    first, last = rows_of(before)[: 4 * boundary], rows_of(after)
    assert len(rows_of(whole)) == len(first) + len(last) == 24
    for row, part in zip(rows_of(whole), first + last, strict=True):
        assert {name: row[name] for name in part} == part
    cycles = [*rows_of(before, "accuracy.csv")[: boundary + 1], *rows_of(after, "accuracy.csv")[1:]]
    assert rows_of(whole, "accuracy.csv") == cycles


@pytest.mark.parametrize(("recipe", "boundary", "batch_size"), PHASES)
def test_two_phases_resumed_anywhere_end_in_the_same_bytes(
    tmp_path: Path, recipe: str, boundary: int, batch_size: int | None
) -> None:
    given = two_phases(tmp_path, recipe, boundary, batch_size)
    whole = contents(train_run(given, tmp_path / "whole", tmp_path / "a"))

    class Killed(Exception):
        pass

    for last in range(1, 6):  # within either phase, and at the boundary

        def kill(cycle: int, last: int = last) -> None:
            if cycle == last:
                raise Killed

        with pytest.raises(Killed):
            train_run(given, tmp_path / f"again-{last}", tmp_path / "b", after_cycle=kill)
        seen: list[int] = []
        again = train_run(given, tmp_path / f"again-{last}", tmp_path / "b", after_cycle=seen.append)
        assert seen == list(range(last + 1, 7))
        assert contents(again) == whole


def test_a_run_of_two_phases_may_be_killed_after_every_cycle(tmp_path: Path) -> None:
    given = two_phases(tmp_path, "catapult", 3, 10)
    whole = train_run(given, tmp_path / "whole", tmp_path / "a")

    class Killed(Exception):
        pass

    def kill(cycle: int) -> None:
        raise Killed

    for _ in range(6):
        with pytest.raises(Killed):
            train_run(given, tmp_path / "again", tmp_path / "b", after_cycle=kill)
    again = train_run(given, tmp_path / "again", tmp_path / "b", after_cycle=kill)
    assert contents(again) == contents(whole)


def test_measures_of_the_other_phase_are_empty_cells(tmp_path: Path) -> None:
    run = train_run(two_phases(tmp_path, "catapult", 3, None), tmp_path / "run", tmp_path / "state")
    rows = rows_of(run)
    first = ["weight_decay", "norm_penalty"]
    second = ["weight_decay", "nuclear_norm", "group_penalty", "weight_noise", "live_directions", "live_units"]
    assert list(rows[0]) == [*COLUMNS, *first, *second[1:]]
    for i, row in enumerate(rows):
        filled = [name for name in [*first, *second[1:]] if row[name]]
        assert filled == (first if i < 12 else second)
        assert all(float(row[name]) >= 0 for name in filled)


def test_divergence_in_the_second_phase_names_its_recipe_and_counts_all_steps(tmp_path: Path) -> None:
    given = two_phases(tmp_path, "standard", 3, None)
    first, second = given.phases
    optimizer = second.parts.optimizer.model_copy(update={"lr": 1e30})
    wild = second.model_copy(update={"parts": second.parts.model_copy(update={"optimizer": optimizer})})
    said = (
        r"^modular-standard_consolidation: .* at step 1[34] with lr .* of recipe consolidation \(cycle 3, the last good"
    )
    with pytest.raises(UserError, match=said):
        train_run(given.model_copy(update={"phases": (first, wild)}), tmp_path / "out", tmp_path / "state")
    assert not (tmp_path / "out").exists()


def test_it_begins_where_the_other_was_and_takes_the_rest(tmp_path: Path, start: Path, standard: Experiment) -> None:
    given = consolidated(start, standard)
    run = Run.open(train_run(given, tmp_path / "run", tmp_path / "state", start=start))
    assert run.key == given.name == "modular-standard_then_consolidation"
    assert (run.recipe, run.seed, run.train_fraction) == ("standard_then_consolidation", 0, 0.3)
    first, before = load_snapshot(run.snapshots[0], Net), load_snapshot(start, Net)
    for name, weight in before.net.state_dict().items():
        assert torch.equal(first.net.state_dict()[name], weight)
    assert [load_snapshot(path, Net).step for path in run.snapshots] == [4, 8, 12, 16, 20, 24]
    assert [path.stem for path in run.snapshots] == [f"cycle-000{cycle}" for cycle in range(1, 7)]
    with (run.directory / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(5, 25))
    assert [int(row["cycle"]) for row in rows] == [2 + i // 4 for i in range(20)]
    with (run.directory / "accuracy.csv").open() as file:
        assert [int(row["cycle"]) for row in csv.DictReader(file)] == list(range(1, 7))
    record = json.loads((run.directory / "params.json").read_text())
    assert record["train"]["steps"] + record["start"]["step"] == 24
    assert (record["start"]["cycle"], record["start"]["recipe"], record["net"]) == (1, "standard", None)
    assert record["start"]["net"]["kind"] == "transformer"


def test_killed_after_a_cycle_it_ends_in_the_same_bytes(tmp_path: Path, start: Path, standard: Experiment) -> None:
    given = consolidated(start, standard)
    whole = train_run(given, tmp_path / "whole", tmp_path / "a", start=start)

    class Killed(Exception):
        pass

    def kill(cycle: int) -> None:
        if cycle == 3:
            raise Killed

    with pytest.raises(Killed):
        train_run(given, tmp_path / "again", tmp_path / "b", after_cycle=kill, start=start)
    seen: list[int] = []
    again = train_run(given, tmp_path / "again", tmp_path / "b", after_cycle=seen.append, start=start)
    assert seen == [4, 5, 6]
    assert contents(again) == contents(whole)


def test_a_missing_snapshot_is_missed(tmp_path: Path, start: Path, standard: Experiment) -> None:
    run = train_run(consolidated(start, standard), tmp_path / "run", tmp_path / "state", start=start)
    (run / "snapshots" / "cycle-0001.safetensors").unlink()
    with pytest.raises(UserError, match="the snapshot of cycle 1 is missing"):
        snapshot_paths(run)


def test_what_was_shown_is_not_held_out_afterwards(start: Path, standard: Experiment) -> None:
    recipe, budget = load_recipe(CONSOLIDATION), rest(standard)
    with pytest.raises(UserError, match=r"--fraction = 0.1: 0.3 of the pairs were shown; give no less"):
        continued(start, CONSOLIDATION, recipe, budget, 0.1)
    more = continued(start, CONSOLIDATION, recipe, budget, 0.9)
    assert more.task.task() == ModularTask(11)
    assert len(more.task.split(0).shown.inputs) == int(0.9 * 121)


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A net of another kind, on another operation, of which the shown share is known; commands run beside it."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    net = build_net(MlpConfig(11, 11, 11, d_embed=6, widths=(9,)))
    path = tmp_path / "theirs.safetensors"
    save_snapshot(path, Snapshot(net, ModularTask(11, "multiplication"), 0.5, "imported", 3, 1, 0))
    return path


def go_on(start: Path, *options: str) -> int:
    """The command, for 8 steps in cycles of 4 where `options` do not say otherwise."""
    budget = ["--steps", "8", "--cycle-steps", "4", "--device", "cpu"]
    return main(["continue", CONSOLIDATION, "--from", str(start), *budget, *options])


def test_any_net_on_any_operation_goes_on(theirs: Path, tmp_path: Path) -> None:
    assert go_on(theirs) == 0
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["modular-imported_then_consolidation"]
    run = Run.open(tmp_path / "runs" / "modular-imported_then_consolidation")
    assert (run.task, run.seed, run.recipe) == (ModularTask(11, "multiplication"), 3, "imported_then_consolidation")
    assert [path.stem for path in run.snapshots] == ["cycle-0001", "cycle-0003"]  # every fifth, and the last
    before, last = (load_snapshot(path, Net) for path in (theirs, run.snapshots[-1]))
    assert (last.cycle, last.step, last.train_fraction) == (3, 8, 0.5)
    assert not torch.equal(last.net.get_parameter("unembed.weight"), before.net.get_parameter("unembed.weight"))


def test_the_command_is_what_continued_says(theirs: Path, tmp_path: Path) -> None:
    assert go_on(theirs, "--every", "1", "--out", "run") == 0
    values = {"steps": 8, "cycle_steps": 4, "device": "cpu", "snapshots": {"dense": 0, "every": 1}}
    given = continued(theirs, CONSOLIDATION, load_recipe(CONSOLIDATION), TrainParams.model_validate(values))
    train_run(given, tmp_path / "same", tmp_path / "state", start=theirs)
    assert contents(tmp_path / "run") == contents(tmp_path / "same")
    assert len(contents(tmp_path / "run")) == 3 + 3


def test_of_an_imported_net_the_share_to_show_is_asked(
    theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = load_snapshot(theirs, Net).net
    save_snapshot(theirs, Snapshot(net, ModularTask(11), 1.0, "imported", 3, 1, 0))
    out = tmp_path / "run"
    assert go_on(theirs, "--out", str(out)) == BAD_INPUT
    assert "which pairs it was trained on is not known; give the share to show by --fraction" in capsys.readouterr().err
    assert go_on(theirs, "--out", str(out), "--fraction", "1.5") == BAD_INPUT
    assert "--fraction: train_fraction = 1.5" in capsys.readouterr().err
    assert not out.exists()
    assert go_on(theirs, "--fraction", "0.4") == BAD_INPUT
    assert "the name of a run does not say which share it was shown; give --out as well" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [theirs.name]
    assert go_on(theirs, "--out", str(out), "--fraction", "0.4") == 0
    run = Run.open(out)
    assert (len(run.split()[0]), load_snapshot(run.snapshots[-1], Net).train_fraction) == (48, 0.4)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([CONSOLIDATION, "--steps", "8"], "the following arguments are required: --from"),
        ([CONSOLIDATION, "--fraction", "0.5"], "the following arguments are required: --from"),
        (["--from", "theirs.safetensors"], "the following arguments are required: recipe"),
        ([CONSOLIDATION, "--from", "nowhere.safetensors"], "nowhere.safetensors: no such snapshot"),
        ([CONSOLIDATION, "--from", "."], "a directory; give one snapshot"),
        (["consolidate", "--from", "theirs.safetensors"], "recipe = 'consolidate': not in train/recipes; known: "),
        (["catapult_consolidation", "--from", "theirs.safetensors"], "has phases, where one recipe is needed"),
        (
            [CONSOLIDATION, "--from", "theirs.safetensors", "--steps", "15"],
            "steps = 15 is not a whole number of cycles",
        ),
        ([CONSOLIDATION, "--from", "theirs.safetensors", "--steps", "0"], "steps = 0"),
        ([CONSOLIDATION, "--from", "theirs.safetensors", "--steps", "some"], "--steps: invalid int value: 'some'"),
        ([CONSOLIDATION, "--from", "theirs.safetensors", "--cycle-steps", "0"], "cycle_steps = 0"),
        ([CONSOLIDATION, "--from", "theirs.safetensors", "--every", "0"], "every = 0"),
        ([CONSOLIDATION, "--from", "theirs.safetensors", "--device", "tpu"], "choose auto, cpu or cuda"),
        ([CONSOLIDATION, "--from", "theirs.safetensors", "--out", "theirs.safetensors"], "theirs.safetensors"),
        (
            ["addition_catapult", "--from", "theirs.safetensors"],
            "recipe addition_catapult: teach is for streams, and modular has none",
        ),
        ([CONSOLIDATION, "--from", "stream.safetensors"], "parity has no share of pairs; give a net on pairs"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(
    arguments: list[str], said: str, theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recurrent, on_streams = Recurrent(RecurrentConfig(2, 1, 2, n_hidden=4)), stream_task("parity")
    save_snapshot(tmp_path / "stream.safetensors", Snapshot(recurrent, on_streams, None, "imported", 0, 0, 0))
    before = contents(tmp_path)
    capsys.readouterr()
    assert main(["continue", *arguments]) == BAD_INPUT
    errors = capsys.readouterr().err
    assert errors.startswith("python -m train: ")
    assert errors.count("\n") == 1
    assert said in errors
    kept = {name: data for name, data in contents(tmp_path).items() if not name.startswith(".cache/")}
    assert kept == before
