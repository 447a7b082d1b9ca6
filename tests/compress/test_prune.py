"""Pruning: identities with the masked net, and the two criteria."""

from __future__ import annotations

import numpy as np
import torch

from compress.prune import component_means, prune_net, prune_to
from pipeline.runs import Snapshot

HEADS, NEURONS = (0, 2), (1, 2, 3, 7, 11)


def everything(snapshot: Snapshot) -> torch.Tensor:
    return torch.from_numpy(snapshot.modular.pairs())


def test_pruning_nothing_is_the_net_itself(untrained: Snapshot) -> None:
    net, pairs = untrained.net, everything(untrained)
    same = prune_to(net, range(3), range(12), component_means(net, pairs))
    assert same.config == net.config
    for name, value in net.state_dict().items():
        assert torch.equal(same.state_dict()[name], value)


def test_the_pruned_net_equals_the_mean_ablated_net(untrained: Snapshot) -> None:
    net, pairs = untrained.net.double(), everything(untrained)
    means = component_means(net, pairs)

    def ablate_heads(value: torch.Tensor, hook: object) -> torch.Tensor:
        kept = torch.zeros(3, 1, dtype=torch.bool)
        kept[list(HEADS)] = True
        return torch.where(kept, value, means.heads)

    def ablate_neurons(value: torch.Tensor, hook: object) -> torch.Tensor:
        kept = torch.zeros(12, dtype=torch.bool)
        kept[list(NEURONS)] = True
        return torch.where(kept, value, means.neurons)

    with torch.no_grad():
        with net.hooks([("attn.hook_result", ablate_heads), ("mlp.hook_post", ablate_neurons)]):
            masked = net(pairs)
        smaller = prune_to(net, HEADS, NEURONS, means)
        assert (smaller.config.n_heads, smaller.config.d_mlp) == (2, 5)
        assert sum(v.numel() for v in smaller.parameters()) < sum(v.numel() for v in net.parameters())
        assert torch.allclose(smaller(pairs), masked, rtol=0, atol=1e-10)


def test_the_net_given_is_left_alone(untrained: Snapshot) -> None:
    before = {name: value.clone() for name, value in untrained.net.state_dict().items()}
    prune_to(untrained.net, HEADS, NEURONS, component_means(untrained.net, everything(untrained)))
    assert all(torch.equal(before[name], value) for name, value in untrained.net.state_dict().items())


def test_no_answer_changes_and_idle_components_go(untrained: Snapshot) -> None:
    """A head and four neurons that do nothing are scored lowest; none of them is left."""
    net, task = untrained.net, untrained.modular
    with torch.no_grad():
        net.attn.o.weight[:, 4:8] = 0
        net.mlp.w_out.weight[:, :4] = 0
    head_scores, neuron_scores = np.array([2.0, 0.0, 1.0]), np.arange(12.0)
    pruned = prune_net(net, task, task.split(0.3, 0)[0], head_scores, neuron_scores)
    assert 1 not in pruned.heads
    assert not set(pruned.neurons) & set(range(4))
    with torch.no_grad():
        assert torch.equal(pruned.net(everything(untrained)).argmax(1), net(everything(untrained)).argmax(1))


def test_a_net_that_is_wrong_everywhere_loses_all_it_may(untrained: Snapshot) -> None:
    """On training pairs there is then no right answer to keep: one head and one neuron are left."""
    task = untrained.modular
    with torch.no_grad():
        right = untrained.net(everything(untrained)).argmax(1).numpy() == task.answers()
    train = np.flatnonzero(~right)
    pruned = prune_net(untrained.net, task, train, np.zeros(3), np.zeros(12), criterion="train")
    assert (len(pruned.heads), len(pruned.neurons)) == (1, 1)
