"""The report: true in what it says, whole in one file, the same bytes every time."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import UserError
from pipeline.svg import Scale, Svg, log_domain, number, tick_label
from stages.report import Summary, build, table

CATAPULT, STANDARD = "modular-catapult", "modular-standard"
VOID = {"meta", "br", "img", "link", "input", "hr"}
P = 11
FREQUENCIES = [1, 2, 3, 4, 5]
EQUATION = "3 + 9 = 1 (mod 11), the net says 7"


def dump(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def certificate(claims: list[dict[str, Any]], trained: str = f"{4:064x}") -> dict[str, Any]:
    """With the joint verdict that verify gives: that of the weakest claim; `trained` is the trained net's hash."""
    rank = ["Refuted", "Unknown", "Proved"]
    links = [claim for claim in claims if claim["claim"]["kind"] == "equals"]
    known = [claim["verdict"] for claim in links if claim["verdict"]["verdict"] in rank]
    joint = min(known, key=lambda verdict: rank.index(verdict["verdict"]), default={"verdict": "Proved"})
    files = {"integer student": {"sha256": "f" * 64}, "trained net": {"sha256": trained}}
    return {"claims": claims, "files": files, "solvers": [{"name": "z3", "version": "5"}], "verdict": joint}


def make_run(root: Path, key: str, phases: list[str], accuracy: float, claims: list[dict[str, Any]]) -> None:
    """One run in the schemas of the stages, with one snapshot for each phase in the list."""
    last = len(phases) - 1
    recipe = key.split("-")[1]
    params = {
        "name": key,
        "digest": "d" * 64,
        "task": {"name": "modular", "operation": "addition", "p": P, "train_fraction": 0.3},
        "recipe": recipe,
        "phases": [{"recipe": recipe, "last_cycle": last}],
        "train": {"seed": 0, "steps": 10 * last, "cycle_steps": 10},
    }
    dump(root / "runs" / key / "params.json", params)
    history = ["step,cycle,lr,train_loss,train_accuracy,test_loss,test_accuracy"]
    for step in range(1, 10 * last + 1):
        tested = f"2.4,{accuracy * step / (10 * last)}" if step % 5 == 0 else ","
        history.append(f"{step},{(step - 1) // 10 + 1},{0.1 * (step % 10)},{2.0 / step},{min(1, step / 15)},{tested}")
    (root / "runs" / key / "history.csv").write_text("\n".join(history) + "\n")
    analysis = root / "analysis" / key
    measures = [
        "cycle,step,test_loss,restricted_loss,excluded_loss,learning_coefficient,learning_coefficient_error,"
        "circuit_similarity,circuit_similarity_floor,algorithm,phase"
    ]
    measures += [
        f"{cycle},{10 * cycle},2.4,1.{cycle},nan,{40 + cycle},1.5,{cycle / 10 or ''},{cycle / 20 or ''},unknown,{phase}"
        for cycle, phase in enumerate(phases)
    ]
    analysis.mkdir(parents=True)
    (analysis / "measures.csv").write_text("\n".join(measures) + "\n")
    starts = [i for i, phase in enumerate(phases) if i == 0 or phases[i - 1] != phase]
    ends = [*(start - 1 for start in starts[1:]), last]
    document = {
        "phases": [
            {
                "cycle": cycle,
                "step": 10 * cycle,
                "snapshot": f"{cycle:064x}",
                "phase": phase,
                "change": 0.9 if cycle in starts[1:] else 0.0,
                "transition": 0.7 if cycle == starts[-1] and phases[-1] == "algorithm" else 0.0,
                "algorithm": {"name": "clock" if phase == "algorithm" else "unknown"},
            }
            for cycle, phase in enumerate(phases)
        ],
        "replicates": 50,
        "segments": [
            {"phase": phases[i], "first_cycle": i, "last_cycle": end} for i, end in zip(starts, ends, strict=True)
        ],
        "change_points": starts[1:],
        "transition_cycle": starts[-1] if phases[-1] == "algorithm" else None,
        "final_phase": phases[-1],
        "evidence": {
            "last_snapshot": {
                "accuracy": {"at_least": True, "holds": accuracy > 0.9, "threshold": 0.9, "value": accuracy}
            }
        },
    }
    dump(analysis / "phases.json", document)
    spectrum = {"first": [0.2] * 5, "last": [0.02, 0.9, 0.03, 0.03, 0.02]}
    spectra = {"frequencies": FREQUENCIES, "key_frequencies": [2], "embed": spectrum, "unembed": spectrum}
    dump(analysis / "spectra.json", {**spectra, "logits": spectrum})
    dump(analysis / "circuit.json", {**circuit(), "snapshot": f"{last:064x}"})
    wrong = 0 if accuracy == 1 else 100
    rungs = [("trained", 2000), ("pruned", 900), ("integer student", 40)]
    ladder = [
        {"name": name, "parameters": n, "bytes": n, "wrong": wrong, "inputs": P * P, "note": ""} for name, n in rungs
    ]
    dump(root / "compressed" / key / "ladder.json", {"rungs": ladder, "snapshot": f"{last:064x}"})
    dump(root / "proofs" / key / "certificate.json", certificate(claims, f"{last:064x}"))
    verdicts = ["cycle,status,wrong,open,inputs,margin,margin_over_coarse_bound,counterexample,sha256"]
    for cycle in range(last + 1):
        right = accuracy == 1 and cycle > 2
        said = f"right,0,0,{P * P},1.5,2.5," if right else f'wrong,100,0,{P * P},,,"{EQUATION}"'
        verdicts.append(f"{cycle},{said},{cycle:064x}")
    (root / "verdicts").mkdir(exist_ok=True)
    (root / "verdicts" / f"{key}.csv").write_text("\n".join(verdicts) + "\n")
    (root / "proofs" / key / "program.py").write_text('print("a < b & c")\n')


def circuit() -> dict[str, Any]:
    """Two tokens, a head, six neurons of which four are kept; edges of score 2 are 20% of the logit difference."""

    def node(name: str, kind: str, index: int, kept: bool, **more: Any) -> dict[str, Any]:
        return {"id": name, "kind": kind, "layer": 0, "index": index, "score": 1.0, "in_circuit": kept, **more}

    def edge(source: str, target: str, score: float | None, kept: bool) -> dict[str, Any]:
        return {"source": source, "target": target, "score": score, "in_circuit": kept, "changes": None}

    nodes = [node(f"embed.{token}", "embed", i, token != "=") for i, token in enumerate("ab=")]
    nodes.append(node("head.0.0", "head", 0, True, attention=[0.3, 0.3, 0.4]))
    nodes += [node(f"neuron.0.{i}", "neuron", i, i < 4, frequency=2 + i % 2 if i < 4 else None) for i in range(6)]
    nodes.append(node("logits", "logits", 0, True))
    edges = [edge(f"embed.{token}", "head.0.0", 4.0, token != "=") for token in "ab="]
    edges += [edge("head.0.0", f"neuron.0.{i}", i - 1.0, i < 4) for i in range(6)]
    edges += [edge(f"neuron.0.{i}", "logits", 2.0 if i else None, i < 4) for i in range(6)]
    sizes = ((0, 0.0), (3, -0.1), (15, 1.0))
    return {
        "schema": "catapult-circuit-2",
        "task": "(a + b) mod 11",
        "n_inputs": 60,
        "metric": {"clean": 8.0, "corrupted": -2.0},
        "circuit": {"edges": 10, "target": 0.9, "faithfulness": 0.95, "agreement_all": 0.99, "accuracy_all": 0.98},
        "curve": [{"edges": n, "faithfulness": f, "agreement": 0.5} for n, f in sizes],
        "cpr": 0.6,
        "cmd": 0.4,
        "nodes": nodes,
        "edges": edges,
    }


def claim(sentence: str, verdict: str, **more: Any) -> dict[str, Any]:
    said = {"kind": "equals", "left": "trained net", "right": "arithmetic"}
    ended = {"verdict": verdict, **more}
    return {"claim": said, "sentence": sentence, "verdict": ended, "obligations": [], "measured": {}}


def proved() -> list[dict[str, Any]]:
    return [
        claim("for all a, b the program is right", "Proved", method="Z3"),
        claim("on each input the trained net agrees", "Proved", method="exhaustive"),
    ]


def refuted() -> list[dict[str, Any]]:
    return [claim("the net is right", "Refuted", counterexample={"a": 3, "b": 9, "equation": EQUATION})]


WINS = ["untrained", "memorising", "pseudo-arithmetic", "algorithm", "algorithm"]
FAILS = ["untrained", "memorising", "memorising", "memorising", "memorising"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The expected story: the catapult is proved, the standard recipe memorises and is refuted."""
    make_run(tmp_path, CATAPULT, WINS, 1.0, proved())
    make_run(tmp_path, STANDARD, FAILS, 0.02, refuted())
    return tmp_path


class Page(HTMLParser):
    """Checks that every element is closed in order, and keeps what the tests ask about."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.tags: set[str] = set()
        self.words: list[str] = []
        self.headings: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if "h1" in self.open:
            self.headings.append(data)


def made(root: Path, keys: list[str] | None = None) -> tuple[Page, Summary]:
    summary = build(keys or [CATAPULT, STANDARD], root, root / "report")
    return Page((root / "report" / "index.html").read_text()), summary


def test_page_is_whole_and_loads_nothing(root: Path) -> None:
    page, _ = made(root)
    text = (root / "report" / "index.html").read_text()
    assert {"svg", "table", "h1"} <= page.tags
    assert not {"script", "link", "img", "iframe", "object"} & page.tags
    assert "http://" not in text
    assert "https://" not in text
    assert "@import" not in text
    assert all(value.startswith("#") for name, value in page.attributes if name in ("href", "src"))
    assert str(root) not in text


def test_every_section_link_has_its_section(root: Path) -> None:
    page, _ = made(root)
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {value[1:] for name, value in page.attributes if name == "href"} <= set(ids)


def test_each_net_has_a_picture_that_stands_alone(root: Path) -> None:
    made(root)
    for key in (CATAPULT, STANDARD):
        text = (root / "report" / "plots" / f"{key}.svg").read_text()
        drawing = ET.fromstring(text)
        assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
        assert key.split("-")[1] in "".join(drawing.itertext())
        assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize("name", ["compressed/{}/ladder.json", "analysis/{}/circuit.json"])
def test_a_file_that_is_of_another_net_is_refused(root: Path, name: str) -> None:
    path = root / name.format(CATAPULT)
    path.write_text(json.dumps({**json.loads(path.read_text()), "snapshot": "0" * 64}))
    with pytest.raises(UserError, match=rf"{name.format(CATAPULT)}: not of the last snapshot"):
        made(root)


def test_same_inputs_give_the_same_bytes(root: Path) -> None:
    build([CATAPULT, STANDARD], root, root / "one")
    build([CATAPULT, STANDARD], root, root / "two")
    files = sorted(path.relative_to(root / "one") for path in (root / "one").rglob("*") if path.is_file())
    assert [str(path) for path in files] == [
        "index.html",
        "metrics.json",
        f"plots/{CATAPULT}.svg",
        f"plots/{STANDARD}.svg",
        "summary.csv",
    ]
    for path in files:
        assert (root / "one" / path).read_bytes() == (root / "two" / path).read_bytes()


def test_the_circuit_is_drawn_as_it_was_measured(root: Path) -> None:
    page, _ = made(root)
    words = " ".join(page.words)
    assert (
        "keeps 95.0% of the logit difference with 10 of 15 edges, between 1 of 1 heads and 4 of 6 neurons. Over all "
        "pairs these alone give 99.0% of its own answers; 98.0% are then right."
    ) in words
    assert "circuit: 10 of 15 edges" in words
    assert "CPR 0.600, CMD 0.400" in words
    assert "in the mean over 60 pairs" in words
    assert "keeps 90%, less its dead ends" in words
    assert "head 0: 20.0% of the logit difference runs through it; attends to a 30%, b 30%, = 40%" in words
    assert "k = 3: 2 neurons, 40.0% of the logit difference" in words, "neurons 1 and 3"
    assert "k = 2: 2 neurons, 20.0% of the logit difference" in words, "neuron 0 has no score"
    assert "token =: no kept edge" in words
    assert "2 neurons are outside the circuit" in words
    assert "b to head 0: 40.0%" in words
    assert "head 0 to k = 3: 20.0%" in words
    assert "k = 3 to answer: 40.0%" in words
    assert "= to head 0" not in words
    assert "to outside" not in words


def test_a_circuit_of_the_older_schema_names_the_stage(root: Path) -> None:
    dump(root / "analysis" / CATAPULT / "circuit.json", {"schema": "catapult-circuit-1"})
    with pytest.raises(UserError, match="schema catapult-circuit-1, not catapult-circuit-2"):
        made(root)


def test_headline_when_the_catapult_wins(root: Path) -> None:
    page, _ = made(root)
    words = "".join(page.words)
    assert page.headings == [
        "The catapult network turned into an algorithm for (a + b) mod 11 in cycle 3, and its 40-parameter core is "
        "proved right on all 121 inputs."
    ]
    assert "The standard network did not find the algorithm" in words
    assert EQUATION in words


def test_headline_when_the_catapult_fails_and_the_standard_wins(tmp_path: Path) -> None:
    make_run(tmp_path, CATAPULT, FAILS, 0.02, refuted())
    make_run(tmp_path, STANDARD, WINS, 1.0, proved())
    page, _ = made(tmp_path)
    words = "".join(page.words)
    assert page.headings[0].startswith("The catapult network did not find the algorithm: after 40 steps it is still")
    assert page.headings[0].endswith(f"it is refuted: {EQUATION}.")
    assert "The standard network turned into an algorithm" in words


def test_headline_when_the_algorithm_is_there_but_not_proved(tmp_path: Path) -> None:
    unknown = [*proved()[:1], claim("s", "Unknown", reason="time-out after 60 s")]
    make_run(tmp_path, CATAPULT, WINS, 1.0, unknown)
    page, summary = made(tmp_path, [CATAPULT])
    assert page.headings[0].endswith("in cycle 3, but its proof is open: time-out after 60 s.")
    assert summary.rows[0].verdict == "Unknown: time-out after 60 s"


def test_headline_counts_seeds(root: Path) -> None:
    make_run(root, "modular-catapult-s1", FAILS, 0.02, refuted())
    page, _ = made(root, [CATAPULT, "modular-catapult-s1", STANDARD])
    assert page.headings == ["Of 2 catapult networks 1 found the algorithm, and 1 core is proved right."]


@pytest.mark.parametrize(
    ("claims", "verdict"),
    [
        ([], "Unknown: the certificate makes no claim"),
        ([claim("s", "proved, surely")], "Unknown: S."),
        ([claim("s", "Proved", method="Z3")], "Proved"),
        ([*proved(), claim("s", "Unknown", reason="time-out")], "Unknown: time-out"),
        ([*proved(), *refuted()], f"Refuted: {EQUATION}"),
    ],
)
def test_a_chain_is_as_good_as_its_weakest_link(tmp_path: Path, claims: list[dict[str, Any]], verdict: str) -> None:
    make_run(tmp_path, CATAPULT, WINS, 1.0, claims)
    _, summary = made(tmp_path, [CATAPULT])
    assert summary.rows[0].verdict == verdict


def test_what_stands_beside_the_chain_is_shown_and_does_not_weaken_it(tmp_path: Path) -> None:
    beside = claim("the pruned net is unchanged", "Unknown", reason="near rounding")
    beside["claim"] = {"kind": "rounding", "net": "pruned net"}
    beside["measured"] = {"margin_over_bound": {"median": 1010.0, "smallest": 3.83}}
    make_run(tmp_path, CATAPULT, WINS, 1.0, [*proved(), beside])
    page, summary = made(tmp_path, [CATAPULT])
    assert summary.rows[0].verdict == "Proved"
    assert "near rounding" in page.words
    assert "margin over bound 3.83, median 1,010" in " ".join(page.words)
    beside["claim"]["net"] = "trained net"
    dump(tmp_path / "proofs" / CATAPULT / "certificate.json", certificate([*proved(), beside]))
    assert made(tmp_path, [CATAPULT])[1].rows[0].verdict == "Unknown: near rounding"


def test_text_is_escaped(root: Path) -> None:
    claims = [claim("for all a <b> & c", "Unknown", reason="<script>alert(1)</script>")]
    dump(root / "proofs" / CATAPULT / "certificate.json", certificate(claims))
    page, _ = made(root)
    assert "script" not in page.tags
    words = "".join(page.words)
    assert "For all a <b> & c." in words
    assert 'print("a < b & c")' in words


def test_table_fits_and_spells_the_verdict_out(root: Path) -> None:
    _, summary = made(root)
    lines = table(summary).splitlines()
    assert all(len(line) <= 100 for line in lines)
    assert any(EQUATION in line for line in lines)
    assert any(line.split() == ["verdict", "Proved"] for line in lines)
    row = next(line for line in lines if line.startswith(CATAPULT))
    assert row.split() == [CATAPULT, "100%", "3", "algorithm", "2,000", "40"]


def test_table_of_a_long_name_and_a_long_reason_still_fits(tmp_path: Path) -> None:
    key = "modular-" + "x" * 60
    make_run(tmp_path, key, ["untrained", "pseudo-arithmetic"], 0.5, [claim("s", "Unknown", reason="why " * 60)])
    _, summary = made(tmp_path, [key])
    assert all(len(line) <= 100 for line in table(summary).splitlines())


def test_files_for_dvc(root: Path) -> None:
    made(root)
    metrics = json.loads((root / "report" / "metrics.json").read_text())
    assert metrics[CATAPULT] == {
        "proved": 1,
        "wrong": 0,
        "right_from": 30,
        "transition_cycle": 3,
        "key_frequencies": None,
        "live_neurons": None,
        "circuit_edges": 10,
        "parameters_after": 40,
    }
    assert (metrics[STANDARD]["proved"], metrics[STANDARD]["wrong"]) == (0, 100)
    with open(root / "report" / "summary.csv") as file:
        assert [row["verdict"] for row in csv.DictReader(file)] == ["Proved", f"Refuted: {EQUATION}"]


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("runs/{}/history.csv", "train"),
        ("analysis/{}/phases.json", "interp"),
        ("analysis/{}/circuit.json", "interp"),
        ("compressed/{}/ladder.json", "compress"),
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


def test_a_certificate_of_another_run_is_one_line_and_no_picture(root: Path) -> None:
    dump(root / "proofs" / CATAPULT / "certificate.json", certificate(proved(), "e" * 64))
    with pytest.raises(UserError, match=f"proofs/{CATAPULT}/certificate.json: not of the last snapshot") as caught:
        made(root)
    assert "\n" not in str(caught.value)
    assert not (root / "report").exists()


def test_a_certificate_does_not_command_the_terminal(root: Path) -> None:
    claims = [claim("s", "Unknown", reason="\x1b[2K\rProved \u202e")]
    dump(root / "proofs" / CATAPULT / "certificate.json", certificate(claims))
    _, summary = made(root, [CATAPULT])
    assert summary.rows[0].verdict == r"Unknown: \x1b[2K\rProved \u202e"


def test_a_proof_that_the_count_contradicts_is_not_reported(root: Path) -> None:
    dump(root / "proofs" / STANDARD / "certificate.json", certificate(proved()))
    with pytest.raises(UserError, match="counts 100 wrong answers"):
        made(root)


def test_a_proof_that_a_verdict_contradicts_is_not_reported(root: Path) -> None:
    path = root / "verdicts" / f"{CATAPULT}.csv"
    path.write_text(path.read_text().replace(f"4,right,0,0,{P * P},1.5,2.5,,", f"4,wrong,1,0,{P * P},,,x,"))
    with pytest.raises(UserError, match="the last snapshot wrong: they are not of one run"):
        made(root)


def test_verdicts_on_other_snapshots_are_not_reported(root: Path) -> None:
    path = root / "verdicts" / f"{CATAPULT}.csv"
    path.write_text(path.read_text().replace(f"{3:064x}", "f" * 64))
    with pytest.raises(UserError, match="of other snapshots than analysis/"):
        made(root)


def test_the_timeline_says_what_was_right_when_and_how_sure_the_transition_is(root: Path) -> None:
    page, _ = made(root)
    text = " ".join(page.words)
    assert "the transition falls in cycle 3, as in 70% of 50 bootstrap replicates." in text
    assert "Every input is answered rightly from cycle 3 on. Its algorithm is called clock." in text
    assert f"Its last snapshot is wrong on 100 of {P * P} inputs. Its algorithm is none that has a name here." in text
    assert f"cycle 2: wrong on 100 of {P * P} inputs; {EQUATION}" in text
    assert "transition at cycle 3 in 70% of the replicates" in text


def test_a_net_without_program_is_reported(root: Path) -> None:
    (root / "proofs" / STANDARD / "program.py").unlink()
    page, _ = made(root)
    assert "No program was read off this net." in page.words


def test_no_keys() -> None:
    with pytest.raises(UserError, match="keys"):
        build([], Path(), Path())


def test_scales_and_numbers() -> None:
    assert Scale(1, 100, 0, 10, log=True)(10) == pytest.approx(5)
    assert Scale(0, 2, 10, 0)(5) == 0
    assert Scale(0, 10, 0, 1).ticks(5) == [0, 2, 4, 6, 8, 10]
    assert Scale(0.001, 10, 0, 1, log=True).ticks(9) == pytest.approx([0.001, 0.01, 0.1, 1, 10])
    assert log_domain([0.02, 3.0]) == pytest.approx((0.01, 10))
    assert log_domain([]) == (0.1, 1.0)
    assert [number(value) for value in (1.0, -0.001, 2.346)] == ["1", "0", "2.35"]
    assert [tick_label(value) for value in (0, 1e-6, 0.5, 20_000, 2e6)] == ["0", "1e-6", "0.5", "20k", "2M"]


def test_svg_escapes_and_closes() -> None:
    svg = Svg(10, 10, 'a "quoted" <label>')
    svg.text(1, 2, "1 < 2 & 3")
    svg.rect(0, 0, -5, 2, "box", "tip <b>")
    assert "1 &lt; 2 &amp; 3" in str(svg)
    assert 'width="0"' in str(svg)
    Page(str(svg))
