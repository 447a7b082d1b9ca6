"""The table of the phases: how its nets are made, and that it says what was measured."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.defaults import modular_experiment, modular_task
from benchmarks.phases import (
    COLUMNS,
    GROUPS,
    RIGHT_BUT,
    Group,
    Net,
    configure,
    fit,
    main,
    number,
    random_labels,
    row,
    span,
    summary,
    threshold_row,
    train_net,
)
from interp.progress_measures import Measures
from pipeline.files import snapshot_paths
from pipeline.params import ThresholdParams, load_params
from pipeline.recipe_files import load_recipe
from pipeline.recipe_params import AdamWParams, MuonParams
from pipeline.runs import load_snapshot
from pipeline.tasks import ModularTask
from train.data import Data
from train.run import train_run

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")
SMALL = Group("small", "catapult", ("memorising",), (11,), steps=4, cycle_steps=2)


def measures(**values: float) -> Measures:
    return Measures(**{name: values.get(name, 1.0) for name in Measures.names()})  # type: ignore[arg-type]


def net(label: str, **values: float) -> Net:
    return Net(59, 100, (measures(**values),), (label,))  # type: ignore[arg-type]


def test_numbers_are_short_and_only_an_exact_one_is_1() -> None:
    assert [number(x, 3) for x in (1.0, 0.9999, 0.98, 0.0, 12.3456)] == ["1", "1.000", ".980", ".000", "12.346"]
    assert span([0.5, 0.25, 1.0], 2) == ".25 to 1"
    assert span([0.001, 0.002], 2) == ".00"


def test_a_row_has_the_extremes_of_the_last_snapshots_in_units_of_ln_p() -> None:
    chance = math.log(59)
    low = net("algorithm", accuracy=0.5, scrubbed_accuracy=0.25, neuron_localisation_null=0.5, restricted_loss=chance)
    high = net("memorising", explained=0.125, excluded_loss=2 * chance, restricted_loss=0.5 * chance)
    early = replace(high, measures=(measures(accuracy=0.0), *high.measures), labels=("untrained", *high.labels))
    expected = "| x | 2 | .500 to 1 | .250 to 1 | 1 | .12 to 1 | 1 to 2.0 | .50 to 1 | .25 to 2.00 "
    expected += "| 1 algorithm, 1 memorising |"
    assert row("x", [low, early]) == expected.replace(".25 to 2.00", f"{span([1 / chance, 2], 2)}")


def test_every_line_of_the_table_has_the_same_columns() -> None:
    lines = [COLUMNS, threshold_row(ThresholdParams()), row("x", [net("algorithm")])]
    assert len({line.count("|") for line in lines}) == 1


def test_the_summary_counts_and_names_what_was_not_expected() -> None:
    control = Group(RIGHT_BUT + "x", "standard", ("memorising",))
    good, bad = net("memorising", scrubbed_accuracy=0.5), net("algorithm", scrubbed_accuracy=0.75)
    assert summary([(control, [good, bad])]) == [
        "Labels as expected: 1 of 2 nets.",
        f"NOT AS EXPECTED: {control.name}: p = 59, seed 100 ends in algorithm (accuracy 1, scrubbed .750).",
        "Snapshots of the controls labelled algorithm: 1 of 2.",
        "Greatest scrubbed accuracy of any of the 2 unregularised snapshots: .750, with circles scrubbed 1.",
    ]


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_every_group_can_be_configured(group: Group) -> None:
    experiment = configure(PARAMS, group, group.primes[0], 123)
    task = modular_task(experiment)
    assert (task.p, experiment.train.seed, task.operation) == (group.primes[0], 123, group.operation)
    assert task.train_fraction == modular_task(modular_experiment(PARAMS, "standard")).train_fraction
    assert group.steps % group.cycle_steps == 0


@pytest.mark.parametrize("group", [g for g in GROUPS if g.name.startswith(RIGHT_BUT)], ids=lambda group: group.name)
def test_no_regularisation_means_none(group: Group) -> None:
    recipe = configure(PARAMS, group, 59, 0).parts
    used = [o for o in (recipe.optimizer, recipe.embeddings, recipe.readout) if o is not None]
    assert [o.weight_decay for o in used] == [0] * len(used)
    assert recipe.norm_penalty is None
    assert group.all_pairs
    assert not group.random_labels


def test_recipes_of_train_are_used_as_they_are_and_the_grokked_one_is_as_named() -> None:
    for name in ("standard", "catapult"):
        assert configure(PARAMS, replace(SMALL, recipe=name), 11, 0).parts == load_recipe(name)
    grokked = configure(PARAMS, replace(SMALL, recipe="grokked"), 11, 0).parts.optimizer
    assert isinstance(grokked, AdamWParams)
    assert (grokked.lr, grokked.weight_decay) == (0.01, 1.0)
    bare = configure(PARAMS, replace(SMALL, recipe="muon_bare"), 11, 0).parts.optimizer
    assert isinstance(bare, MuonParams)
    assert bare.lr == 0.02


def test_random_labels_know_nothing_of_the_task_nor_of_each_other() -> None:
    p = 59
    labels, n = random_labels(p, 100).numpy(), p * p
    for operation in ("addition", "subtraction"):
        right = (labels == ModularTask(p, operation).answers()).sum()
        assert abs(right - n / p) < 4 * (n / p) ** 0.5
    counts = np.bincount(labels, minlength=p)
    assert ((counts - p) ** 2 / p).sum() < (p - 1) + 4 * (2 * (p - 1)) ** 0.5
    assert abs((labels.reshape(p, p) == labels.reshape(p, p).T).sum() - p - (n - p) / p) < 4 * (2 * n / p) ** 0.5
    assert torch.equal(random_labels(p, 100), random_labels(p, 100))
    assert not torch.equal(random_labels(p, 100), random_labels(p, 101))


def test_the_loop_of_the_controls_is_the_loop_of_a_run(tmp_path: Path) -> None:
    """On what both can be given, the same weights bit for bit after every cycle."""
    experiment = configure(PARAMS, SMALL, 11, 5)
    run = train_run(experiment, tmp_path / "run", tmp_path / "state")
    nets = fit(experiment, Data.of(experiment.task.split(experiment.train.seed)), SMALL.steps)
    for path, ours in zip(snapshot_paths(run), nets, strict=True):
        theirs = load_snapshot(path).net.state_dict()
        assert all(torch.equal(weight, theirs[name]) for name, weight in ours.state_dict().items())


def test_one_small_net_of_each_kind_from_end_to_end() -> None:
    run = train_net(PARAMS, SMALL, 11, 5)
    assert len(run.measures) == len(run.labels) == 3
    assert not math.isnan(run.measures[-1].test_loss)
    everything = train_net(PARAMS, replace(SMALL, recipe="adamw_fast", all_pairs=True), 11, 5)
    assert math.isnan(everything.measures[-1].test_loss)
    assert everything.measures[-1].train_accuracy == everything.measures[-1].accuracy
    slow = replace(SMALL, recipe="adamw_fast", random_labels=True, steps=60, cycle_steps=60)
    fitted = train_net(PARAMS, slow, 11, 5)
    assert fitted.measures[-1].train_accuracy > 0.6
    assert fitted.measures[-1].accuracy < 0.4
    assert train_net(PARAMS, replace(SMALL, steps=0), 11, 5).labels == ("untrained",)


def test_the_command_prints_the_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.phases.GROUPS", (SMALL,))
    monkeypatch.setattr("benchmarks.phases.load_params", lambda: PARAMS)
    assert main(["--seeds", "2", "--first-seed", "7"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == COLUMNS
    assert lines[3].startswith("| small | 2 |")
    assert lines[5].startswith("Labels as expected: ")
