"""The predictions of radial suppression: what is compared, the rule of the verdicts, and that a run resumes."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import radial
from benchmarks.protocols import P1, PROTOCOLS
from benchmarks.radial import PAIRINGS, Arm, Pairing, impose, lengths, main, measure, shares, train
from benchmarks.radial_table import (
    LEVELS,
    RATIOS,
    Estimate,
    Moment,
    Run,
    Statistic,
    bootstrap,
    compare,
    comparisons,
    estimate,
    page,
    students_quantile,
)
from pipeline.errors import UserError
from pipeline.nets import MlpConfig, Net, build_net
from pipeline.recipe_params import NormPenaltyParams, RecipeParams
from train.data import Data
from train.recipes import initialise
from train.schedules import multiplier

SMALL = replace(P1.changed(p=11), net=MlpConfig(11, 11, 11, d_embed=8, widths=(16, 16)))
PAIRING = Pairing("P1", "muon_radial", 3, (Arm("none"), Arm("zero", "own"), Arm("norms", norms_of="zero")))
SHARE = Statistic(2, "share", "row_share", "training")
AT_FIT = Statistic(3, "rise", "noise_rise", "fit")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROTOCOLS, "P1", SMALL)
    monkeypatch.setattr(radial, "PAIRINGS", (PAIRING,))


def moment(**values: float | None) -> Moment:
    return Moment(**{**dict.fromkeys(Moment.__annotations__, 1.0), **values})  # type: ignore[arg-type]


def run(arm: str, seed: int, row_share: float = 0.5, fit: Moment | None = None) -> Run:
    return Run("P1", "muon_radial", arm, "digest", seed, 10, row_share, 1.0, 1.0, 1.0, fit, moment())


def net_of(recipe: RecipeParams) -> tuple[Net, Data]:
    net = build_net(SMALL.net)
    initialise(net, recipe.init, torch.Generator().manual_seed(0))
    return net, Data.of_pairs(SMALL.task, SMALL.fraction, 0)


def test_arms_differ_in_the_penalty_only() -> None:
    for pairing in PAIRINGS:
        recipes = {arm.name: pairing.recipe_of(arm) for arm in pairing.arms}
        none, to_zero = recipes["none"].norm_penalty, recipes["zero"].norm_penalty
        assert none is None
        assert to_zero is not None
        assert to_zero.strength > 0
        assert all(r.model_copy(update={"norm_penalty": None}) == recipes["none"] for r in recipes.values())
        if "root" in recipes:
            assert recipes["root"].norm_penalty == to_zero.model_copy(update={"radius": None})
        else:
            assert recipes["norms"] == recipes["none"]


@pytest.mark.parametrize("pairing", PAIRINGS, ids=lambda pairing: f"{pairing.protocol} {pairing.recipe}")
def test_every_recipe_ends_at_a_small_rate(pairing: Pairing) -> None:
    schedule, steps = pairing.recipe_of(pairing.arms[0]).schedule, pairing.steps
    factors = [multiplier(schedule, step, 10, PROTOCOLS[pairing.protocol].steps) for step in range(steps)]
    assert max(factors) == 1.0
    assert factors[-1] < 0.03


def test_a_ratio_is_paired_by_seed_and_a_missing_one_is_not_counted() -> None:
    with_it = [run("zero", 1, 0.2, moment(noise_rise=3.0)), run("zero", 0, 0.1), run("zero", 7, 0.1)]
    without = [run("none", 0, 0.4, moment()), run("none", 1, 0.2, moment(noise_rise=1.5))]
    found = compare(SHARE, with_it, without)
    assert found is not None
    assert (found.mean, found.n, found.agreeing) == (pytest.approx(0.5), 2, 1)
    at_fit = compare(AT_FIT, with_it, without)
    assert at_fit is not None
    assert (at_fit.mean, at_fit.n) == (pytest.approx(2.0), 1)
    assert compare(AT_FIT, with_it[1:], without) is None


def test_a_verdict_needs_the_whole_interval() -> None:
    def below(low: float, high: float, n: int = 8) -> str:
        return Estimate((low + high) / 2, low, high, n, 0, 1.0, above=False).verdict

    assert below(0.5, 0.9) == "confirmed"
    assert below(0.5, 1.1) == "not confirmed"
    assert below(1.1, 1.2) == "opposite"
    assert below(0.5, 0.9, n=5) == "not confirmed", "five of five on one side may be chance"
    assert Estimate(2.0, 1.5, 2.5, 8, 8, 1.0, above=True).verdict == "confirmed"
    assert Estimate(0.5, 0.4, 0.6, 8, 0, 1.0, above=True).verdict == "opposite"


def test_the_interval_covers_the_mean_and_shrinks_with_n() -> None:
    values = np.random.default_rng(3).normal(2.0, 1.0, 400)
    low, high = bootstrap(values)
    assert low < values.mean() < high
    assert high - low == pytest.approx(4 * 0.98 / 20, rel=0.15)
    assert bootstrap(values) == (low, high)
    few = bootstrap(values[:25])
    assert few[1] - few[0] > 2 * (high - low)


def test_students_quantile_is_that_of_the_tables() -> None:
    assert [students_quantile(n) for n in (5, 7, 30)] == pytest.approx([2.5706, 2.3646, 2.0423], abs=0.005)


def test_the_interval_of_eight_is_as_wide_as_students() -> None:
    values = np.random.default_rng(4).normal(0.0, 1.0, (200, 8))
    widths = [(high - low) / row.std(ddof=1) for row in values for low, high in [bootstrap(row)]]
    assert np.mean(widths) == pytest.approx(2 * 2.365 / 8**0.5, rel=0.05)


def test_levels_are_those_of_runs_that_have_them() -> None:
    correlation = LEVELS[0]
    runs = [replace(run("zero", seed), end=moment(rate_correlation=c)) for seed, c in enumerate((0.5, 0.7, None))]
    found = estimate(correlation, runs)
    assert found is not None
    assert (found.mean, found.n, found.agreeing) == (pytest.approx(0.6), 2, 2)
    assert estimate(correlation, runs[2:]) is None
    times_width = estimate(LEVELS[2], [run("zero", 0, 0.05), run("zero", 1, 0.15)])
    assert times_width is not None
    assert times_width.mean == pytest.approx(1.0)


def test_every_statistic_is_a_number_of_a_run() -> None:
    full = run("zero", 0, fit=moment())
    assert {statistic.of(full) for statistic in RATIOS} == {0.5, 1.0}
    assert [statistic.prediction for statistic in RATIOS if statistic.main] == [1, 2, 3, 3]
    assert comparisons(["none", "zero", "norms"]) == [("zero", "none"), ("zero", "norms"), ("norms", "none")]


def test_the_page_tallies_the_penalised_recipes() -> None:
    shares_of = {"none": 0.5, "zero": 0.1, "norms": 0.1}
    runs = [run(arm, seed, share) for arm, share in shares_of.items() for seed in range(6)]
    text = page(runs)
    assert "Of 1 penalised recipes" in text
    assert "radial share of the CE gradient in h, mean over training**: 1 confirmed" in text
    assert "alignment of W with its inputs, at the end**: 1 not confirmed" in text
    assert "| P1 muon_radial: zero / none | 1 [1, 1] 0/6 not confirmed | 0.2 [0.2, 0.2] 6/6 confirmed |" in text
    assert "| ratio | zero / none | zero / norms | norms / none |" in text
    assert "0.2 [0.2, 0.2] 6/6 confirmed | 1 [1, 1] 0/6 not confirmed | 0.2 [0.2, 0.2] 6/6 |" in text
    assert "| none | never (0/6) |" in text


def test_without_a_penalty_the_whole_gradient_is_that_of_the_cross_entropy(small: None) -> None:
    bare, penalised = (PAIRING.recipe_of(arm) for arm in PAIRING.arms[:2])
    net, data = net_of(bare)
    plain, both = shares(net, bare, data), shares(net, penalised, data)
    assert (plain.rows, plain.weights) == (plain.rows_descended, plain.weights_descended)
    assert (both.rows, both.weights) == (plain.rows, plain.weights)
    strong = penalised.model_copy(update={"norm_penalty": NormPenaltyParams(strength=1e4, radius=0.0)})
    assert shares(net, strong, data).rows_descended == pytest.approx(1.0, abs=1e-3)


def test_a_net_is_left_as_it_was_by_measuring_it(small: None) -> None:
    recipe = PAIRING.recipe_of(PAIRING.arms[1])
    net, data = net_of(recipe)
    before = [weight.detach().clone() for weight in net.parameters()]
    found = measure(net, recipe, data, 0, hessian=True)
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
    assert found.top_eigenvalue is not None
    assert found.inverse_temperature is None, "an untrained net has no scale at which it is right"
    assert found.top_relative_equal_loss is None
    assert found.rate_correlation is not None


def test_imposed_lengths_are_met_and_directions_kept(small: None) -> None:
    net, _ = net_of(PAIRING.recipe_of(PAIRING.arms[0]))
    before = [weight.detach().clone() for weight in net.parameters()]
    targets = [2.0 + i for i in range(len(lengths(net)))]
    impose(net, targets)
    assert lengths(net) == pytest.approx(targets, rel=1e-5)
    for old, new in zip(before, net.parameters(), strict=True):
        cosine = torch.nn.functional.cosine_similarity(old.flatten(), new.detach().flatten(), dim=0)
        assert cosine.item() == pytest.approx(1.0)


def test_the_control_has_the_lengths_of_the_penalised_run(small: None) -> None:
    none, zero, norms = PAIRING.arms
    _, free = train(PAIRING, none, 0, [])
    penalised, targets = train(PAIRING, zero, 0, [])
    control, found = train(PAIRING, norms, 0, targets)
    assert len(found) == PAIRING.steps
    assert np.allclose(found, targets, rtol=1e-5)
    assert not np.allclose(free, targets, rtol=1e-3)
    assert penalised.end.rate_correlation is not None
    assert control.end.rate_correlation is None


def test_a_command_goes_on_from_its_file(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, table = tmp_path / "runs.jsonl", tmp_path / "radial.md"
    arguments = ["--seeds", "2", "--out", str(out), "--table", str(table)]
    assert main(arguments) == 0
    first = capsys.readouterr().out
    assert table.read_text() == first
    lines = out.read_text().splitlines()
    assert len(lines) == 6

    out.write_text("\n".join(lines[:4]) + "\n")
    assert main(arguments) == 0
    assert capsys.readouterr().out == first

    def refuse(pairing: Pairing, seed: int) -> list[Run]:
        raise AssertionError("run again")

    monkeypatch.setattr(radial, "run_arms", refuse)
    assert main(arguments) == 0
    assert capsys.readouterr().out == first


def test_a_run_survives_its_file() -> None:
    for each in (run("zero", 3), run("none", 4, fit=moment(penalty_along=None))):
        assert Run.of(asdict(each)) == each


def test_no_seeds_is_an_error() -> None:
    with pytest.raises(UserError, match="--seeds = 0"):
        main(["--seeds", "0"])
