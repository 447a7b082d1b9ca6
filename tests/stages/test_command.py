"""How a stage script is called: its help, a wrong call, a user's mistake."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest

from pipeline.errors import UserError
from stages.command import no_argument, one_argument, run_stage

STAGES = sorted(
    path.stem
    for path in (Path(__file__).parents[2] / "stages").glob("[a-z]*.py")
    if path.stem not in ("command", "torn")
)


@pytest.mark.parametrize("flag", ["--help", "-h"])
@pytest.mark.parametrize("name", STAGES)
def test_help_says_what_the_module_says(
    name: str, flag: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = import_module(f"stages.{name}")
    assert stage.__doc__
    monkeypatch.setattr(sys, "argv", [name, flag])
    with pytest.raises(SystemExit) as stopped:
        run_stage(name, stage.body)
    assert stopped.value.code == 0
    assert capsys.readouterr().out == stage.__doc__.strip() + "\n"


def test_a_wrong_call_and_a_mistake_are_one_line_and_64(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def mistaken() -> None:
        raise UserError("p = 4: not a prime")

    for body, line in (
        (lambda: print(one_argument("train", "RECIPE")), "stages.train: usage: python -m stages.train RECIPE\n"),
        (lambda: no_argument("train"), "stages.train: usage: python -m stages.train\n"),
        (mistaken, "stages.train: p = 4: not a prime\n"),
    ):
        monkeypatch.setattr(sys, "argv", ["train", "a", "--help"])
        with pytest.raises(SystemExit) as stopped:
            run_stage("train", body)
        assert stopped.value.code == 64
        assert capsys.readouterr() == ("", line)
