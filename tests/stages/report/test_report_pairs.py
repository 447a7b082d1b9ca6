"""The report on tasks on pairs that are no sums: what is measured is said, and what is not applicable in its place."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import pytest

from compress.ladder import compress_run
from interp.analyse import analyse_run
from pipeline.nets import Transformer
from pipeline.params import InterpParams, PairCompressParams
from pipeline.tasks import ModularTask, PermutationTask
from pipeline.tasks.registry import PairTask
from stages.report import Summary, build, table
from tests.interp.pair_runs import product_clock, table_by_heart, untrained, write_run, wrong
from tests.stages.report.test_report import CATAPULT, WINS, Page, claim, dump, make_run, proved

PRODUCT, S3 = ModularTask(23, "multiplication"), PermutationTask(3)
COMPOSED, MULTIPLIED = "composition-made", "product-made"
NO_BASIS = "not applicable: no basis in which composition in S3 is a sum."
NO_STUDENT = "not applicable: a student computes a + b or a - b mod p, and the task is {}."


def go_through(root: Path, key: str, task: PairTask, nets: list[Transformer]) -> None:
    """The stages interp and compress on a run, with a history, verdicts and a certificate without students."""
    run = write_run(root / "runs" / key, task, nets)
    last, inputs = len(nets) - 1, len(task.pairs())
    (run / "history.csv").write_text(
        "step,cycle,lr,train_loss,train_accuracy,test_loss,test_accuracy\n"
        + "".join(f"{step},{(step - 1) // 10 + 1},0.1,1.5,1,2.5,0.75\n" for step in range(5, 10 * last + 1, 5))
    )
    analyse_run(run, root / "analysis" / key, InterpParams(replicates=2))
    compress_run(run, root / "analysis" / key, root / "compressed" / key, PairCompressParams())
    snapshots = sorted((run / "snapshots").iterdir())
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in snapshots]
    verdicts = ["cycle,status,wrong,open,inputs,margin,margin_over_coarse_bound,counterexample,sha256"]
    for cycle, (net, sha256) in enumerate(zip(nets, hashes, strict=True)):
        count = wrong(net, task)
        said = f"right,0,0,{inputs},1.5,2.5," if count == 0 else f"wrong,{count},0,{inputs},,,1 o 2 = 3"
        verdicts.append(f"{cycle},{said},{sha256}")
    (root / "verdicts").mkdir(exist_ok=True)
    (root / "verdicts" / f"{key}.csv").write_text("\n".join(verdicts) + "\n")
    links = [claim(f"the answer of the trained net is {task}", "Proved", method="exhaustive")]
    refuted = [claim("s", "Refuted", counterexample={"a": 1, "b": 2, "equation": "1 o 2 = 3 in S3, the net says 4"})]
    proof = links if wrong(nets[-1], task) == 0 else refuted
    files = {"trained net": {"sha256": hashes[-1]}, "pruned net": {"sha256": "e" * 64}}
    document = {"claims": proof, "files": files, "solvers": [], "verdict": proof[0]["verdict"]}
    dump(root / "proofs" / key / "certificate.json", document)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sum, a product, and a composition by heart."""
    root = tmp_path_factory.mktemp("report")
    make_run(root, CATAPULT, WINS, 1.0, proved())
    clock = product_clock(PRODUCT, (1, 2, 3, 5, 7, 10))
    go_through(root, MULTIPLIED, PRODUCT, [untrained(PRODUCT), untrained(PRODUCT), clock, clock])
    go_through(root, COMPOSED, S3, [untrained(S3), table_by_heart(S3), table_by_heart(S3)])
    return root


def made(root: Path, keys: list[str]) -> tuple[str, Summary]:
    """The words of the page, and the summary."""
    summary = build(keys, root, root / "report")
    return " ".join(Page((root / "report" / "index.html").read_text()).words), summary


def test_a_composition_alone_is_reported(root: Path) -> None:
    words, summary = made(root, [COMPOSED])
    assert (
        "The made network on a o b in S3 gets 75.0% of the unseen pairs right after 20 steps, whether by an algorithm "
        "is not measured, and it is proved right on all 36 inputs."
    ) in words
    assert words.count(f"Fourier measures: {NO_BASIS}") == 2, "under the phases, and in the place of the spectra"
    assert words.count(f"Student: {NO_STUDENT.format('a o b in S3')}") == 1
    assert "restricted, excluded: not applicable" in words
    assert "The task is a o b in S3: 36 pairs (a, b) in all, of which 28 are shown in training." in words
    assert "Guessing has accuracy 1/6" in words
    assert "over all 36 inputs" in words
    assert "whether it is an algorithm is not measured" in words
    assert "No program was read off this net." in words
    assert "by frequency" not in words
    assert "circle of" not in words
    assert "rewritten without attention" not in words
    assert "Integer" not in words
    row = summary.rows[0]
    assert (row.wrong_before, row.wrong, row.right_from, row.verdict) == (0, 0, 10, "Proved")
    assert (row.algorithm, row.key_frequencies, row.live_neurons) == ("not applicable", None, 36)
    assert row.parameters_after < row.parameters_before
    metrics = json.loads((root / "report" / "metrics.json").read_text())[COMPOSED]
    assert metrics["key_frequencies"] is None
    assert metrics["proved"] == 1
    cells = [line.split("  ") for line in table(summary).splitlines() if line.startswith(COMPOSED)]
    assert "not" in " ".join(cells[1])


def test_a_product_is_reported_with_its_spectra(root: Path) -> None:
    words, summary = made(root, [MULTIPLIED])
    assert "The made network turned into an algorithm for (a * b) mod 23 in cycle 2, and it is proved right" in words
    assert "on all 529 inputs" in words
    assert "Of (a * b) mod 23 a symbol x other than 0 sits on a circle of 22 points by its place s" in words
    assert "discrete logarithms" in words
    assert "Fourier measures" not in words
    assert words.count(f"Student: {NO_STUDENT.format('(a * b) mod 23')}") == 1
    assert "neurons, by frequency" in words
    row = summary.rows[0]
    assert (row.key_frequencies, row.transition_cycle, row.final_phase, row.wrong) == (6, 2, "algorithm", 0)


def test_several_tasks_are_told_apart_in_one_report(root: Path) -> None:
    words, summary = made(root, [CATAPULT, MULTIPLIED, COMPOSED])
    assert "The catapult network on (a + b) mod 11 turned into an algorithm for (a + b) mod 11 in cycle 3" in words
    assert "The made network on (a * b) mod 23 turned into an algorithm" in words
    assert "The tasks are (a + b) mod 11: 121 pairs (a, b) in all, of which 36 are shown in training" in words
    assert "(a * b) mod 23: 529 pairs (a, b) in all, of which 423 are shown in training" in words
    assert "3 transformers trained on 30% or 80% of all pairs of (a + b) mod 11, (a * b) mod 23, a o b in S3" in words
    assert "over all 121 or 529 or 36 inputs" in words
    assert "A residue a sits on a circle of 11 points" in words
    assert "its 40-parameter core is proved right on all 121 inputs" in words
    with open(root / "report" / "summary.csv") as file:
        rows = {row["net"]: row for row in csv.DictReader(file)}
    assert [rows[key]["algorithm"] == "not applicable" for key in (CATAPULT, MULTIPLIED, COMPOSED)] == [0, 0, 1]
    assert [rows[key]["key_frequencies"] for key in (MULTIPLIED, COMPOSED)] == ["6", ""]
    assert len(summary.rows) == 3


def test_a_composition_with_mistakes_is_refuted_with_its_count(tmp_path: Path) -> None:
    go_through(tmp_path, COMPOSED, S3, [untrained(S3), table_by_heart(S3, mistakes=3)])
    words, summary = made(tmp_path, [COMPOSED])
    assert summary.rows[0].wrong_before == summary.rows[0].wrong == 3
    assert "and it is refuted: 1 o 2 = 3 in S3, the net says 4." in words
    assert "3 of 36 wrong" in words
