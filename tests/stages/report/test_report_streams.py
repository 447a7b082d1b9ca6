"""The section on streams: what it says is what the files say, and files that contradict each other are refused."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import UserError
from stages.report import Summary, build, table
from stages.report.stream_read import task_name
from stages.report.streams import power
from tests.stages.report.test_report import CATAPULT as MODULAR
from tests.stages.report.test_report import WINS, Page, dump, make_run
from tests.stages.report.test_report import proved as modular_claims

STANDARD, CATAPULT = "addition-standard", "addition-catapult"
EQUATION = "119 + 880 = 999, the net says 1999"
NONE = "No machine: the states that the net reaches keep splitting; on a grid of 1/64 there are more than 400."
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><circle r="3"><title>carry</title></circle></svg>\n'
NAMES = ("random_4", "hard_4", "random_10", "hard_10", "random_200", "hard_200")
RIGHT = (1, 1, 1, 1, 1, 1)
ALMOST = (1, 1, 1, 0.9, 1, 0.25)


def claims(status: str) -> list[dict[str, Any]]:
    """The three claims, all of one status."""
    kinds = {
        "machine": "the machine's answer is that of addition10",
        "invariant": "always",
        "invariant rounding": "always, in float32",
    }
    why = {"verdict": status, "reason": "no machine: the 16600 states that were reached keep splitting"}
    verdict = {"verdict": status, "method": "induction"} if status == "Proved" else why
    return [
        {"claim": {"kind": kind}, "measured": {}, "sentence": sentence, "verdict": verdict}
        for kind, sentence in kinds.items()
    ]


def timeline(root: Path, key: str, moments: list[tuple[str, str, int, tuple[float, ...]]]) -> None:
    """One row for each (label, verdict, taught, shares)."""
    lines = [",".join(["cycle,label,verdict,machine_states,taught,sha256", *NAMES])]
    for cycle, (label, verdict, taught, shares) in enumerate(moments):
        lines.append(",".join(map(str, (cycle, label, verdict, 2, taught, sha256(cycle), *shares))))
    (root / "verdicts").mkdir(exist_ok=True)
    (root / "verdicts" / f"{key}.csv").write_text("\n".join(lines) + "\n")


def sha256(cycle: int) -> str:
    """Of the snapshot of a cycle."""
    return f"{cycle:064x}"


def make_stream_run(root: Path, key: str, status: str, taught: int) -> None:
    """One run in the schemas of the stages: never right before cycle 2, and then right iff it is proved."""
    task = {"name": "addition", "base": 10}
    shown = {"name": "addition", "options": {"base": 10}, "examples": 400, "digits": 4}
    dump(root / "runs" / key / "params.json", {"recipe": key.split("-")[1], "task": shown})
    equation = {"verdict": "Refuted", "counterexample": {"equation": EQUATION}}
    document = {
        "claims": claims("Proved" if status == "Proved" else "Unknown"),
        "files": {"net": {"sha256": sha256(3)}} | ({"program": {"sha256": "d" * 64}} if status == "Proved" else {}),
        "nets": {"net": {"format": "catapult-snapshot-1", "numbers": 1100, "weights": "multiples of 2^-3 below 2^4"}},
        "solvers": [{"name": "z3", "version": "5"}],
        "task": {"kind": "stream", "key": "addition10", "options": task},
        "verdict": {"verdict": "Proved", "method": "task = machine = net"} if status == "Proved" else equation,
    }
    dump(root / "proofs" / key / "certificate.json", document)
    shares = RIGHT if status == "Proved" else ALMOST
    label = "proved" if status == "Proved" else "heuristic"
    early = ("none", "Refuted", 0, (0.5, 0, 0, 0, 0, 0))
    timeline(root, key, [early, early, (label, status, taught, shares), (label, status, taught, shares)])
    analysis = root / "analysis" / key
    edge = {"source": 0, "target": 1, "pairs": 45, "reads": "a + b = 10 to 18", "writes": "a + b - 10"}
    graph = {"nodes": [{"id": 0}, {"id": 1}], "edges": [edge]} if status == "Proved" else None
    sentence = "A machine of 2 states, the task's own." if graph else NONE
    found = {"graph": graph, "same_as_task": True if graph else None, "sentence": sentence, "snapshot": sha256(3)}
    dump(analysis / "automaton.json", found)
    if status == "Proved":
        (analysis / "automaton.svg").write_text(SVG)
        (root / "proofs" / key / "program.py").write_text("print('a < b')\n")
        frontier = root / "compressed" / key / "frontier.csv"
        frontier.parent.mkdir(parents=True)
        rows = [
            f"{row},{sha256(3)}"
            for row in ("8,8,2^-3,187,Proved,True", "6,8,2^-3,143,Proved,False", "6,7,2^-3,143,Unknown,False")
        ]
        frontier.write_text("\n".join(["units,bits,grid,parameters,verdict,float32,snapshot", *rows]) + "\n")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_run(tmp_path, MODULAR, WINS, 1.0, modular_claims())
    make_stream_run(tmp_path, STANDARD, "Refuted", 0)
    make_stream_run(tmp_path, CATAPULT, "Proved", 7)
    return tmp_path


def made(root: Path) -> tuple[Page, Summary]:
    summary = build([MODULAR, STANDARD, CATAPULT], root, root / "report")
    return Page((root / "report" / "index.html").read_text()), summary


def test_the_section_says_what_the_files_say(root: Path) -> None:
    page, _ = made(root)
    words = " ".join(page.words)
    assert {"streams", "proof"} <= {value for name, value in page.attributes if name == "id"}
    for said in (EQUATION, NONE, "the task's own", "a + b = 10 to 18", "carry", "random, 200 places", "25.0%"):
        assert said in words
    assert "proof closes: cycle 2" in words
    assert "the proof closes never" in words
    assert "was shown 400 streams of 4 places and was taught 7 counterexamples; it ends proved" in words
    assert "has 143 parameters of 8 bits, 1,100 before" in words
    assert "addition in base 10, is proved right at every length; the proof first closes in cycle 2." in words
    assert "The machine's answer is that of addition in base 10." in words
    assert "addition10" not in words
    assert "the 16,600 states that were reached" in words
    assert "One transformer trained on" in words
    replayed = "The stream was replayed in exact arithmetic and in float32."
    assert words.count(replayed) == 1
    assert EQUATION in words.split(replayed)[0]
    assert "cycle-0003.safetensors --program proofs/addition-catapult/program.py" in words


def test_a_report_of_nets_on_streams_alone(root: Path) -> None:
    summary = build([STANDARD, CATAPULT], root, root / "report")
    page = Page((root / "report" / "index.html").read_text())
    ids = {value for name, value in page.attributes if name == "id"}
    assert "streams" in ids
    assert not ids & {"training", "circuit", "ladder"}
    assert EQUATION in " ".join(page.words)
    assert table(summary).startswith("net  ")
    assert "modular" not in table(summary)


def test_random_and_hard_stand_in_columns_of_their_own(root: Path) -> None:
    made(root)
    text = (root / "report" / "index.html").read_text()
    assert "<tr><td>200</td><td class='n'>100%</td><td class='n'>25.0%</td><td class='n'>100%</td>" in text
    assert [f"<td>{length}</td>" in text for length in (4, 10, 200)] == [True] * 3


def test_the_recurrent_nets_have_a_table_at_the_top(root: Path) -> None:
    made(root)
    text = (root / "report" / "index.html").read_text()
    top = text.split("<nav>")[0]
    row = top.split(f'data-name="net">{CATAPULT}</td>')[1].split("</tr>")[0]
    said = re.findall(r'data-name="([^"]*)">([^<]*)<', row)
    assert said[:4] == [(f"{kind}, {end}", "100%") for end in ("shortest", "longest") for kind in ("random", "hard")]
    assert said[4:8] == [
        ("proved in cycle", "2"),
        ("counter\u00adexamples", "7"),
        ("parameters before", "1,100"),
        ("parameters after", "143"),
    ]
    assert "Proved" in row
    refused = top.split(f'data-name="net">{STANDARD}</td>')[1].split("</tr>")[0]
    assert "Refuted" in refused
    assert EQUATION in refused


def test_the_grid_is_a_power(root: Path) -> None:
    made(root)
    assert "<td>2<sup>\u22123</sup></td>" in (root / "report" / "index.html").read_text()
    assert power("1") == "1"


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ({"name": "addition", "base": 3}, "addition in base 3"),
        ({"name": "remainder", "base": 2, "modulus": 3}, "remainder in base 2, modulus 3"),
        ({"name": "parity"}, "parity"),
    ],
)
def test_a_task_in_words(task: dict[str, Any], words: str) -> None:
    assert task_name(task) == words


def test_the_page_loads_nothing_and_is_the_same_each_time(root: Path) -> None:
    made(root)
    first = (root / "report" / "index.html").read_bytes()
    assert b"http://" not in first
    made(root)
    assert (root / "report" / "index.html").read_bytes() == first


def test_without_streams_there_is_no_section(root: Path) -> None:
    summary = build([MODULAR], root, root / "report")
    page = Page((root / "report" / "index.html").read_text())
    assert "streams" not in {value for name, value in page.attributes if name == "id"}
    assert "recurrent" not in " ".join(page.words)
    assert summary.streams == ()


def test_a_row_for_each_in_the_table_and_the_metrics(root: Path) -> None:
    _, summary = made(root)
    lines = table(summary).splitlines()
    assert all(len(line) <= 100 for line in lines)
    row = next(line for line in lines if line.startswith(CATAPULT))
    assert row.split() == [CATAPULT, "100%", "100%", "100%", "100%", "2", "7", "1,100", "143"]
    refused = lines.index(next(line for line in lines if line.startswith(STANDARD)))
    assert lines[refused].split()[4:] == ["25.0%", "never", "0", "1,100", "none"]
    assert lines[refused + 1] == f"  verdict  Refuted: {EQUATION}"
    metrics = json.loads((root / "report" / "metrics.json").read_text())
    assert set(metrics) == {MODULAR, STANDARD, CATAPULT}
    assert metrics[CATAPULT]["first_proved"] == 2
    assert metrics[STANDARD]["hard_200"] == 0.25
    assert all(isinstance(value, int | float | None) for net in metrics.values() for value in net.values())
    for key in (STANDARD, CATAPULT):
        drawing = ET.fromstring((root / "report" / "plots" / f"{key}.svg").read_text())
        assert key in "".join(drawing.itertext())


def test_an_open_float_claim_undoes_the_proof(root: Path) -> None:
    path = root / "proofs" / CATAPULT / "certificate.json"
    document = json.loads(path.read_text())
    document["claims"][2]["verdict"] = {"verdict": "Unknown", "reason": "within float32 rounding"}
    dump(path, document)
    _, summary = made(root)
    assert summary.streams[1].verdict == "Unknown: within float32 rounding"


def test_a_proof_with_an_open_link_is_none(root: Path) -> None:
    path = root / "proofs" / CATAPULT / "certificate.json"
    document = json.loads(path.read_text())
    document["claims"][1]["verdict"] = {"verdict": "Unknown", "reason": "region 1 is open"}
    dump(path, document)
    _, summary = made(root)
    assert summary.streams[1].verdict == "Unknown: region 1 is open"


def test_files_that_are_of_another_snapshot_are_refused(root: Path) -> None:
    path = root / "proofs" / CATAPULT / "certificate.json"
    text = path.read_text()
    path.write_text(text.replace(sha256(3), sha256(4)))
    with pytest.raises(UserError, match=r"certificate\.json: not of the last snapshot of verdicts/addition-catapult"):
        made(root)
    path.write_text(text)
    path = root / "compressed" / CATAPULT / "frontier.csv"
    text = path.read_text()
    path.write_text(text.replace(sha256(3), sha256(4)))
    with pytest.raises(UserError, match=r"frontier\.csv: not of the last snapshot of verdicts/addition-catapult"):
        made(root)
    path.write_text(text)
    path = root / "analysis" / CATAPULT / "automaton.json"
    path.write_text(path.read_text().replace(sha256(3), sha256(4)))
    with pytest.raises(UserError, match=r"automaton\.json: not of the last snapshot of verdicts/addition-catapult"):
        made(root)


def test_a_proof_that_the_streams_contradict_is_not_reported(root: Path) -> None:
    timeline(root, CATAPULT, [*[("none", "Refuted", 0, ALMOST)] * 3, ("proved", "Proved", 7, ALMOST)])
    with pytest.raises(UserError, match="streams of hard_10 are wrong"):
        made(root)
    timeline(root, CATAPULT, [*[("none", "Refuted", 0, ALMOST)] * 3, ("heuristic", "Refuted", 7, ALMOST)])
    with pytest.raises(UserError, match="its certificate says Proved"):
        made(root)


def test_no_point_of_the_frontier(root: Path) -> None:
    (root / "compressed" / CATAPULT / "frontier.csv").write_text(
        "units,bits,grid,parameters,verdict,float32,snapshot\n"
    )
    page, summary = made(root)
    assert "There is none: no student of this net closes." in page.words
    assert summary.streams[1].parameters_after is None


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("runs/{}/params.json", "train"),
        ("analysis/{}/automaton.json", "interp"),
        ("analysis/{}/automaton.svg", "interp"),
        ("verdicts/{}.csv", "verdicts"),
        ("proofs/{}/certificate.json", "verify"),
    ],
)
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("{}"), lambda path: path.write_text("")])
def test_missing_or_broken_file_is_one_line(root: Path, name: str, stage: str, damage: Callable[[Path], Any]) -> None:
    damage(root / name.format(CATAPULT))
    with pytest.raises(UserError) as caught:
        made(root)
    assert str(caught.value).startswith(name.format(CATAPULT))
    assert stage in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (root / "report").exists()
