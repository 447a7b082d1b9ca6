"""Whatever the checker is given, it accepts or rejects in one line: no crash, no hang, no other exit status."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks import by_hand as streams
from benchmarks.by_hand import hand_built, write_snapshot, write_student
from pipeline.tasks.streaming import stream_task
from tests.verify import certificates
from tests.verify.certificates import Text, proved, write
from verify import checker
from verify.programs import Program

SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
QUICK = settings(max_examples=150, deadline=None, database=None, derandomize=True, suppress_health_check=SLOW)
P = 3
NUMBERS = st.sampled_from([0, 1, -1, True, 1 << 62, -(1 << 70), 10**100, 0.0, 1.5, 1e300])
WORDS = st.sampled_from(
    ["", "net", "program", "trained net", "Proved", "unsat", "equals", "machine", "\ud800", "\0", "{}"]
)
LEAVES = st.one_of(st.none(), NUMBERS, WORDS, st.text(max_size=5))
JSON = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(WORDS, inner, max_size=4)),
    max_leaves=12,
)
Given = tuple[Path, list[Path], Text]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Given:
    directory = tmp_path_factory.mktemp("pairs")
    files = {
        "program": directory / "program.py",
        "integer student": write_student(directory / "student", hand_built(P, frequencies=(1,)), P),
        "trained net": write_snapshot(directory / "trained", P),
    }
    files["program"].write_text(Program(P, 1, (1,), (1,), (2, -1, -1)).render())
    text = certificates.pairs(files, P)
    assert checker.check(write(directory, text), list(files.values()))[-1].startswith("accepted: Proved")
    return directory, list(files.values()), text


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Given:
    directory = tmp_path_factory.mktemp("stream")
    net = streams.write_net(directory / "net", streams.parity(3), stream_task("parity"))
    task: Text = {"kind": "stream", "key": "parity", "n_answers": 2, "n_left": 2, "n_right": 1}
    task["options"] = {"name": "parity"}
    machine = {"following": [[[0], [1]], [[1], [0]]], "answers": [[[0], [1]], [[1], [0]]]}
    one = 1 << 20
    regions = [{"low": [0], "high": [one // 64]}, {"low": [one - one // 64], "high": [one]}]
    steps = [[q, a, 0, "bounds", "."] for q in (0, 1) for a in (0, 1)]
    closed: Text = {"grid_bits": 20, "machine": machine, "regions": regions, "steps": steps}
    scope = checker.Streams(task, {"net"}, {"net": net.read_bytes()})
    verdicts = [
        proved("machine", scope, carries=None, machine=machine, reference=machine),
        proved("invariant", scope, **closed),
        proved("invariant rounding", scope, **closed),
    ]
    text = certificates.stream({"net": net}, task, verdicts, None)
    assert checker.check(write(directory, text), [net])[-1].startswith("accepted: Proved")
    return directory, [net], text


def run(directory: Path, text: str | bytes, files: list[Path]) -> int:
    """The exit status; the output is one line, or that of an accepted certificate."""
    path = directory / "fuzzed.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = checker.main([str(path), *(word for file in files for word in ("--net", str(file)))])
    printed = out.getvalue()
    assert printed.isascii()
    assert printed.endswith("\n")
    last = printed.splitlines()[-1]
    if status == 1:
        assert printed.startswith("rejected: ")
        assert printed.count("\n") == 1
    else:
        doubt = "NOT CHECKED" in last or "TAKEN FROM THE CERTIFICATE" in last
        assert last.startswith("accepted: ")
        assert status == (2 if doubt else 0 if last == "accepted: Proved" else 3)
    return status


@QUICK
@given(text=st.one_of(JSON.map(json.dumps), st.binary(max_size=40), st.text('[]{}":,0e-Inft', max_size=30)))
def test_any_text_is_rejected(pairs: Given, text: str | bytes) -> None:
    assert run(pairs[0], text, pairs[1]) == 1


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, part in inner for place in places(part, (*path, key)))]


@pytest.mark.parametrize("which", ["pairs", "stream"])
@QUICK
@given(data=st.data())
def test_any_change_is_decided(which: str, request: pytest.FixtureRequest, data: st.DataObject) -> None:
    """One to three values anywhere are replaced, deleted, doubled or exchanged."""
    directory, files, text = request.getfixturevalue(which)
    text = copy.deepcopy(text)
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(places(text)))
        if not path:
            continue
        place: Any = text
        for key in path[:-1]:
            place = place[key]
        how = data.draw(st.sampled_from(["replace", "delete", "copy", "more"]))
        if how == "delete":
            del place[path[-1]]
        elif how == "more" and isinstance(place, list):
            place.append(place[path[-1]])
        else:
            other: Any = text
            for key in data.draw(st.sampled_from(places(text))):
                other = other[key]
            place[path[-1]] = copy.deepcopy(other) if how == "copy" else data.draw(JSON)
    run(directory, json.dumps(text), files)


@pytest.mark.parametrize("which", ["pairs", "stream"])
@QUICK
@given(data=st.data())
def test_any_net_is_decided(which: str, request: pytest.FixtureRequest, data: st.DataObject) -> None:
    """Other bytes, headers and numbers under the right hash."""
    directory, files, text = request.getfixturevalue(which)
    text = copy.deepcopy(text)
    subject, path = data.draw(st.sampled_from(sorted(zip(text["files"], files, strict=True))))
    content = path.read_bytes()
    how = data.draw(st.sampled_from(["bytes", "flip", "header", "cut"]))
    if how == "bytes":
        content = data.draw(st.binary(max_size=60))
    elif how == "cut":
        content = content[: data.draw(st.integers(0, len(content)))]
    elif how == "flip":
        flipped = bytearray(content)
        for at in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
            flipped[at] = data.draw(st.integers(0, 255))
        content = bytes(flipped)
    elif subject != "program":
        start = 8 + struct.unpack("<Q", content[:8])[0]
        header = json.loads(content[8:start])
        place = data.draw(st.sampled_from([p for p in places(header) if p]))
        inner: Any = header
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = data.draw(st.one_of(JSON, JSON.map(json.dumps)))
        changed = json.dumps(header).encode()
        content = struct.pack("<Q", len(changed)) + changed + content[start:]
    damaged = directory / "damaged"
    damaged.write_bytes(content)
    text["files"][subject]["sha256"] = checker.sha256(content)
    with contextlib.suppress(Exception):
        text["nets"][subject] = checker.Weights(content).words()
    run(directory, json.dumps(text), [damaged if file == path else file for file in files])


DEEP = 100_000
HOSTILE = {
    "a tower of lists": "[" * DEEP,
    "a tower of objects": '{"a":' * DEEP,
    "a closed tower": "[" * DEEP + "]" * DEEP,
    "a number too large for floats": '{"schema": 1e999}',
    "a number of many digits": '{"schema": ' + "9" * 10_000 + "}",
    "no number": '{"schema": NaN}',
    "less than everything": '{"schema": -Infinity}',
    "a key twice": '{"schema": 1, "schema": 1}',
    "half a letter": '{"schema": "\\ud800"}',
    "not UTF-8": b"\xff\xfe{}",
    "UTF-16": '{"schema": 1}'.encode("utf-16"),
    "nothing": "",
    "a list": "[]",
    "null": "null",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_rejected(pairs: Given, name: str) -> None:
    assert run(pairs[0], HOSTILE[name], pairs[1]) == 1


@pytest.mark.parametrize("name", sorted(HOSTILE))
@pytest.mark.parametrize("where", ["measured", "evidence", "verdict"])
def test_hostile_values_are_rejected(pairs: Given, name: str, where: str) -> None:
    hostile = HOSTILE[name]
    if not isinstance(hostile, str) or name in ("nothing", "a list", "null"):
        return
    text = copy.deepcopy(pairs[2])
    text["claims"][0][where] = "HERE"
    free = (where, name) == ("measured", "half a letter")
    assert run(pairs[0], json.dumps(text).replace('"HERE"', hostile), pairs[1]) == (0 if free else 1)


def net(header: dict[str, Any], content: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content


META = {"format": "catapult-student-1", "p": str(P), "operation": "addition"}
ROW = {"dtype": "I32", "shape": [P, 1], "data_offsets": [0, 12]}
NETS = {
    "a header of 2^63 bytes": struct.pack("<Q", 1 << 63) + b"{}",
    "a tensor of 2^60 numbers": net({"__metadata__": META, "left": {**ROW, "shape": [1 << 30, 1 << 30]}}, b""),
    "a negative side": net({"__metadata__": META, "left": {**ROW, "shape": [-P, -1]}}, bytes(12)),
    "overlapping tensors": net({"__metadata__": META, "left": ROW, "right": ROW}, bytes(12)),
    "a hole": net({"__metadata__": META, "left": {**ROW, "data_offsets": [4, 16]}}, bytes(16)),
    "more than its tensors": net({"__metadata__": META, "left": ROW}, bytes(13)),
    "an unknown type": net({"__metadata__": META, "left": {**ROW, "dtype": "F8"}}, bytes(12)),
    "three sides": net({"__metadata__": META, "left": {**ROW, "shape": [P, 1, 1]}}, bytes(12)),
    "not finite": net({"__metadata__": META, "left": {**ROW, "dtype": "F32"}}, struct.pack("<3f", 1, 2, float("nan"))),
    "no metadata": net({"left": ROW}, bytes(12)),
}


@pytest.mark.parametrize("name", NETS)
def test_hostile_nets_are_rejected(pairs: Given, tmp_path: Path, name: str) -> None:
    directory, files, text = pairs
    text = copy.deepcopy(text)
    hostile = tmp_path / "net"
    hostile.write_bytes(NETS[name])
    text["files"]["integer student"]["sha256"] = checker.sha256(NETS[name])
    assert run(directory, json.dumps(text), [files[0], hostile, files[2]]) == 1
