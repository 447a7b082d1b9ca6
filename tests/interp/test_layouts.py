"""Every foreign layout becomes a net of ours with the logits that its own forward pass gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from interp.__main__ import main
from interp.first_layer import embeddings, logits_with_embeddings
from pipeline.nets import DeepTransformer, Mlp, Net, Transformer
from pipeline.runs import Run, load_snapshot
from tests.interp.foreign_states import (
    HEADS,
    PAIRS,
    D,
    P,
    State,
    drawn,
    lens,
    lens_logits,
    mlp_logits,
    mlp_state,
    zhong,
    zhong_logits,
)


def run_import(tmp_path: Path, state: State, config: dict[str, Any] | None, *more: str, layout: str = "tl") -> Path:
    folder = tmp_path / "given"
    folder.mkdir(exist_ok=True)
    torch.save(state, folder / "model_x.pt")
    if config is not None:
        (folder / "config_x.json").write_text(json.dumps(config))
    out = tmp_path / "run"
    given = ["import", str(folder / "model_x.pt"), "--layout", layout, "--task", "modular", "--p", str(P)]
    assert main([*given, "--out", str(out), *more]) == 0
    return out


def imported(run: Path) -> Net:
    return load_snapshot(Run.open(run).snapshots[-1], Net).net


def assert_logits(net: Net, expected: Tensor) -> None:
    with torch.no_grad():
        torch.testing.assert_close(net(PAIRS), expected, atol=1e-5, rtol=1e-5)


ZHONG = [(1, 0, "ReLU"), (1, 1, "ReLU"), (2, 0.63, "ReLU"), (1, 0.0, "GeLU")]


@pytest.mark.parametrize(("n_layers", "c", "act_fn"), ZHONG)
def test_the_transformers_of_zhong(tmp_path: Path, n_layers: int, c: float, act_fn: str) -> None:
    state = zhong(n_layers)
    config = {"C": P, "n_heads": HEADS, "d_model": D, "n_layers": n_layers, "act_fn": act_fn, "attn_coeff": c,
              "attention_dir": "casual", "funcs": f"lambda x: (x[0]+x[1])%{P}", "lr": 0.001}  # fmt: skip
    net = imported(run_import(tmp_path, state, config))
    act = torch.relu if act_fn == "ReLU" else lambda x: F.gelu(x, approximate="tanh")
    assert_logits(net, zhong_logits(state, c, act))
    assert isinstance(net, DeepTransformer)
    assert (net.config.equals, net.config.causal, net.config.softmax_share) == (False, False, c)


def test_a_transformer_of_zhong_with_symbols_of_its_own_for_b(tmp_path: Path) -> None:
    state = zhong(2) | drawn({"embed.W_E": (D, 2 * P), "unembed.W_U": (D, 2 * P)}, 1)
    config = {"C": P, "act_fn": "ReLU", "attn_coeff": 0.1, "diff_vocab": 1, "eqn_sign": 0}
    net = imported(run_import(tmp_path, state, config))
    assert isinstance(net, DeepTransformer)
    assert net.config.own_symbols
    assert_logits(net, zhong_logits(state, 0.1, torch.relu, PAIRS + torch.tensor([0, P]))[:, :P])
    left, right = embeddings(net)
    assert torch.equal(torch.cat([left, right]), state["embed.W_E"].T)
    with torch.no_grad():
        assert_logits(net, logits_with_embeddings(net, PAIRS, left, right))
        assert (logits_with_embeddings(net, PAIRS, left, right + 1) - net(PAIRS)).abs().max() > 0.01


@pytest.mark.parametrize("kind", list("ABCDX"))
def test_the_mlps_of_zhong(tmp_path: Path, kind: str) -> None:
    state = mlp_state(kind)
    net = imported(run_import(tmp_path, state, {"C": P, "model_type": kind, "n_vocab": P, "d_model": D}))
    assert isinstance(net, Mlp)
    assert_logits(net, mlp_logits(state, kind))


def test_the_linear_models_of_zhong(tmp_path: Path) -> None:
    state = drawn({"embed.W_E": (5, P), "unembed.W_U": (11, P), "blocks.0.W_in": (11, 11), "blocks.0.b_in": (11,)})
    side_by_side = F.pad(state["embed.W_E"].T[PAIRS].flatten(1), (0, 1))
    expected = (side_by_side @ state["blocks.0.W_in"].T + state["blocks.0.b_in"]).relu() @ state["unembed.W_U"]
    assert_logits(imported(run_import(tmp_path, state, {"act_fn": "ReLU"})), expected)


@pytest.mark.parametrize(("n_layers", "norm"), [(1, True), (2, True), (2, False)])
def test_hooked_transformers(tmp_path: Path, n_layers: int, norm: bool, capsys: pytest.CaptureFixture[str]) -> None:
    state = lens(n_layers, norm)
    run = run_import(tmp_path, state, None, "--set", "act_fn=gelu")
    assert_logits(imported(run), lens_logits(state, F.gelu))
    notes = json.loads((run / "params.json").read_text())["imported"]["notes"]
    said = capsys.readouterr().out
    assert "tokens = a b =, taken for granted" in notes
    assert "read-out of the 1 tokens that are no residues left out" in notes
    assert any(note.startswith("unembed.b_U moved into") for note in notes)
    assert all(f"note: {note}" in said for note in notes)


def test_the_decoder_of_nanda_is_the_transformer_that_every_stage_knows(tmp_path: Path) -> None:
    state = lens(1, norm=False, biases=0.0)
    run = run_import(tmp_path, state, {"act_fn": "relu", "normalization_type": None})
    net = load_snapshot(run / "snapshots" / "cycle-0001.safetensors").net
    assert isinstance(net, Transformer)
    assert_logits(net, lens_logits(state, torch.relu))
    assert main(["analyse", str(run), "--out", str(tmp_path / "analysis")]) == 0
    assert (tmp_path / "analysis" / "circuit.json").exists()


def test_tokens_by_number(tmp_path: Path) -> None:
    """ "a o b" with the operator at 9 of 11 tokens."""
    state = lens(2)
    table, rest = torch.randn(11, D), state["embed.W_E"]
    table[:P], table[9] = rest[:P], rest[P]
    state["embed.W_E"] = table
    net = imported(run_import(tmp_path, state, {"act_fn": "gelu", "tokens": "a 9 b"}))
    assert isinstance(net, DeepTransformer)
    assert (net.config.operator, net.config.equals) == (True, False)
    torch.testing.assert_close(net.embed.weight.detach(), rest)


def test_a_square_shape_is_refused_until_something_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = zhong(1)
    state |= drawn({"blocks.0.mlp.W_in": (D, D), "blocks.0.mlp.b_in": (D,), "blocks.0.mlp.W_out": (D, D)}, seed=1)
    with pytest.raises(AssertionError):
        run_import(tmp_path, state, None, "--set", "act_fn=relu")
    error = capsys.readouterr().err
    assert "blocks.0.mlp.W_in = [9, 9]: square, x W or W x?" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()
    run = run_import(tmp_path, state, None, "--set", "orientation=Wx", "--set", "attention_dir=bidirectional")
    assert_logits(imported(run), zhong_logits(state, 1, torch.relu))
    assert "attn_coeff = 1.0, taken for granted" in json.loads((run / "params.json").read_text())["imported"]["notes"]
    assert_logits(imported(run_import(tmp_path, state, {"attn_coeff": 1})), zhong_logits(state, 1, torch.relu))
    assert "orientation" not in capsys.readouterr().err
