"""The experiment's book-keeping, its statistics on numbers worked out by hand, and one tiny experiment run for real."""

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks import catapult
from benchmarks.catapult import choose, experiment, main
from benchmarks.experiment.cells import BASE, CELLS, SMALLEST, Cell, parameters
from benchmarks.experiment.compare import compare, same_draws
from benchmarks.experiment.forest import forest
from benchmarks.experiment.raw import Raw, design
from benchmarks.experiment.report import report
from benchmarks.experiment.search import ARMS, Outcomes, choose_best, draw, finalists, flat, recipe, run
from benchmarks.experiment.statistics import direction, holm, paired, phase_test, resultant
from benchmarks.experiment.timing import Jump, jump, jumps, shifts
from pipeline.errors import UserError
from pipeline.nets import build_net
from train.many import Fitted
from train.schedules import multiplier

TINY = replace(BASE, width=8, steps=10)


def test_cells_differ_from_the_base_in_one_factor_and_the_budget() -> None:
    for cell in CELLS.values():
        changed = [name for name in vars(cell) if getattr(cell, name) != getattr(BASE, name)]
        assert len(set(changed) - {"name", "factor", "steps"}) == (cell != BASE)


def test_widths_are_multiples_of_the_smallest_by_weights() -> None:
    least = parameters(replace(BASE, width=SMALLEST).net)
    for times in (1, 30, 100):
        net = CELLS[f"width x{times}"].net
        assert parameters(net) == sum(weight.numel() for weight in build_net(net).parameters())
        assert parameters(net) / least == pytest.approx(times, rel=0.02)


def test_a_trial_of_all_arms_shares_what_is_not_the_schedule_but_not_with_the_second_search() -> None:
    cyclic, constant, decayed, again = (draw(BASE, arm, 3) for arm in ARMS)
    assert flat(cyclic) == flat(decayed) == constant == draw(BASE, "constant", 3)
    assert set(cyclic) - set(constant) == {"kind", "cycle", "peak", "floor"}
    assert again.keys() == constant.keys()
    assert all(again[name] != constant[name] for name in again)
    assert draw(replace(BASE, regulariser="none"), "constant", 3).keys() == {"rate"}
    assert draw(replace(BASE, regulariser="decay"), "constant", 3).keys() == {"rate", "decay"}


@pytest.mark.parametrize("trial", range(6))
def test_every_cycle_has_the_mean_rate_and_decay_that_were_drawn(trial: int) -> None:
    knobs = draw(BASE, "cyclic", trial)
    made, cycle = recipe(BASE, knobs), knobs["cycle"]
    rates = [made.optimizer.lr * multiplier(made.schedule, step, cycle, BASE.steps) for step in range(3 * cycle)]
    assert np.mean(rates) == pytest.approx(knobs["rate"])
    assert np.mean(rates) * made.optimizer.weight_decay == pytest.approx(knobs["decay"])


def test_the_rate_that_was_drawn_is_held_or_begun_with() -> None:
    for arm, last in (("constant", 1.0), ("decayed", draw(BASE, "decayed", 0)["floor"])):
        knobs = draw(BASE, arm, 0)
        made = recipe(BASE, knobs)
        first, end = (multiplier(made.schedule, step, BASE.steps, BASE.steps) for step in (0, BASE.steps))
        assert (made.optimizer.lr, first, end) == (knobs["rate"], 1.0, pytest.approx(last))
        assert made.optimizer.lr * made.optimizer.weight_decay == pytest.approx(knobs["decay"])


def test_muon_is_for_the_matrices_and_none_has_no_regulariser() -> None:
    muon = recipe(replace(BASE, optimizer="muon"), {"rate": 0.1, "decay": 0.06, "penalty": 0.01})
    assert (muon.optimizer.kind, muon.optimizer.lr) == ("muon", pytest.approx(0.3))
    assert muon.optimizer.lr * muon.optimizer.weight_decay == pytest.approx(0.06)
    assert muon.readout is not None
    assert muon.readout.lr == 0.1
    plain = recipe(replace(BASE, regulariser="none"), {"rate": 0.1})
    assert (plain.norm_penalty, plain.optimizer.weight_decay) == (None, 0.0)


def test_a_run_that_never_gets_there_counts_as_the_budget_and_ties_go_by_accuracy() -> None:
    assert Outcomes([30, None], [1.0, 0.5], 0).restricted(100) == [30, 100]
    assert Outcomes([None, None], [0.5, 0.1], 0).score(100) == (100.0, pytest.approx(-0.3))


def record(number: int, steps: list[int | None], accuracy: float = 0.9) -> dict[str, Any]:
    return {"number": number, "knobs": {"rate": number}, "steps": steps, "accuracy": [accuracy] * len(steps)}


def test_three_finalists_are_confirmed_and_the_best_over_all_their_seeds_is_chosen() -> None:
    trials = [
        record(0, [None, None], 0.2),
        record(1, [90, None]),
        record(2, [60, 60]),
        record(3, [40, 80]),
        record(4, [None, None], 0.8),
    ]
    assert [trial["number"] for trial in finalists(trials, 100)] == [2, 3, 1]
    confirmed = [record(1, [80, 80]), record(2, [None, 90]), record(3, [60, 70])]
    assert choose_best(trials, confirmed, 100)["knobs"] == {"rate": 3}
    hopeless = [record(0, [None], 0.2), record(1, [None], 0.5)]
    assert choose_best(hopeless, hopeless, 100)["number"] == 1


def test_the_interval_covers_what_it_should_and_the_sign_flips_see_no_difference_in_noise() -> None:
    assert paired([2.0] * 16).verdict == "win"
    assert paired([-2.0] * 16).verdict == "lose"
    assert paired([2.0] * 16).p == pytest.approx(2 / 2**16, abs=3e-4)
    nothing = paired([0.0] * 16)
    assert (nothing.verdict, nothing.p) == ("tie", 1.0)
    assert paired([1.0, -1.0] * 8).p == 1.0
    assert paired([3.0, 1.0]) == paired([3.0, 1.0])
    noise = np.random.default_rng(1).normal(size=(200, 16))
    verdicts = [paired(row.tolist()) for row in noise]
    assert sum(one.low <= 0 <= one.high for one in verdicts) / 200 > 0.88
    assert 0.01 < sum(one.p < 0.05 for one in verdicts) / 200 < 0.1


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]


def test_resultant_length_and_mean_direction() -> None:
    assert resultant(np.array([0.1, 1.1, 2.1])) == pytest.approx(1)
    assert resultant(np.array([0.0, 0.25, 0.5, 0.75])) == pytest.approx(0, abs=1e-12)
    assert direction([0.9, 0.1]) == pytest.approx(0, abs=1e-9) or direction([0.9, 0.1]) == pytest.approx(1)
    assert direction([0.2, 0.3]) == pytest.approx(0.25)


def test_jumps_locked_to_the_phase_are_found_and_jumps_that_only_cluster_in_time_are_not() -> None:
    grid = [(seed, shift) for seed in range(8) for shift in range(0, 40, 5)]
    seeds, offsets = ([pair[i] for pair in grid] for i in (0, 1))
    rest = [offset / 40 for offset in offsets]
    locked = phase_test([120 + 40 * (seed % 2) - offset + seed % 3 for seed, offset in grid], rest, seeds, 40)
    assert (locked.n, locked.p) == (64, pytest.approx(1 / 10_001))
    assert locked.length > 0.95
    noise = np.random.default_rng(0).integers(-3, 4, len(grid))
    clustered = phase_test([100 + int(extra) for extra in noise], rest, seeds, 40)
    assert clustered.p > 0.05
    assert phase_test([100 + 5 * seed for seed in seeds], rest, seeds, 40).p == 1.0


def test_where_the_jump_is() -> None:
    accuracies = [0.0, 0.1, 0.1, 0.1, 0.1, 0.1, 0.2, 0.4, 0.6, 0.9, 0.96, 0.2, 0.2, 0.2, 0.2, 1.0, 1.0]
    assert jump(accuracies) == Jump(half=8, rise=8)
    assert jump([0.1, 0.2, 0.3]) == Jump(None, None)
    assert jump([]) == Jump(None, None)
    assert shifts(40) == [0, 5, 10, 15, 20, 25, 30, 35]
    assert shifts(6) == [0, 1, 2, 3, 4, 5]


def test_a_shift_starts_the_cycle_that_many_steps_in() -> None:
    knobs = {"rate": 0.01, "decay": 0.1, "penalty": 0.01, "kind": "cyclic", "cycle": 6, "peak": 2.0, "floor": 0.1}
    start, later = recipe(TINY, knobs).schedule, recipe(TINY, knobs, 2 / 6).schedule
    assert [multiplier(later, i, 6, 10) for i in range(4)] == [multiplier(start, i + 2, 6, 10) for i in range(4)]
    assert len(jumps(TINY, knobs, 2, [0, 1])) == 2


def test_only_every_fifth_step_counts_whatever_the_cycle(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop also evaluates at the end of a cycle, which the arms without cycles have not."""

    def looked_at_in_every_step(*_: object, stop_when: object, **__: object) -> list[Fitted]:
        assert stop_when is None
        accuracies = [0.1, 0.2, 0.96, 0.97, 0.9, 0.96, 0.97, 0.98, 0.99, 0.95]
        history = [{"step": step, "test_accuracy": value} for step, value in enumerate(accuracies, 1)]
        return [Fitted(0, history, build_net(TINY.net), None), Fitted(1, history[:9], build_net(TINY.net), None)]

    monkeypatch.setattr("benchmarks.experiment.search.fit_many", looked_at_in_every_step)
    assert run(TINY, {"rate": 0.1}, [0, 1]) == Outcomes([10, None], [0.95, 0.9], 0)


def test_a_diverged_run_is_a_failure() -> None:
    found = run(TINY, {"rate": 1e30}, [0, 1])
    assert (found.steps, found.accuracy, found.diverged) == ([None, None], [0.0, 0.0], 2)


def made(steps: dict[str, list[int | None]], accuracy: dict[str, list[float]]) -> Raw:
    """Raw results of the base cell, by hand, with one trial an arm."""
    raw = Raw(design(1, 2, 2, 2))
    for arm, values in steps.items():
        knobs = {"rate": 0.1}
        if arm != "flat":
            for kind in ("trial", "confirm"):
                trial = {"kind": kind, "cell": "base", "arm": arm, "number": 0, "knobs": knobs}
                raw.add({**trial, "steps": values, "accuracy": accuracy[arm]})
        outcome = {"steps": values, "accuracy": accuracy[arm], "diverged": 0}
        raw.add({"kind": "run", "cell": "base", "arm": arm, "knobs": knobs, **outcome})
    return raw


ALL = (*ARMS, "flat")


def test_the_verdict_is_about_steps_and_where_nobody_gets_there_about_accuracy() -> None:
    right = {arm: [1.0, 1.0] for arm in ALL}
    raw = made({**{arm: [100, None] for arm in ALL}, "cyclic": [50, 100]}, right)
    one = compare(raw, "base", "cyclic", "constant")
    assert (one.unit, one.gain.mean, one.gain.verdict, one.saved) == ("steps", 100.0, "win", 40.0)
    assert compare(raw, "base", "constant", "cyclic").gain.verdict == "lose"
    assert same_draws(raw, "base") == [40.0]
    never = made({arm: [None, None] for arm in ALL}, {**{arm: [0.2, 0.3] for arm in ALL}, "cyclic": [0.1, 0.1]})
    one = compare(never, "base", "cyclic", "constant")
    assert (one.unit, one.gain.mean, one.gain.verdict, one.saved) == ("points", pytest.approx(-15), "lose", 0.0)
    assert same_draws(never, "base") == []
    assert "-15.0 points [-20.0, -10.0] lose" in report(never)


def test_runs_that_are_not_of_the_best_trial_are_refused() -> None:
    raw = made({arm: [100, 120] for arm in ALL}, {arm: [1.0, 1.0] for arm in ALL})
    assert "| base | 250    | 110.0 (2/2; 100.0%) |" in report(raw)
    raw.records["run", "base", "decayed"]["knobs"] = {"rate": 0.2}
    with pytest.raises(UserError, match="base, decayed: the runs are not of the best trial"):
        report(raw)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Cell:
    cell = replace(TINY, name="base")
    monkeypatch.setattr(catapult, "CELLS", {"base": cell})
    monkeypatch.setattr("benchmarks.experiment.raw.CELLS", {"base": cell})
    monkeypatch.setattr("benchmarks.experiment.timing.SHIFTS", 2)
    monkeypatch.setattr(catapult, "SEEDS", 2)
    return cell


def test_an_interrupted_experiment_goes_on_and_ends_in_the_same_results(tiny, tmp_path, capsys, monkeypatch) -> None:
    whole, broken = tmp_path / "whole.jsonl", tmp_path / "broken.jsonl"
    arguments = ["--trials", "2", "--tuning-seeds", "1", "--confirming-seeds", "1", "--seeds", "2"]
    assert main(["--out", str(whole), *arguments, "--picture", str(tmp_path / "a.svg")]) == 0
    first = capsys.readouterr().out
    lines = whole.read_text().splitlines(keepends=True)
    broken.write_text("".join(lines[:5]) + lines[5][:20])  # killed while it wrote the sixth
    assert main(["--out", str(broken), *arguments]) == 0
    assert [json.loads(line) for line in broken.read_text().splitlines()] == [json.loads(line) for line in lines]
    monkeypatch.setattr(catapult, "run", None)  # all is there: nothing is run again
    assert main(["--out", str(whole), *arguments]) == 0
    assert main(["--table", str(whole), "--picture", str(tmp_path / "b.svg")]) == 0
    assert capsys.readouterr().out.endswith(first)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    ElementTree.fromstring((tmp_path / "a.svg").read_text())
    with pytest.raises(UserError, match=r"another design \(trials differ\); give another --out"):
        main(["--out", str(whole), *arguments[2:], "--trials", "3"])


def test_the_picture_has_three_marks_a_cell() -> None:
    raw = made({arm: [100, 120] for arm in ALL}, {arm: [1.0, 1.0] for arm in ALL})
    assert forest(raw).count("<circle") == 3 + 3  # the legend's and the cell's


def test_wrong_arguments_are_named(tmp_path) -> None:
    with pytest.raises(UserError, match="--cells = depht 1: choose all or some of base, "):
        choose("base,depht 1")
    assert [cell.name for cell in choose("S5, base")] == ["base", "S5"]
    with pytest.raises(UserError, match="give --out FILE to run the experiment, or --table FILE"):
        main([])
    with pytest.raises(UserError, match="give whole numbers, 1 or more"):
        main(["--out", str(tmp_path / "x"), "--seeds", "0"])
    with pytest.raises(UserError, match="holds no results"):
        main(["--table", str(tmp_path / "x")])
    experiment(Raw(design(1, 1, 1, 1)), [])
    with pytest.raises(UserError, match="no cell is finished"):
        report(Raw(design(1, 1, 1, 1)))
