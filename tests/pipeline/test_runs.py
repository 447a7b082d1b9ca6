"""Snapshots come back as they went, and a damaged one is refused in one line."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from pipeline.errors import UserError
from pipeline.files import fresh_directory, to_json, write_atomically
from pipeline.nets import Recurrent, RecurrentConfig, Transformer, TransformerConfig
from pipeline.runs import Run, Snapshot, load_snapshot, save_snapshot
from pipeline.tasks import ModularTask, PermutationTask
from pipeline.tasks.streaming import stream_task


@pytest.fixture
def snapshot() -> Snapshot:
    torch.manual_seed(0)
    net = Transformer(TransformerConfig(p=7, d_model=8, n_heads=2, d_head=4, d_mlp=12))
    return Snapshot(net, ModularTask(7, "subtraction"), 0.3, "catapult", 5, cycle=2, step=20)


def test_a_snapshot_comes_back_whole(snapshot: Snapshot, tmp_path: Path) -> None:
    save_snapshot(tmp_path / "a.safetensors", snapshot)
    loaded = load_snapshot(tmp_path / "a.safetensors")
    assert (loaded.task, loaded.recipe, loaded.seed, loaded.cycle, loaded.step) == (
        ModularTask(7, "subtraction"), "catapult", 5, 2, 20,
    )  # fmt: skip
    assert not loaded.net.training
    for name, value in snapshot.net.state_dict().items():
        assert torch.equal(value, loaded.net.state_dict()[name])


def test_the_same_snapshot_is_the_same_bytes(snapshot: Snapshot, tmp_path: Path) -> None:
    contents = set()
    for i in range(5):
        save_snapshot(tmp_path / f"{i}", snapshot)
        contents.add((tmp_path / f"{i}").read_bytes())
    assert len(contents) == 1


def test_damaged_snapshots_are_refused(snapshot: Snapshot, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_snapshot(path, snapshot)
    whole = path.read_bytes()

    def refusal(content: bytes) -> str:
        path.write_bytes(content)
        with pytest.raises(UserError) as caught:
            load_snapshot(path)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "not a readable safetensors file" in refusal(whole[:-10])
    assert "not a readable safetensors file" in refusal(pickle.dumps({"embed.weight": 1}))
    assert "header and tensors do not make a net" in refusal(whole.replace(b'd_mlp\\": 12', b'd_mlp\\": 13'))
    assert "format is 'catapult-snapshot-9'" in refusal(whole.replace(b"catapult-snapshot-1", b"catapult-snapshot-9"))
    with torch.no_grad():
        snapshot.net.mlp.w_in.bias[0] = float("nan")
    save_snapshot(path, snapshot)
    assert "not finite" in refusal(path.read_bytes())
    save_file({"x": torch.zeros(2)}, path)
    assert "format is None" in refusal(path.read_bytes())
    path.unlink()
    with pytest.raises(UserError, match="no such snapshot"):
        load_snapshot(path)


def test_a_directory_that_is_no_run_is_refused(snapshot: Snapshot, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a run"):
        Run.open(tmp_path)
    (tmp_path / "params.json").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        Run.open(tmp_path)
    params = {"name": "k", "task": TASK, "recipe": "standard", "train": {"seed": 0}}
    (tmp_path / "params.json").write_text(json.dumps(params))
    with pytest.raises(UserError, match="holds no snapshots"):
        Run.open(tmp_path)
    save_snapshot(tmp_path / "snapshots" / "cycle-0000.safetensors", snapshot)
    assert Run.open(tmp_path).recipe == "standard"


TASK = {"name": "modular", "p": 7, "operation": "addition", "train_fraction": 0.3}


def run_of(directory: Path, snapshot: Snapshot, names: list[str], **params: object) -> Path:
    """A run directory with these snapshots."""
    said = {"name": "k", "task": TASK, "recipe": "standard", "train": {"seed": 0}, **params}
    for name in names:
        save_snapshot(directory / "snapshots" / f"{name}.safetensors", snapshot)
    (directory / "params.json").write_text(json.dumps(said))
    return directory


EVERY = {"dense": 0, "every": 1}
BUDGET = {"train": {"seed": 0, "steps": 30, "cycle_steps": 10, "snapshots": EVERY}, "start": None}
LATER = {**BUDGET, "start": {"cycle": 4}}
SPARSE = {"train": {"seed": 0, "steps": 30, "cycle_steps": 10, "snapshots": {"dense": 0, "every": 2}}, "start": None}


@pytest.mark.parametrize(
    ("cycles", "params", "missing"),
    [
        ([0, 1, 3], {}, 2),
        ([4, 5, 7], {}, 6),
        ([0, 2, 3], BUDGET, 1),
        ([0, 1, 2], BUDGET, 3),
        ([1, 2, 3], BUDGET, 0),
        ([4, 5, 6], LATER, 7),
        ([0, 3], SPARSE, 2),
    ],
)
def test_a_missing_snapshot_is_named(
    snapshot: Snapshot, tmp_path: Path, cycles: list[int], params: dict[str, object], missing: int
) -> None:
    run = run_of(tmp_path / "run", snapshot, [f"cycle-{cycle:04d}" for cycle in cycles], **params)
    with pytest.raises(UserError, match=f"run: the snapshot of cycle {missing} is missing; train the run again"):
        Run.open(run)


def test_a_snapshot_of_another_experiment_is_named(snapshot: Snapshot, tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", snapshot, ["cycle-0000"], digest="a" * 64)
    save_snapshot(run / "snapshots" / "cycle-0001.safetensors", replace(snapshot, experiment="a" * 64))
    assert len(Run.open(run).snapshots) == 2
    save_snapshot(run / "snapshots" / "cycle-0002.safetensors", replace(snapshot, experiment="b" * 64))
    with pytest.raises(
        UserError, match=r"cycle-0002\.safetensors: of experiment bbbbbbbbbbbb, and its run of aaaaaaaaaaaa"
    ):
        Run.open(run)


def test_snapshots_are_in_the_order_of_their_cycles(snapshot: Snapshot, tmp_path: Path) -> None:
    whole = run_of(tmp_path / "whole", snapshot, [f"cycle-{cycle:04d}" for cycle in range(4)], **BUDGET)
    assert [path.stem for path in Run.open(whole).snapshots] == [f"cycle-{cycle:04d}" for cycle in range(4)]
    imported = run_of(tmp_path / "imported", snapshot, ["cycle-9999", "cycle-10000"])
    assert [path.stem for path in Run.open(imported).snapshots] == ["cycle-9999", "cycle-10000"]


@pytest.mark.parametrize("name", ["cycle-0001-copy", "cycle-1", "cycle-", "cycle-\N{ARABIC-INDIC DIGIT ONE}"])
def test_a_file_that_is_no_cycles_snapshot_is_named(snapshot: Snapshot, tmp_path: Path, name: str) -> None:
    run = run_of(tmp_path, snapshot, ["cycle-0000", "cycle-0001", name])
    with pytest.raises(UserError, match=r"is not the one snapshot of a cycle, .*; remove it"):
        Run.open(run)


def test_files_are_there_whole_or_not_at_all(tmp_path: Path) -> None:
    write_atomically(tmp_path / "sub" / "a.txt", "one")
    assert (tmp_path / "sub" / "a.txt").read_text() == "one"
    with fresh_directory(tmp_path / "out") as directory:
        (directory / "x").write_text("1")

    def fail() -> None:
        with fresh_directory(tmp_path / "out") as directory:
            (directory / "y").write_text("2")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["x"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "sub"]


def test_json_is_canonical() -> None:
    assert to_json({"b": 1 / 3, "a": float("nan")}) == '{\n "a": null,\n "b": 0.333333\n}\n'


@pytest.mark.parametrize("tied", [False, True])
def test_nets_and_tasks_of_every_kind_have_one_file_format(tmp_path: Path, tied: bool) -> None:
    """A tied net's one table is stored once."""
    path = tmp_path / "net.safetensors"
    net = Recurrent(RecurrentConfig(3, 3, 3, n_state=1, n_hidden=2, tied=tied))
    task = stream_task("addition", base=3)
    save_snapshot(path, Snapshot(net, task, None, "standard", 0, 3, 30, "abc"))
    again = load_snapshot(path, Recurrent)
    assert (again.task, again.train_fraction, again.cycle, again.experiment) == (task, None, 3, "abc")
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.net.parameters(), strict=True))
    with pytest.raises(UserError, match="net kind is 'recurrent'; this needs a Transformer"):
        load_snapshot(path)
    with pytest.raises(UserError, match="is of addition; give one of a task on pairs, mod p"):
        _ = again.modular
    with pytest.raises(UserError, match="has no split"):
        again.split()
    permutations = Snapshot(Transformer(TransformerConfig(6, 4, 1, 4, 4)), PermutationTask(3), 0.5, "x", 0, 0, 0)
    save_snapshot(path, permutations)
    assert load_snapshot(path).task == PermutationTask(3)


def test_tensors_that_are_missing_or_too_many_are_named(snapshot: Snapshot, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_snapshot(path, snapshot)
    with safe_open(path, framework="pt") as file:
        header, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file({**tensors, "extra": torch.zeros(1)}, path, header)
    with pytest.raises(UserError, match="tensors extra are missing or not the net's"):
        load_snapshot(path)
    del tensors["pos.weight"]
    save_file(tensors, path, header)
    with pytest.raises(UserError, match=r"tensors pos\.weight are missing or not the net's"):
        load_snapshot(path)
