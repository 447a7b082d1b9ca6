"""The transformer against a direct evaluation of its equations, and its hooks against none."""

import numpy as np
import pytest
import torch

from pipeline.nets import Transformer, TransformerConfig

CONFIG = TransformerConfig(p=7, d_model=8, n_heads=2, d_head=4, d_mlp=12)


@pytest.fixture
def net() -> Transformer:
    torch.manual_seed(0)
    return Transformer(CONFIG).eval()


def all_pairs() -> torch.Tensor:
    return torch.cartesian_prod(torch.arange(7), torch.arange(7))


def by_the_equations(net: Transformer, a: int, b: int) -> np.ndarray:
    """Every position, one head at a time, in float64 numpy."""
    w = {name: value.detach().double().numpy() for name, value in net.state_dict().items()}
    x = w["embed.weight"][[a, b, 7]] + w["pos.weight"]
    mixed = np.zeros(8)
    for head in range(2):
        rows = slice(4 * head, 4 * head + 4)
        q, k, v = (x @ w[f"attn.{name}.weight"][rows].T for name in "qkv")
        scores = k @ q[-1] / 2.0
        pattern = np.exp(scores) / np.exp(scores).sum()
        mixed += w["attn.o.weight"][:, rows] @ (pattern @ v)
    mid = x[-1] + mixed
    hidden = np.maximum(w["mlp.w_in.weight"] @ mid + w["mlp.w_in.bias"], 0)
    return w["unembed.weight"] @ (mid + w["mlp.w_out.weight"] @ hidden + w["mlp.w_out.bias"])


def test_logits_are_those_of_the_equations(net: Transformer) -> None:
    with torch.no_grad():
        logits = net(all_pairs()).numpy()
    for i, (a, b) in enumerate(all_pairs().tolist()):
        np.testing.assert_allclose(logits[i], by_the_equations(net, a, b), atol=1e-5)


def test_hooked_equals_unhooked_at_every_hook_point(net: Transformer) -> None:
    """Looking up keys and values by token, and the per-head output, change the path but not the numbers."""
    with torch.no_grad():
        plain = net(all_pairs())
        logits, cache = net.run_with_cache(all_pairs())
    assert set(cache.keys()) == set(net.hook_dict)
    torch.testing.assert_close(logits, plain, atol=1e-5, rtol=0)
    assert cache["attn.hook_result"].shape == (49, 2, 8)
    torch.testing.assert_close(cache["attn.hook_pattern"].sum(-1), torch.ones(49, 2))


def test_a_hook_that_edits_changes_the_answer(net: Transformer) -> None:
    with torch.no_grad():
        plain = net(all_pairs())
        edited = net.run_with_hooks(all_pairs(), fwd_hooks=[("mlp.hook_post", lambda value, hook: value * 0)])
    assert not torch.allclose(plain, edited)


def test_gradients_agree_between_the_two_paths(net: Transformer) -> None:
    weights = list(net.parameters())
    fast_path = torch.autograd.grad(net(all_pairs()).square().sum(), weights)
    with net.hooks(fwd_hooks=[("hook_embed", lambda value, hook: value)]):
        general_path = torch.autograd.grad(net(all_pairs()).square().sum(), weights)
    for fast, general in zip(fast_path, general_path, strict=True):
        torch.testing.assert_close(fast, general, atol=1e-4, rtol=1e-4)
