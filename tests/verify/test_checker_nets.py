"""The checker on trained nets: it agrees with the prover, keeps to its bounds, and rejects what is no net."""

import json
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flint import arb, ctx
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.by_hand import write_snapshot
from tests.verify.forward_nets import KINDS, P, exact_logits, perceptron, write
from verify import checker
from verify.checker import ONE, UNSURE, UP, Errors, Evaluation, Forward, Matrix, Weights, bounds, exp, gelu
from verify.exact_net import NO_ANSWER
from verify.real_net import Decoder, load_real_net
from verify.rounding import analyse


def evaluation(data: bytes) -> Evaluation:
    """The task comes from the certificate there; here from the file itself."""
    weights = Weights(data)
    task = json.loads(weights.meta["task"])
    return Evaluation(weights, checker.Operation(task["operation"], task["p"]))


def rows(found: Evaluation) -> list[list[int]]:
    """[a][b]: the answer, NO_ANSWER where none is certain."""
    n = range(found.p)
    return [[NO_ANSWER if found.answers[a, b] == UNSURE else found.answers[a, b] for b in n] for a in n]


def check(data: bytes) -> tuple[list[list[int]], bool]:
    """Answers, NO_ANSWER where none is certain, and whether float32 gives the same."""
    found = evaluation(data)
    return rows(found), unchanged(found)


def unchanged(found: Evaluation) -> bool:
    try:
        found.unchanged()
    except checker.Coarse:
        return False
    return True


def rejects(data: bytes) -> bool:
    """Whether what the checker calls a rejection is raised: `checker.check` says every other error as one."""
    try:
        check(data)
    except (checker.Rejected, KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return True
    return False


@pytest.mark.parametrize("kind", KINDS)
def test_it_agrees_with_the_prover_and_with_balls(kind: str, tmp_path: Path) -> None:
    shape, tensors = KINDS[kind](np.random.default_rng(3))
    path = write(tmp_path / "net.safetensors", shape, tensors)
    report = analyse(load_real_net(path))
    answers, kept = check(path.read_bytes())
    assert answers == report.answers.tolist()
    assert kept
    assert report.holds
    together, pairs = Forward(evaluation(path.read_bytes()).net), [(0, 0), (1, 3), (4, 2)]
    logits = {pair: together.logits(*pair) for pair in pairs}
    (fixed,), (rounded,) = Errors(together, False).leads(), bounds(together, True)
    assert fixed < rounded
    for pair in pairs:
        exact = [float(v.mid()) for v in exact_logits(shape, tensors, *pair)]
        top = max(range(P), key=exact.__getitem__)
        changes = [(logits[pair][top] - v) / ONE - (exact[top] - e) for v, e in zip(logits[pair], exact, strict=True)]
        assert max(map(abs, changes)) < fixed / (ONE << UP)
        alone = Forward(together.net)
        alone.logits(*pair)
        others = [c for c in range(P) if c != top]
        bound = max(Errors(alone, True).leads(top, others))
        assert bound / (ONE << UP) > report.bounds[pair] * 0.9
        assert bound <= rounded


@pytest.mark.parametrize("kind", ["transformer", "two layers, gelu", "mlp, summed"])
def test_units_that_are_0_are_left_out_and_no_others(kind: str, tmp_path: Path) -> None:
    """A dead unit counts for nothing, not even for rounding; the least weight into it, or a bias, and it counts."""
    shape, tensors = KINDS[kind](np.random.default_rng(3))
    into = next(name for name in tensors if name.endswith(("w_in.weight", "layers.0.linear.weight")))
    bias = into.replace(".weight", ".bias")
    of_units = {name: x.copy() for name, x in tensors.items()}
    of_units[into][1:4], of_units[bias][1:4] = 0.0, 0.0

    def judged(name: str) -> tuple[int, list[list[int]], int, bool]:
        path = write(tmp_path / f"{name}.safetensors", shape, of_units)
        found, net = evaluation(path.read_bytes()), load_real_net(path)
        report = analyse(net)
        assert rows(found) == report.answers.tolist()
        live = net.blocks[0].w_in if isinstance(net, Decoder) else net.layers[0]
        width = len(live.weight)
        assert found.net.blocks[0]["w_in"].n == width
        (bound,) = bounds(found.forward, True)
        return width, rows(found), bound, report.holds

    n = len(tensors[into])
    width, answers, bound, holds = judged("dead")
    assert (width, holds) == (n - 3, True)
    for name, index, value in ((into, (2, 0), 1e-30), (bias, 2, -1e-30)):
        of_units[name][index] = value
        more, same, wider, _ = judged("nearly")
        assert (more, same) == (n - 2, answers)
        assert wider > bound
        of_units[name][index] = 0.0
    of_units[bias][2] = 50.0
    assert judged("alive")[1] != answers


def test_a_hand_built_net_and_one_with_a_lead_that_rounding_eats(tmp_path: Path) -> None:
    path = write_snapshot(tmp_path / "net.safetensors", 5)
    assert check(path.read_bytes()) == ([[(a + b) % 5 for b in range(5)] for a in range(5)], True)
    shape, tensors = perceptron(np.random.default_rng(0), widths=[200])
    tensors["unembed.weight"][:] = tensors["unembed.weight"][0]
    tensors["layers.0.linear.bias"][0] = 9.0
    tied = check(write(tmp_path / "tied.safetensors", shape, tensors).read_bytes())
    assert tied == ([[NO_ANSWER] * P] * P, False)
    tensors["unembed.weight"][0, 0] += 1e-6
    assert check(write(tmp_path / "close.safetensors", shape, tensors).read_bytes()) == ([[0] * P] * P, False)


def test_inputs_are_settled_alone_where_all_together_do_not_close(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape, tensors = KINDS["transformer"](np.random.default_rng(3))
    data = write(tmp_path / "net.safetensors", shape, tensors).read_bytes()
    together = Errors.leads

    def useless(self: Errors, top: int | None = None, others: Any = ()) -> list[int]:
        return [ONE << UP << 20] if top is None and self.float32 else together(self, top, others)

    monkeypatch.setattr(Errors, "leads", useless)
    assert check(data)[1]
    monkeypatch.setattr(checker, "MOST_CLOSE", 3)
    assert not check(data)[1]


def test_answers_are_settled_alone_where_one_bound_for_all_is_too_coarse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for float32, so in exact arithmetic: one wide input does not cost the others their answers."""
    shape, tensors = KINDS["two layers"](np.random.default_rng(3))
    data = write(tmp_path / "net.safetensors", shape, tensors).read_bytes()
    near, together = evaluation(data), Errors.leads

    def useless(self: Errors, top: int | None = None, others: Any = ()) -> list[int]:
        if top is None:
            raise checker.Coarse("too many at once")
        return together(self, top, others)

    monkeypatch.setattr(Errors, "leads", useless)
    alone = evaluation(data)
    assert (alone.answers, alone.open) == (near.answers, {})
    alone.unchanged()
    monkeypatch.setattr(checker, "MOST_CLOSE", 3)
    few = evaluation(data)
    assert len(few.open) == P * P - 3
    assert all((a, b) in few.open or few.answers[a, b] == near.answers[a, b] for a in range(P) for b in range(P))
    few.settle((4, 4))
    assert few.answers[4, 4] == near.answers[4, 4]
    with pytest.raises(checker.Coarse, match="no answer is certain on 21 inputs"):
        few.unchanged()


def test_a_lead_below_the_bound_of_all_and_above_its_own(tmp_path: Path) -> None:
    """A wide symbol makes the bound of all inputs large; a lead between that and the input's own is certain."""
    shape, tensors = KINDS["two layers"](np.random.default_rng(3))
    tensors["embed.weight"][3] *= 200.0
    data = write(tmp_path / "net.safetensors", shape, tensors).read_bytes()
    found = evaluation(data)
    (shared,) = bounds(found.forward, False)
    between = [pair for pair, lead in found.leads.items() if lead <= shared and pair not in found.open]
    assert between
    for pair in between:
        exact = [float(v.mid()) for v in exact_logits(shape, tensors, *pair)]
        assert found.answers[pair] == max(range(P), key=exact.__getitem__)
        assert found.lost[False][pair] < shared


@pytest.mark.parametrize("scale", [300.0, 2.0**10, 2.0**20])
def test_an_input_beyond_the_limits_is_open_alone(scale: float, tmp_path: Path) -> None:
    shape, tensors = KINDS["two layers"](np.random.default_rng(3))
    near = evaluation(write(tmp_path / "net.safetensors", shape, tensors).read_bytes())
    tensors["embed.weight"][3] *= scale
    found = evaluation(write(tmp_path / "net.safetensors", shape, tensors).read_bytes())
    assert set(found.open) <= {(a, b) for a in range(P) for b in range(P) if 3 in (a, b)}
    assert found.open
    assert all("beyond 2^" in why or "integers lose" in why for why in found.open.values())
    for a, b in ((a, b) for a in range(P) for b in range(P)):
        assert (found.answers[a, b] == UNSURE) == ((a, b) in found.open)
        assert 3 in (a, b) or found.answers[a, b] == near.answers[a, b]


def test_packed_products_are_the_plain_ones_rounded_down() -> None:
    rng = random.Random(0)
    rows = [[rng.randrange(-ONE, ONE) for _ in range(7)] for _ in range(5)]
    bias, x = [rng.randrange(-ONE, ONE) for _ in rows], [rng.randrange(-9 * ONE, 9 * ONE) for _ in range(7)]
    exact = [sum(w * v for w, v in zip(row, x, strict=True)) / ONE + b for row, b in zip(rows, bias, strict=True)]
    assert all(abs(v - e) <= 1 for v, e in zip(Matrix(rows, bias)(x), exact, strict=True))
    errors = [abs(v) for v in x]
    least = [sum(abs(w) * e for w, e in zip(row, errors, strict=True)) / ONE for row in rows]
    assert all(v >= e for v, e in zip(Matrix(rows).above(errors), least, strict=True))
    with pytest.raises(checker.Rejected):
        Matrix(rows)([1 << 70] * 7)


def test_exp_and_gelu_are_within_their_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctx, "prec", 200)
    rng = random.Random(0)
    for x in [0, -1, -ONE, -64 * ONE, *(-rng.randrange(64 * ONE) for _ in range(200))]:
        assert abs(arb(exp(x)) / arb(2) ** 100 - (arb(x) / ONE).exp()) < arb(2) ** -60
    root, cubic = (2 / arb.pi()).sqrt(), arb(44715) / 1000000
    for x in [0, 1, -1, ONE, 16 * ONE, -16 * ONE - 1, *(rng.randrange(-20 * ONE, 20 * ONE) for _ in range(400))]:
        y = arb(x) / ONE
        t = (root * (y + cubic * y**3)).tanh()
        slope = (1 + t) / 2 + y / 2 * (1 - t * t) * root * (1 + 3 * cubic * y * y)
        value, steepness = gelu(x)
        assert abs(arb(value) / ONE - y / 2 * (1 + t)) < arb(2) ** -36
        assert abs(arb(steepness) / ONE - slope) < arb(2) ** -28


def edited(path: Path, edit: Callable[[dict[str, Any]], None]) -> bytes:
    data = path.read_bytes()
    end = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:end])
    edit(header)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[end:]


def settings_of(**changes: Any) -> Callable[[dict[str, Any]], None]:
    def edit(header: dict[str, Any]) -> None:
        header["__metadata__"]["net"] = json.dumps(json.loads(header["__metadata__"]["net"]) | changes)

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        settings_of(kind="quadratic"),
        settings_of(causal=False),
        settings_of(activation="gelu_tanh"),
        settings_of(p=P + 1),
        settings_of(p=True),
        settings_of(d_mlp=10**9),
        settings_of(d_head=0),
        settings_of(n_heads=-2),
        settings_of(d_model=[6]),
        lambda header: header.pop("pos.weight"),
        lambda header: header.update(more={"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}),
        lambda header: header["pos.weight"].update(shape=[6, 3]),
        lambda header: header["pos.weight"].update(dtype="F16"),
        lambda header: header["pos.weight"].update(data_offsets=[-72, 0]),
        lambda header: header["pos.weight"].update(data_offsets=[1 << 40, (1 << 40) + 72]),
        lambda header: header.pop("__metadata__"),
    ],
)
def test_other_headers_are_rejected(edit: Callable[[dict[str, Any]], None], tmp_path: Path) -> None:
    path = write(tmp_path / "net.safetensors", *KINDS["transformer"](np.random.default_rng(3)))
    assert rejects(edited(path, edit))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, 2.0**22])
def test_weights_beyond_the_limit_are_rejected(value: float, tmp_path: Path) -> None:
    shape, tensors = KINDS["two layers"](np.random.default_rng(3))
    tensors["blocks.1.attn.q.weight"][0, 0] = value
    with pytest.raises(checker.Rejected):
        check(write(tmp_path / "net.safetensors", shape, tensors).read_bytes())


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(st.data())
def test_it_neither_crashes_nor_accepts_broken_bytes(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    path = tmp_path_factory.mktemp("net") / "net.safetensors"
    content = bytearray(write(path, *KINDS["mlp, gelu"](np.random.default_rng(3))).read_bytes())
    start = 8 + struct.unpack("<Q", content[:8])[0]
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        place = data.draw(st.integers(0, 7) | st.integers(8, start - 1))
        content[place] = data.draw(st.integers(0, 255).filter(lambda v: v != content[place]))
    broken = rejects(bytes(content))
    assert broken or len(content) >= start
