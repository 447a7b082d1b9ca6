"""What makes two runs the same experiment, and which run directory a run may replace."""

from __future__ import annotations

import copy
import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.errors import BAD_INPUT, UserError
from pipeline.experiment import Experiment, PermutationParams, TransformerParams
from pipeline.params import load_params, phases
from pipeline.run_params import run_params, run_task
from pipeline.runs import load_snapshot
from pipeline.tasks import PermutationTask
from pipeline.validation import checked
from tests.train.small_runs import (
    PAIR_RECIPES,
    ROOT,
    contents,
    small_experiment,
    small_params,
    with_parts,
    with_train,
)
from train.__main__ import main
from train.data import Data
from train.losses import evaluate
from train.run import train_run

EXPERIMENTS = load_params(ROOT / "params.yaml").experiments


def named(name: str) -> Experiment:
    return load_params(ROOT / "params.yaml").experiment(name)


def changed(experiment: Experiment, *path: str | int, to: Any) -> Experiment:
    """The experiment with another value at one place, read and checked again."""
    values = experiment.model_dump(mode="json")
    place: Any = values
    for key in path[:-1]:
        place = place[key]
    assert place[path[-1]] != to
    place[path[-1]] = to
    return checked(values, Experiment, str(path))


def numbers(values: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every number and truth value below, with where it stands."""
    if isinstance(values, (bool, int, float)):
        yield path, values
    elif isinstance(values, dict | list):
        for key, value in values.items() if isinstance(values, dict) else enumerate(values):
            yield from numbers(value, (*path, key))


def another(value: bool | int | float) -> bool | int | float:
    """A value of the same kind, near enough to be one of a recipe."""
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else 0.9 * value or 1e-3


def test_the_name_is_no_part_of_the_identity() -> None:
    given = named("modular-catapult")
    assert changed(given, "name", to="another").digest == given.digest
    assert len(given.digest) == 64


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_number_of_a_recipe_is_part_of_the_identity(name: str) -> None:
    """Of each phase; and no two changes are the same experiment."""
    given = named(name)
    seen = {given.digest}
    places = list(numbers([phase.parts.model_dump(mode="json") for phase in given.phases]))
    assert len(places) >= 10 * len(given.phases)
    for (phase, *path), value in places:
        seen.add(changed(given, "phases", phase, "parts", *path, to=another(value)).digest)
    assert len(seen) == 1 + len(places)


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("task", "p"), 59),
        (("task", "operation"), "subtraction"),
        (("task", "train_fraction"), 0.4),
        (("net", "d_model"), 64),
        (("net", "n_heads"), 2),
        (("net", "d_mlp"), 256),
        (("recipe",), "another"),
        (("phases", 0, "recipe"), "another"),
        (("phases", 0, "last_cycle"), 7),
        (("phases", 1, "parts", "schedule", "kind"), "constant"),
        (("phases", 1, "parts", "nuclear_norm", "groups"), ["readout"]),
        (("phases", 1, "parts", "nuclear_norm"), None),
        (("phases", 1, "parts", "loss"), "stablemax"),
        (("train", "seed"), 1),
        (("train", "snapshots", "dense"), 9),
        (("train", "snapshots", "every"), 11),
        (("train", "evaluate_every"), 4),
        (("train", "batch_size"), 100),
        (("train", "matmul_precision"), "high"),
        (("train", "device"), "auto"),
        (
            ("start",),
            {"sha256": "0" * 64, "net": {"kind": "mlp"}, "recipe": "standard", "cycle": 1, "step": 4},
        ),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else None,
)
def test_what_is_learnt_by_which_net_and_budget_is_part_of_the_identity(path: tuple[str | int, ...], to: Any) -> None:
    given = named("modular-catapult_consolidation")
    assert changed(given, *path, to=to).digest != given.digest


@pytest.mark.parametrize(("steps", "cycle_steps"), [(510, 10), (500, 5), (250, 5)])
def test_the_budget_is_part_of_the_identity_and_phases_fill_it(steps: int, cycle_steps: int) -> None:
    given = named("modular-catapult")
    values = given.model_dump(mode="json")
    values["train"] |= {"steps": steps, "cycle_steps": cycle_steps}
    values["phases"][0]["last_cycle"] = steps // cycle_steps
    assert checked(values, Experiment, "test").digest != given.digest
    values["phases"][0]["last_cycle"] -= 1
    with pytest.raises(UserError, match=rf"phases end after {steps - cycle_steps} steps, and train\.steps = {steps}"):
        checked(values, Experiment, "test")


def test_an_option_left_to_its_default_is_the_same_as_one_written_out() -> None:
    given = named("addition-catapult")
    assert changed(given, "task", "options", to={}).digest == given.digest


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("task",), {"name": "remainder", "options": {"base": 10}}),
        (("task", "options"), {"base": 4}),
        (("task", "examples"), 399),
        (("task", "digits"), 3),
        (("task", "lengths"), [4, 10, 40]),
        (("task", "evaluated"), 100),
        (("net", "n_state"), 3),
        (("net", "n_hidden"), 16),
        (("net", "tied"), True),
        (("phases", 0, "parts", "teach"), None),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else None,
)
def test_what_is_learnt_of_streams_is_part_of_the_identity(path: tuple[str | int, ...], to: Any) -> None:
    given = named("addition-catapult")
    assert changed(given, *path, to=to).digest != given.digest


def test_all_experiments_are_apart_and_defaults_need_not_be_written(tmp_path: Path) -> None:
    assert len({named(name).digest for name in EXPERIMENTS}) == len(EXPERIMENTS)
    assert len({small_experiment(tmp_path, recipe).digest for recipe in PAIR_RECIPES}) == len(PAIR_RECIPES)
    written = small_experiment(tmp_path, "standard", **{"    operation: addition": "    # addition"})
    assert written.digest == small_experiment(tmp_path, "standard").digest


def test_a_run_tells_what_it_is_of(tmp_path: Path) -> None:
    given = small_experiment(tmp_path, "catapult_consolidation")
    run = train_run(given, tmp_path / "run", tmp_path / "state")
    record = run_params(run)
    assert record.pop("digest") == given.digest
    assert checked(copy.deepcopy(record), Experiment, "params.json") == given
    assert [load_snapshot(path).experiment for path in (run / "snapshots").iterdir()] == [given.digest] * 7


def test_the_run_of_another_experiment_is_not_replaced(tmp_path: Path) -> None:
    first = small_experiment(tmp_path, "standard")
    out = train_run(first, tmp_path / "out", tmp_path / "state")
    before = contents(out)
    others = [
        with_train(first, seed=1),
        with_parts(first, optimizer={"lr": 0.002}),
        small_experiment(tmp_path, "catapult"),
        small_experiment(tmp_path, "standard", **{"p: 113": "p: 13"}),
    ]
    for other in others:
        said = rf"out: holds experiment {first.digest[:12]}, this one is {other.digest[:12]}; name another directory"
        with pytest.raises(UserError, match=said) as caught:
            train_run(other, out, tmp_path / "other")
        assert "\n" not in str(caught.value)
    assert contents(out) == before
    assert not (tmp_path / "other").exists()


def test_the_run_of_the_same_experiment_is_replaced(tmp_path: Path) -> None:
    """Under whatever name; what is damaged is made whole."""
    given = small_experiment(tmp_path, "standard")
    out = train_run(given, tmp_path / "out", tmp_path / "state")
    before = contents(out)
    (out / "history.csv").write_text("")
    (out / "snapshots" / "cycle-0003.safetensors").unlink()
    seen: list[int] = []
    train_run(given, out, tmp_path / "state", after_cycle=seen.append)
    assert seen == list(range(1, 7))
    assert contents(out) == before
    renamed = given.model_copy(update={"name": "another"})
    train_run(renamed, out, tmp_path / "state")
    assert run_params(out) == {**json.loads(before["params.json"]), "name": "another"}
    assert {name: data for name, data in contents(out).items() if name != "params.json"} == {
        name: data for name, data in before.items() if name != "params.json"
    }


def test_the_command_refuses_it_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small_params(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["modular-standard", "--out", "run"]) == 0
    before = contents(tmp_path / "run")
    capsys.readouterr()
    assert main(["modular-catapult", "--out", "run"]) == BAD_INPUT
    errors = capsys.readouterr().err
    assert errors.startswith("python -m train: --out = run: holds experiment ")
    assert errors.count("\n") == 1
    assert main(["modular-standard", "--out", "run"]) == 0
    assert contents(tmp_path / "run") == before
    capsys.readouterr()
    assert main(["standard"]) == BAD_INPUT
    assert "experiment = 'standard': not in params.yaml; known: modular-standard, " in capsys.readouterr().err


def test_a_run_on_permutations(tmp_path: Path) -> None:
    """Tasks on pairs other than arithmetic have run directories as well."""
    small = small_experiment(tmp_path, "standard")
    given = Experiment(
        name="permutation-standard",
        task=PermutationParams(name="permutation", n=3, train_fraction=0.5),
        net=TransformerParams(kind="transformer", d_model=16, n_heads=4, d_mlp=32),
        recipe="standard",
        phases=tuple(phases("standard", small.train)),
        train=small.train,
    )
    run = train_run(given, tmp_path / "run", tmp_path / "state")
    assert run_task(run) == PermutationTask(3)
    last = load_snapshot(run / "snapshots" / "cycle-0006.safetensors")
    assert (last.task, last.train_fraction, last.step) == (PermutationTask(3), 0.5, 24)
    data = Data.of_pairs(PermutationTask(3), 0.5, 0)
    assert (len(data.train), data.test is not None and len(data.test)) == (18, 18)
    rows = list(csv.DictReader((run / "history.csv").read_text().splitlines()))
    accuracies = list(csv.DictReader((run / "accuracy.csv").read_text().splitlines()))
    assert list(accuracies[0]) == ["cycle", "test"]
    nats, right = evaluate(last.net, data.tried["test"])
    assert float(rows[-1]["test_loss"]) == pytest.approx(nats, rel=1e-5)
    assert float(rows[-1]["test_accuracy"]) == float(accuracies[-1]["test"]) == pytest.approx(right, rel=1e-5)
    assert not torch.equal(
        last.net.unembed.weight, load_snapshot(run / "snapshots" / "cycle-0000.safetensors").net.unembed.weight
    )
