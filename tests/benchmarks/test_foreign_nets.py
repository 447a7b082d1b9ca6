"""A net in the published format gets a verdict over all inputs, with the float bound: a right one and a wrong one."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks.foreign import verdict

P = 5


def lookup(path: Path, slip: bool) -> Path:
    """An MLP on two one-hot embeddings side by side: a unit for each pair, read by the answer to it."""
    pairs = [(i, j) for i in range(P) for j in range(P)]
    first, unembed = torch.zeros(P * P, 2 * P), torch.zeros(P, P * P)
    for unit, (i, j) in enumerate(pairs):
        first[unit, i] = first[unit, P + j] = 1
        unembed[(i + j) % P, unit] = 1
    if slip:
        unembed[:, 7] = unembed[:, 8]
    state = {"embed.weight": torch.eye(P), "l1.weight": first, "l1.bias": -torch.ones(P * P), "unembed.weight": unembed}
    torch.save(state, path)
    config = {"C": P, "model_type": "D", "n_vocab": P, "d_model": 2 * P, "d_hidden": P * P}
    (path.parent / f"config_{path.stem.removeprefix('model_')}.json").write_text(json.dumps(config))
    return path


def test_a_right_one_is_proved_and_a_slip_is_named(tmp_path: Path) -> None:
    assert ": Proved (arithmetic = trained net)" in verdict(lookup(tmp_path / "model_right.pt", False), P)
    row = verdict(lookup(tmp_path / "model_slip.pt", True), P)
    assert "model_slip.pt: 24 of 25 right" in row
    assert row.endswith("Refuted: 1 + 2 = 3 (mod 5), the trained net says 4 (wrong on 1 of 25 inputs)")


PUBLISHED = Path(__file__).parents[3] / "shared" / "foreign" / "pizza" / "model_7r4zst7evs.pt"


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published models are not here")
def test_a_published_one(tmp_path: Path) -> None:
    assert "3481 of 3481 right" in (row := verdict(PUBLISHED, 59))
    assert row.endswith(": Proved (arithmetic = trained net)")
