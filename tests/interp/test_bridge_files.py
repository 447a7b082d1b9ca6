"""Runs of every kind open in TransformerLens; the file for HookedTransformer says the same to other readers."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformer_lens import HookedRootModule
from transformer_lens.config import TransformerBridgeConfig
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.model_bridge.sources.native import boot
from transformer_lens.utilities.tl_checkpoint_conversion import convert_tl_checkpoint

from interp.bridge import Agreement, open_in_transformer_lens, save_property_file, token_rows
from interp.commands import bridge as command
from interp.foreign import reader
from pipeline.errors import UserError
from pipeline.nets import (
    DeepTransformer,
    DeepTransformerConfig,
    Mlp,
    MlpConfig,
    Net,
    Recurrent,
    RecurrentConfig,
    Transformer,
    TransformerConfig,
    closed_form,
)
from pipeline.runs import Snapshot, save_snapshot
from pipeline.tasks import ModularTask
from pipeline.tasks.streaming import stream_task_from

P = 5
TASK = ModularTask(P)
PAIRS = torch.cartesian_prod(torch.arange(P), torch.arange(P))
SHAPE: dict[str, Any] = {"d_model": 8, "n_heads": 2, "d_head": 4, "d_mlp": 12}


def deep(**options: Any) -> DeepTransformer:
    torch.manual_seed(0)
    return DeepTransformer(DeepTransformerConfig(P, P, P, **SHAPE, **options)).eval()


def plain(seed: int = 0) -> Transformer:
    torch.manual_seed(seed)
    return Transformer(TransformerConfig(P, **SHAPE)).eval()


def run_of(directory: Path, *nets: Net) -> Path:
    for cycle, net in enumerate(nets, 1):
        path = directory / "snapshots" / f"cycle-{cycle:04d}.safetensors"
        save_snapshot(path, Snapshot(net, TASK, 1.0, "made", 0, cycle, cycle))
    return directory


def call(*arguments: str) -> None:
    parser = argparse.ArgumentParser()
    command.add(parser.add_subparsers())
    command.run(parser.parse_args(["bridge", *arguments]))


def test_transformers_open_as_bridges_at_any_snapshot(tmp_path: Path) -> None:
    nets = plain(0), plain(1)
    run = run_of(tmp_path / "run", *nets)
    files = sorted((run / "snapshots").iterdir())
    for net, opened in [
        (nets[1], open_in_transformer_lens(run)),
        (nets[0], open_in_transformer_lens(str(run), "1")),
        (nets[0], open_in_transformer_lens(files[0])),
    ]:
        assert isinstance(opened, TransformerBridge)
        torch.testing.assert_close(opened(token_rows(net, PAIRS))[:, -1], net(PAIRS), atol=1e-5, rtol=0)
    with pytest.raises(UserError, match=r"--snapshot = 3: no such cycle; .* has 1, 2"):
        open_in_transformer_lens(run, "3")
    with pytest.raises(UserError, match="no such run"):
        open_in_transformer_lens(tmp_path / "none")
    (tmp_path / "text").write_text("no tensors")
    with pytest.raises(UserError, match="not a readable safetensors file"):
        open_in_transformer_lens(tmp_path / "text")


@pytest.mark.parametrize("net", [Mlp(MlpConfig(P, P, P)), closed_form(P, [1])], ids=["mlp", "quadratic"])
def test_nets_without_attention_open_as_they_are(net: Net, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_of(tmp_path / "run", net.eval())
    opened = open_in_transformer_lens(run)
    assert isinstance(opened, HookedRootModule)
    logits, cache = opened.run_with_cache(PAIRS)
    torch.testing.assert_close(logits, net(PAIRS), atol=1e-6, rtol=0)
    assert set(cache) == set(net.hook_dict)
    call(str(run))
    assert "opens as it is" in capsys.readouterr().out
    with pytest.raises(UserError, match="--out = "):
        call(str(run), "--out", str(tmp_path / "net.pt"))


def test_recurrent_nets_open_as_they_are(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = Recurrent(RecurrentConfig(2, 2, 2)).eval()
    path = tmp_path / "run" / "snapshots" / "cycle-0001.safetensors"
    save_snapshot(path, Snapshot(net, stream_task_from({"name": "addition", "base": 2}), None, "made", 0, 1, 1))
    opened = open_in_transformer_lens(tmp_path / "run")
    streams = torch.randint(2, (3, 4, 2))
    assert isinstance(opened, HookedRootModule)
    assert torch.equal(opened.run_with_cache(streams)[0], net(streams))


FILED: list[tuple[Net, str]] = [
    (plain(), "a b ="),
    (deep(), "a 6 b 5"),
    (deep(activation="gelu_tanh", pre_norm=False, operator=False, causal=False), "a b ="),
]


@pytest.mark.parametrize(("net", "tokens"), FILED, ids=["plain", "deep", "no mask"])
def test_two_readers_of_the_property_file_get_the_same_logits(net: Any, tokens: str, tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    save_property_file(net, path)
    file = torch.load(path, weights_only=True)
    bridge = boot(TransformerBridgeConfig(**file["config"], device="cpu"))
    bridge.load_state_dict(convert_tl_checkpoint(file["state_dict"], bridge.cfg), strict=True)
    torch.testing.assert_close(bridge(token_rows(net, PAIRS))[:, -1], net(PAIRS), atol=1e-5, rtol=0)
    (tmp_path / "net.json").write_text(json.dumps({**file["config"], "tokens": tokens}))
    again = reader("tl", TASK)(path)[0].snapshot.net
    torch.testing.assert_close(again(PAIRS), net(PAIRS), atol=1e-5, rtol=0)
    assert type(again) is type(net)


def test_mixed_attention_has_no_property_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"softmax_share = 0\.3: HookedTransformer has softmax alone"):
        save_property_file(deep(softmax_share=0.3), tmp_path / "net.pt")
    assert not (tmp_path / "net.pt").exists()
    with pytest.raises(UserError, match="a directory; name a file"):
        save_property_file(deep(), tmp_path)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, out = run_of(tmp_path / "run", deep(softmax_share=0.3), deep()), tmp_path / "net.pt"
    call(str(run), "--snapshot", "1")
    printed = capsys.readouterr().out
    assert "kind deep_transformer: opens as a TransformerBridge" in printed
    assert "  blocks.0.attn.hook_pattern\n" in printed
    assert "over 25 pairs" in printed
    call(str(run), "--out", str(out))
    assert "config" in torch.load(out, weights_only=True)


def test_the_command_ends_with_an_error_where_logits_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(tmp_path / "run", plain())
    monkeypatch.setattr("interp.bridge.convert.property_state", lambda net: broken(net))
    with pytest.raises(UserError, match="a defect of the bridge"):
        call(str(run))


def broken(net: Any) -> dict[str, Any]:
    from interp.bridge.shape import property_state

    state = property_state(net)
    return {**state, "blocks.0.mlp.b_in": state["blocks.0.mlp.b_in"] + 0.01}


@pytest.mark.parametrize(
    ("float32", "float64", "largest", "holds"),
    [(9e-6, 1e-9, 0.1, True), (2e-5, 1e-9, 0.1, False), (2e-5, 1e-9, 3.0, True), (1e-6, 2e-5, 9.0, False)],
)
def test_what_counts_as_the_same(float32: float, float64: float, largest: float, holds: bool) -> None:
    assert Agreement(25, float32, float64, largest).holds is holds
