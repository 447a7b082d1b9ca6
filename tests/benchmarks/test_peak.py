"""The counts are those of the shapes, the kinds those of the names, and both ways of many train the same nets."""

from __future__ import annotations

import pytest
import torch

from benchmarks.many import ways
from benchmarks.peak import kind_of, main, times_by_kind, work_of
from pipeline.errors import UserError
from pipeline.nets import MlpConfig
from pipeline.recipe_files import load_recipe


def test_work_is_that_of_the_products() -> None:
    a, b = torch.randn(3, 5), torch.randn(5, 7)
    assert work_of(lambda: a @ b) == 2 * 3 * 5 * 7
    assert work_of(lambda: a + 1) == 0


@pytest.mark.parametrize(
    ("operator", "kind"),
    [
        ("aten::addmm", "products"),
        ("aten::softplus_backward", "loss"),
        ("aten::_softmax", "activations"),
        ("aten::gelu_backward", "activations"),
        ("aten::embedding_dense_backward", "look-up"),
        ("aten::fill_", "memory"),
        ("Optimizer.step#Muon.step", "optimiser"),
        ("aten::mul", "arithmetic"),
        ("aten::frobnicate", "other"),
    ],
)
def test_kinds(operator: str, kind: str) -> None:
    assert kind_of(operator) == kind


def test_shares_of_time_add_up() -> None:
    a = torch.randn(200, 200)
    shares = times_by_kind(lambda: (a @ a).relu(), 3)
    assert sum(shares.values()) == pytest.approx(1)
    assert {"products", "activations"} <= set(shares)


def test_an_impossible_number_of_repeats_is_one_line() -> None:
    with pytest.raises(UserError, match="--repeats = 0"):
        main(["--repeats", "0"])


def test_both_ways_train_the_same_nets(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, list[float]] = {"one by one": [], "together": []}
    config = MlpConfig(7, 7, 7, d_embed=6, widths=(8,))
    import benchmarks.many as module

    fit, fit_many = module.fit, module.fit_many
    monkeypatch.setattr(
        module,
        "fit",
        lambda *a, **k: seen["one by one"].append(fit(*a, **k)[-1]["train_loss"]),  # type: ignore
    )
    monkeypatch.setattr(
        module,
        "fit_many",
        lambda *a, **k: seen["together"].extend(f.history[-1]["train_loss"] for f in fit_many(*a, **k)),
    )
    for way in ways(7, config, load_recipe("standard"), 3, 5, torch.device("cpu")).values():
        way()
    assert len(seen["together"]) == 3
    assert seen["together"] == pytest.approx(seen["one by one"], rel=1e-4)
