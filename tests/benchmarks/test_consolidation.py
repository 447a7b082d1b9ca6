"""The experiment on pressures: what each cell is, that cells which are there are not made again, and the table."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.consolidation import (
    EVERY,
    kept_of,
    main,
    one,
    outcome,
    own_start,
    params_of,
    phase_steps,
    recipe_of,
    start_named,
    start_of,
    wrong,
)
from benchmarks.consolidation_table import HEADER, Cell, comparisons, summary
from benchmarks.defaults import modular_experiment
from pipeline.errors import UserError
from pipeline.nets import Mlp
from pipeline.params import load_params
from pipeline.recipe_files import load_recipe
from pipeline.tasks import ModularTask
from train.divergence import Diverged

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")
PHASE = load_recipe("consolidation")


def cell(**values: object) -> Cell:
    given = {"p": 11, "operation": "addition", "fraction": 0.5, "start": "untrained", "pressure": "phase", "seed": 0}
    return given | {"net": "transformer", "kernels": "same"} | values


def test_every_pressure_is_the_phase_with_others_off() -> None:
    assert recipe_of("phase") == PHASE
    alone = {"noise": "weight_noise", "nuclear": "nuclear_norm", "group": "group_penalty"}
    for pressure, own in alone.items():
        recipe = recipe_of(pressure)
        for name in alone.values():
            assert (getattr(recipe, name) is not None) == (name == own)
        assert recipe.optimizer.weight_decay == 0
    for pressure in ("none", "magnitude", "decay_0.3"):
        recipe = recipe_of(pressure)
        assert (recipe.weight_noise, recipe.nuclear_norm, recipe.group_penalty) == (None, None, None)
        assert recipe.optimizer.weight_decay == (0.3 if pressure == "decay_0.3" else 0)
    both = recipe_of("both")
    assert (both.weight_noise, both.nuclear_norm, both.group_penalty) == (None, PHASE.nuclear_norm, PHASE.group_penalty)


def test_rates_and_schedule_are_the_same_for_all() -> None:
    for pressure in ("none", "noise", "decay_3", "nuclear", "group", "both", "phase_6", "magnitude"):
        recipe = recipe_of(pressure)
        assert (recipe.optimizer.lr, recipe.schedule) == (PHASE.optimizer.lr, PHASE.schedule)


def test_a_strength_multiplies_both_penalties() -> None:
    recipe = recipe_of("phase_6")
    for name in ("nuclear_norm", "group_penalty"):
        before, after = getattr(PHASE, name).strength, getattr(recipe, name).strength
        assert after.value == pytest.approx(6 * before.value)
        assert after.anneal == before.anneal


@pytest.mark.parametrize("pressure", ["presure", "decay_x", "decay", "noise_3"])
def test_an_unknown_pressure_is_one_line(pressure: str) -> None:
    with pytest.raises(UserError, match=f"--pressures = '{pressure}'"):
        recipe_of(pressure)


def test_a_strength_that_cannot_be_is_one_line() -> None:
    with pytest.raises(UserError, match=r"--pressures phase_-1: .*strength\.value = "):
        recipe_of("phase_-1")


@pytest.mark.parametrize("start", ["trained", "untrained_5"])
def test_an_unknown_start_is_one_line(start: str) -> None:
    with pytest.raises(UserError, match=f"--starts = '{start}'"):
        start_named(PARAMS, start)


def test_the_phase_begins_where_it_does_in_the_pipeline_and_has_the_rest_of_the_steps() -> None:
    budget = modular_experiment(PARAMS, "standard").train
    for recipe in ("standard", "catapult"):
        first, _ = PARAMS.experiment(f"modular-{recipe}_consolidation").phases
        assert start_named(PARAMS, recipe) == (recipe, first.last_cycle * budget.cycle_steps) == (recipe, 60)
        assert phase_steps(PARAMS, recipe) == budget.steps - 60
    assert start_named(PARAMS, "standard_100") == ("standard", 100)
    assert phase_steps(PARAMS, "standard_100") == phase_steps(PARAMS, "untrained") == budget.steps - 60
    with pytest.raises(UserError, match="--starts = 'muon': train/recipes has no muon_consolidation; give its steps"):
        start_named(PARAMS, "muon")


def test_a_net_that_diverges_is_wrong_on_everything_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def throw(*_: object) -> None:
        raise Diverged("the loss is nan", 3, 0.1)

    monkeypatch.setattr("benchmarks.consolidation.start_of", throw)
    found = one(cell(start="standard_20"))
    assert (found["wrong"], found["right_from"], found["phase"]) == (11**2, None, "diverged")
    assert "diverged" in summary([found])[2]
    again = pickle.loads(pickle.dumps(Diverged("the loss is nan", 3, 0.1)))
    assert (again.step, str(again)) == (3, str(Diverged("the loss is nan", 3, 0.1)))


def test_starts_are_where_they_say() -> None:
    params = params_of(cell())
    task = ModularTask(11)
    untrained, (before,) = start_of(params, "untrained")
    assert before == wrong(untrained, task) > 90
    _, (fitted,) = start_of(params, "all_pairs")
    assert fitted == 0
    _, counts = start_of(params, "standard_40", looked_at=20)
    assert len(counts) == 3  # at first, after 20 and after 40
    assert 0 < counts[-1] < before


def test_a_net_has_its_own_circuit_and_not_that_of_a_renamed_one() -> None:
    task = ModularTask(11)
    net, _ = start_of(params_of(cell()), "all_pairs")
    alike, floor = kept_of(net, net, task)
    assert alike == pytest.approx(1)
    assert floor < 0.9


def test_a_perceptron_goes_through_the_phase_as_well() -> None:
    net, (before,) = start_of(params_of(cell()), "untrained", kind="mlp")
    assert isinstance(net, Mlp)
    assert before > 90
    found = one(cell(net="mlp", start="standard_20"))
    assert 0 < found["live"] < 512
    assert "| 11 mlp |" in summary([found])[2]


def test_a_net_is_right_from_where_no_later_count_finds_anything_wrong() -> None:
    assert outcome([9, 0, 3, 0, 0]) == {"wrong": 0, "right_from": 3 * EVERY}
    assert outcome([9, 0, 3]) == {"wrong": 3, "right_from": None}
    assert outcome([0]) == {"wrong": 0, "right_from": 0}


def test_a_net_without_a_phase_is_looked_at_as_it_is() -> None:
    found = one(cell(start="standard_20", pressure="stop"))
    assert found["wrong"] == found["wrong_before"] > 0
    assert found["live"] > 256  # all that are active on some input
    assert found["kept"] is None


def test_one_net_of_each_kind_from_end_to_end() -> None:
    found = one(cell(start="standard_20"))
    assert found["wrong_before"] > 0
    assert found["live"] <= found["pace"][-1] < 512  # one that is left may be constant
    assert len(found["pace"]) == phase_steps(PARAMS, "standard") == 500 - own_start(PARAMS, "standard")
    assert 0 < found["share"] <= 1
    assert all(0 <= value <= 1 for value in found["kept"])
    assert found["train_accuracy"] > 0.9
    by_size = one(cell(start="standard_20", pressure="magnitude"))
    assert 0 < by_size["live"] <= found["pace"][-1]  # as many by their weights; one of them may be active on no input
    assert by_size["pace"] == []


def test_the_table_has_a_row_a_cell_with_least_median_and_greatest() -> None:
    done = {"wrong_before": 9, "right_from": 50, "train_accuracy": 1.0, "frequencies": 3, "algorithm": "clock"}
    done |= {"phase": "algorithm", "share": 0.04, "kept": [0.5, 0.25]}
    cells = [cell(seed=seed) | done | {"wrong": w, "live": 20 + seed} for seed, w in enumerate((0, 4, 0))]
    cells[1] |= {"right_from": None, "kept": None}
    lines = summary(cells)
    assert len(lines) == 3
    assert {line.count("|") for line in lines} == {HEADER.count("|")}
    assert "| 0 / 0 / 4 | 2 | 20 / 21 / 22 |" in lines[2]
    assert "3 clock | 3 | 0.040 | 50 to 50 (2) | 0.50 0.25 |" in lines[2]


def test_the_picture_has_a_dot_a_net_and_panel_and_a_row_a_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nets = [
        cell(seed=seed, start=start, fraction=0.3, kernels="oldest" if start == "catapult" else "same")
        | {"wrong": bad, "wrong_before": 90, "live": 9, "algorithm": "clock", "share": 0.1}
        | {"frequencies": 3, "phase": "algorithm", "right_from": None, "kept": [0.5, 0.25]}
        for seed, start, bad in ((0, "standard", 0), (1, "standard", 7), (0, "catapult", 0))
    ]
    table, out = tmp_path / "table.jsonl", tmp_path / "picture.svg"
    table.write_text("".join(json.dumps(net) + "\n" for net in nets))
    monkeypatch.setattr("sys.argv", ["x", "--summary", "--table", str(table), "--picture", str(out)])
    assert main() == 0
    drawn = ElementTree.fromstring(out.read_text())
    dots = [mark for mark in drawn.iter() if mark.tag.endswith("circle")]
    assert sum(dot.get("class") == "constant" for dot in dots) == 4  # two nets, two panels
    assert len(dots) == 6
    assert {"11 oldest: catapult, phase", "11: standard, phase"} <= {mark.text for mark in drawn.iter()}
    table.write_text("")
    with pytest.raises(UserError, match="it holds no net"):
        main()
    monkeypatch.setattr("sys.argv", ["x", "--picture", str(out)])
    with pytest.raises(UserError, match="--picture, --compare: they are of a table that is there; give --summary too"):
        main()


def test_one_cell_is_better_where_all_seeds_but_one_say_so() -> None:
    def cells(start: str, pressure: str, wrong: list[int]) -> list[Cell]:
        return [cell(start=start, pressure=pressure, seed=seed, wrong=count) for seed, count in enumerate(wrong)]

    mostly = cells("untrained", "phase", [0, 0, 0, 0, 0, 0, 0, 9])
    none = cells("untrained", "none", [5] * 8)
    as_often = cells("untrained", "noise", [0, 0, 0, 0, 0, 0, 9, 9])  # 6 of 8, and ties with the first
    elsewhere = cells("all_pairs", "noise", [0] * 8)  # differs from `phase` and `none` in two things
    few = cells("untrained", "both", [0] * 7)
    lines = comparisons([*mostly, *none, *as_often, *elsewhere, *few])
    assert lines[2:] == [
        "| 11, 0.5 shown | untrained | phase | none |",
        "",
        "No difference seen in 3 other pairs of cells; 3 have not 8 seeds in common and are not compared.",
    ]
