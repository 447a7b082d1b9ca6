"""Any net of ours opens in nnsight as well, and shows it the same numbers as the TransformerLens hooks."""

import torch
from nnsight import NNsight

from pipeline.nets import Transformer, TransformerConfig


def test_nnsight_sees_what_the_hooks_see() -> None:
    torch.manual_seed(0)
    net = Transformer(TransformerConfig(p=7, d_model=8, n_heads=2, d_head=4, d_mlp=12)).eval()
    pairs = torch.cartesian_prod(torch.arange(7), torch.arange(7))
    with torch.no_grad():
        untraced, cache = net.run_with_cache(pairs)
        wrapped = NNsight(net)
        neurons = logits = torch.empty(0)
        with wrapped.trace(pairs):
            neurons = wrapped.mlp.hook_post.output.save()
            logits = wrapped.output.save()
    assert neurons.shape == (49, 12)
    torch.testing.assert_close(neurons, cache["mlp.hook_post"], atol=1e-5, rtol=0)
    torch.testing.assert_close(logits, untraced, atol=1e-5, rtol=0)
    torch.testing.assert_close(net(pairs), untraced, atol=1e-5, rtol=0)
