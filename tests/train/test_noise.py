"""Noise of size 0 is no noise; noise of any size leaves the weights as they were."""

import pytest
import torch

from pipeline.errors import UserError
from pipeline.nets import Transformer, TransformerConfig
from train.noise import add_noise, drop, noisy_weights, on_activations


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def net() -> Transformer:
    torch.manual_seed(0)
    return Transformer(TransformerConfig(p=7, d_model=8, n_heads=2, d_head=4, d_mlp=12))


def test_dropout_by_its_properties() -> None:
    h = torch.ones(200, 200)
    assert torch.equal(drop(h, 0.0, generator()), h)
    dropped = drop(h, 0.25, generator())
    assert dropped.unique().tolist() == pytest.approx([0, 4 / 3])
    assert dropped.mean().item() == pytest.approx(1, abs=0.01)


def test_activation_noise_is_in_units_of_the_rms() -> None:
    h = torch.full((200, 200), -3.0)
    assert torch.equal(add_noise(h, 0.0, generator()), h)
    noise = add_noise(h, 0.5, generator()) - h
    assert noise.std().item() == pytest.approx(1.5, rel=0.02)
    assert noise.mean().item() == pytest.approx(0, abs=0.03)


def test_weights_are_noisy_within_and_what_they_were_after(net: Transformer) -> None:
    before = {name: weight.detach().clone() for name, weight in net.named_parameters()}
    with noisy_weights(net.parameters(), 0.1, generator()) as length:
        changes = [weight.detach() - before[name] for name, weight in net.named_parameters()]
    assert length == pytest.approx(sum(float(change.square().sum()) for change in changes) ** 0.5, rel=1e-4)
    assert length == pytest.approx(0.1 * sum(float(w.square().sum()) for w in before.values()) ** 0.5, rel=0.1)
    assert all(torch.equal(weight, before[name]) for name, weight in net.named_parameters())


def test_changes_reach_the_hidden_activations_and_are_gone_after(net: Transformer) -> None:
    pairs = torch.tensor([[1, 2], [3, 4]])
    plain = net(pairs)
    with on_activations(net, [torch.zeros_like]):
        silenced, cache = net.run_with_cache(pairs)
    assert not cache["mlp.hook_post"].any()
    assert not torch.equal(silenced, plain)
    with on_activations(net, []):
        assert torch.equal(net(pairs), plain)
    assert torch.equal(net(pairs), plain)


def test_a_net_without_hidden_activations_is_refused(net: Transformer) -> None:
    net.hook_dict.pop("mlp.hook_post")
    with pytest.raises(UserError, match="Transformer has no hook_post"), on_activations(net, []):
        pass
