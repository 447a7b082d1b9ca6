"""The arms of the ablation differ from their recipe in what they name and in nothing else."""

from pathlib import Path

import pytest

from benchmarks.adders import ARMS, arm, long_right
from pipeline.params import load_params
from pipeline.stream_runs import StreamSnapshot, save_stream_snapshot
from train.streaming import new_net

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")


@pytest.mark.parametrize("name", ARMS)
def test_an_arm_changes_what_it_names_and_nothing_else(name: str) -> None:
    assert PARAMS.streaming is not None
    recipe, changes = ARMS[name]
    given, got = PARAMS.streaming.run_config(recipe).model_dump(), arm(PARAMS.streaming, name).model_dump()
    differ = {key for key in given["recipe"] if given["recipe"][key] != got["recipe"][key]}
    assert differ == set(changes)
    assert {**given, "recipe": None} == {**got, "recipe": None}


def test_an_untrained_net_is_wrong_on_long_streams(tmp_path: Path) -> None:
    assert PARAMS.streaming is not None
    config = arm(PARAMS.streaming, "standard")
    path = tmp_path / "net.safetensors"
    save_stream_snapshot(path, StreamSnapshot(new_net(config), config.stream_task(), "standard", 0, 0, 0))
    assert long_right(path) == 0
