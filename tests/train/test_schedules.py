"""Every schedule at steps where its value is known by hand."""

import itertools
import math

import pytest

from pipeline.recipe_params import SCHEDULE_KEYS, ScheduleParams
from train.schedules import cycle_share, multiplier


def values(schedule: ScheduleParams, cycle_steps: int = 10, steps: int = 40) -> list[float]:
    return [multiplier(schedule, step, cycle_steps, steps) for step in range(steps)]


def test_constant_warms_up_linearly() -> None:
    assert values(ScheduleParams(kind="constant", warmup_steps=4))[:6] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_cosine_falls_to_the_floor_over_the_budget_and_stays_there() -> None:
    schedule = ScheduleParams(kind="cosine", floor=0.1)
    found = values(schedule)
    assert found[0] == 1.0
    assert found[20] == pytest.approx(0.55)
    assert found[10] == pytest.approx(0.1 + 0.9 * (1 + math.sqrt(0.5)) / 2)
    assert all(later < earlier for earlier, later in itertools.pairwise(found))
    assert multiplier(schedule, 40, 10, 40) == multiplier(schedule, 4000, 10, 40) == pytest.approx(0.1)


def test_cyclic_restarts_at_the_peak_of_every_cycle() -> None:
    found = values(ScheduleParams(kind="cyclic", floor=0.02))
    assert found[0] == found[10] == found[20] == 1.0
    assert found[5] == pytest.approx(0.51)
    assert all(later < earlier for earlier, later in itertools.pairwise(found[:10]))
    assert min(found) == pytest.approx(0.02 + 0.98 * (1 + math.cos(0.9 * math.pi)) / 2)


def test_growing_cycles_restart_where_their_lengths_add_up() -> None:
    """Lengths 10, 20, 40: restarts at 0, 10, 30, 70."""
    found = values(ScheduleParams(kind="cyclic", growth=2), steps=100)
    assert [step for step, value in enumerate(found) if value == 1.0] == [0, 10, 30, 70]
    assert cycle_share(20, 10, 2) == 0.5
    assert found[50] == pytest.approx(0.5)


def test_one_cycle_is_two_straight_lines_over_the_budget() -> None:
    schedule = ScheduleParams(kind="one_cycle", floor=0.2, peak=3.0, rise=0.25)
    found = values(schedule)
    assert found[0] == pytest.approx(0.2)
    assert found[5] == pytest.approx(0.2 + 2.8 / 2)
    assert found[10] == pytest.approx(3.0)
    assert found[25] == pytest.approx(0.2 + 2.8 / 2)
    assert multiplier(schedule, 50, 10, 40) == pytest.approx(0.2)


def test_triangular_rises_and_falls_in_every_cycle() -> None:
    found = values(ScheduleParams(kind="triangular", floor=0.5, peak=1.5, rise=0.5))
    assert found[:11] == pytest.approx([0.5, 0.7, 0.9, 1.1, 1.3, 1.5, 1.3, 1.1, 0.9, 0.7, 0.5])


def test_catapult_is_hot_first_and_then_settles_from_the_recipes_rate() -> None:
    found = values(ScheduleParams(kind="catapult", floor=0.1, peak=4.0, hot=0.2))
    assert found[:2] == found[10:12] == [4.0, 4.0]
    assert found[2] == 1.0
    assert found[6] == pytest.approx(0.55)
    assert max(found[2:10]) == 1.0


def test_a_cooldown_takes_what_is_above_the_floor_to_0() -> None:
    """Of 40 steps the last 20, in which cycles of 10 go on; 1 of them is 1/20 of a half cosine."""
    cyclic = values(ScheduleParams(kind="cyclic", floor=0.1, cooldown=0.5))
    plain = values(ScheduleParams(kind="cyclic", floor=0.1))
    assert cyclic[:21] == plain[:21]
    assert cyclic[30] == pytest.approx(0.55)
    shares = [(1 + math.cos(math.pi * i / 20)) / 2 for i in range(20)]
    assert cyclic[20:] == pytest.approx([0.1 + (value - 0.1) * s for value, s in zip(plain[20:], shares, strict=True)])
    constant = values(ScheduleParams(kind="constant", cooldown=0.25))
    assert constant[:31] == [1.0] * 31
    assert constant[35] == pytest.approx(0.5)
    early = values(ScheduleParams(kind="cosine", floor=0.1, cooldown=0.5))
    assert early[10] == pytest.approx(0.55)
    assert early[20:] == pytest.approx([0.1] * 20)


def test_after_a_cooldown_the_rate_stays_at_the_floor() -> None:
    ended = values(ScheduleParams(kind="cyclic", floor=0.1, cooldown=0.5, horizon=20), steps=40)
    assert ended[20:] == pytest.approx([0.1] * 20)


@pytest.mark.parametrize("kind", SCHEDULE_KEYS)
def test_every_schedule_stays_between_floor_and_peak(kind: str) -> None:
    schedule = ScheduleParams.model_validate(
        {"kind": kind, "floor": 0.05, "peak": 2.5, "growth": 2, "cooldown": 0.2, "rise": 0.3}
    )
    assert all(0.05 <= value <= 2.5 for value in values(schedule, cycle_steps=7, steps=97))


def test_a_shift_begins_within_the_first_cycle() -> None:
    plain, shifted = (values(ScheduleParams(kind="cyclic", floor=0.1, shift=shift)) for shift in (0.0, 0.3))
    assert shifted[:-3] == plain[3:]


def test_a_horizon_is_the_budget_of_what_falls_once() -> None:
    ends = ScheduleParams(kind="cosine", floor=0.1, horizon=20)
    assert values(ends, steps=40)[:20] == values(ScheduleParams(kind="cosine", floor=0.1), steps=20)
    assert set(values(ends, steps=40)[20:]) == {0.1}
