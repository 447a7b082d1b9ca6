"""What a net does, told apart by behaviour and by proof, cycle by cycle."""

import hashlib
from pathlib import Path

import pytest

from benchmarks.by_hand import adder, write_net
from pipeline.errors import UserError
from pipeline.tasks.streaming import stream_task
from verify.timeline import behaviour, timeline, to_csv


def shares(*values: float) -> dict[str, float]:
    """Random and hard at 4 digits, random and hard at 40."""
    return dict(zip(("random_4", "hard_4", "random_40", "hard_40"), values, strict=True))


@pytest.mark.parametrize(
    ("values", "label"),
    [
        ((1, 1, 1, 1), "every"),
        ((1, 0.5, 0.99, 0.4), "heuristic"),
        ((1, 0.5, 0.2, 0.1), "heuristic"),
        ((1, 1, 0.2, 0.1), "memorised"),
        ((0.5, 0.5, 0, 0), "none"),
    ],
)
def test_behaviour(values: tuple[float, ...], label: str) -> None:
    assert behaviour(shares(*values)) == label


def test_the_timeline_says_when_the_proof_first_closes(tmp_path: Path) -> None:
    task = stream_task("addition", base=3)
    broken = adder(3)
    broken["unembed.bias"] = broken["unembed.bias"] + [9, 0, 0]
    (tmp_path / "snapshots").mkdir()
    for cycle, tensors in enumerate((broken, adder(3), adder(3))):
        write_net(tmp_path / "snapshots" / f"cycle-{cycle:04d}.safetensors", tensors, task)
    rows = ["cycle,random_4,hard_4", "0,0.1,0", "1,1,1", "2,1,1", "3,1,1"]
    lessons = ["cycle,taught,draws", "0,0,1", "1,0,1", "2,3,1", "3,3,1"]
    (tmp_path / "accuracy.csv").write_text("\n".join(rows) + "\n")
    assert [moment.taught for moment in timeline(tmp_path, 30, lambda text: None)] == [0, 0, 0]
    (tmp_path / "lessons.csv").write_text("\n".join(lessons) + "\n")
    said: list[str] = []
    moments = timeline(tmp_path, 30, said.append)
    assert [moment.label for moment in moments] == ["none", "proved", "proved"]
    assert said[0].startswith("cycle 0: behaviour none: Refuted: ")
    assert said[1].startswith("cycle 1: behaviour proved: Proved (")
    assert to_csv(moments).splitlines()[1].startswith("0,none,Refuted")
    sha256 = hashlib.sha256((tmp_path / "snapshots" / "cycle-0002.safetensors").read_bytes()).hexdigest()
    assert to_csv(moments).splitlines()[3] == f"2,proved,Proved,2,3,{sha256},1,1"
    (tmp_path / "accuracy.csv").write_text("\n".join(rows[:2]) + "\n")
    with pytest.raises(UserError, match=r"no row of cycle 1; train the run again"):
        timeline(tmp_path, 30, said.append)
