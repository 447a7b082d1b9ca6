"""The arms of the ablation differ from their recipe in what they name and in nothing else."""

from pathlib import Path

import pytest

from benchmarks.adders import ARMS, arm, long_right, on_task, taught_in
from benchmarks.defaults import stream_task
from pipeline.errors import UserError
from pipeline.experiment import Experiment
from pipeline.params import load_params
from pipeline.runs import Snapshot, save_snapshot
from pipeline.validation import checked
from train.run import first_net, train_run

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")


@pytest.mark.parametrize("name", ARMS)
def test_an_arm_changes_what_it_names_and_nothing_else(name: str) -> None:
    recipe, changes = ARMS[name]
    given, got = PARAMS.experiment(f"addition-{recipe}").model_dump(), arm(PARAMS, name).model_dump()
    (before,), (after,) = (tuple(phase["parts"] for phase in each["phases"]) for each in (given, got))
    differ = {key for key in before if before[key] != after[key]}
    assert differ == set(changes)
    given["phases"][0]["parts"] = got["phases"][0]["parts"] = None
    assert given == got


@pytest.mark.parametrize(("counterexamples", "taught"), [(16, 16), (0, 0)])
def test_an_arm_without_lessons_is_taught_nothing(counterexamples: int, taught: int, tmp_path: Path) -> None:
    """Under a recipe that teaches whatever the net has learnt, and in as few cycles as have a lesson."""
    values = arm(PARAMS, "catapult").model_dump(mode="json")
    values["phases"][0]["parts"]["teach"] = {"counterexamples": counterexamples, "learnt": 0.0}
    values["phases"][0]["last_cycle"] = 2
    values["train"] |= {"steps": 4, "cycle_steps": 2}
    short = checked(values, Experiment, "test")
    assert taught_in(train_run(short, tmp_path / "run", tmp_path / "state")) == taught


def test_an_arm_that_does_not_teach_has_no_lessons(tmp_path: Path) -> None:
    values = arm(PARAMS, "standard").model_dump(mode="json")
    values["phases"][0]["last_cycle"] = 1
    values["train"] |= {"steps": 2, "cycle_steps": 2}
    short = checked(values, Experiment, "test")
    assert taught_in(train_run(short, tmp_path / "run", tmp_path / "state")) == 0


def test_another_task_changes_the_task_alone() -> None:
    base = arm(PARAMS, "catapult")
    ternary = on_task(base, {"name": "addition", "base": 3})
    assert stream_task(ternary).task().key == "addition3"
    assert ternary.model_copy(update={"task": base.task}) == base
    assert on_task(base, {"name": "addition", "base": 10}) == base
    with pytest.raises(UserError, match="not in pipeline/tasks/streams"):
        on_task(base, {"name": "sums"})


def test_an_untrained_net_is_wrong_on_long_streams(tmp_path: Path) -> None:
    experiment = arm(PARAMS, "standard")
    path = tmp_path / "net.safetensors"
    net, task = first_net(experiment), experiment.task.task()
    save_snapshot(path, Snapshot(net, task, None, "addition_standard", 0, 0, 0))
    assert long_right(path) == 0
