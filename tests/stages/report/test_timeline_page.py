"""The timeline as a page of its own: with what is there, without what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import UserError
from stages.report.timeline_page import read_timeline, timeline_page
from tests.stages.report.test_report import CATAPULT, WINS, Page, make_run, proved

HASHES = tuple(f"{cycle:064x}" for cycle in range(len(WINS)))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_run(tmp_path, CATAPULT, WINS, 1.0, proved())
    path = tmp_path / "proofs" / CATAPULT / "certificate.json"
    path.write_text(path.read_text().replace("f" * 64, HASHES[-1]))
    return tmp_path


def test_everything(root: Path) -> None:
    verdicts, proof = root / "verdicts" / f"{CATAPULT}.csv", root / "proofs" / CATAPULT / "certificate.json"
    text = timeline_page(read_timeline(CATAPULT, HASHES, root / "analysis" / CATAPULT, verdicts, proof))
    page = Page(text)
    assert not page.open
    assert "last snapshot: Proved" in page.words
    assert "transition: cycle 3" in page.words
    assert "http" not in text.replace("http://www.w3.org", "")


def test_without_verdicts_and_proof(root: Path) -> None:
    words = Page(timeline_page(read_timeline(CATAPULT, HASHES, root / "analysis" / CATAPULT, None, None))).words
    assert not any("last snapshot:" in word for word in words)
    assert "transition: cycle 3" in words


def test_what_is_missing_or_of_another_run_is_one_line(root: Path) -> None:
    with pytest.raises(UserError, match=r"phases.json = missing: run `python -m interp analyse` on x$"):
        read_timeline("x", HASHES, root, None, None)
    verdicts = root / "verdicts" / f"{CATAPULT}.csv"
    verdicts.write_text("\n".join(verdicts.read_text().splitlines()[:-1]))
    with pytest.raises(UserError, match=r"of other snapshots .*; run `python -m verify snapshots` again"):
        read_timeline(CATAPULT, HASHES, root / "analysis" / CATAPULT, verdicts, None)


def test_an_analysis_or_a_proof_of_another_run_is_refused(root: Path) -> None:
    analysis, proof = root / "analysis" / CATAPULT, root / "proofs" / CATAPULT / "certificate.json"
    with pytest.raises(UserError, match="of other snapshots than those of y; run `python -m interp analyse` again"):
        read_timeline("y", (*HASHES[:-1], "e" * 64), analysis, None, None)
    proof.write_text(proof.read_text().replace(HASHES[-1], "d" * 64))
    with pytest.raises(UserError, match="not about the last snapshot of modular-catapult"):
        read_timeline(CATAPULT, HASHES, analysis, None, proof)


def test_a_run_of_one_snapshot(tmp_path: Path) -> None:
    make_run(tmp_path, CATAPULT, ["algorithm", "algorithm"], 1.0, proved())
    found = read_timeline(CATAPULT, HASHES[:2], tmp_path / "analysis" / CATAPULT, None, None)
    assert "modular-catapult: 2 snapshots" in Page(timeline_page(found)).words
