"""The table of labels: nets built by hand all get their own, and a net that memorised is counted as one."""

from __future__ import annotations

import dataclasses

import pytest

from benchmarks.algorithms import GROUPS, KINDS, Group, group_row, main, mlp, trained
from interp.algorithms import name_algorithm


def test_nets_built_by_hand_get_their_labels(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--hand-built"]) == 0
    groups = capsys.readouterr().out.split("\n\n")[1].splitlines()[2:]
    counted = {cells[1].strip(): [cell.strip() for cell in cells[2:-1]] for cells in (row.split("|") for row in groups)}
    assert counted["clock, built by hand"][0] == "4"
    assert counted["clock, built by hand"][2].startswith("4 (")
    assert counted["pizza, built by hand"][3].startswith("4 (")
    assert counted["table, built by hand"][5].startswith("2 (")
    assert all(cell == "" for cell in counted["table, built by hand"][2:5])


def test_every_kind_is_a_control() -> None:
    names = {group.name for group in GROUPS}
    for kind, _ in KINDS:
        controls = ("untrained", "30% by heart", "random labels")
        assert {f"{kind}, {control}" for control in controls} <= names
        assert f"{kind}, adds" in names


def test_a_trained_net_is_labelled_and_counted() -> None:
    config = dataclasses.replace(mlp(1), n_left=13, n_right=13, n_answers=13)
    one = trained(Group("by heart", config, 150, 0.3, 0.0), 0)
    labels = [name_algorithm(one.net, one.task)]
    assert one.task.p == 13
    assert labels[0].name in ("lookup", "unknown")
    assert group_row("by heart", labels).startswith("| by heart | 1 | 0.")
