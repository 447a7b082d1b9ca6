"""The mutation campaign finds nothing in the checker, and finds what is wrong with a broken one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import soundness
from benchmarks.misstatements import KINDS
from benchmarks.mutants import Base, Mutant
from benchmarks.soundness import Campaign, campaign, make_bases, place
from benchmarks.truth import falsehoods
from verify import checker

MUTANTS = 100


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Base]:
    return make_bases(tmp_path_factory.mktemp("bases"))


@pytest.fixture
def bases(made: list[Base], monkeypatch: pytest.MonkeyPatch) -> list[Base]:
    """The campaign's bases, proved once."""
    monkeypatch.setattr(soundness, "make_bases", lambda _: made)
    monkeypatch.setattr(soundness, "PROVED", 60)
    return made


def test_no_false_acceptance(bases: list[Base], tmp_path: Path) -> None:
    done = campaign(MUTANTS, 1, tmp_path)
    tried, rejected, false_and_rejected, *_, false = done.total
    assert false == 0, done.found
    assert tried == MUTANTS
    assert rejected > tried / 2
    assert false_and_rejected > tried / 4


def test_what_proves_nothing_may_be_anything(
    bases: list[Base], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    harmless = "measured (harmless)"
    monkeypatch.setattr(soundness, "KINDS", {harmless: KINDS[harmless]})
    done = campaign(12, 1, tmp_path)
    assert (done.counts[harmless].tried, done.counts[harmless].rejected) == (12, 0)


def test_the_same_seed_gives_the_same_table(bases: list[Base], tmp_path: Path) -> None:
    tables = [campaign(15, seed, tmp_path / str(i)).table() for i, seed in enumerate((3, 3, 4))]
    assert tables[0] == tables[1] != tables[2]


def test_every_base_is_accepted_and_true_and_every_kind_makes_mutants(bases: list[Base]) -> None:
    assert {base.text["verdict"]["verdict"] for base in bases} == {"Proved", "Refuted", "Unknown"}
    rng = np.random.default_rng(0)
    for name, (kind, _) in KINDS.items():
        made = [kind(base, rng, bases) for base in bases for _ in range(5)]
        assert any(mutant is not None for mutant in made), name


BROKEN = {
    "no link is evaluated": ("Pairs", "check_equals", "", "weight: two rows or columns exchanged"),
    "no region is bounded": ("Recurrent", "induction", (True, True), "weight: two rows or columns exchanged"),
    "no radius is recomputed": ("Pairs", "check_radius", "", "radius"),
    "no counterexample is replayed": ("Pairs", "counterexample", "", "counterexample: a number"),
}
"""What of the checker is left out, what it says instead, and the kind of mutant that it then lets through."""


@pytest.mark.parametrize("broken", BROKEN)
def test_a_checker_that_does_not_evaluate_is_found_out(
    broken: str, bases: list[Base], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, name, instead, kind = BROKEN[broken]
    monkeypatch.setattr(soundness, "KINDS", {kind: KINDS[kind]})
    assert not campaign(20, 1, tmp_path / "whole").found
    monkeypatch.setattr(getattr(checker, owner), name, lambda *_: instead)
    assert campaign(20, 1, tmp_path / "broken").found, broken


def test_a_checker_that_accepts_all_and_one_that_accepts_nothing(bases: list[Base], tmp_path: Path) -> None:
    def nothing(certificate: Path, _: Sequence[Path]) -> list[str]:
        if "base" in certificate.parts:
            return []
        raise checker.Rejected("on a whim")

    everything = campaign(40, 1, tmp_path / "all", lambda *_: [])
    assert everything.total[-1] == len(everything.found) > 10
    assert campaign(20, 1, tmp_path / "none", nothing).total[:2] == [20, 20]


def test_a_prover_that_is_wrong_is_found_out(
    bases: list[Base], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that reads each net but evaluates the one that it was made from."""
    right = {base.name: base for base in bases}["trained net"]
    (tmp_path / "trained net").write_bytes(right.files["trained net"])
    monkeypatch.setattr(soundness, "verify_run", lambda nets, out, seconds: _copied(right, out, nets.trained))
    done = Campaign()
    for seed in range(12):
        soundness._prover(np.random.default_rng(seed), [right], tmp_path / "prover", done)
    assert done.found


def _copied(base: Base, out: Path, net: Any) -> None:
    """The base's certificate, said of another net."""
    out.mkdir(exist_ok=True)
    place(Mutant(base, base.text, {"trained net": net.read_bytes()}), out)


def test_truth_tells_apart_what_is_so(bases: list[Base], tmp_path: Path) -> None:
    base = {base.name: base for base in bases}["student"]
    mutant = Mutant.of(base)
    assert falsehoods(mutant.text, place(mutant, tmp_path)) == []
    assert falsehoods(mutant.text, []) == []
    mutant.text["claims"][0]["sentence"] += " and more"
    assert falsehoods(mutant.text, place(mutant, tmp_path))
