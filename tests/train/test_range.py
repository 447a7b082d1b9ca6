"""The range test: a sweep of known factors, an edge by hand, and the edge of nets."""

from pathlib import Path

import pytest

from pipeline.errors import BAD_INPUT
from pipeline.nets import Transformer, TransformerConfig
from pipeline.tasks import ModularTask
from tests.train.small_runs import RECIPES, small_params
from train.__main__ import main
from train.range_test import find_edge, range_test, sweep


def test_sweep_is_exponential() -> None:
    assert sweep(0.01, 100, 5) == pytest.approx([0.01, 0.1, 1, 10, 100])


def test_edge_by_hand() -> None:
    """Averages of 1, 1, 1, 2: the last is 1 + .2 / (1 - .8^4) = 1.339."""
    factors = [1.0, 2.0, 4.0, 8.0]
    assert find_edge(factors, [1.0, 1.0, 1.0, 2.0], rise=0.33) == 8.0
    assert find_edge(factors, [1.0, 1.0, 1.0, 2.0], rise=0.35) is None
    assert find_edge(factors, [4.0, 3.0, 2.0, 1.0], rise=0.01) is None
    assert find_edge(factors, [1.0, float("nan"), 1.0, 1.0], rise=0.33) == 2.0


def test_edge_of_a_net_lies_within_the_sweep_and_the_recipe_below_it() -> None:
    net = Transformer(TransformerConfig(p=11, d_model=16, n_heads=4, d_head=4, d_mlp=32))
    result = range_test(net, ModularTask(11), RECIPES["standard"], 0, 0.5, sweep(0.1, 1e5, 60), rise=0.2)
    assert result.edge is not None
    assert 1 < result.edge < 1e5
    assert result.factors[-1] <= result.edge
    assert len(result.factors) == len(result.losses)


def test_the_command_says_where_the_edge_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["range", "modular-standard", "--params", str(small_params(tmp_path)), "--steps", "40", "--table"]
    assert main([*given, str(tmp_path / "a.csv"), "--to", "1e6"]) == 0
    assert "edge at" in capsys.readouterr().out
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines[0] == "multiplier,lr,train_loss"
    assert lines[1].startswith("0.01,1e-05,")
    assert main([*given, str(tmp_path / "b.csv"), "--to", "0.02"]) == 0
    assert "no edge in 40 steps from 0.01 to 0.02" in capsys.readouterr().out
    assert main([*given, str(tmp_path / "c.csv"), "--from", "0"]) == BAD_INPUT
    assert "0 < --from < --to" in capsys.readouterr().err


def test_an_experiment_on_streams_has_no_range_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["range", "addition-standard", "--params", str(small_params(tmp_path))]) == BAD_INPUT
    errors = capsys.readouterr().err
    assert "range: addition-standard is of addition; it takes arithmetic mod p" in errors
    assert errors.count("\n") == 1
