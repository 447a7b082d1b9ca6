"""Files and folders of others become runs; what is no such file is refused in one line, with nothing written."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from interp.__main__ import main
from interp.foreign import score
from pipeline.errors import BAD_INPUT, UserError
from pipeline.nets import Mlp, MlpConfig, Net
from pipeline.runs import Run, Snapshot, load_snapshot, save_snapshot
from pipeline.tasks import ModularTask
from tests.interp.foreign_states import PAIRS, D, P, State, mlp_state, zhong, zhong_logits

PIZZA = Path(__file__).parents[3] / "shared" / "foreign" / "pizza"
TASK = ["--task", "modular", "--p", str(P)]


def read(run: Path) -> list[Snapshot[Net]]:
    return [load_snapshot(path, Net) for path in Run.open(run).snapshots]


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    capsys.readouterr()
    assert main(["import", *map(str, arguments)]) == BAD_INPUT
    error = capsys.readouterr().err
    assert error.startswith("python -m interp: ")
    assert error.count("\n") == 1
    return error


def test_a_folder_is_a_run_in_natural_order(tmp_path: Path) -> None:
    steps, folder = (20, 100, 3), tmp_path / "given"
    folder.mkdir()
    for step in steps:
        torch.save({"state_dict": zhong(1, seed=step), "epoch": step}, folder / f"step_{step}.pt")
    (folder / "config.json").write_text(json.dumps({"attn_coeff": 0.5, "act_fn": "ReLU"}))
    (folder / "notes.txt").write_text("not a checkpoint")
    out = tmp_path / "run"
    assert main(["import", str(folder), "--layout", "tl", *TASK, "--out", str(out)]) == 0
    snapshots = read(out)
    assert [(s.cycle, s.step, s.recipe, s.train_fraction) for s in snapshots] == [
        (1, 3, "imported", 1.0), (2, 20, "imported", 1.0), (3, 100, "imported", 1.0),
    ]  # fmt: skip
    for snapshot in snapshots:
        with torch.no_grad():
            expected = zhong_logits(zhong(1, seed=snapshot.step), 0.5, torch.relu)
            torch.testing.assert_close(snapshot.net(PAIRS), expected, atol=1e-5, rtol=1e-5)
    assert [path.name for path in Run.open(out).snapshots] == [f"cycle-000{i}.safetensors" for i in (1, 2, 3)]
    params = json.loads((out / "params.json").read_text())
    assert [one["file"] for one in params["imported"]["checkpoints"]] == ["step_3.pt", "step_20.pt", "step_100.pt"]
    assert params["net"]["softmax_share"] == 0.5


def test_later_stages_take_the_run_or_say_why_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, out = tmp_path / "run", tmp_path / "analysis"
    torch.save(mlp_state("D"), tmp_path / "x.pt")
    assert main(["import", str(tmp_path / "x.pt"), "--layout", "tl", *TASK, "--out", str(run)]) == 0
    assert main(["analyse", str(run), "--out", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "circuit.json",
        "measures.csv",
        "phases.json",
        "spectra.json",
    ]
    last = Run.open(run).snapshots[-1]
    assert main(["measures", str(last)]) == 0
    assert "(a + b) mod 7, imported, seed 0, cycle 1, step 1" in capsys.readouterr().out
    assert main(["attribute", str(run), "--out", str(tmp_path / "circuit.json")]) == 0
    with pytest.raises(UserError, match="net kind is 'mlp'; this needs a Transformer"):
        load_snapshot(last)


def test_a_folder_is_one_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    save_file(mlp_state("D"), folder / "a1.safetensors")
    save_file(mlp_state("A"), folder / "a2.safetensors")
    assert "a2.safetensors: not of the training of a1.safetensors" in refused(
        capsys, folder, "--layout", "tl", *TASK, "--out", tmp_path / "run"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["given"]
    (tmp_path / "empty").mkdir()
    assert "holds no checkpoints" in refused(capsys, tmp_path / "empty", "--layout", "tl", *TASK)


def test_a_map_of_the_users_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = mlp_state("A")
    torch.save({f"net.{name}": value for name, value in state.items()}, tmp_path / "x.pt")
    mapping, out = tmp_path / "my_layout.py", tmp_path / "run"
    mapping.write_text(f"""
from pipeline.nets import MlpConfig
def layout(state):
    embed = state["net.embed.weight"]
    config = MlpConfig({P}, {P}, {P}, d_embed=embed.shape[1], widths=(12,), activation="relu", combine="sum", bias=True)
    return config, {{"embed_left.weight": embed, "embed_right.weight": embed,
                     "layers.0.linear.weight": state["net.l1.weight"], "layers.0.linear.bias": state["net.l1.bias"],
                     "unembed.weight": state["net.unembed.weight"]}}
""")
    given = [tmp_path / "x.pt", "--layout", "module", *TASK, "--out", out]
    assert main(["import", *map(str, given), "--map", str(mapping)]) == 0
    hidden = state["embed.weight"][PAIRS].sum(1) @ state["l1.weight"].T + state["l1.bias"]
    with torch.no_grad():
        torch.testing.assert_close(read(out)[0].net(PAIRS), hidden.relu() @ state["unembed.weight"].T)

    text = mapping.read_text()
    mapping.write_text(text.replace('"net.embed.weight"', '"embed"'))
    assert "my_layout.py: KeyError 'embed' at line 4" in refused(capsys, *given, "--map", mapping)
    mapping.write_text(text.replace("widths=(12,)", "widths=(13,)"))
    assert "config and weights do not make a net" in refused(capsys, *given, "--map", mapping)
    mapping.write_text(text.replace(f"MlpConfig({P}", "MlpConfig(5"))
    assert "[5, 7, 7]: a net for that, not for --p 7" in refused(capsys, *given, "--map", mapping)
    mapping.write_text(text.replace("return config,", "return None,"))
    assert "a config of NoneType: give one of TransformerConfig" in refused(capsys, *given, "--map", mapping)
    mapping.write_text("def layout(state)\n")
    assert "SyntaxError" in refused(capsys, *given, "--map", mapping)
    mapping.write_text("layout = lambda state: state\n")
    assert "give (config, state dict)" in refused(capsys, *given, "--map", mapping)
    mapping.write_text("")
    assert "defines no function layout(state)" in refused(capsys, *given, "--map", mapping)
    assert "goes with --layout module" in refused(capsys, *given)
    assert len(read(out)) == 1


def test_our_own_snapshots_keep_their_provenance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, out, task = tmp_path / "theirs", tmp_path / "run", ModularTask(P, "subtraction")
    for cycle, step in ((0, 0), (10, 50)):
        net = Mlp(MlpConfig(P, P, P, d_embed=4, widths=(6,)))
        path = run / "snapshots" / f"cycle-{cycle:04d}.safetensors"
        save_snapshot(path, Snapshot(net, task, 0.4, "muon", 3, cycle, step))
    given = [run, "--layout", "catapult", *TASK, "--out", out]
    assert "computes (a - b) mod 7, not (a + b) mod 7" in refused(capsys, *given)
    assert main(["import", *map(str, given), "--operation", "subtraction"]) == 0
    assert [(s.cycle, s.step, s.recipe, s.seed, s.train_fraction) for s in read(out)] == [
        (1, 0, "muon", 3, 0.4), (2, 50, "muon", 3, 0.4),
    ]  # fmt: skip
    assert Run.open(out).split()[0].tolist() == task.split(0.4, 3)[0].tolist()


class Shell:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("ran",)


def test_a_pickle_is_never_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"embed.W_E": Shell()}, "x.pt")
    assert "x.pt: a pickle of more than tensors (posix.mkdir)" in refused(capsys, "x.pt", "--layout", "tl", *TASK)
    Path("y.pt").write_bytes(Path("x.pt").read_bytes()[:100])
    assert "y.pt: not a readable checkpoint" in refused(capsys, "y.pt", "--layout", "tl", *TASK)
    Path("z.safetensors").write_bytes(b"\x10")
    assert "z.safetensors: not a readable checkpoint" in refused(capsys, "z.safetensors", "--layout", "tl", *TASK)
    assert "w.pt: no such checkpoint" in refused(capsys, "w.pt", "--layout", "tl", *TASK)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.pt", "y.pt", "z.safetensors"]


def test_only_an_imported_run_is_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(mlp_state("A"), tmp_path / "x.pt")
    given, out = [tmp_path / "x.pt", "--layout", "tl", *TASK, "--out"], tmp_path / "run"
    out.mkdir()
    (out / "params.json").write_text('{"key": "trained"}')
    assert "holds something else than an imported run" in refused(capsys, *given, out)
    assert "would be replaced" in refused(capsys, *given, tmp_path)
    (out / "params.json").write_text('{"imported": {}}')
    assert main(["import", *map(str, given), str(out)]) == 0
    assert len(read(out)) == 1
    assert "not a readable JSON file" in refused(capsys, *given, out, "--config", tmp_path / "none.json")
    assert "--set = lr=1: give KEY=VALUE" in refused(capsys, *given, out, "--set", "lr=1")
    assert "the modulus must be an odd prime" in refused(capsys, *given[:-2], "8", "--out", out)


def without(state: State, name: str) -> State:
    return {key: value for key, value in state.items() if key != name}


def nan(state: State) -> State:
    state["blocks.0.mlp.b_in"][3] = float("nan")
    return state


CONFIG = {"attn_coeff": 1, "act_fn": "ReLU"}
REFUSED: list[tuple[Any, dict[str, Any], str]] = [
    (without(zhong(1), "blocks.0.attn.W_K"), CONFIG, "blocks.0.attn.W_K = missing"),
    (zhong(1) | {"blocks.0.attn.sinks": torch.zeros(2)}, CONFIG, "blocks.0.attn.sinks = unknown"),
    (nan(zhong(1)), CONFIG, "blocks.0.mlp.b_in = not finite"),
    (zhong(1) | {"embed.W_E": torch.zeros(D, 11)}, CONFIG, "embed.W_E = 11 tokens: 7 are needed for p = 7"),
    (zhong(1) | {"embed.W_E": torch.zeros(D, 5)}, CONFIG, "embed.W_E = 5 tokens"),
    (zhong(1) | {"unembed.W_U": torch.zeros(D, 5)}, CONFIG, "unembed.W_U = 5 answers: a net for that modulus"),
    (zhong(1) | {"blocks.0.mlp.b_out": torch.zeros(3)}, CONFIG, "blocks.0.mlp.b_out = [3]: [9] is needed"),
    (zhong(1), {**CONFIG, "C": 59}, "C = 59: a net for that modulus, not for --p 7"),
    (zhong(1), {**CONFIG, "funcs": "lambda x: (x[0]*x[1])%7"}, "multiplication, not --operation addition"),
    (zhong(1), {**CONFIG, "n_layers": 2}, "n_layers = 2: the tensors say 1"),
    (zhong(1), {**CONFIG, "act_fn": "Tanh"}, "act_fn = Tanh: not known here"),
    (zhong(1), {**CONFIG, "attn_coeff": 1.5}, "attn_coeff = 1.5: give a number from 0 to 1"),
    (zhong(1), {**CONFIG, "parallel_attn_mlp": True}, "parallel_attn_mlp = True: nets here have"),
    (zhong(1), {**CONFIG, "normalization_type": "LN"}, "normalization_type = LN: the file has no LayerNorm weights"),
    (zhong(1), {**CONFIG, "tokens": "b a"}, "tokens = b a: for 2 positions say such as"),
    (mlp_state("B"), {}, "model_type = not said"),
    (mlp_state("D"), {"model_type": "B"}, "model_type = B: the tensors are of type D"),
    ({"weight": [1.0]}, {}, "holds no state dict"),
    ({}, {}, "holds no state dict"),
]


@pytest.mark.parametrize(("state", "config", "said"), REFUSED, ids=[said[:30] for *_, said in REFUSED])
def test_refusals(tmp_path: Path, state: State, config: dict[str, Any], said: str, capsys: Any) -> None:
    torch.save(state, tmp_path / "x.pt")
    (tmp_path / "x.json").write_text(json.dumps(config))
    out = str(tmp_path / "run")
    given = ["import", str(tmp_path / "x.pt"), "--layout", "tl", "--task", "modular", "--p", "7", "--out", out]
    assert main(given) == BAD_INPUT
    error = capsys.readouterr().err
    assert said in error
    assert f"{tmp_path / 'x.pt'}: " in error
    assert error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.json", "x.pt"]


PUBLISHED = [("p99zdpze5l", 0, 14.3), ("l8k1hzciux", 0, 14.3), ("2fsoiei4o2", 0, 2.7), ("amw6ox6bzn", 0, 12.9),
             ("7r4zst7evs", 0, 11.9), ("dy65ktpiij", 110, None)]  # fmt: skip


@pytest.mark.skipif(not PIZZA.is_dir(), reason="the models of Zhong et al. 2023 are not at ../shared/foreign/pizza")
@pytest.mark.parametrize(("name", "wrong", "margin"), PUBLISHED)
def test_the_published_models(tmp_path: Path, name: str, wrong: int, margin: float | None) -> None:
    given = [str(PIZZA / f"model_{name}.pt"), "--layout", "tl", "--task", "modular", "--p", "59"]
    assert main(["import", *given, "--out", str(tmp_path / "run")]) == 0
    right, least = score(read(tmp_path / "run")[0].net, ModularTask(59))
    assert 59**2 - right == wrong
    assert least < 0 if margin is None else round(least, 1) == margin
