"""One name to import: catapult.ROOM is the room itself, and the command `catapult` is the rooms' command lines."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from pipeline.errors import BAD_INPUT

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "name", ["pipeline", "interp", "interp.circuits", "train.loop", "verify.claims", "compress.ladder", "stages.report"]
)
def test_it_is_the_same_module_under_both_names(name: str) -> None:
    import_module("catapult")
    alias, module = import_module(f"catapult.{name}"), import_module(name)
    assert alias is module
    assert module.__spec__ is not None
    assert module.__spec__.name == name
    assert hasattr(module, "__path__") == (Path(str(module.__file__)).name == "__init__.py")


def test_a_public_name_of_a_room_is_found() -> None:
    assert import_module("catapult.interp").load_circuit is import_module("interp").load_circuit


@pytest.mark.parametrize("name", ["catapult.absent", "catapult.interp.absent", "catapult.benchmarks"])
def test_what_is_not_there_is_not_found(name: str) -> None:
    with pytest.raises(ModuleNotFoundError):
        import_module(name)
    assert find_spec("catapult.absent") is None


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--help"], 0, "usage: catapult ROOM"),
        (["nothing"], BAD_INPUT, "catapult: nothing: no such command; choose one of train"),
        (["verify", "prove"], BAD_INPUT, "give at least one of them"),
        (["train", "absent"], BAD_INPUT, "experiment = 'absent': not in params.yaml"),
    ],
)
def test_the_command_hands_over_to_a_room(arguments: list[str], status: int, said: str) -> None:
    command = [sys.executable, "-m", "catapult", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert said in done.stdout + done.stderr
    assert (done.stdout + done.stderr).count("\n") == 1 or status == 0
