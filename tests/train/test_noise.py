"""Noise of size 0 is no noise; noise of any size leaves the weights as they were."""

import pytest
import torch

from pipeline.errors import UserError
from pipeline.nets import Transformer, TransformerConfig
from pipeline.nets.recurrent import Recurrent, RecurrentConfig
from pipeline.recipe_files import load_recipe
from pipeline.recipe_params import RecipeParams
from train.noise import STATE, ActivationNoise, add_noise, drop, noise_generators, noisy_weights
from train.recipes import initialise

PLAIN = load_recipe("standard")
WIDE = (200, 200)
CPU = torch.device("cpu")


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def net() -> Transformer:
    torch.manual_seed(0)
    return Transformer(TransformerConfig(p=7, d_model=8, n_heads=2, d_head=4, d_mlp=12))


def test_dropout_by_its_properties() -> None:
    h, uniform = torch.ones(WIDE), torch.rand(WIDE, generator=generator())
    assert torch.equal(drop(h, 0.0, uniform), h)
    dropped = drop(h, 0.25, uniform)
    assert dropped.unique().tolist() == pytest.approx([0, 4 / 3])
    assert dropped.mean().item() == pytest.approx(1, abs=0.01)


def test_activation_noise_is_in_units_of_the_rms() -> None:
    h, normal = torch.full(WIDE, -3.0), torch.randn(WIDE, generator=generator())
    assert torch.equal(add_noise(h, 0.0, normal), h)
    noise = add_noise(h, 0.5, normal) - h
    assert noise.std().item() == pytest.approx(1.5, rel=0.02)
    assert noise.mean().item() == pytest.approx(0, abs=0.03)


def test_weights_are_noisy_within_and_what_they_were_after(net: Transformer) -> None:
    before = {name: weight.detach().clone() for name, weight in net.named_parameters()}
    stacks = [weight.detach()[None] for weight in net.parameters()]
    with noisy_weights(stacks, 0.1, [generator()]) as lengths:
        changes = [weight.detach() - before[name] for name, weight in net.named_parameters()]
    length = lengths.item()
    assert length == pytest.approx(sum(float(change.square().sum()) for change in changes) ** 0.5, rel=1e-4)
    assert length == pytest.approx(0.1 * sum(float(w.square().sum()) for w in before.values()) ** 0.5, rel=0.2)
    assert all(torch.equal(weight, before[name]) for name, weight in net.named_parameters())


def recipe(**values: float) -> RecipeParams:
    return PLAIN.model_copy(update=values)


def test_it_reaches_the_hidden_activations_and_is_gone_after(net: Transformer) -> None:
    pairs = torch.tensor([[1, 2], [3, 4]])
    plain = net(pairs)
    _, before = net.run_with_cache(pairs)
    noise = ActivationNoise(net, recipe(activation_noise=0.5, dropout=0.999))
    normal, uniform = noise.draws(2, [generator()], CPU)
    assert normal["mlp.hook_post"].shape == uniform["mlp.hook_post"].shape == (1, 2, 12)
    draws = {"mlp.hook_post": normal["mlp.hook_post"][0]}, {"mlp.hook_post": torch.zeros(2, 12)}
    with noise.on(net, draws):
        silenced, cache = net.run_with_cache(pairs)
    assert before["mlp.hook_post"].any()
    assert not cache["mlp.hook_post"].any()
    assert not torch.equal(silenced, plain)
    assert torch.equal(net(pairs), plain)


def test_every_generator_draws_for_its_net(net: Transformer) -> None:
    noise = ActivationNoise(net, recipe(dropout=0.5))
    other = torch.Generator().manual_seed(1)
    _, uniform = noise.draws(3, [generator(), other], CPU)
    alone = [noise.draws(3, [torch.Generator().manual_seed(seed)], CPU)[1]["mlp.hook_post"][0] for seed in (0, 1)]
    assert torch.equal(uniform["mlp.hook_post"], torch.stack(alone))


def test_a_net_without_hidden_activations_is_refused(net: Transformer) -> None:
    net.hook_dict.pop("mlp.hook_post")
    net.mod_dict.pop("mlp.hook_post")
    with pytest.raises(UserError, match="Transformer has no hook_post"):
        ActivationNoise(net, recipe(dropout=0.5))
    with pytest.raises(UserError, match=r"state_noise = 0\.1: Transformer has no state; leave state_noise out"):
        ActivationNoise(net, recipe(state_noise=0.1))
    assert not ActivationNoise(net, PLAIN).shapes


def test_noise_is_not_the_initial_weights_again() -> None:
    """Drawn from the same stream it would be along the weights, of correlation 1."""
    net = Transformer(TransformerConfig(p=29, d_model=32, n_heads=2, d_head=16, d_mlp=12))
    initialise(net, PLAIN.init, torch.Generator().manual_seed(5))
    before = net.embed.weight.detach().clone()
    stacks = [weight.detach()[None] for weight in net.parameters()]
    with noisy_weights(stacks, 0.1, noise_generators([5])):
        noise = net.embed.weight.detach() - before
    assert abs(torch.corrcoef(torch.stack([noise.flatten(), before.flatten()]))[0, 1]) < 0.15


def test_a_recurrent_net_gets_a_draw_of_its_own_at_every_step() -> None:
    net = Recurrent(RecurrentConfig(2, 1, 2, n_state=3, n_hidden=5))
    noise = ActivationNoise(net, recipe(state_noise=0.5, dropout=0.5))
    streams = torch.zeros(2, 4, 2, dtype=torch.int64)
    normal, uniform = noise.draws(streams[..., 0].numel(), [generator()], CPU)
    assert (normal[STATE].shape, uniform["hook_post"].shape) == ((1, 8, 3), (1, 8, 5))
    assert (normal.keys(), uniform.keys()) == ({STATE}, {"hook_post"})
    seen = []
    net.hook_state.add_hook(lambda tensor, hook: seen.append(tensor.detach()))
    silent = {"hook_post": torch.zeros(8, 5)}
    with noise.on(net, ({STATE: normal[STATE][0]}, silent)):
        net(streams)
    expected = (net.state_out.bias + 0.5 * normal[STATE][0]).clamp(0, 1)
    torch.testing.assert_close(torch.cat(seen), expected)
