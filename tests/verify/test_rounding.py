"""The rounding theorem: bounds hold against ball arithmetic and random orders, and doubt is never called an answer."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flint import arb, ctx

from benchmarks.by_hand import write_snapshot
from benchmarks.rounding import Shuffled, naive, observed
from pipeline.errors import UserError
from tests.verify.forward_nets import KINDS, P, decoder, exact_logits, perceptron, write
from verify import enclose
from verify.exact_net import NO_ANSWER
from verify.real_net import Decoder, load_real_net
from verify.rounding import analyse


@pytest.mark.parametrize("kind", KINDS)
def test_answers_leads_and_bounds_against_balls_and_random_orders(kind: str, tmp_path: Path) -> None:
    shape, tensors = KINDS[kind](np.random.default_rng(3))
    net = load_real_net(write(tmp_path / "net.safetensors", shape, tensors))
    report, rng = analyse(net), np.random.default_rng(1)
    coarse = analyse(net, coarse=True)
    np.testing.assert_array_equal(coarse.answers, report.answers)
    assert np.isfinite(coarse.bounds).all()
    for a in range(P):
        exact = np.array([[float(v.mid()) for v in exact_logits(shape, tensors, a, b)] for b in range(P)])
        ordered = np.sort(exact, axis=1)
        leads = ordered[:, -1] - ordered[:, -2]
        assert (report.margins[a] <= leads + 1e-15).all()
        np.testing.assert_allclose(report.margins[a], leads, atol=1e-11)
        np.testing.assert_array_equal(report.answers[a], exact.argmax(axis=1))
        for _ in range(5):
            rounded = Shuffled(net, rng).logits(a).astype(np.float64)
            top = (np.arange(P), exact.argmax(axis=1))
            change = (rounded[top][:, None] - rounded) - (exact[top][:, None] - exact)
            assert (np.abs(change).max(axis=1) < np.minimum(report.bounds[a], coarse.bounds[a])).all()
        assert (coarse.margins[a] <= leads + 1e-15).all()
        assert (report.bounds[a] < naive(net, a) * 1.1).all()


@pytest.mark.parametrize("kind", ["two layers", "operator, biases", "mlp, summed"])
@pytest.mark.parametrize("scaled", ["", "qk", "o"])
def test_what_does_not_cancel_is_no_less(kind: str, scaled: str, tmp_path: Path) -> None:
    """The coarse bound leaves out nothing: not the errors of scores, values or neurons, nor those of the top logit."""
    for seed in range(3):
        shape, tensors = KINDS[kind](np.random.default_rng(seed))
        grown = {name: x * (6 if name.split(".")[-2] in scaled else 1) for name, x in tensors.items()}
        net = load_real_net(write(tmp_path / "net.safetensors", shape, grown))
        assert (analyse(net, coarse=True).bounds >= analyse(net).bounds * (1 - 1e-6)).all()


def test_float32_of_torch_stays_within_the_bounds(tmp_path: Path) -> None:
    import torch

    from pipeline.nets import build_net, config_from

    shape, tensors = KINDS["transformer"](np.random.default_rng(5))
    report = analyse(load_real_net(write(tmp_path / "net.safetensors", shape, tensors)))
    module = build_net(config_from(shape))
    module.load_state_dict({name: torch.tensor(x, dtype=torch.float32) for name, x in tensors.items()})
    pairs = torch.cartesian_prod(torch.arange(P), torch.arange(P))
    with torch.no_grad():
        rounded = module(pairs).double().numpy().reshape(P, P, P)
    for a, b in np.ndindex(P, P):
        exact = np.array([float(v.mid()) for v in exact_logits(shape, tensors, a, b)])
        top = exact.argmax()
        change = np.abs((rounded[a, b, top] - rounded[a, b]) - (exact[top] - exact)).max()
        assert change < report.bounds[a, b]


def test_a_hand_built_net_is_right_and_unchanged(tmp_path: Path) -> None:
    net = load_real_net(write_snapshot(tmp_path / "net.safetensors", 7))
    report = analyse(net)
    assert report.holds
    assert report.smallest > 100
    assert report.median >= report.smallest
    assert report.first_wrong() is None
    assert observed(net, report, 2).max() < 1


def test_a_wrong_net_has_its_first_wrong_pair(tmp_path: Path) -> None:
    report = analyse(load_real_net(write_snapshot(tmp_path / "net.safetensors", 7, swap=True)))
    assert report.holds
    assert report.first_wrong() == (0, 1)


def change(tensors: dict[str, Any], name: str, scale: float) -> None:
    tensors[name] = np.asarray(tensors[name], dtype=np.float32) * np.float32(scale)


def test_a_tie_has_no_answer(tmp_path: Path) -> None:
    shape, tensors = perceptron(np.random.default_rng(0))
    tensors["unembed.weight"][:] = tensors["unembed.weight"][0]
    report = analyse(load_real_net(write(tmp_path / "net.safetensors", shape, tensors)))
    assert (report.answers == NO_ANSWER).all()
    assert report.first_open() == (0, 0)
    assert not report.holds
    assert report.first_wrong() is None


def test_a_lead_of_a_millionth_is_certain_but_not_safe(tmp_path: Path) -> None:
    shape, tensors = perceptron(np.random.default_rng(0), widths=[200])
    tensors["unembed.weight"][:] = tensors["unembed.weight"][0]
    tensors["unembed.weight"][0, 0] += 1e-6
    tensors["layers.0.linear.bias"][0] = 9.0
    report = analyse(load_real_net(write(tmp_path / "net.safetensors", shape, tensors)))
    assert (report.answers == 0).all()
    assert report.margins.min() > 0
    assert (report.margins < report.bounds).all()
    assert not report.holds


def test_cancellation_of_large_weights_is_not_called_safe(tmp_path: Path) -> None:
    shape, tensors = perceptron(np.random.default_rng(2), widths=[6])
    wide = tensors["layers.0.linear.weight"]
    tensors["layers.0.linear.weight"] = np.concatenate([wide, wide])
    tensors["layers.0.linear.bias"] = np.tile(tensors["layers.0.linear.bias"], 2)
    big = np.full((P, 6), 2.0**20)
    tensors["unembed.weight"] = np.concatenate([big + np.float32(0.125) * tensors["unembed.weight"], -big], axis=1)
    shape["widths"] = [12]
    net = load_real_net(write(tmp_path / "net.safetensors", shape, tensors))
    report = analyse(net)
    assert not report.holds
    assert observed(net, report, 3).max() < 1


@pytest.mark.parametrize("name", ["embed_left.weight", "layers.1.linear.weight", "unembed.weight"])
def test_weights_beyond_the_limit_leave_everything_open(name: str, tmp_path: Path) -> None:
    shape, tensors = perceptron(np.random.default_rng(2))
    change(tensors, name, 2.0**60)
    report = analyse(load_real_net(write(tmp_path / "net.safetensors", shape, tensors)))
    assert not report.holds
    assert np.isinf(report.bounds).all()


def test_an_embedding_beyond_the_limit_that_no_weight_reads_leaves_everything_open(tmp_path: Path) -> None:
    """left + right overflows in float32, and infinity times 0 is no number, although exact arithmetic sees nothing."""
    shape, tensors = perceptron(np.random.default_rng(2))
    tensors["layers.0.linear.weight"][:, 0] = 0
    for side in ("left", "right"):
        tensors[f"embed_{side}.weight"][:, 0] = 3e38
    report = analyse(load_real_net(write(tmp_path / "net.safetensors", shape, tensors)))
    assert not report.holds
    assert np.isinf(report.bounds).all()


@pytest.mark.parametrize("layers", [1, 3])
def test_no_bound_is_asked_of_a_softmax_whose_share_is_0(layers: int, tmp_path: Path) -> None:
    """However sharp it would be: weights are 1, and the answers those of balls."""
    shape, tensors = decoder(np.random.default_rng(5), n_layers=layers, softmax_share=0.0)
    report = analyse(load_real_net(write(tmp_path / "net.safetensors", shape, tensors)))
    for name in tensors:
        if name.split(".")[-2] in "qk":
            tensors[name] = tensors[name] * 1e4
    net = load_real_net(write(tmp_path / "net.safetensors", shape, tensors))
    sharp = analyse(net)
    assert sharp.holds
    assert sharp.reasons == {}
    np.testing.assert_array_equal(sharp.answers, report.answers)
    exact = [[float(v.mid()) for v in exact_logits(shape, tensors, a, b)] for a, b in np.ndindex(P, P)]
    np.testing.assert_array_equal(sharp.answers.ravel(), np.argmax(exact, axis=1))
    assert observed(net, sharp, 3).max() < 1


@pytest.mark.parametrize(
    ("layers", "scale", "unsure"),
    [(2, 300, False), (3, 100, False), (4, 100, True), (2, 1000, True), (2, 1e12, True)],
)
def test_the_theorem_fails_for_one_input_at_a_time(layers: int, scale: float, unsure: bool, tmp_path: Path) -> None:
    """One symbol is embedded so far away that its scores are beyond bounds: pairs without it lose nothing by that."""
    shape, tensors = decoder(np.random.default_rng(3), n_layers=layers)
    near = analyse(load_real_net(write(tmp_path / "net.safetensors", shape, tensors)))
    tensors["embed.weight"][3] *= scale
    net = load_real_net(write(tmp_path / "net.safetensors", shape, tensors))
    for report in (analyse(net), analyse(net, coarse=True)):
        has_it = np.zeros((P, P), dtype=bool)
        has_it[3] = has_it[:, 3] = True
        np.testing.assert_array_equal(report.answers[~has_it], near.answers[~has_it])
        np.testing.assert_array_equal(np.isinf(report.bounds), has_it | np.isinf(near.bounds))
        assert {pair for pair in report.reasons if has_it[pair]} == set(zip(*np.nonzero(has_it), strict=True))
        assert "a softmax may be off by" in report.reasons[0, 3] or "magnitudes reach" in report.reasons[0, 3]
        assert not report.holds
        assert report.smallest == -np.inf
        assert not np.isnan(report.median)
        assert bool((report.answers == NO_ANSWER).any()) is unsure
        for a, b in np.argwhere(report.answers != NO_ANSWER):
            exact = sorted((float(v.mid()), c) for c, v in enumerate(exact_logits(shape, tensors, a, b)))
            assert report.answers[a, b] == exact[-1][1]
            assert report.margins[a, b] <= (exact[-1][0] - exact[-2][0]) * (1 + 1e-12)


def test_a_sharp_softmax_leaves_everything_open(tmp_path: Path) -> None:
    shape, tensors = decoder(np.random.default_rng(2))
    change(tensors, "blocks.0.attn.q.weight", 1e4)
    change(tensors, "blocks.0.attn.k.weight", 1e4)
    assert not analyse(load_real_net(write(tmp_path / "net.safetensors", shape, tensors))).holds


def test_pruned_of_every_head(tmp_path: Path) -> None:
    shape, tensors = KINDS["transformer"](np.random.default_rng(3))
    shape["n_heads"] = 0
    tensors |= {f"attn.{name}.weight": np.zeros((0, 6)) for name in "qkv"} | {"attn.o.weight": np.zeros((6, 0))}
    net = load_real_net(write(tmp_path / "net.safetensors", shape, tensors))
    assert isinstance(net, Decoder)
    report = analyse(net)
    assert np.isfinite(report.bounds).all()
    assert len(np.unique(report.answers)) == 1


def test_exp_and_tanh_are_within_their_bound() -> None:
    rng = np.random.default_rng(0)
    x = -np.concatenate([np.exp(rng.normal(-2, 3, 500)).clip(0, 699), [0.0, 5e-324, 1 / 128, 1 / 64]])
    ctx.prec, before = 200, ctx.prec
    try:
        for values, points, exact in (
            (enclose.exp(x), x, lambda y: y.exp()),
            (enclose.tanh(np.concatenate([x, -x])), np.concatenate([x, -x]), lambda y: y.tanh()),
        ):
            for value, point in zip(values.tolist(), points.tolist(), strict=True):
                assert abs(arb(value) - exact(arb(point))) <= 16 * arb(2) ** -53 * abs(exact(arb(point)))
    finally:
        ctx.prec = before
    assert enclose.exp(np.array([-np.inf])).item() == 0


def test_the_slopes_of_gelu_are_as_stated() -> None:
    """|gelu'| < 1.2 and |gelu''| < 1, by intervals; beyond 8 both are within 1e-6 of those of 0 or x."""
    root, cubic = (2 / arb.pi()).sqrt(), arb(44715) / 1000000
    for i in range(-8 * 256, 8 * 256):
        x = (arb(i) / 256).union(arb(i + 1) / 256)
        t, d1, d2 = (root * (x + cubic * x**3)).tanh(), root * (1 + 3 * cubic * x**2), 6 * root * cubic * x
        s = 1 - t * t
        assert abs((1 + t) / 2 + x / 2 * s * d1) < arb("1.2")
        assert abs(s * d1 + x / 2 * (s * d2 - 2 * t * s * d1 * d1)) < 1


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("kind", "quadratic"),
        ("activation", "gelu"),
        ("pre_norm", True),
        ("own_symbols", True),
        ("n_left", 4),
        ("softmax_share", 1.5),
        ("softmax_share", float("nan")),
        ("d_mlp", -1),
        ("d_mlp", 9),
        ("n_layers", 0),
        ("n_layers", 1),
        ("causal", 1),
        ("d_head", None),
        ("heads", 2),
    ],
)
def test_other_nets_are_refused_in_one_line(key: str, value: object, tmp_path: Path) -> None:
    shape, tensors = decoder(np.random.default_rng(0))
    with pytest.raises(UserError) as error:
        load_real_net(write(tmp_path / "net.safetensors", shape | {key: value}, tensors))
    assert "\n" not in str(error.value)


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    shape, tensors = decoder(np.random.default_rng(0))
    tensors["unembed.weight"][0, 0] = np.nan
    with pytest.raises(UserError, match="not finite"):
        load_real_net(write(tmp_path / "net.safetensors", shape, tensors))


def test_a_missing_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes((2).to_bytes(8, "little") + json.dumps({}).encode())
    with pytest.raises(UserError, match="format"):
        load_real_net(path)


def test_a_falling_gelu_bounds_what_rounding_does_to_it(tmp_path: Path) -> None:
    """Left of -0.75 the slope of GELU is negative; sums that cancel are off by far more than GELU itself."""
    rng = np.random.default_rng(2)
    net, tensors = perceptron(rng, combine="concatenate", activation="gelu_tanh", widths=[2])
    x, weight = rng.normal(size=8).astype(np.float32) * 300, rng.normal(size=(2, 8)).astype(np.float32)
    tensors["embed_left.weight"], tensors["embed_right.weight"] = np.tile(x[:4], (P, 1)), np.tile(x[4:], (P, 1))
    tensors["layers.0.linear.weight"] = weight
    tensors["layers.0.linear.bias"] = np.array([-1.2, -1.20002]) - weight.astype(float) @ x.astype(float)
    tensors["unembed.weight"] = np.eye(P, 2)
    report = analyse(load_real_net(write(tmp_path / "net.safetensors", net, tensors)))
    lost = 2.0**-24 * float(np.abs(weight * x).sum(axis=1).max())
    assert (report.bounds > 0.1 * lost).all()
    assert not report.holds
