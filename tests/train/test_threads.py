"""A run has the same bytes whatever number of threads torch had before."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pipeline.params import load_params
from tests.train.small_runs import ROOT, contents, small_experiment, with_parts
from train.run import train_run

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
    experiment = small_experiment(tmp_path, recipe, **LARGE)
    one, two = on_one_thread_and_on_two(
        lambda name: train_run(experiment, tmp_path / name, tmp_path / "state", one_thread_alone)
    )
    assert one == two
    assert len(one) == 3 + 3


def test_a_run_on_streams(tmp_path: Path) -> None:
    """The streams and the net of params.yaml, without lessons, which need the prover."""
    text = (ROOT / "params.yaml").read_text()
    for old, new in {"steps: 1200": "steps: 4", "cycle_steps: 100 ": "cycle_steps: 2 "}.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "params.yaml").write_text(text)
    params = load_params(tmp_path / "params.yaml")
    for name in ("addition-standard", "addition-catapult"):
        experiment = with_parts(params.experiment(name), teach=None)
        one, two = on_one_thread_and_on_two(
            lambda out, experiment=experiment: train_run(
                experiment, tmp_path / experiment.name / out, tmp_path / "state", one_thread_alone
            )
        )
        assert one == two
        assert len(one) == 3 + 3
