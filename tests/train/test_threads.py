"""A run has the same bytes whatever number of threads torch had before."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pipeline.params import load_params
from tests.train.test_resume import contents, small_params
from train.loop import train_run
from train.streaming import train_stream_run

LARGE = {
    "p: 113": "p: 59",
    "d_model: 128": "d_model: 128",
    "d_mlp: 512": "d_mlp: 512",
    "steps: 500": "steps: 4",
    "cycle_steps: 10": "cycle_steps: 2",
    "evaluate_every: 5": "evaluate_every: 2",
}
"""Of a size that torch divides among its threads."""


def one_thread_alone(cycle: int) -> None:
    """Asked after every cycle: which sums two threads divide, and so whether bytes can tell, depends on the library."""
    assert torch.get_num_threads() == 1


def on_one_thread_and_on_two(train: Callable[[str], Path]) -> list[dict[str, bytes]]:
    before = torch.get_num_threads()
    try:
        runs = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            runs.append(contents(train(f"from-{threads}")))
        return runs
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("recipe", ["standard", "catapult"])
def test_a_run_on_pairs(tmp_path: Path, recipe: str) -> None:
    config = load_params(small_params(tmp_path, **LARGE)).run_config(recipe)
    one, two = on_one_thread_and_on_two(
        lambda name: train_run(config, tmp_path / name, tmp_path / "state", one_thread_alone).directory
    )
    assert one == two
    assert len(one) == 2 + 3


def test_a_run_on_streams(tmp_path: Path) -> None:
    """The streams and the net of params.yaml, without lessons, which need the prover."""
    text = (Path(__file__).parents[2] / "params.yaml").read_text()
    for old, new in {"steps: 1200": "steps: 4", "cycle_steps: 100 ": "cycle_steps: 2 "}.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "params.yaml").write_text(text)
    streaming = load_params(tmp_path / "params.yaml").streaming
    assert streaming is not None
    for recipe in ("standard", "catapult"):
        config = streaming.run_config(recipe)
        config = config.model_copy(update={"recipe": config.recipe.model_copy(update={"teach": False})})
        one, two = on_one_thread_and_on_two(
            lambda name, recipe=recipe, config=config: train_stream_run(
                config, tmp_path / recipe / name, None, tmp_path / "state", one_thread_alone
            )
        )
        assert one == two
        assert len(one) == 4 + 3
