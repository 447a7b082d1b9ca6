"""Tasks on pairs that are no sums go through the whole analysis: products by logarithms, S3 without a basis."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch

from interp.__main__ import main
from interp.analyse import analyse_run
from interp.attribution.metric import contrast
from interp.bases import not_applicable
from interp.circuits import component_scores, load_circuit
from pipeline.params import InterpParams
from pipeline.runs import Run
from pipeline.tasks import ModularTask, PermutationTask
from pipeline.tasks.registry import PairTask
from tests.interp.pair_runs import FRACTION, product_clock, table_by_heart, untrained, write_run, wrong

QUICK = InterpParams(replicates=3)
PRODUCT, S3 = ModularTask(23, "multiplication"), PermutationTask(3)
FREQUENCIES = (1, 2, 3, 5, 7, 10)
NO_BASIS = {"fourier measures": "no basis in which composition in S3 is a sum"}
OF_A_BASIS = (
    "restricted_loss", "excluded_loss", "gini_embed", "gini_unembed", "explained", "neuron_localisation",
    "neuron_localisation_null", "single_frequency_accuracy", "scrubbed_accuracy", "equivariance",
    "circle_scrubbed_accuracy",
)  # fmt: skip


def analysed(tmp_path: Path, run: Path) -> tuple[list[dict[str, str]], dict[str, dict]]:
    """The rows of measures.csv, and the other files by name."""
    out = tmp_path / "analysis" / run.name
    analyse_run(run, out, QUICK)
    rows = list(csv.DictReader((out / "measures.csv").read_text().splitlines()))
    return rows, {name: json.loads((out / f"{name}.json").read_text()) for name in ("phases", "spectra", "circuit")}


def test_a_clock_of_products_is_analysed_in_discrete_logarithms(tmp_path: Path) -> None:
    net = product_clock(PRODUCT, FREQUENCIES)
    assert wrong(net, PRODUCT) == 0
    run = write_run(tmp_path / "product", PRODUCT, [untrained(PRODUCT), untrained(PRODUCT), net, net])
    rows, files = analysed(tmp_path, run)
    assert all(row[name] for row in rows for name in OF_A_BASIS)
    assert float(rows[-1]["accuracy"]) == float(rows[-1]["scrubbed_accuracy"]) == 1
    assert rows[-1]["key_frequencies"] == "6"
    assert [row["phase"] for row in rows] == ["untrained", "untrained", "algorithm", "algorithm"]
    assert files["phases"]["transition_cycle"] == 2
    assert "not_applicable" not in files["phases"]
    spectra = files["spectra"]
    assert spectra["key_frequencies"] == list(FREQUENCIES)
    assert spectra["frequencies"] == list(range(1, 12))
    assert spectra["basis"] == {"name": "discrete logarithms", "n": 22}
    assert "not_applicable" not in spectra
    circuit = files["circuit"]
    assert (circuit["task"], circuit["p"], circuit["operation"]) == ("(a * b) mod 23", 23, "multiplication")
    assert circuit["circuit"]["accuracy_all"] > 0.9
    kept = {node["frequency"] for node in circuit["nodes"] if node["kind"] == "neuron" and node["in_circuit"]}
    assert set(FREQUENCIES) <= kept


def test_composition_is_analysed_as_far_as_it_has_measures(tmp_path: Path) -> None:
    net = table_by_heart(S3, mistakes=1)
    assert wrong(net, S3) == 1
    run = write_run(tmp_path / "composition", S3, [untrained(S3), net, net])
    rows, files = analysed(tmp_path, run)
    row = rows[-1]
    assert {name for name, value in row.items() if not value} >= set(OF_A_BASIS)
    assert float(row["accuracy"]) == pytest.approx(35 / 36, abs=1e-6)
    train, test = (numbers.tolist() for numbers in S3.split(FRACTION, 0))
    for name, pairs in (("train_accuracy", train), ("test_accuracy", test)):
        assert float(row[name]) == pytest.approx(1 - (35 in pairs) / len(pairs), abs=1e-5)
    assert row["live_neurons"] == "36"
    assert row["learning_coefficient"]
    assert float(row["circuit_similarity"]) == 1
    assert row["algorithm"] == "unknown"
    assert files["phases"]["final_phase"] != "algorithm"
    assert files["phases"]["not_applicable"] == files["spectra"]["not_applicable"] == NO_BASIS
    assert files["spectra"]["frequencies"] == files["spectra"]["logits"]["last"] == []
    circuit = files["circuit"]
    assert (circuit["task"], circuit["p"], circuit["operation"]) == ("a o b in S3", 6, "composition")
    assert all(node["spectrum"] is None and node["frequency"] is None for node in circuit["nodes"])
    looks = [node["attention"] for node in circuit["nodes"] if node["kind"] == "head"]
    assert [[round(share, 3) for share in look] for look in looks] == [[1, 0, 0], [0, 1, 0]]
    heads, neurons = component_scores(load_circuit(tmp_path / "analysis" / "composition" / "circuit.json"))
    assert (len(heads), len(neurons)) == (2, 36)
    assert bool((heads > 0).all())


@pytest.mark.parametrize("task", [S3, ModularTask(7, "division"), ModularTask(7, "multiplication")])
def test_a_corrupted_pair_has_another_answer(task: PairTask) -> None:
    clean, corrupted, _ = contrast(task, 20, seed=1)
    for (a, b), (c, d) in zip(clean.tolist(), corrupted.tolist(), strict=True):
        assert task.reference(a, b) != task.reference(c, d)
    assert torch.unique(clean, dim=0).shape == (20, 2)


def test_what_is_not_applicable_is_said_of_tasks_without_a_basis_only() -> None:
    assert [not_applicable(ModularTask(7, operation)) for operation in ("addition", "subtraction", "division")] == [
        {}
    ] * 3
    assert not_applicable(S3) == NO_BASIS
    found = not_applicable(ModularTask(7, "quadratic_form"))
    assert found == {"fourier measures": "no basis in which (a^2 + ab + b^2) mod 7 is a sum"}


def test_the_commands_take_a_run_of_composition(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "composition", S3, [table_by_heart(S3)])
    assert Run.open(run).task == S3
    out = tmp_path / "circuit.json"
    assert main(["attribute", str(run), "--neurons", "--method", "attribution_patching", "--out", str(out)]) == 0
    assert load_circuit(out).graph["circuit"]["accuracy_all"] > 1 / 6
    assert main(["measures", str(run / "snapshots" / "cycle-0000.safetensors")]) == 0
    said = capsys.readouterr().out
    assert "a o b in S3, made, seed 0, cycle 0, step 0" in said
    assert "algorithm: unknown" in said
    assert main(["export", str(out), "--out", str(tmp_path / "page.html")]) == 0
    assert main(["export", str(out), "--out", str(tmp_path / "graph.json"), "--to", "neuronpedia"]) == 0
