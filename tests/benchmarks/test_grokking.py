"""The race's book-keeping on histories made by hand, its table, and one small race run for real."""

from dataclasses import replace

import pytest

from benchmarks.grokking import choose, main, race
from benchmarks.outcome import Hold, Outcome, Point, first_reaching, held, hold_cell, spread, table
from benchmarks.protocols import ENDLESS, P1, P2, PROTOCOLS, Contender, contender
from pipeline.errors import UserError
from pipeline.nets import MlpConfig
from train.divergence import Diverged


def history(*accuracies: float, every: int = 1) -> list[Point]:
    return [
        Point(step, 10 * step, step / 4, accuracy) for step, accuracy in enumerate(accuracies, 1) if step % every == 0
    ]


def points(*accuracies: float, diverge: bool = False):
    yield from history(*accuracies)
    if diverge:
        raise Diverged("the loss is nan", len(accuracies) + 1, 0.1)


SHORT = replace(P1, steps=5)


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


def test_hold_counts_the_runs_that_never_got_there_as_not_held() -> None:
    def with_hold(hold: Hold | None) -> Outcome:
        return Outcome("P1", "adamw", 0, 9, 1.0, (None, None, None), hold)

    assert hold_cell([with_hold(None)]) == "0/1"
    holds = [with_hold(Hold(1, 10, 1.0, 1.0)), with_hold(Hold(1, 10, 0.98769, 0.99)), with_hold(None)]
    assert hold_cell(holds) == "1/3 (lowest 98.76%)"


def test_the_table() -> None:
    outcomes = [race(SHORT, "adamw", seed, True, points(*[0.5] * seed, 0.95, 1.0, *[1.0] * 99)) for seed in (0, 1, 2)]
    outcomes += [race(SHORT, "catapult", seed, True, points(*[0.5] * 9)) for seed in (0, 1, 2)]
    expected = """\
recipe    steps to 95%  steps to 99%  steps to 100%  at 100%  held
adamw     2 (1..3)      3 (2..4)      3 (2..4)       3/3      3/3 (lowest 100.00%)
catapult  never         never         never          0/3      0/3

recipe    thousand samples to 95%  thousand samples to 99%  thousand samples to 100%
adamw     0.0 (0.0..0.0)           0.0 (0.0..0.0)           0.0 (0.0..0.0)
catapult  never                    never                    never

recipe    CPU seconds to 95%  CPU seconds to 99%  CPU seconds to 100%
adamw     0.50 (0.25..0.75)   0.75 (0.50..1.00)   0.75 (0.50..1.00)
catapult  never               never               never"""
    assert table(outcomes, with_hold=True) == expected
    assert "held" not in table(outcomes, with_hold=False)


def test_an_outcome_survives_its_line() -> None:
    for outcome in (
        race(SHORT, "adamw", 1, True, points(0.95, 1.0, *[1.0] * 30)),
        race(SHORT, "adamw", 1, False, points(diverge=True)),
    ):
        assert Outcome.from_json(outcome.to_json()) == outcome
        assert str(outcome).startswith("adamw seed 1: ")


def test_a_schedule_with_an_end_stays_at_its_last_rate() -> None:
    fast = P1.contenders["muon_radial"]
    assert fast.horizon is not None
    assert fast.factor(0) == 1.0
    assert fast.factor(fast.horizon) == fast.factor(10_000) == pytest.approx(0.02)
    cyclic = P1.contenders["catapult"]
    assert cyclic.factor(10_000) == cyclic.factor(0) == 1.0
    with pytest.raises(ValueError, match="schedule cosine with horizon None"):
        Contender(fast.recipe, None)


def test_every_protocol_fits_its_task_and_every_endless_schedule_has_no_end() -> None:
    for name, protocol in PROTOCOLS.items():
        assert str(protocol).startswith(f"{name}: ({'a * b' if name == 'P3' else 'a + b'}) mod ")
        for one in protocol.contenders.values():
            assert (one.horizon is None) == (one.recipe.schedule.kind in ENDLESS)


def test_another_prime_changes_the_task_and_the_net() -> None:
    changed = P1.changed(0.15, 7, 59, "subtraction")
    assert str(changed.task) == "(a - b) mod 59"
    assert changed.net == MlpConfig(59, 59, 59, d_embed=113)
    assert (changed.fraction, changed.steps) == (0.15, 7)
    assert P2.changed(None, None, None, None) == P2
    with pytest.raises(UserError, match="give a share between 0 and 1"):
        P1.changed(1.5, None, None, None)


def test_a_recipe_that_is_not_there_is_named() -> None:
    assert choose(P1, "adamw,catapult") == ["adamw", "catapult"]
    assert choose(P1, "all") == list(P1.contenders)
    with pytest.raises(UserError, match="--recipes = adamv: choose all or some of adamw"):
        choose(P1, "adamw,adamv")


def test_a_real_race_is_the_same_twice_and_on_the_same_data(capsys, tmp_path) -> None:
    """Five steps mod 7: all recipes start from the same split, and the command prints and appends what happened."""
    out = tmp_path / "raw.jsonl"
    arguments = ["--protocol", "P1", "--recipes", "muon_radial,catapult", "--seeds", "2", "--steps", "5", "--p", "7"]
    assert main([*arguments, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("P1: (a + b) mod 7, 0.4 of the pairs, mlp, full batch, 5 steps\nseeds 0 to 1 (n = 2)")
    lines = out.read_text().splitlines()
    assert [(o.recipe, o.seed) for o in map(Outcome.from_json, lines)] == [
        ("muon_radial", 0), ("catapult", 0), ("muon_radial", 1), ("catapult", 1)
    ]  # fmt: skip
    small = P1.changed(None, 5, 7, None)
    assert race(small, "catapult", 1, False).best == Outcome.from_json(lines[3]).best


def test_the_standard_setting_is_refused_where_it_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="Input should be"):
        contender(
            {"kind": "sawtooth"}, init={"embed_std": 1.0}, optimizer={"kind": "adamw", "lr": 0.1, "weight_decay": 0.0}
        )
