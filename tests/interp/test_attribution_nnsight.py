"""Attribution patching by nnsight gives the numbers of the TransformerLens hooks."""

import pytest
import torch

from interp.attribution import attribution_patching, contrast
from interp.attribution.with_nnsight import attribution_patching as by_nnsight
from pipeline.nets import DeepTransformer, DeepTransformerConfig, Mlp, MlpConfig, Net, Transformer, TransformerConfig
from pipeline.tasks import ModularTask

P = 7


def nets() -> list[tuple[Net, bool]]:
    torch.manual_seed(0)
    shallow = Transformer(TransformerConfig(P, d_model=8, n_heads=2, d_head=4, d_mlp=12)).eval()
    deep = DeepTransformer(DeepTransformerConfig(P, P, P, 2, 8, 2, 4, 12)).eval()
    perceptron = Mlp(MlpConfig(P, P, P, 4, (6, 5))).eval()
    return [(shallow, False), (shallow, True), (deep, False), (perceptron, True)]


@pytest.mark.parametrize("which", range(4))
def test_both_libraries_agree(which: int) -> None:
    net, neurons = nets()[which]
    inputs = contrast(ModularTask(P), 20)
    pairs = inputs[0]
    untraced = net(pairs)
    ours = attribution_patching(net, *inputs, neurons=neurons)
    theirs = by_nnsight(net, *inputs, neurons=neurons)
    assert theirs.edges == pytest.approx(ours.edges, abs=1e-5)
    assert theirs.nodes == pytest.approx(ours.nodes, abs=1e-5, nan_ok=True)
    assert (theirs.clean, theirs.corrupted) == pytest.approx((ours.clean, ours.corrupted), abs=1e-5)
    assert abs(ours.edges).max() > 1e-3
    assert theirs.config == {"by": "nnsight"}
    assert torch.equal(net(pairs), untraced), "traces and hooks are gone"
