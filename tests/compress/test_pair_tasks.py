"""Tasks on pairs that are no signed sums: pruned and counted as any other, and no student."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from compress.__main__ import main
from compress.ladder import LARGEST_CORE, compress_run
from interp.circuits import find, save_circuit
from pipeline.nets import Transformer
from pipeline.params import PairCompressParams
from pipeline.runs import load_snapshot
from pipeline.tasks import ModularTask, PermutationTask
from pipeline.tasks.registry import PairTask
from tests.interp.pair_runs import product_clock, table_by_heart, untrained, write_run, wrong
from verify.exact_net import file_sha256

PRODUCT, QUOTIENT, S3 = ModularTask(23, "multiplication"), ModularTask(7, "division"), PermutationTask(3)
FREQUENCIES = (1, 2, 3, 5, 7, 10)
FILES = ["ladder.csv", "ladder.json", "pruned.safetensors"]


def made(tmp_path: Path, task: PairTask, net: Transformer) -> tuple[Path, Path]:
    """A run of one snapshot, and the analysis with its circuit."""
    run, analysis = write_run(tmp_path / "run", task, [net]), tmp_path / "analysis"
    analysis.mkdir()
    circuit = find(net, task, "attribution_patching", neurons=True, among=torch.from_numpy(task.split(0.8, 0)[0]))
    circuit.graph["snapshot"] = file_sha256(next((run / "snapshots").iterdir()))
    save_circuit(circuit, analysis / "circuit.json")
    return run, analysis


@pytest.mark.parametrize(
    ("task", "net", "mistakes", "inputs"),
    [
        (S3, table_by_heart(S3, mistakes=2), 2, 36),
        (PRODUCT, product_clock(PRODUCT, FREQUENCIES), 0, 529),
        (PRODUCT, product_clock(PRODUCT, FREQUENCIES, idle=LARGEST_CORE), 0, 529),
        (QUOTIENT, untrained(QUOTIENT), None, 42),
    ],
    ids=["composition", "product", "product of many neurons", "quotient"],
)
def test_the_ladder_ends_with_the_pruned_net(
    task: PairTask, net: Transformer, mistakes: int | None, inputs: int, tmp_path: Path
) -> None:
    run, analysis = made(tmp_path, task, net)
    out = tmp_path / "compressed"
    ladder = compress_run(run, analysis, out, PairCompressParams())
    assert sorted(path.name for path in out.iterdir()) == FILES
    found = json.loads((out / "ladder.json").read_text())
    assert [rung["name"] for rung in found["rungs"]] == ["trained", "pruned"]
    expected = wrong(net, task) if mistakes is None else mistakes
    assert wrong(net, task) == expected
    assert [(rung["wrong"], rung["inputs"]) for rung in found["rungs"]] == [(expected, inputs)] * 2
    assert found["not_applicable"] == {"student": f"a student computes a + b or a - b mod p, and the task is {task}"}
    nothing = ("core", "closing", "frequencies", "explained", "outliers", "disagreements")
    assert all(found[name] is None for name in nothing)
    pruned = load_snapshot(out / "pruned.safetensors")
    assert pruned.task == task
    pairs = torch.from_numpy(task.pairs())
    with torch.no_grad():
        assert torch.equal(pruned.net(pairs).argmax(1), net(pairs).argmax(1))
    assert ladder.rungs[1].parameters == sum(value.numel() for value in pruned.net.parameters())


def test_neurons_that_nothing_reads_are_pruned(tmp_path: Path) -> None:
    net = product_clock(PRODUCT, FREQUENCIES, idle=LARGEST_CORE)
    assert net.config.d_mlp == LARGEST_CORE + 49
    compress_run(*made(tmp_path, PRODUCT, net), tmp_path / "out", PairCompressParams())
    assert load_snapshot(tmp_path / "out" / "pruned.safetensors").net.config.d_mlp <= 49


def test_the_command_prints_two_rungs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, analysis = made(tmp_path, S3, table_by_heart(S3))
    assert main([str(run), "--analysis", str(analysis), "--out", str(tmp_path / "out")]) == 0
    captured = capsys.readouterr()
    assert "wrong of 36" in captured.out
    assert "student" not in captured.out
    assert "no student: a student computes a + b or a - b mod p, and the task is a o b in S3" in captured.err
