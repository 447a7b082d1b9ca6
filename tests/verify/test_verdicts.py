"""Verdicts on snapshots: right, wrong with a pair that torch replays, and open where nothing is certain."""

import csv
import io
from pathlib import Path

import pytest
import torch

from interp.hand_built import clock
from pipeline.errors import UserError
from pipeline.nets import Transformer
from pipeline.runs import Snapshot, save_snapshot
from pipeline.tasks import ModularTask
from verify.__main__ import main
from verify.verdicts import COLUMNS, rounded_down, verdict_of, verdicts

P = 13


def snapshots(run: Path, *nets: Transformer) -> list[Path]:
    paths = []
    for cycle, net in enumerate(nets):
        paths.append(run / "snapshots" / f"cycle-{cycle:04d}.safetensors")
        save_snapshot(paths[-1], Snapshot(net, ModularTask(P), 0.5, "by-hand", 0, cycle, cycle))
    return paths


@pytest.fixture
def right() -> Transformer:
    return clock(P, (1, 3))


@pytest.fixture
def wrong() -> Transformer:
    """Answers 4 and 5 change places."""
    net = clock(P, (1, 3))
    with torch.no_grad():
        net.unembed.weight[[4, 5]] = net.unembed.weight[[5, 4]].clone()
    return net


@pytest.fixture
def tied() -> Transformer:
    """Every answer has the same logit."""
    net = clock(P, (1, 3))
    with torch.no_grad():
        net.unembed.weight.copy_(net.unembed.weight[:1].clone())
    return net


def test_right_on_every_pair_in_float32_too(right: Transformer, tmp_path: Path) -> None:
    (path,) = snapshots(tmp_path, right)
    found = verdict_of(path)
    logits = right(torch.from_numpy(ModularTask(P).pairs())).detach().sort(dim=1).values
    assert (found.status, found.wrong, found.open, found.inputs, found.counterexample) == ("right", 0, 0, P * P, "")
    assert found.margin == pytest.approx(float((logits[:, -1] - logits[:, -2]).min()), rel=0.01)
    assert (found.margin_over_coarse_bound or 0) > 1
    assert str(found) == f"right on all {P * P} inputs, in float32 too"


def test_wrong_names_the_first_pair_and_counts_them_all(wrong: Transformer, tmp_path: Path) -> None:
    (path,) = snapshots(tmp_path, wrong)
    found = verdict_of(path)
    assert (found.status, found.wrong, found.open) == ("wrong", 2 * P, 0)
    assert found.counterexample == f"a = 0, b = 4: (a + b) mod {P} = 4, the net says 5"
    assert int(wrong(torch.tensor([[0, 4]])).argmax()) == 5
    assert found.margin is found.margin_over_coarse_bound is None


def test_a_tie_is_open_and_never_right(tied: Transformer, tmp_path: Path) -> None:
    (path,) = snapshots(tmp_path, tied)
    found = verdict_of(path)
    assert (found.status, found.wrong, found.open) == ("open", 0, P * P)
    assert str(found) == f"open on {P * P} of {P * P} inputs"
    assert found.margin is found.margin_over_coarse_bound is None


def test_the_command_writes_one_row_a_snapshot(
    wrong: Transformer, right: Transformer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    snapshots(tmp_path / "run", wrong, right)
    out = tmp_path / "verdicts.csv"
    assert main(["snapshots", str(tmp_path / "run"), "--out", str(out)]) == 0
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert tuple(rows[0]) == COLUMNS
    assert [(row["cycle"], row["status"], row["margin"] == "") for row in rows] == [
        ("0", "wrong", True),
        ("1", "right", False),
    ]
    assert "cycle 1: right on all 169 inputs" in capsys.readouterr().err


def test_a_run_without_snapshots_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="holds no snapshots"):
        verdicts(tmp_path, print)
    assert main(["snapshots", str(tmp_path)]) == 64
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("value", "expected"), [(3.98861, 3.98), (0.9996, 0.999), (1.0004, 1.0), (0.00012399, 0.000123)]
)
def test_margins_are_rounded_down(value: float, expected: float) -> None:
    assert rounded_down(value) == expected <= value
    assert rounded_down(float("inf")) is None
