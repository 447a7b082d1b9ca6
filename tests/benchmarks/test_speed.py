"""The stopwatch: that the variants are the same step, and that a row says what was timed."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import torch

from benchmarks.defaults import modular_experiment, transformer
from benchmarks.speed import analysis_line, data_of, identity, native_net, native_step, our_step, row
from benchmarks.timing import Cost, cost_of, take_turns
from pipeline.experiment import Experiment
from pipeline.nets import Transformer, TransformerConfig
from pipeline.params import InterpParams, PipelineParams, load_params

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")


def experiment_of(recipe: str) -> Experiment:
    values = PARAMS.model_dump(mode="json")
    values["tasks"]["modular"]["p"] = 11
    return modular_experiment(PipelineParams.model_validate_json(json.dumps(values)), recipe)


def test_cpu_time_is_not_wall_time() -> None:
    cost = cost_of(lambda: time.sleep(0.1))
    assert cost.wall >= 0.1
    assert cost.cpu < 0.05


def test_variants_take_turns_and_the_warm_up_is_not_counted() -> None:
    order: list[str] = []
    costs = take_turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 3, lambda: order.append("."))
    assert "".join(order) == "ab." * 5
    assert {name: len(times) for name, times in costs.items()} == {"a": 3, "b": 3}


def test_a_row_is_medians_and_multiples() -> None:
    base = [Cost(0.010, 0.020)] * 3
    costs = [Cost(0.030, 0.050), Cost(0.015, 0.030), Cost(0.020, 0.040)]
    assert row("x", 2, costs, base) == "| x | 2 | 20.0 (15.0 to 30.0) | 40.0 | 2.00 | 2.00 |"


@pytest.mark.parametrize("recipe", ["standard", "catapult"])
def test_both_paths_take_the_same_step(recipe: str) -> None:
    experiment = experiment_of(recipe)
    data = data_of(experiment)
    fast, general = (our_step(experiment, data, general) for general in (False, True))
    for _ in range(3):
        assert fast() == pytest.approx(general(), rel=1e-4)


def test_the_identity_hook_is_reached() -> None:
    net = Transformer(TransformerConfig(11))
    net.hook_embed.add_hook(identity)
    assert net.hook_embed.has_hooks()


def test_the_native_net_is_the_same_net() -> None:
    """Given our weights (and no biases in attention, which ours has not) it gives our logits."""
    experiment = experiment_of("standard")
    ours = Transformer(TransformerConfig(11, **transformer(experiment).widths()))
    native = native_net(experiment)
    block = "layers.0."
    names = {"tok_embed.weight": "embed.weight", "pos.weight": "pos.weight", "head.weight": "unembed.weight"}
    names |= {f"{block}attn.{x}.weight": f"attn.{x}.weight" for x in "qkvo"}
    for theirs, own in {"fc_in": "w_in", "fc_out": "w_out"}.items():
        names |= {f"{block}mlp.{theirs}.{kind}": f"mlp.{own}.{kind}" for kind in ("weight", "bias")}
    weights = dict(ours.named_parameters())
    copied = set()
    with torch.no_grad():
        for name, weight in native.named_parameters():
            plain = name.replace("_original_component.", "")
            weight.copy_(weights[names[plain]]) if plain in names else weight.zero_()
            copied.add(plain)
        pairs = torch.cartesian_prod(torch.arange(11), torch.arange(11))
        tokens = torch.cat([pairs, torch.full((121, 1), 11)], dim=1)
        assert names.keys() <= copied
        assert torch.allclose(native(tokens)[:, -1], ours(pairs), atol=1e-5)
    native_step(experiment, data_of(experiment))()


def test_a_run_that_is_not_there_is_said_plainly(tmp_path: Path) -> None:
    assert "is not there" in analysis_line(tmp_path / "none", InterpParams(), 1)
