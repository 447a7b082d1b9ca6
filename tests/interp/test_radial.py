"""Shares along a vector, and what a penalty on lengths does to a matrix, on cases with known answers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from interp.radial import input_alignment, last_hidden, radial_share, radial_share_of_rows, rate_rank_correlation
from pipeline.nets import MlpConfig, TransformerConfig, build_net


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_along_is_one_across_is_zero_and_energies_add() -> None:
    v, across = torch.tensor([3.0, 4.0]), torch.tensor([-4.0, 3.0])
    assert radial_share([2 * v], [v]) == pytest.approx(1.0)
    assert radial_share([across], [v]) == pytest.approx(0.0)
    assert radial_share([v, 2 * across], [v, v]) == pytest.approx(1 / 5)
    assert radial_share([v, v], [v, 0 * v]) == pytest.approx(1 / 2)
    assert radial_share([0 * v], [v]) == 0.0


def test_rows_are_vectors_of_their_own() -> None:
    g, h = random(5000, 16), random(5000, 16, seed=1)
    assert radial_share_of_rows(g, h) == pytest.approx(1 / 16, rel=0.1)
    assert radial_share_of_rows(h, h) == pytest.approx(1.0)
    signs = torch.ones(5000, 1).index_fill_(0, torch.arange(0, 5000, 2), -1.0)
    assert radial_share_of_rows(signs * h, h) == pytest.approx(1.0)
    assert radial_share([signs * h], [h]) < 0.01


def inputs() -> Tensor:
    """Second moment nearly diagonal, with entries that fall from 1 to 1/64."""
    return random(4000, 7) * 2.0 ** -(torch.arange(7) ** 0.5)


def test_alignment_sees_directions_and_no_scale() -> None:
    x, w = inputs(), random(2000, 7, seed=1)
    assert input_alignment(w, x) == pytest.approx(1.0, abs=0.1)
    assert input_alignment(5 * w, x) == pytest.approx(input_alignment(w, 3 * x), rel=1e-6)
    moments = x.square().mean(0)
    first, last = torch.eye(7)[:1], torch.eye(7)[-1:]
    assert input_alignment(first, x) == pytest.approx(float(7 * moments[0] / moments.sum()), rel=1e-5)
    assert input_alignment(last, x) < 1 < input_alignment(first, x)


def test_rates_of_a_penalty_on_the_outputs_follow_the_inputs_variance() -> None:
    x, w = inputs(), random(20, 7, seed=1)
    moment = x.T @ x / len(x)
    assert rate_rank_correlation(2 * w @ moment, w, x) == pytest.approx(1.0)
    assert rate_rank_correlation(-2 * w @ moment, w, x) == pytest.approx(-1.0)
    assert rate_rank_correlation(w @ torch.linalg.inv(moment), w, x) == pytest.approx(-1.0)


def test_directions_that_the_inputs_do_not_have_are_left_out() -> None:
    x, w = inputs(), random(20, 7, seed=1)
    padded, wide = torch.cat([x, torch.zeros(len(x), 3)], dim=1), torch.cat([w, random(20, 3, seed=2)], dim=1)
    moment = padded.T @ padded / len(padded)
    noisy = wide @ moment + torch.cat([torch.zeros(20, 7), random(20, 3, seed=3)], dim=1)
    assert rate_rank_correlation(noisy, wide, padded) == pytest.approx(1.0)


def test_a_correlation_needs_three_directions() -> None:
    x, w = inputs()[:, :2], random(20, 2, seed=1)
    assert rate_rank_correlation(w, w, x) is None


def test_the_last_hidden_matrix_is_the_one_before_the_readout() -> None:
    mlp, transformer = build_net(MlpConfig(5, 5, 5, d_embed=3, widths=(4, 6))), build_net(TransformerConfig(5))
    assert last_hidden(mlp) is mlp.get_submodule("layers.1.linear")
    assert last_hidden(transformer) is transformer.get_submodule("mlp.w_out")
