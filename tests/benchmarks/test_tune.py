"""The search: what a trial changes, what stops it, and that stopping does not change the result."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import tune
from benchmarks.lines import read
from benchmarks.outcome import Point
from benchmarks.protocols import P1, P2, PROTOCOLS, ROOT, Protocol
from benchmarks.tune import (
    FIRST_SEED,
    KINDS,
    NOTHING,
    Trial,
    best_possible,
    factors,
    flat,
    main,
    perturbed,
    score,
    search,
)
from pipeline.errors import UserError
from pipeline.recipe_files import RecipeBook
from pipeline.recipe_params import RecipeParams
from pipeline.validation import load_checked
from train.divergence import Diverged

RECIPES = P1.recipes()
TEN = replace(P1, steps=10, evaluate_every=1)


def changed(name: str, trial: int) -> dict[str, float]:
    """What a trial multiplies a recipe's values by."""
    before, after = (flat(r.model_dump(mode="json")) for r in (RECIPES[name], perturbed(RECIPES[name], trial)))
    return {key: after[key] / before[key] for key in after if after[key] != before[key]}


@pytest.mark.parametrize("protocol", [P1, P2], ids=["P1", "P2"])
def test_a_recipe_with_pressures_is_the_fastest_but_for_them_and_their_strengths_are_tuned(protocol: Protocol) -> None:
    fastest, by = protocol.recipes()["muon_radial"], factors(3)
    pressed = load_checked(ROOT / f"benchmarks/recipes/pressed_{protocol.name}.yaml", RecipeBook).recipes
    for recipe in pressed.values():
        assert recipe.nuclear_norm is not None
        assert recipe.group_penalty is not None
        assert recipe.model_copy(update={"nuclear_norm": None, "group_penalty": None}) == fastest
        trial = perturbed(recipe, 3)
        assert trial.nuclear_norm is not None
        assert trial.group_penalty is not None
        for name, one, other in (
            ("nuclear_norm", recipe.nuclear_norm, trial.nuclear_norm),
            ("group_penalty", recipe.group_penalty, trial.group_penalty),
        ):
            assert other.strength.value == pytest.approx(one.strength.value * by[name], rel=0.01)


def test_trial_0_is_the_recipe_itself() -> None:
    for protocol in PROTOCOLS.values():
        assert all(perturbed(recipe, 0) == recipe for recipe in protocol.recipes().values())


def test_a_trial_changes_rates_decays_and_strengths_and_nothing_else() -> None:
    by = factors(3)
    three = ("optimizer", "embeddings", "readout")
    expected = {f"{group}.lr": by["rates"] for group in three}
    expected |= {f"{group}.weight_decay": by["decays"] for group in three}
    expected |= {"temperature": by["temperature"], "norm_penalty.strength": by["penalty"]}
    assert changed("muon_radial", 3) == pytest.approx(expected, rel=0.01)
    caps = {f"constraints.{i}.max_norm": by["max_norm"] for i in (0, 1)}
    assert changed("muon_capped", 3) == pytest.approx({f"{g}.lr": by["rates"] for g in three} | caps, rel=0.01)
    slow = changed("grokfast", 3)
    assert slow["gradient.lamb"] == pytest.approx(by["lamb"], rel=0.01)
    assert set(slow) == {"optimizer.lr", "optimizer.weight_decay", "gradient.lamb"}


def test_the_factors_are_log_normal_about_1() -> None:
    logs = [math.log(value) for trial in range(1, 2001) for value in factors(trial).values()]
    mean = sum(logs) / len(logs)
    assert mean == pytest.approx(0, abs=4 * tune.SIGMA / len(logs) ** 0.5)
    assert sum(x * x for x in logs) / len(logs) == pytest.approx(tune.SIGMA**2, rel=0.1)
    assert factors(5) == factors(5) != factors(6)
    assert list(factors(0)) == list(factors(1)) == list(KINDS)


def curve(*accuracies: float) -> list[Point]:
    return [Point(step, step, 0.0, accuracy) for step, accuracy in enumerate(accuracies, 1)]


def test_the_best_that_can_still_come_by_hand() -> None:
    fast, slow = curve(0.5, 0.96, 1.0), curve(0.1, 0.2)
    assert best_possible([fast, slow], [True, False], 1) == (3, 2.5, 0)
    assert best_possible([fast, slow, []], [True, False, False], 1) == (3, 2, 0)
    assert best_possible([fast, slow], [True, True], 1) == (math.inf, math.inf, 1)
    assert best_possible([fast, slow, fast], [True, True, True], 1) == (3, 2, 1)
    assert best_possible([[], []], [False, False], 5) == (5, 5, 0)


def runs_of(table: dict[int, list[float]], diverge: bool = False):
    """Seeds with known accuracies, which stay at the last one; counts the steps taken."""
    taken = [0]

    def run(protocol: Protocol, recipe: RecipeParams, seed: int) -> Iterator[Point]:
        for step in range(1, 10**6):
            taken[0] += 1
            if diverge and step > len(table[seed]):
                raise Diverged("the loss is nan", step, 0.1)
            yield Point(step, step, 0.0, table[seed][min(step, len(table[seed])) - 1])

    return run, taken


def test_the_score_is_the_median_and_the_end_of_the_budget_is_never() -> None:
    recipe = RECIPES["muon"]
    run, taken = runs_of({0: [0.5, 0.95, 1.0], 1: [0.96, 0.97, 0.98, 1.0], 2: [0.1]})
    assert score(TEN, recipe, (0, 1, 2), NOTHING, run) == ((4, 2, 1), False)
    assert taken[0] == 3 + 4 + 10
    assert score(TEN, recipe, (2,), (math.inf, math.inf, 2), run) == ((math.inf, math.inf, 1), False)
    run, _ = runs_of({0: [0.1, 0.2]}, diverge=True)
    assert score(TEN, recipe, (0,), NOTHING, run) == ((math.inf, math.inf, 1), False)


def test_a_trial_stops_when_it_can_no_longer_win() -> None:
    recipe = RECIPES["muon"]
    run, taken = runs_of({0: [0.1], 1: [0.1], 2: [0.1]})
    assert score(TEN, recipe, (0, 1, 2), (4, 2, 0), run)[1]
    assert taken[0] == 10 + 3, "one seed may fail to the end of its budget, the second may not"
    run, taken = runs_of({0: [0.1, 0.1, 0.1, 1.0], 1: [0.1, 0.1, 0.1, 1.0]})
    assert score(TEN, recipe, (0, 1), (4, 4, 0), run) == ((4, 4, 0), True)


def test_stopping_does_not_change_the_result_of_a_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On learning curves drawn at random, the best is that of all trials run to their end."""
    recipe = RECIPES["adamw_tuned"]

    def run(protocol: Protocol, recipe: RecipeParams, seed: int) -> Iterator[Point]:
        lr = recipe.optimizer.lr
        for step in range(1, 1000):
            yield Point(step, step, 0.0, min(1.0, step / (3 + (1e4 * lr + 7 * seed) % 11)))

    scores = [score(TEN, perturbed(recipe, trial), (1, 2, 3), NOTHING, run)[0] for trial in range(30)]
    monkeypatch.setattr(tune, "score", lambda *arguments: score(*arguments, run=run))
    best = search(TEN, "adamw_tuned", recipe, 30, (1, 2, 3), tmp_path / "trials.jsonl")
    assert (best.score, best.number) == (min(scores), scores.index(min(scores)))
    stopped = [record["trial"] for record in read(tmp_path / "trials.jsonl") if record["stopped"]]
    assert 1 < len(stopped) < 30
    assert all(scores[trial] >= best.score for trial in stopped)


def test_a_search_goes_on_where_it_was_killed_and_ends_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Real training mod 7, with one trial of three torn off the file."""
    out = tmp_path / "trials.jsonl"
    protocol = P1.changed(p=7, steps=6)

    def again() -> tuple[Trial, str]:
        best = search(protocol, "muon_radial", RECIPES["muon_radial"], 3, (FIRST_SEED,), out)
        return best, capsys.readouterr().out

    whole, printed = again()
    assert printed.count("\n") == 2 + 3 + 1
    assert "as it is" in printed
    before = out.read_text()
    out.write_text(before[:-30])
    assert again() == (whole, printed)
    assert out.read_text() == before


def test_the_command_writes_a_recipe_that_loads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tune, "PROTOCOLS", {"P1": P1.changed(p=7)})
    given = ["--protocol", "P1", "--trials", "1", "--seeds", "1", "--steps", "2", "--every", "1", "--recipe", "all"]
    assert main([*given, "--out", str(tmp_path / "trials.jsonl"), "--best", str(tmp_path / "best")]) == 0
    assert capsys.readouterr().out.count("best: trial 0") == len(RECIPES)
    for name, recipe in RECIPES.items():
        assert load_checked(tmp_path / "best" / f"P1-{name}.yaml", RecipeBook).recipes == {name: recipe}
    with pytest.raises(UserError, match="--trials = 0: give a whole number"):
        main([*given, "--trials", "0", "--out", "x", "--best", "y"])
