"""Certificates written by hand, for the checker alone: no prover is asked for what they say."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from verify import checker

Text = dict[str, Any]
NETS = ("integer student", "student", "pruned net", "trained net")
EXHAUSTIVE = {"by": "exhaustive"}


def proved(kind: str, scope: Any, **evidence: Any) -> tuple[Text, Text]:
    """A Proved verdict with its method, and the evidence."""
    return {"verdict": "Proved", "method": scope.method(kind)}, {"by": checker.EVIDENCE[kind][0], **evidence}


def refuted(**counterexample: Any) -> tuple[Text, Text]:
    return {"verdict": "Refuted", "counterexample": counterexample}, {}


def unknown(reason: str = "time ran out") -> tuple[Text, Text]:
    return {"verdict": "Unknown", "reason": reason}, {}


def entry(claim: Text, scope: Any, verdict: tuple[Text, Text], obligations: list[Text] | None = None) -> Text:
    return {
        "claim": claim,
        "sentence": checker.SENTENCES[claim["kind"]].format(**scope.words(claim)),
        "verdict": verdict[0],
        "evidence": verdict[1],
        "obligations": obligations or [],
        "measured": {},
    }


def equals(left: str, right: str) -> Text:
    return {"kind": "equals", "left": left, "right": right}


def pairs(files: Mapping[str, Path], p: int, operation: str = "addition", **verdicts: tuple[Text, Text]) -> Text:
    """The certificate of a chain: every claim proved but those in `verdicts`: trained_net_equals_arithmetic."""
    task = {"kind": "pairs", "operation": operation, "p": p, "name": checker.Operation(operation, p).name}
    data = {subject: path.read_bytes() for subject, path in files.items()}
    scope = checker.Pairs(task, set(files), data)
    chain = [name for name in ("program", *NETS) if name in files]
    claims = [equals("program", "arithmetic")] if "program" in files else []
    claims += [equals(left, right) for right, left in pairwise(chain)]
    claims += [equals("trained net", "arithmetic")] if "trained net" in files else []
    claims += [{"kind": "rounding", "net": name} for name in chain if name in NETS[1:]]
    entries = []
    for claim in claims:
        name = checker.NAMES[claim["kind"]].format(**claim).replace(" ", "_")
        entries.append(entry(claim, scope, verdicts.pop(name, None) or proved(claim["kind"], scope)))
    assert not verdicts, verdicts
    text = _whole(task, data, scope, entries)
    order = sorted(entries, key=lambda e: e["claim"] != equals("trained net", "arithmetic"))
    links = [e["verdict"] for e in order if e["claim"]["kind"] == "equals"]
    last = [e["verdict"] for e in entries if e["claim"] == {"kind": "rounding", "net": "trained net"}]
    text["verdict"] = next(
        (v for word, of in (("Refuted", links), ("Unknown", links + last)) for v in of if v["verdict"] == word),
        {"verdict": "Proved", "method": " = ".join(["arithmetic", *chain])},
    )
    return copy.deepcopy(text)


def stream(files: Mapping[str, Path], task: Text, verdicts: list[tuple[Text, Text]], verdict: Text | None) -> Text:
    """The certificate of a recurrent net; `verdicts` are of machine, invariant and invariant rounding."""
    data = {subject: path.read_bytes() for subject, path in files.items()}
    scope = checker.Streams(task, set(files), data)
    kinds = ("machine", "invariant", "invariant rounding")
    text = _whole(task, data, scope, [entry({"kind": kind}, scope, v) for kind, v in zip(kinds, verdicts, strict=True)])
    whole = {"verdict": "Proved", "method": "task = machine = net, in exact arithmetic and in float32"}
    text["verdict"] = verdict or whole
    return copy.deepcopy(text)


def _whole(task: Text, data: Mapping[str, bytes], scope: Any, entries: list[Text]) -> Text:
    return {
        "schema": "catapult-certificate-2",
        "task": task,
        "files": {subject: {"sha256": checker.sha256(content)} for subject, content in data.items()},
        "nets": {subject: weights.words() for subject, weights in scope.weights.items()},
        "claims": entries,
        "solvers": [{"name": "z3", "version": "5"}],
    }


def write(directory: Path, text: Text) -> Path:
    path = directory / "certificate.json"
    path.write_text(json.dumps(text, sort_keys=True))
    return path
