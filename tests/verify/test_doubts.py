"""A claim that the checker does not confirm is Unknown; the others, and a refutation, are not touched by that."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.by_hand import adder, write_net, write_snapshot
from pipeline.tasks.streaming import stream_task
from verify import Nets, Proved, Refuted, Unknown, checker, verify_run
from verify.claims import Counterexample
from verify.stream_run import verify_stream

Check = Callable[..., Any]
ADDITION = stream_task("addition", base=3)


def coarse_on(monkeypatch: pytest.MonkeyPatch, scope: type, check: str, name: str, error: Exception) -> None:
    """The checker's check of one claim fails, and no other."""
    whole: Check = getattr(scope, check)

    def failing(self: Any, claim: Any, entry: Any) -> str:
        if checker.NAMES[claim["kind"]].format(**claim) == name:
            raise error
        return whole(self, claim, entry)

    monkeypatch.setattr(scope, check, failing)


def by_name(results: Any) -> dict[str, Any]:
    return {result.claim.name: result.verdict for result in results}


@pytest.fixture
def nets(tmp_path: Path) -> Nets:
    """A right pruned net and a wrong trained one."""
    right = write_snapshot(tmp_path / "pruned.safetensors", 7)
    return Nets(write_snapshot(tmp_path / "trained.safetensors", 7, swap=True), right)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (checker.Coarse("3 of 49 inputs are open"), "the checker: 3 of 49 inputs are open"),
        (checker.Rejected("on a whim"), "the checker: on a whim"),
        (ZeroDivisionError("a bug"), "the checker: ZeroDivisionError: a bug"),
    ],
)
def test_a_refutation_survives_the_doubt_of_another_link(
    nets: Nets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    coarse_on(monkeypatch, checker.Pairs, "check_equals", "trained net equals pruned net", error)
    said: list[str] = []
    summary = verify_run(nets, tmp_path / "proof", 10, said.append)
    verdicts = by_name(summary.results)
    assert verdicts.pop("trained net equals pruned net") == Unknown(reason)
    assert isinstance(verdicts["trained net equals arithmetic"], Refuted)
    assert [type(verdicts[f"{net} is unchanged under rounding"]) for net in ("pruned net", "trained net")] == [
        Proved
    ] * 2
    assert str(summary.verdict).startswith("Refuted: 0 + 1 = 1 (mod 7), the trained net says 2")
    assert "checker: trained net equals pruned net: " + reason.removeprefix("the checker: ") in said
    assert said[-1] == "checker: it confirms the others"
    monkeypatch.undo()
    given = [path for path in (nets.trained, nets.pruned) if path is not None]
    assert checker.check(tmp_path / "proof" / "certificate.json", given)[-1] == "accepted: Refuted"


def test_the_doubt_of_a_link_opens_a_chain_that_would_be_proved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = write_snapshot(tmp_path / "trained.safetensors", 7)
    name = "trained net is unchanged under rounding"
    coarse_on(monkeypatch, checker.Pairs, "check_rounding", name, checker.Coarse("float32 may change an answer"))
    summary = verify_run(Nets(net), None, 10)
    reason = Unknown("the checker: float32 may change an answer")
    assert by_name(summary.results)[name] == reason == summary.verdict
    assert isinstance(by_name(summary.results)["trained net equals arithmetic"], Proved)


def test_another_counterexample_where_the_first_is_too_close_for_the_checker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificate then has one of which the checker is certain."""
    evaluate: Check = checker.Evaluation.__init__

    def with_an_open_input(self: Any, weights: Any, task: Any) -> None:
        evaluate(self, weights, task)
        self.answers[0, 1], self.open[0, 1] = checker.UNSURE, "its lead is within what the checker's integers lose"

    monkeypatch.setattr(checker.Evaluation, "__init__", with_an_open_input)
    monkeypatch.setattr(checker.Evaluation, "settle", lambda *_: None)
    net = write_snapshot(tmp_path / "trained.safetensors", 7, swap=True)
    summary = verify_run(Nets(net), tmp_path / "proof", 10)
    assert isinstance(summary.verdict, Refuted)
    example = summary.verdict.counterexample
    assert isinstance(example, Counterexample)
    assert (example.a, example.b, example.expected, example.got) == (0, 2, 2, 1)
    lines = checker.check(tmp_path / "proof" / "certificate.json", [net])
    assert lines[0].endswith("the trained net says 1; certainly wrong on 13 of 49 inputs, 1 open")


def test_what_speaks_against_a_claim_is_counted_apart_from_what_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = write_snapshot(tmp_path / "trained.safetensors", 7, swap=True)
    verify_run(Nets(net), tmp_path / "proof", 10)
    text = json.loads((tmp_path / "proof" / "certificate.json").read_text())
    proved = {"verdict": "Proved", "method": "exhaustive evaluation"}
    text["claims"][0].update(verdict=proved, evidence={"by": "exhaustive"})
    text["verdict"] = {"verdict": "Proved", "method": "arithmetic = trained net"}
    (tmp_path / "proof" / "certificate.json").write_text(json.dumps(text))
    evaluate: Check = checker.Evaluation.__init__

    def open_on(pairs: list[tuple[int, int]]) -> checker.Finding:
        def init(self: Any, weights: Any, task: Any) -> None:
            evaluate(self, weights, task)
            for a, b in pairs:
                self.answers[a, b], self.open[a, b] = checker.UNSURE, "scores beyond 2^16"

        monkeypatch.setattr(checker.Evaluation, "__init__", init)
        return checker.judge(tmp_path / "proof" / "certificate.json", [net]).claims[0]

    wrong = [(a, b) for a in range(7) for b in range(7) if (a + b) % 7 in (1, 2)]
    found = open_on([(3, 3), (0, 0)])
    assert found.state == checker.REJECTED
    assert found.how == "14 inputs speak against it, first a, b = [(0, 1)], and 2 are open"
    found = open_on(wrong)
    assert found.state == checker.COARSE
    assert found.how == "14 of 49 inputs are open, first a, b = (0, 1): scores beyond 2^16"


def test_the_doubts_of_streams_are_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = write_net(tmp_path / "net.safetensors", adder(3), ADDITION)
    error = checker.Coarse("the bounds do not close")
    coarse_on(monkeypatch, checker.Streams, "check_invariant_rounding", "float32 net equals machine", error)
    summary = verify_stream(net, tmp_path / "proof")
    verdicts = [type(result.verdict) for result in summary.proof.results]
    assert verdicts == [Proved, Proved, Unknown]
    assert summary.verdict == Unknown("the checker: the bounds do not close")
    monkeypatch.undo()
    files = [net, tmp_path / "proof" / "program.py"]
    assert checker.check(tmp_path / "proof" / "certificate.json", files)[-1] == "accepted: Unknown"


def test_a_machine_in_doubt_is_still_in_the_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = write_net(tmp_path / "net.safetensors", adder(3), ADDITION)
    coarse_on(monkeypatch, checker.Streams, "check_machine", "machine equals task", checker.Rejected("no adder"))
    summary = verify_stream(net, tmp_path / "proof")
    assert [type(result.verdict) for result in summary.proof.results] == [Unknown, Proved, Proved]
    monkeypatch.undo()
    files = [net, tmp_path / "proof" / "program.py"]
    assert checker.check(tmp_path / "proof" / "certificate.json", files)[-1] == "accepted: Unknown"


def test_a_stream_that_the_checker_does_not_replay_refutes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = adder(3)
    tensors["unembed.bias"] = tensors["unembed.bias"] + [0, 0, 100]
    net = write_net(tmp_path / "net.safetensors", tensors, ADDITION)
    assert isinstance(verify_stream(net, None).verdict, Refuted)

    def too_long(*_: object) -> str:
        raise checker.Coarse("counterexample: too long to replay")

    monkeypatch.setattr(checker.Streams, "counterexample", too_long)
    summary = verify_stream(net, tmp_path / "proof")
    assert summary.verdict == Unknown("the checker: counterexample: too long to replay")
    monkeypatch.undo()
    assert checker.judge(tmp_path / "proof" / "certificate.json", [net]).verdict == "Unknown"


def test_a_file_too_large_for_the_checker_costs_its_own_claims_only(
    nets: Nets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert nets.pruned is not None
    assert nets.trained is not None
    nets.pruned.write_bytes(padded(nets.pruned.read_bytes(), 4096))
    monkeypatch.setattr(checker, "MOST_BYTES", nets.pruned.stat().st_size - 1)
    verdicts = by_name(verify_run(nets, None, 10).results)
    assert isinstance(verdicts["trained net equals arithmetic"], Refuted)
    assert isinstance(verdicts["trained net is unchanged under rounding"], Proved)
    for name in ("trained net equals pruned net", "pruned net is unchanged under rounding"):
        assert isinstance(verdicts[name], Unknown)


def padded(data: bytes, more: int) -> bytes:
    """A safetensors file with blanks at the end of its header."""
    start = 8 + int.from_bytes(data[:8], "little")
    return (start - 8 + more).to_bytes(8, "little") + data[8:start] + b" " * more + data[start:]
