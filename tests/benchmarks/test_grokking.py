"""The race's book-keeping on histories made by hand, its table, and one small race run for real."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import grokking
from benchmarks.defaults import modular_experiment, modular_task, transformer
from benchmarks.grokking import main
from benchmarks.lines import append, read
from benchmarks.outcome import Hold, Outcome, Point, digest_of, first_reaching, held, hold_cell, latest, spread, tables
from benchmarks.protocols import P1, P2, P3, PROTOCOLS, Protocol, choose
from pipeline.errors import UserError
from pipeline.nets import MlpConfig, TransformerConfig
from pipeline.params import load_params
from pipeline.recipe_files import load_recipe
from train.divergence import Diverged
from train.schedules import multiplier

ROOT = Path(__file__).parents[2]
RECIPES = P1.recipes()


def history(*accuracies: float, every: int = 1) -> list[Point]:
    return [
        Point(step, 10 * step, step / 4, accuracy) for step, accuracy in enumerate(accuracies, 1) if step % every == 0
    ]


def points(*accuracies: float, diverge: bool = False):
    yield from history(*accuracies)
    if diverge:
        raise Diverged("the loss is nan", len(accuracies) + 1, 0.1)


SHORT = replace(P1, steps=5)


def race(protocol: Protocol, name: str, seed: int, hold: bool, points=None) -> Outcome:
    return grokking.race(protocol, name, RECIPES["muon"], seed, hold, points)


def test_steps_to_a_level_is_the_first_time_at_it_and_not_the_last() -> None:
    given = history(0.1, 0.95, 0.5, 0.99, 1.0, 0.9)
    assert [point and point.step for point in (first_reaching(given, level) for level in (0.95, 0.96, 1.0))] == [
        2,
        4,
        5,
    ]
    assert first_reaching(given[:4], 1.0) is None


def test_hold_tells_the_lowest_and_the_last_after_the_first_100() -> None:
    assert held(history(0.2, 1.0, 0.7, 1.0)) == Hold(2, 4, 0.7, 1.0)
    assert held(history(0.2, 0.99)) is None


def test_a_race_ends_at_100_or_with_hold_at_ten_times_the_steps() -> None:
    endless = [0.5, 1.0, *[1.0] * 100]
    assert race(SHORT, "adamw", 0, False, points(*endless)).steps == 2
    outcome = race(SHORT, "adamw", 0, True, points(*endless))
    assert (outcome.steps, outcome.hold) == (20, Hold(2, 20, 1.0, 1.0))
    fell = race(SHORT, "adamw", 0, True, points(0.5, 1.0, *[1.0] * 16, 0.9, 0.98))
    assert fell.hold == Hold(2, 20, 0.9, 0.98)
    assert fell.hold is not None
    assert not fell.hold.kept


def test_a_race_that_runs_out_of_budget_or_diverges_is_a_failure() -> None:
    slow = race(SHORT, "adamw", 3, True, points(0.1, 0.96, 0.97, 0.98, 0.985, 1.0))
    assert (slow.steps, slow.best, slow.hold, slow.diverged) == (5, 0.985, None, False)
    assert [point and point.step for point in slow.reached] == [2, None, None]
    lost = race(SHORT, "adamw", 4, True, points(0.96, 1.0, 1.0, diverge=True))
    assert (lost.diverged, lost.hold) == (True, Hold(2, 3, 0.0, 0.0))
    nothing = race(SHORT, "adamw", 5, False, points(diverge=True))
    assert (nothing.steps, nothing.reached) == (0, (None, None, None))


def test_a_failure_counts_as_infinitely_far_in_the_median() -> None:
    assert spread([3, 5, 4]) == "4 (3..5)"
    assert spread([3, 4]) == "3.5 (3..4)"
    assert spread([3, None, 4]) == "4 (3..never)"
    assert spread([3, None, None]) == "never (3..never)"
    assert spread([3, None]) == "never (3..never)"
    assert spread([None, None]) == "never"
    assert spread([1.25, 3.0], 2) == "2.12 (1.25..3.00)"


POINT = Point(1, 1, 1.0, 1.0)


def test_hold_counts_the_runs_that_never_got_there_as_not_held() -> None:
    def with_hold(hold: Hold | None) -> Outcome:
        return Outcome("P1", "adamw", "", 0, 9, 1.0, (hold and POINT,) * 3, hold)

    assert hold_cell([with_hold(None)]) == "0/1"
    holds = [with_hold(Hold(1, 10, 1.0, 1.0)), with_hold(Hold(1, 10, 0.98769, 0.99)), with_hold(None)]
    assert hold_cell(holds) == "1/3 (lowest 98.76%)"
    not_asked = replace(holds[0], hold=None)
    assert hold_cell([not_asked]) == hold_cell([not_asked, with_hold(None)]) == "-"
    assert hold_cell([*holds, not_asked]) == "1/3 (lowest 98.76%)"


def test_the_table() -> None:
    outcomes = [race(SHORT, "adamw", seed, True, points(*[0.5] * seed, 0.95, 1.0, *[1.0] * 99)) for seed in (0, 1, 2)]
    outcomes += [race(SHORT, "catapult", seed, True, points(*[0.5] * 9)) for seed in (0, 1, 2)]
    expected = """\
P1: (a + b) mod 113, 0.4 of the pairs, mlp, full batch, 5 steps

recipe    steps to 95%  steps to 99%  steps to 100%  at 100%  held                  seeds
adamw     2 (1..3)      3 (2..4)      3 (2..4)       3/3      3/3 (lowest 100.00%)  0..2
catapult  never         never         never          0/3      0/3                   0..2

recipe    thousand samples to 95%  thousand samples to 99%  thousand samples to 100%
adamw     0.0 (0.0..0.0)           0.0 (0.0..0.0)           0.0 (0.0..0.0)
catapult  never                    never                    never

recipe    CPU seconds to 95%  CPU seconds to 99%  CPU seconds to 100%
adamw     0.50 (0.25..0.75)   0.75 (0.50..1.00)   0.75 (0.50..1.00)
catapult  never               never               never"""
    assert tables(outcomes) == expected


def test_recipes_of_one_name_and_different_values_are_two_rows() -> None:
    one = race(SHORT, "muon", 0, False, points(1.0))
    other = replace(one, digest="0123abcd")
    assert f"muon {one.digest} " in tables([one, other])
    assert "muon 0123abcd " in tables([one, other])
    assert one.digest in tables([one, one, other])
    assert one.digest not in tables([one])
    assert digest_of(RECIPES["muon"]) == one.digest != digest_of(RECIPES["muon_radial"])


def test_an_outcome_survives_its_line_and_the_last_of_a_run_counts(tmp_path: Path) -> None:
    path = tmp_path / "raw.jsonl"
    first = race(SHORT, "adamw", 1, False, points(0.95, 1.0))
    second = race(SHORT, "adamw", 1, True, points(0.95, 1.0, *[1.0] * 30))
    lost = race(SHORT, "adamw", 2, False, points(diverge=True))
    for outcome in (first, lost, second):
        append(path, outcome.record())
        assert str(outcome).startswith(f"adamw seed {outcome.seed}: ")
    assert latest(map(Outcome.of, read(path))) == [second, lost]
    assert [o.says_whether_it_held for o in (first, second, lost)] == [False, True, True]


def test_a_torn_last_line_is_noted_and_cut_off_and_any_other_is_an_error(tmp_path: Path, capsys) -> None:
    path = tmp_path / "new" / "raw.jsonl"
    assert read(path) == []
    append(path, {"a": 1})
    with path.open("a") as file:
        file.write('{"a": 2, "b"')
    assert read(path) == [{"a": 1}]
    assert "the last line is torn" in capsys.readouterr().err
    append(path, {"a": 3})
    assert read(path) == [{"a": 1}, {"a": 3}]
    assert capsys.readouterr().err == ""
    path.write_text('{"a": 1\n{"a": 2}\n')
    with pytest.raises(UserError, match="not JSON lines"):
        read(path)


def test_the_schedule_of_the_fastest_has_an_end_of_its_own_and_stays_at_its_last_rate() -> None:
    for protocol in PROTOCOLS.values():
        schedule = protocol.recipes()["muon_radial"].schedule
        assert schedule.horizon is not None
        assert schedule.horizon < protocol.steps
        rates = [multiplier(schedule, step, protocol.cycle_steps, protocol.steps) for step in (0, schedule.horizon)]
        assert rates == pytest.approx([1, schedule.floor])
        assert multiplier(schedule, 10_000, protocol.cycle_steps, protocol.steps) == rates[1]


def test_the_recipes_have_the_same_names_everywhere() -> None:
    names = set(P2.recipes()) - {"consolidation"}  # which goes on from another
    assert set(P1.recipes()) == names
    assert set(P3.recipes()) < names


def test_the_default_task_is_p2() -> None:
    params = load_params(ROOT / "params.yaml")
    for recipe in ("standard", "adamw_tuned", "catapult"):
        experiment = params.experiment(f"modular-{recipe}")
        task, train = modular_task(experiment), experiment.train
        assert (task.task(), task.train_fraction, train.batch_size) == (P2.task, P2.fraction, P2.batch)
        assert TransformerConfig(task.p, **transformer(experiment).widths()) == P2.net
        assert train.cycle_steps == P2.cycle_steps
        assert experiment == modular_experiment(params, recipe)
        assert experiment.parts == P2.recipes()[recipe]


def test_the_recipes_of_p2_are_those_of_train_of_one_phase_and_for_pairs() -> None:
    names = P2.recipes().keys()
    assert {"standard", "muon_radial", "consolidation"} < names
    assert not {name for name in names if name.startswith("addition_") or name.endswith("_consolidation")}
    assert all(recipe == load_recipe(name) for name, recipe in P2.recipes().items())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("lr: 0.001", "lr: -1.0", "P1.yaml: recipes.standard.optimizer.lr = -1.0: .* give a rate above 0"),
        ("kind: cosine", "kind: sawtooth", 'recipes.muon_radial.schedule.kind = "sawtooth": .* choose one of constant'),
        ("lamb: ", "lambda: ", "recipes.grokfast.gradient.lambda = .*: no such key; did you mean lamb"),
        ("recipes:", "recipe:", "P1.yaml: recipes is missing: add it"),
        ("  standard:", "  Standard:", "use lower-case letters"),
    ],
)
def test_a_mistake_in_a_file_of_recipes_is_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert P1.recipes_file is not None
    text = P1.recipes_file.read_text()
    assert old in text
    path = tmp_path / "P1.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=message) as caught:
        replace(P1, recipes_file=path).recipes()
    assert "\n" not in str(caught.value)


def test_another_prime_changes_the_task_and_the_net() -> None:
    changed = P1.changed(0.15, 7, 59, "subtraction")
    assert str(changed.task) == "(a - b) mod 59"
    assert changed.net == MlpConfig(59, 59, 59, d_embed=113, widths=(200, 200), activation="gelu")
    assert (changed.fraction, changed.steps) == (0.15, 7)
    assert P2.changed() == P2
    for fraction in (0.0, 1.5):
        with pytest.raises(UserError, match="give a share between 0 and 1"):
            P1.changed(fraction)


def test_a_recipe_that_is_not_there_is_named() -> None:
    assert list(choose(RECIPES, "muon,catapult")) == ["muon", "catapult"]
    assert choose(RECIPES, "all") == RECIPES
    with pytest.raises(UserError, match="recipe = muom: choose all or some of standard"):
        choose(RECIPES, "muon,muom")


SMALL = ["--protocol", "P1", "--recipes", "muon_radial,catapult", "--steps", "5", "--p", "7"]


def test_a_race_goes_on_where_its_file_ends(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Five steps mod 7: two seeds, then three with one line torn off, run only what is missing."""
    out = tmp_path / "raw.jsonl"
    assert main([*SMALL, "--seeds", "2", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("P1: (a + b) mod 7, 0.4 of the pairs, mlp, full batch, 5 steps\n\nrecipe")
    before = out.read_text()
    runs = [(o.recipe, o.seed) for o in map(Outcome.of, read(out))]
    assert runs == [("muon_radial", 0), ("catapult", 0), ("muon_radial", 1), ("catapult", 1)]
    out.write_text(before[:-20])
    assert main([*SMALL, "--seeds", "3", "--out", str(out)]) == 0
    lines = out.read_text().splitlines()
    assert lines[:3] == before.splitlines()[:3]
    runs += [("muon_radial", 2), ("catapult", 2)]
    assert [(o.recipe, o.seed) for o in map(Outcome.of, read(out))] == runs
    again, whole = (Outcome.of(read(path)[3]) for path in (out, _written(tmp_path / "whole", before)))
    assert (again.best, again.steps) == (whole.best, whole.steps)
    capsys.readouterr()
    assert main(["--table", str(out)]) == 0
    assert " 0/3 " in capsys.readouterr().out


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_killed_race_leaves_whole_lines(tmp_path: Path) -> None:
    out = tmp_path / "raw.jsonl"
    command = [sys.executable, "-m", "benchmarks.grokking", *SMALL, "--seeds", "1000", "--out", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    while not read(out) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=60) == -signal.SIGKILL
    done = len(read(out))
    assert 1 <= done < 2000
    assert main([*SMALL, "--seeds", str((done + 1) // 2), "--out", str(out)]) == 0
    outcomes = list(map(Outcome.of, read(out)))
    assert len(outcomes) == len({o.key for o in outcomes}) == 2 * ((done + 1) // 2)


def test_wrong_arguments_are_named() -> None:
    for arguments, message in (
        (["--table", "nowhere.jsonl"], "--table = nowhere.jsonl: no such file"),
        ([], "--protocol is missing: choose one of P1, P2, P3"),
        ([*SMALL, "--seeds", "0"], "--seeds = 0, --first = 0: give 1 or more"),
    ):
        with pytest.raises(UserError, match=message):
            main(arguments)
