"""A run that is killed at any moment and given again ends in the same bytes."""

import csv
import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.errors import BAD_INPUT, UserError
from pipeline.experiment import Experiment
from tests.train.small_runs import (
    PAIR_RECIPES,
    ROOT,
    contents,
    small_experiment,
    small_params,
    with_parts,
    with_train,
)
from train.history import COLUMNS
from train.run import train_run
from train.step import Trainer

NOISY = {
    **{"weight_noise": {"value": 0.1, "rise": 0.5}, "activation_noise": 0.1, "dropout": 0.1},
    "gradient": {"kind": "grokfast"},
    "schedule": {"kind": "catapult", "peak": 2.0, "growth": 2, "cooldown": 0.3},
}
"""All that draws random numbers or remembers something, at once."""


def experiment_of(directory: Path, recipe: str) -> Experiment:
    """The small one; `noisy` is catapult with NOISY, in minibatches that do not divide the training set."""
    if recipe != "noisy":
        return small_experiment(directory, recipe)
    return with_train(with_parts(small_experiment(directory, "catapult"), **NOISY), batch_size=10)


@pytest.mark.parametrize("recipe", [*PAIR_RECIPES, "noisy"])
@pytest.mark.parametrize("cycle", [1, 4])
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path: Path, recipe: str, cycle: int) -> None:
    experiment = experiment_of(tmp_path, recipe)

    class Killed(Exception):
        pass

    def kill(finished: int) -> None:
        if finished == cycle:
            raise Killed

    train_run(experiment, tmp_path / "whole", tmp_path / "state-a")
    with pytest.raises(Killed):
        train_run(experiment, tmp_path / "resumed", tmp_path / "state-b", after_cycle=kill)
    assert not (tmp_path / "resumed").exists()
    seen: list[int] = []
    train_run(experiment, tmp_path / "resumed", tmp_path / "state-b", after_cycle=seen.append)
    assert seen == list(range(cycle + 1, 7))
    assert contents(tmp_path / "whole") == contents(tmp_path / "resumed")
    assert len(contents(tmp_path / "whole")) == 3 + 7


def test_killed_by_sigkill_at_arbitrary_moments(tmp_path: Path) -> None:
    """The command itself, killed wherever it happens to be, ends in the bytes of a run left alone."""
    small_params(tmp_path, **{"steps: 500": "steps: 240"})
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    log = tmp_path / "log"

    def run(out: str, kill_after: float | None = None) -> str:
        """Train; with `kill_after`, kill that many seconds after the first line of progress. Returns what it said."""
        with open(log, "w") as stderr:
            command = [sys.executable, "-m", "train", "modular-catapult", "--out", out]
            process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=stderr)
            if kill_after is not None:
                while not log.read_text():
                    time.sleep(0.005)
                time.sleep(kill_after)
                process.send_signal(signal.SIGKILL)
            status = process.wait(timeout=120)
        assert status == (0 if kill_after is None else -signal.SIGKILL)
        return log.read_text()

    run("whole")
    for seconds in (0.0, 0.03, 0.1):
        run("resumed", kill_after=seconds)
    assert "going on after cycle" in run("resumed")
    assert contents(tmp_path / "whole") == contents(tmp_path / "resumed")


def test_another_configuration_does_not_resume_this_one(tmp_path: Path) -> None:
    experiment = small_experiment(tmp_path, "standard")
    other = small_experiment(tmp_path, "standard", **{"train_fraction: 0.3": "train_fraction: 0.5"})
    with pytest.raises(RuntimeError):
        train_run(experiment, tmp_path / "out", tmp_path / "state", after_cycle=_stop)
    seen: list[int] = []
    train_run(other, tmp_path / "out", tmp_path / "state", after_cycle=seen.append)
    assert seen[0] == 1


@pytest.mark.parametrize("full", ["copyfile", "write_text"])
def test_a_disk_that_is_full_at_the_end_costs_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: str
) -> None:
    """What was trained is kept, the line says so, and the same command publishes it without a further step."""
    experiment = small_experiment(tmp_path, "standard")
    train_run(experiment, tmp_path / "whole", tmp_path / "state")

    def refuse(*arguments: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as disk:
        disk.setattr(*((shutil, full) if full == "copyfile" else (Path, full)), refuse)
        with pytest.raises(UserError, match=r"out: cannot be written: No space left .*the finished cycles are kept"):
            train_run(experiment, tmp_path / "out", tmp_path / "state")
    assert not list(tmp_path.glob("*out*"))
    seen: list[int] = []
    train_run(experiment, tmp_path / "out", tmp_path / "state", after_cycle=seen.append)
    assert seen == []
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


@pytest.mark.parametrize("out", ["params.yaml/out", "."])
def test_an_output_that_cannot_be_is_refused_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    experiment = small_experiment(tmp_path, "standard")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"name another"):
        train_run(experiment, Path(out), tmp_path / "state")
    assert not (tmp_path / "state").exists()


def test_a_state_that_cannot_be_kept_is_refused_before_the_first_step(tmp_path: Path) -> None:
    experiment = small_experiment(tmp_path, "standard")
    with pytest.raises(
        UserError, match=r"modular-standard-\w+: cannot be written: Not a directory; run the command in"
    ):
        train_run(experiment, tmp_path / "out", tmp_path / "params.yaml" / "state")
    assert not (tmp_path / "out").exists()


def _stop(cycle: int) -> None:
    raise RuntimeError


def test_divergence_is_one_line_with_the_step_and_the_rate(tmp_path: Path) -> None:
    experiment = with_parts(small_experiment(tmp_path, "standard"), optimizer={"lr": 1e30})
    with pytest.raises(UserError, match=r"at step \d+ with lr .*lower the rates of recipe standard") as caught:
        train_run(experiment, tmp_path / "out", tmp_path / "state")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    assert list((tmp_path / "state").rglob("cycle-0000.safetensors"))


def test_divergence_of_the_weights_alone_is_caught_at_its_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the second step of the third cycle a bias that no loss has seen yet becomes infinite."""
    experiment = small_experiment(tmp_path, "muon")
    step, seen = Trainer.step, [0]

    def break_one(self: Trainer, *arguments: Any) -> Any:
        result = step(self, *arguments)
        seen[0] += 1
        if seen[0] == 10:
            with torch.no_grad():
                self.net.parameter_groups()["embeddings"][-1][0] = torch.inf
        return result

    monkeypatch.setattr(Trainer, "step", break_one)
    with pytest.raises(UserError, match=r"mlp\.w_out\.bias are not finite at step 10 .*cycle 2, the last good one"):
        train_run(experiment, tmp_path / "out", tmp_path / "state")
    kept = sorted(path.name for path in (tmp_path / "state").rglob("*.safetensors"))
    assert kept == [f"cycle-000{cycle}.safetensors" for cycle in range(3)]


def test_what_is_on_is_a_column_of_the_history(tmp_path: Path) -> None:
    extra = {}
    for recipe in ("standard", "catapult", "perpendicular", "noisy"):
        train_run(experiment_of(tmp_path, recipe), tmp_path / recipe, tmp_path / "state")
        rows = list(csv.DictReader((tmp_path / recipe / "history.csv").read_text().splitlines()))
        extra[recipe] = [name for name in rows[0] if name not in COLUMNS]
        assert all(float(row[name]) >= 0 for row in rows for name in extra[recipe])
    assert extra == {
        "standard": ["weight_decay"],
        "catapult": ["weight_decay", "norm_penalty"],
        "perpendicular": ["gradient"],
        "noisy": ["weight_decay", "norm_penalty", "gradient", "weight_noise", "activation_noise", "dropout"],
    }


def test_a_bad_parameter_exits_2_and_writes_nothing(tmp_path: Path) -> None:
    small_params(tmp_path, **{"train_fraction: 0.3": "train_fraction: 1.2"})
    done = subprocess.run(
        [sys.executable, "-m", "train", "modular-catapult"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == BAD_INPUT
    assert done.stderr.count("\n") == 1
    assert "tasks.modular.train_fraction = 1.2" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks for a device that is there")
def test_a_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    experiment = with_train(small_experiment(tmp_path, "standard"), device="cuda")
    with pytest.raises(UserError, match=r"train\.device = cuda: torch sees no CUDA device"):
        train_run(experiment, tmp_path / "out", tmp_path / "state")
