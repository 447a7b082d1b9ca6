"""The timeline as a page of its own: with what is there, without what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.report.timeline_page import read_timeline, timeline_page
from tests.pipeline.test_report import CATAPULT, WINS, Page, make_run, proved


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_run(tmp_path, CATAPULT, WINS, 1.0, proved())
    return tmp_path


def test_everything(root: Path) -> None:
    verdicts, proof = root / "verdicts" / f"{CATAPULT}.csv", root / "proofs" / CATAPULT / "certificate.json"
    text = timeline_page(read_timeline(CATAPULT, root / "analysis" / CATAPULT, verdicts, proof))
    page = Page(text)
    assert not page.open
    assert "last snapshot: Proved" in page.words
    assert "transition: cycle 3" in page.words
    assert "http" not in text.replace("http://www.w3.org", "")


def test_without_verdicts_and_proof(root: Path) -> None:
    words = Page(timeline_page(read_timeline(CATAPULT, root / "analysis" / CATAPULT, None, None))).words
    assert not any("last snapshot:" in word for word in words)
    assert "transition: cycle 3" in words


def test_what_is_missing_or_of_another_run_is_one_line(root: Path) -> None:
    with pytest.raises(UserError, match=r"phases.json = missing: run `python -m interp analyse` on x$"):
        read_timeline("x", root, None, None)
    verdicts = root / "verdicts" / f"{CATAPULT}.csv"
    verdicts.write_text("\n".join(verdicts.read_text().splitlines()[:-1]))
    with pytest.raises(UserError, match="its cycles are not those of"):
        read_timeline(CATAPULT, root / "analysis" / CATAPULT, verdicts, None)
