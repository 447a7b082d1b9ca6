"""What does nothing is cut out, and the net computes what it computed."""

from __future__ import annotations

import pytest
import torch

from compress.cut import cut
from interp.hand_built import clock
from pipeline.nets import Transformer, TransformerConfig
from train.group_penalty import keep_alive
from train.nuclear_norm import drop_directions

P = 11
SHAPE = TransformerConfig(P, d_model=32, n_heads=2, d_head=16, d_mlp=24)


def random_net(seed: int = 0) -> Transformer:
    torch.manual_seed(seed)
    net = Transformer(SHAPE)
    with torch.no_grad():
        for weight in net.parameters():
            weight.normal_(0, 0.4)
    return net.eval()


def logits(net: Transformer) -> torch.Tensor:
    with torch.no_grad():
        return net(torch.cartesian_prod(torch.arange(P), torch.arange(P)))


def test_a_net_without_dead_parts_keeps_its_function() -> None:
    net = random_net()
    found = cut(net)
    torch.testing.assert_close(logits(found.net), logits(net), atol=2e-4, rtol=1e-4)
    assert found.difference == pytest.approx(float((logits(found.net) - logits(net)).abs().max()))


def test_dead_units_and_directions_go() -> None:
    net = random_net()
    stacks = {name: weight.detach()[None] for name, weight in net.named_parameters()}
    live = torch.zeros(1, 24, dtype=torch.bool)
    live[0, [3, 4, 20]] = True
    keep_alive(stacks, net.hidden_units(), [live])
    stacks["mlp.w_in.bias"][0, [3, 4, 20]] = 5.0  # active on some input
    for name in ("embed.weight", "pos.weight", "unembed.weight"):
        stacks[name].copy_(stacks[name] @ torch.diag((torch.arange(32) < 2).float()))  # of rank 2
        assert drop_directions(stacks[name], 1e-3)[0] <= 2
    found = cut(net)
    assert found.neurons == (3, 4, 20)
    # two directions come from the tokens, five at the most are read: by three neurons and a read-out of rank 2
    assert found.net.config.d_model <= 7
    assert found.net.config.d_head <= 2
    torch.testing.assert_close(logits(found.net), logits(net), atol=2e-4, rtol=1e-4)


def test_a_neuron_that_is_constant_becomes_part_of_the_bias() -> None:
    net = random_net()
    with torch.no_grad():
        net.mlp.w_in.weight[5] = 0
        net.mlp.w_in.bias[5] = 0.7
        net.mlp.w_in.bias[6] = -1000.0
    found = cut(net)
    assert {5, 6}.isdisjoint(found.neurons)
    torch.testing.assert_close(logits(found.net), logits(net), atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("idle", [0, 7])
def test_a_hand_built_clock_keeps_its_answers_and_loses_its_idle_neurons(idle: int) -> None:
    net = clock(P, (2, 3), phases=5, idle=idle)
    found = cut(net)
    assert torch.equal(logits(found.net).argmax(1), logits(net).argmax(1))
    assert found.net.config.d_head < net.config.d_head or found.net.config.d_model < net.config.d_model


def test_a_net_without_any_live_neuron_keeps_one() -> None:
    net = random_net()
    with torch.no_grad():
        net.mlp.w_in.bias.fill_(-1000.0)
    found = cut(net)
    assert len(found.neurons) == 1
    torch.testing.assert_close(logits(found.net), logits(net), atol=2e-4, rtol=1e-4)
