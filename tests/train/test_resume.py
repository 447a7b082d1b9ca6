"""A run that is killed at any moment and given again ends in the same bytes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from pipeline.errors import UserError
from pipeline.params import load_params
from train.loop import train_run

ROOT = Path(__file__).parents[2]


def small_params(directory: Path, **changes: str) -> Path:
    """params.yaml made small: p = 11, 24 steps in cycles of 4."""
    text = (ROOT / "params.yaml").read_text()
    edits = {
        "p: 113": "p: 11",
        "d_model: 128": "d_model: 16",
        "d_mlp: 512": "d_mlp: 32",
        "steps: 200": "steps: 24",
        "cycle_steps: 10": "cycle_steps: 4",
        "evaluate_every: 5": "evaluate_every: 3",
        **changes,
    }
    for old, new in edits.items():
        assert old in text
        text = text.replace(old, new, 1)
    path = directory / "params.yaml"
    path.write_text(text)
    return path


def contents(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("recipe", ["standard", "catapult"])
@pytest.mark.parametrize("cycle", [1, 4])
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path: Path, recipe: str, cycle: int) -> None:
    config = load_params(small_params(tmp_path)).run_config(recipe)

    class Killed(Exception):
        pass

    def kill(finished: int) -> None:
        if finished == cycle:
            raise Killed

    train_run(config, tmp_path / "whole", tmp_path / "state-a")
    with pytest.raises(Killed):
        train_run(config, tmp_path / "resumed", tmp_path / "state-b", after_cycle=kill)
    assert not (tmp_path / "resumed").exists()
    seen: list[int] = []
    train_run(config, tmp_path / "resumed", tmp_path / "state-b", after_cycle=seen.append)
    assert seen == list(range(cycle + 1, 7))
    assert contents(tmp_path / "whole") == contents(tmp_path / "resumed")
    assert len(contents(tmp_path / "whole")) == 2 + 7


def test_killed_by_sigkill_at_arbitrary_moments(tmp_path: Path) -> None:
    """The command itself, killed wherever it happens to be, ends in the bytes of a run left alone."""
    small_params(tmp_path, **{"steps: 200": "steps: 240"})
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    log = tmp_path / "log"

    def run(out: str, kill_after: float | None = None) -> str:
        """Train; with `kill_after`, kill that many seconds after the first line of progress. Returns what it said."""
        with open(log, "w") as stderr:
            command = [sys.executable, "-m", "train", "catapult", "--out", out]
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
    config = load_params(small_params(tmp_path)).run_config("standard")
    other = load_params(small_params(tmp_path, **{"train_fraction: 0.3": "train_fraction: 0.5"})).run_config("standard")
    with pytest.raises(RuntimeError):
        train_run(config, tmp_path / "out", tmp_path / "state", after_cycle=_stop)
    seen: list[int] = []
    train_run(other, tmp_path / "out", tmp_path / "state", after_cycle=seen.append)
    assert seen[0] == 1


def _stop(cycle: int) -> None:
    raise RuntimeError


def test_divergence_is_one_line_with_the_step_and_the_rate(tmp_path: Path) -> None:
    path = small_params(tmp_path, **{"lr: 0.001, weight_decay: 1.0": "lr: 1e30, weight_decay: 1.0"})
    config = load_params(path).run_config("standard")
    with pytest.raises(UserError, match=r"the loss is \w+ at step \d+ with lr .*lower the rates of recipes.standard"):
        train_run(config, tmp_path / "out", tmp_path / "state")
    assert not (tmp_path / "out").exists()
    assert list((tmp_path / "state").rglob("cycle-0000.safetensors"))


def test_a_bad_parameter_exits_2_and_writes_nothing(tmp_path: Path) -> None:
    small_params(tmp_path, **{"train_fraction: 0.3": "train_fraction: 1.2"})
    done = subprocess.run(
        [sys.executable, "-m", "train", "catapult"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "task.train_fraction = 1.2" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks for a device that is there")
def test_a_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = small_params(tmp_path, **{"device: auto": "device: cuda"})
    with pytest.raises(UserError, match=r"train\.device = cuda: torch sees no CUDA device"):
        train_run(load_params(path).run_config("standard"), tmp_path / "out", tmp_path / "state")
