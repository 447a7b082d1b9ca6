"""Embeddings, their gradients and nets with other embeddings, for every kind of net."""

from __future__ import annotations

import pytest
import torch

from interp.first_layer import embedding_gradients, embeddings, first_layer, logits_with_embeddings
from interp.view import view
from pipeline.errors import UserError
from pipeline.nets import DeepTransformerConfig, MlpConfig, NetConfig, QuadraticConfig, TransformerConfig, build_net
from pipeline.tasks import ModularTask

P = 7
TASK = ModularTask(P)
PAIRS = torch.from_numpy(TASK.pairs())
CONFIGS: list[NetConfig] = [
    TransformerConfig(P, d_model=8, n_heads=2, d_head=4, d_mlp=16),
    DeepTransformerConfig(P, P, P, 2, 8, 2, 4, 16),
    DeepTransformerConfig(P, P, P, 1, 8, 2, 4, 16, "relu", False, False, False, False, softmax_share=0.5),
    MlpConfig(P, P, P, 6, (9, 5)),
    MlpConfig(P, P, P, 6, (9,), "relu", "sum", True),
    QuadraticConfig(P, P, P, 5),
]
NAMES = ["transformer", "deep", "deep without =", "mlp", "mlp sum", "quadratic"]


@pytest.mark.parametrize("config", CONFIGS, ids=NAMES)
def test_gradients_are_differences(config: NetConfig) -> None:
    """Of the logit when the embedding of one side's symbol moves; a is not b, so that tied tables do not matter."""
    torch.manual_seed(0)
    net = build_net(config).double()
    pairs, outputs = torch.tensor([[2, 5], [3, 0]]), torch.tensor([1, 6])
    slopes = embedding_gradients(net, pairs, outputs)
    tied = first_layer(net).left == first_layer(net).right
    for side in (0, 1):
        way = torch.randn(slopes[side].shape[1], dtype=torch.float64)
        for i, symbol in enumerate(pairs[:, side].tolist()):
            moved = []
            for size in (1e-5, -1e-5):
                tables = [table.clone() for table in embeddings(net)]
                for table in tables if tied else tables[side : side + 1]:
                    table[symbol] += size * way
                logits = logits_with_embeddings(net, pairs[i : i + 1], tables[0], tables[1])
                moved.append(float(logits[0, outputs[i]]))
            assert (moved[0] - moved[1]) / 2e-5 == pytest.approx(float(slopes[side][i] @ way), abs=1e-7)


@pytest.mark.parametrize("config", CONFIGS, ids=NAMES)
def test_its_own_embeddings_change_nothing(config: NetConfig) -> None:
    torch.manual_seed(0)
    net = build_net(config)
    with torch.no_grad():
        torch.testing.assert_close(logits_with_embeddings(net, PAIRS, *embeddings(net)), net(PAIRS))


@pytest.mark.parametrize("config", CONFIGS, ids=NAMES)
def test_a_view_has_the_nets_own_logits(config: NetConfig) -> None:
    torch.manual_seed(0)
    net = build_net(config)
    seen = view(net, TASK)
    with torch.no_grad():
        torch.testing.assert_close(seen.logits.reshape(-1, P), net(PAIRS).double())
    assert seen.first.shape[0] == P * P
    assert seen.left.shape == seen.right.shape == (P, embeddings(net)[0].shape[1])


def test_another_modulus_is_refused() -> None:
    with pytest.raises(UserError, match="net answers = 7: the task has 11"):
        view(build_net(CONFIGS[0]), ModularTask(11))
