"""State dicts in the wrappings that training code puts around them, and whole trainings in one file."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from interp.__main__ import main
from interp.layouts.readout import widened, without_read_out_bias
from interp.stored_states import plain_names, read_stored
from pipeline.errors import UserError
from pipeline.nets import DeepTransformerConfig, Net, build_net
from pipeline.runs import Run, load_snapshot
from tests.interp.foreign_states import PAIRS, P, State, zhong, zhong_logits

CONFIG = {"attn_coeff": 1, "act_fn": "ReLU"}
STATE = zhong(1)
OTHERS = {"epoch": 7, "loss": 0.5, "optimizer_state_dict": {"state": {}, "param_groups": [{"lr": 0.001}]}}


def saved(tmp_path: Path, value: object) -> Path:
    torch.save(value, tmp_path / "x.pt")
    return tmp_path / "x.pt"


def prefixed(*prefixes: str) -> State:
    return {"".join(prefixes) + name: value for name, value in STATE.items()}


def with_dtype(dtype: torch.dtype) -> State:
    return {name: value.to(dtype) for name, value in STATE.items()}


ONE: list[tuple[str, Any, str]] = [
    ("parameters", {name: torch.nn.Parameter(value) for name, value in STATE.items()}, ""),
    ("model and config", {"model": STATE, "config": CONFIG}, ""),
    ("a training's state", {"model_state_dict": STATE, "config": CONFIG, **OTHERS}, ""),
    ("an epoch among the tensors", {**STATE, "epoch": 7}, ""),
    ("module.", prefixed("module."), ""),
    ("compiled and wrapped", {"state_dict": prefixed("_orig_mod.", "module.")}, ""),
    ("float64", with_dtype(torch.float64), "note: float64 weights rounded to float32"),
    ("bfloat16", with_dtype(torch.bfloat16), "note: bfloat16 weights computed in float32"),
]


@pytest.mark.parametrize(("value", "note"), [one[1:] for one in ONE], ids=[name for name, *_ in ONE])
def test_one_net_in_many_wrappings(tmp_path: Path, value: Any, note: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path, value)
    if "config" not in value:
        (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    given = ["import", str(path), "--layout", "tl", "--task", "modular", "--p", str(P)]
    assert main([*given, "--out", str(tmp_path / "run")]) == 0
    assert note in capsys.readouterr().out
    net = load_snapshot(Run.open(tmp_path / "run").snapshots[-1], Net).net
    with torch.no_grad():
        expected = zhong_logits(STATE, 1, torch.relu)
        torch.testing.assert_close(net(PAIRS), expected, atol=0.05 if "bfloat16" in note else 1e-5, rtol=1e-2)


THREE = [zhong(1, seed) for seed in range(3)]
SERIES: list[tuple[str, Any, list[int]]] = [
    ("a list", THREE, [1, 2, 3]),
    ("by step", {0: THREE[0], 200: THREE[2], 100: THREE[1]}, [0, 100, 200]),
    ("checkpoints and epochs", {"checkpoints": THREE, "checkpoint_epochs": [0, 10, 20], "train_losses": [1.0]},
     [0, 10, 20]),
    ("and the last one again", {"checkpoints": THREE, "checkpoint_epochs": [0, 10, 20], "model": THREE[2]},
     [0, 10, 20]),
    ("and a later one", {"checkpoints": THREE[:2], "checkpoint_epochs": [0, 10], "model": THREE[2]}, [0, 10, 11]),
    ("epochs of something else", {"state_dicts": THREE, "epochs": [0, 10]}, [1, 2, 3]),
]  # fmt: skip


@pytest.mark.parametrize(("value", "steps"), [one[1:] for one in SERIES], ids=[name for name, *_ in SERIES])
def test_a_series_in_one_file_is_a_run(tmp_path: Path, value: Any, steps: list[int]) -> None:
    path = saved(tmp_path, value)
    (tmp_path / "x.json").write_text(json.dumps(CONFIG))
    given = ["import", str(path), "--layout", "tl", "--task", "modular", "--p", str(P)]
    assert main([*given, "--out", str(tmp_path / "run")]) == 0
    snapshots = [load_snapshot(file, Net) for file in Run.open(tmp_path / "run").snapshots]
    assert [(s.cycle, s.step) for s in snapshots] == list(enumerate(steps, 1))
    for snapshot, state in zip(snapshots, THREE, strict=True):
        with torch.no_grad():
            torch.testing.assert_close(snapshot.net(PAIRS), zhong_logits(state, 1, torch.relu), atol=1e-5, rtol=1e-5)


def test_a_series_beside_other_files_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(THREE, tmp_path / "a.pt")
    torch.save(STATE, tmp_path / "b.pt")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    given = ["import", str(tmp_path), "--layout", "tl", "--task", "modular", "--p", str(P)]
    assert main([*given, "--out", str(tmp_path.parent / "run")]) != 0
    assert "a.pt: holds 3 checkpoints beside other files; import it alone" in capsys.readouterr().err


@pytest.mark.parametrize("value", [{"net": {"weights": STATE}}, [], {"checkpoints": [STATE, 3]}, 7, {"a": [STATE]}])
def test_what_holds_no_state_dict_says_so(tmp_path: Path, value: Any) -> None:
    with pytest.raises(UserError, match="holds no state dict"):
        read_stored(saved(tmp_path, value))


def test_files_that_are_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(b"")
    with pytest.raises(UserError, match=r"not a readable checkpoint \(.+\)"):
        read_stored(tmp_path / "x.pt")
    (tmp_path / "x.pt").write_bytes(pickle.dumps({"net": Path("x")}))
    with pytest.raises(UserError, match=r"more than tensors|not a readable"):
        read_stored(tmp_path / "x.pt")
    with pytest.raises(UserError, match=r"more than tensors \(pathlib\S*\); it is not run"):
        read_stored(saved(tmp_path, {"model": STATE, "config": Path("x")}))


def test_a_prefix_goes_where_all_names_have_it() -> None:
    one = torch.zeros(1)
    assert list(plain_names({"module.a": one, "module.b": one})) == ["a", "b"]
    assert list(plain_names({"module.a": one, "b": one})) == ["module.a", "b"]


def test_a_read_out_bias_out_of_reach_gets_a_component_of_its_own() -> None:
    torch.manual_seed(0)
    narrow = DeepTransformerConfig(P, P, P, 2, 4, 2, 2, 8, "relu", False, False, True, True, False)
    net, bias = build_net(narrow), torch.randn(P)
    state: dict[str, Tensor] = {name: value.detach() for name, value in net.state_dict().items()}
    wide, note = without_read_out_bias(state, bias, 2, False)
    assert "one more component" in note
    assert wide.keys() == widened(state, bias).keys()
    wider = DeepTransformerConfig(P, P, P, 2, 5, 2, 2, 8, "relu", False, False, True, True, False)
    other = build_net(wider)
    other.load_state_dict(wide)
    with torch.no_grad():
        torch.testing.assert_close(other(PAIRS), net(PAIRS) + bias, atol=1e-5, rtol=1e-5)
    with pytest.raises(UserError, match="outside the range of W_U"):
        without_read_out_bias({**state, "norm.bias": torch.zeros(4)}, bias, 2, True)


def test_a_net_of_another_operation_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A net of model type X whose hidden unit is the indicator of each pair, for a - b."""
    state = {"embed1.weight": torch.eye(P, 2 * P), "embed2.weight": torch.eye(P, 2 * P).roll(P, 1)}
    state["l1.weight"] = torch.stack([(state["embed1.weight"][a] + state["embed2.weight"][b]) for a, b in PAIRS])
    state["l1.bias"] = torch.full((P * P,), -1.5)
    state["unembed.weight"] = torch.nn.functional.one_hot((PAIRS[:, 0] - PAIRS[:, 1]) % P, P).T.float()
    given = ["import", str(saved(tmp_path, state)), "--layout", "tl", "--task", "modular", "--p", str(P), "--out"]
    assert main([*given, str(tmp_path / "run")]) == 0
    assert "note: 100.00% of the answers are those of --operation subtraction\n" in capsys.readouterr().out
    assert main([*given, str(tmp_path / "right"), "--operation", "subtraction"]) == 0
    assert "--operation" not in capsys.readouterr().out
